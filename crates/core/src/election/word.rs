//! What is said in a contest, what a node is told about itself and others, and what comes of it.

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

use super::epoch::Epoch;
use super::rank::Rank;

/// Faults that can be planted, so that the judges can be shown to see them. None in a real node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Newer epochs do not unseat: a leader that slept goes on leading.
    EpochIgnored,
    /// Whoever is better takes over at once.
    HysteresisOff,
}

/// Who leads, as somebody says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub leader: NodeId,
    /// In which epoch.
    pub epoch: Epoch,
    /// Its rank.
    pub rank: Rank,
    /// Who leads if it is lost.
    pub backup: Option<NodeId>,
    /// How many it knows to follow it, and in a region's contest to follow whom it follows.
    pub followers: u16,
    /// It took over from the leader of this epoch, which was there, being better for long enough.
    /// Nobody else is unseated by it: of two leaders that hear each other, followers count.
    pub unseats: Option<Epoch>,
    /// Counts the leader's life, tick by tick: only a beat that was never heard shows that it lives.
    /// By age alone each hop would make it younger, by what the way takes.
    pub beat: u64,
    /// How long ago the speaker heard it, ms; zero from the leader itself.
    pub age_ms: u32,
}

/// What one node says about one scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Word {
    /// Its rank, if it is a candidate in this scope.
    pub rank: Option<Rank>,
    /// Whom it follows.
    pub claim: Option<Claim>,
}

/// Whether the time of another leader and one's own can both be the cluster's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Each lies within what the other holds for possible.
    Agrees,
    /// They cannot both have gone on from one time: a clock has jumped, slept or lied.
    Contradicts,
    /// Not measured yet.
    Unknown,
}

/// What the contest is told about its own node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Candidate {
    /// Its rank.
    pub rank: Rank,
    /// Whether it may lead in this scope at all.
    pub may_lead: bool,
    /// How many are known to follow it, or whom it follows.
    pub followers: u16,
}

/// What has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// This node leads, in a new epoch.
    Leads(Epoch),
    /// Another one does.
    Follows(NodeId, Epoch),
    /// Nobody does, as far as is known.
    Vacant,
}

/// How a node stands in a scope.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// It knows no leader.
    Vacant,
    /// It follows one.
    Follows(NodeId),
    /// It leads.
    Leads,
}
