//! One run: a scenario and a seed, and what came of it.

use std::collections::BTreeMap;

use serde::Serialize;
use unisono_model::Digest;

use crate::checks::Violation;
use crate::counters::Counters;
use crate::history::Operation;
use crate::plan::Fault;
use crate::scenario::Scenario;
use crate::world::World;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The digest of everything that happened: the same for the same scenario and seed.
    pub trace: Digest,
    /// How many events there were.
    pub events: u64,
    /// How much virtual time went by (ns).
    pub virtual_ns: u64,
    /// What agents asked for, and what they were told.
    pub history: Vec<Operation>,
    /// What did not hold.
    pub verdicts: Vec<Violation>,
    /// What happened how often.
    pub counters: Counters,
    /// What was to go wrong, and when (virtual ns).
    pub faults: Vec<(u64, Fault)>,
    /// The trace as JSON lines, where it was asked for.
    pub lines: Vec<String>,
}

/// An outcome without its history, for a line of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    /// The seed.
    pub seed: u64,
    /// Whether everything held.
    pub ok: bool,
    /// The digest of everything that happened.
    pub trace: Digest,
    /// How many events there were.
    pub events: u64,
    /// How much virtual time went by (s).
    pub virtual_s: u64,
    /// What did not hold.
    pub verdicts: &'a [Violation],
    /// What happened how often.
    pub counters: BTreeMap<&'static str, u64>,
}

/// Runs a seed.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    run_with(scenario, seed, false)
}

/// Runs a seed and keeps the trace's lines.
pub fn run_with_trace(scenario: &Scenario, seed: u64) -> Outcome {
    run_with(scenario, seed, true)
}

fn run_with(scenario: &Scenario, seed: u64, lines: bool) -> Outcome {
    let mut world = World::new(scenario, seed, lines);
    world.run();
    let (computed, remembered) = world.signature_checks();
    world.counters.add_many("signatures computed", computed);
    world.counters.add_many("signatures remembered", remembered);
    world
        .counters
        .add_many("future stamp written", world.checks.stamps.ahead);
    Outcome {
        seed,
        trace: world.trace.digest(),
        events: world.trace.events,
        virtual_ns: world.now,
        history: std::mem::take(&mut world.history),
        verdicts: std::mem::take(&mut world.checks.found),
        counters: world.counters.clone(),
        faults: world.planned(),
        lines: world.trace.take_lines(),
    }
}

impl Outcome {
    /// Whether everything held.
    pub fn is_ok(&self) -> bool {
        self.verdicts.is_empty()
    }

    /// Whether one of these invariants did not hold.
    pub fn breaks(&self, invariants: &[&str]) -> bool {
        let named = |invariant: &str| invariants.contains(&invariant);
        self.verdicts
            .iter()
            .any(|verdict| named(&verdict.invariant))
    }

    /// How to run it again. A scenario that came from a file has to be named beside this.
    pub fn replay(&self, scenario: &Scenario) -> String {
        let sabotage = scenario
            .sabotage
            .as_ref()
            .map_or_else(String::new, |name| format!(" --sabotage {name}"));
        let (seed, nodes) = (self.seed, scenario.nodes);
        format!(
            "unisono sim --seeds {seed}..{} --nodes {nodes}{sabotage}",
            seed + 1
        )
    }

    /// As a line of JSON.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            seed: self.seed,
            ok: self.is_ok(),
            trace: self.trace,
            events: self.events,
            virtual_s: self.virtual_ns / 1_000_000_000,
            verdicts: &self.verdicts,
            counters: self.counters.all(),
        }
    }
}
