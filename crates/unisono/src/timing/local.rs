//! The steady clock that the timing plane reads. It is never set; a test may look at it through a
//! wrong glass.

use std::f64::consts::TAU;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};
pub(crate) use unisono_api::client::timer::{boot, monotonic_ns};
use unisono_core::timekeeper::Clocks;

/// Two clocks that were read within this were read together, ns: a fifth of what the plane takes for a
/// jump.
const TOGETHER_NS: u64 = 100_000;
/// How often that is tried.
const TOGETHER_TRIES: usize = 3;

/// How long a swaying clock takes to come back to its rate, s: what a room's temperature does in ten
/// minutes.
const SWAY_S: f64 = 600.0;

/// `CLOCK_MONOTONIC_RAW`, ns: nobody steers it, so tests take it for the truth.
pub(crate) fn raw_ns() -> u64 {
    nanoseconds(clock_gettime(ClockId::MonotonicRaw))
}

/// The machine's steady clock as the plane sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalClock {
    offset_ns: i64,
    drift_ppm: i64,
    /// How far its rate sways to both sides, ppb.
    wander_ppb: i64,
    started_ns: u64,
}

impl LocalClock {
    /// The clock as it is, or off by so much and running wrong from now on.
    pub(crate) fn new(offset_ms: i64, drift_ppm: i64, wander_ppb: i64) -> Self {
        Self {
            offset_ns: offset_ms.saturating_mul(1_000_000),
            drift_ppm,
            wander_ppb,
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
        // The second counts sleep, and is never set.
        let boottime_ns = || nanoseconds(clock_gettime(ClockId::Boottime));
        let (monotonic_ns, second_ns) = together(monotonic_ns, boottime_ns);
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
    /// one when the machine's clock shows so much (ns), ppb.
    pub(crate) fn rate_ppb(&self, against_this_ppb: f64, monotonic_ns: u64) -> f64 {
        let elapsed_s = monotonic_ns.saturating_sub(self.started_ns) as f64 / 1e9;
        let sways = self.wander_ppb as f64 / 1e9 * (elapsed_s * TAU / SWAY_S).sin();
        let drift = self.drift_ppm as f64 / 1e6 + sways;
        ((1.0 + against_this_ppb / 1e9) * (1.0 + drift) - 1.0) * 1e9
    }

    fn drifted_ns(&self, monotonic_ns: u64) -> i64 {
        let elapsed = i128::from(monotonic_ns.saturating_sub(self.started_ns));
        let drift = elapsed * i128::from(self.drift_ppm) / 1_000_000;
        let drift = i64::try_from(drift).unwrap_or(i64::MAX);
        // The integral of a sine: the clock begins at its rate, and runs faster first.
        let turns = elapsed as f64 / 1e9 * TAU / SWAY_S;
        let swayed = self.wander_ppb as f64 * (SWAY_S / TAU) * (1.0 - turns.cos());
        self.offset_ns
            .saturating_add(drift)
            .saturating_add(swayed as i64)
    }
}

/// When something arrived that has waited for so long, and what time it is (ns): never earlier than it
/// did. How long it waited is asked first: a pause between the two then makes it later, and what a
/// datagram proves is merely less. The other way round it proved what was not so.
pub(super) fn arrival(
    waited: impl FnOnce() -> Duration,
    now_ns: impl FnOnce() -> u64,
) -> (u64, u64) {
    let waited_ns = u64::try_from(waited().as_nanos()).unwrap_or(u64::MAX);
    let now_ns = now_ns();
    (now_ns.saturating_sub(waited_ns), now_ns)
}

/// Both clocks as at one time (ns): the first is read before and after the second, and once more if
/// the process was interrupted between. A pause there would look like a clock that has jumped.
fn together(mut first: impl FnMut() -> u64, mut second: impl FnMut() -> u64) -> (u64, u64) {
    let mut closest = (0, 0);
    let mut apart_ns = u64::MAX;
    for _ in 0..TOGETHER_TRIES {
        let before_ns = first();
        let second_ns = second();
        let took_ns = first().saturating_sub(before_ns);
        if took_ns < apart_ns {
            apart_ns = took_ns;
            closest = (before_ns + took_ns / 2, second_ns);
        }
        if apart_ns <= TOGETHER_NS {
            break;
        }
    }
    closest
}

fn nanoseconds(time: Timespec) -> u64 {
    let nanoseconds = i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
    u64::try_from(nanoseconds).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a machine with seven times the work that it has processors for, a node's hard interval did
    /// not hold the truth in 14 of 100 looks: questions were told to have arrived before they did.
    #[test]
    fn a_pause_makes_nothing_arrive_earlier_than_it_did() {
        let steady = std::cell::Cell::new(1_000_000_u64);
        let arrived_ns = 900_000;
        let pause = |ns: u64| steady.set(steady.get() + ns);
        let waited = || {
            let waited = Duration::from_nanos(steady.get() - arrived_ns);
            pause(60_000);
            waited
        };
        let now = || {
            let now_ns = steady.get();
            pause(60_000);
            now_ns
        };
        let (received_ns, now_ns) = arrival(waited, now);
        assert!(received_ns >= arrived_ns && received_ns <= now_ns);
    }

    #[test]
    fn an_interruption_between_two_clocks_is_no_jump() {
        let mut readings = [1_000, 9_001_000, 9_002_000, 9_003_000].into_iter();
        let mut seconds = [9_000_500, 9_002_500].into_iter();
        let first = || readings.next().expect("read four times");
        let second = || seconds.next().expect("read twice");
        // Nine milliseconds passed while the first pair was read.
        assert_eq!(together(first, second), (9_002_500, 9_002_500));
    }

    #[test]
    fn a_swaying_clock_comes_back_to_its_rate_and_never_to_its_time() {
        let clock = LocalClock {
            offset_ns: 0,
            drift_ppm: 0,
            wander_ppb: 500,
            started_ns: 0,
        };
        let off = |s: u64| clock.local_ns(s * 1_000_000_000) - s * 1_000_000_000;
        // 500 ppb times 600 s over pi at the turning point, nothing after a whole period.
        assert_eq!((off(300), off(600)), (95_492, 0));
        assert!((clock.rate_ppb(0.0, 150_000_000_000) - 500.0).abs() < 0.001);
    }

    #[test]
    fn where_every_reading_is_interrupted_the_closest_counts() {
        let mut readings = [0, 900_000, 1_000_000, 1_400_000, 2_000_000, 2_700_000].into_iter();
        let mut number = 0;
        let second = || {
            number += 1;
            number
        };
        assert_eq!(
            together(|| readings.next().expect("six"), second),
            (1_200_000, 2)
        );
    }
}
