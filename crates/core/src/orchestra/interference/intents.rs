//! INTENTs that collide, found when they come.
//!
//! ```text
//!   word "login"   ──●────●──●─────●────●──►  in order of (stamp, digest)
//!   word "session" ──────────●──●──●───────►  each is compared with its eight neighbours before
//!                                             and its eight behind, on each of its sixteen words
//! ```
//!
//! Two INTENTs of different agents are a pair if they are at most [`NEIGHBOURS_MAX`] places apart on
//! any word by which both are found. How far apart two are follows from the records between them,
//! never from the order in which they came; a record that comes between two may part them. What
//! ended before the frontier is dropped, but the last places of each word stay as long as anything
//! on it stands, so that distances across the frontier stay the same.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, Signal, Stamp};

use super::limits::{LIKENESS_FLOOR, NEIGHBOURS_MAX};
use super::view::InterferenceKind;
use super::words::Words;

/// The fold over INTENTs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Intents {
    standing: BTreeMap<Place, Intent>,
    /// For each word, who bears it, with the end of their life.
    by_word: BTreeMap<u64, BTreeMap<Place, Stamp>>,
    by_agent: BTreeMap<AgentId, BTreeSet<Place>>,
    /// Pairs by the beginnings of their names: they follow from the rest.
    #[serde(skip)]
    by_name: BTreeMap<u64, (Place, Place)>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Intent {
    agent: AgentId,
    until: Stamp,
    words: Words,
    /// Earlier INTENTs that it is alike.
    like: BTreeMap<Place, Pair>,
    /// Later INTENTs that are alike this one.
    liked_by: BTreeSet<Place>,
}

/// On how many words two are near each other, and how alike they are.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pair {
    words: u16,
    likeness: u16,
}

/// Two INTENTs that collide.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Collision {
    /// The earlier one.
    pub first: Place,
    /// Whose.
    pub first_agent: AgentId,
    /// The later one.
    pub second: Place,
    /// Whose.
    pub second_agent: AgentId,
    /// How alike they are (‰).
    pub likeness: u16,
    /// When the first of them ends.
    pub until: Stamp,
}

impl Intents {
    /// Takes in an INTENT. Planted fault `blind`: it looks only at those behind it.
    pub fn insert(&mut self, place: Place, agent: AgentId, signal: &Signal, blind: bool) {
        if self.standing.contains_key(&place) {
            return;
        }
        let intent = Intent {
            agent,
            until: place.stamp.plus_ms(signal.lifetime_ms),
            words: Words::of(&signal.topic, &signal.text),
            like: BTreeMap::new(),
            liked_by: BTreeSet::new(),
        };
        let (until, keys) = (intent.until, intent.words.keys().to_vec());
        self.standing.insert(place, intent);
        self.by_agent.entry(agent).or_default().insert(place);
        for key in keys {
            let (before, after) = self.neighbours(key, place);
            for earlier in &before {
                self.link(*earlier, place);
            }
            for later in after.iter().filter(|_| !blind) {
                self.link(place, *later);
            }
            for (earlier, later) in parted(&before, &after) {
                self.unlink(earlier, later);
            }
            self.by_word.entry(key).or_default().insert(place, until);
        }
    }

    /// Takes an INTENT out again.
    pub fn retract(&mut self, place: Place) {
        let Some(keys) = self
            .standing
            .get(&place)
            .map(|one| one.words.keys().to_vec())
        else {
            return;
        };
        self.forget(place);
        for key in keys {
            let (before, after) = self.neighbours(key, place);
            for (earlier, later) in parted(&before, &after) {
                self.link(earlier, later);
            }
            if let Some(bearers) = self.by_word.get_mut(&key) {
                bearers.remove(&place);
            }
        }
    }

    /// The nearest before and behind a place on a word, nearest first.
    fn neighbours(&self, key: u64, place: Place) -> (Vec<Place>, Vec<Place>) {
        use core::ops::Bound::{Excluded, Unbounded};
        let Some(bearers) = self.by_word.get(&key) else {
            return (Vec::new(), Vec::new());
        };
        let before = bearers.range(..place).rev().take(NEIGHBOURS_MAX);
        let after = bearers.range((Excluded(place), Unbounded));
        (
            before.map(|(place, _)| *place).collect(),
            after
                .take(NEIGHBOURS_MAX)
                .map(|(place, _)| *place)
                .collect(),
        )
    }

    fn link(&mut self, earlier: Place, later: Place) {
        let (Some(one), Some(two)) = (self.standing.get(&earlier), self.standing.get(&later))
        else {
            // It has ended, and only keeps the distance.
            return;
        };
        if one.agent == two.agent || one.until < later.stamp {
            return;
        }
        let likeness = match two.like.get(&earlier) {
            Some(pair) => pair.likeness,
            None => one.words.likeness(&two.words),
        };
        if likeness < LIKENESS_FLOOR {
            return;
        }
        if !two.like.contains_key(&earlier) {
            self.by_name
                .insert(beginning(earlier, later), (earlier, later));
        }
        if let Some(two) = self.standing.get_mut(&later) {
            let new = Pair { words: 0, likeness };
            two.like.entry(earlier).or_insert(new).words += 1;
        }
        if let Some(one) = self.standing.get_mut(&earlier) {
            one.liked_by.insert(later);
        }
    }

    fn unlink(&mut self, earlier: Place, later: Place) {
        let Some(two) = self.standing.get_mut(&later) else {
            return;
        };
        let Some(pair) = two.like.get_mut(&earlier) else {
            return;
        };
        pair.words -= 1;
        if pair.words == 0 {
            two.like.remove(&earlier);
            self.by_name.remove(&beginning(earlier, later));
            if let Some(one) = self.standing.get_mut(&earlier) {
                one.liked_by.remove(&later);
            }
        }
    }

    fn forget(&mut self, place: Place) {
        let Some(gone) = self.standing.remove(&place) else {
            return;
        };
        for earlier in gone.like.keys() {
            self.by_name.remove(&beginning(*earlier, place));
            if let Some(one) = self.standing.get_mut(earlier) {
                one.liked_by.remove(&place);
            }
        }
        for later in &gone.liked_by {
            self.by_name.remove(&beginning(place, *later));
            if let Some(two) = self.standing.get_mut(later) {
                two.like.remove(&place);
            }
        }
        if let Some(own) = self.by_agent.get_mut(&gone.agent) {
            own.remove(&place);
            if own.is_empty() {
                self.by_agent.remove(&gone.agent);
            }
        }
    }

    /// The pair of a name, whether or not it collides at any time.
    pub fn find(&self, id: &Digest) -> Option<(Place, Place)> {
        self.by_name.get(&start(id)).copied()
    }

    /// A pair, if it collides at a stamp and is at least so alike (‰).
    pub fn pair(&self, pair: (Place, Place), at: Stamp, least: u64) -> Option<Collision> {
        let one = self.collision(pair.0, pair.1, at, least)?;
        (one.second.stamp <= at).then_some(one)
    }

    /// After loading from a checkpoint: makes again what follows from the rest.
    pub fn restored(&mut self) {
        let pairs = self.standing.iter().flat_map(|(later, two)| {
            let pairs = two.like.keys();
            pairs.map(|earlier| (beginning(*earlier, *later), (*earlier, *later)))
        });
        self.by_name = pairs.collect();
    }

    /// The pairs that collide at a stamp, at least so alike (‰), newest first.
    pub fn all(&self, at: Stamp, least: u64) -> impl Iterator<Item = Collision> + '_ {
        let seen = self.standing.range(..=Place::end_of(at)).rev();
        seen.flat_map(move |(place, _)| self.before(*place, at, least))
    }

    /// The same, of one agent, from its newest INTENT on.
    pub fn of(
        &self,
        agent: &AgentId,
        at: Stamp,
        least: u64,
    ) -> impl Iterator<Item = Collision> + '_ {
        let own = self.by_agent.get(agent).into_iter();
        let own = own.flat_map(move |own| own.range(..=Place::end_of(at)).rev());
        own.flat_map(move |place| {
            let before = self.before(*place, at, least);
            before.chain(self.behind(*place, at, least))
        })
    }

    fn before(&self, place: Place, at: Stamp, least: u64) -> impl Iterator<Item = Collision> + '_ {
        let like = self.standing.get(&place).map(|one| &one.like);
        like.into_iter()
            .flat_map(BTreeMap::keys)
            .filter_map(move |earlier| self.collision(*earlier, place, at, least))
    }

    fn behind(&self, place: Place, at: Stamp, least: u64) -> impl Iterator<Item = Collision> + '_ {
        let liked_by = self.standing.get(&place).map(|one| &one.liked_by);
        liked_by
            .into_iter()
            .flat_map(move |later| later.range(..=Place::end_of(at)))
            .filter_map(move |later| self.collision(place, *later, at, least))
    }

    fn collision(&self, first: Place, second: Place, at: Stamp, least: u64) -> Option<Collision> {
        let (one, two) = (self.standing.get(&first)?, self.standing.get(&second)?);
        let pair = two.like.get(&first)?;
        let until = one.until.min(two.until);
        (until >= at && u64::from(pair.likeness) >= least).then_some(Collision {
            first,
            first_agent: one.agent,
            second,
            second_agent: two.agent,
            likeness: pair.likeness,
            until,
        })
    }

    /// Drops what had ended at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        let ended: Vec<Place> = self
            .standing
            .range(..=edge)
            .filter(|(_, one)| one.until < frontier)
            .map(|(place, _)| *place)
            .collect();
        for place in ended {
            self.forget(place);
        }
        self.by_word.retain(|_, bearers| {
            let settled = bearers.range(..=edge).map(|(place, _)| *place);
            let first = settled.rev().nth(NEIGHBOURS_MAX - 1);
            if let Some(first) = first {
                *bearers = bearers.split_off(&first);
            }
            bearers.values().any(|until| *until >= frontier)
        });
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.standing.len()
            + self.by_name.len() / 2
            + self.by_word.values().map(BTreeMap::len).sum::<usize>() / 4
    }
}

fn beginning(earlier: Place, later: Place) -> u64 {
    start(&InterferenceKind::Collision.id(&earlier.record, &later.record))
}

fn start(id: &Digest) -> u64 {
    let (first, _) = id.0.split_at(8);
    u64::from_le_bytes(first.try_into().expect("a digest is longer than that"))
}

/// Those before and behind a place that are near each other without it and are not with it.
fn parted<'a>(
    before: &'a [Place],
    after: &'a [Place],
) -> impl Iterator<Item = (Place, Place)> + 'a {
    before.iter().enumerate().filter_map(|(index, earlier)| {
        let later = after.get(NEIGHBOURS_MAX - 1 - index)?;
        Some((*earlier, *later))
    })
}
