//! What one segment holds: per log, runs of sequence numbers with a sparse list of offsets; and the
//! index file that keeps it beside a sealed segment.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{ClusterId, Digest, LogId, OrchestraId};

use super::damage::Damage;
use super::frame::{FORMAT_VERSION, FrameKey, FrameSeal, HEAD_BYTES, Head, MAGIC, array};
use super::limits::{MARK_BYTES, MARK_ENTRIES};
use super::scan::{BadRegion, LastBatch, Step, walk};

/// Entries of one log that follow each other, in one segment. A log has several runs there if it
/// was written with gaps, out of order or twice; their extents in the file do not overlap.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) first: u64,
    pub(super) last: u64,
    marks: Vec<Mark>,
}

/// Where one entry of a run stands.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Mark {
    seq: u64,
    offset: u32,
}

impl Run {
    /// The nearest known offset at or before the entry `seq` of this run.
    pub(super) fn offset_before(&self, seq: u64) -> u32 {
        let at = self.marks.partition_point(|mark| mark.seq <= seq);
        self.marks[..at]
            .last()
            .map_or(HEAD_BYTES, |mark| mark.offset)
    }
}

/// A log of an orchestra.
pub(super) type LogKey = (OrchestraId, LogId);

/// What one segment holds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct SegmentIndex {
    pub(super) logs: BTreeMap<LogKey, Vec<Run>>,
    pub(super) proofs: Vec<(OrchestraId, Digest, u32)>,
    pub(super) damage: Vec<Damage>,
}

/// Builds an index frame by frame.
#[derive(Clone, Default)]
pub(super) struct IndexBuilder {
    pub(super) index: SegmentIndex,
    tails: BTreeMap<LogKey, Tail>,
    gaps: u32,
}

/// How far the last mark of a log lies back.
#[derive(Clone, Copy)]
struct Tail {
    entries: u32,
    offset: u32,
    gaps: u32,
}

impl IndexBuilder {
    /// Adds the frame at `offset`.
    pub(super) fn add(&mut self, key: &FrameKey, offset: u32) {
        let (log_key, seq) = match key {
            FrameKey::Bundle(key) => ((key.orchestra, key.log), key.seq),
            FrameKey::Proof { orchestra, digest } => {
                self.index.proofs.push((*orchestra, *digest, offset));
                return;
            }
        };
        let runs = self.index.logs.entry(log_key).or_default();
        let tail = self.tails.entry(log_key).or_insert(Tail {
            entries: 0,
            offset,
            gaps: 0,
        });
        let fresh = Tail {
            entries: 0,
            offset,
            gaps: self.gaps,
        };
        match runs
            .last_mut()
            .filter(|run| run.last.checked_add(1) == Some(seq))
        {
            None => {
                runs.push(Run {
                    first: seq,
                    last: seq,
                    marks: alloc::vec![Mark { seq, offset }],
                });
                *tail = fresh;
            }
            Some(run) => {
                run.last = seq;
                tail.entries += 1;
                let far = tail.entries >= MARK_ENTRIES || offset - tail.offset >= MARK_BYTES;
                if far || tail.gaps != self.gaps {
                    run.marks.push(Mark { seq, offset });
                    *tail = fresh;
                }
            }
        }
    }

    /// Notes that bad bytes lie here: every log gets a mark behind them, so that no reader has to
    /// find its way across.
    pub(super) fn note_gap(&mut self) {
        self.gaps += 1;
    }
}

/// A scanned segment.
pub(super) struct ScannedSegment {
    pub(super) builder: IndexBuilder,
    pub(super) bad: Vec<BadRegion>,
    pub(super) last: LastBatch,
}

/// Scans a whole segment, from its first byte.
pub(super) fn scan(seal: &FrameSeal, bytes: &[u8]) -> ScannedSegment {
    let mut builder = IndexBuilder::default();
    let mut bad = Vec::new();
    let last = walk(seal, bytes, HEAD_BYTES, |step| match step {
        Step::Frame(frame) => builder.add(&frame.key, frame.offset),
        Step::Bad(region) => {
            builder.note_gap();
            bad.push(region);
        }
    });
    ScannedSegment { builder, bad, last }
}

/// A segment that nothing is added to any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SealedSegment {
    /// The head; all that is needed of it if it could not be read is its number.
    pub(super) head: Head,
    pub(super) length: u64,
    /// BLAKE3 of the whole file.
    pub(super) hash: [u8; 32],
    pub(super) index: SegmentIndex,
}

/// What an index file turned out to be.
pub(super) enum IndexFound {
    Good(SealedSegment),
    OtherCluster(ClusterId),
    Newer(u32),
    Bad,
}

impl SealedSegment {
    /// Seals a segment by scanning it: whatever is no good frame is damage.
    pub(super) fn scan(head: Head, bad_heads: &[u32], bytes: &[u8]) -> Self {
        let scanned = scan(&head.seal(), bytes);
        let mut index = scanned.builder.index;
        index.damage = bad_heads
            .iter()
            .map(|&at| Damage::of_head(head.number, at))
            .collect();
        index.damage.extend(
            scanned
                .bad
                .iter()
                .map(|bad| Damage::of_region(head.number, bad)),
        );
        let hash = *blake3::hash(bytes).as_bytes();
        Self {
            head,
            length: bytes.len() as u64,
            hash,
            index,
        }
    }

    /// A segment without a readable head: none of its frames can be checked.
    pub(super) fn unreadable(cluster: ClusterId, number: u64, bytes: &[u8]) -> Self {
        let damage = Damage::of_bytes(number, 0, bytes.len() as u64);
        Self {
            head: Head {
                cluster,
                number,
                salt: [0; 16],
                previous: 0,
            },
            length: bytes.len() as u64,
            hash: *blake3::hash(bytes).as_bytes(),
            index: SegmentIndex {
                damage: alloc::vec![damage],
                ..SegmentIndex::default()
            },
        }
    }

    /// Tells what is missing at the end of a segment that ought to have `counts` bytes.
    pub(super) fn tell_shortage(&mut self, counts: u64) {
        if let Some(missing) = counts
            .checked_sub(self.length)
            .filter(|&missing| missing > 0)
        {
            self.index
                .damage
                .push(Damage::of_bytes(self.head.number, self.length, missing));
        }
    }

    /// The content of the index file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.head.cluster.0);
        let mut out = postcard::to_extend(self, out).expect("memory is the only thing to run out");
        let check = blake3::hash(&out);
        out.extend_from_slice(check.as_bytes());
        out
    }

    /// Reads an index file. It was written by this node and carries its own hash, so decoding is
    /// not a gate: it only has to notice a file that is not what was written.
    pub(super) fn decode(bytes: &[u8], cluster: ClusterId) -> IndexFound {
        let Some((body, check)) = bytes.split_at_checked(bytes.len().saturating_sub(32)) else {
            return IndexFound::Bad;
        };
        if body.len() < 28 || blake3::hash(body).as_bytes() != check || body[..8] != MAGIC {
            return IndexFound::Bad;
        }
        let version = u32::from_le_bytes(array(body, 8));
        let found = ClusterId(array(body, 12));
        if version > FORMAT_VERSION {
            return IndexFound::Newer(version);
        }
        if found != cluster {
            return IndexFound::OtherCluster(found);
        }
        postcard::from_bytes(&body[28..]).map_or(IndexFound::Bad, IndexFound::Good)
    }
}
