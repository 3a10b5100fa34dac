//! What measuring costs: `cargo run --profile ci -p unisono-measure --example parse_cost -- FILE...` prints
//! each file's time, greatest complexity and greatest length, and with `-v` its functions.
#![allow(
    clippy::disallowed_methods,
    reason = "an example measures time and reads files; the crate does neither"
)]

use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let wordy = arguments.iter().any(|argument| argument == "-v");
    let (mut bytes, mut micros) = (0, 0);
    for path in arguments.iter().filter(|argument| *argument != "-v") {
        let Ok(content) = std::fs::read(path) else {
            println!("{path}: cannot be read");
            continue;
        };
        let start = Instant::now();
        let measured = unisono_measure::measure(path, &content);
        let took = start.elapsed().as_micros();
        bytes += content.len();
        micros += took;
        match measured {
            Ok(report) => {
                println!(
                    "{path}: complexity {}, length {}, {} functions, {took} us",
                    report.complexity_max,
                    report.length_max,
                    report.functions.len()
                );
                for function in report.functions.iter().filter(|_| wordy) {
                    println!("  {function:?}");
                }
            }
            Err(refusal) => println!("{path}: {}: {refusal}, {took} us", refusal.code()),
        }
    }
    let kibibytes = bytes as f64 / 1024.0;
    println!(
        "{kibibytes:.0} KiB, {:.0} us per KiB",
        micros as f64 / kibibytes.max(0.001)
    );
}
