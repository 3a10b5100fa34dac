//! Who acts without having said that it has seen what binds it: judged by what the agent says itself,
//! alike in any order, on both sides of a cut once that has healed, and never of somebody who has
//! said nothing.

use proptest::prelude::*;
use unisono_core::node::{AnswerBody, Question};
use unisono_core::orchestra::Folds;
use unisono_core::orchestra::fact::{Carrier, Fact};
use unisono_core::orchestra::view::{CoherenceView, DriftKind, DriftView, Severity, View};
use unisono_model::{
    Action, Decide, DecideKind, Digest, Importance, Mark, Presence, Resolution, Resolve, Seen,
    Setting, SignalKind, Stamp, Status,
};

use crate::folds::digest;
use crate::interference::{
    LATER, claim, claim_rules, enrolments, fact, folded, found, read, shuffled, signal,
};
use crate::loopback::Loop;

const MINUTE: u64 = 60_000;

fn decide(importance: Importance, supersedes: Vec<Digest>) -> Action {
    Action::Decide(Box::new(Decide {
        kind: DecideKind::Decision,
        topic: "storage".into(),
        question: String::new(),
        text: "one file a segment".into(),
        reason: String::new(),
        importance,
        confidence_permille: 1_000,
        rejected: Vec::new(),
        supersedes,
    }))
}

fn act(intent: &str) -> Action {
    Action::Presence(Presence {
        status: Status::Active,
        intent: intent.into(),
        focus: String::new(),
    })
}

/// That all of these were seen, and nothing else.
fn seen(facts: &[&Fact]) -> Action {
    let mut logs = std::collections::BTreeMap::new();
    for fact in facts {
        let Carrier { tag, bundle } = fact.carrier();
        let last = logs.entry(tag).or_insert(bundle);
        *last = bundle.max(*last);
    }
    Action::Seen(Seen {
        logs: logs.into_iter().collect(),
    })
}

fn apart(view: &CoherenceView) -> Vec<&DriftView> {
    let all = view.drift.iter();
    all.filter(|one| one.kind == DriftKind::ContextDivergence)
        .collect()
}

#[allow(
    clippy::redundant_closure_for_method_calls,
    reason = "the method alone is not general enough over the reading's lifetime"
)]
fn coherence(folds: &Folds, at_ms: u64) -> CoherenceView {
    read(folds, at_ms, |reading| reading.coherence())
}

/// What stands against the second agent, which has said at first that it has seen nothing but its own
/// enrolment, a while after it acted last.
fn severity(facts: &[Fact], at_ms: u64) -> Option<Severity> {
    let view = coherence(&folded(facts), at_ms);
    let found = apart(&view);
    assert!(found.len() <= 1 && found.iter().all(|one| one.names == ["a2"]));
    assert_eq!(
        view.terms[2].breakers.is_empty(),
        found.iter().all(|one| one.severity == Severity::Info),
        "what is only to be known does not count"
    );
    found.first().map(|one| one.severity)
}

/// Two agents, the second of which has said what it has seen; then the first decides something.
fn decided(importance: Importance) -> Vec<Fact> {
    let mut facts = enrolments(2);
    facts.push(fact(10, 2, 2_000, seen(&[&facts[1]])));
    facts.push(fact(11, 1, 3_000, decide(importance, Vec::new())));
    facts
}

#[test]
fn who_acts_without_having_seen_what_binds_it_is_told_the_longer_the_worse() {
    let at = |importance, minutes: u64| {
        let mut facts = decided(importance);
        let now = 3_000 + minutes * MINUTE + 1;
        facts.push(fact(12, 2, now, act("on as before")));
        severity(&facts, now)
    };
    assert_eq!(at(Importance::High, 9), None, "it had no time to look");
    assert_eq!(at(Importance::High, 10), Some(Severity::Info));
    assert_eq!(at(Importance::High, 59), Some(Severity::Info));
    assert_eq!(at(Importance::High, 60), Some(Severity::Warning));
    assert_eq!(at(Importance::Critical, 9), None);
    assert_eq!(at(Importance::Critical, 10), Some(Severity::Warning));
    assert_eq!(at(Importance::Normal, 60), None, "it binds nobody");
}

#[test]
fn it_ends_by_itself_when_the_agent_says_that_it_has_seen_it() {
    let mut facts = decided(Importance::Critical);
    let later = 3_000 + 30 * MINUTE;
    facts.push(fact(12, 2, later, act("on as before")));
    let view = coherence(&folded(&facts), later);
    let told = apart(&view)[0];
    let record = facts[3].place.record.to_string();
    assert!(told.evidence.contains(&record) && told.evidence.contains("30 min"));
    assert!(told.resolves_itself, "{told:?}");
    // The other one was not heard of for half an hour, either.
    assert_eq!(view.score, 1_000 - 150 / 2 - 150 / 2);
    facts.push(fact(13, 2, later + 1, seen(&[&facts[1], &facts[3]])));
    facts.push(fact(14, 2, later + 2, act("by what was decided")));
    assert_eq!(severity(&facts, later + 2), None);
    assert_eq!(
        severity(&facts, later),
        Some(Severity::Warning),
        "before it said so it had not"
    );
}

#[test]
fn nothing_is_held_against_who_has_said_nothing_or_done_nothing_or_decided_it_itself() {
    let later = 3_000 + 30 * MINUTE;
    // It has never said what it has seen: nothing is known.
    let mut silent = decided(Importance::Critical);
    silent.remove(2);
    silent.push(fact(12, 2, later, act("on")));
    assert_eq!(severity(&silent, later), None);
    // It has done nothing since.
    assert_eq!(severity(&decided(Importance::Critical), later), None);
    // It is its own.
    let mut own = decided(Importance::Critical);
    own[3] = fact(11, 2, 3_000, decide(Importance::Critical, Vec::new()));
    own.push(fact(12, 2, later, act("on")));
    assert_eq!(severity(&own, later), None);
    // It binds no more.
    let mut over = decided(Importance::Critical);
    let superseded = vec![over[3].place.record];
    let other = decide(Importance::Low, superseded);
    over.push(fact(12, 1, 4_000, other));
    over.push(fact(13, 2, later, act("on")));
    assert_eq!(severity(&over, later), None);
}

#[test]
fn the_setting_says_how_long_there_is_to_look() {
    let mut facts = decided(Importance::High);
    let set = Action::Settings(vec![(Setting::ContextStaleMs, 1_000)]);
    facts.push(fact(12, 1, 3_500, set));
    facts.push(fact(13, 2, 5_000, act("on")));
    assert_eq!(severity(&facts, 5_000), Some(Severity::Info));
    facts.push(fact(14, 2, 9_001, act("on")));
    assert_eq!(severity(&facts, 9_001), Some(Severity::Warning));
}

#[test]
fn a_mark_binds_everybody_and_a_resolution_those_whom_it_names() {
    let mark = Action::Mark(Mark {
        about: "storage".into(),
        text: "one file".into(),
        reasoning: String::new(),
        tags: vec!["pinned".into()],
        evidence: Vec::new(),
    });
    let mut facts = enrolments(3);
    facts.push(fact(10, 2, 2_000, seen(&[&facts[1]])));
    facts.push(fact(11, 1, 3_000, mark));
    let later = 3_000 + 30 * MINUTE;
    facts.push(fact(12, 2, later, act("on")));
    assert_eq!(severity(&facts, later), Some(Severity::Info));

    // Two INTENTs that are alike; somebody third resolves it, and both sides go on.
    let mut facts = enrolments(4);
    let words = "write the index anew";
    let mut all = vec![
        fact(
            20,
            1,
            2_000,
            signal(SignalKind::Intent, "index", words, LATER),
        ),
        fact(
            21,
            2,
            2_001,
            signal(SignalKind::Intent, "index", words, LATER),
        ),
    ];
    facts.append(&mut all);
    let id = found(&folded(&facts), 2_500)[0].id;
    let resolve = Action::Resolve(Resolve {
        interference: id,
        how: Resolution::Merge,
        outcome: "a1 writes it".into(),
        mark: None,
    });
    facts.push(fact(22, 3, 3_000, resolve));
    for agent in [2, 4] {
        let own = seen(&[&facts[usize::from(agent) - 1]]);
        facts.push(fact(30 + u64::from(agent), agent, 2_600, own));
        facts.push(fact(40 + u64::from(agent), agent, later, act("on")));
    }
    assert_eq!(
        severity(&facts, later),
        Some(Severity::Info),
        "a4 is no side"
    );
}

/// A decision on one side of a cut, and an agent at work on the other: it counts once the cut has
/// healed and the agent goes on without looking, on both nodes alike, and ends when it has looked.
#[test]
fn across_a_cut_both_sides_judge_alike() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "bob");
    world.run_ms(1_000);
    let set = Action::Settings(vec![(Setting::ContextStaleMs, 1_000)]);
    world.act(0, "ada", set).expect("set");
    world.run_ms(500);
    let says = |world: &mut Loop| {
        let ticket = world.ask(1, Question::State, 1_000);
        world.run_ms(5);
        let answer = world.reply(ticket).expect("an answer").expect("a state");
        let logs = answer.cursor.0.into_iter();
        let logs = logs.map(|(tag, bundle)| (tag.0, bundle)).collect();
        world
            .act(1, "bob", Action::Seen(Seen { logs }))
            .expect("said");
    };
    says(&mut world);
    world.cut = vec![(0, 1)];
    let critical = decide(Importance::Critical, Vec::new());
    world.act(0, "ada", critical).expect("decided");
    world.run_ms(2_000);
    world.act(1, "bob", act("on, cut off")).expect("done");
    let told = |world: &mut Loop, index| {
        let view = match world.view(index, Question::Coherence).expect("a view") {
            View::Coherence(view) => view,
            other => panic!("no coherence: {other:?}"),
        };
        apart(&view).into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(told(&mut world, 1), [], "nobody here can know");
    world.cut.clear();
    world.run_ms(8_000);
    let here = told(&mut world, 1);
    assert_eq!(here.len(), 1);
    assert_eq!(
        (here[0].names[0].as_str(), here[0].severity),
        ("bob", Severity::Warning)
    );
    assert_eq!(told(&mut world, 0), here);
    says(&mut world);
    world.run_ms(500);
    for index in [0, 1] {
        assert_eq!(told(&mut world, index), []);
    }
    let ticket = world.ask(0, Question::Hash, 1_000);
    world.run_ms(5);
    let answer = world.reply(ticket).expect("an answer").expect("a hash");
    assert!(matches!(answer.body, AnswerBody::View(View::Hash(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_judges_alike_pruned_or_not(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), 0_u64..20), 1..60),
        order in any::<u64>(),
    ) {
        let mut facts = enrolments(4);
        let mut at_ms = 2_000;
        for (index, (kind, agent, minutes)) in steps.iter().enumerate() {
            at_ms += minutes * MINUTE + 1;
            let action = match kind % 6 {
                0 => decide(Importance::High, Vec::new()),
                1 => decide(Importance::Critical, vec![facts[facts.len() / 2].place.record]),
                2 | 3 => {
                    let some = facts.iter().step_by(usize::from(kind / 6 % 3) + 1);
                    seen(&some.collect::<Vec<_>>())
                }
                4 => claim("src/**"),
                _ => act("on"),
            };
            facts.push(fact(100 + index as u64, agent % 4 + 1, at_ms, action));
        }
        let folds = folded(&facts);
        let mixed = folded(shuffled(&facts, order));
        for at in [at_ms / 2, at_ms, at_ms + MINUTE] {
            prop_assert_eq!(coherence(&folds, at), coherence(&mixed, at));
        }
        let mut pruned = folds.clone();
        pruned.prune(Stamp::from_ms(at_ms / 2), &claim_rules());
        prop_assert_eq!(coherence(&folds, at_ms), coherence(&pruned, at_ms));
        prop_assert_eq!(digest(&folds, Stamp::from_ms(at_ms)), digest(&mixed, Stamp::from_ms(at_ms)));
    }
}
