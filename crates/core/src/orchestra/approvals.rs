//! Approvals: what somebody thinks of a content, until it changes; and who had a hand in what.
//!
//! Duties are apart where no key is in both chains of grants: neither who wrote, nor who let them
//! write, approves or lets others approve. That is read from the tokens of all who ever had a hand
//! in the thing, so it does not depend on who came first. A file that was moved brings along all who
//! ever had a hand in what it was moved from.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    Action, AgentId, Digest, Field, FieldValue, Judgement, Place, Reviewed, Stamp,
};

use super::fact::Fact;

/// Opinions that no longer stand and are kept for reading, of each thing; older ones are in the log.
pub const STALE_KEPT_MAX: usize = 8;

/// The fold over all approvals.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Approvals {
    reviews: BTreeMap<Reviewed, Review>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Review {
    /// Who had a hand in it, by record, and from what is forgotten.
    hands: BTreeMap<Place, Vec<AgentId>>,
    former_hands: BTreeSet<AgentId>,
    /// Paths from which a file was moved here, by record, and from what is forgotten.
    sources: BTreeMap<Place, String>,
    former_sources: BTreeSet<String>,
    opinions: BTreeMap<Place, Opinion>,
}

/// What somebody thinks.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Opinion {
    /// Who.
    pub agent: AgentId,
    /// Of what.
    pub content: Digest,
    /// What they think.
    pub judgement: Judgement,
    /// Why.
    pub reason: String,
    /// The keys of the chain of grants under which it is said.
    hands: Vec<AgentId>,
}

/// What an opinion is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Worth {
    /// It is about what is there.
    Stands,
    /// What it was about has changed since.
    Stale,
    /// Who says it, or who let them, had a hand in what it is about.
    DutiesTogether,
}

/// What there is of a thing as of a stamp: since when, and what.
pub type Standing = Option<(Place, Digest)>;

impl Approvals {
    /// Takes in a record, with the keys of the chain of grants under which it was made.
    pub fn insert(&mut self, fact: &Fact, hands: Vec<AgentId>) {
        match &fact.body.action {
            Action::Write(write) => {
                for path in write.paths() {
                    let review = self.review(Reviewed::Path(path.into()));
                    review.hands.insert(fact.place, hands.clone());
                }
                if let Some(moved) = &write.moved_from {
                    let review = self.review(Reviewed::Path(write.path.clone()));
                    review.sources.insert(fact.place, moved.path.clone());
                }
            }
            Action::Task(change) if change.fields.iter().any(|field| works(&field.value)) => {
                let review = self.review(Reviewed::Task(change.task.clone()));
                review.hands.insert(fact.place, hands);
            }
            Action::Approve(approve) => {
                let opinion = Opinion {
                    agent: fact.agent,
                    content: approve.content,
                    judgement: approve.judgement,
                    reason: approve.reason.clone(),
                    hands,
                };
                let review = self.review(approve.about.clone());
                review.opinions.insert(fact.place, opinion);
            }
            _ => {}
        }
    }

    fn review(&mut self, about: Reviewed) -> &mut Review {
        self.reviews.entry(about).or_default()
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        let mut abouts: Vec<Reviewed> = Vec::new();
        match action {
            Action::Write(write) => {
                abouts.extend(write.paths().map(|path| Reviewed::Path(path.into())));
            }
            Action::Task(change) => abouts.push(Reviewed::Task(change.task.clone())),
            Action::Approve(approve) => abouts.push(approve.about.clone()),
            _ => {}
        }
        for about in abouts {
            if let Some(review) = self.reviews.get_mut(&about) {
                review.hands.remove(&place);
                review.sources.remove(&place);
                review.opinions.remove(&place);
            }
        }
    }

    /// What was said about a thing as of a stamp, the latest first.
    pub fn read<'a>(
        &'a self,
        about: &Reviewed,
        at: Stamp,
        standing: Standing,
    ) -> impl Iterator<Item = (Place, &'a Opinion, Worth)> {
        let review = self
            .reviews
            .get(about)
            .filter(|one| !one.opinions.is_empty());
        let hands = review.map(|_| self.hands_until(about, at));
        let read = review.zip(hands).into_iter();
        read.flat_map(move |(review, hands)| review.read(at, standing, hands))
    }

    /// All who had a hand in a thing as of a stamp, or in what it was moved from. A move is not held
    /// against when others wrote there: a node that lies about its time could move below them.
    fn hands_until(&self, about: &Reviewed, at: Stamp) -> BTreeSet<&AgentId> {
        let mut hands = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<&Review> = self.reviews.get(about).into_iter().collect();
        while let Some(review) = open.pop() {
            hands.extend(review.hands_until(at));
            for source in review.sources_until(at) {
                if seen.insert(source) {
                    open.extend(self.reviews.get(&Reviewed::Path(source.clone())));
                }
            }
        }
        hands
    }

    /// The tasks of which there is something to read.
    pub fn tasks(&self) -> impl Iterator<Item = &Reviewed> {
        let reviews = self.reviews.iter();
        let said = reviews.filter(|(_, review)| !review.opinions.is_empty());
        said.map(|(about, _)| about)
            .filter(|about| matches!(about, Reviewed::Task(_)))
    }

    /// Whether what an action changes is a file, or a task of which somebody has said what they think.
    pub fn concern(&self, action: &Action) -> bool {
        match action {
            Action::Task(change) => {
                let about = Reviewed::Task(change.task.clone());
                let review = self.reviews.get(&about);
                review.is_some_and(|review| !review.opinions.is_empty())
            }
            _ => true,
        }
    }

    /// Whether somebody with these keys in their chain of grants has a hand in a thing.
    pub fn had_a_hand(&self, about: &Reviewed, at: Stamp, hands: &[AgentId]) -> bool {
        let had = self.hands_until(about, at);
        hands.iter().any(|hand| had.contains(hand))
    }

    /// How often somebody has said what they think of what there is as of a stamp.
    pub fn said_by(
        &self,
        is_own: impl Fn(&AgentId) -> bool,
        about: &Reviewed,
        at: Stamp,
        standing: Standing,
    ) -> usize {
        let opinions = self.reviews.get(about).map(|review| &review.opinions);
        let said = opinions.map(|opinions| opinions.range(..=Place::end_of(at)));
        let said = said.into_iter().flatten();
        said.filter(|(place, opinion)| {
            opinion.is_about(**place, standing) && is_own(&opinion.agent)
        })
        .count()
    }

    /// Drops what no longer stood at the frontier, but for the last few of each thing.
    pub fn prune(&mut self, frontier: Stamp, standing: impl Fn(&Reviewed) -> Standing) {
        let edge = Place::end_of(frontier);
        for (about, review) in &mut self.reviews {
            let later = review.hands.split_off(&edge);
            let past = core::mem::replace(&mut review.hands, later);
            review.former_hands.extend(past.into_values().flatten());
            let later = review.sources.split_off(&edge);
            let past = core::mem::replace(&mut review.sources, later);
            review.former_sources.extend(past.into_values());
            let standing = standing(about);
            let past = review.opinions.range(..=edge).rev();
            let stale = past.filter(|(place, opinion)| !opinion.is_about(**place, standing));
            let old: Vec<Place> = stale
                .map(|(place, _)| *place)
                .skip(STALE_KEPT_MAX)
                .collect();
            for place in old {
                review.opinions.remove(&place);
            }
        }
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        let reviews = self.reviews.values();
        reviews
            .map(|review| {
                let hands = review.hands.len() + review.former_hands.len();
                let sources = review.sources.len() + review.former_sources.len();
                hands + sources + review.opinions.len()
            })
            .sum()
    }
}

impl Review {
    fn hands_until(&self, at: Stamp) -> impl Iterator<Item = &AgentId> {
        let kept = self.hands.range(..=Place::end_of(at));
        let kept = kept.flat_map(|(_, hands)| hands);
        self.former_hands.iter().chain(kept)
    }

    fn sources_until(&self, at: Stamp) -> impl Iterator<Item = &String> {
        let kept = self.sources.range(..=Place::end_of(at));
        self.former_sources
            .iter()
            .chain(kept.map(|(_, source)| source))
    }

    fn read<'a>(
        &'a self,
        at: Stamp,
        standing: Standing,
        hands: BTreeSet<&'a AgentId>,
    ) -> impl Iterator<Item = (Place, &'a Opinion, Worth)> {
        let said = self.opinions.range(..=Place::end_of(at)).rev();
        let mut stale = 0;
        said.filter_map(move |(place, opinion)| {
            let worth = if !opinion.is_about(*place, standing) {
                stale += 1;
                Worth::Stale
            } else if opinion.hands.iter().any(|hand| hands.contains(hand)) {
                Worth::DutiesTogether
            } else {
                Worth::Stands
            };
            let shown = worth != Worth::Stale || stale <= STALE_KEPT_MAX;
            shown.then_some((*place, opinion, worth))
        })
    }
}

impl Opinion {
    /// Whether what it is about was there when it was said, and is there still. What comes back is
    /// another thing that happens to be the same.
    fn is_about(&self, place: Place, standing: Standing) -> bool {
        standing.is_some_and(|(since, content)| content == self.content && since < place)
    }
}

/// Whether a change of a task is work on what it asks for, and not a word about it.
fn works(value: &FieldValue) -> bool {
    match value.field() {
        Field::Status => true,
        Field::Created
        | Field::Title
        | Field::Description
        | Field::Priority
        | Field::Assignee
        | Field::Labels
        | Field::Link(..)
        | Field::Remark => false,
    }
}
