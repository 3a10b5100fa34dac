//! What folding rests on beside the records: the same on every node.

use unisono_model::{AgentId, AuthorityId, ClusterId, NodeId};

use crate::sabotage::Sabotage;

/// How records are folded.
#[derive(Clone, Copy, Debug)]
pub struct FoldRules {
    /// Who founded the cluster. It cannot be read off the records: the admission with the lowest
    /// stamp may be that of anybody whose clock is wrong (seed 619).
    pub founder: NodeId,
    /// The cluster, for which tokens are made.
    pub cluster: ClusterId,
    /// Who issued first links at the founding; none in a cluster without tokens.
    pub root: Option<AgentId>,
    /// The key that names other roots; none in a cluster that was founded before there was one.
    pub recovery: Option<AgentId>,
    /// The authority that the founder made, where this node knows it: of it and of those that a root
    /// has put in its place words on invites count.
    pub authority: Option<AuthorityId>,
    /// The longest lease in this cluster (ms).
    pub lease_ms_max: u64,
    /// Rules to break.
    pub sabotage: Sabotage,
}

impl FoldRules {
    /// The key whose word names another root: it stays the same for as long as the cluster lives.
    pub fn names_roots(&self) -> Option<AgentId> {
        self.root.and(self.recovery.or(self.root))
    }
}
