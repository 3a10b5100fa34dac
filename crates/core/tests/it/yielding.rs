//! Who yields, who is asked, what an iteration is, and what is over.

use unisono_core::orchestra::brief::BriefPart;
use unisono_core::orchestra::coherence::DriftKind;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::view::{InterferenceKind, SignalsWanted};
use unisono_model::{Action, AgentId, SignalKind, Stamp};

use crate::interference::{claim, enrolments, fact, folded, found, read, signal};

/// Two agents whose globs overlap both yielded, until a lease ended: the earlier claim goes on.
#[test]
fn the_earlier_claim_wins_an_overlap() {
    let mut facts = enrolments(2);
    facts.push(fact(10, 2, 2_000, claim("src/**")));
    facts.push(fact(11, 1, 2_100, claim("src/*.rs")));
    let shown = found(&folded(&facts), 3_000);
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].kind, InterferenceKind::Overlap);
    assert_eq!(shown[0].decided_for.as_deref(), Some("a2"));
}

/// Whoever held `src/auth/**` was not told that `src/auth/login.rs` was needed: the brief, what it
/// senses, its interferences and its events asked for the very topic.
#[test]
fn a_need_under_a_glob_is_asked_of_its_holder_everywhere() {
    let mut facts = enrolments(3);
    facts.push(fact(10, 1, 2_000, claim("src/auth/**")));
    facts.push(fact(
        11,
        2,
        2_100,
        signal(SignalKind::Need, "src/auth/login.rs", "how?", 2_000_000),
    ));
    // A flood of others' needs hides nothing from it.
    for number in 0..600 {
        let topic = format!("flood/{number}");
        facts.push(fact(
            100 + number,
            3,
            2_200,
            signal(SignalKind::Need, &topic, "", 2_000_000),
        ));
    }
    let folds = folded(&facts);
    read(&folds, 900_000, |reading| {
        let of = [AgentId([1; 32])].into();
        let own = reading.interferences(Some(&of), 10).interferences;
        assert_eq!(own.len(), 1);
        assert_eq!(own[0].sides[0].topic, "src/auth/login.rs");
        let wanted = SignalsWanted {
            agent: Some("a1".into()),
            ..SignalsWanted::default()
        };
        assert_eq!(reading.sense(&wanted)[0].topic, "src/auth/login.rs");
        let brief = reading.brief("a1", 2_000, None);
        let asked = brief
            .lines
            .iter()
            .find(|line| line.part == BriefPart::Asked);
        assert_eq!(
            asked.map(|line| line.text.as_str()),
            Some("a2 needs src/auth/login.rs: how?")
        );
    });
}

/// A NEED that bore iteration 1,000,000 stood until that came, however its own ended.
#[test]
fn a_need_that_bears_an_iteration_to_come_ends_with_its_own() {
    let mut facts = enrolments(2);
    let mut need = fact(10, 1, 2_000, signal(SignalKind::Need, "x", "", 2_000_000));
    need.body.iteration = 1_000_000;
    facts.push(need);
    facts.push(fact(11, 2, 3_000, Action::Advance { from: 1 }));
    let folds = folded(&facts);
    read(&folds, 2_500, |reading| {
        assert_eq!(reading.sense(&SignalsWanted::default()).len(), 1);
    });
    read(&folds, 3_500, |reading| {
        assert!(reading.sense(&SignalsWanted::default()).is_empty());
    });
    assert_eq!(found(&folds, 2_800_000), []);
}

/// `continue --since` told of what began, never of what had ended.
#[test]
fn a_brief_since_a_moment_says_what_is_over() {
    let mut facts = enrolments(2);
    let taken = fact(
        10,
        1,
        2_000,
        Action::Claim {
            topic: "src/a.rs".into(),
            lease_ms: 5_000,
        },
    );
    facts.push(taken);
    facts.push(fact(11, 2, 9_000, claim("src/a.rs")));
    let folds = folded(&facts);
    read(&folds, 10_000, |reading| {
        let brief = reading.brief("a1", 2_000, Some(Stamp::from_ms(4_000)));
        let over: Vec<&str> = brief
            .lines
            .iter()
            .filter(|line| line.part == BriefPart::Over)
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(over, ["you no longer hold src/a.rs; a2 does"]);
    });
}

/// Two agents mean to do the same: whoever of them first claims a topic of theirs does it, and nobody
/// has to resolve anything.
#[test]
fn the_first_to_claim_takes_what_two_mean_to_do() {
    let mut facts = enrolments(3);
    let mean = |topic| signal(SignalKind::Intent, topic, "rewrite the login form", 60_000);
    facts.push(fact(10, 1, 2_000, mean("login")));
    facts.push(fact(11, 2, 2_100, mean("login form")));
    facts.push(fact(12, 3, 2_200, claim("login")));
    let told = |facts: &[Fact]| {
        read(&folded(facts), 4_000, |reading| {
            let all = reading.interferences(None, 10).interferences;
            let collisions = all
                .into_iter()
                .filter(|one| one.kind == InterferenceKind::Collision);
            let winners: Vec<_> = collisions.map(|one| one.decided_for).collect();
            let drift = reading.coherence().drift;
            let colliding = drift
                .iter()
                .filter(|one| one.kind == DriftKind::IntentCollision);
            (winners, colliding.count())
        })
    };
    assert_eq!(told(&facts), (vec![None], 1), "a third holds it");
    facts.push(fact(13, 2, 2_300, claim("login form")));
    assert_eq!(told(&facts), (vec![Some("a2".into())], 0));
    facts.push(fact(
        14,
        3,
        2_400,
        Action::Release {
            topic: "login".into(),
            claim: facts[5].place.record,
        },
    ));
    facts.push(fact(15, 1, 2_500, claim("login")));
    assert_eq!(told(&facts), (vec![Some("a2".into())], 0), "a2 was first");
    facts.push(fact(
        16,
        2,
        2_600,
        Action::Release {
            topic: "login form".into(),
            claim: facts[6].place.record,
        },
    ));
    assert_eq!(told(&facts), (vec![Some("a1".into())], 0), "and has let go");
}
