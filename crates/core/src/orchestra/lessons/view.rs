//! What was learned, as people see it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Decide, DecideKind, Digest, Place, Remedy};

pub use super::remedies::Tally;

/// Which decisions are asked for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DecisionsWanted {
    /// Only about this topic.
    pub topic: Option<String>,
    /// Only of this kind.
    pub kind: Option<DecideKind>,
    /// Those first that speak of these words, and no others.
    pub search: Option<String>,
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

/// What may help against an error.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct FixesView {
    /// The error in its normal form.
    pub error: String,
    /// The name of its kind.
    pub fingerprint: Digest,
    /// Remedies, the most promising first.
    pub fixes: Vec<FixView>,
}

/// A remedy that may help.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FixView {
    /// The remedy.
    pub remedy: RemedyView,
    /// How its error was recognised.
    pub how: FixMatch,
    /// How alike the errors are (‰).
    pub likeness_permille: u16,
    /// How far it can be relied on (‰): what the match counts for, times how far the remedy is to be
    /// trusted.
    pub confidence_permille: u16,
}

/// How an error was recognised.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum FixMatch {
    /// The same kind, of the same things.
    Same,
    /// The same kind, of other things.
    Kind,
    /// Another kind that is told in much the same words.
    Alike,
}
