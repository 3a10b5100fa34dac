//! A machine's two clocks as functions of the true time: a wall clock that is off, drifts and
//! steps, and a monotonic one that stops while the machine sleeps.

/// The wall clock's reading at true time zero (ns since the Unix epoch): some morning in 2027.
pub const EPOCH_NS: u64 = 1_800_000_000_000_000_000;

/// Both clocks of one machine.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Wall clock minus true time (ns), without drift.
    pub offset_ns: i64,
    /// How much too fast both clocks run (parts per million).
    pub drift_ppm: i64,
    asleep_ns: u64,
    asleep_since: Option<u64>,
}

impl Clock {
    /// A clock with an offset and a drift.
    pub fn new(offset_ns: i64, drift_ppm: i64) -> Self {
        Self {
            offset_ns,
            drift_ppm,
            asleep_ns: 0,
            asleep_since: None,
        }
    }

    /// The wall clock (ns since the Unix epoch).
    pub fn wall_ns(&self, now: u64) -> u64 {
        let drift = i128::from(now) * i128::from(self.drift_ppm) / 1_000_000;
        let wall = i128::from(EPOCH_NS) + i128::from(now) + drift + i128::from(self.offset_ns);
        wall.max(0) as u64
    }

    /// The monotonic clock (ns).
    pub fn monotonic_ns(&self, now: u64) -> u64 {
        let awake = self
            .asleep_since
            .unwrap_or(now)
            .saturating_sub(self.asleep_ns);
        (u128::from(awake) * self.rate() / 1_000_000) as u64
    }

    /// The true time at which the monotonic clock will show at least `monotonic_ns`, if the machine
    /// stays awake.
    pub fn when(&self, monotonic_ns: u64) -> u64 {
        let awake = (u128::from(monotonic_ns) * 1_000_000).div_ceil(self.rate());
        u64::try_from(awake)
            .unwrap_or(u64::MAX)
            .saturating_add(self.asleep_ns)
    }

    /// The machine falls asleep.
    pub fn sleep(&mut self, now: u64) {
        self.asleep_since.get_or_insert(now);
    }

    /// The machine wakes up.
    pub fn wake(&mut self, now: u64) {
        if let Some(since) = self.asleep_since.take() {
            self.asleep_ns += now - since;
        }
    }

    /// Somebody sets the wall clock.
    pub fn step(&mut self, by_ns: i64) {
        self.offset_ns += by_ns;
    }

    fn rate(&self) -> u128 {
        (1_000_000 + self.drift_ppm).max(1) as u128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_monotonic_clock_stops_in_sleep_and_its_inverse_agrees() {
        let mut clock = Clock::new(-5_000_000, 500);
        clock.sleep(1_000_000_000);
        assert_eq!(
            clock.monotonic_ns(9_000_000_000),
            clock.monotonic_ns(1_000_000_000)
        );
        clock.wake(11_000_000_000);
        for now in [11_000_000_000, 12_345_678_901, 600_000_000_000] {
            let shown = clock.monotonic_ns(now);
            let when = clock.when(shown);
            assert!(
                when <= now && clock.monotonic_ns(when) >= shown,
                "{now}: {shown} at {when}"
            );
        }
    }
}
