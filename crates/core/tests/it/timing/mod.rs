//! The cluster's clock: what must hold whatever the paths and the clocks do.

mod bad;
mod leaders;
mod told;
mod truth;

use proptest::prelude::*;
use unisono_core::timing::{OffsetFilter, Probe};

/// Cluster time when the story begins, ns.
const START_NS: u64 = 1_800_000_000_000_000_000;
/// The local clock at that time, ns.
const UPTIME_NS: u64 = 7_000_000_000_000;
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

/// A machine whose clock runs wrong by a known rate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machine {
    pub(crate) rate_ppb: i64,
    /// What somebody has added to its clock, ns.
    pub(crate) jumped_ns: i64,
}

impl Machine {
    pub(crate) fn new(rate_ppb: i64) -> Self {
        Self {
            rate_ppb,
            jumped_ns: 0,
        }
    }

    /// Its clock, so long after the start (ns).
    pub(crate) fn local_ns(&self, at_ns: u64) -> u64 {
        let error = i128::from(at_ns) * i128::from(self.rate_ppb) / 1_000_000_000;
        let local = i128::from(UPTIME_NS + at_ns) + error + i128::from(self.jumped_ns);
        u64::try_from(local).expect("a running machine's clock")
    }

    /// A probe sent at a time, with so much delay each way (ns).
    pub(crate) fn probe(&self, at_ns: u64, question_ns: u64, answer_ns: u64) -> Probe {
        let reached_ns = cluster_ns(at_ns + question_ns);
        let back_ns = self.local_ns(at_ns + question_ns + answer_ns);
        Probe::new(self.local_ns(at_ns), reached_ns, reached_ns, back_ns).expect("a possible probe")
    }
}

/// The true cluster time, so long after the start.
pub(crate) fn cluster_ns(at_ns: u64) -> u64 {
    START_NS + at_ns
}

/// Gaps before probes, and delays each way, ns.
pub(crate) fn trips() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    let gap = prop_oneof![4 => 20 * MS..SECOND, 1 => SECOND..100 * SECOND];
    let delay = prop_oneof![4 => 1_000..30 * MS, 1 => 30 * MS..3 * SECOND];
    prop::collection::vec((gap, delay.clone(), delay), 1..60)
}

pub(crate) fn rates() -> impl Strategy<Value = i64> {
    -100_000..100_000_i64
}

/// A filter after `count` probes, five a second, with queueing that repeats itself.
pub(crate) fn synced(machine: &Machine, count: u64) -> OffsetFilter {
    let mut filter = OffsetFilter::new();
    for number in 0..count {
        let probe = regular(machine, number);
        filter.push(&probe).expect("a probe like any other");
    }
    filter
}

/// The probe of that number of a steady row: 40 ms each way and up to 20 ms of queueing.
pub(crate) fn regular(machine: &Machine, number: u64) -> Probe {
    let (question, answer) = (number * 7 % 20, number * 13 % 20);
    machine.probe(number * 200 * MS, (40 + question) * MS, (40 + answer) * MS)
}
