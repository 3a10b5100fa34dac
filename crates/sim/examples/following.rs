//! What corrections make of a response that moves, by each rule: `following [SEEDS]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_core::ensemble::Rule;
use unisono_sim::ensemble::{Moves, follow};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(20);
    println!(
        "over what chance does: before / the first twenty / from the fortieth on (worst seed)"
    );
    for (name, moves) in Moves::ALL {
        for delay in [0, 3] {
            print!("{name:16} feedback {delay} late");
            for (rule, adaptive) in [
                (Rule::Kalman, true),
                (Rule::Kalman, false),
                (Rule::Best, true),
                (Rule::Best, false),
                (Rule::Seed, true),
                (Rule::Seed, false),
            ] {
                let mut sums = [0.0; 3];
                let mut worst = 0.0_f64;
                for seed in 0..seeds {
                    let one = follow(seed, moves, delay, (rule, adaptive), None);
                    for (sum, value) in sums.iter_mut().zip([one.before, one.first, one.after]) {
                        *sum += value / seeds as f64;
                    }
                    worst = worst.max(one.after);
                }
                let [before, first, after] = sums;
                let word = if adaptive { "" } else { " fixed" };
                print!(" | {rule:?}{word} {before:.3} / {first:.2} / {after:.3} ({worst:.2})");
            }
            println!();
        }
    }
}
