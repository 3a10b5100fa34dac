//! What was learned, as people see it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Decide, DecideKind, Place, Remedy};

pub use super::remedies::Tally;

/// Which decisions are asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DecisionsWanted {
    /// Only about this topic.
    pub topic: Option<String>,
    /// Only of this kind.
    pub kind: Option<DecideKind>,
    /// Also those whose place others have taken.
    pub all: bool,
    /// At most so many.
    pub limit: usize,
}

/// A decision or a dead end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DecisionView {
    /// Its record.
    pub place: Place,
    /// Who decided.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which iteration.
    pub iteration: u32,
    /// What it says.
    pub decide: Decide,
    /// Which have taken its place, the first of them first; none: it stands.
    pub superseded_by: Vec<Place>,
}

/// A remedy, and what is said of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RemedyView {
    /// Its record.
    pub place: Place,
    /// By whom.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which iteration.
    pub iteration: u32,
    /// What it says.
    pub remedy: Remedy,
    /// What came of it.
    pub tally: Tally,
}
