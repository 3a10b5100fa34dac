//! Runs seeds of the ordinary scenario: `campaign A..B [nodes] [sabotage]`, one line of JSON each.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::{Scenario, campaign, run_with_trace};

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (first, last) = words
        .first()
        .and_then(|range| range.split_once(".."))
        .unwrap_or(("0", "20"));
    let (Ok(first), Ok(last)) = (first.parse::<u64>(), last.parse::<u64>()) else {
        eprintln!("usage: campaign A..B [nodes] [sabotage]");
        return std::process::ExitCode::from(2);
    };
    let nodes = words
        .get(1)
        .and_then(|nodes| nodes.parse().ok())
        .unwrap_or(5);
    let sabotage = words.get(2).cloned();
    let scenario = Scenario {
        nodes,
        sabotage,
        ..Scenario::default()
    };
    if last == first + 1 && std::env::var_os("TRACE").is_some() {
        let outcome = run_with_trace(&scenario, first);
        outcome.lines.iter().for_each(|line| println!("{line}"));
    }
    let verbose = std::env::var_os("QUIET").is_none();
    let result = campaign(&scenario, first..last, |outcome| {
        if verbose || !outcome.is_ok() {
            println!(
                "{}",
                serde_json::to_string(&outcome.summary()).unwrap_or_default()
            );
        }
        if !outcome.is_ok() {
            eprintln!("replay: {}", outcome.replay(&scenario));
        }
        true
    });
    let failed: Vec<u64> = result.failed.iter().map(|outcome| outcome.seed).collect();
    eprintln!("{} seeds, failed {failed:?}", result.seeds);
    eprintln!("never: {:?}", result.never());
    eprintln!("{:?}", result.counters.all());
    if result.is_ok() {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}
