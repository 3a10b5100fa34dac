//! Correction of when somebody acts, from how late it was before: at once (phase) and in the long
//! run (period), by one of three rules.

use alloc::collections::VecDeque;

use super::gain::{GainError, Gains, Loop};
use super::limits::{
    DRIFT_GAIN_MORE, EPOCH_ACTIONS, KALMAN_WANDER_SHARE, LARGE_ERROR_SIGMAS, LARGE_GAIN_MORE,
    OSCILLATION_GAIN_LESS, OSCILLATION_SHARE, PENDING_ACTIONS_MAX, SPREAD_ACTIONS,
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
    /// late feedback does no harm.
    Kalman,
}

/// Faults that are planted to see whether they are found; none in the product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CorrectionFault {
    /// Every player corrects as if it were alone.
    GainNotShared,
    /// An error that comes late is taken for that of the latest action.
    StaleTakenForFresh,
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
    /// Actions whose error is not known yet: number, and the correction that they were played with.
    pending: VecDeque<(u64, f64)>,
    last: Option<f64>,
    epoch: (u32, f64),
    /// Variance of one error, running, and how many were seen.
    variance: f64,
    count: u32,
    /// Running product of neighbouring errors: less than nothing where they swing.
    swing: f64,
    /// What stays: mean and variance of the belief.
    belief: (f64, f64),
    /// Which share of the latest error was taken for what stays.
    taken: f64,
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
            last: None,
            epoch: (0, 0.0),
            variance: 0.0,
            count: 0,
            swing: 0.0,
            belief: (0.0, f64::INFINITY),
            taken: 1.0,
        })
    }

    /// The same with gains that adapt to what is seen (TIME-6), never beyond their bounds.
    pub fn adaptive(mut self) -> Self {
        self.adaptive = true;
        self
    }

    /// The same with a fault planted: for simulators.
    pub fn with_fault(mut self, fault: Option<CorrectionFault>) -> Self {
        self.fault = fault;
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
                phase: self.taken,
                period: 0.0,
            },
        }
    }

    /// By how much an action is to be moved (ns; less than nothing: earlier). Asked once for each
    /// action, in order.
    pub fn correction_ns(&mut self, action: u64) -> f64 {
        self.offset_ns += self.rate_ns;
        if self.pending.len() == PENDING_ACTIONS_MAX {
            self.pending.pop_front();
        }
        self.pending.push_back((action, self.offset_ns));
        self.offset_ns
    }

    /// An action was late by so much (ns), played with the correction that was told for it. Errors of
    /// actions that nobody asked about, or that are no numbers, say nothing.
    pub fn was_late(&mut self, action: u64, late_ns: f64) {
        if !late_ns.is_finite() {
            return;
        }
        let Some(place) = self.pending.iter().position(|(known, _)| *known == action) else {
            return;
        };
        let played_ns = self.pending.remove(place).map_or(0.0, |(_, played)| played);
        self.pending.retain(|(known, _)| *known > action);
        self.learn(late_ns);
        match self.rule {
            Rule::Kalman => self.filter(late_ns, played_ns),
            Rule::Seed | Rule::Best => self.steer(late_ns),
        }
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
        if epoch_ends && self.swing < -OSCILLATION_SHARE * self.variance {
            gains.phase *= OSCILLATION_GAIN_LESS;
            gains.period *= OSCILLATION_GAIN_LESS;
        } else if epoch_ends {
            let mean_ns = self.epoch.1 / f64::from(EPOCH_ACTIONS);
            if mean_ns.abs() > sigma_ns {
                gains.period *= DRIFT_GAIN_MORE;
            }
        }
        self.hold(gains);
    }

    /// Takes gains over where they hold, with some room to the bound.
    fn hold(&mut self, gains: Gains) {
        let phase = gains.phase.min(0.8 * self.around.phase_bound());
        let held = Gains { phase, ..gains };
        if let Ok(gains) = self.around.check(held) {
            self.gains = gains;
        }
    }

    /// What stays wanders little; what is chance is as wide as neighbours differ.
    fn filter(&mut self, late_ns: f64, played_ns: f64) {
        let against_ns = match self.fault {
            Some(CorrectionFault::StaleTakenForFresh) => self.offset_ns,
            _ => played_ns,
        };
        let seen_ns = late_ns - against_ns;
        let (mean, variance) = self.belief;
        if variance.is_infinite() {
            // The first error is all that is known.
            self.belief = (seen_ns, late_ns * late_ns);
        } else {
            let chance = self.variance.max(1.0);
            let wider = variance + KALMAN_WANDER_SHARE * chance;
            // How wide chance is has to be learnt first: until then what stays is the plain mean.
            let mean_of_all = 1.0 / f64::from(self.count);
            let gain = (wider / (wider + chance)).max(mean_of_all);
            self.taken = gain;
            self.belief = (mean + gain * (seen_ns - mean), (1.0 - gain) * wider);
        }
        self.offset_ns = -self.belief.0;
    }
}
