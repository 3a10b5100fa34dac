//! Correction of when somebody acts, from how late it was before: at once (phase) and in the long
//! run (period), by one of three rules.

use alloc::collections::VecDeque;

use super::belief::Belief;
use super::gain::{GainError, Gains, Loop};
use super::limits::{
    DRIFT_GAIN_MORE, EPOCH_ACTIONS, LARGE_ERROR_SIGMAS, LARGE_GAIN_MORE, LATE_NS_MAX,
    OSCILLATION_GAIN_LESS, OSCILLATION_SHARE, PENDING_ACTIONS_MAX, PLAYERS_MAX, SPREAD_ACTIONS,
};

/// By which rule errors are corrected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Rule {
    /// A quarter and a tenth, whatever the ensemble (TIME-5); refused where that is unstable.
    Seed,
    /// The gains that are best for the players and the delay of the feedback.
    Best,
    /// What was late is taken apart into what stays and what was chance, and what stays is
    /// corrected. Each error is held against the correction that its action was played with, so a
    /// late feedback does no harm. Where gains adapt, what stays may step, drift and swing, and one
    /// error that is far off alone moves nothing.
    Kalman,
}

/// Faults that are planted to see whether they are found; none in the product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CorrectionFault {
    /// Every player corrects as if it were alone.
    GainNotShared,
    /// An error that comes late is taken for that of the latest action.
    StaleTakenForFresh,
    /// What has changed is taken for chance.
    DeafToSteps,
    /// One error that is far off is taken for a change.
    FollowsSingles,
}

/// An action whose error is not known yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    action: u64,
    /// The how manieth that was asked for.
    number: u64,
    /// The correction that it was played with (ns).
    played_ns: f64,
}

/// Corrects one player.
#[derive(Clone, Debug)]
pub struct Corrector {
    rule: Rule,
    around: Loop,
    gains: Gains,
    adaptive: bool,
    fault: Option<CorrectionFault>,
    offset_ns: f64,
    rate_ns: f64,
    pending: VecDeque<Asked>,
    /// How many corrections were asked for, and which of them is the latest whose error is known.
    asked: u64,
    known: u64,
    last: Option<f64>,
    epoch: (u32, f64),
    /// Variance of one error, running, and how many were seen.
    variance: f64,
    count: u32,
    /// Running product of neighbouring errors, less than nothing where they swing, and of each with itself.
    swing: f64,
    power: f64,
    /// What stays.
    belief: Belief,
}

impl Corrector {
    /// A corrector that knows nothing yet.
    ///
    /// # Errors
    /// Where the rule's gains would make errors grow with these players and this delay.
    pub fn new(rule: Rule, around: Loop) -> Result<Self, GainError> {
        let gains = match rule {
            Rule::Seed => around.check(Gains::SEED)?,
            Rule::Best | Rule::Kalman => around.check(around.best())?,
        };
        Ok(Self {
            rule,
            around,
            gains,
            adaptive: false,
            fault: None,
            offset_ns: 0.0,
            rate_ns: 0.0,
            pending: VecDeque::new(),
            asked: 0,
            known: 0,
            last: None,
            epoch: (0, 0.0),
            variance: 0.0,
            count: 0,
            swing: 0.0,
            power: 0.0,
            belief: Belief::new(false, None),
        })
    }

    /// The same with gains that adapt to what is seen (TIME-6), never beyond their bounds. Nothing may have
    /// been seen yet.
    pub fn adaptive(mut self) -> Self {
        self.adaptive = true;
        self.belief = Belief::new(true, self.fault);
        self
    }

    /// The same with a fault planted: for simulators. Nothing may have been seen yet.
    pub fn with_fault(mut self, fault: Option<CorrectionFault>) -> Self {
        self.fault = fault;
        self.belief = Belief::new(self.adaptive, fault);
        if fault == Some(CorrectionFault::GainNotShared) {
            self.gains.phase *= f64::from(self.around.players);
        }
        self
    }

    /// The gains as they are now. [`Rule::Kalman`] has none that stand: its phase gain is the share of the
    /// latest error that was taken for what stays, and it corrects no period.
    pub fn gains(&self) -> Gains {
        match self.rule {
            Rule::Seed | Rule::Best => self.gains,
            Rule::Kalman => Gains {
                phase: self.belief.gain(),
                period: 0.0,
            },
        }
    }

    /// By how much an action is to be moved (ns; less than nothing: earlier). Asked once for each
    /// action, in order.
    pub fn correction_ns(&mut self, action: u64) -> f64 {
        self.asked += 1;
        self.offset_ns = match self.rule {
            Rule::Seed | Rule::Best => self.offset_ns + self.rate_ns,
            Rule::Kalman => -self.belief.ahead_ns(self.unknown()),
        };
        if self.pending.len() == PENDING_ACTIONS_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back(Asked {
            action,
            number: self.asked,
            played_ns: self.offset_ns,
        });
        self.offset_ns
    }

    /// An action was late by so much (ns), played with the correction that was told for it. Errors of
    /// actions that nobody asked about, that are no numbers, or of more than a day say nothing.
    pub fn was_late(&mut self, action: u64, late_ns: f64) {
        // What is no number is not within a day either.
        if late_ns.is_nan() || late_ns.abs() > LATE_NS_MAX {
            return;
        }
        let place = self.pending.iter().position(|one| one.action == action);
        let Some(asked) = place.and_then(|place| self.pending.remove(place)) else {
            return;
        };
        self.pending.retain(|one| one.number > asked.number);
        self.learn(late_ns);
        match self.rule {
            Rule::Kalman => {
                let stale = self.fault == Some(CorrectionFault::StaleTakenForFresh);
                let against_ns = if stale {
                    self.offset_ns
                } else {
                    asked.played_ns
                };
                self.known = asked.number;
                self.belief.saw(late_ns - against_ns);
            }
            Rule::Seed | Rule::Best => self.steer(late_ns),
        }
    }

    /// How many actions there are from the latest whose error is known to the latest that was asked for: what
    /// is learnt of a drift is not believed for longer than feedback takes.
    fn unknown(&self) -> u32 {
        let most = u64::from(self.around.delay) + 1;
        (self.asked - self.known).min(most) as u32
    }

    /// Partners move by so much of each error towards this one: gains come to be alike, and all
    /// together to what is best.
    pub fn meet(&mut self, partners: &[f64]) {
        let known = partners
            .iter()
            .filter(|gain| gain.is_finite() && **gain >= 0.0);
        let (count, sum) = known.fold((0.0, 0.0), |(count, sum), gain| (count + 1.0, sum + gain));
        if count == 0.0 {
            return;
        }
        let all = self.around.phase_best() * f64::from(self.around.players);
        let share = (all - sum - self.gains.phase) / (count + 1.0);
        let alike = sum / count - self.gains.phase;
        // What all correct together comes first; who corrects how much of it comes second.
        let phase = (self.gains.phase + 0.25 * (share + 0.25 * alike)).max(0.0);
        self.hold(Gains {
            phase,
            ..self.gains
        });
    }

    /// So many players correct towards one another from now on (1 to 4096): the best gains are shared among these,
    /// what adapting has made of them goes along, and what would not hold gives way to what does. The seed's come
    /// back where they hold again. Says whether that is another number than before: then what partners told of
    /// their gains was of the old one, and is not to be met.
    pub fn among(&mut self, players: u32) -> bool {
        let before = self.around;
        self.around.players = players.clamp(1, PLAYERS_MAX);
        if self.around == before {
            return false;
        }
        let gave_way = before.check(Gains::SEED).is_err();
        let gains = match self.rule {
            Rule::Seed if gave_way => Gains::SEED,
            Rule::Seed => self.gains,
            Rule::Best | Rule::Kalman => {
                let share = f64::from(before.players.max(1)) / f64::from(self.around.players);
                Gains {
                    phase: share * self.gains.phase,
                    period: share * self.gains.period,
                }
            }
        };
        self.gains = self.around.check(gains).unwrap_or(self.around.best());
        true
    }

    /// What every error says about the errors.
    fn learn(&mut self, late_ns: f64) {
        self.count = self.count.saturating_add(1);
        let weight = 1.0 / f64::from(self.count.min(SPREAD_ACTIONS));
        let off_ns = late_ns - self.last.unwrap_or(late_ns);
        // Neighbours differ by twice the variance of one, whatever both have in common.
        if self.count > 1 {
            self.variance += weight * (0.5 * off_ns * off_ns - self.variance);
        }
        if let Some(last) = self.last {
            self.swing += weight * (late_ns * last - self.swing);
        }
        self.power += weight * (late_ns * late_ns - self.power);
        self.last = Some(late_ns);
    }

    fn steer(&mut self, late_ns: f64) {
        self.offset_ns -= self.gains.phase * late_ns;
        let (count, sum) = (self.epoch.0 + 1, self.epoch.1 + late_ns);
        self.epoch = (count, sum);
        if self.adaptive {
            self.adapt(late_ns, count == EPOCH_ACTIONS);
        }
        if count < EPOCH_ACTIONS {
            return;
        }
        self.epoch = (0, 0.0);
        let mean_ns = sum / f64::from(EPOCH_ACTIONS);
        // Below what chance does to a mean nothing is corrected in the long run.
        let chance_ns = libm::sqrt(self.variance / f64::from(EPOCH_ACTIONS));
        if mean_ns.abs() > 2.0 * chance_ns {
            self.rate_ns -= self.gains.period * mean_ns / f64::from(EPOCH_ACTIONS);
        }
    }

    /// Less on swinging, more in the long run on drift, more at once on single large errors.
    fn adapt(&mut self, late_ns: f64, epoch_ends: bool) {
        let mut gains = self.gains;
        let sigma_ns = libm::sqrt(self.variance);
        if late_ns.abs() > LARGE_ERROR_SIGMAS * sigma_ns && self.count > EPOCH_ACTIONS {
            gains.phase *= LARGE_GAIN_MORE;
        }
        if epoch_ends && self.swing < -OSCILLATION_SHARE * self.power {
            gains.phase *= OSCILLATION_GAIN_LESS;
            gains.period *= OSCILLATION_GAIN_LESS;
        } else if epoch_ends {
            let mean_ns = self.epoch.1 / f64::from(EPOCH_ACTIONS);
            if mean_ns.abs() > sigma_ns {
                gains.period *= DRIFT_GAIN_MORE;
            }
        }
        if gains != self.gains {
            self.hold(gains);
        }
    }

    /// Takes gains over where they hold, with some room to the bound.
    fn hold(&mut self, gains: Gains) {
        let phase = gains.phase.min(0.8 * self.around.phase_bound());
        let held = Gains { phase, ..gains };
        if let Ok(gains) = self.around.check(held) {
            self.gains = gains;
        }
    }
}
