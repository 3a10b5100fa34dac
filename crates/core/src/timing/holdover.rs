//! How far a clock strays when nobody corrects it, judged by how its frequency has changed so far.
//!
//! The laws of wander say what is likely over seconds; over minutes temperature does what it likes.
//! So the frequency is written down twice a minute, and its mean square change over half a minute to
//! eight minutes (a structure function; Rutman, 1978) widens the deviation of a holdover.

use alloc::collections::VecDeque;

use super::limits;

/// Between two notes, s.
const STEP_S: f64 = 30.0;
/// Changes are looked at over 1, 2, 4, 8 and 16 steps.
const LAGS: usize = 5;

/// A note of the frequency.
#[derive(Clone, Copy, Debug)]
struct Note {
    rate_ppb: f64,
    variance: f64,
}

/// What the frequency did.
#[derive(Clone, Debug, Default)]
pub(super) struct RateHistory {
    notes: VecDeque<Note>,
    noted_s: f64,
    /// Root mean square change over each lag, ppb; it never falls from one lag to the next.
    changes_ppb: [f64; LAGS],
}

impl RateHistory {
    /// Writes the frequency down, if it is time.
    pub(super) fn note(&mut self, at_s: f64, rate_ppb: f64, variance: f64) {
        let due = self.notes.is_empty() || at_s >= self.noted_s + STEP_S;
        if !due {
            return;
        }
        // A silence, or probes more than a step apart: what is older is not a whole number of steps
        // away any more.
        if at_s > self.noted_s + 1.5 * STEP_S {
            self.notes.clear();
        }
        self.noted_s = at_s;
        if self.notes.len() >= limits::RATE_NOTES_MAX {
            self.notes.pop_front();
        }
        self.notes.push_back(Note { rate_ppb, variance });
        self.judge();
    }

    /// One sigma of where a clock is after `ahead_s` without probes, ns.
    pub(super) fn astray_ns(&self, ahead_s: f64) -> f64 {
        limits::STRAY_SHARE * ahead_s.max(0.0) * self.changed_ppb(ahead_s)
    }

    /// One sigma of how much its frequency has changed by then, ppb.
    pub(super) fn changed_ppb(&self, ahead_s: f64) -> f64 {
        // Below the first lag the change grows in proportion, above it from lag to lag.
        let steps = ahead_s.max(0.0) / STEP_S;
        let place = (0..LAGS).find(|lag| steps <= f64::from(1_u32 << lag));
        match place {
            Some(0) => steps * self.changes_ppb[0],
            Some(lag) => self.changes_ppb[lag],
            None => self.changes_ppb[LAGS - 1],
        }
    }

    /// Whether so long a silence is a matter of minutes, where the laws of wander know too little.
    pub(super) fn is_silence(elapsed_s: f64) -> bool {
        elapsed_s > STEP_S
    }

    fn judge(&mut self) {
        let mut least: f64 = 0.0;
        for lag in 0..LAGS {
            let steps = 1 << lag;
            let pairs = self.notes.iter().zip(self.notes.iter().skip(steps));
            let count = self.notes.len().saturating_sub(steps);
            // What the notes themselves are unsure of is no change of the clock.
            let square = |(a, b): (&Note, &Note)| {
                let change = b.rate_ppb - a.rate_ppb;
                (change * change - a.variance - b.variance).max(0.0)
            };
            if count > 0 {
                let mean = pairs.map(square).sum::<f64>() / count as f64;
                least = least.max(libm::sqrt(mean));
                self.changes_ppb[lag] = least;
            } else {
                // Too young for this lag: what was seen over the last one goes on.
                self.changes_ppb[lag] = self.changes_ppb[lag].max(least);
            }
        }
    }
}
