//! The vocabulary of the stories: nodes, documents, plans.

use unisono_document::{
    Actor, Appended, ChangePlan, DocumentId, FactDocument, Key, Kind, actor_id,
};
use unisono_model::{Incarnation, NodeId, OrchestraId};

pub(crate) fn score() -> DocumentId {
    DocumentId {
        orchestra: OrchestraId([7; 16]),
        kind: Kind::Score,
        part: 0,
    }
}

pub(crate) fn living() -> DocumentId {
    DocumentId {
        orchestra: OrchestraId([7; 16]),
        kind: Kind::Living,
        part: 0,
    }
}

/// The actor of node `n` in `document`; later nodes sort last.
pub(crate) fn node(document: &DocumentId, n: u8) -> Actor {
    let incarnation = Incarnation {
        started_ms: 1_700_000_000_000 + u64::from(n),
        nonce: 1,
    };
    actor_id(incarnation, &NodeId([n; 32]), document)
}

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Appends entries named `name` and answers the plan that tells others of it.
pub(crate) fn append(document: &mut FactDocument, actor: Actor, names: &[String]) -> ChangePlan {
    let entries: Vec<(Key, Vec<u8>)> = names
        .iter()
        .map(|name| (key(name), format!("value of {name}").into_bytes()))
        .collect();
    let borrowed: Vec<(Key, &[u8])> = entries
        .iter()
        .map(|(key, value)| (key.clone(), value.as_slice()))
        .collect();
    let Appended {
        seq, dependencies, ..
    } = document.append(&actor, &borrowed).unwrap();
    ChangePlan {
        actor,
        seq,
        dependencies,
        entries,
    }
}

/// A small generator, so that a story is the same each time it is told.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % end as u64).unwrap()
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}
