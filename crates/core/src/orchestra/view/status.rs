//! What a node says of itself, its members and what it holds.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{ClusterId, Incarnation, LogId, NodeId, OrchestraEnd, OrchestraId};

/// How the node is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusView {
    /// Who it is.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its cluster.
    pub cluster: ClusterId,
    /// This life.
    pub incarnation: Incarnation,
    /// The members.
    pub members: Vec<MemberView>,
    /// Whether writes are refused because the disk is full.
    pub disk_full: bool,
    /// This node's clock minus the other members' (median, ms), where two or more were heard.
    pub clock_offset_ms: Option<i64>,
    /// How far it has stamped ahead of its clock (ms), where that is too far: where others are
    /// members it takes no writes until its clock has come near, and it admits nobody.
    pub stamps_ahead_ms: Option<u64>,
    /// Requests that wait.
    pub waiting: u64,
    /// Stored bundles that this node can no longer read.
    pub damage: Vec<DamageView>,
    /// Counters.
    pub counters: Counters,
}

/// Bundles of a log that were once written and can no longer be read. What agents see of them is
/// unchanged as long as a checkpoint covers them.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DamageView {
    /// Whose.
    pub orchestra: OrchestraId,
    /// Of which log.
    pub log: LogId,
    /// Which bundles: first and last, both included, rising.
    pub bundles: Vec<(u64, u64)>,
    /// In which segments of this node's journal they stood, where that is known.
    pub segments: Vec<u64>,
    /// Whether there is a member to get them from.
    pub asked: bool,
}

/// What the removal of a node would keep.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct EndsView {
    /// Up to where each of its logs is held, in order.
    pub ends: Vec<OrchestraEnd>,
    /// The lives of the other members that stay, in order of nodes.
    pub staying: Vec<LogId>,
    /// Logs of which nothing would be kept, because a removal names so many and no more.
    pub left_out: usize,
}

/// A member of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MemberView {
    /// Who.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where it is reached.
    pub address: String,
    /// Its life.
    pub incarnation: Incarnation,
    /// Whether gossip holds it for alive.
    pub alive: bool,
    /// When it was last heard (ms ago), where it was.
    pub heard_ms_ago: Option<u64>,
    /// The round trip (µs), where measured.
    pub round_trip_us: Option<u64>,
    /// How many bundles it said it lacks, at its last digest.
    pub behind: u64,
    /// Votes for its removal.
    pub removal_votes: u16,
    /// Removed.
    pub removed: bool,
    /// It has left of its own accord.
    pub left: bool,
    /// A root has removed it, for good.
    pub expelled: bool,
    /// The invite by which it came has let in another node: it has to leave, or has.
    pub outdone: bool,
}

/// What an invite has come to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct InviteView {
    /// Until when it lets somebody in (ms since the Unix epoch); none where only its use is known.
    pub expires_ms: Option<u64>,
    /// Whom it has let in.
    pub used_by: Option<NodeId>,
}

impl MemberView {
    /// Whether it takes part: no view left it out, it has not left, and no root has removed it.
    pub fn stays(&self) -> bool {
        !self.removed && !self.left && !self.expelled
    }
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each name is its meaning")]
pub struct Counters {
    pub records_made: u64,
    pub records_received: u64,
    pub bundles_written: u64,
    pub bundles_received: u64,
    /// Bundles of others whose time had not come when they did.
    pub bundles_held_back: u64,
    /// Times that an agent came from a node whose clock is further.
    pub clocks_followed: u64,
    pub bundles_duplicate: u64,
    pub bundles_refused: u64,
    pub batches: u64,
    pub heads_written: u64,
    /// Own bundles that were sent once more, since a channel is weak.
    pub bundles_sent_twice: u64,
    pub frames_sent: u64,
    pub frames_received: u64,
    pub bytes_sent: u64,
    pub bytes_received: u64,
    pub repairs_asked: u64,
    pub repairs_served: u64,
    pub bundles_mended: u64,
    pub refolds: u64,
    pub forks: u64,
    pub rejections: u64,
}

/// An orchestra that this node holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OrchestraView {
    /// Its id.
    pub orchestra: OrchestraId,
    /// Its name, where known.
    pub name: String,
    /// Records held.
    pub records: u64,
}
