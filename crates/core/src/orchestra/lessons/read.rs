//! Reading what was learned as of a stamp.

use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Importance, Place};

use super::view::{DecisionView, DecisionsWanted, RemedyView};
use super::{Decided, Known};
use crate::orchestra::Reading;
use crate::orchestra::read::Hash;

impl Reading<'_> {
    /// Decisions and dead ends, what matters most first, and newest first among these.
    pub fn decisions(&self, wanted: &DecisionsWanted) -> Vec<DecisionView> {
        let held = self.folds.lessons.decisions.read(self.at);
        let mut found: Vec<(Place, &Decided)> = held
            .filter(|(place, one)| {
                let topic = wanted.topic.as_ref();
                topic.is_none_or(|topic| *topic == one.decide.topic)
                    && wanted.kind.is_none_or(|kind| kind == one.decide.kind)
                    && (wanted.all || self.binds(place))
            })
            .collect();
        found.sort_by_key(|(place, one)| Reverse((one.decide.importance, *place)));
        found.truncate(wanted.limit);
        let views = found.into_iter();
        views
            .map(|(place, one)| self.decision_view(place, one))
            .collect()
    }

    /// Whether nothing has taken a decision's place.
    pub fn binds(&self, place: &Place) -> bool {
        let decisions = &self.folds.lessons.decisions;
        decisions.superseders(place, self.at).next().is_none()
    }

    /// What binds at most so many times, what matters most first: important ones, or the others.
    pub(crate) fn binding(&self, important: bool, most: usize) -> Vec<(Place, &Decided)> {
        let held = self.folds.lessons.decisions.read(self.at);
        let mut found: Vec<(Place, &Decided)> = held
            .filter(|(place, one)| {
                (one.decide.importance >= Importance::High) == important && self.binds(place)
            })
            .collect();
        found.sort_by_key(|(place, one)| Reverse((one.decide.importance, *place)));
        found.truncate(most);
        found
    }

    /// The latest remedies, newest first.
    pub fn remedies(&self, limit: usize) -> Vec<RemedyView> {
        let known = self.folds.lessons.remedies.read(self.at).take(limit);
        known
            .map(|(place, one)| self.remedy_view(place, one))
            .collect()
    }

    fn decision_view(&self, place: Place, one: &Decided) -> DecisionView {
        let decisions = &self.folds.lessons.decisions;
        DecisionView {
            place,
            agent: one.agent,
            name: self.folds.agents.name(&one.agent),
            iteration: one.iteration,
            decide: one.decide.clone(),
            superseded_by: decisions.superseders(&place, self.at).collect(),
        }
    }

    fn remedy_view(&self, place: Place, one: &Known) -> RemedyView {
        let author: AgentId = one.agent;
        RemedyView {
            place,
            agent: author,
            name: self.folds.agents.name(&author),
            iteration: one.iteration,
            remedy: one.remedy.clone(),
            tally: self.folds.lessons.remedies.tally(&place, author, self.at),
        }
    }

    /// All of it.
    pub(in crate::orchestra) fn add_lessons(&self, hash: &mut Hash) {
        for (place, one) in self.folds.lessons.decisions.read(self.at) {
            hash.add(&self.decision_view(place, one));
        }
        for (place, one) in self.folds.lessons.remedies.read(self.at) {
            hash.add(&self.remedy_view(place, one));
        }
    }
}
