//! Which document, and under which Automerge actor a node writes it.

use std::fmt;

use unisono_model::{Incarnation, NodeId, OrchestraId};

/// What a document is for.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// The facts that last as long as the orchestra.
    Score,
    /// The facts of one iteration.
    Movement(u32),
    /// Notes and configuration, which are edited together.
    Living,
}

/// The name of one document of one orchestra.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DocumentId {
    /// Whose document it is.
    pub orchestra: OrchestraId,
    /// What it is for.
    pub kind: Kind,
    /// Counts up from 0 whenever a document is rolled over before it grows large.
    pub part: u32,
}

/// The Automerge actor of one life of one node in one document.
///
/// It begins with the start of that life, because an actor that sorts last joins a document about
/// twenty times cheaper than one that sorts in the middle.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Actor(pub [u8; 16]);

/// The actor under which this life of this node writes this document: the low 6 bytes of the start
/// in milliseconds (big endian), then 10 bytes of BLAKE3 over node, document and incarnation, so
/// that nobody can squat on another's.
pub fn actor_id(incarnation: Incarnation, node: &NodeId, document: &DocumentId) -> Actor {
    let mut hasher = blake3::Hasher::new_derive_key("unisono/actor/v1");
    hasher.update(&node.0);
    hasher.update(&document.to_bytes());
    hasher.update(&incarnation.started_ms.to_be_bytes());
    hasher.update(&incarnation.nonce.to_be_bytes());
    let mut actor = [0; 16];
    actor[..6].copy_from_slice(&incarnation.started_ms.to_be_bytes()[2..]);
    actor[6..].copy_from_slice(&hasher.finalize().as_bytes()[..10]);
    Actor(actor)
}

impl DocumentId {
    /// The length of the canonical form.
    pub const BYTES: usize = 25;

    /// The canonical form: orchestra (16), kind (1), iteration (4, big endian, 0 unless a
    /// movement), part (4, big endian).
    pub fn to_bytes(&self) -> [u8; Self::BYTES] {
        let (tag, iteration) = match self.kind {
            Kind::Score => (1, 0),
            Kind::Movement(iteration) => (2, iteration),
            Kind::Living => (3, 0),
        };
        let mut bytes = [0; Self::BYTES];
        bytes[..16].copy_from_slice(&self.orchestra.0);
        bytes[16] = tag;
        bytes[17..21].copy_from_slice(&iteration.to_be_bytes());
        bytes[21..].copy_from_slice(&self.part.to_be_bytes());
        bytes
    }

    /// Reads the canonical form; `None` unless the bytes are exactly what `to_bytes` writes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let kind = match (bytes[16], number(17)) {
            (1, 0) => Kind::Score,
            (2, iteration) => Kind::Movement(iteration),
            (3, 0) => Kind::Living,
            _ => return None,
        };
        let mut orchestra = OrchestraId::default();
        orchestra.0.copy_from_slice(&bytes[..16]);
        Some(Self {
            orchestra,
            kind,
            part: number(21),
        })
    }
}

impl fmt::Display for DocumentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Score => write!(f, "{}/score.{}", self.orchestra, self.part),
            Kind::Movement(iteration) => {
                write!(f, "{}/movement-{iteration}.{}", self.orchestra, self.part)
            }
            Kind::Living => write!(f, "{}/living.{}", self.orchestra, self.part),
        }
    }
}

impl Actor {
    pub(crate) fn automerge(&self) -> automerge::ActorId {
        automerge::ActorId::from(self.0)
    }

    /// `None` for an actor that is not of our length, which no document of ours contains.
    pub(crate) fn of(actor: &automerge::ActorId) -> Option<Self> {
        actor.to_bytes().try_into().ok().map(Self)
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[4..9]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
