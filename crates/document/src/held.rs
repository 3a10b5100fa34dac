//! Changes that wait for dependencies which have not come: bounded, and fair between actors.
//!
//! Automerge has a queue of its own, without a bound and dearer with every change in it; nothing
//! ever gets there.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::Digest;

use crate::id::Actor;
use crate::limits::{HELD_BYTES_MAX, HELD_MAX, HELD_PER_ACTOR_MAX};

type Place = (Actor, u64);

/// The waiting changes, each under one dependency that it misses.
#[derive(Debug)]
pub(crate) struct Held<T> {
    waiting: BTreeMap<Place, Waiting<T>>,
    by_dependency: BTreeMap<Digest, BTreeSet<Place>>,
    per_actor: BTreeMap<Actor, usize>,
    bytes: usize,
    /// Whose changes were turned away or had to yield.
    dropped: BTreeSet<Actor>,
}

#[derive(Debug)]
struct Waiting<T> {
    missing: Digest,
    bytes: usize,
    item: T,
}

/// There is no room.
pub(crate) struct Full;

impl<T> Held<T> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            by_dependency: BTreeMap::new(),
            per_actor: BTreeMap::new(),
            bytes: 0,
            dropped: BTreeSet::new(),
        }
    }

    /// Whose changes were turned away, or yielded to others: they will not come by themselves again.
    pub(crate) fn dropped(&self) -> &BTreeSet<Actor> {
        &self.dropped
    }

    /// Forgets that, and says what it was: all is going to be offered again.
    pub(crate) fn take_dropped(&mut self) -> BTreeSet<Actor> {
        core::mem::take(&mut self.dropped)
    }

    /// Remembers it for these, too.
    pub(crate) fn note_dropped(&mut self, actors: BTreeSet<Actor>) {
        self.dropped.extend(actors);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn contains(&self, place: &Place) -> bool {
        self.waiting.contains_key(place)
    }

    /// Keeps an item until `missing` comes. When all is full, the actor that occupies most yields
    /// its latest change, unless that is the newcomer's own actor.
    pub(crate) fn hold(
        &mut self,
        place: Place,
        missing: Digest,
        bytes: usize,
        item: T,
    ) -> Result<(), Full> {
        if self.of(&place.0) >= HELD_PER_ACTOR_MAX || bytes > HELD_BYTES_MAX {
            self.dropped.insert(place.0);
            return Err(Full);
        }
        while self.waiting.len() >= HELD_MAX || self.bytes + bytes > HELD_BYTES_MAX {
            if let Err(full) = self.yield_one(&place.0) {
                self.dropped.insert(place.0);
                return Err(full);
            }
        }
        self.by_dependency.entry(missing).or_default().insert(place);
        *self.per_actor.entry(place.0).or_default() += 1;
        self.bytes += bytes;
        self.waiting.insert(
            place,
            Waiting {
                missing,
                bytes,
                item,
            },
        );
        Ok(())
    }

    /// The items that waited for this change, in the order of actor and sequence.
    pub(crate) fn release(&mut self, arrived: &Digest) -> Vec<T> {
        let places = self.by_dependency.remove(arrived).unwrap_or_default();
        places.iter().filter_map(|place| self.take(place)).collect()
    }

    /// What waits, by actor and number.
    pub(crate) fn items(&self) -> impl Iterator<Item = &T> {
        self.waiting.values().map(|waiting| &waiting.item)
    }

    /// How many changes of an actor wait.
    pub(crate) fn of(&self, actor: &Actor) -> usize {
        self.per_actor.get(actor).copied().unwrap_or(0)
    }

    fn yield_one(&mut self, newcomer: &Actor) -> Result<(), Full> {
        let most = self
            .per_actor
            .iter()
            .max_by_key(|(actor, count)| (**count, **actor));
        let (actor, count) = most.map(|(actor, count)| (*actor, *count)).ok_or(Full)?;
        if count <= self.of(newcomer) {
            return Err(Full);
        }
        let range = (actor, 0)..=(actor, u64::MAX);
        let place = *self.waiting.range(range).next_back().ok_or(Full)?.0;
        self.take(&place);
        self.dropped.insert(actor);
        Ok(())
    }

    fn take(&mut self, place: &Place) -> Option<T> {
        let waiting = self.waiting.remove(place)?;
        self.bytes -= waiting.bytes;
        if let Some(others) = self.by_dependency.get_mut(&waiting.missing) {
            others.remove(place);
            if others.is_empty() {
                self.by_dependency.remove(&waiting.missing);
            }
        }
        if let Some(count) = self.per_actor.get_mut(&place.0) {
            *count -= 1;
            if *count == 0 {
                self.per_actor.remove(&place.0);
            }
        }
        Some(waiting.item)
    }
}
