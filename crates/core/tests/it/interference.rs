//! The laws of the search for interferences: any order, any duplication, pruned or not, the same;
//! cheap however much is said; and nothing that agents write makes it panic.

use proptest::prelude::*;
use unisono_core::orchestra::claims::Rules;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::interference::pattern::Pattern;
use unisono_core::orchestra::view::{ClaimsWanted, InterferenceKind, InterferenceView};
use unisono_core::orchestra::{FoldRules, Folds, Reading, Refold};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, AgentId, AgentKind, ClusterId, Digest, Enrol, Incarnation, LogId, NodeId, Resolution,
    Resolve, Signal, SignalKind, Stamp, Urgency,
};

use crate::facts;
use crate::folds::NobodyLate;

pub(crate) const LATER: u64 = 1 << 40;

pub(crate) fn rules() -> FoldRules {
    FoldRules {
        cluster: ClusterId([0; 16]),
        root: None,
        recovery: None,
        authority: None,
        founder: NodeId([1; 32]),
        lease_ms_max: 3_600_000,
        sabotage: Sabotage::default(),
    }
}

pub(crate) fn claim_rules() -> Rules<'static> {
    Rules {
        standing: &NobodyLate,
        lease_ms_max: 3_600_000,
        expiry_ignored: false,
    }
}

pub(crate) fn fact(number: u64, agent: u8, at_ms: u64, action: Action) -> Fact {
    let record = Digest::of("test", &[&number.to_le_bytes()]);
    let log = LogId {
        node: NodeId([agent % 3; 32]),
        incarnation: Incarnation::default(),
    };
    facts::fact(record, (log, number), agent, at_ms, action)
}

pub(crate) fn enrolments(agents: u8) -> Vec<Fact> {
    (1..=agents)
        .map(|agent| {
            let enrol = Enrol {
                name: format!("a{agent}"),
                role: String::new(),
                kind: AgentKind::Ai,
                tier: None,
            };
            fact(u64::from(agent), agent, 1_000, Action::Enrol(enrol))
        })
        .collect()
}

pub(crate) fn signal(kind: SignalKind, topic: &str, text: &str, lifetime_ms: u64) -> Action {
    Action::Signal(Signal {
        kind,
        topic: topic.into(),
        urgency: Urgency::Blocking,
        text: text.into(),
        lifetime_ms,
        evidence: (kind == SignalKind::Offer).then(Digest::default),
    })
}

pub(crate) fn claim(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 3_000_000,
    }
}

/// What agents do to get in each other's way.
fn build(steps: &[(u8, u8, u8, u16)]) -> Vec<Fact> {
    let topics = ["src/a/**", "src/a/b.rs", "src/*.rs", "src/c.rs", "t"];
    let words = [
        "login form",
        "login page",
        "session cache",
        "token cache",
        "parser",
    ];
    let mut facts = enrolments(4);
    let mut at_ms = 2_000;
    for (index, (agent, kind, subject, gap)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap);
        let topic = topics[usize::from(*subject) % topics.len()];
        let text = words[usize::from(subject / 8) % words.len()];
        let lifetime_ms = 500 + u64::from(*subject) * 200;
        let action = match kind % 8 {
            0..=2 => signal(SignalKind::Intent, topic, text, lifetime_ms),
            3 => signal(SignalKind::Need, topic, text, 2_000_000),
            4 => signal(SignalKind::Offer, topic, text, lifetime_ms),
            5 | 6 => claim(topic),
            _ => {
                let earlier = &facts[(index * 5 + 1) % facts.len()].place.record;
                let other = &facts[(index * 3 + 2) % facts.len()].place.record;
                Action::Resolve(Resolve {
                    interference: InterferenceKind::Collision.id(earlier, other),
                    how: Resolution::Defer,
                    outcome: String::new(),
                    mark: None,
                })
            }
        };
        facts.push(fact(index as u64 + 10, agent % 4 + 1, at_ms, action));
    }
    facts
}

pub(crate) fn folded<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Folds {
    let mut folds = Folds::default();
    for fact in facts {
        folds.insert(fact.clone(), &rules());
    }
    folds
}

pub(crate) fn read<T>(folds: &Folds, at_ms: u64, what: impl FnOnce(&Reading<'_>) -> T) -> T {
    let horizon = Horizon::default();
    what(&Reading {
        folds,
        at: Stamp::from_ms(at_ms),
        horizon: &horizon,
        rules: claim_rules(),
    })
}

/// Whether what is held is what is needed, or a glob over it.
fn covers(held: &str, needed: &str) -> bool {
    let pattern = Pattern::of(held);
    let below = needed.starts_with(&pattern.beginning());
    held == needed || (pattern.is_glob() && below && pattern.overlaps(&Pattern::of(needed)))
}

pub(crate) fn found(folds: &Folds, at_ms: u64) -> Vec<InterferenceView> {
    read(folds, at_ms, |reading| {
        reading.interferences(None, usize::MAX).interferences
    })
}

pub(crate) fn shuffled(facts: &[Fact], order: u64) -> Vec<&Fact> {
    let mut shuffled: Vec<&Fact> = facts.iter().chain(facts.iter().step_by(3)).collect();
    let key = |fact: &&Fact| Digest::of("order", &[&fact.place.record.0, &order.to_le_bytes()]);
    shuffled.sort_by_key(key);
    shuffled
}

/// The moments at which two folds are compared: while it happens, and when much has ended.
fn moments(facts: &[Fact]) -> Vec<u64> {
    let last = facts.last().map_or(0, |fact| fact.place.stamp.as_ms());
    vec![last / 2 + 1_000, last, last + 5_000, last + 700_000, LATER]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_order_and_any_repetition_find_the_same(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..90),
        order in any::<u64>(),
    ) {
        let facts = build(&steps);
        let (straight, other) = (folded(&facts), folded(shuffled(&facts, order)));
        for at_ms in moments(&facts) {
            prop_assert_eq!(found(&straight, at_ms), found(&other, at_ms));
        }
    }

    #[test]
    fn pruning_forgets_nothing_that_can_still_be_found(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..90),
        frontier in 1_000_u64..40_000,
        order in any::<u64>(),
    ) {
        let facts = build(&steps);
        let edge = Stamp::from_ms(frontier);
        let (below, above): (Vec<&Fact>, Vec<&Fact>) =
            facts.iter().partition(|fact| fact.place.stamp <= edge);
        let mut pruned = folded(below);
        pruned.prune(edge, &claim_rules());
        let mut above: Vec<Fact> = above.into_iter().cloned().collect();
        above.sort_by_key(|fact| Digest::of("o", &[&fact.place.record.0, &order.to_le_bytes()]));
        for fact in above {
            pruned.insert(fact, &rules());
        }
        let whole = folded(&facts);
        for at_ms in moments(&facts).into_iter().filter(|at_ms| *at_ms >= frontier) {
            prop_assert_eq!(found(&whole, at_ms), found(&pruned, at_ms));
        }
    }

    #[test]
    fn a_record_from_below_a_checkpoint_is_folded_in_or_again(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 2..90),
        frontier in 1_000_u64..40_000,
        late in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let late = late.index(facts.len());
        let edge = Stamp::from_ms(frontier);
        let mut pruned = Folds::default();
        for (index, fact) in facts.iter().enumerate() {
            if index != late && fact.place.stamp <= edge {
                pruned.insert(fact.clone(), &rules());
            }
        }
        pruned.prune(edge, &claim_rules());
        for (index, fact) in facts.iter().enumerate() {
            if index == late || fact.place.stamp > edge {
                pruned.insert(fact.clone(), &rules());
            }
        }
        match pruned.needs_refold() {
            Some(Refold::Topics(_)) => pruned.adopt_topics(folded(&facts)),
            Some(Refold::Everything) => pruned = folded(&facts),
            None => {}
        }
        let whole = folded(&facts);
        for at_ms in moments(&facts).into_iter().filter(|at_ms| *at_ms >= frontier) {
            prop_assert_eq!(found(&whole, at_ms), found(&pruned, at_ms));
        }
    }

    /// What names an agent or is asked of it is the same, asked for it or picked out of all.
    #[test]
    fn an_agent_is_told_what_names_it(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..90),
    ) {
        let facts = build(&steps);
        let folds = folded(&facts);
        for at_ms in moments(&facts) {
            for agent in 1..=4 {
                let agent = AgentId([agent; 32]);
                let of = [agent].into();
                let own = read(&folds, at_ms, |reading| {
                    reading.interferences(Some(&of), usize::MAX).interferences
                });
                let mut all = found(&folds, at_ms);
                let asked = |one: &InterferenceView| {
                    let side = &one.sides[0];
                    one.kind == InterferenceKind::Unanswered
                        && read(&folds, at_ms, |reading| {
                            let claims = reading.claims(&ClaimsWanted::default()).into_iter();
                            let held = claims.filter(|claim| claim.agent == agent);
                            held.map(|claim| claim.topic).any(|topic| covers(&topic, &side.topic))
                        })
                };
                all.retain(|one| one.names(&agent) || asked(one));
                prop_assert_eq!(own, all);
            }
        }
    }

    #[test]
    fn a_brief_fits_its_budget_and_is_the_same_twice(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60),
        most in 60_u64..2_000,
        order in any::<u64>(),
    ) {
        let facts = build(&steps);
        let (one, other) = (folded(&facts), folded(shuffled(&facts, order)));
        for at_ms in moments(&facts) {
            let brief = |folds: &Folds| read(folds, at_ms, |reading| reading.brief("a1", most, None));
            let (one, other) = (brief(&one), brief(&other));
            prop_assert!(one.tokens <= most, "{} of {most}", one.tokens);
            prop_assert_eq!(one, other);
        }
    }
}

#[test]
fn interferences_end_when_a_side_ends() {
    let mut facts = enrolments(3);
    facts.push(fact(
        10,
        1,
        2_000,
        signal(SignalKind::Intent, "login", "the login form", 1_000),
    ));
    facts.push(fact(
        11,
        2,
        2_100,
        signal(SignalKind::Intent, "login", "the login form", 9_000),
    ));
    facts.push(fact(12, 1, 2_200, claim("src/**")));
    facts.push(fact(13, 2, 2_300, claim("src/a.rs")));
    facts.push(fact(
        14,
        3,
        2_400,
        signal(SignalKind::Need, "corpus", "who has it?", 2_000_000),
    ));
    let release = Action::Release {
        topic: "src/**".into(),
        claim: facts[5].place.record,
    };
    facts.push(fact(15, 1, 5_000, release));
    facts.push(fact(
        16,
        2,
        700_000,
        signal(SignalKind::Offer, "corpus", "here", 100_000),
    ));
    let folds = folded(&facts);
    let kinds = |at_ms| -> Vec<InterferenceKind> {
        found(&folds, at_ms).iter().map(|one| one.kind).collect()
    };
    assert_eq!(kinds(2_050), []);
    assert_eq!(
        kinds(2_500),
        [InterferenceKind::Overlap, InterferenceKind::Collision]
    );
    assert_eq!(
        kinds(4_000),
        [InterferenceKind::Overlap],
        "an intention has ended"
    );
    assert_eq!(kinds(6_000), [], "the glob was given back");
    assert_eq!(
        kinds(650_000),
        [InterferenceKind::Unanswered],
        "patience has ended"
    );
    assert_eq!(kinds(750_000), [], "somebody offers it");
    assert_eq!(
        kinds(850_000),
        [InterferenceKind::Unanswered],
        "the offer has ended"
    );
}

#[test]
fn a_contested_claim_is_told_until_its_holder_renews_above_it() {
    let mut facts = enrolments(2);
    facts.push(fact(10, 1, 2_000, claim("index")));
    facts.push(fact(11, 2, 2_100, claim("index")));
    let claimed = facts[2].place.record;
    let before = found(&folded(&facts), 2_500);
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].kind, InterferenceKind::Contested);
    assert_eq!(before[0].decided_for.as_deref(), Some("a1"));
    let renew = Action::Renew {
        topic: "index".into(),
        claim: claimed,
        lease_ms: 60_000,
    };
    facts.push(fact(12, 1, 3_000, renew));
    assert!(found(&folded(&facts), 3_500).is_empty());
}

#[test]
fn the_first_resolution_stands_whenever_it_comes() {
    let mut facts = enrolments(2);
    facts.push(fact(10, 1, 2_000, claim("src/**")));
    facts.push(fact(11, 2, 2_100, claim("src/a.rs")));
    let id = found(&folded(&facts), 2_500)[0].id;
    let resolve = |number, agent, at_ms, outcome: &str| {
        let resolve = Resolve {
            interference: id,
            how: Resolution::Synthesis,
            outcome: outcome.into(),
            mark: None,
        };
        fact(number, agent, at_ms, Action::Resolve(resolve))
    };
    facts.push(resolve(13, 2, 3_100, "second"));
    facts.push(resolve(12, 1, 3_000, "first"));
    let known = found(&folded(&facts), 4_000)
        .remove(0)
        .resolution
        .expect("resolved");
    assert_eq!(
        (known.outcome.as_str(), known.name.as_str()),
        ("first", "a1")
    );
    assert!(found(&folded(&facts), 2_900)[0].is_open(), "not yet");
}

/// A hundred thousand signals on one topic: each is held against a few neighbours. All pairs would be
/// a billion, and this would not end.
#[test]
fn a_flood_on_one_topic_stays_cheap() {
    const FLOOD: u64 = 100_000;
    let mut folds = folded(&enrolments(200));
    let emit = |n: u64| {
        let kind = if n.is_multiple_of(2) {
            SignalKind::Intent
        } else {
            SignalKind::Need
        };
        let agent = (n % 200) as u8 + 1;
        fact(
            1_000 + n,
            agent,
            2_000 + n,
            signal(kind, "one", "the same words again", LATER),
        )
    };
    for n in 0..FLOOD {
        folds.insert(emit(n), &rules());
    }
    let open = read(&folds, FLOOD + 700_000, |reading| {
        reading.interferences(None, 100)
    });
    assert_eq!(open.interferences.len(), 100, "a page");
    assert!(
        open.open <= FLOOD * 8,
        "at most eight pairs an intention: {}",
        open.open
    );
    folds.prune(Stamp::from_ms(2_000 + 2 * LATER), &claim_rules());
    assert!(
        found(&folds, 2_000 + 2 * LATER).is_empty(),
        "all have ended"
    );
}

#[test]
fn topics_and_texts_from_hell_are_answered() {
    let mut facts = enrolments(3);
    let long = "*a".repeat(127);
    let many = "word ".repeat(3_000);
    let topics = [
        "",
        "/",
        "//",
        "**",
        "*",
        "?",
        "a/../b",
        "\u{202e}evil",
        "\u{0}",
        "…",
        &long,
    ];
    for (index, topic) in topics.iter().enumerate() {
        let n = index as u64 * 10 + 100;
        facts.push(fact(n, 1, 2_000 + n, claim(topic)));
        facts.push(fact(n + 1, 2, 2_001 + n, claim(topic)));
        facts.push(fact(
            n + 2,
            1,
            2_002 + n,
            signal(SignalKind::Intent, topic, &many, u64::MAX),
        ));
        facts.push(fact(
            n + 3,
            2,
            2_003 + n,
            signal(SignalKind::Intent, topic, &many, 0),
        ));
        facts.push(fact(
            n + 4,
            3,
            2_004 + n,
            signal(SignalKind::Need, topic, "\u{202e}", u64::MAX),
        ));
    }
    let folds = folded(&facts);
    for at_ms in [0, 2_500, 3_000, 900_000, 250_000_000_000_000] {
        read(&folds, at_ms, |reading| {
            reading.interferences(None, usize::MAX);
            reading.coherence();
            let brief = reading.brief("a1", 500, None);
            let hidden = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
            assert!(
                !brief.markdown().contains(hidden),
                "nothing disguises itself"
            );
        });
    }
}

#[test]
#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method alone is not general enough over the reading's lifetime"
)]
fn coherence_names_who_breaks_it() {
    let mut facts = enrolments(4);
    facts.push(fact(10, 1, 2_000, claim("src/**")));
    facts.push(fact(11, 2, 2_100, claim("src/a.rs")));
    facts.push(fact(12, 3, 2_200, Action::Advance { from: 1 }));
    facts.push(fact(
        13,
        4,
        2_300,
        signal(SignalKind::Intent, "x", "in the old iteration", 60_000),
    ));
    let view = read(&folded(&facts), 3_000, |reading| reading.coherence());
    // 250 and 150 of iteration and phase times 3/4, 200 of what blocks times 3/4, the rest whole.
    assert_eq!(
        view.score,
        187 + 112 + 150 + 150 + 150 + 100 + 1,
        "{view:#?}"
    );
    assert_eq!(view.agents, 4);
    let broken: Vec<_> = view.gluing.iter().filter(|one| !one.holds).collect();
    assert_eq!(broken.len(), 3);
    assert_eq!(
        broken[0].breakers,
        ["a4"],
        "it acted in iteration 1 after that had ended"
    );
    assert_eq!(broken[2].breakers, ["a2"], "a1 came first and goes on");
    let calm = read(&folded(&enrolments(4)), 1_500, |reading| {
        reading.coherence()
    });
    assert_eq!(calm.score, 1_000);
    assert!(calm.gluing.iter().all(|one| one.holds));
}
