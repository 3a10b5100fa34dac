//! Shortens the list of faults of a failing seed: faults are dropped as long as the seed still fails
//! by the same invariant, halves first, then ever smaller parts (delta debugging).

use crate::plan::Fault;
use crate::run::{Outcome, run};
use crate::scenario::Scenario;

/// What is left of a failing seed's faults.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The scenario with exactly the faults that are left, perhaps none: it fails under the same
    /// seed. Nothing if it does not fail with exactly its own faults and no demand on its size: such
    /// a seed cannot be shortened by taking faults away.
    pub left: Option<Scenario>,
    /// How many faults there were.
    pub before: usize,
    /// How many runs it took.
    pub runs: u32,
}

/// Drops faults while the seed still violates the invariant that it violated first, for so many
/// runs at the most.
pub fn shrink(scenario: &Scenario, failed: &Outcome, runs_max: u32) -> Shrunk {
    // With fewer faults a run may be smaller than it must be, which is no finding.
    let mut search = Search {
        scenario: Scenario {
            actions_min: 0,
            only: None,
            ..scenario.clone()
        },
        seed: failed.seed,
        invariant: failed.verdicts.first().map(|v| v.invariant.clone()),
        runs: 0,
        runs_max,
    };
    let mut faults = failed.faults.clone();
    let before = faults.len();
    let fails = search.fails(&faults);
    if fails {
        search.shorten(&mut faults);
        search.scenario.only = Some(faults);
    }
    Shrunk {
        left: fails.then_some(search.scenario),
        before,
        runs: search.runs,
    }
}

struct Search {
    scenario: Scenario,
    seed: u64,
    invariant: Option<String>,
    runs: u32,
    runs_max: u32,
}

impl Search {
    fn fails(&mut self, faults: &[(u64, Fault)]) -> bool {
        self.runs += 1;
        let scenario = Scenario {
            only: Some(faults.to_vec()),
            ..self.scenario.clone()
        };
        let outcome = run(&scenario, self.seed);
        let mut found = outcome.verdicts.into_iter();
        found.any(|verdict| Some(verdict.invariant) == self.invariant)
    }

    fn shorten(&mut self, faults: &mut Vec<(u64, Fault)>) {
        let mut parts = 1;
        while !faults.is_empty() && self.runs < self.runs_max {
            let size = faults.len().div_ceil(parts);
            if let Some(shorter) = self.without_a_part(faults, size) {
                *faults = shorter;
                parts = parts.saturating_sub(1).max(1);
            } else if size == 1 {
                return;
            } else {
                parts = (parts * 2).min(faults.len());
            }
        }
    }

    /// The list without the first stretch of this length that the failure does not need.
    fn without_a_part(
        &mut self,
        faults: &[(u64, Fault)],
        size: usize,
    ) -> Option<Vec<(u64, Fault)>> {
        for start in (0..faults.len()).step_by(size) {
            if self.runs >= self.runs_max {
                return None;
            }
            let end = (start + size).min(faults.len());
            let shorter = [&faults[..start], &faults[end..]].concat();
            if self.fails(&shorter) {
                return Some(shorter);
            }
        }
        None
    }
}
