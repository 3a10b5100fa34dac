//! Agents that do without a token until they are told that the orchestra is guarded: on the far side of a
//! cut they hear of it late, and what they did above the guard is void then.

use unisono_model::capability::Tier;

use super::Agent;
use super::rights::Rights;
use super::rotation::Times;
use crate::chance::Chance;

const SECOND: u64 = 1_000_000_000;

/// In so many percent of the seeds some implementers name no token, and the guard comes in the longest
/// cut, mostly: in a shorter one nobody does anything between the guard and the news of it.
pub fn draw(percent: u64, seed: u64, all: &mut [Rights], times: &Times) {
    let mut chance = Chance::new(seed, "bare", 0);
    if !chance.percent(percent) {
        return;
    }
    let root = all.len() - 1;
    for rights in &mut all[1..root] {
        let works = rights.tier == Some(Tier::Implementation);
        rights.is_bare = works && chance.percent(60);
    }
    if let Some(cut) = times
        .longest
        .filter(|at| *at > 20 * SECOND && chance.percent(80))
    {
        all[root].guard_at = Some(cut + chance.below(3 * SECOND));
    }
}

impl Agent {
    /// It has been told that the orchestra is guarded. True if that is news to it: it goes on under its
    /// token.
    pub(super) fn heeds_the_guard(&mut self) -> bool {
        let rights = self.rights.as_mut();
        rights.is_some_and(|rights| std::mem::take(&mut rights.is_bare))
    }
}
