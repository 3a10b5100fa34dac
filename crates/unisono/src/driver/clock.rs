//! The two clocks that the node is shown: what time it is, by the cluster's clock as soon as that is
//! known, and a steady one. A test may make them wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use unisono_core::ensemble::Compensation;

use crate::timing::Timing;

/// The time and the steady clock.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    timing: Timing,
    offset_ms: AtomicI64,
    drift_ppm: AtomicI64,
}

impl Clock {
    /// Clocks that go by a timing plane.
    pub(crate) fn over(timing: Timing) -> Self {
        Self {
            started: Instant::now(),
            timing,
            offset_ms: AtomicI64::new(0),
            drift_ppm: AtomicI64::new(0),
        }
    }

    /// What time it is, in nanoseconds since the Unix epoch, and how far that may be off the cluster's
    /// (ns, three sigma). Before the cluster's time is known, what the wall clock shows, of which
    /// nobody knows. May jump.
    pub(crate) fn time(&self) -> (u64, Option<u64>) {
        let (time_ns, unsure_ns) = self.timing.time();
        (self.wronged_ns(time_ns), unsure_ns)
    }

    /// What is done about weak channels.
    pub(crate) fn compensation(&self) -> Compensation {
        self.timing.compensation()
    }

    /// Nanoseconds since the Unix epoch: only the time of [`Self::time`].
    pub(crate) fn time_ns(&self) -> u64 {
        self.time().0
    }

    fn wronged_ns(&self, time_ns: u64) -> u64 {
        let offset = i128::from(self.offset_ms.load(Ordering::Relaxed)) * 1_000_000;
        let drift = i128::from(self.drift_ppm.load(Ordering::Relaxed));
        let elapsed = i128::try_from(self.started.elapsed().as_nanos()).unwrap_or(i128::MAX);
        let shown = i128::from(time_ns) + offset + elapsed * drift / 1_000_000;
        u64::try_from(shown.max(0)).unwrap_or(u64::MAX)
    }

    /// Nanoseconds since the process started. Never jumps.
    pub(crate) fn monotonic_ns(&self) -> u64 {
        // The node schedules from zero, and zero means "now" to it: begin above.
        u64::try_from(self.started.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .saturating_add(1_000_000)
    }

    /// When the steady clock will show so many nanoseconds.
    pub(crate) fn when(&self, monotonic_ns: u64) -> Instant {
        // An hour is as good as never: whoever waits looks again then.
        let hour = self.monotonic_ns().saturating_add(3_600_000_000_000);
        let ns = monotonic_ns.min(hour).saturating_sub(1_000_000);
        self.started + Duration::from_nanos(ns)
    }

    /// Makes the time wrong by so much, from now on.
    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Makes the time run wrong by so many millionths, from the start of the process on.
    pub(crate) fn set_drift_ppm(&self, drift_ppm: i64) {
        self.drift_ppm.store(drift_ppm, Ordering::Relaxed);
    }
}
