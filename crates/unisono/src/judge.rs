//! Judges what was promised by what is there: histories of serving nodes against dumps.

mod disks;
mod dump;
mod history;
mod journal;
pub(crate) mod load;
mod refold;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use unisono_model::{Digest, Stamp};

use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format};

pub(crate) use dump::Dump;
pub(crate) use history::Histories;
pub(crate) use journal::{Inspected, inspect};
pub(crate) use refold::{Refolded, TaskNow, refold};
pub(crate) use shown::{Shown, shown};

/// What the command is told.
#[derive(Clone, Debug, Args)]
pub(crate) struct JudgeArgs {
    /// What a node recorded with `serve --history`; may stand several times
    #[arg(long, value_name = "FILE", num_args = 1..)]
    history: Vec<PathBuf>,
    /// What `unisono dump` printed at one node; may stand several times
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "disks")]
    dump: Vec<PathBuf>,
    /// The data directories of all nodes, running or not, for the simulator's judges: they read the
    /// journals and fold everything again. A node that wrote a history must have written one in all
    /// of its lives. Notes are not judged
    #[arg(long, value_name = "DIR", num_args = 1..)]
    disks: Vec<PathBuf>,
}

/// What the judge found.
#[derive(Debug, Default)]
pub(crate) struct Judgement {
    /// Records that were acknowledged.
    pub(crate) acknowledged: usize,
    /// Of these, records that some dump has not.
    pub(crate) lost: BTreeSet<Digest>,
    /// Claims that were once called confirmed.
    pub(crate) confirmed: usize,
    /// What did not hold.
    pub(crate) violations: Vec<String>,
}

/// Judges, prints what did not hold, and `acknowledged=N lost=M` as the last line.
pub(crate) fn run(args: &JudgeArgs, global: &Global) -> Result<(), Failure> {
    let histories = Histories::of(&args.history)?;
    let dumps = args
        .dump
        .iter()
        .map(|path| Dump::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let mut judgement = judge(&histories, &dumps);
    // What stands on disks that are in use may have been asked for since: that is read after them.
    let found = disks::judge(&args.disks, &histories, || Histories::of(&args.history))?;
    if !args.disks.is_empty() {
        let names = histories.acknowledged.iter().map(|told| told.record);
        let lost = names.filter(|name| !found.held.contains(name));
        judgement.lost.extend(lost);
    }
    judgement.violations.extend(found.violations);
    let (acknowledged, lost) = (judgement.acknowledged, judgement.lost.len());
    if global.output == Format::Table {
        for violation in &judgement.violations {
            output::raw(&format!("violated: {violation}\n"))?;
        }
        let (failed, unknown) = (histories.failed, histories.unknown + histories.open);
        output::raw(&format!(
            "{} dumps, {} disks, {} records; {failed} refused, {unknown} of unknown end, {} claims confirmed\n\
             acknowledged={acknowledged} lost={lost}\n",
            dumps.len(),
            args.disks.len(),
            dumps
                .first()
                .map_or(found.held.len(), |dump| dump.records.len()),
            judgement.confirmed,
        ))?;
    } else {
        let answer = json!({
            "acknowledged": acknowledged,
            "lost": lost,
            "refused": histories.failed,
            "unknown": histories.unknown + histories.open,
            "confirmed": judgement.confirmed,
            "violations": judgement.violations,
        });
        output::answer(global.output, &answer, None)?;
    }
    if judgement.violations.is_empty() {
        return Ok(());
    }
    let words = format!("{} promises were not kept", judgement.violations.len());
    Err(Failure::new(Exit::Verification, "violated", words))
}

/// Holds what was promised against what is there.
pub(crate) fn judge(histories: &Histories, dumps: &[Dump]) -> Judgement {
    let mut judgement = Judgement::default();
    let names: BTreeSet<Digest> = histories
        .acknowledged
        .iter()
        .map(|told| told.record)
        .collect();
    judgement.acknowledged = names.len();
    for dump in dumps {
        judgement.lost.extend(names.difference(&dump.names));
        for checked in [dump.stamps_rise(), dump.chains_are_whole()] {
            judgement.violations.extend(checked.err());
        }
    }
    if !judgement.lost.is_empty() {
        let some: Vec<String> = judgement
            .lost
            .iter()
            .take(3)
            .map(|name| format!("{name:?}"))
            .collect();
        let words = format!(
            "{} acknowledged records are gone: {}",
            judgement.lost.len(),
            some.join(", ")
        );
        judgement.violations.push(words);
    }
    judgement
        .violations
        .extend(told_stamps_rise(histories).err());
    let confirmed = histories
        .acknowledged
        .iter()
        .filter_map(|told| told.confirmed());
    let confirmed: BTreeSet<Digest> = confirmed.map(|granted| granted.claim).collect();
    judgement.confirmed = confirmed.len();
    let Some(first) = dumps.first() else {
        return judgement;
    };
    for (number, dump) in dumps.iter().enumerate().skip(1) {
        let differ = first.names.symmetric_difference(&dump.names).count();
        if differ > 0 {
            judgement.violations.push(format!(
                "dumps 1 and {} differ in {differ} records",
                number + 1
            ));
        }
    }
    let folded = refold(first, Stamp::MAX);
    judgement
        .violations
        .extend(confirmed_hold(&confirmed, &folded));
    judgement
}

/// Stamps that a node tells rise with its answers' records: no record is told under two stamps, and
/// none under another's.
fn told_stamps_rise(histories: &Histories) -> Result<(), String> {
    let mut stamps: BTreeMap<(&str, Stamp), Digest> = BTreeMap::new();
    for told in histories.acknowledged.iter().filter(|told| !told.repeated) {
        let other = stamps.insert((&told.node, told.stamp), told.record);
        if other.is_some_and(|other| other != told.record) {
            return Err(format!(
                "{} told the stamp {} for two records",
                told.node, told.stamp
            ));
        }
    }
    Ok(())
}

/// What was once called confirmed has not lost, and no two of one topic held at one time.
fn confirmed_hold(confirmed: &BTreeSet<Digest>, folded: &Refolded) -> Vec<String> {
    let lost = confirmed
        .iter()
        .filter(|claim| folded.lost.contains_key(*claim));
    let lost = lost.map(|claim| format!("the claim {claim:?} was confirmed, and lost"));
    lost.chain(folded.overlap(confirmed).err()).collect()
}
