//! What people see of a signal.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, SignalKind, Stamp, Urgency};

use crate::orchestra::read::SenseAfter;
use crate::orchestra::signals::Rank;

/// A signal that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SignalView {
    /// Its record.
    pub place: Place,
    /// From whom.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What kind.
    pub kind: SignalKind,
    /// About what.
    pub topic: String,
    /// How much it matters.
    pub urgency: Urgency,
    /// In words.
    pub text: String,
    /// Until when.
    pub expires: Stamp,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// The mark that proves it.
    pub evidence: Option<Digest>,
    /// In which other orchestra it is said too, and whether it comes from there.
    pub across: Option<(String, bool)>,
    /// Whether it concerns whoever asks.
    pub near: bool,
}

impl SignalView {
    /// Where a page goes on that ends with it.
    pub fn page_end(&self) -> SenseAfter {
        SenseAfter {
            near: self.near,
            rank: Rank {
                urgency: self.urgency,
                place: self.place,
            },
        }
    }
}
