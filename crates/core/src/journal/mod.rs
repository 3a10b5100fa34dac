//! The journal: what a node has persisted, in append-only segments over a [`Disk`].
//!
//! One journal holds the logs of all orchestras of a node. A batch is one write and one sync; it is
//! held when [`Journal::append`] returns, and before that nobody may speak of it. All code here is
//! a machine over a disk that it is handed, so the simulator runs the very same code over a disk
//! that tears, loses, fills and fails.
//!
//! The rules that make a restart safe:
//! - Only the last batch of the last segment can be less than durable, because the next one begins
//!   after its sync. Opening therefore writes that batch anew into a fresh segment and trusts
//!   neither the tail nor what the page cache says of it (after a failed sync it may show bytes
//!   that never reached the disk).
//! - A segment comes into being whole (written aside, synced, renamed, directory synced) and says
//!   in its head how much of the segment before it counts.
//! - A sealed segment never changes. Its index file is a cache: made anew when missing or bad.
//!
//! **Invariant:** nothing here looks into a payload, knows a clock, or draws a number.

mod append;
mod blob;
mod copy;
mod damage;
mod disk;
mod error;
mod files;
mod frame;
mod index;
pub mod limits;
mod open;
mod ranges;
mod read;
mod scan;
mod stretch;
mod verify;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use unisono_model::{ClusterId, Digest, LogId, OrchestraId};

pub use copy::{CopyError, CopyReport, copy};
pub use damage::{Damage, TornTail};
pub use disk::{Disk, DiskError, DiskErrorKind, DiskOperation};
pub use error::{AppendError, BlobError, OpenError, ReadError};
pub use frame::{Entry, EntryKey, FORMAT_VERSION, Proof};
pub use ranges::Ranges;
pub use stretch::Stretch;
pub use verify::Verified;

use frame::{FrameSeal, HEAD_BYTES, Head};
use index::{IndexBuilder, SealedSegment, SegmentIndex};

/// How a journal is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whose it is. A directory of another cluster is refused.
    pub cluster: ClusterId,
    /// Drawn anew for each opening, and told to nobody. It keeps a peer from planting bytes in a
    /// payload that pass as a frame when the scan has to find its way behind damage.
    pub salt: [u8; 16],
    /// At which size a segment is sealed, bytes.
    pub segment_bytes: u32,
    /// How many bytes of sealed segments opening verifies against their hashes, newest first.
    pub verify_bytes: u64,
}

impl Options {
    /// The usual sizes; nothing is verified at opening beyond the last segment.
    pub fn new(cluster: ClusterId, salt: [u8; 16]) -> Self {
        Self {
            cluster,
            salt,
            segment_bytes: limits::SEGMENT_BYTES,
            verify_bytes: 0,
        }
    }
}

/// What this node has persisted.
pub struct Journal<D> {
    disk: D,
    options: Options,
    sealed: BTreeMap<u64, SealedSegment>,
    active: ActiveSegment,
    state: State,
    logs: BTreeMap<OrchestraId, BTreeMap<LogId, HeldLog>>,
    proofs: BTreeMap<OrchestraId, BTreeMap<Digest, Vec<Place>>>,
    /// Segment numbers that ought to be there and are not.
    missing: Vec<u64>,
    torn: Option<TornTail>,
    blobs: BTreeMap<String, Vec<u64>>,
    /// Up to which segment `verify` has come.
    verified: u64,
    /// Where a batch is put together; kept for its capacity.
    buffer: Vec<u8>,
}

/// The segment that grows.
struct ActiveSegment {
    head: Head,
    seal: FrameSeal,
    /// Up to where it is good and, unless the state says otherwise, durable.
    length: u32,
    /// Of everything up to `length`.
    hasher: blake3::Hasher,
    builder: IndexBuilder,
}

/// What has to happen before the next append.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Ready,
    /// An append failed half-way: the file may be longer than what is good.
    LongTail,
    /// Whatever stands from here on may not be durable: carry it over into a new segment.
    Suspect {
        from: u32,
    },
    /// A sync failed. Nothing more.
    Poisoned,
}

/// What is held of one log, and in which segments: first and last number there.
#[derive(Default)]
struct HeldLog {
    held: Ranges,
    segments: BTreeMap<u64, (u64, u64)>,
}

/// Where a frame begins.
#[derive(Clone, Copy)]
struct Place {
    segment: u64,
    offset: u32,
}

impl<D: Disk> Journal<D> {
    /// The orchestras of which anything is held.
    pub fn orchestras(&self) -> Vec<OrchestraId> {
        let mut all: Vec<_> = self
            .logs
            .keys()
            .chain(self.proofs.keys())
            .copied()
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Which entries of which logs of the orchestra are held.
    pub fn holdings(&self, orchestra: OrchestraId) -> BTreeMap<LogId, Ranges> {
        let logs = self.logs.get(&orchestra).into_iter().flatten();
        logs.map(|(log, held)| (*log, held.held.clone())).collect()
    }

    /// Which entries of the log are held; `None` if none is.
    pub fn held(&self, orchestra: OrchestraId, log: LogId) -> Option<&Ranges> {
        self.logs.get(&orchestra)?.get(&log).map(|held| &held.held)
    }

    /// The damage that is known and has not been repaired. Damage whose entries have a good copy
    /// by now is left out. Empty does not mean that all is well: see [`Journal::verify`].
    pub fn damage(&self) -> Vec<Damage> {
        let missing = self
            .missing
            .iter()
            .map(|&number| Damage::of_bytes(number, 0, 0));
        let known = self
            .sealed
            .values()
            .flat_map(|segment| &segment.index.damage);
        known
            .filter(|damage| !self.is_repaired(damage))
            .cloned()
            .chain(missing)
            .collect()
    }

    fn is_repaired(&self, damage: &Damage) -> bool {
        damage.entries().is_some_and(|((orchestra, log), seqs)| {
            self.held(orchestra, log)
                .is_some_and(|held| seqs.without(held).is_empty())
        })
    }

    /// What opening found torn at the end of the last segment, and left behind.
    pub fn torn_tail(&self) -> Option<TornTail> {
        self.torn
    }

    /// Whether a sync has failed: nothing can be appended or read before the journal is opened anew.
    pub fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// How many bytes the segments take.
    pub fn bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.values().map(|segment| segment.length).sum();
        sealed + u64::from(self.active.length)
    }

    /// How many segments there are, the growing one included.
    pub fn segments(&self) -> usize {
        self.sealed.len() + 1
    }

    /// The disk under the journal.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk under the journal, for whoever changes its behaviour. The files are the journal's.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Gives the disk back, so that the journal can be opened anew over it.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// What a segment holds and how its frames are checked.
    fn segment(&self, number: u64) -> Option<(&SegmentIndex, FrameSeal, u64)> {
        if number == self.active.head.number {
            let active = &self.active;
            return Some((&active.builder.index, active.seal, u64::from(active.length)));
        }
        let segment = self.sealed.get(&number)?;
        Some((&segment.index, segment.head.seal(), segment.length))
    }

    /// Says anew what is held, from the indexes of all segments.
    fn collect_holdings(&mut self) {
        let mut logs: BTreeMap<OrchestraId, BTreeMap<LogId, HeldLog>> = BTreeMap::new();
        let mut proofs: BTreeMap<OrchestraId, BTreeMap<Digest, Vec<Place>>> = BTreeMap::new();
        let sealed = self
            .sealed
            .iter()
            .map(|(number, segment)| (*number, &segment.index));
        let active = (self.active.head.number, &self.active.builder.index);
        for (segment, index) in sealed.chain([active]) {
            for ((orchestra, log), runs) in &index.logs {
                let held = logs.entry(*orchestra).or_default().entry(*log).or_default();
                for run in runs {
                    held.add(segment, run.first, run.last);
                }
            }
            for (orchestra, digest, offset) in &index.proofs {
                let places = proofs
                    .entry(*orchestra)
                    .or_default()
                    .entry(*digest)
                    .or_default();
                places.push(Place {
                    segment,
                    offset: *offset,
                });
            }
        }
        self.logs = logs;
        self.proofs = proofs;
    }
}

impl HeldLog {
    fn add(&mut self, segment: u64, first: u64, last: u64) {
        self.held.insert_range(first, last);
        let extent = self.segments.entry(segment).or_insert((first, last));
        *extent = (extent.0.min(first), extent.1.max(last));
    }
}

impl ActiveSegment {
    /// A segment whose file holds `bytes`, all of them good, described by `builder`.
    fn new(head: Head, bytes: &[u8], builder: IndexBuilder) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytes);
        Self {
            head,
            seal: head.seal(),
            length: bytes.len() as u32,
            hasher,
            builder,
        }
    }

    fn is_empty(&self) -> bool {
        self.length <= HEAD_BYTES
    }
}

impl<D> fmt::Debug for Journal<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("segments", &(self.sealed.len() + 1))
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
