//! How soon what goes wrong among agents that play together is over, where they do what they are asked, and
//! where they do not: `recovering [SEEDS]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::ensemble::{Heeds, Provoked, recover};

fn main() {
    let seeds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let seeds: u64 = seeds.unwrap_or(20);
    for heeds in [Heeds::Does, Heeds::Ignores] {
        for provoked in Provoked::EACH {
            let all: Vec<_> = (0..seeds)
                .map(|seed| recover(seed, provoked, heeds))
                .collect();
            print!("{heeds:?} {provoked:?}: ");
            for (word, of) in [
                (
                    "found",
                    all.iter().map(|one| one.found_after).collect::<Vec<_>>(),
                ),
                ("kept", all.iter().map(|one| one.kept_after).collect()),
                ("over", all.iter().map(|one| one.over_after).collect()),
            ] {
                let mut after: Vec<usize> = of.into_iter().flatten().collect();
                after.sort_unstable();
                let middle = after.get(after.len() / 2);
                print!(
                    "{word} {} of {seeds}, {middle:?} / {:?}; ",
                    after.len(),
                    after.last()
                );
            }
            let cues: usize = all.iter().map(|one| one.cues).sum();
            let again: usize = all.iter().map(|one| one.again).sum();
            println!("{:.1} cues, told again {again}", cues as f64 / seeds as f64);
        }
    }
}
