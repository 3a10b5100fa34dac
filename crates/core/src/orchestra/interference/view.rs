//! Interferences as people see them.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, Stamp};

/// Kinds of interference.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum InterferenceKind {
    /// Two claims of one topic, of which one lost.
    Contested,
    /// Two claims, of which one is a glob over the other's topic.
    Overlap,
    /// A NEED without an OFFER.
    Unanswered,
    /// Two INTENTs that are alike.
    Collision,
}

impl InterferenceKind {
    /// The name of the interference between two records, the same in either order.
    pub fn id(self, one: &Digest, two: &Digest) -> Digest {
        let (low, high) = (one.min(two), one.max(two));
        let kind = match self {
            Self::Contested => 0,
            Self::Overlap => 1,
            Self::Unanswered => 2,
            Self::Collision => 3,
        };
        Digest::of("unisono/interference/v1", &[&[kind], &low.0, &high.0])
    }
}

/// One of the two that get in each other's way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SideView {
    /// Its record.
    pub place: Place,
    /// Whose.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// About what.
    pub topic: String,
    /// In the agent's words, where it used any.
    pub text: String,
}

/// Where agents get in each other's way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct InterferenceView {
    /// Its name: the same on every replica.
    pub id: Digest,
    /// What kind.
    pub kind: InterferenceKind,
    /// Whether an agent that it names should yield.
    pub blocking: bool,
    /// The earlier side first; a NEED has one.
    pub sides: Vec<SideView>,
    /// Since when.
    pub since: Stamp,
    /// When it ends by itself at the latest.
    pub until: Stamp,
    /// How alike two INTENTs are (‰); 1000 for the other kinds.
    pub likeness: u16,
    /// Who goes on by the rule of claims, where that decides.
    pub decided_for: Option<String>,
    /// How it was resolved, if it was.
    pub resolution: Option<ResolutionView>,
}

impl InterferenceView {
    /// Whether nobody has resolved it.
    pub fn is_open(&self) -> bool {
        self.resolution.is_none()
    }

    /// Whether it names an agent.
    pub fn names(&self, agent: &AgentId) -> bool {
        self.sides.iter().any(|side| side.agent == *agent)
    }
}

/// How an interference was resolved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ResolutionView {
    /// The record.
    pub place: Place,
    /// By whom.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which way.
    pub how: unisono_model::Resolution,
    /// What was decided.
    pub outcome: String,
    /// The mark that proves it.
    pub mark: Option<Digest>,
}

/// Interferences that stand, open ones first, then those that block, then the newest.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct InterferencesView {
    /// The first of them.
    pub interferences: Vec<InterferenceView>,
    /// How many there are that nobody has resolved.
    pub open: u64,
    /// How many there are that somebody has, and that have not ended yet.
    pub resolved: u64,
    /// Whether there are more collisions or NEEDs than were looked at; these are not counted.
    pub more: bool,
}
