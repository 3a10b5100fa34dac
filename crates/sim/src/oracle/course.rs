//! The iteration, naively.

use std::collections::BTreeSet;

use unisono_model::{Action, Stamp};

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

/// When it began: when the last of those before it was ended first.
pub fn began(facts: &[&Fact]) -> Stamp {
    let ends = (1..iteration(facts)).filter_map(|before| {
        let ended = facts.iter().filter(|fact| match &fact.body.action {
            Action::Advance { from } => *from == before,
            _ => false,
        });
        ended.map(|fact| fact.place.stamp).min()
    });
    ends.max().unwrap_or(Stamp::MIN)
}
