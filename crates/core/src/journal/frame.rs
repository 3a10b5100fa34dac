//! The bytes of a segment: its head, and frames that can be told from damage and from fakes.
//!
//! ```text
//! head (twice)   magic 8 · version 4 · cluster 16 · number 8 · salt 16 · previous 4 · check 8
//! frame          check 16 · mark 4 · offset 4 · length 4 · batch 4 · kind 1 · key 72 · header check 8
//!                · payload
//! ```
//! Numbers are little-endian. Both checks of a frame are BLAKE3 under a key made from the head, not
//! a CRC: a payload comes from a peer, and behind a damaged frame the scan looks for the next good
//! one inside such bytes. A peer that does not know the salt cannot plant a frame there. The offset
//! in the header catches writes that landed in the wrong place.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{ClusterId, Digest, Incarnation, LogId, NodeId, OrchestraId};

use super::limits::PAYLOAD_BYTES_MAX;

/// The version of the segment and index files that this code writes.
pub const FORMAT_VERSION: u32 = 1;

pub(super) const MAGIC: [u8; 8] = *b"unisono\0";
const HEAD_COPY_BYTES: usize = 64;
/// Where the first frame of a segment stands.
pub(super) const HEAD_BYTES: u32 = 2 * HEAD_COPY_BYTES as u32;
/// What a frame costs beside its payload.
pub(super) const FRAME_BYTES: usize = 113;
const MARK: [u8; 4] = [0xf5, 0x75, 0x6e, 0x69];
const KEY_BYTES: usize = 72;

/// Names a bundle: whose log of which orchestra, and its place there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct EntryKey {
    /// The orchestra.
    pub orchestra: OrchestraId,
    /// The log.
    pub log: LogId,
    /// The place in the log.
    pub seq: u64,
}

/// One bundle as the journal sees it: a name and opaque bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its name.
    pub key: EntryKey,
    /// The signed bundle; the journal does not look inside.
    pub bytes: Vec<u8>,
}

/// A proof (of a fork, say) that belongs to an orchestra and is named by its digest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proof {
    /// The orchestra.
    pub orchestra: OrchestraId,
    /// The digest that names the proof; the journal does not recompute it.
    pub digest: Digest,
    /// The proof; the journal does not look inside.
    pub bytes: Vec<u8>,
}

/// What a frame carries, by name. A closed list: a kind that is not in it is damage.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum FrameKey {
    Bundle(EntryKey),
    Proof {
        orchestra: OrchestraId,
        digest: Digest,
    },
}

impl FrameKey {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bundle(key) => {
                out.push(1);
                out.extend_from_slice(&key.orchestra.0);
                out.extend_from_slice(&key.log.node.0);
                out.extend_from_slice(&key.log.incarnation.started_ms.to_le_bytes());
                out.extend_from_slice(&key.log.incarnation.nonce.to_le_bytes());
                out.extend_from_slice(&key.seq.to_le_bytes());
            }
            Self::Proof { orchestra, digest } => {
                out.push(2);
                out.extend_from_slice(&orchestra.0);
                out.extend_from_slice(&digest.0);
                out.extend_from_slice(&[0; KEY_BYTES - 48]);
            }
        }
    }

    fn decode(kind: u8, key: &[u8]) -> Option<Self> {
        let orchestra = OrchestraId(array(key, 0));
        match kind {
            1 => Some(Self::Bundle(EntryKey {
                orchestra,
                log: LogId {
                    node: NodeId(array(key, 16)),
                    incarnation: Incarnation {
                        started_ms: u64::from_le_bytes(array(key, 48)),
                        nonce: u64::from_le_bytes(array(key, 56)),
                    },
                },
                seq: u64::from_le_bytes(array(key, 64)),
            })),
            2 => Some(Self::Proof {
                orchestra,
                digest: Digest(array(key, 16)),
            }),
            _ => None,
        }
    }
}

/// What stands at the start of a segment file.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Head {
    pub(super) cluster: ClusterId,
    pub(super) number: u64,
    /// Drawn by the life that made the segment, unknown to peers.
    pub(super) salt: [u8; 16],
    /// How long the segment before this one has to be: what lies beyond was carried over into this
    /// one. Not more than a head: nothing of it is left, and the file may be gone.
    pub(super) previous: u32,
}

/// What the bytes at the start of a segment file turned out to be.
#[derive(Debug)]
pub(super) enum HeadFound {
    /// A head, and which of its two copies are bad.
    Good(Head, Vec<u32>),
    /// Whole, or nearly, and of a version that this code does not know.
    Newer(u32),
    Bad,
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut copy = Vec::with_capacity(HEAD_BYTES as usize);
        copy.extend_from_slice(&MAGIC);
        copy.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        copy.extend_from_slice(&self.cluster.0);
        copy.extend_from_slice(&self.number.to_le_bytes());
        copy.extend_from_slice(&self.salt);
        copy.extend_from_slice(&self.previous.to_le_bytes());
        let check = blake3::hash(&copy);
        copy.extend_from_slice(&check.as_bytes()[..8]);
        copy.extend_from_within(..);
        copy
    }

    fn decode_copy(copy: &[u8]) -> Option<Self> {
        let (body, check) = copy.split_at(HEAD_COPY_BYTES - 8);
        let known = body[..8] == MAGIC && body[8..12] == FORMAT_VERSION.to_le_bytes();
        if !known || blake3::hash(body).as_bytes()[..8] != *check {
            return None;
        }
        Some(Self {
            cluster: ClusterId(array(body, 12)),
            number: u64::from_le_bytes(array(body, 28)),
            salt: array(body, 36),
            previous: u32::from_le_bytes(array(body, 52)),
        })
    }

    /// Looks at the first bytes of a segment file.
    pub(super) fn find(bytes: &[u8]) -> HeadFound {
        let mut found = None;
        let mut bad = Vec::new();
        let mut newer = None;
        for at in [0, HEAD_COPY_BYTES] {
            let copy = bytes.get(at..at + HEAD_COPY_BYTES);
            match copy.and_then(Self::decode_copy) {
                Some(head) => found = found.or(Some(head)),
                None => bad.push(at as u32),
            }
            if let Some(copy) = copy
                && copy[..8] == MAGIC
                && u32::from_le_bytes(array(copy, 8)) > FORMAT_VERSION
            {
                newer = Some(u32::from_le_bytes(array(copy, 8)));
            }
        }
        match (found, newer) {
            (Some(head), _) => HeadFound::Good(head, bad),
            (None, Some(version)) => HeadFound::Newer(version),
            (None, None) => HeadFound::Bad,
        }
    }

    pub(super) fn seal(&self) -> FrameSeal {
        let mut hasher = blake3::Hasher::new_derive_key("unisono/journal/frame/v1");
        hasher.update(&self.cluster.0);
        hasher.update(&self.number.to_le_bytes());
        hasher.update(&self.salt);
        FrameSeal(*hasher.finalize().as_bytes())
    }
}

/// The key under which the frames of one segment are written and checked.
#[derive(Clone, Copy)]
pub(super) struct FrameSeal([u8; 32]);

/// A good header: what stands behind it and where it ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeader {
    pub(super) key: FrameKey,
    /// Where the batch that wrote this frame begins.
    pub(super) batch: u32,
    /// Payload length.
    pub(super) length: usize,
}

impl FrameHeader {
    /// How many bytes the whole frame takes.
    pub(super) fn frame_bytes(&self) -> usize {
        FRAME_BYTES + self.length
    }
}

impl FrameSeal {
    /// Appends to `out` the frame that will stand at `offset` of the segment.
    pub(super) fn encode(
        &self,
        key: &FrameKey,
        payload: &[u8],
        offset: u32,
        batch: u32,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.extend_from_slice(&[0; 16]);
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&offset.to_le_bytes());
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        out.extend_from_slice(&batch.to_le_bytes());
        key.encode(out);
        let check = blake3::keyed_hash(&self.0, &out[start + 16..]);
        out.extend_from_slice(&check.as_bytes()[..8]);
        out.extend_from_slice(payload);
        let check = blake3::keyed_hash(&self.0, &out[start + 16..]);
        out[start..start + 16].copy_from_slice(&check.as_bytes()[..16]);
    }

    /// The header of the frame at `offset`, whose first bytes are `bytes`.
    pub(super) fn header(&self, bytes: &[u8], offset: u32) -> Option<FrameHeader> {
        let bytes = bytes.get(..FRAME_BYTES)?;
        if bytes[16..20] != MARK || bytes[20..24] != offset.to_le_bytes() {
            return None;
        }
        let check = blake3::keyed_hash(&self.0, &bytes[16..FRAME_BYTES - 8]);
        if check.as_bytes()[..8] != bytes[FRAME_BYTES - 8..] {
            return None;
        }
        let length = u32::from_le_bytes(array(bytes, 24)) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return None;
        }
        Some(FrameHeader {
            key: FrameKey::decode(bytes[32], &bytes[33..33 + KEY_BYTES])?,
            batch: u32::from_le_bytes(array(bytes, 28)),
            length,
        })
    }

    /// The payload of a whole frame, if its bytes are what was written.
    pub(super) fn payload<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let (check, rest) = frame.split_at_checked(16)?;
        let payload = rest.get(FRAME_BYTES - 16..)?;
        (blake3::keyed_hash(&self.0, rest).as_bytes()[..16] == *check).then_some(payload)
    }
}

/// `N` bytes from `at`. The callers slice before they ask.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
