//! I1 for what was learned: what a node shows is what the logs say.

use unisono_core::orchestra::view::{DecisionView, RemedyView};

use crate::oracle::Lessons;

/// What one node shows of it: decisions, superseded ones too, and remedies.
#[derive(Clone, Debug)]
pub struct Learned {
    /// Decisions.
    pub decisions: Vec<DecisionView>,
    /// Remedies.
    pub remedies: Vec<RemedyView>,
}

impl Learned {
    /// As the oracle says it.
    pub(super) fn told(&self) -> Lessons {
        let mut told = Lessons::default();
        for view in &self.decisions {
            match view.superseded_by.first() {
                None => drop(told.binding.insert(view.place)),
                Some(by) => drop(told.superseded.insert(view.place, *by)),
            }
        }
        for view in &self.remedies {
            let tally = (view.tally.helped, view.tally.failed);
            told.remedies.insert(view.place, tally);
        }
        told
    }
}
