//! Folding again comes to an end, whatever the order of the logs, and to what the whole set says.

use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::{Folds, PENDING_MAX, Refold};
use unisono_model::{
    Action, AgentKind, Enrol, IdempotencyKey, Incarnation, LogId, NodeId, Presence, Stamp, Status,
    limits,
};

use crate::folds::{RULES, claim_rules, digest, fact};

const END: Stamp = Stamp::MAX;

fn enrolled(number: u64, at_ms: u64, role: &str) -> Fact {
    let enrol = Enrol {
        name: "ada".into(),
        role: role.into(),
        kind: AgentKind::Ai,
        tier: None,
    };
    fact(number, 1, at_ms, Action::Enrol(enrol))
}

fn presence(number: u64, at_ms: u64) -> Fact {
    let presence = Presence {
        status: Status::Active,
        intent: format!("step {number}"),
        focus: String::new(),
    };
    fact(number, 1, at_ms, Action::Presence(presence))
}

/// The same, carried by another node.
fn elsewhere(mut fact: Fact) -> Fact {
    fact.log = LogId {
        node: NodeId([9; 32]),
        incarnation: Incarnation::default(),
    };
    fact
}

/// Walks over the logs in this order, as a node does, until nothing asks for it any more.
fn walked(facts: &[Fact], mut folds: Folds) -> (Folds, usize) {
    let mut walks = 0;
    while folds.needs_refold() == Some(Refold::Everything) {
        walks += 1;
        assert!(walks < 5, "folding again must come to an end");
        let mut again = folds.again();
        for fact in facts {
            again.insert(fact.clone(), &RULES);
        }
        again.settle();
        folds = again;
    }
    (folds, walks)
}

fn inserted(facts: &[Fact]) -> Folds {
    let mut folds = Folds::default();
    for fact in facts {
        folds.insert(fact.clone(), &RULES);
    }
    folds
}

/// Whoever sent two enrolments under one key to two nodes stopped every node for good: where the log
/// that is walked first held the later one, each walk ended with the same contradiction.
#[test]
fn two_actions_under_one_key_do_not_upset_every_walk_anew() {
    let key = Some(IdempotencyKey([7; 16]));
    let mut early = enrolled(1, 1_000, "builder");
    let mut late = elsewhere(enrolled(2, 2_000, "breaker"));
    (early.body.key, late.body.key) = (key, key);
    let work = presence(3, 3_000);
    let wanted = inserted(&[early.clone(), late.clone(), work.clone()]);
    assert_eq!(wanted.needs_refold(), None);
    let backwards = [late, early, work];
    let (folds, walks) = walked(&backwards, inserted(&backwards));
    assert!(walks > 0, "what counted first had to be taken back");
    assert_eq!(digest(&folds, END), digest(&wanted, END));
}

/// A key that was forgotten is not known to the walk that meets its two actions in the wrong order:
/// that walk ended with both of them folded, and took itself for good.
#[test]
fn two_actions_under_a_forgotten_key_are_told_apart_by_another_walk() {
    let key = Some(IdempotencyKey([7; 16]));
    let mut early = enrolled(1, 1_000, "builder");
    let mut late = elsewhere(presence(2, 2_000));
    (early.body.key, late.body.key) = (key, key);
    let other = presence(3, 3_000);
    let wanted = inserted(&[early.clone(), late.clone(), other.clone()]);
    let mut folds = inserted(&[early.clone(), late.clone(), other.clone()]);
    let days = Stamp::from_ms(10_000).plus_ms(limits::IDEMPOTENCY_MS);
    folds.prune(days, &claim_rules());
    folds.upset();
    let (folds, walks) = walked(&[late, early, other], folds);
    assert_eq!(walks, 2, "the first one learns which of them counts");
    assert_eq!(digest(&folds, END), digest(&wanted, END));
}

/// Places 1, 2, 3 with the actions A, B, A counted one contradiction in that order, and two where
/// they came as 2, 3, 1: the last to come was held against the one that had counted until then.
#[test]
fn contradictions_are_counted_alike_in_whatever_order_they_come() {
    let key = Some(IdempotencyKey([7; 16]));
    let mut facts = vec![enrolled(1, 1_000, "builder")];
    for (number, step) in [(2_u64, 1_u64), (3, 2), (4, 1)] {
        let mut one = presence(step, number * 1_000);
        one.place.record = unisono_model::Digest::of("test", &[&number.to_le_bytes()]);
        one.body.key = key;
        facts.push(one);
    }
    let count = |order: [usize; 4]| {
        let folds = inserted(&order.map(|index| facts[index].clone()));
        let folds = walked(&facts, folds).0;
        let horizon = unisono_core::orchestra::horizon::Horizon::default();
        let state = unisono_core::orchestra::Reading {
            folds: &folds,
            at: END,
            horizon: &horizon,
            rules: claim_rules(),
        };
        (state.state().key_conflicts, digest(&folds, END))
    };
    let straight = count([0, 1, 2, 3]);
    assert_eq!(straight.0, 1);
    for order in [
        [0, 2, 3, 1],
        [0, 3, 2, 1],
        [0, 3, 1, 2],
        [0, 1, 3, 2],
        [0, 2, 1, 3],
    ] {
        assert_eq!(count(order), straight, "{order:?}");
    }
}

/// A fork can take the record away that was known to count: what repeated it stands then.
#[test]
fn a_record_that_is_gone_leaves_its_key_to_the_next() {
    let key = Some(IdempotencyKey([7; 16]));
    let mut early = enrolled(1, 1_000, "builder");
    let mut late = elsewhere(enrolled(2, 2_000, "breaker"));
    (early.body.key, late.body.key) = (key, key);
    let mut folds = inserted(&[late.clone(), early]);
    folds.upset();
    let left = [late, presence(3, 3_000)];
    let (folds, _) = walked(&left, folds);
    assert_eq!(digest(&folds, END), digest(&inserted(&left), END));
}

/// More records than wait in memory, in a log that is walked before the one with their enrolment.
#[test]
fn an_enrolment_behind_ten_thousand_records_is_known_to_the_next_walk() {
    let mut facts: Vec<Fact> = (0..PENDING_MAX as u64 + 10)
        .map(|number| elsewhere(presence(number + 10, 2_000 + number)))
        .collect();
    facts.push(enrolled(1, 1_000, "builder"));
    let (folds, walks) = walked(&facts, inserted(&facts));
    assert!(walks > 0);
    assert_eq!(folds.pending(), 0);
    facts.rotate_right(1);
    assert_eq!(digest(&folds, END), digest(&inserted(&facts), END));
}

/// One record that waited for ever kept the whole past in memory, and every checkpoint off.
#[test]
fn what_waits_from_below_the_frontier_is_left_to_the_logs() {
    let waiting = elsewhere(presence(2, 2_000));
    let mut folds = inserted(std::slice::from_ref(&waiting));
    folds.prune(Stamp::from_ms(5_000), &claim_rules());
    assert_eq!(folds.pending(), 1, "it is counted still");
    let facts = [enrolled(1, 1_000, "builder"), waiting];
    folds.insert(facts[0].clone(), &RULES);
    let (folds, walks) = walked(&facts, folds);
    assert_eq!((walks, folds.pending()), (1, 0));
    assert_eq!(digest(&folds, END), digest(&inserted(&facts), END));
}
