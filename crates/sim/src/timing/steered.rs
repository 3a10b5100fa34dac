//! A machine's clock as the system lets a daemon steer it: it is stepped, and made to run faster or
//! slower, at a moment. What it showed at earlier moments stays known, since the stamps of a
//! question were taken before its answer steered the clock.

use std::collections::VecDeque;

use super::drive::Sample;

/// How many changes are remembered: a way there and back takes far less than so many.
const CHANGES_KEPT_MAX: usize = 256;

/// How far a clock is off when its daemon starts, ns: what both daemons step away. Without it they
/// would begin with the truth, which nobody else is given.
const OFF_AT_FIRST_NS: f64 = 500e6;

/// From a moment on: how far the clock is ahead of the hardware, and how much faster it runs.
#[derive(Clone, Copy)]
struct Change {
    at_s: f64,
    ahead_ns: f64,
    rate: f64,
}

/// A steered clock over a hardware clock whose seconds are given.
pub(super) struct Steered {
    /// The hardware's time, s since the beginning.
    pub(super) now_s: f64,
    changes: VecDeque<Change>,
}

impl Default for Steered {
    fn default() -> Self {
        let first = Change {
            at_s: f64::NEG_INFINITY,
            ahead_ns: OFF_AT_FIRST_NS,
            rate: 0.0,
        };
        Self {
            now_s: 0.0,
            changes: VecDeque::from([first]),
        }
    }
}

impl Change {
    fn ahead_ns(&self, local_s: f64) -> f64 {
        if self.rate == 0.0 {
            self.ahead_ns
        } else {
            self.ahead_ns + (local_s - self.at_s) * self.rate * 1e9
        }
    }
}

impl Steered {
    /// How far it was ahead of the hardware at a time of that, ns.
    pub(super) fn ahead_ns(&self, local_s: f64) -> f64 {
        let since = |change: &&Change| change.at_s <= local_s;
        let at = self.changes.iter().rev().find(since);
        at.or(self.changes.front())
            .map_or(0.0, |change| change.ahead_ns(local_s))
    }

    /// How far it is ahead of the hardware now, ns.
    pub(super) fn now_ahead_ns(&self) -> f64 {
        self.ahead_ns(self.now_s)
    }

    /// What it shows at a time of the hardware, s.
    pub(super) fn shows_s(&self, local_s: f64) -> f64 {
        local_s + self.ahead_ns(local_s) / 1e9
    }

    /// What it shows now, s.
    pub(super) fn now_shows_s(&self) -> f64 {
        self.shows_s(self.now_s)
    }

    pub(super) fn rate(&self) -> f64 {
        self.changes.back().map_or(0.0, |change| change.rate)
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.change(0.0, rate);
    }

    pub(super) fn step(&mut self, by_s: f64) {
        self.change(by_s * 1e9, self.rate());
    }

    fn change(&mut self, by_ns: f64, rate: f64) {
        self.changes.push_back(Change {
            at_s: self.now_s,
            ahead_ns: self.ahead_ns(self.now_s) + by_ns,
            rate,
        });
        if self.changes.len() > CHANGES_KEPT_MAX {
            self.changes.pop_front();
        }
    }

    /// By how much the leader was ahead of this clock, ns: at the most by the question, at the
    /// least by the answer.
    pub(super) fn bounds_ns(&self, sample: &Sample) -> (f64, f64) {
        (
            sample.most_ns - self.ahead_ns(sample.sent_s),
            sample.least_ns - self.ahead_ns(sample.received_s),
        )
    }
}
