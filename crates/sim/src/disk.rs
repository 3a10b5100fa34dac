//! A disk in memory that loses what was not synced, and fails as a seed tells it to.
//!
//! Each file has what a reader sees now and what a power cut would leave. Between the two lie the
//! changes since the last sync, which a crash keeps, drops or tears.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use unisono_core::journal::{Disk, DiskError, DiskErrorKind, DiskOperation};

const SECTOR: usize = 512;
const MILLION: u64 = 1_000_000;

/// How often things go wrong, per million chances, and how slow they are.
#[derive(Clone, Debug)]
pub struct DiskFaults {
    /// Chance, for each file with unsynced changes at a crash, that sectors of them survive in any
    /// mixture. Otherwise all of them are lost.
    pub torn: u32,
    /// Chance, for each new, renamed or removed name that was not synced, to be lost in a crash.
    pub lost_name: u32,
    /// Chance that a sync fails; each unsynced sector is then on the disk or never will be, although
    /// readers go on seeing it until the crash.
    pub failing_sync: u32,
    /// Chance that an append fails after a random part of its bytes.
    pub failing_append: u32,
    /// Chance, at each sync, that one bit somewhere in the synced bytes of the file flips.
    pub bit_flip: u32,
    /// How many bytes fit on the disk.
    pub capacity: u64,
    /// Microseconds that a read or an append takes.
    pub access_us: u64,
    /// Microseconds that a sync takes at most; it takes at least half of it.
    pub sync_us: u64,
    /// A sync does nothing and says that all is well. Planted by tests that have to see it found.
    pub lie_about_sync: bool,
}

impl Default for DiskFaults {
    /// A good disk of 1 TiB: nothing fails, and a crash tears what was not synced.
    fn default() -> Self {
        Self {
            torn: 800_000,
            lost_name: 500_000,
            failing_sync: 0,
            failing_append: 0,
            bit_flip: 0,
            capacity: 1 << 40,
            access_us: 10,
            sync_us: 1000,
            lie_about_sync: false,
        }
    }
}

/// Everything that a disk holds at one moment, to go back to.
#[derive(Clone, Debug)]
pub struct DiskImage {
    files: BTreeMap<String, Vec<u8>>,
}

/// A disk of the simulation.
#[derive(Debug)]
pub struct SimDisk {
    /// What goes wrong from now on.
    pub faults: DiskFaults,
    rng: ChaCha8Rng,
    files: BTreeMap<u64, SimFile>,
    next_file: u64,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Changes of names since the last sync of the directory, in order.
    changes: Vec<NameChange>,
    /// Reading is slow too, and does not need the disk mutably.
    latency_us: RefCell<u64>,
}

#[derive(Clone, Debug, Default)]
struct SimFile {
    /// What readers see.
    seen: Vec<u8>,
    /// What a power cut leaves, if nothing unsynced survives.
    durable: Vec<u8>,
    /// `seen` and `durable` are the same up to here.
    same: usize,
    /// Sectors of `seen` that a failed sync has dropped: no later sync writes them.
    dropped: Vec<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Create { name: String, file: u64 },
    Rename { from: String, to: String, file: u64 },
    Remove { name: String },
}

impl SimDisk {
    /// An empty disk whose faults follow from the seed.
    pub fn new(seed: u64, faults: DiskFaults) -> Self {
        Self {
            faults,
            rng: ChaCha8Rng::seed_from_u64(seed),
            files: BTreeMap::new(),
            next_file: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            changes: Vec::new(),
            latency_us: RefCell::new(0),
        }
    }

    /// Cuts the power: what was synced stays, the rest survives as chance has it.
    pub fn crash(&mut self) {
        let changes = std::mem::take(&mut self.changes);
        for change in changes {
            if !self.chance(self.faults.lost_name) {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        for id in self.names.values().copied().collect::<Vec<_>>() {
            let torn = self.chance(self.faults.torn);
            let Some(file) = self.files.get_mut(&id) else {
                continue;
            };
            if torn {
                file.tear(&mut self.rng);
            }
            file.seen.clone_from(&file.durable);
            file.same = file.seen.len();
            file.dropped.clear();
        }
        self.forget_nameless();
    }

    /// What readers see now, all of it.
    pub fn snapshot(&self) -> DiskImage {
        let content = |id: &u64| self.files.get(id).map_or_else(Vec::new, |f| f.seen.clone());
        DiskImage {
            files: self
                .names
                .iter()
                .map(|(n, id)| (n.clone(), content(id)))
                .collect(),
        }
    }

    /// Puts an older image in place, durable, as a restored backup or a cloned machine does.
    pub fn rollback(&mut self, image: DiskImage) {
        self.files.clear();
        self.names.clear();
        self.changes.clear();
        for (name, content) in image.files {
            let file = SimFile {
                same: content.len(),
                durable: content.clone(),
                seen: content,
                dropped: Vec::new(),
            };
            self.files.insert(self.next_file, file);
            self.names.insert(name, self.next_file);
            self.next_file += 1;
        }
        self.durable_names = self.names.clone();
    }

    /// Flips one bit of a file, where readers see it and on the disk. False if there is no such bit.
    pub fn flip_bit(&mut self, name: &str, bit: u64) -> bool {
        let (byte, mask) = ((bit / 8) as usize, 1 << (bit % 8));
        let Some(file) = self.names.get(name).and_then(|id| self.files.get_mut(id)) else {
            return false;
        };
        let Some(seen) = file.seen.get_mut(byte) else {
            return false;
        };
        *seen ^= mask;
        if let Some(durable) = file.durable.get_mut(byte) {
            *durable ^= mask;
        }
        true
    }

    /// How many microseconds the operations since the last call took.
    pub fn latency_us(&mut self) -> u64 {
        std::mem::take(self.latency_us.get_mut())
    }

    /// How many bytes readers see.
    pub fn used(&self) -> u64 {
        self.files.values().map(|file| file.seen.len() as u64).sum()
    }

    fn chance(&mut self, per_million: u32) -> bool {
        below(&mut self.rng, MILLION) < u64::from(per_million)
    }

    fn take_us(&self, microseconds: u64) {
        *self.latency_us.borrow_mut() += microseconds;
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.changes.push(change);
    }

    /// Frees the files that no name leads to, now or after a crash.
    fn forget_nameless(&mut self) {
        let pending = self.changes.iter().filter_map(|change| match change {
            NameChange::Create { file, .. } | NameChange::Rename { file, .. } => Some(*file),
            NameChange::Remove { .. } => None,
        });
        let named: std::collections::BTreeSet<u64> = self
            .names
            .values()
            .chain(self.durable_names.values())
            .copied()
            .chain(pending)
            .collect();
        self.files.retain(|id, _| named.contains(id));
    }

    fn file(&mut self, name: &str, operation: DiskOperation) -> Result<&mut SimFile, DiskError> {
        let missing = || DiskError::new(DiskErrorKind::Missing, operation, name);
        let id = self.names.get(name).ok_or_else(missing)?;
        self.files.get_mut(id).ok_or_else(missing)
    }
}

impl Disk for SimDisk {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        let length = |id: &u64| self.files.get(id).map_or(0, |file| file.seen.len() as u64);
        Ok(self
            .names
            .iter()
            .map(|(name, id)| (name.clone(), length(id)))
            .collect())
    }

    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        self.take_us(self.faults.access_us);
        let missing = || DiskError::new(DiskErrorKind::Missing, DiskOperation::Read, name);
        let file = self
            .names
            .get(name)
            .and_then(|id| self.files.get(id))
            .ok_or_else(missing)?;
        let start = (offset as usize).min(file.seen.len());
        let end = start.saturating_add(length).min(file.seen.len());
        Ok(file.seen[start..end].to_vec())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.take_us(self.faults.access_us);
        if !self.names.contains_key(name) {
            let file = self.next_file;
            self.next_file += 1;
            self.files.insert(file, SimFile::default());
            self.change_name(NameChange::Create {
                name: name.to_owned(),
                file,
            });
        }
        let room = self.faults.capacity.saturating_sub(self.used());
        let failing = self.chance(self.faults.failing_append);
        let part = below(&mut self.rng, bytes.len() as u64 + 1) as usize;
        let fits = bytes.len().min(room.min(usize::MAX as u64) as usize);
        let (count, error) = match (failing, fits < bytes.len()) {
            (true, _) => (part.min(fits), Some(DiskErrorKind::Io)),
            (false, true) => (fits, Some(DiskErrorKind::Full)),
            (false, false) => (bytes.len(), None),
        };
        let file = self.file(name, DiskOperation::Append)?;
        // Writing to a sector again makes it dirty again, whatever an earlier sync did with it.
        let rewritten = file.seen.len() / SECTOR;
        file.dropped.retain(|&sector| sector != rewritten);
        file.seen.extend_from_slice(&bytes[..count]);
        match error {
            None => Ok(()),
            Some(kind) => Err(DiskError::new(kind, DiskOperation::Append, name)),
        }
    }

    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        let shortest = self.faults.sync_us / 2;
        let more = below(&mut self.rng, shortest + 1);
        self.take_us(shortest + more);
        if self.faults.lie_about_sync {
            return Ok(());
        }
        let failing = self.chance(self.faults.failing_sync);
        let flip = self.chance(self.faults.bit_flip);
        let mut rng = self.rng.clone();
        let file = self.file(name, DiskOperation::Sync)?;
        if failing {
            file.drop_sectors(&mut rng);
        }
        file.write_back();
        let bits = file.durable.len() as u64 * 8;
        self.rng = rng;
        if flip && bits > 0 {
            let bit = below(&mut self.rng, bits);
            self.flip_bit(name, bit);
        }
        if failing {
            return Err(DiskError::new(DiskErrorKind::Io, DiskOperation::Sync, name));
        }
        Ok(())
    }

    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        let file = self.file(name, DiskOperation::Truncate)?;
        let length = (length as usize).min(file.seen.len());
        file.seen.truncate(length);
        file.same = file.same.min(length);
        file.dropped.retain(|sector| sector * SECTOR < length);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let missing = || DiskError::new(DiskErrorKind::Missing, DiskOperation::Rename, from);
        let file = *self.names.get(from).ok_or_else(missing)?;
        self.change_name(NameChange::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
            file,
        });
        Ok(())
    }

    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.file(name, DiskOperation::Remove)?;
        self.change_name(NameChange::Remove {
            name: name.to_owned(),
        });
        Ok(())
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.take_us(self.faults.sync_us);
        if self.faults.lie_about_sync {
            return Ok(());
        }
        if self.chance(self.faults.failing_sync) {
            return Err(DiskError::new(
                DiskErrorKind::Io,
                DiskOperation::SyncDirectory,
                "",
            ));
        }
        self.changes.clear();
        self.durable_names = self.names.clone();
        self.forget_nameless();
        Ok(())
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, u64>) {
        match self {
            Self::Create { name, file } => drop(names.insert(name.clone(), *file)),
            Self::Rename { from, to, file } => {
                // The change before this one may have been lost, so the file comes by its number.
                names.retain(|name, id| !(name == from && id == file));
                names.insert(to.clone(), *file);
            }
            Self::Remove { name } => drop(names.remove(name)),
        }
    }
}

impl SimFile {
    /// The sectors in which a change since the last sync lies.
    fn unsynced(&self) -> std::ops::Range<usize> {
        self.same / SECTOR..self.seen.len().max(self.durable.len()).div_ceil(SECTOR)
    }

    /// Makes what is seen durable, but for the sectors that were dropped.
    fn write_back(&mut self) {
        // Up to here nothing has changed: a segment is long, and what is new of it short.
        let same = self.same.min(self.durable.len());
        let before = self.durable.split_off(same);
        self.durable.extend_from_slice(&self.seen[same..]);
        for &sector in &self.dropped {
            let (start, end) = sector_bounds(sector, self.durable.len());
            for at in start.max(same)..end {
                self.durable[at] = before.get(at - same).copied().unwrap_or(0);
            }
        }
        let dropped = self.dropped.iter().map(|sector| sector * SECTOR).min();
        self.same = self
            .seen
            .len()
            .min(dropped.map_or(usize::MAX, |at| at.max(self.same)));
    }

    /// A sync fails: some of the unsynced sectors are gone for good.
    fn drop_sectors(&mut self, rng: &mut ChaCha8Rng) {
        for sector in self.unsynced() {
            if below(rng, 2) == 0 && !self.dropped.contains(&sector) {
                self.dropped.push(sector);
            }
        }
    }

    /// What a crash leaves of unsynced changes: a random length, and for each sector the new bytes,
    /// the old ones, or zeros.
    fn tear(&mut self, rng: &mut ChaCha8Rng) {
        let (short, long) = (self.same, self.seen.len().max(self.durable.len()));
        if short == long {
            return;
        }
        let length = match below(rng, 4) {
            0 => self.seen.len(),
            1 => self.durable.len(),
            _ => short + below(rng, (long - short) as u64 + 1) as usize,
        };
        // Half of the time a plain prefix of what was written, otherwise a mixture.
        let prefix = below(rng, 2) == 0;
        let mut left = self.seen.clone();
        left.resize(length, 0);
        for sector in self.unsynced() {
            let (start, end) = sector_bounds(sector, length);
            let choice = if self.dropped.contains(&sector) {
                1
            } else if prefix {
                0
            } else {
                below(rng, 3)
            };
            let start = start.max(self.same).min(end);
            for (at, byte) in (start..end).zip(&mut left[start..end]) {
                match choice {
                    0 => {}
                    1 => *byte = self.durable.get(at).copied().unwrap_or(0),
                    _ => *byte = 0,
                }
            }
        }
        self.durable = left;
    }
}

fn sector_bounds(sector: usize, length: usize) -> (usize, usize) {
    (
        (sector * SECTOR).min(length),
        ((sector + 1) * SECTOR).min(length),
    )
}

/// A number below `bound`, which is not 0. The bias is beyond notice for faults.
fn below(rng: &mut ChaCha8Rng, bound: u64) -> u64 {
    rng.next_u64() % bound.max(1)
}
