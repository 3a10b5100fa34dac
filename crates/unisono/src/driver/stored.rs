//! The journal as the node reads it, over the real disk, counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use unisono_core::journal::{Damage, Disk, DiskError, Journal, Stretch};
use unisono_core::node::Storage;
use unisono_model::{LogId, OrchestraId};
use unisono_store::{FileDisk, OpenDiskError};

use super::metrics::Metrics;

/// The journal as a starting node reads it.
pub(super) struct Stored<'a> {
    /// Bundles and proofs.
    pub(super) journal: Option<&'a mut Journal<NodeDisk>>,
    /// Caches.
    pub(super) caches: Option<&'a Journal<NodeDisk>>,
}

impl Storage for Stored<'_> {
    fn orchestras(&mut self) -> Vec<OrchestraId> {
        let journal = self.journal.as_deref();
        journal.map(Journal::orchestras).unwrap_or_default()
    }

    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)> {
        let held = self
            .journal
            .as_deref()
            .map(|journal| journal.holdings(orchestra))
            .unwrap_or_default();
        held.into_iter()
            .map(|(log, ranges)| (log, ranges.iter().collect()))
            .collect()
    }

    fn read(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Stretch {
        let Some(journal) = self.journal.as_deref_mut() else {
            return Stretch::default();
        };
        let read = journal.read_stretch(orchestra, log, from_seq, bytes_max);
        let stretch = read.unwrap_or_else(|error| {
            tracing::warn!(%error, "bundles could not be read");
            Stretch::default()
        });
        for damage in &stretch.damage {
            tracing::warn!(%damage, "stored bytes are not what was written; peers are asked");
        }
        stretch
    }

    fn damage(&mut self) -> Vec<Damage> {
        self.journal
            .as_deref()
            .map(Journal::damage)
            .unwrap_or_default()
    }

    fn proofs(&mut self, orchestra: OrchestraId) -> Vec<Vec<u8>> {
        let proofs = self
            .journal
            .as_deref()
            .and_then(|journal| journal.proofs(orchestra).ok())
            .unwrap_or_default();
        proofs.into_iter().map(|proof| proof.bytes).collect()
    }

    fn blob(&mut self, name: &str) -> Option<Vec<u8>> {
        self.caches?.get_blob(name).ok().flatten()
    }
}

/// The real disk, counted, and for a control able to leave out what makes it durable.
#[derive(Debug)]
pub(super) struct NodeDisk {
    inner: FileDisk,
    no_sync: Arc<AtomicBool>,
    metrics: Arc<Metrics>,
}

impl NodeDisk {
    /// Locks the directory, which is made if it is missing.
    pub(super) fn open(
        directory: &Path,
        no_sync: Arc<AtomicBool>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OpenDiskError> {
        Ok(Self {
            inner: FileDisk::open(directory)?,
            no_sync,
            metrics,
        })
    }
}

impl Disk for NodeDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        self.inner.list()
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        self.inner.read(name, offset, length)
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.inner.append(name, bytes)
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        if self.no_sync.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.metrics.synced();
        self.inner.sync(name)
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.inner.truncate(name, length)
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.inner.rename(from, to)
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.inner.remove(name)
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        if self.no_sync.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.sync_directory()
    }
}
