//! Prints the history of one seed as JSON lines: `history SEED [nodes]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::{Scenario, run};

fn main() {
    let words: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    let nodes = words.get(1).map_or(5, |nodes| *nodes as usize);
    let scenario = Scenario {
        nodes,
        ..Scenario::default()
    };
    let outcome = run(&scenario, words.first().copied().unwrap_or(0));
    for operation in &outcome.history {
        println!("{}", serde_json::to_string(operation).unwrap_or_default());
    }
}
