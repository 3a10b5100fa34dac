//! What timing planes say to each other. Who says it, the transport knows.

use alloc::vec::Vec;

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
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
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
    /// How far other leaders' clocks are from this one's, for whoever puts all of that together.
    Differences(Differences),
}

/// What a leader has measured of others that stand for the cluster.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Differences {
    /// On which line of time this node's own lies.
    pub line: Epoch,
    /// At most [`limits::OTHERS_MAX`] others, each once.
    pub measured: Vec<Measured>,
}

/// One other leader's clock, seen from one leader.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Whose.
    pub node: NodeId,
    /// Its direct time minus the measuring node's direct time, ns.
    pub by_ns: i64,
    /// One sigma of that, ns.
    pub deviation_ns: u64,
}

/// An answer: the two readings of the far clock in the on-wire exchange of RFC 5905, section 8.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub nonce: u64,
    /// When the question arrived, ns of cluster time: by the answering node's own way to the leader
    /// alone.
    pub received_ns: u64,
    /// When the answer left, ns of cluster time, the same.
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
    /// Its deviation, with a third of what unequal ways may hide beside it, ns.
    pub deviation_ns: u64,
    /// What the answering node adds to these times when it tells them, ns: what all leaders'
    /// measurements of one another say beside.
    pub correction_ns: i64,
}

impl Frame {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
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
