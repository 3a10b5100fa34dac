//! What is counted over many seeds, and how it is shown.

use std::fmt::Write;
use std::ops::Range;

use serde::Serialize;

use super::drive::{Contestant, Look, drive};
use super::worlds::World;

/// One line of the table: how far one contestant was off in one window of one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Which world.
    pub world: String,
    /// Who.
    pub who: String,
    /// When.
    pub window: String,
    /// How many looks at the clock.
    pub looks: u64,
    /// Mean of the absolute error, ms.
    pub mean_ms: f64,
    /// 99th percentile of it, ms.
    pub p99_ms: f64,
    /// The worst, ms.
    pub max_ms: f64,
    /// Mean of the deviation that was told, ms; nothing for rivals.
    pub deviation_ms: Option<f64>,
    /// Share of looks whose hard interval held the truth.
    pub hard: Option<f64>,
    /// Share of looks whose likely interval held the truth: three sigma, and what unequal ways may hide.
    pub likely: Option<f64>,
    /// Share of looks at which three sigma alone reached the truth: where the ways are unequal they do not
    /// claim to.
    pub three_sigma: Option<f64>,
}

/// All rows of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The first seed and the one after the last.
    pub seeds: (u64, u64),
    /// The rows, world after world.
    pub rows: Vec<Row>,
}

/// What gathers in one window.
#[derive(Clone, Debug, Default)]
struct Gathered {
    errors_ns: Vec<f64>,
    deviation_ns: f64,
    hard: u64,
    likely: u64,
    three_sigma: u64,
}

impl Gathered {
    fn add(&mut self, look: &Look) {
        self.errors_ns.push(look.error_ns.abs());
        self.deviation_ns += look.deviation_ns;
        let [hard, likely, three_sigma] = look.inside.map(u64::from);
        self.hard += hard;
        self.likely += likely;
        self.three_sigma += three_sigma;
    }

    fn row(self, world: &str, who: &str, window: &str) -> Row {
        let looks = self.errors_ns.len() as f64;
        let ours = !self.deviation_ns.is_nan();
        let share = |count: u64| ours.then_some(count as f64 / looks);
        let (hard, likely) = (share(self.hard), share(self.likely));
        let three_sigma = share(self.three_sigma);
        let deviation_ms = ours.then_some(self.deviation_ns / looks / 1e6);
        Row {
            deviation_ms,
            hard,
            likely,
            three_sigma,
            ..Row::of(world, who, window, self.errors_ns)
        }
    }
}

/// At what share of looks the likely interval has to hold the truth: less than is aimed at, since a few
/// seeds are few.
const LIKELY_MIN: f64 = 0.99;

impl Row {
    /// What breaks I6 in this row, in words: time is told as an interval that holds the truth.
    pub fn violation(&self) -> Option<String> {
        let hard = self.hard.filter(|share| *share < 1.0);
        let likely = self.likely.filter(|share| *share < LIKELY_MIN);
        let (kind, share) = match (hard, likely) {
            (Some(share), _) => ("hard", share),
            (None, Some(share)) => ("likely", share),
            (None, None) => return None,
        };
        let (who, world, window) = (&self.who, &self.world, &self.window);
        Some(format!(
            "I6: the {kind} interval of {who} held the truth at {share:.4} of all looks in {world}, {window}"
        ))
    }

    /// A row of absolute errors (ns).
    pub(super) fn of(world: &str, who: &str, window: &str, mut errors_ns: Vec<f64>) -> Self {
        errors_ns.sort_by(f64::total_cmp);
        let looks = errors_ns.len();
        let place = looks.saturating_sub(1).min(looks * 99 / 100);
        let at = |place: usize| errors_ns.get(place).copied().unwrap_or(f64::NAN) / 1e6;
        Self {
            world: world.into(),
            who: who.into(),
            window: window.into(),
            looks: looks as u64,
            mean_ms: errors_ns.iter().sum::<f64>() / looks.max(1) as f64 / 1e6,
            p99_ms: at(place),
            max_ms: at(looks.saturating_sub(1)),
            deviation_ms: None,
            hard: None,
            likely: None,
            three_sigma: None,
        }
    }
}

/// Runs each world on each seed, the product and its rivals on the same probes.
pub fn bench_clock(seeds: Range<u64>, worlds: &[World]) -> Report {
    let who = [Contestant::Unisono, Contestant::Rivals];
    let rows = worlds
        .iter()
        .flat_map(|world| {
            who.iter()
                .flat_map(|who| bench_world(seeds.clone(), world, *who))
        })
        .collect();
    Report {
        seeds: (seeds.start, seeds.end),
        rows,
    }
}

/// One contestant in one world.
pub fn bench_world(seeds: Range<u64>, world: &World, who: Contestant) -> Vec<Row> {
    let mut gathered: Vec<Vec<Gathered>> = Vec::new();
    let mut names = Vec::new();
    for seed in seeds {
        names = drive(world, seed, who, |look| {
            if gathered.len() <= look.who {
                let empty = vec![Gathered::default(); world.windows.len()];
                gathered.resize(look.who + 1, empty);
            }
            for (window, gathered) in world.windows.iter().zip(&mut gathered[look.who]) {
                if look.at_s >= window.from_s && look.at_s < window.to_s {
                    gathered.add(&look);
                }
            }
        });
    }
    let mut rows = Vec::new();
    for (name, windows) in names.iter().zip(gathered) {
        for (window, gathered) in world.windows.iter().zip(windows) {
            rows.push(gathered.row(world.name, name, window.name));
        }
    }
    rows
}

/// The rows as a table for people.
pub fn text(rows: &[Row]) -> String {
    let mut text = String::from(
        "world    who                        window            mean ms   p99 ms   max ms  sigma ms    hard   likely  3 sigma\n",
    );
    for row in rows {
        let optional = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.4}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:8} {:26} {:16} {:8.4} {:8.3} {:8.3}  {:>8} {:>7}  {:>7}  {:>7}",
            row.world,
            row.who,
            row.window,
            row.mean_ms,
            row.p99_ms,
            row.max_ms,
            optional(row.deviation_ms),
            optional(row.hard),
            optional(row.likely),
            optional(row.three_sigma),
        );
    }
    text
}
