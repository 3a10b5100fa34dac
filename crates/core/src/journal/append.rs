//! Appending: one write and one sync a batch, new segments, and what happens when the disk fails.

use alloc::vec::Vec;
use core::mem;

use super::disk::{Disk, DiskError};
use super::error::AppendError;
use super::files::{ReplaceError, index_name, read_whole, replace, segment_name};
use super::frame::{Entry, FRAME_BYTES, FrameKey, FrameSeal, HEAD_BYTES, Head, HeadFound, Proof};
use super::index::{IndexBuilder, SealedSegment};
use super::limits::{BATCH_BYTES_MAX, PAYLOAD_BYTES_MAX};
use super::scan::{Step, walk};
use super::{ActiveSegment, Journal, Place, State};

impl<D: Disk> Journal<D> {
    /// Appends the entries as one batch: one write, one sync. They are held when this returns `Ok`.
    /// An entry that is held already is written again, and the newest good copy is read.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), AppendError> {
        self.append_batch(entries, &[])
    }

    /// Like [`Journal::append`], with proofs in the same batch.
    pub fn append_batch(&mut self, entries: &[Entry], proofs: &[Proof]) -> Result<(), AppendError> {
        if self.state == State::Poisoned {
            return Err(AppendError::Poisoned);
        }
        let bytes = batch_bytes(entries, proofs)?;
        if bytes == 0 {
            return Ok(());
        }
        self.settle()?;
        if !self.active.is_empty() && self.active.length as usize + bytes > self.segment_bytes() {
            self.roll()?;
        }
        let mut buffer = mem::take(&mut self.buffer);
        let offsets = encode_batch(&self.active, entries, proofs, &mut buffer);
        let written = self.write(&buffer);
        if written.is_ok() {
            self.active.hasher.update(&buffer);
            self.active.length += buffer.len() as u32;
            self.note(entries, proofs, &offsets);
        }
        buffer.clear();
        self.buffer = buffer;
        written
    }

    fn segment_bytes(&self) -> usize {
        self.options.segment_bytes as usize
    }

    /// Writes and syncs one batch at the end of the active segment.
    fn write(&mut self, bytes: &[u8]) -> Result<(), AppendError> {
        let name = segment_name(self.active.head.number);
        if let Err(error) = self.disk.append(&name, bytes) {
            self.state = State::LongTail;
            // If the cut fails, the next append tries again, and does nothing before it succeeds.
            return match self.cut_tail() {
                Err(unknown @ AppendError::SyncFailed(_)) => Err(unknown),
                Ok(()) | Err(_) => Err(refusal(error)),
            };
        }
        self.disk.sync(&name).map_err(|error| self.poison(error))
    }

    fn poison(&mut self, error: DiskError) -> AppendError {
        self.state = State::Poisoned;
        AppendError::SyncFailed(error)
    }

    /// Removes what a failed append may have left behind the last good frame.
    fn cut_tail(&mut self) -> Result<(), AppendError> {
        let name = segment_name(self.active.head.number);
        self.disk
            .truncate(&name, u64::from(self.active.length))
            .map_err(refusal)?;
        self.disk.sync(&name).map_err(|error| self.poison(error))?;
        self.state = State::Ready;
        Ok(())
    }

    /// Brings the active segment into a state in which something can be appended.
    pub(super) fn settle(&mut self) -> Result<(), AppendError> {
        match self.state {
            State::Ready => Ok(()),
            State::LongTail => self.cut_tail(),
            State::Suspect { from } => self.carry(from),
            State::Poisoned => Err(AppendError::Poisoned),
        }
    }

    /// Says that the batch is held.
    fn note(&mut self, entries: &[Entry], proofs: &[Proof], offsets: &[u32]) {
        let segment = self.active.head.number;
        let (of_entries, of_proofs) = offsets.split_at(entries.len());
        for (entry, &offset) in entries.iter().zip(of_entries) {
            self.active
                .builder
                .add(&FrameKey::Bundle(entry.key), offset);
            let logs = self.logs.entry(entry.key.orchestra).or_default();
            logs.entry(entry.key.log)
                .or_default()
                .add(segment, entry.key.seq, entry.key.seq);
        }
        for (proof, &offset) in proofs.iter().zip(of_proofs) {
            self.active.builder.add(&key_of(proof), offset);
            let places = self.proofs.entry(proof.orchestra).or_default();
            places
                .entry(proof.digest)
                .or_default()
                .push(Place { segment, offset });
        }
    }

    /// Seals the active segment and begins another.
    fn roll(&mut self) -> Result<(), AppendError> {
        let head = self.next_head(self.active.length);
        self.create_segment(&head.encode(), head.number)?;
        let next = ActiveSegment::new(head, &head.encode(), IndexBuilder::default());
        let old = mem::replace(&mut self.active, next);
        let sealed = SealedSegment {
            head: old.head,
            length: u64::from(old.length),
            hash: *old.hasher.finalize().as_bytes(),
            index: old.builder.index,
        };
        self.write_index(&sealed);
        self.sealed.insert(sealed.head.number, sealed);
        Ok(())
    }

    fn next_head(&self, previous: u32) -> Head {
        Head {
            cluster: self.options.cluster,
            number: self.active.head.number + 1,
            salt: self.options.salt,
            previous,
        }
    }

    /// Puts a segment file in place. It counts as soon as it can be found, so if that is unknown,
    /// nothing may be added to the segment before it any more.
    fn create_segment(&mut self, bytes: &[u8], number: u64) -> Result<(), AppendError> {
        match replace(&mut self.disk, &segment_name(number), bytes) {
            Ok(()) => Ok(()),
            Err(ReplaceError::Before(error)) => Err(refusal(error)),
            Err(ReplaceError::Unknown(error)) => Err(self.poison(error)),
        }
    }

    /// Writes the index file of a sealed segment. It is a cache: if it cannot be written now, the
    /// next opening makes it.
    pub(super) fn write_index(&mut self, sealed: &SealedSegment) {
        drop(replace(
            &mut self.disk,
            &index_name(sealed.head.number),
            &sealed.encode(),
        ));
    }

    /// Writes what stands from `from` on in the active segment anew into a fresh segment, and cuts
    /// it off the old one, or removes the old one if nothing is left of it.
    fn carry(&mut self, from: u32) -> Result<(), AppendError> {
        let old_name = segment_name(self.active.head.number);
        let length = u64::from(self.active.length);
        let bytes = read_whole(&self.disk, &old_name, length).map_err(AppendError::Io)?;
        let keep = bytes.get(..from as usize).unwrap_or(&bytes);
        let head = self.next_head(from);
        let (carried, builder) = carry_frames(&head, &self.active.seal, &bytes, from);
        self.create_segment(&carried, head.number)?;

        // The new segment counts from here on. What follows is repeated by the next opening if it
        // is interrupted.
        let old = mem::replace(
            &mut self.active,
            ActiveSegment::new(head, &carried, builder),
        );
        self.state = State::Ready;
        if from <= HEAD_BYTES {
            drop(self.disk.remove(&old_name));
        } else {
            let bad_heads = match Head::find(keep) {
                HeadFound::Good(_, bad) => bad,
                HeadFound::Newer(_) | HeadFound::Bad => Vec::new(),
            };
            let sealed = SealedSegment::scan(old.head, &bad_heads, keep);
            if self.cut(&old_name, u64::from(from)).is_ok() {
                self.write_index(&sealed);
            }
            self.sealed.insert(old.head.number, sealed);
        }
        self.collect_holdings();
        Ok(())
    }

    /// Cuts a file for good.
    pub(super) fn cut(&mut self, name: &str, length: u64) -> Result<(), DiskError> {
        self.disk.truncate(name, length)?;
        self.disk.sync(name)
    }
}

/// A new segment with every good frame that stands from `from` on in `bytes`, as one batch.
fn carry_frames(head: &Head, old: &FrameSeal, bytes: &[u8], from: u32) -> (Vec<u8>, IndexBuilder) {
    let seal = head.seal();
    let mut carried = head.encode();
    let mut builder = IndexBuilder::default();
    walk(old, bytes, from, |step| match step {
        Step::Frame(frame) => {
            let offset = carried.len() as u32;
            builder.add(&frame.key, offset);
            seal.encode(&frame.key, frame.payload, offset, HEAD_BYTES, &mut carried);
        }
        // Nobody was told that it is held.
        Step::Bad(_) => {}
    });
    (carried, builder)
}

/// Puts the frames of a batch together for the end of the segment; says where each will stand.
fn encode_batch(
    active: &ActiveSegment,
    entries: &[Entry],
    proofs: &[Proof],
    out: &mut Vec<u8>,
) -> Vec<u32> {
    out.clear();
    let batch = active.length;
    let mut offsets = Vec::with_capacity(entries.len() + proofs.len());
    let entries = entries
        .iter()
        .map(|entry| (FrameKey::Bundle(entry.key), &entry.bytes));
    let proofs = proofs.iter().map(|proof| (key_of(proof), &proof.bytes));
    for (key, payload) in entries.chain(proofs) {
        let offset = batch + out.len() as u32;
        offsets.push(offset);
        active.seal.encode(&key, payload, offset, batch, out);
    }
    offsets
}

fn key_of(proof: &Proof) -> FrameKey {
    FrameKey::Proof {
        orchestra: proof.orchestra,
        digest: proof.digest,
    }
}

/// How many bytes the batch takes in the segment.
fn batch_bytes(entries: &[Entry], proofs: &[Proof]) -> Result<usize, AppendError> {
    let payloads = entries
        .iter()
        .map(|e| e.bytes.len())
        .chain(proofs.iter().map(|p| p.bytes.len()));
    let mut total: usize = 0;
    for bytes in payloads {
        if bytes > PAYLOAD_BYTES_MAX {
            return Err(AppendError::TooLarge {
                bytes,
                limit: PAYLOAD_BYTES_MAX,
            });
        }
        total = total.saturating_add(bytes + FRAME_BYTES);
    }
    if total > BATCH_BYTES_MAX {
        return Err(AppendError::TooLarge {
            bytes: total,
            limit: BATCH_BYTES_MAX,
        });
    }
    Ok(total)
}

fn refusal(error: DiskError) -> AppendError {
    if error.is_full() {
        AppendError::Full(error)
    } else {
        AppendError::Io(error)
    }
}
