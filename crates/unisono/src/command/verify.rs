//! Verification without a node: of a data directory (every byte, signature and chain), of a dump
//! (order and completeness of chains), of an export (the same as of a directory), of a mark.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use unisono_api::dto::RecordEvent;
use unisono_core::carriage::Carried;
use unisono_core::context::StrictVerifier;
use unisono_core::journal::{Entry, EntryKey, Journal};
use unisono_core::replication::{LogState, Placed};
use unisono_model::{AgentId, ClusterId, Digest, ForkProof, LogId, NodeId, OrchestraId, Stamp};

use super::audit;
use super::witnessed::Witnessed;
use crate::cli::Global;
use crate::failure::{Exit, Failure};
use crate::home::Home;
use crate::offline::{self, Overlay};
use crate::output;

/// Most faults that are told one by one.
const FAULTS_MAX: usize = 20;

/// `verify`.
#[derive(Clone, Debug, Args)]
pub(crate) struct VerifyArgs {
    /// A data directory, also one in use, or a file that `audit export`, `dump` or
    /// `mark export` printed
    path: PathBuf,
}

/// What is wrong, of which the first ones are told.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
struct Faults(Vec<String>);

impl Faults {
    fn push(&mut self, words: String) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(words);
        }
    }

    fn verdict(&self, shown: &str) -> Result<(), Failure> {
        match self.0.first() {
            None => Ok(()),
            Some(first) => Err(not_verified(shown, first)),
        }
    }
}

/// What was found in a data directory, or in an export of one.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Found {
    ok: bool,
    what: &'static str,
    cluster: Option<ClusterId>,
    /// Whose directory it is, or who says that the file is whole.
    node: Option<NodeId>,
    pub(super) orchestras: u64,
    pub(super) logs: u64,
    pub(super) bundles: u64,
    pub(super) records: u64,
    /// Records that their agents' signatures or chains do not bear out: kept, and never counted.
    pub(super) inert: u64,
    /// Proofs that a log forked.
    pub(super) proofs: u64,
    /// Logs of which another node than their own has borne witness.
    witnessed: u64,
    /// Of these, how many end before where others held them, since their node was removed there.
    ended_by_removal: u64,
    /// Of these, how many end before where others held them. In an export that is a fault; a data
    /// directory may be that of a node which is behind.
    behind: u64,
    pub(super) bytes: u64,
    faults: Faults,
    /// What others held of the logs.
    #[serde(skip)]
    heads: Witnessed,
    /// Of whom else wants to see them, the records as they were signed.
    #[serde(skip)]
    signed: Signed,
    /// Of whom else reads it all, what it holds.
    #[serde(skip)]
    kept: Option<Kept>,
}

/// All that a directory or an export holds, once it is verified.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// The cluster.
    pub(super) cluster: ClusterId,
    /// Its root of rights, where that is said.
    pub(super) root: Option<AgentId>,
    /// The key that names other roots, likewise.
    pub(super) recovery: Option<AgentId>,
    /// Bundles.
    pub(super) entries: BTreeMap<OrchestraId, Vec<Entry>>,
    /// Proofs that logs forked.
    pub(super) proofs: Vec<Vec<u8>>,
}

/// Records as their agents signed them.
#[derive(Clone, Debug, Default)]
struct Signed {
    wanted: BTreeSet<Digest>,
    seen: BTreeMap<Digest, Placed>,
}

impl Found {
    /// One more fault, of which the first ones are told.
    pub(super) fn fault(&mut self, words: String) {
        self.faults.push(words);
    }

    /// Which cluster and node this is of.
    pub(super) fn of(&mut self, cluster: ClusterId, node: NodeId) {
        self.cluster = Some(cluster);
        self.node = Some(node);
    }

    /// Takes the next bundle of a log.
    pub(super) fn bundle(&mut self, carried: &Carried, state: &mut LogState) -> Result<(), String> {
        let (header, digest) = (carried.header(), carried.digest());
        state
            .is_next(header, &digest, carried.lowest())
            .map_err(|why| format!("{why:?}"))?;
        let placed = state.advance(header, digest, carried.body(), &mut StrictVerifier);
        self.heads.bundle(carried, &placed);
        if let Some(kept) = &mut self.kept {
            let key = EntryKey {
                orchestra: header.orchestra,
                log: header.log,
                seq: header.seq,
            };
            let bytes = carried.bytes().to_vec();
            let entries = kept.entries.entry(header.orchestra).or_default();
            entries.push(Entry { key, bytes });
        }
        self.bundles += 1;
        self.records += placed.len() as u64;
        self.inert += placed.iter().filter(|placed| !placed.good).count() as u64;
        let wanted = |one: &Placed| self.signed.wanted.contains(&one.place.record);
        for one in placed.into_iter().filter(wanted).collect::<Vec<_>>() {
            self.signed.seen.insert(one.place.record, one);
        }
        Ok(())
    }

    /// A proof that is good.
    pub(super) fn proof(&mut self, bytes: &[u8], proof: &ForkProof) {
        self.proofs += 1;
        self.heads.proof(proof);
        if let Some(kept) = &mut self.kept {
            kept.proofs.push(bytes.to_vec());
        }
    }

    /// Holds the ends of logs against what others held of them: what is missing, in words.
    pub(super) fn ends(&mut self) -> Vec<String> {
        let heard = std::mem::take(&mut self.heads).judge();
        self.witnessed = heard.logs;
        self.ended_by_removal = heard.excused;
        self.behind = heard.faults.len() as u64;
        heard.faults
    }

    fn told(mut self, shown: &str, global: &Global) -> Result<(), Failure> {
        self.ok = self.faults.0.is_empty();
        output::answer(global.output, &self, None)?;
        self.faults.verdict(shown)
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
    faults: Faults,
    /// What a dump cannot show.
    not_checked: &'static str,
}

/// Verifies what is at the path.
pub(crate) fn run(args: &VerifyArgs, global: &Global) -> Result<(), Failure> {
    let path = args.path.as_path();
    if path.is_dir() {
        return directory(path, None, global);
    }
    let (first, mut lines) = opened(path)?;
    let shown = path.display().to_string();
    if super::mark::is_proof(&first, path) {
        super::mark::verify(path, global)
    } else if audit::is_export(&first) {
        export(&first, lines, &shown, None, global)
    } else {
        dump(std::iter::once(Ok(first)).chain(&mut lines), &shown, global)
    }
}

/// Verifies what bears every signature, and nothing else: a directory, or a file of `audit export`.
/// What a file is does not follow from what it says of itself, or an unsigned one would do.
pub(super) fn evidence(
    path: &Path,
    signed_by: Option<&NodeId>,
    global: &Global,
) -> Result<(), Failure> {
    if path.is_dir() {
        return directory(path, signed_by, global);
    }
    let (first, lines) = opened(path)?;
    let shown = path.display().to_string();
    if audit::is_export(&first) {
        export(&first, lines, &shown, signed_by, global)
    } else {
        Err(not_verified(&shown, "no export begins like this").next("unisono audit export"))
    }
}

/// The first line of a file and the others.
fn opened(
    path: &Path,
) -> Result<(String, impl Iterator<Item = io::Result<String>> + use<>), Failure> {
    let shown = path.display().to_string();
    let file = std::fs::File::open(path).map_err(|error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Failed,
        };
        Failure::new(exit, "unreadable", format!("{shown}: {error}"))
    })?;
    let mut lines = lines(BufReader::new(file));
    match lines.next() {
        None => Err(not_verified(&shown, "the file is empty")),
        Some(Ok(first)) => Ok((first, lines)),
        Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
            Err(not_verified(&shown, &format!("line 1: {error}")))
        }
        Some(Err(error)) => Err(Failure::system(&shown, &error)),
    }
}

/// Of these records, those that stand in a data directory or a file of `audit export`, as they were
/// signed and with whether that is good. What has a fault bears nothing out.
pub(super) fn signed(
    path: &Path,
    wanted: BTreeSet<Digest>,
) -> Result<BTreeMap<Digest, Placed>, Failure> {
    let mut found = Found::default();
    found.signed.wanted = wanted;
    good(path, &mut found)?;
    Ok(found.signed.seen)
}

/// All that a data directory or a file of `audit export` holds. What has a fault gives nothing.
pub(super) fn whole(path: &Path) -> Result<Kept, Failure> {
    let mut found = Found {
        kept: Some(Kept::default()),
        ..Found::default()
    };
    good(path, &mut found)?;
    let mut kept = found.kept.unwrap_or_default();
    kept.cluster = found.cluster.unwrap_or(kept.cluster);
    Ok(kept)
}

fn good(path: &Path, found: &mut Found) -> Result<(), Failure> {
    let shown = path.display().to_string();
    if path.is_dir() {
        look_into(path, None, found)?;
    } else {
        let (first, lines) = opened(path)?;
        if !audit::is_export(&first) {
            let failure = not_verified(&shown, "no export begins like this");
            return Err(failure.next("unisono audit export"));
        }
        audit::check(&first, lines, None, found)
            .map_err(|error| Failure::system(&shown, &error))?;
    }
    found.faults.verdict(&shown)
}

fn export(
    first: &str,
    lines: impl Iterator<Item = io::Result<String>>,
    shown: &str,
    signed_by: Option<&NodeId>,
    global: &Global,
) -> Result<(), Failure> {
    let mut found = Found {
        what: "audit export",
        ..Found::default()
    };
    audit::check(first, lines, signed_by, &mut found)
        .map_err(|error| Failure::system(shown, &error))?;
    found.told(shown, global)
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
            Ok(_) if !bytes.ends_with(b"\n") && !bytes.trim_ascii_end().ends_with(b"}") => {
                let words = "the file ends in the middle of a line: its end is missing";
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

fn directory(path: &Path, signed_by: Option<&NodeId>, global: &Global) -> Result<(), Failure> {
    let mut found = Found {
        what: "data directory",
        ..Found::default()
    };
    look_into(path, signed_by, &mut found)?;
    found.told(&path.display().to_string(), global)
}

fn look_into(path: &Path, signed_by: Option<&NodeId>, found: &mut Found) -> Result<(), Failure> {
    let home = Home::new(path);
    let (membership, credentials) = home.load()?;
    let (cluster, node) = (membership.cluster, credentials.key().id());
    let mut journal = offline::open(&home.journal(), cluster)?;
    found.of(cluster, node);
    if let Some(kept) = &mut found.kept {
        kept.root = membership.root;
        kept.recovery = membership.recovery;
    }
    if signed_by.is_some_and(|wanted| *wanted != node) {
        found.fault(format!("it is the directory of node {node}"));
    }
    let verified = journal.verify(u64::MAX);
    let verified = verified
        .map_err(|error| Failure::new(Exit::Verification, "unreadable", error.to_string()))?;
    found.bytes = verified.bytes;
    // What was fetched from a peer and written again is no fault any more.
    for fault in journal.damage() {
        found.fault(fault.to_string());
    }
    for orchestra in journal.orchestras() {
        found.orchestras += 1;
        for log in journal.holdings(orchestra).into_keys() {
            found.logs += 1;
            if let Err(fault) = check_log(&journal, cluster, orchestra, log, found) {
                found.fault(format!("orchestra {orchestra}: {fault}"));
            }
        }
        let proofs = journal.proofs(orchestra);
        let proofs = proofs
            .map_err(|error| Failure::new(Exit::Verification, "unreadable", error.to_string()))?;
        for proof in proofs {
            match audit::check_proof(&proof.bytes, cluster) {
                Ok(read) => found.proof(&proof.bytes, &read),
                Err(fault) => found.fault(format!("orchestra {orchestra}: a proof: {fault}")),
            }
        }
    }
    // A node that was off is behind, and fetches it: that is no fault of its disk.
    found.ends();
    Ok(())
}

fn check_log(
    journal: &Journal<Overlay>,
    cluster: ClusterId,
    orchestra: OrchestraId,
    log: LogId,
    found: &mut Found,
) -> Result<(), String> {
    let mut state = LogState::default();
    let whole = offline::each_bundle(journal, orchestra, log, |seq, bytes| {
        let at = |fault: String| format!("log {log:?}: bundle {seq}: {fault}");
        let carried = Carried::admit(bytes, cluster, &mut StrictVerifier)
            .map_err(|error| at(error.to_string()))?;
        let header = carried.header();
        if (header.orchestra, header.log) != (orchestra, log) {
            return Err(at("it belongs elsewhere".to_owned()));
        }
        found.bundle(&carried, &mut state).map_err(at)?;
        Ok(ControlFlow::<()>::Continue(()))
    });
    whole.map(|_| ())
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
    let mut dumped = Dumped::default();
    for (number, line) in lines.enumerate() {
        let line = match line {
            Ok(line) => line,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                found.faults.push(format!("line {}: {error}", number + 1));
                break;
            }
            Err(error) => return Err(Failure::system(shown, &error)),
        };
        let taken = match serde_json::from_str(&line) {
            Ok(record) => dumped.take(&record),
            Err(error) => Err(format!("no record: {error}")),
        };
        match taken {
            Ok(()) => found.records += 1,
            Err(fault) => found.faults.push(format!("line {}: {fault}", number + 1)),
        }
    }
    found.chains = dumped.chains.len() as u64;
    found.logs = dumped.bundles.len() as u64;
    dumped.judge(&mut found.faults);
    found.ok = found.faults.0.is_empty();
    output::answer(global.output, &found, None)?;
    found.faults.verdict(shown)
}

/// The records of a dump by their places.
#[derive(Default)]
struct Dumped {
    chains: BTreeMap<(AgentId, LogId), BTreeMap<u64, (Stamp, Digest)>>,
    /// The lowest and the highest stamp of each bundle.
    bundles: BTreeMap<LogId, BTreeMap<u64, (Stamp, Stamp)>>,
}

impl Dumped {
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

    fn judge(&self, faults: &mut Faults) {
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

fn not_verified(shown: &str, first: &str) -> Failure {
    let words = format!("{shown} is not what it should be: {first}");
    Failure::new(Exit::Verification, "not_verified", words)
        .hint("a data directory: restore a backup, or let a node with peers repair itself; a file: export it again")
}
