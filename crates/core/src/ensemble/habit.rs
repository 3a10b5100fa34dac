//! How late somebody is as a rule, and by how much single actions are off that.

use alloc::vec::Vec;

use super::limits::{JUDGE_CLIP, JUDGE_SIGMA_NS_MIN};
use super::watch::median;

/// Half of what is normal lies within so many sigmas.
pub(super) const SIGMAS_OF_HALF: f64 = 0.6745;

/// How late somebody is as a rule, and how that spreads (ns).
#[derive(Clone, Copy, Debug)]
pub(super) struct Habit {
    pub(super) mean: f64,
    pub(super) sigma: f64,
}

/// By how much an action is off a rule (ns). Late counts from the rule or the beat, whichever is later, and early
/// from whichever is earlier: nobody fails by coming nearer to the beat. Otherwise whoever was off for so long
/// that it became the rule would be told to go back there as soon as it recovers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Off {
    pub(super) late_ns: f64,
    pub(super) early_ns: f64,
}

impl Habit {
    /// Of what some actions were late by (ns); nothing of none.
    pub(super) fn of(late_ns: &[f64]) -> Option<Self> {
        let middle = median(late_ns.iter().copied())?;
        let half = median(late_ns.iter().map(|late_ns| (late_ns - middle).abs()))?;
        // A few that are far off say nothing about the rule.
        let reach = JUDGE_CLIP * (half / SIGMAS_OF_HALF).max(JUDGE_SIGMA_NS_MIN);
        let clipped = late_ns
            .iter()
            .map(|late_ns| late_ns.clamp(middle - reach, middle + reach));
        let clipped: Vec<f64> = clipped.collect();
        let count = clipped.len() as f64;
        let mean = clipped.iter().sum::<f64>() / count;
        let squares: f64 = clipped
            .iter()
            .map(|late_ns| (late_ns - mean) * (late_ns - mean))
            .sum();
        let sigma = libm::sqrt(squares / (count - 1.0).max(1.0)).max(JUDGE_SIGMA_NS_MIN);
        Some(Self { mean, sigma })
    }

    pub(super) fn off(self, late_ns: f64) -> Off {
        Off {
            late_ns: late_ns - self.mean.max(0.0),
            early_ns: late_ns - self.mean.min(0.0),
        }
    }
}

impl Off {
    /// By how much it lies beyond what is between the rule and the beat.
    pub(super) fn beyond_ns(&self) -> f64 {
        self.late_ns.max(0.0) + self.early_ns.min(0.0)
    }
}
