//! Everything that a node can ask for. The list is closed.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{
    AgentId, Digest, IdempotencyKey, LogId, NodeId, OrchestraId, Place, Rejection, RootWord,
    Succession,
};

use super::input::{BatchId, LoadId, Ticket};
use crate::journal::{Entry, Proof};
use crate::orchestra::view::{ClaimView, CueView, View};
use crate::replication::Cursor;

/// Something that the driver must do, in this order.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "an output is made, matched and gone; a box would cost more than the move"
)]
pub enum Output {
    /// Put these on disk with one sync, then say `Input::Persisted`. At most one is under way.
    Persist {
        /// Names the batch.
        batch: BatchId,
        /// In order.
        entries: Vec<Entry>,
        /// Proofs of forks.
        proofs: Vec<Proof>,
    },
    /// Read bundles of a log from disk, then say `Input::Loaded`.
    Load {
        /// Names the read.
        load: LoadId,
        /// Where.
        orchestra: OrchestraId,
        /// Which log.
        log: LogId,
        /// From this bundle on.
        from_seq: u64,
        /// About so many bytes at the most, but at least one bundle where there is one.
        bytes_max: usize,
    },
    /// Keep a cache under a name; losing it costs time, never truth.
    SaveBlob {
        /// The name.
        name: String,
        /// The content.
        bytes: Vec<u8>,
    },
    /// Read a cache, then say `Input::BlobLoaded`.
    LoadBlob {
        /// Names the read.
        load: LoadId,
        /// The cache's name.
        name: String,
    },
    /// Send a frame. May be lost, doubled or late.
    Send {
        /// To whom.
        to: NodeId,
        /// In which class.
        class: Class,
        /// What.
        bytes: Vec<u8>,
    },
    /// Answer a waiting request.
    Reply {
        /// Which.
        ticket: Ticket,
        /// The answer, or why not.
        result: Result<Answer, Rejection>,
    },
    /// An orchestra has something new to show: wake those who follow it.
    Publish {
        /// Which.
        orchestra: OrchestraId,
    },
    /// A member's address is known.
    Address {
        /// Whose.
        node: NodeId,
        /// `host:port`.
        address: String,
    },
    /// A node was removed from the cluster by its root: close its connection, and turn it away,
    /// whatever certificate it has. Said once in each process.
    Exclude {
        /// Who.
        node: NodeId,
    },
    /// A root says that another authority signs the certificates of nodes: take it for one, and know
    /// the end of those before it. Said once in each process.
    Succession(Box<Succession>),
    /// A root of rights was named: whose word about authorities counts.
    Root(Box<RootWord>),
    /// Something worth a line in the log or a counter.
    Note(Note),
    /// The disk is in an unknown state, or this life was removed from the cluster: make the node
    /// anew from the disk, as a new incarnation.
    Restart {
        /// Why.
        reason: &'static str,
    },
}

/// The reason of a node that begins anew because its life's edits of notes wait for ever for what a
/// fork, or a removal, took away.
pub const EDITS_CUT_OFF: &str = "what edits of this life were built upon does not count any more";

/// What a frame is for; classes have separate queues, membership first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Class {
    /// Small, at once, may be lost.
    Membership,
    /// New bundles and what follows from them.
    Push,
    /// Digests and what was missed.
    Repair,
}

/// What an answered request gets.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The stamp that the answer speaks of.
    pub as_of: unisono_model::Stamp,
    /// Whether nothing at or below that stamp can change any more.
    pub is_final: bool,
    /// What this node had when it answered: hand it to the next node.
    pub cursor: Cursor,
    /// The answer itself.
    pub body: AnswerBody,
}

/// The part of an answer that depends on the question.
#[derive(Clone, Debug)]
pub enum AnswerBody {
    /// A record was made, or had been made before under this key.
    Recorded(Recorded),
    /// The orchestra is there.
    Opened,
    /// A living value was changed.
    Edited,
    /// The node has left the cluster.
    Left {
        /// Who holds all that it wrote.
        held_by: Vec<NodeId>,
        /// How many should; where there are fewer, it must run on until there are so many.
        wanted: usize,
    },
    /// What was asked for.
    View(View),
}

/// What became of an action.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The record, and where it stands in the order of everything.
    pub place: Place,
    /// The log that carries it.
    pub log: LogId,
    /// Its number in its agent's chain.
    pub seq: u64,
    /// On how many nodes' disks it is known to be.
    pub durable_on: u16,
    /// On how many it was asked to be.
    pub durable_wanted: u16,
    /// For a claim or a renewal: what it came to.
    pub claim: Option<ClaimView>,
    /// For a cue: as it stands, with whether the notice is long enough.
    pub cue: Option<Box<CueView>>,
    /// Whether an earlier record with the same key is the answer.
    pub repeated: bool,
    /// The key of the request.
    pub key: Option<IdempotencyKey>,
}

/// Something worth a line in the log or a counter.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Note {
    /// A bundle did not enter.
    BundleRefused {
        /// Who sent it.
        from: NodeId,
        /// Whose it claims to be, where that could be read.
        log: Option<LogId>,
        /// Why.
        why: &'static str,
    },
    /// A frame could not be read.
    FrameRefused {
        /// Who sent it.
        from: NodeId,
    },
    /// A log forked; it ends before this bundle.
    LogForked {
        /// Where.
        orchestra: OrchestraId,
        /// Which log.
        log: LogId,
        /// From this bundle on nothing counts.
        seq: u64,
    },
    /// A chain forked; it ends before this record.
    ChainForked {
        /// Where.
        orchestra: OrchestraId,
        /// One of the records.
        record: Digest,
    },
    /// The views of an orchestra are folded again from the logs.
    Refold {
        /// Which.
        orchestra: OrchestraId,
        /// Why.
        why: &'static str,
    },
    /// A claim that this node had granted has lost: its agent is to be told.
    Contested {
        /// Where.
        orchestra: OrchestraId,
        /// What was claimed.
        topic: String,
        /// Whose claim it was.
        agent: AgentId,
        /// The losing claim.
        claim: Digest,
    },
    /// A member is away or back, by gossip.
    Member {
        /// Who.
        node: NodeId,
        /// Whether it seems alive.
        alive: bool,
    },
    /// This node's clock differs from the cluster's by so many ms.
    ClockOff {
        /// Ours minus theirs.
        offset_ms: i64,
    },
    /// The disk is full, or has room again.
    Disk {
        /// Whether writes are refused.
        full: bool,
    },
    /// A document was dropped and will be built again from the log.
    DocumentDropped {
        /// Where.
        orchestra: OrchestraId,
        /// Why.
        why: &'static str,
    },
}
