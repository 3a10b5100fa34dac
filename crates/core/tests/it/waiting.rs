//! Records that wait for what is not held, once the logs alone have them.
//!
//! In seed 1818 of the simulator a token of a former root's was waited for; the past was pruned, and
//! then the agent's key was fenced. The records that wait were void by the logs, and every node went
//! on to count them among those that wait.

use unisono_core::orchestra::Folds;
use unisono_core::orchestra::fact::Fact;
use unisono_model::{Action, Digest, FenceTarget, Rotation, Stamp};

use crate::capability::{CLUSTER, NOW_MS, key};
use crate::facts::{claim_rules, settled};
use crate::trust::{History, Shown, folded, implementer, orchestra, root, rules, rules_of};

/// A token that nobody lays down.
const UNKNOWN: Digest = Digest([9; 32]);

/// Folds all but the last record, prunes up to before it, and takes it in.
fn pruned_before_the_last(facts: &[Fact]) -> (Shown, Folds) {
    let mut folds = Folds::new(orchestra());
    let (last, before) = facts.split_last().expect("a record");
    for fact in before {
        folds.insert(fact.clone(), &rules());
    }
    let edge = Stamp::from_ms(last.place.stamp.as_ms() - 1);
    folds.prune(edge, &claim_rules());
    folds.insert(last.clone(), &rules());
    settled(folds, facts, &rules())
}

fn that_waits() -> History {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(UNKNOWN));
    history.work(implementer(), 2, 1, Some(UNKNOWN));
    history
}

fn is_told(history: &History, wanted: &[&str]) -> Folds {
    let (mut shown, folds) = pruned_before_the_last(&history.facts);
    assert_eq!(rules_of(&shown), wanted);
    assert_eq!(shown.pending, 2 - wanted.len() as u64);
    shown.refolds = false;
    assert_eq!(shown, folded(&history.facts));
    folds
}

#[test]
fn what_waits_and_is_fenced_is_void_though_the_logs_alone_have_it() {
    let mut history = that_waits();
    let target = FenceTarget::Key(implementer());
    history.fence(root(), 100, target, &[(implementer(), 2, 3)]);
    let mut folds = is_told(&history, &["token_fenced"; 1]);
    // What is told asks for nothing more.
    history.fence(root(), 200, target, &[(implementer(), 2, 4)]);
    folds.insert(history.facts.pop().expect("a record"), &rules());
    assert_eq!(folds.needs_refold(), None);
}

#[test]
fn what_waits_and_is_kept_by_a_fence_folds_nothing_again() {
    let mut history = that_waits();
    let target = FenceTarget::Key(implementer());
    history.fence(root(), 100, target, &[(implementer(), 2, 4)]);
    let (shown, _) = pruned_before_the_last(&history.facts);
    assert_eq!((shown.pending, shown.refolds), (2, false));
}

#[test]
fn what_waits_above_a_rotation_is_void_though_the_logs_alone_have_it() {
    let mut history = that_waits();
    let rotation = Rotation::sign(&key(20), CLUSTER, orchestra(), implementer(), "ivy");
    let above_ms = NOW_MS + 2_001;
    history.add(
        implementer(),
        4,
        above_ms,
        None,
        Action::Rotate(rotation.into()),
    );
    let rotated = history.facts.pop().expect("a record");
    // It lies between the two that wait, and comes last.
    let mut folds = Folds::new(orchestra());
    for fact in &history.facts {
        folds.insert(fact.clone(), &rules());
    }
    history.facts.push(rotated.clone());
    folds.prune(Stamp::from_ms(NOW_MS + 3_000), &claim_rules());
    folds.insert(rotated, &rules());
    let (mut shown, _) = settled(folds, &history.facts, &rules());
    shown.refolds = false;
    assert_eq!(shown, folded(&history.facts));
}
