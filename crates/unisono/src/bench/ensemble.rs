//! Fifty agents who act together in worlds with a known truth, beside other ways to do it
//! (`docs/ensemble.md`).

use unisono_sim::ensemble::{Row, bench};

use super::figures::Figures;

/// World, what, and what mean and 99th percentile of the error should be at the most (ms).
const AIMS: [(&str, &str, f64, f64); 4] = [
    ("LAN", "armed", 0.15, 0.5),
    ("WAN", "armed", 0.4, 1.5),
    ("LAN", "armed first", 0.15, 0.5),
    ("WAN", "armed first", 0.4, 1.5),
];

/// Figures by the words that they end with, and what they should be: at most, or at least.
const SHOULD: [(&str, bool, f64); 13] = [
    ("noise kalman over the floor ratio", true, 1.02),
    ("over steady ratio", true, 1.05),
    ("still kalman settled over chance ratio", true, 1.02),
    ("step 30 sigma kalman settled over chance ratio", true, 1.1),
    (
        "drift 0.1 sigma kalman settled over chance ratio",
        true,
        1.1,
    ),
    (
        "singles 30 sigma kalman settled over chance ratio",
        true,
        1.02,
    ),
    ("foretold inside the window share", false, 0.999),
    ("confidence off from truth share", true, 0.1),
    ("dragging 2 sigma found share", false, 1.0),
    ("split 3 sigma found share", false, 1.0),
    ("drift 0.1 sigma a beat found share", false, 1.0),
    ("false alarms of players a million looks", true, 500.0),
    ("false alarms of split a million looks", true, 1_000.0),
];

/// Everything on so many seeds from a first.
pub(crate) fn run(seeds: std::ops::Range<u64>) -> Figures {
    let mut figures = Figures::default();
    let table = bench(seeds);
    for row in &table.rows {
        tell(row, &mut figures);
    }
    for (name, value) in table.figures {
        let should = SHOULD.iter().find(|(words, ..)| name.ends_with(words));
        let plain = format!("ensemble_{}", name.replace(' ', "_"));
        match should {
            Some((_, true, most)) => figures.at_most(plain, value, *most),
            Some((_, false, least)) => figures.at_least(plain, value, *least),
            None => figures.tell(plain, value),
        }
    }
    figures
}

fn tell(row: &Row, figures: &mut Figures) {
    let name = format!("ensemble_{}_{}", row.world, row.what.replace(' ', "_"));
    let aim = AIMS
        .iter()
        .find(|(world, what, ..)| row.world == *world && row.what == *what);
    let values = [("mean", row.mean_ms), ("p99", row.p99_ms)];
    let aims = aim.map_or([None, None], |(_, _, mean, p99)| [Some(*mean), Some(*p99)]);
    for ((word, value), aim) in values.into_iter().zip(aims) {
        let name = format!("{name}_{word}_ms");
        match aim {
            Some(most) => figures.at_most(name, value, most),
            None => figures.tell(name, value),
        }
    }
    let spread = format!("{name}_sd_ms");
    if aim.is_some() && row.world == "WAN" {
        figures.at_most(spread, row.sd_ms, 0.6);
    } else {
        figures.tell(spread, row.sd_ms);
    }
    figures.tell(format!("{name}_worst_ms"), row.worst_ms);
}
