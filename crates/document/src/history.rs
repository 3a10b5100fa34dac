//! What is known about the changes of one document: who wrote them, in which order, up to which
//! operation. Enough to number and to place the next one without asking Automerge.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::Digest;

use crate::error::Refusal;
use crate::genesis::GENESIS;
use crate::id::Actor;
use crate::limits::{COUNTER_MAX, DEPENDENCIES_MAX};

/// The changes of one document.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The highest operation of each change.
    max_op: BTreeMap<Digest, u32>,
    /// The last change of each actor.
    last: BTreeMap<Actor, Last>,
    heads: BTreeSet<Digest>,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    seq: u32,
    hash: Digest,
}

/// Where a change belongs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    /// It is the next of its actor; its operations begin at this number.
    Next(u64),
    /// The actor already wrote a change, this one or another, under this number. If it was this
    /// one, its operations begin at the number given, the dependencies being known.
    Taken(Option<u64>),
    /// It must wait for this dependency.
    After(Digest),
}

impl History {
    /// Where a change belongs, or why nowhere. `operations` is how many it holds.
    pub(crate) fn place(
        &self,
        actor: &Actor,
        seq: u64,
        dependencies: &[Digest],
        operations: usize,
    ) -> Result<Place, Refusal> {
        self.place_with(actor, seq, dependencies, operations, None)
    }

    /// The same, if one more change were here whose highest operation is given.
    pub(crate) fn place_with(
        &self,
        actor: &Actor,
        seq: u64,
        dependencies: &[Digest],
        operations: usize,
        extra: Option<(Digest, u64)>,
    ) -> Result<Place, Refusal> {
        if *actor == GENESIS {
            return Err(Refusal::Actor);
        }
        if dependencies.len() > DEPENDENCIES_MAX {
            return Err(Refusal::TooLarge("dependencies"));
        }
        if dependencies.is_empty() || !all_different(dependencies) {
            return Err(Refusal::Dependencies);
        }
        let known = self.seq(actor);
        let is_here =
            |hash: &Digest| self.contains(hash) || extra.is_some_and(|(extra, _)| extra == *hash);
        let missing = dependencies.iter().find(|hash| !is_here(hash));
        let start = self
            .start_op(dependencies)
            .max(extra.map_or(0, |(_, max_op)| max_op + 1));
        if seq > 0 && seq <= known {
            return Ok(Place::Taken(missing.is_none().then_some(start)));
        }
        if seq == 0 || seq > COUNTER_MAX || start + operations as u64 > COUNTER_MAX {
            return Err(Refusal::TooLarge("counter"));
        }
        if let Some(missing) = missing {
            return Ok(Place::After(*missing));
        }
        if seq != known + 1 {
            return Err(Refusal::Sequence {
                expected: known + 1,
                found: seq,
            });
        }
        // An actor's changes form a line. Without this its operations could collide with earlier
        // ones of its own, since their numbers grow along the dependencies only.
        if self
            .last(actor)
            .is_some_and(|previous| !dependencies.contains(&previous))
        {
            return Err(Refusal::Dependencies);
        }
        Ok(Place::Next(start))
    }

    /// What a local change depends on: the heads, as many as a change may name, and the actor's
    /// previous change. Sorted.
    pub(crate) fn dependencies(&self, actor: &Actor) -> Vec<Digest> {
        let own = self.last(actor);
        let heads = self.heads.iter().copied().filter(|head| Some(*head) != own);
        let mut all: Vec<Digest> = own
            .into_iter()
            .chain(heads)
            .take(DEPENDENCIES_MAX)
            .collect();
        all.sort_unstable();
        all
    }

    /// One above the highest operation of the dependencies, as far as they are known.
    fn start_op(&self, dependencies: &[Digest]) -> u64 {
        let known = dependencies.iter().filter_map(|hash| self.max_op.get(hash));
        1 + u64::from(known.copied().max().unwrap_or(0))
    }

    /// Notes a change that `place` called the next.
    pub(crate) fn note(
        &mut self,
        actor: Actor,
        seq: u64,
        hash: Digest,
        dependencies: &[Digest],
        max_op: u64,
    ) {
        for dependency in dependencies {
            self.heads.remove(dependency);
        }
        self.heads.insert(hash);
        let narrow = |number| u32::try_from(number).expect("place bounds counters");
        self.max_op.insert(hash, narrow(max_op));
        self.last.insert(
            actor,
            Last {
                seq: narrow(seq),
                hash,
            },
        );
    }

    pub(crate) fn contains(&self, hash: &Digest) -> bool {
        self.max_op.contains_key(hash)
    }

    /// The number of the actor's last change; 0 if it wrote none.
    pub(crate) fn seq(&self, actor: &Actor) -> u64 {
        self.last.get(actor).map_or(0, |last| u64::from(last.seq))
    }

    pub(crate) fn heads(&self) -> impl ExactSizeIterator<Item = &Digest> {
        self.heads.iter()
    }

    pub(crate) fn changes(&self) -> usize {
        self.max_op.len()
    }

    pub(crate) fn actors(&self) -> usize {
        self.last.len()
    }

    fn last(&self, actor: &Actor) -> Option<Digest> {
        self.last.get(actor).map(|last| last.hash)
    }
}

fn all_different(hashes: &[Digest]) -> bool {
    // Honest writers sort, so the set is made only for the others.
    hashes.is_sorted_by(|left, right| left < right)
        || hashes.iter().collect::<BTreeSet<_>>().len() == hashes.len()
}
