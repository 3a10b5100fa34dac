//! The plan: the latest by stamp stands, as a whole.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Place, Plan, Stamp};

use super::fact::Fact;

/// The fold over all plans.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plans {
    /// Where plans were set. Those that no reading needs any more are forgotten, but not when they
    /// stood: a file may have been written under them.
    set: BTreeMap<Place, Option<Planned>>,
}

/// A plan with its author.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Planned {
    /// Who set it.
    pub by: AgentId,
    /// What it says.
    pub plan: Plan,
}

impl Plans {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        if let Action::Plan(plan) = &fact.body.action {
            let planned = Planned {
                by: fact.agent,
                plan: plan.clone(),
            };
            self.set.insert(fact.place, Some(planned));
        }
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        if matches!(action, Action::Plan(_)) {
            self.set.remove(&place);
        }
    }

    /// The plan that stands as of a stamp. The record's digest is its name.
    pub fn at(&self, at: Stamp) -> Option<(Place, &Planned)> {
        let (place, planned) = self.set.range(..=Place::end_of(at)).next_back()?;
        Some((*place, planned.as_ref()?))
    }

    /// Which plan stood just before a place.
    pub fn before(&self, place: Place) -> Option<Place> {
        let (before, _) = self.set.range(..place).next_back()?;
        Some(*before)
    }

    /// Forgets what plans said that no longer stood at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let past = self.set.range_mut(..=Place::end_of(frontier)).rev();
        for (_, planned) in past.skip(1) {
            *planned = None;
        }
    }

    /// Plans kept in memory.
    pub fn weight(&self) -> usize {
        self.set.len()
    }
}
