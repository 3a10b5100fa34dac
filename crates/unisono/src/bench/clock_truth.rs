//! What the true time is between processes of one machine, and how far a clock is off it.
//!
//! The truth is what the first leader's clock shows, against the machine's raw clock
//! (`CLOCK_MONOTONIC_RAW`), which nobody steers and all processes share: the leader's own error is part
//! of the truth by definition.

use std::time::{SystemTime, UNIX_EPOCH};

use unisono_api::dto::Clock;

use super::figures::Figures;
use crate::timing::{monotonic_ns, raw_ns};

/// By how much the raw clock is ahead of the steady one at this moment, ns.
fn raw_ahead_ns() -> i64 {
    let mut best = (u64::MAX, 0);
    for _ in 0..3 {
        let before_ns = raw_ns();
        let steady_ns = monotonic_ns();
        let took_ns = raw_ns().saturating_sub(before_ns);
        if took_ns < best.0 {
            let ahead_ns = (before_ns + took_ns / 2).cast_signed() - steady_ns.cast_signed();
            best = (took_ns, ahead_ns);
        }
    }
    best.1
}

/// The raw clock's time of a reading of the steady one, made a moment ago (ns).
pub(super) fn raw_of(monotonic_ns: u64) -> u64 {
    monotonic_ns.saturating_add_signed(raw_ahead_ns())
}

/// The same of a reading of the wall clock, which nobody may have set since (ns).
pub(super) fn raw_of_wall(wall_ns: u64) -> u64 {
    let wall = SystemTime::now().duration_since(UNIX_EPOCH);
    let now_ns = u64::try_from(wall.unwrap_or_default().as_nanos()).unwrap_or_default();
    raw_ns().saturating_sub(now_ns.saturating_sub(wall_ns))
}

/// What a clock showed when the raw clock did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) raw_ns: u64,
    pub(super) cluster_ns: u64,
}

impl Look {
    /// What a node has just told, if it tells a time.
    pub(super) fn of(clock: &Clock) -> Option<Self> {
        Some(Self {
            raw_ns: raw_of(clock.monotonic_ns),
            cluster_ns: clock.estimate()?,
        })
    }
}

/// A line of time through two looks at one clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    from: Look,
    to: Look,
}

impl Line {
    pub(super) fn new(from: Look, to: Look) -> Self {
        Self { from, to }
    }

    /// What the clock shows when the raw clock does (ns): between the looks, or going on as it went.
    pub(super) fn at(&self, raw_ns: u64) -> u64 {
        let ahead = |ns: u64, of_ns: u64| ns.cast_signed() - of_ns.cast_signed();
        let apart = ahead(self.to.raw_ns, self.from.raw_ns);
        let gained = ahead(self.to.cluster_ns, self.from.cluster_ns) - apart;
        let elapsed = ahead(raw_ns, self.from.raw_ns);
        let share = elapsed as f64 / apart.max(1) as f64;
        self.from
            .cluster_ns
            .saturating_add_signed(elapsed + (gained as f64 * share).round() as i64)
    }

    /// When the raw clock shows what, that this clock shows so much (ns).
    pub(super) fn raw_at(&self, cluster_ns: u64) -> u64 {
        let ahead = |at: u64| cluster_ns.cast_signed() - self.at(at).cast_signed();
        let first = self.to.raw_ns;
        // The rate is off by some millionths, so each step leaves so small a part of what is left.
        (0..3).fold(first, |at, _| at.saturating_add_signed(ahead(at)))
    }
}

/// How far clocks were off the truth, and whether their intervals held it.
#[derive(Debug, Default)]
pub(super) struct Errors {
    us: Vec<f64>,
    hard: usize,
    likely: usize,
    sigma_us: f64,
}

impl Errors {
    /// Takes what a node has just told.
    pub(super) fn look(&mut self, clock: &Clock, truth: &Line) {
        let Some(look) = Look::of(clock) else {
            return;
        };
        let truth_ns = truth.at(look.raw_ns);
        let error_ns = look.cluster_ns.cast_signed() - truth_ns.cast_signed();
        self.us.push(error_ns.unsigned_abs() as f64 / 1e3);
        let ns = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<u64>().ok());
        let holds = |from: &Option<String>, to: &Option<String>| {
            ns(from).is_some_and(|from| from <= truth_ns) && ns(to).is_some_and(|to| truth_ns <= to)
        };
        self.hard += usize::from(holds(&clock.earliest_ns, &clock.latest_ns));
        self.likely += usize::from(holds(&clock.likely_earliest_ns, &clock.likely_latest_ns));
        self.sigma_us += clock.three_sigma_ns.unwrap_or_default() / 3e3;
    }

    /// Tells mean, 99th percentile and worst; with `cover`, how often the intervals held the truth.
    pub(super) fn tell(mut self, name: &str, cover: bool, figures: &mut Figures) {
        if self.us.is_empty() {
            return;
        }
        let count = self.us.len() as f64;
        self.us.sort_by(f64::total_cmp);
        let mean_us = self.us.iter().sum::<f64>() / count;
        let p99_us = self.us[(self.us.len() * 99 / 100).min(self.us.len() - 1)];
        figures.tell(format!("clock_{name}_error_mean_us"), mean_us);
        figures.tell(format!("clock_{name}_error_p99_us"), p99_us);
        let worst_us = self.us[self.us.len() - 1];
        figures.tell(format!("clock_{name}_error_worst_us"), worst_us);
        if !cover {
            return;
        }
        figures.tell(format!("clock_{name}_looks"), count);
        figures.tell(format!("clock_{name}_told_sigma_us"), self.sigma_us / count);
        let share = |count_in: usize| count_in as f64 / count;
        let hard = format!("clock_{name}_hard_interval_share");
        figures.at_least(hard, share(self.hard), 1.0);
        let likely = format!("clock_{name}_three_sigma_share");
        figures.tell(likely, share(self.likely));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_at_its_rate_and_can_be_asked_both_ways() {
        let look = |raw_ns, cluster_ns| Look { raw_ns, cluster_ns };
        // Fifty millionths fast.
        let line = Line::new(look(1_000_000, 5_000_000), look(3_000_000, 7_000_100));
        assert_eq!(line.at(2_000_000), 6_000_050);
        assert_eq!(line.at(1_001_000_000), 1_005_050_000);
        assert_eq!(line.raw_at(1_005_050_000), 1_001_000_000);
    }
}
