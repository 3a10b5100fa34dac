//! How much notice a cue has to give, and how wide its window is.

use alloc::vec::Vec;

use super::limits::{LEAD_FACTORS, SHARE_PUNCTUAL};
use super::profile::{Profile, normal_quantile};

/// How much notice somebody needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lead {
    /// The greater of the two below, preparation and the way there included (ns).
    pub needed_ns: f64,
    /// Twice to four times the response, the slower the more (ns; TIME-8): the floor.
    pub floor_ns: f64,
    /// Within which the wanted share acts (ns).
    pub quantile_ns: f64,
    /// Of what is needed, what is for preparing something (ns).
    pub preparation_ns: f64,
}

/// Whether a notice is long enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Notice {
    /// It is.
    Enough,
    /// It is too short by so much (ns): done as well as possible, and said.
    Insufficient {
        /// By how much (ns).
        short_ns: f64,
    },
}

/// A mixed group goes together, or one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Together {
    /// All are told when the slowest has to be.
    Slowest,
    /// Each is told when it has to be: the slowest first.
    Cascade,
}

impl Lead {
    /// What one agent needs so that it is punctual in such a share of cases, as of a time (ns), where
    /// a message takes so long to it (ns).
    pub fn of(profile: &Profile, share: f64, way_ns: f64, now_ns: u64) -> Self {
        let median_ns = profile.median_ns(now_ns);
        let (.., factor) = LEAD_FACTORS
            .iter()
            .find(|(below_ns, _)| median_ns < *below_ns)
            .copied()
            .unwrap_or((f64::INFINITY, 4.0));
        let floor_ns = factor * median_ns;
        let quantile_ns = profile.quantile_ns(share, now_ns);
        let preparation_ns = profile.preparation_ns(share, now_ns);
        Self {
            needed_ns: floor_ns.max(quantile_ns) + preparation_ns + way_ns,
            floor_ns,
            quantile_ns,
            preparation_ns,
        }
    }

    /// What each of a group is to be given. Everybody is meant to be punctual together, so each one's
    /// share is the root of that for all.
    pub fn of_group<'a>(
        profiles: impl ExactSizeIterator<Item = &'a Profile>,
        together: Together,
        way_ns: f64,
        now_ns: u64,
    ) -> Vec<f64> {
        let share = share_of_each(SHARE_PUNCTUAL, profiles.len());
        let each: Vec<f64> = profiles
            .map(|profile| Self::of(profile, share, way_ns, now_ns).needed_ns)
            .collect();
        match together {
            Together::Cascade => each,
            Together::Slowest => {
                let slowest = each.iter().copied().fold(0.0, f64::max);
                each.iter().map(|_| slowest).collect()
            }
        }
    }

    /// Whether so much notice (ns) is enough.
    pub fn notice(&self, given_ns: f64) -> Notice {
        if given_ns >= self.needed_ns {
            Notice::Enough
        } else {
            let short_ns = self.needed_ns - given_ns;
            Notice::Insufficient { short_ns }
        }
    }
}

/// In which share of cases each of so many has to be in time so that all of them are in a share.
pub fn share_of_each(share: f64, agents: usize) -> f64 {
    libm::pow(share, 1.0 / agents.max(1) as f64)
}

/// Half the width of the window around a target (ns) that holds such a share of actions: from the
/// clocks' deviation and the spread of the agents (one sigma each, ns).
pub fn window_ns(clock_ns: f64, spread_ns: f64, share: f64) -> f64 {
    let sigma_ns = libm::sqrt(clock_ns * clock_ns + spread_ns * spread_ns);
    normal_quantile(0.5 + 0.5 * share.clamp(0.0, 1.0)) * sigma_ns
}
