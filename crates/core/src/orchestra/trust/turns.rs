//! Which keys are one agent's: rotations, as far as they stand.
//!
//! ```text
//!   A ──signs──► Rotate{next: B, B's signature} at place r        what A signs above r is void
//!   B ──signs──► Rotate{next: C, C's signature} at place s > r    what B signs above s is void
//!   the agent is A, whoever of them signs: folds know it by its first key
//! ```
//!
//! Whether one counts follows from what stands below it: a key that is nobody's cannot be given up,
//! one that was given up cannot be given up again, and none that is somebody's is taken. So all of
//! them are decided in order of places, from those that are held and from where keys were enrolled;
//! to decide them one from another as they come would be to fold the logs again for each.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, ChainId, Place};

/// All rotations that are known.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// Those that both keys have signed, whether or not they count.
    asked: BTreeMap<Place, Turn>,
    /// Where each key was enrolled first.
    enrolled: BTreeMap<AgentId, Place>,
    /// Those that count.
    by_former: BTreeMap<AgentId, Turn>,
    by_next: BTreeMap<AgentId, Turn>,
}

/// From one key to the next.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// The record.
    pub place: Place,
    /// The key that the agent had.
    pub former: AgentId,
    /// The key that it has from then on.
    pub next: AgentId,
    /// The chain that the record stands in.
    pub chain: ChainId,
    /// And its number there.
    pub seq: u64,
}

/// What a record does to which rotations count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Change {
    /// Nothing, as far as is known by now.
    Nothing,
    /// It counts itself.
    Counts,
    /// Others do, or do no more.
    Others,
}

impl Turns {
    /// Takes in where a key was enrolled.
    pub(super) fn enrolled(&mut self, key: AgentId, place: Place) -> Change {
        let first = self.enrolled.entry(key).or_insert(place);
        *first = place.min(*first);
        let mut asked = self.asked.values();
        if !asked.any(|turn| turn.former == key || turn.next == key) {
            return Change::Nothing;
        }
        if self.decide() {
            Change::Others
        } else {
            Change::Nothing
        }
    }

    /// Takes in a rotation that both keys have signed.
    pub(super) fn asked(&mut self, turn: Turn) -> Change {
        let last = self.asked.last_key_value();
        let is_last = last.is_none_or(|(last, _)| *last < turn.place);
        if self.asked.insert(turn.place, turn).is_some() {
            return Change::Nothing;
        }
        let before = self.by_former.len();
        if is_last {
            self.decide_next(turn);
        } else if self.decide() {
            // What it adds to the others alone is its own.
            let own = self.by_former.get(&turn.former) == Some(&turn);
            let mut others = self.clone();
            others.asked.remove(&turn.place);
            let changed = others.decide();
            let only = own && changed && others.by_former.len() + 1 == self.by_former.len();
            let kept = others.by_former.iter();
            let kept = kept
                .into_iter()
                .all(|(key, one)| self.by_former.get(key) == Some(one));
            return if only && kept {
                Change::Counts
            } else {
                Change::Others
            };
        }
        if self.by_former.len() > before {
            Change::Counts
        } else {
            Change::Nothing
        }
    }

    /// Decides all of them; says whether that changed anything.
    fn decide(&mut self) -> bool {
        let before = core::mem::take(&mut self.by_former);
        self.by_next.clear();
        for turn in self.asked.clone().into_values() {
            self.decide_next(turn);
        }
        self.by_former != before
    }

    /// Decides one when all below it are decided.
    fn decide_next(&mut self, turn: Turn) {
        let Turn {
            place,
            former,
            next,
            ..
        } = turn;
        let given_up = self.by_former.contains_key(&former);
        if !given_up && self.is_taken(&former, place) && !self.is_taken(&next, place) {
            self.by_former.insert(former, turn);
            self.by_next.insert(next, turn);
        }
    }

    /// Whether a key is somebody's by what stands below a place.
    pub fn is_taken(&self, key: &AgentId, place: Place) -> bool {
        let enrolled = self.enrolled.get(key);
        let came = self.by_next.get(key);
        enrolled.is_some_and(|first| *first < place) || came.is_some_and(|turn| turn.place < place)
    }

    /// Whether anybody asked to give a key up, whether or not that counts.
    pub(super) fn is_asked(&self, key: &AgentId) -> bool {
        self.asked.values().any(|turn| turn.former == *key)
    }

    /// What both keys have signed, whether or not it counts.
    pub(super) fn all_asked(&self) -> impl Iterator<Item = &Turn> {
        self.asked.values()
    }

    /// The rotation by which an agent gave a key up.
    pub fn away_from(&self, key: &AgentId) -> Option<&Turn> {
        self.by_former.get(key)
    }

    /// The rotation by which an agent came to a key.
    pub fn to(&self, key: &AgentId) -> Option<&Turn> {
        self.by_next.get(key)
    }

    /// The rotations that led to a key, the latest first.
    pub fn before(&self, key: AgentId) -> impl Iterator<Item = &Turn> {
        let mut turn = self.to(&key);
        core::iter::from_fn(move || {
            let this = turn?;
            turn = self.to(&this.former);
            Some(this)
        })
    }

    /// A key, and those that its agent had before.
    pub fn lineage(&self, key: AgentId) -> impl Iterator<Item = AgentId> {
        let former = self.before(key).map(|turn| turn.former);
        core::iter::once(key).chain(former)
    }

    /// Whom a key signs for: the agent, by its first key.
    pub fn identity(&self, key: AgentId) -> AgentId {
        self.before(key).last().map_or(key, |turn| turn.former)
    }

    /// The key that an agent signs with after all rotations up to a place.
    pub fn latest(&self, key: AgentId, up_to: Place) -> AgentId {
        let mut key = key;
        while let Some(turn) = self.away_from(&key).filter(|turn| turn.place <= up_to) {
            key = turn.next;
        }
        key
    }

    /// Whether a key is its agent's by a rotation, or was given up by one.
    pub fn concerns(&self, key: &AgentId) -> bool {
        self.by_former.contains_key(key) || self.by_next.contains_key(key)
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Turn> {
        let mut all: alloc::vec::Vec<&Turn> = self.by_former.values().collect();
        all.sort_unstable_by_key(|turn| turn.place);
        all.into_iter()
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.asked.len() + self.enrolled.len()
    }
}
