//! The steady clock that the timing plane reads. It is never set; a test may look at it through a
//! wrong glass.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
use unisono_core::timekeeper::Clocks;

/// `CLOCK_MONOTONIC`, ns since the machine started: the clock that `clock_nanosleep` sleeps by.
pub(crate) fn monotonic_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::Monotonic))
}

/// The machine's steady clock as the plane sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalClock {
    offset_ns: i64,
    drift_ppm: i64,
    started_ns: u64,
}

impl LocalClock {
    /// The clock as it is, or off by so much and running wrong from now on.
    pub(crate) fn new(offset_ms: i64, drift_ppm: i64) -> Self {
        Self {
            offset_ns: offset_ms.saturating_mul(1_000_000),
            drift_ppm,
            started_ns: monotonic_ns(),
        }
    }

    /// What it shows when the machine's clock shows so much (ns).
    pub(crate) fn local_ns(&self, monotonic_ns: u64) -> u64 {
        let drifted = self.drifted_ns(monotonic_ns);
        // Zero means that a clock was not set.
        monotonic_ns.saturating_add_signed(drifted).max(1)
    }

    /// All clocks at once.
    pub(crate) fn read(&self) -> Clocks {
        let monotonic_ns = monotonic_ns();
        // Counts sleep, and is never set.
        let second_ns = nanoseconds(clock_gettime(ClockId::Boottime));
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let wall_ns = u64::try_from(wall.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX);
        let drifted = self.drifted_ns(monotonic_ns);
        Clocks {
            local_ns: self.local_ns(monotonic_ns),
            second_ns: second_ns.saturating_add_signed(drifted),
            wall_ns: wall_ns.saturating_add_signed(drifted),
        }
    }

    /// How much faster than the machine's clock something runs that runs so much faster than this
    /// one, ppb.
    pub(crate) fn rate_ppb(&self, against_this_ppb: f64) -> f64 {
        let drift = self.drift_ppm as f64 / 1e6;
        ((1.0 + against_this_ppb / 1e9) * (1.0 + drift) - 1.0) * 1e9
    }

    fn drifted_ns(&self, monotonic_ns: u64) -> i64 {
        let elapsed = i128::from(monotonic_ns.saturating_sub(self.started_ns));
        let drift = elapsed * i128::from(self.drift_ppm) / 1_000_000;
        let drift = i64::try_from(drift).unwrap_or(i64::MAX);
        self.offset_ns.saturating_add(drift)
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or(0)
}
