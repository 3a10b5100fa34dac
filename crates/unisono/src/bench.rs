//! Measures: what an action costs in the core, over HTTP, on every replica, in memory, and late; and
//! how far the cluster's clock is off.

mod asking;
mod clock;
mod clock_processes;
mod clock_truth;
mod durable;
mod ensemble;
mod figures;
mod fleet;
mod history;
mod idle;
mod inside;
mod iterations;
mod memory;
mod parts;
mod processes;
mod resonance;
mod rights;
mod ring;
mod search;
mod standing;
mod together;
mod trust;
mod unseen;
mod visible;
mod wan;
mod writers;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::Global;
use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::output;
use figures::Figures;

/// The first seed on which the clock is judged: nothing was tuned on it or those behind it.
const CLOCK_SEED: u64 = 20_000;

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum What {
    /// In one process, without network and disk: processor time by part, bytes, messages
    Core,
    /// Durable actions a second over HTTP, on one node and on three
    Http,
    /// From an action to the last replica, from a claim to its confirmation
    Visible,
    /// A long history: starting with it, joining late
    Join,
    /// A hundred orchestras, five of them active
    Memory,
    /// What rights cost: a token, a request, a verdict, ten thousand fences, a handshake, an alert
    Trust,
    /// A brief behind ten thousand records, a hundred thousand, a million
    Continue,
    /// The same and `sense` over HTTP, of a node that was filled over HTTP
    Asking,
    /// What is read at the beginning of an iteration, in tokens, after 1, 10 and 100 of them
    Iterations,
    /// Collisions of intentions against what a fleet's trace (`--file`) linked by itself
    Interference,
    /// Finding interferences beside a thousand to a million signals that stand (`--records`)
    Standing,
    /// A fleet's trace (`--file`) folded at its own times: coherence, interferences, NEEDs; and how
    /// much of what an agent turns to next it was told
    Fleet,
    /// The cluster's clock in simulated worlds, beside other estimators
    Clock,
    /// Fifty agents who act together, in simulated worlds, beside other ways to do it
    Ensemble,
    /// The cluster's clock between real processes whose clocks are off, against the machine's own
    ClockProcesses,
}

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct BenchArgs {
    /// What is measured [default: core http visible]
    #[arg(value_enum)]
    what: Vec<What>,
    /// How long each load lasts (s)
    #[arg(long, value_name = "S", default_value_t = 10)]
    seconds: u64,
    /// How many writers; may stand several times [default: 1, 16, 64, 256]
    #[arg(long, value_name = "N", value_delimiter = ',')]
    writers: Vec<usize>,
    /// How long the history is at most (`join`, `continue`, `asking`)
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    records: u64,
    /// How many orchestras (`memory`)
    #[arg(long, value_name = "N", default_value_t = 100)]
    orchestras: usize,
    /// Records of one orchestra in one iteration (`memory`)
    #[arg(long, value_name = "N", default_value_t = 200)]
    iteration_records: u64,
    /// How many seeds each world gets (`clock`, `ensemble`)
    #[arg(long, value_name = "N", default_value_t = 20)]
    clock_seeds: u64,
    /// The emulated network that chaos/wan.sh has built and that calls this (`clock-processes`);
    /// loopback if left out
    #[arg(long, value_name = "DIR")]
    wan: Option<PathBuf>,
    /// How long a region is cut off behind that network (s) (`clock-processes`)
    #[arg(long, value_name = "S", default_value_t = 20)]
    cut_seconds: u64,
    /// The trace (`interference`, `fleet`)
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Where the nodes' data lies while it is measured: a new folder below the system's for
    /// temporary files if left out
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
}

/// Does it. Exit code 0 only if every budget is kept.
pub(crate) async fn run(args: BenchArgs, _config: Config, global: Global) -> Result<(), Failure> {
    let scratch = args.scratch.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = scratch.join(format!("unisono-bench-{}", std::process::id()));
    std::fs::create_dir_all(&scratch)
        .map_err(|error| Failure::system(&scratch.display().to_string(), &error))?;
    let mut figures = Figures::default();
    let measured = measure(&args, &scratch, &mut figures).await;
    // What cannot be removed is only in the way.
    let _ = std::fs::remove_dir_all(&scratch);
    measured?;
    figures.print(global.output)?;
    let missed: Vec<&str> = figures
        .figures
        .iter()
        .filter(|figure| figure.ok == Some(false))
        .map(|figure| figure.name.as_str())
        .collect();
    match missed.as_slice() {
        [] => Ok(()),
        missed => Err(Failure::new(Exit::Failed, "budget", missed.join(", "))
            .hint("other work on the same processors shows in every figure; measure again alone")),
    }
}

/// Where clocks of processes are measured, and for how long.
fn behind(args: &BenchArgs, time: Duration) -> clock_processes::Measured {
    clock_processes::Measured {
        time,
        wan: args.wan.clone(),
        cut: Duration::from_secs(args.cut_seconds.clamp(1, 3_600)),
    }
}

async fn measure(
    args: &BenchArgs,
    scratch: &std::path::Path,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let what = match args.what.as_slice() {
        [] => vec![What::Core, What::Http, What::Visible],
        named => named.to_vec(),
    };
    let writers = match args.writers.as_slice() {
        [] => vec![1, 16, 64, 256],
        named => named.to_vec(),
    };
    let time = Duration::from_secs(args.seconds.max(1));
    for what in what {
        output::say(&format!("measuring {what:?}"));
        match what {
            What::Core => {
                let inside = tokio::task::spawn_blocking(inside::run).await;
                let inside = inside
                    .map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
                figures.figures.extend(inside?.figures);
            }
            What::Http => durable::run(scratch, &writers, time, figures).await?,
            What::Visible => visible::run(scratch, 300, figures).await?,
            What::Join => history::run(scratch, args.records, figures).await?,
            What::Memory => {
                memory::run(scratch, args.orchestras, args.iteration_records, figures).await?;
            }
            What::Trust => judged_rights(scratch, figures).await?,
            What::Continue => {
                let records = args.records;
                let told = tokio::task::spawn_blocking(move || resonance::briefs(records)).await;
                let told = told
                    .map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
                figures.figures.extend(told.figures);
            }
            What::Asking => asking::run(scratch, args.records, figures).await?,
            What::Iterations => iterations::run(figures)?,
            What::Standing => {
                standing::run(args.records, figures);
                standing::reads(args.records, figures);
            }
            What::Interference | What::Fleet => traced(what, args, figures).await?,
            What::Ensemble => {
                let seeds = CLOCK_SEED..CLOCK_SEED + args.clock_seeds.max(1);
                let judged = tokio::task::spawn_blocking(move || ensemble::run(seeds)).await;
                let judged = judged
                    .map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
                figures.figures.extend(judged.figures);
            }
            What::ClockProcesses => {
                clock_processes::run(scratch, &behind(args, time), figures).await?;
            }
            What::Clock => {
                let seeds = CLOCK_SEED..CLOCK_SEED + args.clock_seeds.max(1);
                let judged = tokio::task::spawn_blocking(move || clock::run(seeds)).await;
                let judged = judged
                    .map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
                figures.figures.extend(judged.figures);
            }
        }
    }
    Ok(())
}

/// What rights cost: each part in a thread of its own, then what needs two ends or a whole node.
async fn judged_rights(scratch: &std::path::Path, figures: &mut Figures) -> Result<(), Failure> {
    let judged = tokio::task::spawn_blocking(trust::run).await;
    let judged =
        judged.map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))?;
    figures.figures.extend(judged?.figures);
    rights::handshakes(figures)?;
    rights::violations(scratch, figures).await
}

/// What is measured on a fleet's trace.
async fn traced(what: What, args: &BenchArgs, figures: &mut Figures) -> Result<(), Failure> {
    let Some(file) = args.file.clone() else {
        return Err(Failure::usage("which trace is not said").hint("--file FILE"));
    };
    let told = tokio::task::spawn_blocking(move || match what {
        What::Fleet => fleet::run(&file),
        _ => resonance::collisions(&file),
    });
    let told = told.await;
    let told =
        told.map_err(|error| Failure::new(Exit::Failed, "internal", error.to_string()))??;
    figures.figures.extend(told.figures);
    figures.lines.extend(told.lines);
    Ok(())
}
