//! Many seeds, one after the other: which failed, what happened how often, and what never did.

use std::ops::Range;

use crate::counters::Counters;
use crate::run::{Outcome, run};
use crate::scenario::Scenario;

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// How many seeds ran.
    pub seeds: u64,
    /// Those in which something did not hold.
    pub failed: Vec<Outcome>,
    /// What happened how often, in all of them.
    pub counters: Counters,
    /// How much virtual time went by in all of them (ns).
    pub virtual_ns: u64,
}

/// Runs seeds until the end of the range, or until `go_on` says that it is enough.
pub fn campaign(
    scenario: &Scenario,
    seeds: Range<u64>,
    mut go_on: impl FnMut(&Outcome) -> bool,
) -> Campaign {
    let mut campaign = Campaign::default();
    for seed in seeds {
        let outcome = run(scenario, seed);
        campaign.seeds += 1;
        campaign.counters.merge(&outcome.counters);
        campaign.virtual_ns += outcome.virtual_ns;
        let enough = !go_on(&outcome);
        if !outcome.is_ok() {
            campaign.failed.push(outcome);
        }
        if enough {
            break;
        }
    }
    campaign
}

impl Campaign {
    /// What should have happened at least once and never did.
    pub fn never(&self) -> Vec<&'static str> {
        self.counters.never()
    }

    /// Whether everything held everywhere; whether enough happened is [`Campaign::never`]'s matter,
    /// since it can only be asked of many seeds.
    pub fn is_ok(&self) -> bool {
        self.failed.is_empty()
    }
}

/// Runs seeds until one violates one of these invariants, and says how many it took. Where a fault
/// is planted, a seed counts only if it holds without.
pub fn find(scenario: &Scenario, seeds: Range<u64>, invariants: &[&str]) -> Option<(u64, Outcome)> {
    let first = seeds.start;
    let honest = Scenario {
        sabotage: None,
        ..scenario.clone()
    };
    seeds.map(|seed| run(scenario, seed)).find_map(|outcome| {
        let found = outcome.breaks(invariants)
            && (scenario.sabotage.is_none() || !run(&honest, outcome.seed).breaks(invariants));
        found.then(|| (outcome.seed - first + 1, outcome))
    })
}
