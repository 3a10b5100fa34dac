//! The simulator from the command line: seeds, what failed, what happened how often.

use std::ops::Range;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use unisono_sim::{Campaign, Outcome, Planted, Scenario, campaign, run_with_trace, shrink};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

/// So many seeds are a campaign, which has to show everything that ought to happen sometimes: fewer may
/// miss what is rare.
const CAMPAIGN_SEEDS_MIN: u64 = 100;

/// `sim`.
#[derive(Clone, Debug, Args)]
pub(crate) struct SimArgs {
    /// Which seeds: FIRST..LAST, the last not included
    #[arg(long, default_value = "0..10", value_parser = seeds)]
    seeds: Range<u64>,
    /// How many nodes [default: as the scenario says]
    #[arg(long)]
    nodes: Option<usize>,
    /// The scenario, JSON; the ordinary one if left out
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Breaks a rule on purpose; `list` shows the names
    #[arg(long, value_name = "NAME")]
    sabotage: Option<String>,
    /// Writes the traces of failing seeds here [default: unisono-sim-traces, without a sabotage]
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
    /// Stops at the first seed that fails; with a sabotage, at the first that fails as it should
    #[arg(long)]
    first: bool,
    /// Shortens the list of faults of each failing seed as long as it still fails, and shows it
    #[arg(long)]
    shrink: bool,
    /// Does not ask that everything which ought to happen sometimes did: few seeds cannot show it
    #[arg(long)]
    short: bool,
}

/// Where traces go when nobody says.
const TRACES: &str = "unisono-sim-traces";

/// Runs seeds; fails if anything did not hold, or if something never happened.
pub(crate) fn run(args: &SimArgs, global: &Global) -> Result<(), Failure> {
    if args.sabotage.as_deref() == Some("list") {
        let names: Vec<_> = Planted::ALL
            .iter()
            .map(|planted| json!({ "name": planted.name, "breaks": planted.breaks }))
            .collect();
        let columns = &[("NAME", "name"), ("BREAKS", "breaks")];
        let table = output::Table {
            list: "sabotages",
            columns,
        };
        return output::answer(global.output, &json!({ "sabotages": names }), Some(table));
    }
    let scenario = scenario(args)?;
    let planted = args.sabotage.as_deref().and_then(Planted::named);
    let started = std::time::Instant::now();
    let traces = args.traces.clone();
    let traces = traces.or_else(|| planted.is_none().then(|| PathBuf::from(TRACES)));
    let mut runs = Vec::new();
    let result = campaign(&scenario, args.seeds.clone(), |outcome| {
        if !outcome.is_ok() {
            let file = args.scenario.as_ref();
            let file = file.map_or_else(String::new, |path| {
                format!(" --scenario {}", path.display())
            });
            let again = outcome.replay(&scenario);
            output::say(&format!(
                "seed {} failed; again: {again}{file}",
                outcome.seed
            ));
            // At once: whoever ends a long campaign has what it has found.
            let written = traces
                .iter()
                .try_for_each(|to| write_trace(to, &scenario, outcome));
            if let Err(failure) = written {
                output::say(&failure.report().error);
            }
        }
        if global.output == Format::Json {
            runs.extend(serde_json::to_value(outcome.summary()).ok());
        } else if let Ok(line) = serde_json::to_string(&outcome.summary()) {
            // A reader that has gone away ends the process by itself.
            let _ = output::raw(&format!("{line}\n"));
        }
        let found = planted.map_or(!outcome.is_ok(), |planted| outcome.breaks(planted.breaks));
        !(args.first && found)
    });
    if args.shrink {
        for outcome in &result.failed {
            shorten(traces.as_deref(), &scenario, outcome)?;
        }
    }
    tell(
        &result,
        runs,
        args.short,
        started.elapsed().as_secs_f64(),
        global,
    )
}

fn tell(
    result: &Campaign,
    runs: Vec<serde_json::Value>,
    short: bool,
    seconds: f64,
    global: &Global,
) -> Result<(), Failure> {
    let never = result.never();
    let failed: Vec<_> = result.failed.iter().map(Outcome::summary).collect();
    let body = json!({
        "seeds": result.seeds,
        "failed": failed,
        "runs": runs,
        "never": never,
        "counters": result.counters.all(),
        "virtual_hours": result.virtual_ns as f64 / 3.6e12,
        "seconds": seconds,
    });
    if global.output == Format::Json {
        output::answer(Format::Json, &body, None)?;
    }
    output::say(&format!(
        "{} seeds, {} failed, {:.1} virtual hours in {seconds:.1} s",
        result.seeds,
        result.failed.len(),
        result.virtual_ns as f64 / 3.6e12,
    ));
    if !result.is_ok() {
        let seeds: Vec<u64> = result.failed.iter().map(|outcome| outcome.seed).collect();
        let words = format!("something did not hold in seeds {seeds:?}");
        return Err(Failure::new(Exit::Verification, "violation", words));
    }
    // One seed cannot show everything; a campaign has to.
    if !short && result.seeds >= CAMPAIGN_SEEDS_MIN && !never.is_empty() {
        let words = format!("never seen in {} seeds: {}", result.seeds, never.join(", "));
        return Err(Failure::new(Exit::Verification, "never_seen", words));
    }
    Ok(())
}

fn scenario(args: &SimArgs) -> Result<Scenario, Failure> {
    let mut scenario = match &args.scenario {
        None => Scenario::default(),
        Some(path) => {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|e| Failure::system(&shown, &e))?;
            serde_json::from_str(&text).map_err(|e| Failure::usage(format!("{shown}: {e}")))?
        }
    };
    if let Some(nodes) = args.nodes {
        scenario.nodes = nodes;
    }
    if scenario.nodes == 0 {
        return Err(Failure::usage("a cluster has at least one node".to_owned()));
    }
    if let Some(name) = &args.sabotage {
        if Planted::named(name).is_none() {
            return Err(
                Failure::usage(format!("no rule is broken by the name {name:?}"))
                    .next("unisono sim --sabotage list"),
            );
        }
        scenario.sabotage = Some(name.clone());
    }
    Ok(scenario)
}

fn write_trace(
    directory: &std::path::Path,
    scenario: &Scenario,
    failed: &Outcome,
) -> Result<(), Failure> {
    let shown = directory.display().to_string();
    std::fs::create_dir_all(directory).map_err(|error| Failure::system(&shown, &error))?;
    let path = directory.join(format!("seed-{}.jsonl", failed.seed));
    let lines = run_with_trace(scenario, failed.seed).lines.join("\n");
    std::fs::write(&path, lines).map_err(|error| Failure::system(&shown, &error))
}

/// Most runs that are spent on one seed's list of faults.
const SHRINK_RUNS_MAX: u32 = 100;

fn shorten(
    directory: Option<&std::path::Path>,
    scenario: &Scenario,
    failed: &Outcome,
) -> Result<(), Failure> {
    let shrunk = shrink(scenario, failed, SHRINK_RUNS_MAX);
    let (seed, before) = (failed.seed, shrunk.before);
    let Some(shorter) = &shrunk.left else {
        output::say(&format!(
            "seed {seed}: not shortened: with exactly its {before} faults, and allowed to be small, \
             it does not fail by the same invariant"
        ));
        return Ok(());
    };
    let left = shorter.only.as_deref().unwrap_or_default();
    output::say(&format!(
        "seed {seed}: {} of {before} faults are left after {} runs",
        left.len(),
        shrunk.runs,
    ));
    for (at_ns, fault) in left {
        output::say(&format!("  {:.3} s {fault:?}", *at_ns as f64 / 1e9));
    }
    if let Some(directory) = directory {
        let path = directory.join(format!("seed-{seed}.scenario.json"));
        let shown = path.display().to_string();
        let text = serde_json::to_string_pretty(shorter).unwrap_or_default();
        std::fs::write(&path, text).map_err(|error| Failure::system(&shown, &error))?;
        let again = format!(
            "unisono sim --seeds {seed}..{} --scenario {shown}",
            seed + 1
        );
        output::say(&format!("  again: {again}"));
    }
    Ok(())
}

fn seeds(text: &str) -> Result<Range<u64>, String> {
    let (first, last) = text
        .split_once("..")
        .ok_or("FIRST..LAST is wanted, such as 0..20")?;
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no number"));
    let (first, last) = (number(first)?, number(last)?);
    if first >= last {
        return Err("the last is not included, so it must be higher than the first".to_owned());
    }
    Ok(first..last)
}
