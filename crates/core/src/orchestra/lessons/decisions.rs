//! Decisions and dead ends: the latest of each kind and importance, and which took whose place.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Decide, DecideKind, Digest, Importance, Place, Stamp};

use super::bm25::Index;
use super::limits::{DECISIONS_KEPT_MAX, SUPERSEDERS_MAX};
use crate::orchestra::fact::{Carrier, Fact};

/// The fold over decisions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Decisions {
    held: BTreeMap<Place, Decided>,
    /// By the record whose place they take.
    superseders: BTreeMap<Digest, BTreeSet<Place>>,
    /// Their words: they follow from the rest.
    #[serde(skip)]
    words: Index,
}

/// A decision with its origin.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// By whom.
    pub agent: AgentId,
    /// In which iteration.
    pub iteration: u32,
    /// What it says.
    pub decide: Decide,
    /// Where it is carried.
    pub carrier: Carrier,
}

impl Decided {
    /// All that it says in words.
    fn said(&self) -> impl Iterator<Item = &str> {
        let decide = &self.decide;
        let said = [
            &decide.topic,
            &decide.question,
            &decide.text,
            &decide.reason,
        ];
        let rejected = decide.rejected.iter();
        let rejected = rejected.flat_map(|rejected| [&rejected.option, &rejected.reason]);
        said.into_iter().chain(rejected).map(String::as_str)
    }
}

impl Decisions {
    /// Takes in a decision, whether or not those that it supersedes are held yet.
    pub fn insert(&mut self, fact: &Fact, by_arrival: bool) {
        let Action::Decide(decide) = &fact.body.action else {
            return;
        };
        for former in &decide.supersedes {
            if by_arrival && !self.held.keys().any(|place| place.record == *former) {
                continue;
            }
            let superseders = self.superseders.entry(*former).or_default();
            superseders.insert(fact.place);
        }
        let decided = Decided {
            agent: fact.agent,
            iteration: fact.body.iteration,
            decide: Decide::clone(decide),
            carrier: fact.carrier(),
        };
        self.words.add(fact.place, decided.said());
        self.held.insert(fact.place, decided);
    }

    /// Takes a decision out again.
    pub fn retract(&mut self, place: Place, decide: &Decide) {
        if let Some(gone) = self.held.remove(&place) {
            self.words.remove(&place, gone.said());
        }
        for former in &decide.supersedes {
            if let Some(superseders) = self.superseders.get_mut(former) {
                superseders.remove(&place);
                if superseders.is_empty() {
                    self.superseders.remove(former);
                }
            }
        }
    }

    /// What can be told at a stamp, newest first: of each kind and importance the latest, whether or
    /// not others have taken their place. Whatever falls out of it never comes back.
    pub fn read(&self, at: Stamp) -> impl Iterator<Item = (Place, &Decided)> {
        let mut counts: BTreeMap<(DecideKind, Importance), usize> = BTreeMap::new();
        let seen = self.held.range(..=Place::end_of(at)).rev();
        let kept = seen.filter(move |(_, one)| {
            let kind = (one.decide.kind, one.decide.importance);
            let count = counts.entry(kind).or_default();
            *count += 1;
            *count <= DECISIONS_KEPT_MAX
        });
        kept.map(|(place, one)| (*place, one))
    }

    /// The decisions that have taken the place of one at a stamp, the first of them first. What
    /// stands before it cannot have.
    pub fn superseders(&self, place: &Place, at: Stamp) -> impl Iterator<Item = Place> {
        let all = self.superseders.get(&place.record).into_iter().flatten();
        let later = all.filter(move |other| *other > place && other.stamp <= at);
        later.take(SUPERSEDERS_MAX).copied()
    }

    /// Where a decision stands that is held at a stamp.
    pub fn find(&self, record: &Digest, at: Stamp) -> Option<Place> {
        let mut held = self.read(at);
        held.find(|(place, _)| place.record == *record)
            .map(|(place, _)| place)
    }

    /// Drops what can no longer be told above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        let kept: BTreeSet<Place> = self.read(frontier).map(|(place, _)| place).collect();
        let words = &mut self.words;
        self.held.retain(|place, one| {
            let stays = *place > edge || kept.contains(place);
            if !stays {
                words.remove(place, one.said());
            }
            stays
        });
        let places: BTreeMap<Digest, Place> =
            kept.iter().map(|place| (place.record, *place)).collect();
        self.superseders.retain(|former, superseders| {
            let place = places.get(former);
            // What is not held below the frontier cannot come to stand there.
            let first: Vec<Place> = superseders
                .range(..=edge)
                .filter(|other| place.is_some_and(|place| *other > place))
                .take(SUPERSEDERS_MAX)
                .copied()
                .collect();
            superseders.retain(|other| *other > edge || first.contains(other));
            !superseders.is_empty()
        });
    }

    /// How much those of some decisions speak of words that do so at all.
    pub fn scores(&self, words: &str, among: impl Iterator<Item = Place>) -> BTreeMap<Place, u64> {
        self.words.scores(words, among)
    }

    /// After loading from a checkpoint.
    pub fn restored(&mut self) {
        self.words = Index::default();
        for (place, one) in &self.held {
            self.words.add(*place, one.said());
        }
    }

    /// Decisions and their successions kept in memory.
    pub fn weight(&self) -> usize {
        self.held.len() + self.superseders.values().map(BTreeSet::len).sum::<usize>()
    }
}
