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
    /// What a founder's time begins with: the cluster's time went on as far as the wall clock did; where
    /// nobody else was ever there, to what that shows now if it is further, since it may have been put
    /// right. A wall clock that was set back says nothing about how long that was; then it goes on from
    /// the highest time that can have been told since this was written.
    pub(super) fn begins_ns(&self, wall_ns: u64, alone: bool) -> u64 {
        let floor_ns = if alone { wall_ns } else { 0 };
        match wall_ns.checked_sub(self.wall_ns) {
            Some(passed_ns) => self.reached_ns.saturating_add(passed_ns).max(floor_ns),
            None => self.reached_ns.saturating_add(limits::REMEMBER_NS),
        }
    }
}

impl Remembered {
    /// What time it probably is, before anybody was asked: the wall clock is as far off as it was.
    fn presumes_ns(&self, wall_ns: u64) -> u64 {
        let off = i128::from(self.reached_ns) - i128::from(self.wall_ns);
        let now = (i128::from(wall_ns) + off).max(0);
        u64::try_from(now).unwrap_or(u64::MAX)
    }
}

impl Timekeeper {
    /// What time a node goes by at a local time, and how far that may be off (ns, three sigma). Before
    /// the cluster's time is known that is the wall clock, put right by what an earlier process
    /// remembers, and nobody knows how far it is off. The told time never leaps, and goes to one that
    /// is far away in days: where it is on its way, this is where it goes.
    pub fn time(&mut self, local_ns: u64, wall_ns: u64) -> (u64, Option<u64>) {
        let Some(reading) = self.now(local_ns) else {
            let known = self.remembered.as_ref();
            return (
                known.map_or(wall_ns, |known| known.presumes_ns(wall_ns)),
                None,
            );
        };
        let best = self.clock.answer(local_ns);
        let far = best
            .filter(|best| best.estimate_ns.abs_diff(reading.estimate_ns) > limits::TOLD_FAR_NS);
        let (time_ns, unsure_ns) = far.map_or((reading.estimate_ns, reading.reach_ns()), |best| {
            let reach_ns = super::whole(3.0 * best.upstream.deviation_ns);
            (best.estimate_ns, reach_ns.saturating_add(best.feared_ns))
        });
        // Whoever has slept is that much behind until somebody was asked.
        (time_ns, Some(unsure_ns.saturating_add(self.slept_ns)))
    }

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
