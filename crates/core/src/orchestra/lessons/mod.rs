//! What an orchestra has learned: decisions and dead ends, remedies for errors, and whether they
//! helped.

mod bm25;
mod brief;
mod decisions;
pub mod error;
pub mod limits;
mod read;
mod remedies;
pub mod view;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, Place, Stamp};

use super::fact::Fact;
use crate::sabotage::Sabotage;
pub use decisions::{Decided, Decisions};
pub use remedies::{Known, Remedies, Tally};

/// The folds over what an orchestra has learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lessons {
    /// What was decided, and what leads nowhere.
    pub decisions: Decisions,
    /// What helps against which error.
    pub remedies: Remedies,
}

impl Lessons {
    /// Takes in a record. Returns whether it may be missing from what was pruned away up to a stamp.
    pub fn insert(&mut self, fact: &Fact, pruned: Stamp, sabotage: Sabotage) -> bool {
        let late = fact.place.stamp <= pruned;
        match &fact.body.action {
            Action::Decide(_) => self
                .decisions
                .insert(fact, sabotage.supersession_by_arrival),
            Action::Remedy(_) => self.remedies.insert(fact),
            Action::Outcome(_) => self.remedies.note(fact, sabotage.outcomes_doubled),
            _ => return false,
        }
        late
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        match action {
            Action::Decide(decide) => self.decisions.retract(place, decide),
            Action::Remedy(_) => self.remedies.retract(place),
            Action::Outcome(outcome) => self.remedies.forget(place, outcome),
            _ => {}
        }
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        self.decisions.prune(frontier);
        self.remedies.prune(frontier);
    }

    /// After loading from a checkpoint: makes again what follows from the rest.
    pub fn restored(&mut self) {
        self.decisions.restored();
        self.remedies.restored();
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.decisions.weight() + self.remedies.weight()
    }
}
