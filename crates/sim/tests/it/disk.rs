//! Whatever the disk does, what the journal acknowledged is there, and nothing is half there.

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use unisono_core::journal::{
    AppendError, Disk, DiskError, Entry, EntryKey, Journal, OpenError, Options, Proof, Ranges,
};
use unisono_model::{ClusterId, Digest, Incarnation, LogId, NodeId, OrchestraId};
use unisono_sim::disk::{DiskFaults, SimDisk};

const SEEDS: u64 = 60;
const EVERYTHING: usize = usize::MAX;

/// `JOURNAL_SEEDS` asks for a longer campaign.
fn seeds() -> u64 {
    option_env!("JOURNAL_SEEDS")
        .and_then(|text| text.parse().ok())
        .unwrap_or(SEEDS)
}

fn options(segment_bytes: u32) -> Options {
    Options {
        segment_bytes,
        ..Options::new(ClusterId([7; 16]), [9; 16])
    }
}

fn orchestra(number: u64) -> OrchestraId {
    OrchestraId([number as u8; 16])
}

fn log(number: u64) -> LogId {
    let incarnation = Incarnation {
        started_ms: 1000 + number,
        nonce: number,
    };
    LogId {
        node: NodeId([number as u8; 32]),
        incarnation,
    }
}

fn entry(of: u64, seq: u64, length: usize) -> Entry {
    let key = EntryKey {
        orchestra: orchestra(of % 2),
        log: log(of),
        seq,
    };
    // Payloads follow from the key, so that a wrong one is seen.
    let bytes = (0..length)
        .map(|at| (at as u64 * 31 + seq * 7 + of) as u8)
        .collect();
    Entry { key, bytes }
}

fn content(journal: &Journal<&mut SimDisk>) -> BTreeMap<EntryKey, Vec<u8>> {
    let mut all = BTreeMap::new();
    for orchestra in journal.orchestras() {
        for (log, held) in journal.holdings(orchestra) {
            let entries = journal
                .read(orchestra, log, 0, EVERYTHING)
                .expect("readable");
            let read: Ranges = entries.iter().map(|e| (e.key.seq, e.key.seq)).collect();
            assert_eq!(read, held, "holdings and entries differ");
            assert!(entries.is_sorted_by_key(|entry| entry.key.seq));
            all.extend(entries.into_iter().map(|entry| (entry.key, entry.bytes)));
        }
    }
    all
}

/// One life of a disk: what must be there, and what may be.
struct Story {
    disk: SimDisk,
    rng: ChaCha8Rng,
    acknowledged: BTreeMap<EntryKey, Vec<u8>>,
    tried: BTreeMap<EntryKey, Vec<u8>>,
    next: [u64; 4],
    told: BTreeMap<&'static str, u32>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut rate = |most: u32| {
            let on = rng.next_u32() % 2;
            on * (rng.next_u32() % most)
        };
        let faults = DiskFaults {
            torn: rate(1_000_000),
            lost_name: rate(1_000_000),
            failing_sync: rate(100_000),
            failing_append: rate(200_000),
            ..DiskFaults::default()
        };
        Self {
            disk: SimDisk::new(seed, faults),
            rng,
            acknowledged: BTreeMap::new(),
            tried: BTreeMap::new(),
            next: [0; 4],
            told: BTreeMap::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn batch(&mut self) -> Vec<Entry> {
        let mut batch = Vec::new();
        for _ in 0..=self.below(5) {
            let of = self.below(4);
            let next = self.next[of as usize];
            // Mostly the next one, sometimes a gap, sometimes one that is there already.
            let seq = match self.below(20) {
                0 => next + 1 + self.below(3),
                1 => self.below(next + 1),
                _ => next,
            };
            self.next[of as usize] = next.max(seq + 1);
            let length = if self.below(10) == 0 {
                3000
            } else {
                self.below(400)
            } as usize;
            // One key has one content, whenever it is tried.
            let made = entry(of, seq, length);
            let bytes = self.tried.entry(made.key).or_insert(made.bytes).clone();
            batch.push(Entry {
                key: made.key,
                bytes,
            });
        }
        batch
    }

    /// From one opening to the next. `None` if the disk failed while opening.
    fn life(&mut self) -> Option<()> {
        let mut disk = std::mem::replace(&mut self.disk, SimDisk::new(0, DiskFaults::default()));
        let result = self.live(&mut disk);
        self.disk = disk;
        result
    }

    fn live(&mut self, disk: &mut SimDisk) -> Option<()> {
        // Small and large beside the batches: carried over whole, in part, or sealed at once.
        let segment_bytes = [4096, 8192, 1 << 17][self.below(3) as usize];
        let mut journal = match Journal::open(&mut *disk, options(segment_bytes)) {
            Ok(journal) => journal,
            Err(OpenError::Disk(_)) => return None,
            Err(other) => panic!("an honest crash is no reason to refuse: {other}"),
        };
        assert_eq!(journal.damage(), [], "an honest crash is no damage");
        if journal.torn_tail().is_some() {
            *self.told.entry("torn tail").or_default() += 1;
        }
        // What was opened was said to be persisted: it must survive from now on.
        let found = content(&journal);
        self.check(&found);
        self.acknowledged = found;
        for _ in 0..self.below(30) {
            let batch = self.batch();
            match journal.append(&batch) {
                Ok(()) => {
                    let entries = batch.into_iter().map(|entry| (entry.key, entry.bytes));
                    self.acknowledged.extend(entries);
                }
                Err(AppendError::Io(_)) => *self.told.entry("append failed").or_default() += 1,
                Err(AppendError::SyncFailed(_)) => {
                    *self.told.entry("sync failed").or_default() += 1;
                    assert_eq!(journal.append(&batch), Err(AppendError::Poisoned));
                    return Some(());
                }
                Err(other) => panic!("{other}"),
            }
            if self.below(10) == 0 {
                assert_eq!(
                    content(&journal),
                    self.acknowledged,
                    "reading while writing"
                );
            }
        }
        if self.below(2) == 0 {
            let verified = journal.verify(u64::MAX).expect("readable");
            assert!(
                verified.finished && verified.damage.is_empty(),
                "{verified:?}"
            );
        }
        assert_eq!(content(&journal), self.acknowledged);
        Some(())
    }

    fn check(&self, found: &BTreeMap<EntryKey, Vec<u8>>) {
        for (key, bytes) in &self.acknowledged {
            assert_eq!(found.get(key), Some(bytes), "{key:?} was acknowledged");
        }
        for (key, bytes) in found {
            assert_eq!(
                self.tried.get(key),
                Some(bytes),
                "{key:?} was never written like that"
            );
        }
    }
}

/// Seed 461 once told damage: after a failed sync of the directory, opening decided from names that
/// the next power cut took back. Opening now makes the directory durable before it decides.
#[test]
fn what_was_acknowledged_survives_every_crash() {
    let mut told: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in (0..seeds()).chain([461]) {
        let mut story = Story::new(seed);
        for _ in 0..12 {
            if story.life().is_none() {
                *told.entry("opening failed").or_default() += 1;
            }
            // A process that only died leaves the page cache to the next one.
            if story.below(3) > 0 {
                story.disk.crash();
                *told.entry("crashed").or_default() += 1;
            }
        }
        for (what, times) in &story.told {
            *told.entry(what).or_default() += times;
        }
    }
    for what in [
        "torn tail",
        "append failed",
        "sync failed",
        "opening failed",
        "crashed",
    ] {
        assert!(told.contains_key(what), "{what} never happened: {told:?}");
    }
}

/// The check above can fail: a disk that lies about its syncs loses what was acknowledged.
#[test]
fn a_lying_disk_is_noticed() {
    let mut lost = 0;
    for seed in 0..20 {
        let faults = DiskFaults {
            lie_about_sync: true,
            torn: 0,
            ..DiskFaults::default()
        };
        let mut disk = SimDisk::new(seed, faults);
        let mut journal = Journal::open(&mut disk, options(8192)).unwrap();
        journal.append(&[entry(0, 0, 100)]).unwrap();
        drop(journal);
        disk.crash();
        disk.faults.lie_about_sync = false;
        let journal = Journal::open(&mut disk, options(8192)).unwrap();
        lost += u32::from(journal.orchestras().is_empty());
    }
    assert_eq!(lost, 20);
}

fn filled(disk: &mut SimDisk, batches: u64) {
    let mut journal = Journal::open(disk, options(1 << 20)).unwrap();
    for seq in 0..batches {
        journal
            .append(&[entry(0, seq, 50), entry(1, seq, 20)])
            .unwrap();
    }
}

fn only_segment(disk: &SimDisk) -> (String, u64) {
    let files = disk.list().unwrap();
    let mut segments = files
        .into_iter()
        .filter(|(name, _)| name.ends_with(".segment"));
    let segment = segments.next().unwrap();
    assert!(segments.next().is_none());
    segment
}

#[test]
fn a_tail_torn_anywhere_is_cut() {
    let mut disk = SimDisk::new(1, DiskFaults::default());
    filled(&mut disk, 3);
    let (_, before) = only_segment(&disk);
    let mut journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
    journal.append(&[entry(0, 3, 60)]).unwrap();
    drop(journal);
    let (name, after) = only_segment(&disk);
    assert!(after > before);
    let image = disk.snapshot();
    for length in before..=after {
        disk.rollback(image.clone());
        disk.truncate(&name, length).unwrap();
        let journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        assert_eq!(journal.damage(), []);
        assert_eq!(
            journal.torn_tail().is_some(),
            length > before && length < after,
            "{length}"
        );
        let entries = if length == after { 7 } else { 6 };
        assert_eq!(
            content(&journal).len(),
            entries,
            "{length} of {after} bytes"
        );
    }
}

#[test]
fn every_flipped_bit_of_a_sealed_segment_is_found() {
    let mut disk = SimDisk::new(2, DiskFaults::default());
    // Two sealed segments and a growing one.
    let mut journal = Journal::open(&mut disk, options(4096)).unwrap();
    for seq in 0..10 {
        journal.append(&[entry(0, seq, 700)]).unwrap();
    }
    assert_eq!(journal.segments(), 3);
    let all = content(&journal);
    drop(journal);
    let image = disk.snapshot();
    let (name, length) = first_segment(&disk);
    for byte in 0..length {
        for bytes_at_open in [0, u64::MAX] {
            disk.rollback(image.clone());
            assert!(disk.flip_bit(&name, byte * 8 + byte % 8));
            let options = Options {
                verify_bytes: bytes_at_open,
                ..options(4096)
            };
            let mut journal = Journal::open(&mut disk, options).unwrap();
            if bytes_at_open == 0 {
                let found = journal.verify(u64::MAX).unwrap();
                assert_eq!(found.damage.len(), 1, "byte {byte}");
            }
            let damage = journal.damage();
            assert_eq!(damage.len(), 1, "byte {byte}: {damage:?}");
            let lost: Vec<_> = damage[0].seqs.iter().flat_map(|(a, b)| a..=b).collect();
            let rest = content(&journal);
            assert_eq!(rest.len() + lost.len(), all.len());
            assert!(rest.iter().all(|(key, bytes)| all.get(key) == Some(bytes)));
            // What a peer still has is simply appended again.
            let again: Vec<_> = lost.iter().map(|&seq| entry(0, seq, 700)).collect();
            journal.append(&again).unwrap();
            assert_eq!(content(&journal), all);
            assert_eq!(
                journal.damage().len(),
                usize::from(lost.is_empty()),
                "repaired"
            );
        }
    }
}

fn first_segment(disk: &SimDisk) -> (String, u64) {
    disk.list()
        .unwrap()
        .into_iter()
        .find(|(name, _)| name.ends_with(".segment"))
        .unwrap()
}

#[test]
fn every_flipped_bit_of_the_growing_segment_is_found() {
    let mut disk = SimDisk::new(3, DiskFaults::default());
    filled(&mut disk, 4);
    let image = disk.snapshot();
    let (name, length) = only_segment(&disk);
    for byte in 0..length {
        // While the journal is open.
        disk.rollback(image.clone());
        let mut journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        journal.append(&[entry(2, 0, 10)]).unwrap();
        drop(journal);
        let (opened, _) = only_segment(&disk);
        let length_now = only_segment(&disk).1;
        disk.flip_bit(&opened, (byte % length_now) * 8 + 3);
        let journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        let told = journal.damage().len() + usize::from(journal.torn_tail().is_some());
        let head = byte % length_now < 128;
        assert!(told == 1 || head, "byte {byte}: {:?}", journal.damage());
        let held = content(&journal).len();
        assert!(
            held == 8 + usize::from(head),
            "byte {byte}: one is lost, and only one: {held}"
        );
        drop(journal);

        // Between two openings of a journal that nobody wrote to.
        disk.rollback(image.clone());
        disk.flip_bit(&name, byte * 8 + 5);
        let journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        let told = journal.damage().len() + usize::from(journal.torn_tail().is_some());
        assert!(
            told == 1 || byte < 128,
            "byte {byte}: {:?}",
            journal.damage()
        );
        assert_eq!(
            content(&journal).len(),
            if byte < 128 { 8 } else { 7 },
            "byte {byte}"
        );
    }
    assert!(length > 128);
}

#[test]
fn a_bit_that_flips_under_an_open_journal_is_found_by_verifying() {
    let mut disk = SimDisk::new(4, DiskFaults::default());
    filled(&mut disk, 4);
    let (_, length) = only_segment(&disk);
    let image = disk.snapshot();
    for byte in 128..length {
        disk.rollback(image.clone());
        let mut flipping = FlippingDisk(&mut disk, byte * 8);
        // The segment is carried over whole at opening, so the flip has to wait until then.
        let mut journal = Journal::open(&mut flipping, options(1 << 20)).unwrap();
        let before = journal.holdings(orchestra(0)).len() + journal.holdings(orchestra(1)).len();
        assert_eq!(before, 2);
        journal.append(&[entry(3, 0, FLIP_LENGTH)]).unwrap();
        let found = journal.verify(u64::MAX).unwrap();
        assert_eq!(found.damage.len(), 1, "byte {byte}: {found:?}");
        let (key, seqs) = (found.damage[0].clone(), found.damage[0].seqs.clone());
        assert_eq!(seqs.count(), 1, "the entry is known by its name: {key:?}");
        let missing = seqs.last().unwrap();
        let held = journal.held(key.orchestra.unwrap(), key.log.unwrap());
        assert!(!held.is_some_and(|held| held.contains(missing)));
        // Appending goes on, and what is appended stays.
        journal.append(&[entry(3, 1, 10)]).unwrap();
        assert_eq!(journal.damage().len(), 1);
        drop(journal);
        let journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        assert_eq!(journal.damage().len(), 1, "told again until it is repaired");
        assert!(journal.held(orchestra(1), log(3)).unwrap().contains(1));
    }
}

const FLIP_LENGTH: usize = 333;

/// Flips a bit right after the append of a payload of a certain length.
struct FlippingDisk<'a>(&'a mut SimDisk, u64);

impl Disk for FlippingDisk<'_> {
    fn list(&self) -> Result<Vec<(String, u64)>, DiskError> {
        self.0.list()
    }
    fn read(&self, name: &str, offset: u64, length: usize) -> Result<Vec<u8>, DiskError> {
        self.0.read(name, offset, length)
    }
    fn append(&mut self, name: &str, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.append(name, bytes)?;
        if bytes.len() == FLIP_LENGTH + 113 {
            assert!(self.0.flip_bit(name, self.1));
        }
        Ok(())
    }
    fn sync(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.sync(name)
    }
    fn truncate(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.0.truncate(name, length)
    }
    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }
    fn remove(&mut self, name: &str) -> Result<(), DiskError> {
        self.0.remove(name)
    }
    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.0.sync_directory()
    }
}

#[test]
fn a_full_disk_refuses_whole_batches_and_recovers() {
    for room in 0..1500 {
        let mut disk = SimDisk::new(room, DiskFaults::default());
        filled(&mut disk, 2);
        // Room for the carrying over at opening, and then some.
        disk.faults.capacity = disk.used() + room;
        let mut journal = Journal::open(&mut disk, options(4096)).unwrap();
        let before = content(&journal);
        assert_eq!(before.len(), 4, "with a full disk everything can be read");
        let batch = [entry(2, 0, 300), entry(2, 1, 300)];
        match journal.append(&batch) {
            Ok(()) => assert_eq!(content(&journal).len(), 6),
            Err(AppendError::Full(_)) => assert_eq!(content(&journal), before),
            Err(other) => panic!("{other}"),
        }
        drop(journal);
        disk.crash();
        let mut journal = Journal::open(&mut disk, options(4096)).unwrap();
        let found = content(&journal).len();
        assert!(found == 4 || found == 6);
        journal.disk_mut().faults.capacity = 1 << 30;
        journal.append(&batch).unwrap();
        assert_eq!(content(&journal).len(), 6, "there is room again");
    }
}

#[test]
fn blobs_are_replaced_whole_or_not_at_all() {
    for seed in 0..300 {
        let faults = DiskFaults {
            failing_sync: 100_000,
            failing_append: 100_000,
            ..DiskFaults::default()
        };
        let mut disk = SimDisk::new(seed, faults);
        let mut good = None;
        let mut possible = Vec::new();
        for version in 0..20u8 {
            let Ok(mut journal) = Journal::open(&mut disk, options(4096)) else {
                continue;
            };
            let found = journal.get_blob("score.cache").unwrap();
            let known = found == good || found.as_ref().is_some_and(|f| possible.contains(f));
            assert!(
                known,
                "seed {seed}: neither the last good version nor one that was tried"
            );
            if found != good {
                good = found;
            }
            possible.clear();
            let bytes = vec![version; 2000];
            match journal.put_blob("score.cache", &bytes) {
                Ok(()) => good = Some(bytes),
                Err(_) => possible.push(bytes),
            }
            drop(journal);
            disk.crash();
        }
    }
}

#[test]
fn proofs_come_back() {
    let mut disk = SimDisk::new(5, DiskFaults::default());
    let mut journal = Journal::open(&mut disk, options(4096)).unwrap();
    let proof = Proof {
        orchestra: orchestra(1),
        digest: Digest([3; 32]),
        bytes: vec![1, 2, 3],
    };
    journal
        .append_batch(&[entry(1, 0, 10)], std::slice::from_ref(&proof))
        .unwrap();
    journal
        .append_batch(&[], std::slice::from_ref(&proof))
        .unwrap();
    for seq in 1..20 {
        journal.append(&[entry(1, seq, 1000)]).unwrap();
    }
    assert_eq!(
        journal.proofs(orchestra(1)).unwrap(),
        std::slice::from_ref(&proof)
    );
    drop(journal);
    disk.crash();
    let journal = Journal::open(&mut disk, options(4096)).unwrap();
    assert_eq!(journal.proofs(orchestra(1)).unwrap(), [proof]);
    assert_eq!(journal.orchestras(), [orchestra(1)]);
}

#[test]
fn restarts_leave_no_trail_of_segments() {
    let mut disk = SimDisk::new(6, DiskFaults::default());
    for seq in 0..50 {
        let mut journal = Journal::open(&mut disk, options(1 << 20)).unwrap();
        journal.append(&[entry(0, seq, 100)]).unwrap();
        assert_eq!(journal.segments(), 1);
    }
    assert_eq!(disk.list().unwrap().len(), 1);
}
