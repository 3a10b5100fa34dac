//! The process: configuration, command line, the one loop around the node, and its doors.
//!
//! **Invariant:** decides nothing about the cluster's state; that is `unisono_core`. Everything that
//! it keeps lies in one data directory.

mod admission;
mod at_work;
mod bench;
mod cli;
mod command;
mod config;
mod demo;
mod driver;
mod failure;
mod faults;
mod home;
mod judge;
mod layout;
mod limits;
mod notify;
mod offline;
mod output;
mod prompt;
mod renewal;
mod replay;
mod room;
mod rotation;
mod sealed;
mod serve;
mod small_file;
mod standing;
mod tier;
mod timing;
mod tokens;
mod undumped;
mod webhook;
mod workspace;

use std::process::ExitCode;

use command::armed;
use failure::Failure;
use output::Format;

fn main() -> ExitCode {
    // What is made ready for a time is small and begins at once.
    let mut words = std::env::args_os().skip(1);
    match words.next() {
        Some(word) if word == armed::PROCESS => return armed::process_main(words),
        Some(word) if word == armed::WITNESS => return armed::witness_main(),
        _ => {}
    }
    // Before anything is read that others must not see.
    if let Err(error) = undumped::close() {
        output::say(&format!(
            "this system lets other processes look into this one: {error}"
        ));
    }
    let cli = match cli::read() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let format = cli.global.output;
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(format, &failure);
            ExitCode::from(failure.report().exit)
        }
    }
}

/// What the command line's reader has to say: help and version, or why it is wrong, in the format
/// that was asked for as far as that can be seen.
fn usage(error: &clap::Error) -> ExitCode {
    let json = std::env::args().collect::<Vec<_>>().windows(2).any(|pair| {
        matches!(pair[0].as_str(), "-o" | "--output")
            && matches!(pair[1].as_str(), "json" | "ndjson")
    });
    if !error.use_stderr() || !json {
        // Nobody is left to tell if this fails.
        let _ = error.print();
        return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
    }
    let text = error.to_string();
    let first = text
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    let failure = Failure::usage(first).next("unisono --help");
    output::failure(Format::Json, &failure);
    ExitCode::from(2)
}
