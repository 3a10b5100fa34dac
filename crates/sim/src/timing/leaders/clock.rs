//! A node's clocks: one that may jump, and a second one beside it.

use unisono_core::timekeeper::Clocks;

use super::super::local::{LocalClock, UPTIME_NS, cluster_ns};
use super::super::worlds::{ClockLaw, Sways};

/// Half a second and 50 ppm off, as in the worlds of the filter.
const LAW: ClockLaw = ClockLaw {
    offset_ns: 500e6,
    crystal_ppb: 50e3,
    sway_ppb: 500.0,
    sway_s: 1_800.0,
    walk_ppb: 1.0,
    sways: Sways::Sine,
};

/// The clocks of one machine.
#[derive(Clone, Debug)]
pub(super) struct MachineClock {
    steady: LocalClock,
    /// When the steady clock jumped (true ns), by how much, and whether the second one did not.
    jumps: Vec<(i64, i64, bool)>,
}

impl MachineClock {
    pub(super) fn new(seed: u64, owner: u64, seconds: f64) -> Self {
        Self {
            steady: LocalClock::new(seed, owner, &LAW, seconds),
            jumps: Vec::new(),
        }
    }

    /// Jumps at a time; where both clocks do, the machine cannot notice.
    pub(super) fn jump(&mut self, at_ns: i64, by_ns: i64, seen: bool) {
        self.jumps.push((at_ns, by_ns, seen));
    }

    pub(super) fn local_ns(&self, true_ns: i64) -> u64 {
        self.shown(true_ns, |_| true)
    }

    pub(super) fn read(&self, true_ns: i64) -> Clocks {
        Clocks {
            local_ns: self.local_ns(true_ns),
            second_ns: self.shown(true_ns, |seen| !seen),
            // The wall clock was set as badly as the steady one runs.
            wall_ns: cluster_ns(true_ns).saturating_add_signed(self.off_ns()),
        }
    }

    fn off_ns(&self) -> i64 {
        self.steady.local_ns(0).cast_signed() - UPTIME_NS
    }

    fn shown(&self, true_ns: i64, counts: impl Fn(bool) -> bool) -> u64 {
        let past = self.jumps.iter().filter(|(at_ns, ..)| *at_ns <= true_ns);
        let jumped: i64 = past
            .filter(|(_, _, seen)| counts(*seen))
            .map(|(_, by_ns, _)| by_ns)
            .sum();
        self.steady.local_ns(true_ns).saturating_add_signed(jumped)
    }
}
