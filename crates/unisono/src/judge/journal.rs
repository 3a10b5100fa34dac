//! The journal of a node, read without the node: every bundle's and every record's signature, every
//! chain and every log, checked from the bytes on disk alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::journal::{Entry, Journal, Options};
use unisono_model::{AgentId, ClusterId, Digest, LogId, OrchestraId, SignedBundle, Stamp};
use unisono_store::FileDisk;

use crate::failure::{Exit, Failure};
use crate::home::drawn;

/// Bytes of a log that are read at once.
const READ_BYTES: usize = 4 << 20;

/// What a journal holds, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inspected {
    /// Records with a good signature in a whole chain, by orchestra.
    pub(crate) records: BTreeMap<OrchestraId, BTreeSet<Digest>>,
    /// Signatures checked.
    pub(crate) signatures: u64,
    /// Logs read.
    pub(crate) logs: u64,
    /// Chains read.
    pub(crate) chains: u64,
    /// What is wrong.
    pub(crate) violations: Vec<String>,
}

/// Copies a journal that may be in use, and inspects the copy.
pub(crate) fn inspect(
    journal: &Path,
    copy: &Path,
    cluster: ClusterId,
) -> Result<Inspected, Failure> {
    unisono_store::backup(journal, copy)?;
    let journal = Journal::open(FileDisk::open(copy)?, Options::new(cluster, drawn()?))?;
    let mut inspected = Inspected::default();
    for damage in journal.damage() {
        inspected
            .violations
            .push(format!("damage on disk: {damage:?}"));
    }
    for orchestra in journal.orchestras() {
        for (log, held) in journal.holdings(orchestra) {
            let mut reader = LogReader::new(orchestra, log, cluster);
            let mut next = held.first_from(0);
            while let Some(from) = next {
                let entries = journal
                    .read(orchestra, log, from, READ_BYTES)
                    .map_err(|error| {
                        Failure::new(Exit::Verification, "journal", error.to_string())
                    })?;
                let Some(last) = entries.last().map(|entry| entry.key.seq) else {
                    break;
                };
                for entry in &entries {
                    reader.take(entry, &mut inspected);
                }
                next = held.first_from(last + 1);
            }
            inspected.logs += 1;
            inspected.chains += reader.chains.len() as u64;
        }
    }
    Ok(inspected)
}

/// One log, read from its beginning.
struct LogReader {
    orchestra: OrchestraId,
    log: LogId,
    cluster: ClusterId,
    seq: u64,
    prev: Digest,
    stamp: Stamp,
    chains: BTreeMap<AgentId, (u64, Digest)>,
}

impl LogReader {
    fn new(orchestra: OrchestraId, log: LogId, cluster: ClusterId) -> Self {
        let (prev, stamp, chains) = (Digest::default(), Stamp::MIN, BTreeMap::new());
        Self {
            orchestra,
            log,
            cluster,
            seq: 0,
            prev,
            stamp,
            chains,
        }
    }

    fn take(&mut self, entry: &Entry, inspected: &mut Inspected) {
        let at = format!("bundle {} of {:?}", entry.key.seq, self.log);
        if let Err(what) = self.check(entry, inspected) {
            inspected.violations.push(format!("{at}: {what}"));
        }
    }

    fn check(&mut self, entry: &Entry, inspected: &mut Inspected) -> Result<(), String> {
        let (bundle, body) = SignedBundle::decode(&entry.bytes).map_err(|e| e.to_string())?;
        let header = bundle.header;
        let place = (header.cluster, header.orchestra, header.log);
        if place != (self.cluster, self.orchestra, self.log) {
            return Err("it belongs elsewhere".to_owned());
        }
        if header.seq != self.seq + 1 || header.prev != self.prev {
            return Err(format!("it does not follow bundle {}", self.seq));
        }
        let digest = header.digest();
        inspected.signatures += 1;
        if !StrictVerifier.verify(&self.log.node.0, &digest, &bundle.signature) {
            return Err("the node's signature does not verify".to_owned());
        }
        (self.seq, self.prev) = (header.seq, digest);
        for carried in &body.records {
            let agent = body.agents.get(carried.agent as usize).copied();
            let agent = agent.ok_or("a record of nobody")?;
            let name = carried.place(&header, agent).digest(&carried.body.0);
            let (seq, prev) = self.chains.get(&agent).copied().unwrap_or_default();
            if carried.seq != seq + 1 || carried.prev != prev {
                return Err(format!(
                    "record {} of {agent:?} does not follow {seq}",
                    carried.seq
                ));
            }
            inspected.signatures += 1;
            if !StrictVerifier.verify(&agent.0, &name, &carried.signature) {
                return Err(format!("the signature of record {name:?} does not verify"));
            }
            if carried.stamp <= self.stamp {
                return Err(format!("stamp {} follows {}", carried.stamp, self.stamp));
            }
            self.stamp = carried.stamp;
            self.chains.insert(agent, (carried.seq, name));
            inspected
                .records
                .entry(self.orchestra)
                .or_default()
                .insert(name);
        }
        if header.stamp < self.stamp {
            return Err("its stamp is below a record's in it".to_owned());
        }
        self.stamp = header.stamp;
        Ok(())
    }
}
