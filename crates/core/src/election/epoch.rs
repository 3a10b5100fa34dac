//! The number of a decision about who leads.

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

/// The number of a leadership, as a ballot's in Paxos (Lamport, 1998): whoever takes over counts one
/// up and puts its own name behind it, so no two leaders ever have one epoch.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Epoch {
    /// Counted.
    pub number: u64,
    /// Who leads in it.
    pub node: NodeId,
}

impl Epoch {
    /// The next one, led by a node.
    pub fn next(self, node: NodeId) -> Self {
        Self {
            number: self.number.saturating_add(1),
            node,
        }
    }
}
