//! Reading for a node: a stretch without gaps, and where damage ends it, what is lost.

use alloc::vec::Vec;

use unisono_model::{LogId, OrchestraId};

use super::Journal;
use super::damage::Damage;
use super::disk::Disk;
use super::error::ReadError;
use super::frame::{Entry, EntryKey};
use super::ranges::Ranges;

/// Part of a log as the disk gives it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stretch {
    /// In sequence without a gap, the first one asked for at their head; empty if that is not held
    /// or cannot be read.
    pub entries: Vec<Entry>,
    /// Why there are none, where damage is the reason: all that is known to be lost of this log,
    /// and of whatever stood in the same segment.
    pub damage: Vec<Damage>,
}

impl<D: Disk> Journal<D> {
    /// Like [`Journal::read`], but without gaps. Where the first entry turns out to be damaged, the
    /// segment is verified, so that the whole extent of the damage is known at once; what is lost
    /// leaves the holdings and can be appended again.
    pub fn read_stretch(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        max_bytes: usize,
    ) -> Result<Stretch, ReadError> {
        let mut entries = match self.read(orchestra, log, from_seq, max_bytes) {
            Ok(entries) => entries,
            Err(ReadError::Damaged { key, segment }) => {
                return self.explore(key, segment);
            }
            Err(other) => return Err(other),
        };
        let whole = entries
            .iter()
            .zip(from_seq..)
            .take_while(|(entry, seq)| entry.key.seq == *seq)
            .count();
        entries.truncate(whole);
        let mut damage = Vec::new();
        if entries.is_empty() {
            damage = self.damage();
            damage.retain(|one| one.orchestra == Some(orchestra) && one.log == Some(log));
        }
        Ok(Stretch { entries, damage })
    }

    /// An entry could not be read: what else is lost where it stood?
    fn explore(&mut self, key: EntryKey, segment: u64) -> Result<Stretch, ReadError> {
        let mut damage = self.verify_segment(segment)?;
        for one in &mut damage {
            if let Some((orchestra, log)) = one.orchestra.zip(one.log)
                && let Some(held) = self.held(orchestra, log)
            {
                one.seqs = one.seqs.without(held);
            }
        }
        let named = |one: &Damage| {
            one.entries().is_some_and(|((orchestra, log), seqs)| {
                (orchestra, log) == (key.orchestra, key.log) && seqs.contains(key.seq)
            })
        };
        if !damage.iter().any(named) {
            // The entry itself is lost for certain, whatever the rest of the segment looks like.
            let mut seqs = Ranges::new();
            seqs.insert(key.seq);
            let bytes = self.segment(segment).map_or(0, |(.., length)| length);
            damage.push(Damage {
                orchestra: Some(key.orchestra),
                log: Some(key.log),
                seqs,
                ..Damage::of_bytes(segment, 0, bytes)
            });
        }
        Ok(Stretch {
            entries: Vec::new(),
            damage,
        })
    }
}
