//! What a timing plane hands to the next process on its machine, so that the cluster's time goes on
//! where it was although every node was switched off, and clocks need not be learnt again.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

use super::{Timekeeper, limits};
use crate::timing::{Memory, Sync};

/// What is remembered.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Remembered {
    /// What time the cluster's clock showed, ns since the Unix epoch.
    pub reached_ns: u64,
    /// What this machine's wall clock showed at that moment, ns.
    pub wall_ns: u64,
    /// What was measured of other nodes' clocks and of the ways to them.
    pub sources: Vec<(NodeId, Memory)>,
}

impl Remembered {
    /// What a founder's time begins with: the cluster's time went on as far as the wall clock did, and
    /// to what that shows now where it is further, since it may have been put right since. A wall clock
    /// that was set back says nothing about how long that was; then it goes on from the highest time
    /// that can have been told since this was written.
    pub(super) fn begins_ns(&self, wall_ns: u64) -> u64 {
        match wall_ns.checked_sub(self.wall_ns) {
            Some(passed_ns) => self.reached_ns.saturating_add(passed_ns).max(wall_ns),
            None => self.reached_ns.saturating_add(limits::REMEMBER_NS),
        }
    }
}

impl Timekeeper {
    /// Takes over what an earlier process remembered, before anything else is done. What is said of a
    /// clock or a way is taken as far as it is possible.
    pub fn remember(&mut self, mut remembered: Remembered) {
        let sources = &mut remembered.sources;
        sources.retain(|(node, memory)| *node != self.config.node && memory.check().is_ok());
        sources.truncate(limits::SOURCES_MAX);
        self.remembered = Some(remembered);
    }

    /// What the next process should know, at a local time (ns), to be asked for at least every
    /// [`limits::REMEMBER_NS`]; nothing while the cluster's time is not known.
    pub fn memory(&mut self, local_ns: u64, wall_ns: u64) -> Option<Remembered> {
        let reading = self.now(local_ns)?;
        if reading.sync == Sync::FreeRunning {
            return None;
        }
        let followed = self.followed.filter(|_| !self.clock.is_leading());
        let measured = self.sources.iter().map(|(node, source)| {
            let filter = if followed == Some(*node) {
                self.clock.filter()
            } else {
                &source.filter
            };
            (*node, filter)
        });
        let known = measured.filter(|(_, filter)| filter.taken() >= limits::PROBES_KNOWN);
        let mut sources: Vec<(NodeId, Memory)> = known
            .map(|(node, filter)| (node, filter.memory()))
            .collect();
        // Whoever has not been met yet may be met later.
        let before = self.remembered.iter().flat_map(|one| &one.sources);
        for (node, memory) in before {
            if sources.len() < limits::SOURCES_MAX && sources.iter().all(|(one, _)| one != node) {
                sources.push((*node, *memory));
            }
        }
        Some(Remembered {
            reached_ns: reading.estimate_ns,
            wall_ns,
            sources,
        })
    }

    /// What was remembered of a node's clock.
    pub(super) fn memory_of(&self, node: &NodeId) -> Memory {
        let known = self.remembered.iter().flat_map(|one| &one.sources);
        let known = known.filter(|(one, _)| one == node);
        known.map(|(_, memory)| *memory).next().unwrap_or_default()
    }
}
