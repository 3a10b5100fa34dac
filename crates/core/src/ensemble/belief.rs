//! What of somebody's lateness stays, and how that moves: a Kalman filter of two states, level and rate, whose
//! belief is opened again where what it sees is more than chance.
//!
//! It is told how late an action was less the correction that it was played with, so that what it believes
//! depends on no correction, and no feedback, however late, makes it swing.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::correct::CorrectionFault;
use super::limits::{
    BELIEF_ALARM, BELIEF_CHANCE_CLIP, BELIEF_CHANCE_NS_MIN, BELIEF_GATE, BELIEF_KEPT_MAX,
    BELIEF_LEARNS, BELIEF_RATE_OPEN, BELIEF_RATE_SPREAD, BELIEF_RATE_WANDER, BELIEF_SLACK,
    BELIEF_UNREST_KEEPS, BELIEF_UNREST_MAX, BELIEF_UNREST_MORE, KALMAN_WANDER_SHARE,
    SPREAD_ACTIONS,
};

/// What is believed of one player.
#[derive(Clone, Debug)]
pub(super) struct Belief {
    /// Whether it is opened again; otherwise it is the mean of all, and wanders a little.
    adaptive: bool,
    fault: Option<CorrectionFault>,
    /// What stays (ns), and by how much that is more with each action.
    level_ns: f64,
    rate_ns: f64,
    /// Variance of the one, covariance, variance of the other, as shares of the variance of chance: how wide
    /// chance is may be learnt late without anything being forgotten.
    open: [f64; 3],
    /// Variance of chance (ns²), from how much neighbours differ.
    chance: f64,
    last_ns: Option<f64>,
    count: u32,
    /// What was taken lately, the latest last (ns): what is learnt anew when the belief opens.
    taken: VecDeque<f64>,
    /// The latest in a row that lay beyond the gate on one side, taken for nothing yet (ns).
    beyond: Vec<f64>,
    beyond_is_late: bool,
    late: Sum,
    early: Sum,
    /// So many times as much as in calm times it is believed to move.
    unrest: f64,
    /// Which share of the latest was taken for what stays.
    gain: f64,
}

/// What was more than chance in one direction, and over how many actions (Page, 1954).
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    sigmas: f64,
    actions: usize,
}

impl Sum {
    fn push(&mut self, sigmas: f64) {
        self.sigmas += sigmas - BELIEF_SLACK;
        self.actions += 1;
        if self.sigmas <= 0.0 {
            *self = Self::default();
        }
    }
}

impl Belief {
    pub(super) fn new(adaptive: bool, fault: Option<CorrectionFault>) -> Self {
        Self {
            adaptive,
            fault,
            level_ns: 0.0,
            rate_ns: 0.0,
            open: [0.0; 3],
            chance: 0.0,
            last_ns: None,
            count: 0,
            taken: VecDeque::new(),
            beyond: Vec::new(),
            beyond_is_late: false,
            late: Sum::default(),
            early: Sum::default(),
            unrest: 1.0,
            gain: 1.0,
        }
    }

    /// Which share of the latest was taken for what stays: nothing of one that is far off alone.
    pub(super) fn gain(&self) -> f64 {
        self.gain
    }

    /// What is expected so many actions after the latest that was seen (ns).
    pub(super) fn ahead_ns(&self, actions: u32) -> f64 {
        self.level_ns + self.rate_ns * f64::from(actions)
    }

    /// How late an action was, less its correction (ns).
    pub(super) fn saw(&mut self, seen_ns: f64) {
        self.learns_chance(seen_ns);
        self.count = self.count.saturating_add(1);
        if self.count == 1 {
            // The first is all that is known.
            self.keep(seen_ns);
            self.level_ns = seen_ns;
            self.open = [1.0, 0.0, 0.0];
            if self.adaptive {
                self.open[2] = BELIEF_RATE_SPREAD * BELIEF_RATE_SPREAD;
            }
            return;
        }
        self.unrest = (self.unrest * BELIEF_UNREST_KEEPS).max(1.0);
        self.goes_on();
        let spread_ns = libm::sqrt((1.0 + self.open[0]) * self.chance_variance());
        let sigmas = (seen_ns - self.level_ns) / spread_ns;
        let knows = self.adaptive && self.count > BELIEF_LEARNS;
        if knows && sigmas.abs() > BELIEF_GATE {
            self.is_beyond(seen_ns, sigmas > 0.0);
            return;
        }
        self.beyond.clear();
        self.keep(seen_ns);
        self.takes(seen_ns);
        if knows {
            self.sums_up(sigmas);
        }
    }

    /// One that is far off alone is chance of another kind and moves nothing. A second on the same side is a
    /// step if it agrees with the first, and a third is one in any case.
    fn is_beyond(&mut self, seen_ns: f64, is_late: bool) {
        self.gain = 0.0;
        if is_late != self.beyond_is_late {
            self.beyond.clear();
        }
        self.beyond_is_late = is_late;
        let alone_ns = BELIEF_GATE * libm::sqrt(2.0 * self.chance_variance());
        let before = self.beyond.last();
        let agrees = before.is_some_and(|before_ns| (seen_ns - before_ns).abs() < alone_ns);
        self.beyond.push(seen_ns);
        if self.fault == Some(CorrectionFault::FollowsSingles) {
            self.opens(Vec::from([seen_ns]));
        } else if agrees || self.beyond.len() > 2 {
            let from = self.beyond.len() - if agrees { 2 } else { 3 };
            let since = self.beyond.split_off(from);
            self.opens(since);
        }
    }

    /// What is small and does not stop adds up.
    fn sums_up(&mut self, sigmas: f64) {
        self.late.push(sigmas);
        self.early.push(-sigmas);
        let most = if self.late.sigmas > self.early.sigmas {
            self.late
        } else {
            self.early
        };
        if most.sigmas > BELIEF_ALARM {
            let from = self.taken.len().saturating_sub(most.actions);
            let since: Vec<f64> = self.taken.range(from..).copied().collect();
            self.opens(since);
        }
    }

    /// What was known is forgotten, and what was seen since it changed (ns) is learnt anew. Where that happens
    /// again and again the filter expects more of it, and follows more quickly.
    fn opens(&mut self, since: Vec<f64>) {
        self.late = Sum::default();
        self.early = Sum::default();
        self.beyond.clear();
        if self.fault == Some(CorrectionFault::DeafToSteps) {
            return;
        }
        let rate = BELIEF_RATE_OPEN * BELIEF_RATE_OPEN * self.unrest;
        self.unrest = (self.unrest * BELIEF_UNREST_MORE).min(BELIEF_UNREST_MAX);
        self.rate_ns = 0.0;
        self.open = [1.0, 0.0, rate.min(1.0)];
        self.taken.clear();
        for (place, seen_ns) in since.into_iter().enumerate() {
            self.keep(seen_ns);
            if place == 0 {
                self.level_ns = seen_ns;
            } else {
                self.goes_on();
                self.takes(seen_ns);
            }
        }
    }

    fn keep(&mut self, seen_ns: f64) {
        if self.taken.len() == BELIEF_KEPT_MAX {
            self.taken.pop_front();
        }
        self.taken.push_back(seen_ns);
    }

    /// One action further.
    fn goes_on(&mut self) {
        self.level_ns += self.rate_ns;
        let [level, both, rate] = self.open;
        let rate_wander = if self.adaptive {
            BELIEF_RATE_WANDER * self.unrest * self.unrest
        } else {
            0.0
        };
        self.open = [
            level + 2.0 * both + rate + KALMAN_WANDER_SHARE * self.unrest,
            both + rate,
            rate + rate_wander,
        ];
    }

    fn takes(&mut self, seen_ns: f64) {
        let [level, both, rate] = self.open;
        let whole = level + 1.0;
        let (gain, turn) = (level / whole, both / whole);
        let off_ns = seen_ns - self.level_ns;
        self.gain = gain;
        self.level_ns += gain * off_ns;
        self.rate_ns += turn * off_ns;
        self.open = [gain, turn, rate - turn * both];
    }

    /// Neighbours differ by twice the variance of one, whatever both have in common. One that is far off, or a
    /// step, counts as the clip: else nothing would be seen after it for a while.
    fn learns_chance(&mut self, seen_ns: f64) {
        let Some(last_ns) = self.last_ns.replace(seen_ns) else {
            return;
        };
        let off_ns = seen_ns - last_ns;
        let half = 0.5 * off_ns * off_ns;
        let clipped = if self.count > BELIEF_LEARNS {
            half.min(BELIEF_CHANCE_CLIP * BELIEF_CHANCE_CLIP * self.chance_variance())
        } else {
            half
        };
        let weight = 1.0 / f64::from(self.count.min(SPREAD_ACTIONS));
        self.chance += weight * (clipped - self.chance);
    }

    fn chance_variance(&self) -> f64 {
        self.chance.max(BELIEF_CHANCE_NS_MIN * BELIEF_CHANCE_NS_MIN)
    }
}
