//! The iteration, naively.

use std::collections::BTreeSet;

use unisono_model::Action;

use super::logs::Fact;

/// The iteration: one more than the longest run of ended ones from 1.
pub fn iteration(facts: &[&Fact]) -> u32 {
    let ended: BTreeSet<u32> = facts
        .iter()
        .filter_map(|fact| match &fact.body.action {
            Action::Advance { from } => Some(*from),
            _ => None,
        })
        .collect();
    let mut now = 1;
    while ended.contains(&now) {
        now += 1;
    }
    now
}
