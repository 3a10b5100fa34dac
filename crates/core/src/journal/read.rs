//! Reading: from the nearest mark of the sparse index forward, every frame checked again.

use alloc::vec::Vec;

use unisono_model::{LogId, OrchestraId};

use super::disk::{Disk, DiskError};
use super::error::ReadError;
use super::files::segment_name;
use super::frame::{Entry, EntryKey, FRAME_BYTES, FrameHeader, FrameKey, FrameSeal, Proof};
use super::limits::READ_BYTES;
use super::{Journal, Place, State};

impl<D: Disk> Journal<D> {
    /// Held entries of the log from `from_seq` on, in rising order, until their frames exceed
    /// `max_bytes`; at least one if one is held. Entries that are not held are left out, as their
    /// numbers tell. Where damage begins the answer ends early, and the next one is an error.
    pub fn read(
        &self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        max_bytes: usize,
    ) -> Result<Vec<Entry>, ReadError> {
        if self.state == State::Poisoned {
            return Err(ReadError::Poisoned);
        }
        let mut entries = Vec::new();
        let Some(held) = self.held(orchestra, log) else {
            return Ok(entries);
        };
        let mut room = max_bytes;
        let mut next = held.first_from(from_seq);
        while let Some(seq) = next
            && (room > 0 || entries.is_empty())
        {
            let before = entries.len();
            let key = EntryKey {
                orchestra,
                log,
                seq,
            };
            match self.read_run(key, room, &mut entries) {
                Err(ReadError::Damaged { .. }) if before > 0 => break,
                other => other?,
            }
            let read = &entries[before..];
            room = room.saturating_sub(read.iter().map(|e| e.bytes.len() + FRAME_BYTES).sum());
            let last = read.last().map_or(seq, |entry| entry.key.seq);
            next = last.checked_add(1).and_then(|seq| held.first_from(seq));
        }
        Ok(entries)
    }

    /// One entry; `None` if it is not held.
    pub fn read_one(&self, key: EntryKey) -> Result<Option<Entry>, ReadError> {
        if !self
            .held(key.orchestra, key.log)
            .is_some_and(|held| held.contains(key.seq))
        {
            return Ok(None);
        }
        Ok(self.read(key.orchestra, key.log, key.seq, 1)?.pop())
    }

    /// Every proof of the orchestra, in the order of the digests.
    pub fn proofs(&self, orchestra: OrchestraId) -> Result<Vec<Proof>, ReadError> {
        if self.state == State::Poisoned {
            return Err(ReadError::Poisoned);
        }
        let mut proofs = Vec::new();
        for (&digest, places) in self.proofs.get(&orchestra).into_iter().flatten() {
            let newest = places.iter().rev();
            let mut segment = 0;
            let mut found = None;
            for place in newest {
                segment = place.segment;
                found = self.read_proof(*place, FrameKey::Proof { orchestra, digest })?;
                if found.is_some() {
                    break;
                }
            }
            let bytes = found.ok_or(ReadError::DamagedProof { orchestra, segment })?;
            proofs.push(Proof {
                orchestra,
                digest,
                bytes,
            });
        }
        Ok(proofs)
    }

    fn read_proof(&self, place: Place, key: FrameKey) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(mut reader) = self.reader(place) else {
            return Ok(None);
        };
        let Some(header) = reader.header()?.filter(|header| header.key == key) else {
            return Ok(None);
        };
        Ok(reader.payload(&header)?)
    }

    /// Reads `key` and what follows it directly, in the newest segment that has a good copy of it.
    fn read_run(&self, key: EntryKey, room: usize, out: &mut Vec<Entry>) -> Result<(), ReadError> {
        let log = self
            .logs
            .get(&key.orchestra)
            .and_then(|logs| logs.get(&key.log));
        let mut newest = 0;
        for (&segment, extent) in log.iter().flat_map(|log| log.segments.iter().rev()) {
            if !(extent.0..=extent.1).contains(&key.seq) {
                continue;
            }
            let Some((index, ..)) = self.segment(segment) else {
                continue;
            };
            // The newest copy in a segment is the last one.
            let runs = index
                .logs
                .get(&(key.orchestra, key.log))
                .into_iter()
                .flatten()
                .rev();
            for run in runs.filter(|run| (run.first..=run.last).contains(&key.seq)) {
                newest = newest.max(segment);
                let place = Place {
                    segment,
                    offset: run.offset_before(key.seq),
                };
                if self.read_forward(place, key, run.last, room, out)? {
                    return Ok(());
                }
            }
        }
        Err(ReadError::Damaged {
            key,
            segment: newest,
        })
    }

    /// Reads forward from `place` until `key` is found, then on to `last`. False if `key` is not
    /// there in good order.
    fn read_forward(
        &self,
        place: Place,
        key: EntryKey,
        last: u64,
        mut room: usize,
        out: &mut Vec<Entry>,
    ) -> Result<bool, ReadError> {
        let Some(mut reader) = self.reader(place) else {
            return Ok(false);
        };
        let mut wanted = key;
        while let Some(header) = reader.header()? {
            if header.key == FrameKey::Bundle(wanted) {
                let Some(bytes) = reader.payload(&header)? else {
                    break;
                };
                room = room.saturating_sub(header.frame_bytes());
                out.push(Entry { key: wanted, bytes });
                if room == 0 || wanted.seq == last {
                    return Ok(true);
                }
                wanted.seq += 1;
            }
            reader.skip(&header);
        }
        Ok(wanted != key)
    }

    fn reader(&self, place: Place) -> Option<FrameReader<'_, D>> {
        let (_, seal, length) = self.segment(place.segment)?;
        Some(FrameReader {
            disk: &self.disk,
            name: segment_name(place.segment),
            seal,
            length,
            at: place.offset,
            window: Vec::new(),
            window_at: 0,
        })
    }
}

/// Steps through the frames of a segment file, a window of it in memory.
struct FrameReader<'a, D> {
    disk: &'a D,
    name: alloc::string::String,
    seal: FrameSeal,
    length: u64,
    at: u32,
    window: Vec<u8>,
    window_at: u32,
}

impl<D: Disk> FrameReader<'_, D> {
    /// The header where the reader stands; `None` at the end and where it is bad.
    fn header(&mut self) -> Result<Option<FrameHeader>, DiskError> {
        let (seal, at) = (self.seal, self.at);
        Ok(seal.header(self.bytes(FRAME_BYTES)?, at))
    }

    /// The payload of the frame where the reader stands; `None` if it is bad.
    fn payload(&mut self, header: &FrameHeader) -> Result<Option<Vec<u8>>, DiskError> {
        let seal = self.seal;
        Ok(seal
            .payload(self.bytes(header.frame_bytes())?)
            .map(<[u8]>::to_vec))
    }

    fn skip(&mut self, header: &FrameHeader) {
        self.at = self.at.saturating_add(header.frame_bytes() as u32);
    }

    /// `count` bytes from where the reader stands; fewer at the end of what counts.
    fn bytes(&mut self, count: usize) -> Result<&[u8], DiskError> {
        let left = self.length.saturating_sub(u64::from(self.at));
        let count = count.min(left.min(usize::MAX as u64) as usize);
        let mut start = (self.at - self.window_at) as usize;
        if start.saturating_add(count) > self.window.len() {
            let fetch = count.max((READ_BYTES as u64).min(left) as usize);
            self.window = self.disk.read(&self.name, u64::from(self.at), fetch)?;
            self.window_at = self.at;
            start = 0;
        }
        let end = (start + count).min(self.window.len());
        Ok(&self.window[start.min(end)..end])
    }
}
