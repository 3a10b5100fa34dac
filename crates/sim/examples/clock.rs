//! Judges the cluster's clock in worlds with a known truth:
//! `clock [--seeds FROM..TO] [--worlds A,B] [--who unisono|rivals|controls|all] [--mesh] [--json]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_core::timing::Fault;
use unisono_sim::timing::{Contestant, Report, World, bench_world, mesh_of_five, text};

const CONTROLS: [Contestant; 3] = [
    Contestant::Faulty(Fault::SlopeIgnored),
    Contestant::Faulty(Fault::AnswersIgnored),
    Contestant::Shuffled,
];

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let place = words.iter().position(|word| word == name)?;
        words.get(place + 1).cloned()
    };
    let seeds = value("--seeds").unwrap_or_else(|| "0..20".into());
    let Some((Ok(from), Ok(to))) = seeds.split_once("..").map(|(a, b)| (a.parse(), b.parse()))
    else {
        eprintln!("--seeds FROM..TO, as in 0..200");
        return std::process::ExitCode::from(2);
    };
    let worlds: Vec<World> = match value("--worlds") {
        Some(names) => names.split(',').filter_map(World::named).collect(),
        None => World::all(),
    };
    let who = match value("--who").as_deref() {
        Some("unisono") => vec![Contestant::Unisono],
        Some("rivals") => vec![Contestant::Rivals],
        Some("controls") => CONTROLS.to_vec(),
        Some("all") => [&[Contestant::Unisono, Contestant::Rivals], &CONTROLS[..]].concat(),
        _ => vec![Contestant::Unisono, Contestant::Rivals],
    };
    let mut rows = Vec::new();
    for world in &worlds {
        for who in &who {
            rows.extend(bench_world(from..to, world, *who));
        }
    }
    if words.iter().any(|word| word == "--mesh") {
        rows.extend(mesh_of_five(from..to, false));
        rows.extend(mesh_of_five(from..to, true));
    }
    if words.iter().any(|word| word == "--json") {
        let seeds = (from, to);
        match serde_json::to_string_pretty(&Report { seeds, rows }) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("{error}"),
        }
    } else {
        print!("{}", text(&rows));
    }
    std::process::ExitCode::SUCCESS
}
