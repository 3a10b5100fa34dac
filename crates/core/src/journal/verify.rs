//! Looking for damage that nobody has run into yet.

use alloc::vec::Vec;
use core::ops::Bound;

use super::damage::{Damage, attribute};
use super::disk::{Disk, DiskError};
use super::error::ReadError;
use super::files::{index_name, read_whole, segment_name};
use super::frame::{HEAD_BYTES, Head, HeadFound};
use super::index::{SealedSegment, scan};
use super::{Journal, State};

/// How far a verification has come.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Verified {
    /// How many bytes were read.
    pub bytes: u64,
    /// Whether the last segment was reached; the next call begins with the first one again.
    pub finished: bool,
    /// Damage that was not known before.
    pub damage: Vec<Damage>,
}

impl<D: Disk> Journal<D> {
    /// Verifies segments against their hashes, from where the last call stopped, until about
    /// `max_bytes` are read (at least one segment). Damage that is found leaves the holdings, so
    /// that it can be fetched from a peer and appended again.
    pub fn verify(&mut self, max_bytes: u64) -> Result<Verified, ReadError> {
        if self.state == State::Poisoned {
            return Err(ReadError::Poisoned);
        }
        let mut result = Verified::default();
        loop {
            let after = (Bound::Excluded(self.verified), Bound::Unbounded);
            let Some(number) = self.sealed.range(after).next().map(|(number, _)| *number) else {
                self.verified = 0;
                self.verify_active(&mut result)?;
                result.finished = true;
                break;
            };
            self.verified = number;
            self.verify_sealed(number, &mut result)?;
            if result.bytes >= max_bytes {
                break;
            }
        }
        if !result.damage.is_empty() {
            self.collect_holdings();
        }
        Ok(result)
    }

    /// Verifies one segment, and gives what is damaged there, known before or not.
    pub(super) fn verify_segment(&mut self, number: u64) -> Result<Vec<Damage>, ReadError> {
        let mut result = Verified::default();
        if number == self.active.head.number {
            self.verify_active(&mut result)?;
        } else {
            self.verify_sealed(number, &mut result)?;
            if let Some(sealed) = self.sealed.get(&number) {
                result.damage.clone_from(&sealed.index.damage);
            }
        }
        if !result.damage.is_empty() {
            self.collect_holdings();
        }
        Ok(result.damage)
    }

    /// The caller has repaired what it could, or accepts the loss: the damage that is known in the
    /// segment is not told again. Its bytes stay as they are.
    pub fn accept_damage(&mut self, segment: u64) {
        self.missing.retain(|&number| number != segment);
        if let Some(mut sealed) = self.sealed.remove(&segment) {
            sealed.index.damage.clear();
            self.write_index(&sealed);
            self.sealed.insert(segment, sealed);
        }
    }

    /// Verifies the newest sealed segments as far as the options' budget goes.
    pub(super) fn verify_newest(&mut self) -> Result<(), DiskError> {
        let mut result = Verified::default();
        let numbers: Vec<u64> = self.sealed.keys().rev().copied().collect();
        for number in numbers {
            let next = self.sealed.get(&number).map_or(0, |sealed| sealed.length);
            if result.bytes + next > self.options.verify_bytes {
                break;
            }
            self.verify_sealed(number, &mut result)?;
        }
        if !result.damage.is_empty() {
            self.collect_holdings();
        }
        Ok(())
    }

    fn verify_sealed(&mut self, number: u64, result: &mut Verified) -> Result<(), DiskError> {
        let Some(known) = self.sealed.get(&number) else {
            return Ok(());
        };
        let name = segment_name(number);
        let bytes = match read_whole(&self.disk, &name, known.length) {
            Ok(bytes) => bytes,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error),
        };
        result.bytes += bytes.len() as u64;
        if *blake3::hash(&bytes).as_bytes() == known.hash {
            return Ok(());
        }
        let mut sealed = match Head::find(&bytes) {
            HeadFound::Good(head, bad) => SealedSegment::scan(head, &bad, &bytes),
            // The index still knows the salt, so the frames can be checked without the head.
            HeadFound::Newer(_) | HeadFound::Bad => {
                SealedSegment::scan(known.head, &[0, HEAD_BYTES / 2], &bytes)
            }
        };
        sealed.tell_shortage(known.length);
        attribute(&known.index, &mut sealed.index);
        let new = sealed
            .index
            .damage
            .iter()
            .filter(|damage| !known.index.damage.contains(damage));
        result.damage.extend(new.cloned());
        self.write_index(&sealed);
        self.sealed.insert(number, sealed);
        Ok(())
    }

    /// Verifies the growing segment against what was written. A damaged one is sealed.
    fn verify_active(&mut self, result: &mut Verified) -> Result<(), ReadError> {
        if self.state != State::Ready {
            return Ok(());
        }
        let number = self.active.head.number;
        let bytes = read_whole(
            &self.disk,
            &segment_name(number),
            u64::from(self.active.length),
        )?;
        result.bytes += bytes.len() as u64;
        if blake3::hash(&bytes) == self.active.hasher.finalize() {
            return Ok(());
        }
        let mut sealed = SealedSegment::scan(self.active.head, &[], &bytes);
        sealed.tell_shortage(u64::from(self.active.length));
        attribute(&self.active.builder.index, &mut sealed.index);
        result.damage.extend(sealed.index.damage.iter().cloned());
        // Nothing is appended behind damage: the next append goes to a fresh segment, and every
        // good frame of the last batch with it.
        let scanned = scan(&self.active.seal, &bytes);
        self.active.builder = scanned.builder;
        self.state = State::Suspect {
            from: scanned.last.start,
        };
        drop(self.disk.remove(&index_name(number)));
        Ok(())
    }
}
