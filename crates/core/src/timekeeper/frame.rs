//! What timing planes say to each other. Who says it, the transport knows.

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;
use unisono_model::wire::{self, Malformed};

use super::limits;
use crate::election::{Announcement, Epoch};

/// One datagram.
#[allow(
    clippy::large_enum_variant,
    reason = "one at a time, on the stack, for as long as it is read"
)]
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Frame {
    /// What time is it? The asking node's own reading stays with it: the number says which question
    /// was answered.
    Question {
        /// Drawn by whoever asks.
        nonce: u64,
    },
    /// The time, twice.
    Answer(Answer),
    /// Who leads, and how good this node's clock is.
    Announcement(Announcement),
}

/// An answer: the two readings of the far clock in the on-wire exchange of RFC 5905, section 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub nonce: u64,
    /// When the question arrived, ns of cluster time.
    pub received_ns: u64,
    /// When the answer left, ns of cluster time.
    pub sent_ns: u64,
    /// Whose time it is: the epoch on whose leader the answering node stands.
    pub of: Epoch,
    /// On which line that time lies: the epoch in which its leader last took over. A leader that is
    /// merely given a newer epoch goes on with its line; one that led before, followed meanwhile and
    /// leads again begins another.
    pub line: Epoch,
    /// From whom the answering node has it; nobody, if it leads.
    pub source: Option<NodeId>,
    /// The highest epoch that the answering node knows.
    pub epoch: Epoch,
    /// Half its hard interval, ns.
    pub hard_ns: u64,
    /// Its deviation, ns.
    pub deviation_ns: u64,
}

impl Frame {
    /// Its bytes.
    pub fn encode(&self) -> alloc::vec::Vec<u8> {
        wire::encode(self)
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`Malformed`] where the bytes are no frame of this version; a newer one's are of no use here.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        wire::decode(bytes, limits::MESSAGE_BYTES_MAX)
    }
}
