//! What nodes say to each other.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::wire::{Blob, Malformed, decode, encode};
use unisono_model::{Admit, Digest, ForkProof, LogId, NodeId, OrchestraId};

use super::log::SignedHeader;
use super::logs::LogHead;

/// Largest frame (bytes).
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest share of a log sent at once (bytes).
pub const RANGE_BYTES_MAX: usize = 256 * 1024;
/// Most orchestras in one summary.
pub const SUMMARY_MAX: usize = 4096;
/// Most logs in one vector or request.
pub const VECTOR_MAX: usize = 8192;

/// Most fork proofs that a vector has: with as many logs as it may have, they fit into a frame.
pub const PROOFS_MAX: usize = 1024;

/// What nodes say to each other. Bundles travel as the bytes that were signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// "These are new."
    Push {
        /// Whether the receiver is to pass them on to the peers of its region.
        relay: bool,
        /// Each the bytes of a signed bundle.
        bundles: Vec<Blob>,
    },
    /// "I have these on disk": the answer to a push.
    Have {
        /// Where.
        orchestra: OrchestraId,
        /// Up to which bundle, per log.
        logs: Vec<(LogId, u64)>,
    },
    /// "This is what I hold, in one hash per orchestra."
    Summary {
        /// What time the sender goes by (ms), to notice clocks that are off.
        wall_ms: u64,
        /// How far that may be off the cluster's time (ns, three sigma), where the sender knows it.
        unsure_ns: Option<u64>,
        /// Whether an answer is wanted.
        ask: bool,
        /// One hash per orchestra.
        orchestras: Vec<(OrchestraId, Digest)>,
    },
    /// "This is what I hold of an orchestra."
    Vector {
        /// Where.
        orchestra: OrchestraId,
        /// Whether an answer is wanted.
        ask: bool,
        /// Where the logs stand.
        logs: Vec<LogHead>,
        /// Proofs that logs forked.
        proofs: Vec<ForkProof>,
    },
    /// "Send me these."
    Want {
        /// Where.
        orchestra: OrchestraId,
        /// From which bundle on, per log.
        logs: Vec<(LogId, u64)>,
    },
    /// "Here is a stretch of a log."
    Range {
        /// Consecutive bundles of one log.
        bundles: Vec<Blob>,
        /// Whether another log of the same [`Frame::Want`] follows.
        more: bool,
    },
    /// "This stands at that place in my copy of the log": how forks are traced to their root.
    Header(SignedHeader),
    /// "Admit me."
    Join(Admit),
    /// A message of the membership protocol.
    Swim(Blob),
    /// "Pass this message of the membership protocol on": not used on a full mesh.
    Relay {
        /// To whom.
        to: NodeId,
        /// What.
        message: Blob,
    },
    /// "I am leaving: do you hold this much?"
    Keep {
        /// Where.
        orchestra: OrchestraId,
        /// Up to which bundle, per log.
        logs: Vec<(LogId, u64)>,
    },
    /// "I do, and I stay."
    Kept {
        /// The question ([`keep_id`]).
        question: Digest,
    },
}

/// The name of a question whether so much of an orchestra is held.
pub fn keep_id(orchestra: &OrchestraId, logs: &[(LogId, u64)]) -> Digest {
    Digest::of("unisono/keep/v1", &[&orchestra.0, &encode(&logs.to_vec())])
}

impl Frame {
    /// Reads a frame and checks its counts.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let frame: Self = decode(bytes, FRAME_BYTES_MAX)?;
        let counts = match &frame {
            Self::Summary { orchestras, .. } => orchestras.len() <= SUMMARY_MAX,
            Self::Vector { logs, proofs, .. } => {
                logs.len() <= VECTOR_MAX && proofs.len() <= VECTOR_MAX
            }
            Self::Want { logs, .. } | Self::Have { logs, .. } | Self::Keep { logs, .. } => {
                logs.len() <= VECTOR_MAX
            }
            _ => true,
        };
        if counts {
            Ok(frame)
        } else {
            Err(Malformed::Limit("entries of a frame"))
        }
    }
}
