//! Histories as serving nodes record them: what was asked for, and what it was told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use unisono_api::dto::parse_stamp;
use unisono_model::{Digest, IdempotencyKey, NodeId, Stamp};

use crate::failure::{Exit, Failure};

/// A record that a node has acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    /// The record.
    pub(crate) record: Digest,
    /// Its stamp, as it was told.
    pub(crate) stamp: Stamp,
    /// Which node told it (hexadecimal).
    pub(crate) node: String,
    /// On how many disks it was said to be.
    pub(crate) durable_on: u16,
    /// Whether an earlier record was the answer.
    pub(crate) repeated: bool,
    /// What it came to, for a claim or a renewal.
    pub(crate) claim: Option<Granted>,
}

impl Acknowledged {
    /// The claim that was called confirmed, when it was made or when it was renewed.
    pub(crate) fn confirmed(&self) -> Option<&Granted> {
        let claim = self.claim.as_ref();
        claim.filter(|claim| claim.status == "confirmed")
    }
}

/// What a claim was said to be.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Granted {
    /// The claim: the record itself, or what a renewal renews.
    pub(crate) claim: Digest,
    /// The topic.
    pub(crate) topic: String,
    /// provisional, confirmed, lost or ended.
    pub(crate) status: String,
}

/// What the histories say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    /// In the order of the files.
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Requests whose answer says that it did not happen.
    pub(crate) failed: u64,
    /// Requests of which nobody can tell.
    pub(crate) unknown: u64,
    /// Requests that were never answered.
    pub(crate) open: u64,
    /// Nodes that have written down what they were asked for.
    pub(crate) nodes: BTreeSet<NodeId>,
    /// Keys of requests that came in.
    pub(crate) keys: BTreeSet<IdempotencyKey>,
    /// Records that came in signed.
    pub(crate) signed: BTreeSet<Digest>,
    /// Orchestras by what was asked in them.
    pub(crate) orchestras: BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
struct Line {
    id: u64,
    event: String,
    node: String,
    #[serde(default)]
    orchestra: String,
    record: Option<Digest>,
    stamp: Option<String>,
    #[serde(default)]
    durable_on: u16,
    #[serde(default)]
    repeated: bool,
    claim: Option<Granted>,
    key: Option<IdempotencyKey>,
}

impl Histories {
    /// Reads some files.
    pub(crate) fn of(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut histories = Self::default();
        for path in paths {
            histories.read(path)?;
        }
        Ok(histories)
    }

    /// Reads one more file. A killed node may have left a torn last line of its life; a line that
    /// cannot be read anywhere else is a failure.
    pub(crate) fn read(&mut self, path: &Path) -> Result<(), Failure> {
        let shown = path.display();
        let text =
            std::fs::read(path).map_err(|error| Failure::system(&shown.to_string(), &error))?;
        let mut open: BTreeSet<(String, u64)> = BTreeSet::new();
        let whole = text.ends_with(b"\n") || text.is_empty();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        for (number, line) in lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
        {
            let line: Line = match serde_json::from_slice(line) {
                Ok(line) => line,
                Err(_) if !whole && number + 1 == lines.len() => continue,
                Err(error) => {
                    let words = format!("{shown}:{}: {error}", number + 1);
                    return Err(Failure::new(Exit::Verification, "bad_history", words));
                }
            };
            let name = (line.node.clone(), line.id);
            if line.event == "invoked" {
                self.nodes.extend(line.node.parse::<NodeId>());
                self.keys.extend(line.key);
                self.signed.extend(line.record);
                // Numbers begin again with each life of the process.
                if !open.insert(name) {
                    self.open += 1;
                }
                *self.orchestras.entry(line.orchestra).or_default() += 1;
                continue;
            }
            // The answer to a question stands alone: questions change nothing and are not invoked.
            if open.remove(&name) {
                self.take(line);
            }
        }
        self.open += open.len() as u64;
        Ok(())
    }

    fn take(&mut self, line: Line) {
        match line.event.as_str() {
            "failed" => self.failed += 1,
            "unknown" => self.unknown += 1,
            _ => {
                let stamp = line
                    .stamp
                    .as_deref()
                    .and_then(|text| parse_stamp(text).ok());
                if let (Some(record), Some(stamp)) = (line.record, stamp) {
                    self.acknowledged.push(Acknowledged {
                        record,
                        stamp,
                        node: line.node,
                        durable_on: line.durable_on.max(1),
                        repeated: line.repeated,
                        claim: line.claim,
                    });
                }
            }
        }
    }
}
