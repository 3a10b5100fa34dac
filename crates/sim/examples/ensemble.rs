//! The bench of the ensemble on some seeds: `ensemble [FIRST [COUNT]]`.
#![allow(clippy::disallowed_methods, reason = "a program reads its arguments")]

use unisono_sim::ensemble::bench;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let mut number = |otherwise: u64| numbers.next().and_then(Result::ok).unwrap_or(otherwise);
    let (first, count) = (number(20_000), number(20));
    let table = bench(first..first + count.max(1));
    println!(
        "world  what                      actions    mean ms      sd ms     p99 ms   worst ms"
    );
    for row in &table.rows {
        println!(
            "{:6} {:24} {:8} {:10.4} {:10.4} {:10.3} {:10.3}",
            row.world, row.what, row.actions, row.mean_ms, row.sd_ms, row.p99_ms, row.worst_ms
        );
    }
    for (name, value) in &table.figures {
        println!("{name:60} {value:.4}");
    }
}
