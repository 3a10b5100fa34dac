//! Plants each fault and counts the seeds that it takes to find it: `planted [most] [name]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::{Planted, Scenario, find};

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let most = words
        .first()
        .and_then(|word| word.parse().ok())
        .unwrap_or(60);
    let mut missed = 0;
    for planted in Planted::ALL
        .iter()
        .filter(|planted| words.get(1).is_none_or(|name| name == planted.name))
    {
        let scenario = Scenario {
            sabotage: Some(planted.name.into()),
            ..Scenario::default()
        };
        let found = find(&scenario, 0..most, planted.breaks);
        if let Some((seeds, outcome)) = found {
            let said = outcome
                .verdicts
                .iter()
                .map(|v| format!("{}: {}", v.invariant, v.detail));
            println!(
                "{}: found after {seeds} seeds: {:?}",
                planted.name,
                said.take(3).collect::<Vec<_>>()
            );
        } else {
            missed += 1;
            println!("{}: not found in {most} seeds", planted.name);
        }
    }
    if missed == 0 {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
