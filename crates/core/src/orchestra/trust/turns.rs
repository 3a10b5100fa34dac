//! Which keys are one agent's: rotations, as far as they stand.
//!
//! ```text
//!   A ──signs──► Rotate{next: B, B's signature} at place r        what A signs above r is void
//!   B ──signs──► Rotate{next: C, C's signature} at place s > r    what B signs above s is void
//!   the agent is A, whoever of them signs: folds know it by its first key
//! ```
//!
//! Where two rotations concern one key, the lower place stands: both sides of a partition come to
//! the same. A walk over the logs begins with rotations that it may find to be void, so what is held
//! here can contradict itself until it ends; whoever asks comes to an end all the same.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, ChainId, Place};

/// All rotations that are known.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    by_former: BTreeMap<AgentId, BTreeMap<Place, Turn>>,
    by_next: BTreeMap<AgentId, BTreeMap<Place, Turn>>,
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

impl Turns {
    pub(super) fn insert(&mut self, turn: Turn) {
        let former = self.by_former.entry(turn.former).or_default();
        former.insert(turn.place, turn);
        let next = self.by_next.entry(turn.next).or_default();
        next.insert(turn.place, turn);
    }

    /// The rotation by which an agent gave a key up.
    pub fn away_from(&self, key: &AgentId) -> Option<&Turn> {
        first(self.by_former.get(key)?)
    }

    /// The rotation by which an agent came to a key.
    pub fn to(&self, key: &AgentId) -> Option<&Turn> {
        first(self.by_next.get(key)?)
    }

    /// The rotations that led to a key, the latest first.
    pub fn before(&self, key: AgentId) -> impl Iterator<Item = &Turn> {
        let mut turn = self.to(&key);
        core::iter::from_fn(move || {
            let this = turn?;
            // Downward alone: whatever contradicts itself ends here.
            turn = self.to(&this.former).filter(|one| one.place < this.place);
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
        let (mut key, mut above) = (key, None);
        while let Some(turn) = self.away_from(&key) {
            if turn.place > up_to || above.is_some_and(|above| turn.place <= above) {
                break;
            }
            (key, above) = (turn.next, Some(turn.place));
        }
        key
    }

    /// Whether a key is its agent's by a rotation, or was given up by one.
    pub fn concerns(&self, key: &AgentId) -> bool {
        self.by_former.contains_key(key) || self.by_next.contains_key(key)
    }

    /// All of them, in order.
    pub fn all(&self) -> impl Iterator<Item = &Turn> {
        let mut all: alloc::vec::Vec<&Turn> = self.by_former.values().filter_map(first).collect();
        all.sort_unstable_by_key(|turn| turn.place);
        all.into_iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_former.len()
    }
}

fn first(turns: &BTreeMap<Place, Turn>) -> Option<&Turn> {
    turns.first_key_value().map(|(_, turn)| turn)
}
