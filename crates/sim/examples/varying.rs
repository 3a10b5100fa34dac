//! How often variation that is meant is taken for trouble, and how soon what only looks like it is told:
//! `varying [SEEDS [FIRST]]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_core::ensemble::{Stress, Variation};
use unisono_sim::ensemble::{Does, Plan, Weather, vary};

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse().ok());
    let mut number = |otherwise: u64| numbers.next().flatten().unwrap_or(otherwise);
    let (seeds, first) = (number(20), number(0));
    let places = [
        (Stress::Point, 1),
        (Stress::Point, 2),
        (Stress::Point, 3),
        (Stress::Major, 4),
        (Stress::Beat, 3),
    ];
    for weather in [Weather::Even, Weather::Busy] {
        for (at, beats) in places {
            let sigmas: &[f64] = match (weather, at, beats) {
                (Weather::Even, Stress::Point, 2) => &[2.0, 4.0],
                _ => &[4.0],
            };
            for sigmas in sigmas.iter().copied() {
                let plan = Plan {
                    at,
                    beats,
                    sigmas,
                    weather,
                };
                println!("{weather:?}, {beats} from each {at:?} on, {sigmas} sigma");
                table(plan, first..first + seeds);
            }
        }
    }
}

fn table(plan: Plan, seeds: std::ops::Range<u64>) {
    let (mut beats, mut blamed, mut unheard, mut others, mut varies, mut ever) = (0, 0, 0, 0, 0, 0);
    for seed in seeds.clone() {
        let told = vary(seed, plan, (192, 0), Does::Varies, None);
        beats += told.beats;
        blamed += told.blamed_beats;
        ever += usize::from(told.blamed_beats > 0);
        unheard += told.unheard_beats;
        others += told.others_beats;
        varies += usize::from(told.varies);
    }
    println!(
        "  meant: blamed at {blamed} of {beats} beats, on {ever} seeds; others at {others}; without bounds at {unheard}; said to vary {varies}"
    );
    for (does, right) in [
        (Does::GoesBeyond, Variation::OutOfBounds),
        (Does::StaysAway, Variation::NotReturning),
        (Does::AtRandom, Variation::NoPattern),
    ] {
        let told = seeds
            .clone()
            .map(|seed| vary(seed, plan, (64, 96), does, None));
        let told: Vec<_> = told.collect();
        let mut found: Vec<usize> = told.iter().filter_map(|one| one.found_after).collect();
        found.sort_unstable();
        let rightly = told.iter().filter(|one| one.reason == Some(right)).count();
        println!(
            "  {does:?}: {} found, after {:?} in the middle, {:?} at most; {rightly} with the right reason",
            found.len(),
            found.get(found.len() / 2),
            found.last()
        );
    }
}
