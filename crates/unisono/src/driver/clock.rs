//! The two clocks that the node is shown. A test may make them wrong.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The wall clock and the steady one.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    offset_ms: AtomicI64,
    drift_ppm: AtomicI64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            offset_ms: AtomicI64::new(0),
            drift_ppm: AtomicI64::new(0),
        }
    }
}

impl Clock {
    /// Nanoseconds since the Unix epoch. May jump.
    pub(crate) fn wall_ns(&self) -> u64 {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let offset = i128::from(self.offset_ms.load(Ordering::Relaxed)) * 1_000_000;
        let drift = i128::from(self.drift_ppm.load(Ordering::Relaxed));
        let elapsed = i128::try_from(self.started.elapsed().as_nanos()).unwrap_or(i128::MAX);
        let now = i128::try_from(now.as_nanos()).unwrap_or(i128::MAX);
        let shown = now + offset + elapsed * drift / 1_000_000;
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
        self.started + std::time::Duration::from_nanos(ns)
    }

    /// Makes the wall clock wrong by so much, from now on.
    pub(crate) fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Makes the wall clock run wrong by so many millionths, from the start of the process on.
    pub(crate) fn set_drift_ppm(&self, drift_ppm: i64) {
        self.drift_ppm.store(drift_ppm, Ordering::Relaxed);
    }
}
