//! Which keys are one agent's: rotations, as far as they stand.
//!
//! ```text
//!   A ──signs──► Rotate{next: B, B's signature} at place r        what A signs above r is void
//!   B ──signs──► Rotate{next: C, C's signature} at place s > r    what B signs above s is void
//!   the agent is A, whoever of them signs: folds know it by its first key
//! ```
//!
//! Whether one counts follows from what stands below it: a key that is nobody's cannot be given up,
//! one that was given up cannot be given up again, and none that is somebody's is taken. So they are
//! decided in order of places, from those that are held and from where keys were enrolled. When
//! something arrives, those alone are decided again that name a key of which something has changed:
//! an enrolment costs the same however many rotations of others there are. How many name one key, and
//! how often an agent changes its own, is bounded by rule, so all replicas leave out the same ones.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, ChainId, Digest, Place, Stamp};

use super::limits;

/// All rotations that are known.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// Those that both keys have signed, whether or not they count: the lowest of each key that is to
    /// be given up.
    asked: BTreeMap<Place, Turn>,
    /// Where each key is to be given up, and where it is to be taken up, by one of these.
    from: BTreeSet<(AgentId, Place)>,
    to: BTreeSet<(AgentId, Place)>,
    /// Where each key was enrolled first.
    enrolled: BTreeMap<AgentId, Place>,
    /// Those that count.
    by_former: BTreeMap<AgentId, Turn>,
    by_next: BTreeMap<AgentId, Turn>,
    /// How many keys its agent had before each one that counts.
    depths: BTreeMap<AgentId, usize>,
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

/// The rule by which a rotation is one too many.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Limit {
    /// Its agent has changed its key as often as it may.
    OfAgent,
    /// As many below it give up the same key as are looked at.
    FromKey,
    /// As many below it lead to the same key as are looked at.
    ToKey,
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

/// What it took to decide.
#[derive(Debug, Default)]
struct Decided {
    /// Which rotations count that did not, or do not any more.
    changed: BTreeSet<Place>,
    /// How many were looked at.
    #[cfg(test)]
    looked_at: usize,
}

/// What is still to be decided, and what counted before.
#[derive(Debug, Default)]
struct Deciding {
    due: BTreeSet<Place>,
    before: BTreeMap<Place, bool>,
}

fn all_of(key: AgentId) -> RangeInclusive<(AgentId, Place)> {
    let lowest = Place {
        stamp: Stamp::MIN,
        record: Digest::default(),
    };
    (key, lowest)..=(key, Place::end_of(Stamp::MAX))
}

impl Turns {
    /// Takes in where a key was enrolled.
    pub(super) fn enrolled(&mut self, key: AgentId, place: Place) -> Change {
        if self.enrol(key, place).changed.is_empty() {
            Change::Nothing
        } else {
            Change::Others
        }
    }

    fn enrol(&mut self, key: AgentId, place: Place) -> Decided {
        let known = self.enrolled.get(&key);
        if known.is_some_and(|first| *first <= place) {
            return Decided::default();
        }
        self.enrolled.insert(key, place);
        let due = self.naming(key).collect();
        self.decide(due)
    }

    /// Takes in a rotation that both keys have signed.
    pub(super) fn asked(&mut self, turn: Turn) -> Change {
        let changed = self.ask(turn).changed;
        if changed.is_empty() {
            Change::Nothing
        } else if changed.len() == 1 && changed.contains(&turn.place) {
            Change::Counts
        } else {
            Change::Others
        }
    }

    fn ask(&mut self, turn: Turn) -> Decided {
        if self.asked.insert(turn.place, turn).is_some() {
            return Decided::default();
        }
        self.from.insert((turn.former, turn.place));
        self.to.insert((turn.next, turn.place));
        // A lower one may push a higher one of the same next key out of those that are looked at.
        let mut due: BTreeSet<Place> = self.naming(turn.next).collect();
        let mut to = self.to.range(all_of(turn.next));
        due.extend(
            to.nth(limits::ROTATIONS_NAMING_KEY_MAX)
                .map(|(_, place)| place),
        );
        due.insert(turn.place);
        let mut own = self.from.range(all_of(turn.former));
        let above = own.nth(limits::ROTATIONS_NAMING_KEY_MAX).copied();
        let Some((_, highest)) = above else {
            return self.decide(due);
        };
        self.leave_out(highest, due)
    }

    /// Forgets a rotation since there are enough below it of the same key, and decides what named the
    /// same keys.
    fn leave_out(&mut self, place: Place, mut due: BTreeSet<Place>) -> Decided {
        let Some(turn) = self.asked.remove(&place) else {
            return self.decide(due);
        };
        self.from.remove(&(turn.former, place));
        self.to.remove(&(turn.next, place));
        due.extend(self.naming(turn.former));
        due.extend(self.naming(turn.next));
        let counted = self.counts(&turn);
        if counted {
            self.by_former.remove(&turn.former);
            self.by_next.remove(&turn.next);
            self.depths.remove(&turn.next);
        }
        let mut decided = self.decide(due);
        if counted {
            decided.changed.insert(place);
        }
        decided
    }

    /// The rotations that name a key, as far as they are looked at: a bounded number.
    fn naming(&self, key: AgentId) -> impl Iterator<Item = Place> {
        let from = self.from.range(all_of(key));
        let to = self.to.range(all_of(key));
        let most = limits::ROTATIONS_NAMING_KEY_MAX;
        let both = from.take(most).chain(to.take(most));
        both.map(|(_, place)| *place)
    }

    /// Decides these, and those above them that follow from them.
    fn decide(&mut self, due: BTreeSet<Place>) -> Decided {
        let mut deciding = Deciding {
            due,
            before: BTreeMap::new(),
        };
        #[cfg(test)]
        let mut looked_at = 0;
        while let Some(place) = deciding.due.pop_first() {
            let Some(turn) = self.asked.get(&place).copied() else {
                continue;
            };
            #[cfg(test)]
            {
                looked_at += 1;
            }
            let counts = self.counts(&turn).then(|| self.depths[&turn.next]);
            let depth = self.depth_by(&turn);
            if counts == depth {
                continue;
            }
            match depth {
                None => self.take_back(&turn, &mut deciding),
                Some(depth) => self.let_count(turn, depth, &mut deciding),
            }
        }
        let before = deciding.before.into_iter();
        let changed = before.filter(|(place, counted)| {
            let turn = self.asked.get(place);
            turn.is_some_and(|turn| self.counts(turn)) != *counted
        });
        Decided {
            changed: changed.map(|(place, _)| place).collect(),
            #[cfg(test)]
            looked_at,
        }
    }

    /// One counts: others of the same keys above it do not, whatever was thought before.
    fn let_count(&mut self, turn: Turn, depth: usize, deciding: &mut Deciding) {
        let counted = self.counts(&turn);
        deciding.before.entry(turn.place).or_insert(counted);
        for other in [
            self.by_former.get(&turn.former).copied(),
            self.by_next.get(&turn.next).copied(),
        ]
        .into_iter()
        .flatten()
        .filter(|other| *other != turn)
        {
            self.take_back(&other, deciding);
        }
        self.by_former.insert(turn.former, turn);
        self.by_next.insert(turn.next, turn);
        self.depths.insert(turn.next, depth);
        self.go_on(&turn, deciding);
    }

    fn take_back(&mut self, turn: &Turn, deciding: &mut Deciding) {
        deciding.before.entry(turn.place).or_insert(true);
        self.by_former.remove(&turn.former);
        self.by_next.remove(&turn.next);
        self.depths.remove(&turn.next);
        self.go_on(turn, deciding);
    }

    /// What names one of its keys and stands above it may follow from it.
    fn go_on(&self, turn: &Turn, deciding: &mut Deciding) {
        let both = self.naming(turn.former).chain(self.naming(turn.next));
        deciding
            .due
            .extend(both.filter(|place| *place > turn.place));
    }

    fn counts(&self, turn: &Turn) -> bool {
        self.by_former.get(&turn.former) == Some(turn)
    }

    /// How many keys lie behind the next one if the rotation counts, and whether it does, when all
    /// below it are decided.
    fn depth_by(&self, turn: &Turn) -> Option<usize> {
        let Turn {
            place,
            former,
            next,
            ..
        } = turn;
        let given_up = self.by_former.get(former);
        let given_up = given_up.is_some_and(|other| other.place < *place);
        let free = !given_up && self.is_taken(former, *place) && !self.is_taken(next, *place);
        (free && self.limit_of(turn).is_none()).then(|| self.depth(former, *place) + 1)
    }

    /// How many keys its agent had before a key, by what stands below a place.
    fn depth(&self, key: &AgentId, place: Place) -> usize {
        let came = self.by_next.get(key).filter(|turn| turn.place < place);
        came.map_or(0, |_| self.depths[key])
    }

    /// The limit that a rotation is beyond, by what stands below it.
    pub(super) fn limit_of(&self, turn: &Turn) -> Option<Limit> {
        let most = limits::ROTATIONS_NAMING_KEY_MAX;
        let below = |named: &BTreeSet<(AgentId, Place)>, key: AgentId| {
            let lowest = named.range(all_of(key)).take(most);
            lowest.filter(|(_, place)| *place < turn.place).count() == most
        };
        if self.depth(&turn.former, turn.place) >= limits::ROTATIONS_OF_AGENT_MAX {
            Some(Limit::OfAgent)
        } else if below(&self.from, turn.former) {
            Some(Limit::FromKey)
        } else if below(&self.to, turn.next) {
            Some(Limit::ToKey)
        } else {
            None
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
        self.asked_of(*key).next().is_some()
    }

    /// What both keys have signed to give a key up, whether or not it counts.
    pub(super) fn asked_of(&self, key: AgentId) -> impl Iterator<Item = &Turn> {
        let own = self.from.range(all_of(key));
        own.filter_map(|(_, place)| self.asked.get(place))
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

#[cfg(test)]
mod tests;
