//! What is counted over many seeds, and how it is shown.

use std::collections::BTreeMap;
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
    /// How seeds differ; of what is not counted by seeds nothing.
    pub seeds: Option<Seeds>,
}

/// How seeds differ, each by the mean of its absolute errors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Seeds {
    /// What half of them stay below, ms.
    pub median_ms: f64,
    /// The mean of the worst, ms.
    pub worst_ms: f64,
    /// Which one that is.
    pub worst: u64,
    /// The seed whose likely interval held the truth least, and at which share of its looks; nothing for
    /// rivals.
    pub least_likely: Option<(u64, f64)>,
    /// The same of three sigma alone.
    pub least_three_sigma: Option<(u64, f64)>,
    /// Each seed's mean, ms.
    #[serde(skip)]
    pub each: Vec<(u64, f64)>,
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
    seeds: Vec<OneSeed>,
}

/// What gathers of one seed.
#[derive(Clone, Copy, Debug, Default)]
struct OneSeed {
    seed: u64,
    looks: u64,
    errors_ns: f64,
    likely: u64,
    three_sigma: u64,
}

impl OneSeed {
    fn mean_ms(&self) -> f64 {
        self.errors_ns / self.looks as f64 / 1e6
    }

    /// The one of these that has the least share of its looks.
    fn least(seeds: &[Self], count: impl Fn(&Self) -> u64) -> Option<(u64, f64)> {
        let share = |one: &Self| (one.seed, count(one) as f64 / one.looks as f64);
        seeds.iter().map(share).min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Gathered {
    fn add(&mut self, seed: u64, look: &Look) {
        self.errors_ns.push(look.error_ns.abs());
        if self.seeds.last().is_none_or(|last| last.seed != seed) {
            self.seeds.push(OneSeed {
                seed,
                ..OneSeed::default()
            });
        }
        if let Some(one) = self.seeds.last_mut() {
            one.looks += 1;
            one.errors_ns += look.error_ns.abs();
            one.likely += u64::from(look.inside[1]);
            one.three_sigma += u64::from(look.inside[2]);
        }
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
        let seeds = differ(&self.seeds, ours);
        Row {
            deviation_ms,
            hard,
            likely,
            three_sigma,
            seeds,
            ..Row::of(world, who, window, self.errors_ns)
        }
    }
}

/// How seeds differ; shares only of those who tell intervals.
fn differ(seeds: &[OneSeed], tells: bool) -> Option<Seeds> {
    let mut each: Vec<(u64, f64)> = seeds.iter().map(|one| (one.seed, one.mean_ms())).collect();
    each.sort_by(|a, b| a.1.total_cmp(&b.1));
    let median_ms = each.get(each.len() / 2)?.1;
    let (worst, worst_ms) = *each.last()?;
    let least = |count: fn(&OneSeed) -> u64| tells.then(|| OneSeed::least(seeds, count)).flatten();
    Some(Seeds {
        median_ms,
        worst_ms,
        worst,
        least_likely: least(|one| one.likely),
        least_three_sigma: least(|one| one.three_sigma),
        each,
    })
}

/// On which share of the seeds the product's mean error was less than each other's in a world and a window.
pub fn nearer(rows: &[Row], world: &str, window: &str) -> Vec<(String, f64)> {
    let here = rows
        .iter()
        .filter(|row| row.world == world && row.window == window);
    let means = |row: &Row| -> BTreeMap<u64, f64> {
        let seeds = row.seeds.iter();
        seeds.flat_map(|seeds| seeds.each.iter().copied()).collect()
    };
    let Some(ours) = here.clone().find(|row| row.who == "unisono").map(means) else {
        return Vec::new();
    };
    here.filter(|row| row.who != "unisono")
        .map(|row| {
            let theirs = means(row);
            let pairs = theirs
                .iter()
                .filter_map(|(seed, theirs)| Some((ours.get(seed)?, theirs)));
            let pairs: Vec<bool> = pairs.map(|(ours, theirs)| ours < theirs).collect();
            let less = pairs.iter().filter(|less| **less).count();
            (row.who.clone(), less as f64 / pairs.len().max(1) as f64)
        })
        .collect()
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
            seeds: None,
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
                    gathered.add(seed, &look);
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

/// The worlds that seeds draw, as a table for people: how seeds differ in what is sustained, which is the
/// worst, and on which share of them the product is nearer than each other.
pub fn text_of_seeds(rows: &[Row]) -> String {
    let mut text = String::from(
        "world    who                        median ms  worst ms   seed  least likely         3 sigma  nearer on\n",
    );
    let least = |least: Option<(u64, f64)>| {
        least.map_or("-".into(), |(seed, share)| format!("{share:.4} ({seed})"))
    };
    let held_out: Vec<&str> = World::held_out().iter().map(|world| world.name).collect();
    for row in rows {
        let drawn = held_out.contains(&row.world.as_str()) && row.window == "sustained";
        let Some(seeds) = row.seeds.as_ref().filter(|_| drawn) else {
            continue;
        };
        let all = nearer(rows, &row.world, &row.window);
        let ahead = all.iter().find(|(who, _)| *who == row.who);
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:8} {:26} {:9.4} {:9.3} {:6} {:>15} {:>15}  {:>9}",
            row.world,
            row.who,
            seeds.median_ms,
            seeds.worst_ms,
            seeds.worst,
            least(seeds.least_likely),
            least(seeds.least_three_sigma),
            ahead.map_or("-".into(), |(_, share)| format!("{share:.3}")),
        );
    }
    text
}
