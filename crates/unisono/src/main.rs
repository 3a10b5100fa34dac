//! The process: configuration, command line, the one loop around the node, and its doors.
//!
//! **Invariant:** decides nothing about the cluster's state; that is `unisono_core`. Everything that
//! it keeps lies in one data directory.

mod admission;
mod bench;
mod cli;
mod command;
mod config;
mod demo;
mod driver;
mod failure;
mod faults;
mod home;
mod offline;
mod output;
mod replay;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.global.output;
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(format, &failure);
            ExitCode::from(failure.report().exit)
        }
    }
}
