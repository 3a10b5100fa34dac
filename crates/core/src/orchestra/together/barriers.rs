//! Barriers: agents arrive, and when so many wait at once, it opens for them, at one time for all.
//!
//! Arrivals are counted in the order of their stamps, whoever hears of them in whichever order; the
//! opening is the last arrival's stamp and the longest lead of those who wait. So every replica
//! that holds the same arrivals says the same time, to the nanosecond. Whether an earlier arrival can still
//! come, and make it another, is for the horizon to say.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Arrival, Place, Stamp};

/// How long an opening is shown (ms): whoever asks later finds a barrier at which nobody waits.
pub const BARRIER_SHOWN_MS: u64 = 3_600_000;

/// A barrier's name, and how many it takes.
type Name = (String, u16);

/// The fold over arrivals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Barriers {
    all: BTreeMap<Name, Gate>,
}

/// One barrier: what was folded into the past, and what came since.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Gate {
    arrivals: BTreeMap<Place, Arrived>,
    /// The latest opening at or below the frontier.
    opened: Option<Opening>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Arrived {
    agent: AgentId,
    until: Stamp,
    lead_ms: u32,
}

/// A barrier that opened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// The arrival that completed it.
    pub last: Place,
    /// When it opens by the cluster's clock (ns since the Unix epoch).
    pub opens_ns: u64,
    /// For whom, each with its latest arrival.
    pub agents: Vec<(AgentId, Place)>,
}

/// A barrier as of a stamp.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Barrier<'a> {
    /// Its name.
    pub name: &'a str,
    /// How many it takes.
    pub of: u16,
    /// Who waits, and since when.
    pub waiting: Vec<(AgentId, Place)>,
    /// What it opened last.
    pub opened: Option<Opening>,
}

/// The walk over arrivals in order.
#[derive(Debug, Default)]
struct Walk {
    waiting: Vec<(Place, Arrived)>,
    opened: Option<Opening>,
}

impl Walk {
    fn arrives(&mut self, place: Place, arrived: Arrived, of: u16) {
        self.waiting.retain(|(_, one)| one.until >= place.stamp);
        // Whoever arrives twice is one, and waits as long as it said at most.
        let again = self
            .waiting
            .iter()
            .position(|(_, one)| one.agent == arrived.agent);
        let mut arrived = arrived;
        if let Some((_, before)) = again.map(|index| self.waiting.remove(index)) {
            arrived.until = arrived.until.max(before.until);
            arrived.lead_ms = arrived.lead_ms.max(before.lead_ms);
        }
        self.waiting.push((place, arrived));
        if self.waiting.len() < usize::from(of) {
            return;
        }
        let lead_ms = self.waiting.iter().map(|(_, one)| one.lead_ms).max();
        let lead_ns = u64::from(lead_ms.unwrap_or_default()) * 1_000_000;
        self.opened = Some(Opening {
            last: place,
            opens_ns: place.stamp.as_ns().saturating_add(lead_ns),
            agents: self
                .waiting
                .drain(..)
                .map(|(place, one)| (one.agent, place))
                .collect(),
        });
    }
}

impl Gate {
    fn walk(&self, of: u16, at: Stamp) -> Walk {
        let mut walk = Walk {
            opened: self.opened.clone(),
            ..Walk::default()
        };
        for (place, arrived) in self.arrivals.range(..=Place::end_of(at)) {
            walk.arrives(*place, *arrived, of);
        }
        walk.waiting.retain(|(_, one)| one.until >= at);
        let shown = |one: &Opening| one.last.stamp.plus_ms(BARRIER_SHOWN_MS) >= at;
        walk.opened = walk.opened.filter(shown);
        walk
    }
}

impl Barriers {
    /// Takes in an arrival.
    pub fn insert(&mut self, place: Place, agent: AgentId, arrival: &Arrival) {
        let gate = self.all.entry((arrival.barrier.clone(), arrival.of));
        let arrived = Arrived {
            agent,
            until: place.stamp.plus_ms(arrival.patience_ms),
            lead_ms: arrival.lead_ms,
        };
        gate.or_default().arrivals.insert(place, arrived);
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, arrival: &Arrival) {
        let name = (arrival.barrier.clone(), arrival.of);
        if let Some(gate) = self.all.get_mut(&name) {
            gate.arrivals.remove(&place);
        }
    }

    /// The barriers at which somebody waits or that opened not long ago, by name.
    pub fn read(&self, at: Stamp) -> Vec<Barrier<'_>> {
        let each = self.all.iter().map(|((name, of), gate)| {
            let walk = gate.walk(*of, at);
            Barrier {
                name,
                of: *of,
                waiting: walk
                    .waiting
                    .iter()
                    .map(|(place, one)| (one.agent, *place))
                    .collect(),
                opened: walk.opened,
            }
        });
        each.filter(|one| !one.waiting.is_empty() || one.opened.is_some())
            .collect()
    }

    /// At how many barriers other than one an agent waits as of a stamp, and until when at the first
    /// of them that it gives up, if nobody else comes.
    pub fn waits_of(&self, agent: &AgentId, but: &str, at: Stamp) -> (usize, Option<Stamp>) {
        let others = self.all.iter().filter(|((name, _), _)| name != but);
        let waits = others.filter_map(|((_, of), gate)| {
            let waiting = gate.walk(*of, at).waiting;
            let own = waiting.into_iter().find(|(_, one)| one.agent == *agent);
            own.map(|(_, one)| one.until)
        });
        let untils: Vec<Stamp> = waits.collect();
        (untils.len(), untils.into_iter().min())
    }

    /// Drops arrivals that have been let through or have given up at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        for ((_, of), gate) in &mut self.all {
            let walk = gate.walk(*of, frontier);
            let after = gate.arrivals.split_off(&Place::end_of(frontier));
            gate.arrivals = walk.waiting.into_iter().chain(after).collect();
            gate.opened = walk.opened;
        }
        self.all
            .retain(|_, gate| !gate.arrivals.is_empty() || gate.opened.is_some());
    }

    /// Arrivals and openings kept in memory.
    pub fn weight(&self) -> usize {
        let gates = self.all.values();
        gates
            .map(|gate| gate.arrivals.len() + usize::from(gate.opened.is_some()))
            .sum()
    }
}
