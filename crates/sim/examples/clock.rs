//! Judges the cluster's clock in worlds with a known truth:
//! `clock [--seeds FROM..TO] [--worlds A,B] [--who unisono|rivals|controls|all] [--mesh] [--json]`;
//! `clock --cost` measures what a probe and a reading cost; `clock --drawn X --seeds FROM..TO` shows the
//! worlds that seeds draw.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use std::time::Instant;

use unisono_core::timing::{ClusterClock, Fault, Probe};
use unisono_sim::timing::{
    Contestant, Report, World, bench_world, mesh_of_five, text, text_of_seeds,
};

const CONTROLS: [Contestant; 3] = [
    Contestant::Faulty(Fault::SlopeIgnored),
    Contestant::Faulty(Fault::AnswersIgnored),
    Contestant::Shuffled,
];

fn main() -> std::process::ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--cost") {
        cost();
        return std::process::ExitCode::SUCCESS;
    }
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
        None => World::all().into_iter().chain(World::held_out()).collect(),
    };
    if let Some(world) = value("--drawn").and_then(|name| World::named(&name)) {
        for seed in from..to {
            let world = world.on(seed);
            println!(
                "{seed}: {:.3} and {:.3} ms, {:?}, {:?}, {:.2} probes a second, burst {}, {:.3} lost",
                world.question_ms,
                world.answer_ms,
                world.law,
                world.clock,
                world.probes_hz,
                world.burst,
                world.lost
            );
        }
        return std::process::ExitCode::SUCCESS;
    }
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
        print!("\n{}", text_of_seeds(&rows));
    }
    std::process::ExitCode::SUCCESS
}

/// Time that passes here is processor time on an idle machine; run it more than once.
fn cost() {
    const PROBES: u64 = 20_000;
    let mut clock = ClusterClock::default();
    let mut luck = 1_u64;
    let mut delay_ns = || {
        luck = luck.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let uniform = ((luck >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        40_000_000 + (-uniform.ln() * 20e6) as u64
    };
    let probes: Vec<Probe> = (1..=PROBES)
        .filter_map(|number| {
            let sent_ns = number * 200_000_000;
            let reached_ns = 1_800_000_000_000_000_000 + sent_ns + delay_ns();
            let back_ns = reached_ns - 1_800_000_000_000_000_000 + delay_ns();
            Probe::new(sent_ns, reached_ns, reached_ns, back_ns).ok()
        })
        .collect();
    let begin = Instant::now();
    let taken = probes
        .iter()
        .filter(|probe| clock.push(probe).is_ok())
        .count();
    let per_probe = begin.elapsed().as_secs_f64() / taken as f64;
    let begin = Instant::now();
    let last_ns = PROBES * 200_000_000;
    let told = (0..PROBES)
        .filter(|ns| clock.now(last_ns + ns).is_some())
        .count();
    let per_reading = begin.elapsed().as_secs_f64() / told as f64;
    println!("{:.1} µs a probe ({taken} taken)", per_probe * 1e6);
    println!("{:.2} µs a reading", per_reading * 1e6);
}
