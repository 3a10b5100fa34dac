//! How punctual somebody was, and whether that is healthy (TIME-15).

use super::limits::{DRIFT_MS_PER_MINUTE, DRIFT_SIGMAS, MEAN_MS, SPREAD_MS};

/// How somebody is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Health {
    /// As it should be.
    Healthy,
    /// To be watched.
    Warning,
    /// Somebody has to look.
    Critical,
}

/// What thresholds are about (TIME-15).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Measure {
    /// The mean of what actions were late by.
    Mean,
    /// One standard deviation of it.
    Spread,
    /// By how much later they become in a minute.
    Drift,
}

/// Some actions in figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Punctuality {
    /// How many.
    pub actions: u32,
    /// Mean of what they were late by; less than nothing: early (ns).
    pub mean_ns: f64,
    /// Mean of what they were off by, early or late (ns).
    pub off_ns: f64,
    /// One standard deviation (ns).
    pub spread_ns: f64,
    /// The most that one was off by (ns).
    pub worst_ns: f64,
    /// By how much later they become in a minute (ns): the slope of the straight line through them.
    pub drift_ns_per_minute: f64,
    /// The worst of the three thresholds.
    pub health: Health,
    /// Which measure is furthest beyond where somebody has to look, if one is.
    pub critical: Option<Measure>,
}

impl Punctuality {
    /// Actions, each by its target (ns since the Unix epoch) and what it was late by (ns).
    pub fn of(actions: impl Iterator<Item = (u64, i64)> + Clone) -> Self {
        let mut sums = Sums::default();
        let first_ns = actions.clone().map(|(target_ns, _)| target_ns).min();
        for (target_ns, late_ns) in actions {
            let at_min = (target_ns - first_ns.unwrap_or(target_ns)) as f64 / 60e9;
            sums.add(at_min, late_ns as f64);
        }
        let count = f64::from(sums.count).max(1.0);
        let mean_ns = sums.late / count;
        let spread_ns = libm::sqrt((sums.squares / count - mean_ns * mean_ns).max(0.0));
        let (drift_ns_per_minute, drift_error) = sums.slope();
        // What chance alone would bring about is no drift.
        let sure = (drift_ns_per_minute.abs() - DRIFT_SIGMAS * drift_error).max(0.0);
        let measures = [
            (Measure::Mean, mean_ns.abs() / 1e6, MEAN_MS),
            (Measure::Spread, spread_ns / 1e6, SPREAD_MS),
            (Measure::Drift, sure / 1e6, DRIFT_MS_PER_MINUTE),
        ];
        let each = measures.map(|(_, value, bounds)| judged(value, bounds));
        let health = each.into_iter().max().unwrap_or(Health::Healthy);
        // By how many times each is beyond.
        let share = |(_, value, (_, critical)): &(Measure, f64, (f64, f64))| value / critical;
        let worst = measures
            .into_iter()
            .max_by(|one, other| share(one).total_cmp(&share(other)));
        let critical = worst
            .filter(|_| health == Health::Critical)
            .map(|(measure, ..)| measure);
        Self {
            actions: sums.count,
            mean_ns,
            off_ns: sums.off / count,
            spread_ns,
            worst_ns: sums.worst,
            drift_ns_per_minute,
            health,
            critical,
        }
    }
}

#[derive(Debug, Default)]
struct Sums {
    count: u32,
    late: f64,
    off: f64,
    squares: f64,
    worst: f64,
    at: f64,
    at_squares: f64,
    products: f64,
}

impl Sums {
    fn add(&mut self, at_min: f64, late_ns: f64) {
        self.count += 1;
        self.late += late_ns;
        self.off += late_ns.abs();
        self.squares += late_ns * late_ns;
        self.worst = self.worst.max(late_ns.abs());
        self.at += at_min;
        self.at_squares += at_min * at_min;
        self.products += at_min * late_ns;
    }

    /// Of the line of least squares, and its standard error; nothing where all happened at once, or
    /// fewer than three did.
    fn slope(&self) -> (f64, f64) {
        let count = f64::from(self.count);
        let spread = self.at_squares - self.at * self.at / count;
        if self.count < 3 || spread < 1e-12 {
            return (0.0, 0.0);
        }
        let slope = (self.products - self.at * self.late / count) / spread;
        let residue = self.squares - self.late * self.late / count - slope * slope * spread;
        let error = libm::sqrt(residue.max(0.0) / (count - 2.0) / spread);
        (slope, error)
    }
}

fn judged(value: f64, (warning, critical): (f64, f64)) -> Health {
    if value < warning {
        Health::Healthy
    } else if value < critical {
        Health::Warning
    } else {
        Health::Critical
    }
}
