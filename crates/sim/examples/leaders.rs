//! Judges timing leaders on seeds: `leaders [first] [count] [fault or trouble]`. A trouble (`Liar`) is
//! put in the place of the one that a seed draws.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use std::collections::BTreeMap;

use unisono_core::election;
use unisono_core::timekeeper::Fault;
use unisono_sim::timing::{Trouble, judge_leaders, judge_trouble};

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| {
        words
            .get(at)
            .and_then(|word| word.parse().ok())
            .unwrap_or(or)
    };
    let (first, count) = (number(0, 0), number(1, 50));
    let fault = match words.get(2).map(String::as_str) {
        Some("epoch-ignored") => Some(Fault::Election(election::Fault::EpochIgnored)),
        Some("hysteresis-off") => Some(Fault::Election(election::Fault::HysteresisOff)),
        Some("timeline-restarted") => Some(Fault::TimelineRestarted),
        Some("liars-believed") => Some(Fault::LiarsBelieved),
        _ => None,
    };
    let trouble = Trouble::ALL
        .into_iter()
        .find(|one| words.get(2) == Some(&format!("{one:?}")));
    let mut broken = 0;
    let (mut looks, mut likely) = (0, 0);
    let mut after: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut phases: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for seed in first..first + count {
        let found = match trouble {
            Some(trouble) => judge_trouble(seed, trouble, fault),
            None => judge_leaders(seed, fault),
        };
        if !found.violations.is_empty() {
            broken += 1;
            println!("seed {seed} {}: {:?}", found.trouble, found.violations);
            if count == 1 {
                println!("{}", found.story.join("\n"));
            }
        }
        looks += found.looks;
        likely += found.likely;
        for failover in found.failovers {
            after
                .entry(found.trouble.clone())
                .or_default()
                .push(failover.after_ms);
            let phase_us = failover.phase_ns.unsigned_abs() as f64 / 1e3;
            phases
                .entry(found.trouble.clone())
                .or_default()
                .push(phase_us);
        }
    }
    println!("{broken} of {count} seeds broken");
    let share = likely as f64 / looks.max(1) as f64;
    println!("the likely interval held the leader's time at {share:.5} of {looks} looks");
    tell("new leader after ms", after);
    tell("phase us", phases);
    if broken == 0 {
        std::process::ExitCode::SUCCESS
    } else {
        std::process::ExitCode::FAILURE
    }
}

/// What was found of each trouble.
fn tell(name: &str, rows: BTreeMap<String, Vec<f64>>) {
    for (trouble, mut values) in rows {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        println!(
            "{name}, {trouble}: n {}, median {:.1}, p99 {:.1}, worst {:.1}",
            values.len(),
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}
