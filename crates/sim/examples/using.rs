//! How often it is told of who uses what it may, and how soon of who stays beyond: `using [SEEDS [FIRST]]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::ensemble::{Uses, notice};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().ok());
    let mut number = |otherwise: u64| numbers.next().flatten().unwrap_or(otherwise);
    let (seeds, first) = (number(200), number(0));
    for singles in [false, true] {
        for share in [1.0, 1.1, 1.2] {
            let meant = uses(share, singles);
            let told =
                (first..first + seeds).map(|seed| notice(seed, (meant, meant), (1_000, 0), None));
            let (mut words, mut blamed, mut ever) = (0, 0, 0);
            for one in told {
                words += one.words;
                blamed += one.blamed;
                ever += usize::from(one.blamed > 0);
            }
            println!(
                "uses {share} of 1.2, singles {singles}: told of at {blamed} of {words} words, on {ever} of {seeds} seeds"
            );
        }
        for share in [1.3, 1.4, 1.6, 2.4] {
            let told = (first..first + seeds).map(|seed| {
                let each = (uses(1.0, singles), uses(share, singles));
                notice(seed, each, (128, 64), None).found_after
            });
            let mut found: Vec<usize> = told.flatten().collect();
            found.sort_unstable();
            println!(
                "  then {share}: {} found, after {:?} in the middle, {:?} at most",
                found.len(),
                found.get(found.len() / 2),
                found.last()
            );
        }
    }
}

/// A sigma of a tenth of what is allotted.
fn uses(share: f64, singles: bool) -> Uses {
    Uses {
        share,
        sigma: 0.1,
        singles,
    }
}
