//! The stamping clock: a hybrid logical clock over the time that it is handed.

use unisono_model::{Stamp, limits};

use super::limits::{STAMP_SLACK_NS, UNSURE_NS_MAX};

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

    /// Takes note of another node's stamp. One that lies further ahead of the time than so much (ns,
    /// [`ahead_max_ns`]) moves nothing: it is stored and passed on, and folded when its time has
    /// come. Says whether it was taken.
    pub fn observe(&mut self, stamp: Stamp, wall_ns: u64, ahead_max_ns: u64) -> bool {
        let horizon = Stamp::from_ns(wall_ns.saturating_add(ahead_max_ns)).max(self.last);
        if stamp > horizon {
            return false;
        }
        self.last = self.last.max(stamp);
        true
    }
}

/// How far ahead of the time another node's stamp may lie and still move the clock (ns): by as much as
/// both may be off, where this one knows the cluster's time. Three sigma each are told; of the other's,
/// which was told a while ago, four are granted, and a little for what stamps run ahead of the time
/// that they were given at. Of one that has told nothing nothing is granted: it goes by a wall clock,
/// and waits for as long as that is ahead. Half a second where this node itself goes by one: within
/// it, one bad clock drags everybody (`uhlc` accepts as much from anybody).
pub fn ahead_max_ns(own_unsure_ns: Option<u64>, their_unsure_ns: Option<u64>) -> u64 {
    let most_ns = limits::STAMP_AHEAD_MS_MAX * 1_000_000;
    let Some(own_ns) = own_unsure_ns else {
        return most_ns;
    };
    let their_ns = their_unsure_ns.unwrap_or(0).min(UNSURE_NS_MAX);
    let granted_ns = their_ns.saturating_add(their_ns / 3);
    let ahead_ns = own_ns.saturating_add(granted_ns);
    ahead_ns.saturating_add(STAMP_SLACK_NS).min(most_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_A_SECOND_NS: u64 = 500_000_000;

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
        assert!(clock.observe(Stamp::from_ms(1_400), 1_000_000_000, HALF_A_SECOND_NS));
        assert!(!clock.observe(Stamp::from_ms(3_600_000), 1_000_000_000, HALF_A_SECOND_NS));
        assert_eq!(clock.now(1_000_000_000), Stamp::from_ms(1_400));
    }
}
