//! The stamping clock: a hybrid logical clock over the wall clock that it is handed.

use unisono_model::{Stamp, limits};

/// Gives stamps that strictly rise, whatever the wall clock does (Kulkarni et al., 2014; here the
/// logical part is the low end of the 64-bit fraction). It continues from the highest stamp that
/// the disk remembers instead of waiting for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct StampClock {
    last: Stamp,
}

impl StampClock {
    /// A clock that has given, or seen, this stamp.
    pub fn after(last: Stamp) -> Self {
        Self { last }
    }

    /// The next stamp.
    pub fn stamp(&mut self, wall_ns: u64) -> Stamp {
        self.last = Stamp::from_ns(wall_ns).max(self.last.next());
        self.last
    }

    /// Up to which stamp a view may speak now: what was given or seen, or the wall clock.
    pub fn now(&self, wall_ns: u64) -> Stamp {
        Stamp::from_ns(wall_ns).max(self.last)
    }

    /// Takes note of another node's stamp. One that lies further ahead than the limit moves
    /// nothing: it is stored and passed on, and folded when its time has come. Says whether it was
    /// taken.
    pub fn observe(&mut self, stamp: Stamp, wall_ns: u64) -> bool {
        let horizon = Stamp::from_ns(wall_ns)
            .plus_ms(limits::STAMP_AHEAD_MS_MAX)
            .max(self.last);
        if stamp > horizon {
            return false;
        }
        self.last = self.last.max(stamp);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_rise_over_a_clock_that_steps_back() {
        let mut clock = StampClock::default();
        let first = clock.stamp(5_000_000_000);
        let second = clock.stamp(4_000_000_000);
        assert!(second > first);
        assert!(clock.stamp(6_000_000_000) > second);
    }

    #[test]
    fn a_stamp_from_the_future_drags_nobody() {
        let mut clock = StampClock::default();
        assert!(clock.observe(Stamp::from_ms(1_400), 1_000_000_000));
        assert!(!clock.observe(Stamp::from_ms(3_600_000), 1_000_000_000));
        assert_eq!(clock.now(1_000_000_000), Stamp::from_ms(1_400));
    }
}
