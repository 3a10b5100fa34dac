//! One machine's disk and the journal on it, as the node and the world see them: a disk whose power
//! can be cut at any single operation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use unisono_core::journal::{
    AppendError, Damage, Disk, DiskError, DiskErrorKind, DiskOperation, Entry, Journal, OpenError,
    Options, Proof, Stretch,
};
use unisono_core::node::{DiskFailure, Storage};
use unisono_model::{ClusterId, LogId, OrchestraId};

use crate::disk::{DiskFaults, DiskImage, SimDisk};

/// Segments are small here, so that a run sees many of them begin and end.
const SEGMENT_BYTES: u32 = 96 << 10;

/// A disk that its journal and the world share, and that stops at a chosen operation.
#[derive(Clone, Debug)]
struct SharedDisk {
    disk: Rc<RefCell<SimDisk>>,
    /// How many more writing operations there is power for; none: as many as they like.
    power: Rc<Cell<Option<u32>>>,
}

/// One machine's disk, with its journal while the machine runs.
#[derive(Debug)]
pub struct Store {
    shared: SharedDisk,
    journal: Option<Journal<SharedDisk>>,
    cluster: ClusterId,
}

impl Store {
    /// An empty disk.
    pub fn new(seed: u64, cluster: ClusterId) -> Self {
        let disk = Rc::new(RefCell::new(SimDisk::new(seed, DiskFaults::default())));
        let shared = SharedDisk {
            disk,
            power: Rc::new(Cell::new(None)),
        };
        Self {
            shared,
            journal: None,
            cluster,
        }
    }

    /// Opens the journal, as a starting machine does; says whether its tail was torn.
    pub fn open(&mut self, salt: [u8; 16]) -> Result<bool, OpenError> {
        self.shared.power.set(None);
        let mut options = Options::new(self.cluster, salt);
        options.segment_bytes = SEGMENT_BYTES;
        let journal = Journal::open(self.shared.clone(), options)?;
        let torn = journal.torn_tail().is_some();
        self.journal = Some(journal);
        Ok(torn)
    }

    /// Appends a batch with one sync.
    pub fn append(&mut self, entries: &[Entry], proofs: &[Proof]) -> Result<(), DiskFailure> {
        let Some(journal) = self.journal.as_mut() else {
            return Err(DiskFailure::Broken);
        };
        journal
            .append_batch(entries, proofs)
            .map_err(|error| match error {
                AppendError::Full(_) => DiskFailure::Full,
                AppendError::Io(_)
                | AppendError::TooLarge { .. }
                | AppendError::SyncFailed(_)
                | AppendError::Poisoned => DiskFailure::Broken,
            })
    }

    /// Begins to append a batch, and loses power after so many writing operations.
    pub fn append_without_end(&mut self, entries: &[Entry], proofs: &[Proof], operations: u32) {
        self.shared.power.set(Some(operations));
        // Whatever it says, nobody is left to hear it.
        let _ = self.append(entries, proofs);
    }

    /// Keeps a cache under a name. A failure costs nothing but time.
    pub fn save(&mut self, name: &str, bytes: &[u8]) {
        if let Some(journal) = self.journal.as_mut() {
            let _ = journal.put_blob(name, bytes);
        }
    }

    /// The process ends; what it had written but not synced is still in the machine's memory.
    pub fn close(&mut self) {
        self.journal = None;
    }

    /// The machine loses power.
    pub fn crash(&mut self) {
        self.journal = None;
        self.shared.power.set(None);
        self.shared.disk.borrow_mut().crash();
    }

    /// What the disk holds now.
    pub fn image(&self) -> DiskImage {
        self.shared.disk.borrow().snapshot()
    }

    /// Puts an image in place; the journal must be closed.
    pub fn put_image(&mut self, image: DiskImage) {
        self.journal = None;
        self.shared.disk.borrow_mut().rollback(image);
    }

    /// Flips one bit of one of the files: which, is up to `luck`. False where there is none.
    pub fn flip_bit(&mut self, luck: u64) -> bool {
        let mut disk = self.shared.disk.borrow_mut();
        let mut place = luck % (disk.used() * 8).max(1);
        for (name, bytes) in disk.list().unwrap_or_default() {
            match place.checked_sub(bytes * 8) {
                Some(beyond) => place = beyond,
                None => return disk.flip_bit(&name, place),
            }
        }
        false
    }

    /// How many regions of the disk were found damaged when it was opened.
    pub fn damage(&self) -> usize {
        self.journal
            .as_ref()
            .map_or(0, |journal| journal.damage().len())
    }

    /// Changes what goes wrong.
    pub fn set_faults(&mut self, change: impl FnOnce(&mut DiskFaults)) {
        change(&mut self.shared.disk.borrow_mut().faults);
    }

    /// How many bytes are in use.
    pub fn used(&self) -> u64 {
        self.shared.disk.borrow().used()
    }

    /// How long the operations since the last call took (ns).
    pub fn latency_ns(&self) -> u64 {
        self.shared.disk.borrow_mut().latency_us() * 1_000
    }

    /// All bundles of an orchestra that are held, log by log in sequence.
    pub fn entries(&self, orchestra: OrchestraId) -> Vec<Entry> {
        let Some(journal) = self.journal.as_ref() else {
            return Vec::new();
        };
        let mut all = Vec::new();
        for (log, held) in journal.holdings(orchestra) {
            let mut from = 0;
            while let Some(first) = held.first_from(from) {
                match journal.read(orchestra, log, first, 1 << 20) {
                    Ok(entries) if !entries.is_empty() => {
                        from = entries.last().map_or(first, |entry| entry.key.seq) + 1;
                        all.extend(entries);
                    }
                    // Damage: what cannot be read is not held.
                    Ok(_) | Err(_) => from = first + 1,
                }
            }
        }
        all
    }
}

impl Storage for Store {
    fn orchestras(&mut self) -> Vec<OrchestraId> {
        self.journal
            .as_ref()
            .map(Journal::orchestras)
            .unwrap_or_default()
    }

    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)> {
        let Some(journal) = self.journal.as_ref() else {
            return Vec::new();
        };
        let held = journal.holdings(orchestra);
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
        let Some(journal) = self.journal.as_mut() else {
            return Stretch::default();
        };
        journal
            .read_stretch(orchestra, log, from_seq, bytes_max)
            .unwrap_or_default()
    }

    fn damage(&mut self) -> Vec<Damage> {
        self.journal
            .as_ref()
            .map(Journal::damage)
            .unwrap_or_default()
    }

    fn proofs(&mut self, orchestra: OrchestraId) -> Vec<Vec<u8>> {
        let Some(journal) = self.journal.as_ref() else {
            return Vec::new();
        };
        let proofs = journal.proofs(orchestra).unwrap_or_default();
        proofs.into_iter().map(|proof| proof.bytes).collect()
    }

    fn blob(&mut self, name: &str) -> Option<Vec<u8>> {
        self.journal.as_ref()?.get_blob(name).ok().flatten()
    }
}

impl SharedDisk {
    /// One more writing operation, if there is power for it.
    fn spend(&self, operation: DiskOperation, name: &str) -> Result<(), DiskError> {
        match self.power.get() {
            None => Ok(()),
            Some(0) => Err(DiskError::new(DiskErrorKind::Io, operation, name)),
            Some(left) => {
                self.power.set(Some(left - 1));
                Ok(())
            }
        }
    }
}

impl Disk for SharedDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        self.disk.borrow().list()
    }
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        self.disk.borrow().read(name, offset, length)
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.spend(DiskOperation::Append, name)?;
        self.disk.borrow_mut().append(name, bytes)
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.spend(DiskOperation::Sync, name)?;
        self.disk.borrow_mut().sync(name)
    }
    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.spend(DiskOperation::Truncate, name)?;
        self.disk.borrow_mut().truncate(name, length)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.spend(DiskOperation::Rename, from)?;
        self.disk.borrow_mut().rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.spend(DiskOperation::Remove, name)?;
        self.disk.borrow_mut().remove(name)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.spend(DiskOperation::SyncDirectory, "")?;
        self.disk.borrow_mut().sync_directory()
    }
}
