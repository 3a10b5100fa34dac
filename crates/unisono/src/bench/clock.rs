//! The cluster's clock in worlds with a known truth, beside its rivals on the same probes
//! (`docs/timing.md`).

use unisono_sim::timing::{Row, World, bench_clock};

use super::figures::Figures;

/// World, window, and what mean and 99th percentile of the error should be at the most (ms).
const AIMS: [(&str, &str, f64, f64); 5] = [
    ("WAN", "sustained", 0.05, 0.25),
    ("LAN", "sustained", 0.010, 0.050),
    ("WAN", "2 s", 0.4, 1.5),
    ("LAN", "2 s", 0.05, 0.2),
    // Ten milliseconds of asymmetry: half of it binds everybody.
    ("G", "sustained", 5.3, 5.3),
];

/// What share of the likely intervals (three sigma) should hold the truth.
const LIKELY_MIN: f64 = 0.997;

/// Every world on so many seeds from a first.
pub(crate) fn run(seeds: std::ops::Range<u64>) -> Figures {
    let mut figures = Figures::default();
    let rows = bench_clock(seeds, &World::all()).rows;
    // Before a clock has heard enough it tells no time: with few seeds a window may have no look.
    for row in rows.iter().filter(|row| row.looks > 0) {
        tell(row, &mut figures);
    }
    figures
}

fn tell(row: &Row, figures: &mut Figures) {
    let words = [&row.world, &row.who, &row.window];
    // A world with a partition has a stroke behind its name.
    let plain = |word: &String| word.replace('/', "_cut").replace([' ', '+'], "_");
    let name = words.map(plain).join("_");
    let ours = row.who == "unisono";
    let aim = AIMS
        .iter()
        .find(|(world, window, ..)| ours && row.world == *world && row.window == *window);
    let (mean, p99) = (
        format!("clock_{name}_mean_ms"),
        format!("clock_{name}_p99_ms"),
    );
    if let Some((_, _, mean_ms, p99_ms)) = aim {
        figures.at_most(mean, row.mean_ms, *mean_ms);
        figures.at_most(p99, row.p99_ms, *p99_ms);
    } else {
        figures.tell(mean, row.mean_ms);
        figures.tell(p99, row.p99_ms);
    }
    if let Some(hard) = row.hard {
        figures.at_least(format!("clock_{name}_hard_interval_share"), hard, 1.0);
    }
    if let Some(likely) = row.likely.filter(|_| row.window == "sustained") {
        let name = format!("clock_{name}_three_sigma_share");
        figures.at_least(name, likely, LIKELY_MIN);
    }
}
