//! What an orchestra has gone back behind, naively: every record against every rollback.

use std::collections::BTreeSet;

use unisono_model::{Action, Place, Rollback, limits};

use super::logs::Fact;

/// Which of some facts, in order, are set aside: decided from the latest rollback down, since one
/// that stands ends those before it.
pub fn set_aside(facts: &[&Fact]) -> BTreeSet<Place> {
    let rollbacks = facts.iter().filter_map(|fact| match &fact.body.action {
        Action::Rollback(rollback) => Some((*fact, rollback.as_ref())),
        _ => None,
    });
    let mut rollbacks: Vec<(&Fact, &Rollback)> = rollbacks.take(limits::ROLLBACKS_MAX).collect();
    let mut standing: Vec<(&Fact, &Rollback)> = Vec::new();
    while let Some(last) = rollbacks.pop() {
        if !is_covered(last.0, &standing) {
            standing.push(last);
        }
    }
    let gone = facts.iter().filter(|fact| {
        let own = fact.body.action.is_revertible();
        own && is_covered(fact, &standing)
    });
    gone.map(|fact| fact.place).collect()
}

/// Which of some facts any rollback spoke of, whether or not it stands now: they were set aside at
/// some time.
pub fn ever_set_aside(facts: &[&Fact]) -> BTreeSet<Place> {
    let rollbacks = facts.iter().filter_map(|fact| match &fact.body.action {
        Action::Rollback(rollback) => Some((*fact, rollback.as_ref())),
        _ => None,
    });
    let rollbacks: Vec<(&Fact, &Rollback)> = rollbacks.collect();
    let gone = facts.iter().filter(|fact| is_covered(fact, &rollbacks));
    gone.map(|fact| fact.place).collect()
}

fn is_covered(fact: &Fact, by: &[(&Fact, &Rollback)]) -> bool {
    by.iter().any(|(own, rollback)| {
        let mut seen = rollback.seen.iter();
        fact.place.stamp > rollback.to
            && fact.place < own.place
            && seen.any(|end| end.incarnation == fact.log.incarnation && fact.bundle <= end.seq)
    })
}
