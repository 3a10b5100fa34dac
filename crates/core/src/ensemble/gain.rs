//! How much of an error is corrected, and how much may be: the seed's gains, those that are best for
//! so many players and so late a feedback, and the bounds beyond which every ensemble falls apart.

use alloc::vec;

use super::limits::{
    DELAY_ACTIONS_MAX, EPOCH_ACTIONS, GAIN_MOVED, GAIN_SMALL, PERIOD_GAIN_SEED, PHASE_GAIN_SEED,
    PLAYERS_MAX, STABLE_EPOCHS,
};

/// What corrections have to cope with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Loop {
    /// How many players correct towards one another; 1: everybody corrects towards the beat alone.
    pub players: u32,
    /// How many further actions have begun before an action's error is known.
    pub delay: u32,
}

/// How much of an error is corrected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gains {
    /// Share of the error that the next action is moved by; towards each partner, where there are
    /// several.
    pub phase: f64,
    /// Share of an epoch's mean error by which the next epoch is moved further, in equal steps; towards
    /// each partner, where there are several.
    pub period: f64,
}

impl Gains {
    /// Whether they have moved so far from what was told of them that the others are to be told anew: by more than
    /// a tenth of it, and not by so little that nobody acts otherwise for it.
    pub fn have_moved(self, told: Self) -> bool {
        let moved = |now: f64, told: f64| (now - told).abs() > GAIN_MOVED * told.max(GAIN_SMALL);
        moved(self.phase, told.phase) || moved(self.period, told.period)
    }
}

/// Why gains are refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum GainError {
    /// They are no numbers above or at nothing.
    #[error("a gain of {0} is no number from 0 on")]
    Unreadable(f64),
    /// Errors would grow.
    #[error(
        "a phase gain of {gain} makes errors grow with these players and this delay: below {bound:.4} they shrink"
    )]
    Phase {
        /// What was asked for.
        gain: f64,
        /// What has to stay below.
        bound: f64,
    },
    /// Errors would grow by the period's correction.
    #[error("a period gain of {gain} makes errors grow beside a phase gain of {phase}")]
    Period {
        /// What was asked for.
        gain: f64,
        /// Beside which.
        phase: f64,
    },
    /// More players, or a later feedback, than is counted with.
    #[error("{players} players and a feedback {delay} actions late: at most 4096 and 64")]
    Loop {
        /// Players.
        players: u32,
        /// Actions.
        delay: u32,
    },
}

impl Loop {
    /// The phase gain at which errors neither grow nor shrink: 2 sin(pi/(2(2d+1))), shared among the
    /// players. (A correction of all that was seen d actions ago; at d = 0 and alone it is 2.)
    pub fn phase_bound(self) -> f64 {
        let late = 2.0 * f64::from(self.delay) + 1.0;
        2.0 * libm::sin(core::f64::consts::PI / (2.0 * late)) / f64::from(self.players.max(1))
    }

    /// The phase gain that brings an error down soonest without swinging: d^d/(d+1)^(d+1), shared.
    pub fn phase_best(self) -> f64 {
        let delay = f64::from(self.delay);
        let alone = libm::pow(delay, delay) / libm::pow(delay + 1.0, delay + 1.0);
        alone / f64::from(self.players.max(1))
    }

    /// The best gains. Four players without delay are the string quartet from which the seed's 0.25
    /// was read (Wing et al., 2014).
    pub fn best(self) -> Gains {
        let phase = self.phase_best();
        let whole = phase * f64::from(self.players.max(1));
        // Critically damped beside the phase's correction is E a^2 / 4; half of that keeps clear of
        // the swing that the epoch's own delay brings.
        let period = f64::from(EPOCH_ACTIONS) * whole * whole / 8.0;
        Gains {
            phase,
            period: period.min(PERIOD_GAIN_SEED) / f64::from(self.players.max(1)),
        }
    }

    /// Whether errors shrink under these gains.
    ///
    /// # Errors
    /// Why they do not; the bound that was crossed.
    pub fn check(self, gains: Gains) -> Result<Gains, GainError> {
        let Self { players, delay } = self;
        if players == 0 || players > PLAYERS_MAX || delay > DELAY_ACTIONS_MAX {
            return Err(GainError::Loop { players, delay });
        }
        for gain in [gains.phase, gains.period] {
            if !gain.is_finite() || gain < 0.0 {
                return Err(GainError::Unreadable(gain));
            }
        }
        let bound = self.phase_bound();
        if gains.phase >= bound {
            return Err(GainError::Phase {
                gain: gains.phase,
                bound,
            });
        }
        if gains.period > 0.0 && !self.shrinks(gains) {
            return Err(GainError::Period {
                gain: gains.period,
                phase: gains.phase,
            });
        }
        Ok(gains)
    }

    /// Plays the loop without noise, from an error of one: whether it has become less in the end.
    fn shrinks(self, gains: Gains) -> bool {
        let players = f64::from(self.players);
        let (phase, period) = (gains.phase * players, gains.period * players);
        let delay = self.delay as usize;
        let mut seen = vec![1.0; delay + 1];
        let (mut offset, mut rate, mut sum) = (1.0_f64, 0.0, 0.0);
        let (mut half, mut whole) = (0.0_f64, 0.0_f64);
        let actions = STABLE_EPOCHS * EPOCH_ACTIONS as usize;
        for action in 0..actions {
            let place = action % (delay + 1);
            seen[place] = offset;
            let late = seen[(action + 1) % (delay + 1)];
            sum += late;
            offset += rate - phase * late;
            if (action + 1) % EPOCH_ACTIONS as usize == 0 {
                rate -= period * sum / f64::from(EPOCH_ACTIONS) / f64::from(EPOCH_ACTIONS);
                sum = 0.0;
            }
            let peak = if action < actions / 2 {
                &mut half
            } else {
                &mut whole
            };
            *peak = peak.max(offset.abs());
        }
        whole < half && whole.is_finite()
    }
}

impl Gains {
    /// The seed's: a quarter of each error, a tenth of each epoch's (TIME-5).
    pub const SEED: Self = Self {
        phase: PHASE_GAIN_SEED,
        period: PERIOD_GAIN_SEED,
    };
}
