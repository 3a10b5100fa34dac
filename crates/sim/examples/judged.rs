//! How soon a node tells what goes wrong among agents that play together, and how often it is wrong:
//! `judged [SEEDS]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::ensemble::{PLAYERS, Provoked, Weather, heed};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(20);
    for weather in [Weather::Even, Weather::Busy] {
        for provoked in Provoked::EACH {
            let found = (0..seeds).map(|seed| heed(seed, weather, provoked, 128, 60).found_after);
            let mut found: Vec<usize> = found.flatten().collect();
            found.sort_unstable();
            let at = |share: usize| found.get(found.len() * share / 100).or(found.last());
            println!(
                "{weather:?} {provoked:?}: {} of {seeds}, after {:?} in the middle, {:?} at most",
                found.len(),
                at(50),
                found.last()
            );
        }
        let mut alarms = [0; 3];
        let (mut beats, mut wrong) = (0, 0);
        for seed in 0..seeds {
            let calm = heed(seed, weather, Provoked::Nothing, 2_000, 0);
            beats += calm.beats;
            wrong += calm.false_beats;
            for (all, one) in alarms.iter_mut().zip(calm.false_alarms) {
                *all += one;
            }
        }
        println!(
            "{weather:?} nothing wrong: {beats} beats of {PLAYERS}; began to be told of one {}, of all {}, of groups {}; something was told at {wrong}",
            alarms[0], alarms[1], alarms[2]
        );
    }
}
