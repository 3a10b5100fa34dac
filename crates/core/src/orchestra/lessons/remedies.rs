//! Remedies for errors, and what agents say came of them.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Digest, Outcome, Place, Remedy, Stamp};

use super::error::ErrorForm;
use super::limits::REMEDIES_KEPT_MAX;
use crate::orchestra::fact::Fact;
use crate::orchestra::voices::Voices;

/// The fold over remedies and their outcomes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Remedies {
    held: BTreeMap<Place, Known>,
    /// The errors' forms: they follow from the rest.
    #[serde(skip)]
    forms: BTreeMap<Place, ErrorForm>,
    /// Whether it helped.
    outcomes: Voices<bool>,
}

/// A remedy with its origin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Known {
    /// By whom.
    pub agent: AgentId,
    /// In which iteration.
    pub iteration: u32,
    /// What it says.
    pub remedy: Remedy,
}

/// How many agents say that a remedy helped, and how many that it did not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// It helped.
    pub helped: u32,
    /// It did not.
    pub failed: u32,
}

impl Tally {
    /// How far a remedy can be trusted (‰): (helped + 1) / (helped + failed + 2), the mean of what
    /// is still likely where nothing was known before (Laplace's rule of succession).
    pub fn trust_permille(self) -> u16 {
        let (helped, failed) = (u64::from(self.helped), u64::from(self.failed));
        ((helped + 1) * 1_000 / (helped + failed + 2)) as u16
    }
}

impl Remedies {
    /// Takes in a remedy.
    pub fn insert(&mut self, fact: &Fact) {
        let Action::Remedy(remedy) = &fact.body.action else {
            return;
        };
        let known = Known {
            agent: fact.agent,
            iteration: fact.body.iteration,
            remedy: Remedy::clone(remedy),
        };
        let form = ErrorForm::of(&known.remedy.error);
        self.forms.insert(fact.place, form);
        self.held.insert(fact.place, known);
    }

    /// Takes in an outcome, whether or not its remedy is held yet.
    pub fn note(&mut self, fact: &Fact, each_counts: bool) {
        let Action::Outcome(outcome) = &fact.body.action else {
            return;
        };
        let agent = if each_counts {
            // Every outcome counts as somebody else's.
            AgentId(fact.place.record.0)
        } else {
            fact.agent
        };
        self.outcomes
            .insert(outcome.remedy, fact.place, agent, outcome.helped);
    }

    /// Takes a remedy out again.
    pub fn retract(&mut self, place: Place) {
        self.held.remove(&place);
        self.forms.remove(&place);
    }

    /// Takes an outcome out again.
    pub fn forget(&mut self, place: Place, outcome: &Outcome) {
        self.outcomes.retract(&outcome.remedy, &place);
    }

    /// The latest remedies at a stamp, newest first.
    pub fn read(&self, at: Stamp) -> impl Iterator<Item = (Place, &Known)> {
        let seen = self.held.range(..=Place::end_of(at)).rev();
        seen.take(REMEDIES_KEPT_MAX)
            .map(|(place, one)| (*place, one))
    }

    /// The form of a remedy's error.
    pub fn form(&self, place: &Place) -> Option<&ErrorForm> {
        self.forms.get(place)
    }

    /// After loading from a checkpoint.
    pub fn restored(&mut self) {
        let forms = self.held.iter();
        let forms = forms.map(|(place, one)| (*place, ErrorForm::of(&one.remedy.error)));
        self.forms = forms.collect();
    }

    /// Whether a remedy is held at a stamp.
    pub fn knows(&self, record: &Digest, at: Stamp) -> bool {
        self.read(at).any(|(place, _)| place.record == *record)
    }

    /// What is said of a remedy at a stamp: the latest word of each agent, one voice each. Whoever
    /// made it can say that it failed after all, but praises nothing of its own.
    pub fn tally(&self, place: &Place, author: AgentId, at: Stamp) -> Tally {
        let mut tally = Tally::default();
        for (agent, (_, helped)) in self.outcomes.latest(place, at) {
            if !helped {
                tally.failed += 1;
            } else if agent != author {
                tally.helped += 1;
            }
        }
        tally
    }

    /// Drops what can no longer be told above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        let kept: BTreeMap<Digest, Place> = self
            .read(frontier)
            .map(|(place, _)| (place.record, place))
            .collect();
        self.held
            .retain(|place, _| *place > edge || kept.contains_key(&place.record));
        self.forms.retain(|place, _| self.held.contains_key(place));
        self.outcomes.prune(frontier, &kept);
    }

    /// Remedies and outcomes kept in memory.
    pub fn weight(&self) -> usize {
        self.held.len() + self.outcomes.weight()
    }
}
