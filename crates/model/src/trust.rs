//! What is said about trust itself: that a right has ended, and that something was refused.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{AgentId, ChainId, Digest};

/// Ends what some tokens or a key allowed. It bears no date: of each chain it names how much stays,
/// so that nothing can be dated back under it, and whatever it does not name is gone. Fences only
/// gather; where two concern one chain, the shorter prefix stays.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Fence {
    /// What ends.
    pub target: FenceTarget,
    /// Why, in a sentence.
    pub reason: String,
    /// Up to where chains under the target stay valid, in order of chains. A chain that is not
    /// named keeps nothing.
    pub keep: Vec<ChainCut>,
}

/// How much of a chain stays.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ChainCut {
    /// Which chain. What it holds below the cut is one thing: two records at one place are a fork,
    /// which voids both.
    pub chain: ChainId,
    /// The number of the last record that stays.
    pub seq: u64,
}

/// What a fence ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum FenceTarget {
    /// Every token whose chain passes through the link of this name.
    Link(Digest),
    /// Everything that this key signs.
    Key(AgentId),
    /// Every token with a link of an epoch before this one.
    Epoch(u32),
}

/// The tag of a mark that acknowledges the incidents which it names as evidence: whoever made it is
/// told of them no more.
pub const INCIDENT_ACKNOWLEDGED: &str = "incident-acknowledged";

/// Something was refused for want of a right (CAPABILITY-4). Written by the node that refused, and
/// once for many: a flood of the same is a count.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Who asked.
    pub agent: AgentId,
    /// Under which token, if under any.
    pub token: Option<Digest>,
    /// What was asked: the action's name.
    pub deed: String,
    /// The rule that refused it.
    pub rule: String,
    /// What was asked and what the token allows, in a sentence.
    pub detail: String,
    /// How often, since the last record of the same.
    pub times: u32,
}
