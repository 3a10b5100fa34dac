//! Reading what was learned as of a stamp.

use alloc::vec::Vec;
use core::cmp::Reverse;

use unisono_model::{AgentId, Importance, Place};

use super::error::ErrorForm;
use super::limits::{ALIKE_PERMILLE, KIND_PERMILLE, LIKENESS_MIN};
use super::view::{DecisionView, DecisionsWanted, FixMatch, FixView, FixesView, RemedyView};
use super::{Decided, Known};
use crate::orchestra::Reading;
use crate::orchestra::read::Hash;

impl Reading<'_> {
    /// Decisions and dead ends, what matters most first, and newest first among these.
    pub fn decisions(&self, wanted: &DecisionsWanted) -> Vec<DecisionView> {
        let topic = wanted.topic.as_ref();
        let mut found = self.decided(|place, one| {
            topic.is_none_or(|topic| *topic == one.decide.topic)
                && wanted.kind.is_none_or(|kind| kind == one.decide.kind)
                && (wanted.all || self.binds(place))
        });
        if let Some(words) = &wanted.search {
            let among = found.iter().map(|(place, _)| *place);
            let scores = self.folds.lessons.decisions.scores(words, among);
            found.retain(|(place, _)| scores.contains_key(place));
            found.sort_by_key(|(place, _)| Reverse((scores.get(place).copied(), *place)));
        }
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
        let mut found = self.decided(|place, one| {
            (one.decide.importance >= Importance::High) == important && self.binds(place)
        });
        found.truncate(most);
        found
    }

    /// Decisions of which something is so, what matters most first, newest first among these.
    fn decided(&self, so: impl Fn(&Place, &Decided) -> bool) -> Vec<(Place, &Decided)> {
        let held = self.folds.lessons.decisions.read(self.at);
        let mut found: Vec<_> = held.filter(|(place, one)| so(place, one)).collect();
        found.sort_by_key(|(place, one)| Reverse((one.decide.importance, *place)));
        found
    }

    /// The latest remedies, newest first.
    pub fn remedies(&self, limit: usize) -> Vec<RemedyView> {
        let known = self.folds.lessons.remedies.read(self.at).take(limit);
        known
            .map(|(place, one)| self.remedy_view(place, one))
            .collect()
    }

    /// What may help against an error, the most promising first.
    pub fn fixes(&self, error: &str, limit: usize) -> FixesView {
        let form = ErrorForm::of(error);
        let fingerprint = form.fingerprint();
        let remedies = &self.folds.lessons.remedies;
        // What is not told is not copied: a node answers all its agents with one loop.
        let mut found: Vec<Fix<'_>> = remedies
            .read(self.at)
            .filter_map(|(place, one)| {
                let (how, likeness_permille, counts) = matched(&form, remedies.form(&place)?)?;
                let trust = remedies.tally(&place, one.agent, self.at).trust_permille();
                Some(Fix {
                    confidence_permille: (counts * u64::from(trust) / 1_000) as u16,
                    likeness_permille,
                    place,
                    how,
                    one,
                })
            })
            .collect();
        found.sort_by_key(|fix| {
            Reverse((fix.confidence_permille, fix.likeness_permille, fix.place))
        });
        found.truncate(limit);
        let fixes = found.into_iter();
        let fixes = fixes
            .map(|fix| FixView {
                remedy: self.remedy_view(fix.place, fix.one),
                how: fix.how,
                likeness_permille: fix.likeness_permille,
                confidence_permille: fix.confidence_permille,
            })
            .collect();
        FixesView {
            error: form.text(),
            fingerprint,
            fixes,
        }
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

/// A remedy that may help.
struct Fix<'a> {
    confidence_permille: u16,
    likeness_permille: u16,
    place: Place,
    how: FixMatch,
    one: &'a Known,
}

/// What a remedy for a known error is to another one: how alike they are (‰), and what that counts
/// for (‰); none where it is nothing.
fn matched(asked: &ErrorForm, known: &ErrorForm) -> Option<(FixMatch, u16, u64)> {
    if asked.is_empty() {
        return None;
    }
    let likeness = asked.likeness(known);
    if asked == known {
        Some((FixMatch::Same, likeness, 1_000))
    } else if asked.is_kind_of(known) {
        Some((FixMatch::Kind, likeness, KIND_PERMILLE))
    } else if likeness >= LIKENESS_MIN {
        let counts = u64::from(likeness) * ALIKE_PERMILLE / 1_000;
        Some((FixMatch::Alike, likeness, counts))
    } else {
        None
    }
}
