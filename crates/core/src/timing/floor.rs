//! Whether a path is as short as an earlier process remembers it.
//!
//! A queue that stands from the first probe on looks like a longer path, and nobody sees on which of the
//! two ways it stands. Whoever remembers the floor sees that it is there: as long as no probe came through
//! in about that time, what the shortest took longer may be hidden in the offset.

use super::limits;
use super::memory::PathMemory;
use super::probe::Probe;

/// A remembered floor beside what was seen since.
#[derive(Clone, Debug)]
pub(super) struct RememberedFloor {
    trip_ns: i64,
    /// The shortest round trip so far, ns.
    least_ns: i64,
    first: Probe,
}

impl RememberedFloor {
    pub(super) fn new(path: &PathMemory, first: &Probe) -> Self {
        Self {
            trip_ns: libm::round(2.0 * path.floor_ns) as i64,
            least_ns: first.round_trip_ns(),
            first: *first,
        }
    }

    /// Takes note of a probe.
    pub(super) fn saw(&mut self, probe: &Probe) {
        self.least_ns = self.least_ns.min(probe.round_trip_ns());
    }

    /// By how much the offset may be off unseen, as long as nothing came through faster, ns: if the queue
    /// stands on one way, and is believed to stand on the other, by all of it. What has stood for minutes
    /// is no queue but another path.
    pub(super) fn hidden_ns(&self, local_ns: i64) -> i64 {
        let elapsed_ns = local_ns.saturating_sub(self.first.received_ns());
        if elapsed_ns < limits::FLOOR_REMEMBERED_NS {
            self.least_ns.saturating_sub(self.trip_ns).max(0)
        } else {
            0
        }
    }
}
