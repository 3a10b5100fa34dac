//! A journal read without a node: the files stay as they are, also while a process writes to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use unisono_core::journal::{
    Disk, DiskError, DiskErrorKind, DiskOperation, Entry, Journal, Options, ReadError,
};
use unisono_model::{ClusterId, LogId, OrchestraId};
use unisono_store::FileDisk;

use crate::failure::{Exit, Failure};
use crate::home::drawn;

/// How much of a log is read at once (bytes).
const STEP_BYTES: usize = 4 << 20;

/// Why the bundles of a log end before the log does.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Unread(String);

impl From<Unread> for String {
    fn from(Unread(words): Unread) -> Self {
        words
    }
}

impl From<Unread> for Failure {
    fn from(Unread(words): Unread) -> Self {
        Self::new(Exit::Verification, "not_verified", words)
            .hint("let the node run with its peers: it fetches what its disk has lost")
            .next("unisono verify")
    }
}

/// A directory that is only read; what opening a journal writes stays in memory.
#[derive(Debug)]
pub(crate) struct Overlay {
    below: FileDisk,
    written: BTreeMap<String, Vec<u8>>,
    removed: BTreeSet<String>,
}

/// Opens the journal in a directory for reading.
pub(crate) fn open(directory: &Path, cluster: ClusterId) -> Result<Journal<Overlay>, Failure> {
    let disk = Overlay {
        below: FileDisk::open_read_only(directory)?,
        written: BTreeMap::new(),
        removed: BTreeSet::new(),
    };
    Ok(Journal::open(disk, Options::new(cluster, drawn()?))?)
}

/// Every bundle of an orchestra that can be read, log by log. What is damaged is not held.
pub(crate) fn entries(
    journal: &Journal<Overlay>,
    orchestra: OrchestraId,
) -> Result<Vec<Entry>, Unread> {
    let mut all = Vec::new();
    for (log, held) in journal.holdings(orchestra) {
        let mut from = 0;
        while let Some(first) = held.first_from(from) {
            match journal.read(orchestra, log, first, STEP_BYTES) {
                Ok(entries) => {
                    from = entries.last().map_or(first, |entry| entry.key.seq) + 1;
                    all.extend(entries);
                }
                Err(ReadError::Damaged { key, .. }) => from = key.seq.max(first) + 1,
                Err(error) => return Err(Unread(format!("log {log:?}: {error}"))),
            }
        }
    }
    Ok(all)
}

/// Takes each bundle of a log with its number, from the first on, until it has what it looks for.
/// What cannot be read is an error: behind a hole nothing follows from what was read before.
pub(crate) fn each_bundle<T, E: From<Unread>>(
    journal: &Journal<Overlay>,
    orchestra: OrchestraId,
    log: LogId,
    mut take: impl FnMut(u64, &[u8]) -> Result<ControlFlow<T>, E>,
) -> Result<Option<T>, E> {
    let mut next = 1;
    loop {
        let entries = journal.read(orchestra, log, next, STEP_BYTES);
        let entries = entries.map_err(|error| Unread(format!("log {log:?}: {error}")))?;
        if entries.is_empty() {
            return Ok(None);
        }
        for entry in entries {
            let at = entry.key.seq;
            if at > next {
                let words = format!("log {log:?}: bundles {next}-{} cannot be read", at - 1);
                return Err(Unread(words).into());
            }
            if let ControlFlow::Break(found) = take(at, &entry.bytes)? {
                return Ok(Some(found));
            }
            next += 1;
        }
    }
}

impl Overlay {
    /// The file's content in memory, taken up from below if need be.
    fn file(&mut self, name: &str) -> Result<&mut Vec<u8>, DiskError> {
        if !self.written.contains_key(name) {
            let bytes = if self.removed.contains(name) {
                Vec::new()
            } else {
                match self.below.read(name, 0, usize::MAX) {
                    Ok(bytes) => bytes,
                    Err(error) if error.is_missing() => Vec::new(),
                    Err(error) => return Err(error),
                }
            };
            self.written.insert(name.to_owned(), bytes);
        }
        self.removed.remove(name);
        Ok(self.written.entry(name.to_owned()).or_default())
    }
}

impl Disk for Overlay {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let mut files: BTreeMap<String, u64> = self.below.list()?.into_iter().collect();
        files.retain(|name, _| !self.removed.contains(name));
        files.extend(
            self.written
                .iter()
                .map(|(name, bytes)| (name.clone(), bytes.len() as u64)),
        );
        Ok(files.into_iter().collect())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        let Some(bytes) = self.written.get(name) else {
            if self.removed.contains(name) {
                return Err(DiskError::new(
                    DiskErrorKind::Missing,
                    DiskOperation::Read,
                    name,
                ));
            }
            return self.below.read(name, offset, length);
        };
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let end = start.saturating_add(length).min(bytes.len());
        Ok(bytes[start..end].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.file(name)?.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _name: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.file(name)?
            .truncate(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let bytes = std::mem::take(self.file(from)?);
        self.written.remove(from);
        self.removed.insert(from.to_owned());
        self.removed.remove(to);
        self.written.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.written.remove(name);
        self.removed.insert(name.to_owned());
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
