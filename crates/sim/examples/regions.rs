//! Judges many regions: `regions [first] [count] [name]`. One link 20 ms off, and what each node sends;
//! with the beginning of a name, only what is called so.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_core::timekeeper::Fault;
use unisono_sim::timing::{Regions, judge_regions};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, or: u64| {
        let word = words.get(at).and_then(|word| word.parse().ok());
        word.unwrap_or(or)
    };
    let seeds = number(0, 20_000)..number(0, 20_000) + number(1, 20);
    for (name, regions) in judged() {
        if words.get(2).is_some_and(|begin| !name.starts_with(begin)) {
            continue;
        }
        errors(name, seeds.clone(), regions);
    }
    if words.len() > 2 {
        return;
    }
    for (regions, nodes) in [
        (2, 1),
        (3, 1),
        (2, 4),
        (2, 16),
        (2, 32),
        (4, 4),
        (8, 4),
        (16, 4),
        (32, 2),
    ] {
        cost(Regions {
            regions,
            nodes,
            bad_ms: 0.0,
            seconds: 90,
            ..Regions::FIVE
        });
    }
}

/// Which regions are judged, and what they are called.
fn judged() -> [(&'static str, Regions); 14] {
    let five = Regions::FIVE;
    let even = Regions {
        bad_ms: 0.0,
        ..five
    };
    let mixed = Regions {
        uneven_ms: 5.0,
        ..five
    };
    let ignored = |regions| Regions {
        fault: Some(Fault::MeshIgnored),
        ..regions
    };
    let four = Regions { regions: 4, ..five };
    let three = Regions { regions: 3, ..five };
    let unheld = |regions| Regions {
        fault: Some(Fault::MajorityIgnored),
        ..regions
    };
    let lied_to = |regions| Regions {
        lie_ms: 50.0,
        bad_ms: 0.0,
        ..regions
    };
    [
        ("five regions, one link 20 ms off", five),
        ("the same, its own way alone", ignored(five)),
        ("five regions, even ways", even),
        ("the same, its own way alone", ignored(even)),
        ("five, one 20 ms off, others uneven by 5 ms", mixed),
        ("the same, its own way alone", ignored(mixed)),
        (
            "eight, one 20 ms off, others uneven by 5 ms",
            Regions {
                regions: 8,
                nodes: 1,
                ..mixed
            },
        ),
        ("four regions, one link 20 ms off", four),
        ("four, its own way alone", unheld(four)),
        ("the same, told of it", Regions { told: true, ..four }),
        ("four regions, one lies by 50 ms", lied_to(four)),
        ("three regions, one link 20 ms off", three),
        ("three, its own way alone", unheld(three)),
        ("three regions, one lies by 50 ms", lied_to(three)),
    ]
}

fn errors(name: &str, seeds: std::ops::Range<u64>, regions: Regions) {
    let (mut behind, mut others) = (Vec::new(), Vec::new());
    let (mut likely, mut hard) = (0, 0);
    for seed in seeds {
        let found = judge_regions(seed, regions);
        behind.extend(found.behind_ms);
        others.extend(found.others_ms);
        likely += found.likely;
        hard += found.hard;
    }
    let looks = (behind.len() + others.len()).max(1) as f64;
    println!(
        "{name}: behind it {}, others {}, hard {:.4}, 3 sigma {:.4}",
        row(behind),
        row(others),
        hard as f64 / looks,
        likely as f64 / looks
    );
}

fn row(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let count = values.len().max(1);
    let mean = values.iter().sum::<f64>() / count as f64;
    let at = |share: usize| values.get(values.len() * share / 100).copied();
    let p99 = at(99).or(values.last().copied()).unwrap_or_default();
    let worst = values.last().copied().unwrap_or_default();
    format!("{mean:.3} / {p99:.3} / {worst:.3}")
}

fn cost(regions: Regions) {
    let found = judge_regions(1, regions);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let [cluster, region, member] = [0, 1, 2].map(|kind| {
        let (bytes, datagrams) = (mean(&found.sent[kind]), mean(&found.datagrams[kind]));
        format!("{bytes:.0} B/s {datagrams:.1}/s")
    });
    let all: f64 = found.sent.iter().flatten().sum();
    println!(
        "{} regions of {}: the leader {cluster}, region leaders {region}, members {member}, together {all:.0} B/s",
        regions.regions, regions.nodes
    );
}
