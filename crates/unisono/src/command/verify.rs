//! Verification without a node: of a data directory (every byte, signature and chain), of a dump
//! (order and completeness of chains), of an export (the same as of a directory), of a mark.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use unisono_api::dto::RecordEvent;
use unisono_core::carriage::Carried;
use unisono_core::context::StrictVerifier;
use unisono_core::journal::Journal;
use unisono_core::replication::LogState;
use unisono_model::{AgentId, ClusterId, Digest, LogId, OrchestraId, Stamp};

use super::audit;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::offline::{self, Overlay};
use crate::output;

/// How much of a log is read at once (bytes).
pub(super) const STEP_BYTES: usize = 4 << 20;
/// Most faults that are told one by one.
const FAULTS_MAX: usize = 20;

/// `verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A data directory, also one in use, or a file that `audit export`, `dump` or
    /// `mark export` printed
    path: PathBuf,
}

/// What was found in a data directory, or in an export of one.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Found {
    ok: bool,
    what: &'static str,
    pub(super) orchestras: u64,
    pub(super) logs: u64,
    pub(super) bundles: u64,
    pub(super) records: u64,
    /// Records that their agents' signatures or chains do not bear out: kept, and never counted.
    pub(super) inert: u64,
    pub(super) bytes: u64,
    faults: Vec<String>,
}

impl Found {
    /// One more fault, of which the first ones are told.
    pub(super) fn fault(&mut self, words: String) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(words);
        }
    }

    fn told(mut self, shown: &str, global: &Global) -> Result<(), Failure> {
        self.ok = self.faults.is_empty();
        output::answer(global.output, &self, None)?;
        verdict(self.ok, &self.faults, shown)
    }
}

/// What was found in a dump.
#[derive(Clone, Debug, Default, Serialize)]
struct DumpFound {
    ok: bool,
    what: &'static str,
    records: u64,
    chains: u64,
    logs: u64,
    faults: Vec<String>,
    /// What a dump cannot show.
    not_checked: &'static str,
}

/// Verifies what is at the path.
pub(crate) fn run(args: &VerifyArgs, global: &Global) -> Result<(), Failure> {
    if args.path.is_dir() {
        return directory(&args.path, global);
    }
    let shown = args.path.display().to_string();
    let file = std::fs::File::open(&args.path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, "unreadable", format!("{shown}: {error}"))
    })?;
    let mut lines = lines(BufReader::new(file));
    let first = lines
        .next()
        .transpose()
        .map_err(|error| Failure::system(&shown, &error))?;
    match first {
        Some(line) if super::mark::is_proof(&line, &args.path) => {
            super::mark::verify(&args.path, global)
        }
        Some(line) if audit::is_export(&line) => {
            let mut found = Found {
                what: "audit export",
                ..Found::default()
            };
            audit::check(&line, lines, &mut found)
                .map_err(|error| Failure::system(&shown, &error))?;
            found.told(&shown, global)
        }
        first => dump(first.into_iter().map(Ok).chain(lines), &shown, global),
    }
}

/// The lines of a file, none longer than any line that is good: what is meant to fill the memory
/// ends in an error.
fn lines(mut file: impl BufRead) -> impl Iterator<Item = io::Result<String>> {
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        let mut bounded = (&mut file).take(audit::LINE_BYTES_MAX as u64);
        let line = match bounded.read_until(b'\n', &mut bytes) {
            Ok(0) => return None,
            Ok(count) if count == audit::LINE_BYTES_MAX => {
                let words = format!("a line of more than {count} bytes");
                Err(io::Error::new(io::ErrorKind::InvalidData, words))
            }
            Ok(_) => String::from_utf8(bytes)
                .map(|line| line.trim_end_matches(['\n', '\r']).to_owned())
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "no UTF-8")),
            Err(error) => Err(error),
        };
        Some(line)
    })
}

fn directory(path: &Path, global: &Global) -> Result<(), Failure> {
    let home = Home::new(path);
    let (membership, _) = home.load()?;
    let mut journal = offline::open(&home.journal(), membership.cluster)?;
    let mut found = Found {
        what: "data directory",
        ..Found::default()
    };
    let verified = journal.verify(u64::MAX);
    let verified = verified
        .map_err(|error| Failure::new(Exit::Verification, "unreadable", error.to_string()))?;
    found.bytes = verified.bytes;
    // What was fetched from a peer and written again is no fault any more.
    let damage = journal.damage();
    for fault in damage {
        found.fault(fault.to_string());
    }
    for orchestra in journal.orchestras() {
        found.orchestras += 1;
        for log in journal.holdings(orchestra).into_keys() {
            found.logs += 1;
            if let Err(fault) = check_log(&journal, membership.cluster, orchestra, log, &mut found)
            {
                found.fault(format!("orchestra {orchestra}, log {log:?}: {fault}"));
            }
        }
    }
    found.told(&path.display().to_string(), global)
}

fn check_log(
    journal: &Journal<Overlay>,
    cluster: ClusterId,
    orchestra: OrchestraId,
    log: LogId,
    found: &mut Found,
) -> Result<(), String> {
    let mut state = LogState::default();
    loop {
        let entries = journal.read(orchestra, log, state.seq + 1, STEP_BYTES);
        let entries = entries.map_err(|error| error.to_string())?;
        let next = state.seq + 1;
        if let Some(first) = entries.first().map(|entry| entry.key.seq)
            && first > next
        {
            return Err(format!("bundles {next}-{} cannot be read", first - 1));
        }
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            let place = entry.key.seq;
            let carried = Carried::admit(&entry.bytes, cluster, &mut StrictVerifier)
                .map_err(|error| format!("bundle {place}: {error}"))?;
            let (header, digest) = (*carried.header(), carried.digest());
            let stands = (header.orchestra, header.log) == (orchestra, log);
            if !stands {
                return Err(format!("bundle {place} belongs elsewhere"));
            }
            state
                .is_next(&header, &digest, carried.lowest())
                .map_err(|why| format!("bundle {place}: {why:?}"))?;
            let placed = state.advance(&header, digest, carried.body(), &mut StrictVerifier);
            found.bundles += 1;
            found.records += placed.len() as u64;
            found.inert += placed.iter().filter(|placed| !placed.good).count() as u64;
        }
    }
}

fn dump(
    lines: impl Iterator<Item = io::Result<String>>,
    shown: &str,
    global: &Global,
) -> Result<(), Failure> {
    let mut found = DumpFound {
        what: "dump",
        not_checked: "signatures: a dump does not bear them; verify a data directory",
        ..DumpFound::default()
    };
    let mut seen = Seen::default();
    for (number, line) in lines.enumerate() {
        let line = line.map_err(|error| Failure::system(shown, &error))?;
        let taken = match serde_json::from_str(&line) {
            Ok(record) => seen.take(&record),
            Err(error) => Err(format!("no record: {error}")),
        };
        match taken {
            Ok(()) => found.records += 1,
            Err(fault) => found.faults.push(format!("line {}: {fault}", number + 1)),
        }
    }
    found.chains = seen.chains.len() as u64;
    found.logs = seen.bundles.len() as u64;
    seen.judge(&mut found.faults);
    found.ok = found.faults.is_empty();
    found.faults.truncate(FAULTS_MAX);
    output::answer(global.output, &found, None)?;
    verdict(found.ok, &found.faults, shown)
}

/// The records of a dump by their places.
#[derive(Default)]
struct Seen {
    chains: BTreeMap<(AgentId, LogId), BTreeMap<u64, (Stamp, Digest)>>,
    /// The lowest and the highest stamp of each bundle.
    bundles: BTreeMap<LogId, BTreeMap<u64, (Stamp, Stamp)>>,
}

impl Seen {
    fn take(&mut self, record: &RecordEvent) -> Result<(), String> {
        let (log, stamp) = (LogId::from(record.log), record.stamp.stamp);
        let bundles = self.bundles.entry(log).or_default();
        let bundle = bundles.entry(record.bundle).or_insert((stamp, stamp));
        *bundle = (bundle.0.min(stamp), bundle.1.max(stamp));
        let chain = self.chains.entry((record.agent, log)).or_default();
        match chain.insert(record.seq, (stamp, record.record)) {
            None => Ok(()),
            Some((_, digest)) if digest == record.record => {
                Err(format!("record {digest} stands twice"))
            }
            Some(_) => Err("the chain forks".to_owned()),
        }
    }

    fn judge(&self, faults: &mut Vec<String>) {
        for ((agent, log), chain) in &self.chains {
            let rising = chain
                .values()
                .zip(chain.values().skip(1))
                .all(|(a, b)| a.0 < b.0);
            let whole = chain
                .keys()
                .zip(chain.keys().skip(1))
                .all(|(a, b)| a + 1 == *b);
            if !rising || !whole {
                let what = if whole {
                    "stamps do not rise"
                } else {
                    "records are missing"
                };
                faults.push(format!("chain of {agent:?} on {log:?}: {what}"));
            }
        }
        for (log, bundles) in &self.bundles {
            if !bundles
                .values()
                .zip(bundles.values().skip(1))
                .all(|(a, b)| a.1 < b.0)
            {
                faults.push(format!(
                    "log {log:?}: stamps do not rise from bundle to bundle"
                ));
            }
        }
    }
}

fn verdict(ok: bool, faults: &[String], shown: &str) -> Result<(), Failure> {
    if ok {
        return Ok(());
    }
    let first = faults.first().map(String::as_str).unwrap_or_default();
    let words = format!("{shown} is not what it should be: {first}");
    Err(Failure::new(Exit::Verification, "not_verified", words)
        .hint("restore a backup, or let a node with peers repair itself"))
}
