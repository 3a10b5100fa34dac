//! Five nodes' clocks: the leader's, and four that follow it.

use crate::timing::drive::drive;
use crate::timing::{Contestant, World};

/// Nodes, the leader included; agents share their node's clock.
pub(super) const NODES: usize = 5;
/// When the first beat comes, s after the nodes began.
pub(super) const BEGINS_S: f64 = 60.0;
/// How long the nodes run, s.
const SECONDS: f64 = 190.0;
/// Between two looks at a clock, s.
const GRID_S: f64 = 0.1;

/// What lies between the nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Path {
    /// 0.2 ms round trip, 20 µs of queueing each way.
    Lan,
    /// 80 ms round trip, 20 ms of queueing each way, clocks off by 50 ppm.
    Wan,
}

impl Path {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Lan, Self::Wan];

    /// Its name, as reports show it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lan => "LAN",
            Self::Wan => "WAN",
        }
    }

    /// The mean way of a message, ns.
    pub(super) fn way_ns(self) -> f64 {
        match self {
            Self::Lan => 0.12e6,
            Self::Wan => 60e6,
        }
    }
}

/// By how much each node's told time is off, on a grid.
#[derive(Clone, Debug)]
pub(super) struct Clocks {
    errors_ns: Vec<Vec<f64>>,
}

impl Clocks {
    pub(super) fn new(seed: u64, path: Path) -> Self {
        let world = World::named(path.name()).map(|mut world| {
            world.seconds = SECONDS;
            world
        });
        let follower = |node: usize| {
            let Some(world) = &world else {
                return Vec::new();
            };
            let mut errors = vec![0.0; (SECONDS / GRID_S) as usize + 1];
            let seed = seed * NODES as u64 + node as u64;
            drive(world, seed, Contestant::Unisono, |look| {
                let place = (look.at_s / GRID_S + 0.5) as usize;
                if let Some(error) = errors.get_mut(place) {
                    *error = look.error_ns;
                }
            });
            errors
        };
        // The cluster's time is what its leader tells.
        let leader = vec![0.0; (SECONDS / GRID_S) as usize + 1];
        let followers = (1..NODES).map(follower);
        Self {
            errors_ns: std::iter::once(leader).chain(followers).collect(),
        }
    }

    /// Told minus true time of an agent's node, so many s after the first beat.
    pub(super) fn error_ns(&self, agent: usize, at_s: f64) -> f64 {
        let errors = &self.errors_ns[agent % NODES];
        let place = (BEGINS_S + at_s) / GRID_S;
        let place = (place.max(0.0) as usize).min(errors.len().saturating_sub(1));
        errors.get(place).copied().unwrap_or_default()
    }
}
