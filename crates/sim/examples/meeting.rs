//! What is left of errors where players do not know how many they are, and where they tell one another by how much
//! they correct: `meeting [SEEDS]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::ensemble::{Counts, Hears, meeting};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(20);
    for counts in [Counts::Fourth, Counts::Guess, Counts::Heard] {
        for players in [4, 8, 16, 50] {
            for hears in [
                Hears::Never,
                Hears::Always,
                Hears::Every(4),
                Hears::Every(40),
            ] {
                let all: Vec<_> = (0..seeds)
                    .map(|seed| meeting(seed, players, counts, hears))
                    .collect();
                let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
                println!(
                    "{counts:?} {players} hears {hears:?}: {:.3} over chance, all together {:.3}, most over least {:.2}",
                    mean(all.iter().map(|one| one.left.above_chance).collect()),
                    mean(all.iter().map(|one| one.all).collect()),
                    mean(all.iter().map(|one| one.apart).collect()),
                );
            }
        }
    }
}
