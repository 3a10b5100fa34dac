//! The plan of a fact change, from which every replica builds the same change.

use std::num::NonZeroU64;

use automerge::legacy::{Key as MapKey, ObjectId, Op, OpId, OpType};
use automerge::{ActorId, Change, ExpandedChange, ScalarValue};
use unisono_model::Digest;

use crate::door::hash;
use crate::error::Refusal;
use crate::genesis::{GENESIS, bucket_op};
use crate::id::Actor;
use crate::key::Key;
use crate::limits::{CHANGE_BYTES_MAX, ENTRIES_PER_CHANGE_MAX, ENTRY_BYTES_MAX};

/// All that determines one change of a fact document. Its bytes and its hash follow from this and
/// from the operation counts of the dependencies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangePlan {
    /// Who appends. Carriage sees to it that this is the actor of the carrying node's incarnation
    /// in this document (see [`crate::actor_id`]).
    pub actor: Actor,
    /// Counts this actor's changes in this document from 1, without gaps.
    pub seq: u64,
    /// The hashes of the changes that came before, at least one (the genesis, at the beginning),
    /// and always the actor's own previous change. Order does not matter, repetition does.
    pub dependencies: Vec<Digest>,
    /// What is appended, in this order: at most [`ENTRIES_PER_CHANGE_MAX`] entries of at most
    /// [`ENTRY_BYTES_MAX`] bytes each and [`CHANGE_BYTES_MAX`] together, under keys that this actor
    /// never appended before.
    pub entries: Vec<(Key, Vec<u8>)>,
}

/// One change of one actor, and what came of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ChangeStamp {
    /// Who wrote it.
    pub actor: Actor,
    /// Its number among that actor's changes.
    pub seq: u64,
    /// Its Automerge hash, to be named by later changes.
    pub hash: Digest,
}

/// What a local append made: all that the others need besides the entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Appended {
    /// The change's number among the actor's.
    pub seq: u64,
    /// What it depends on, sorted: the heads before it and the actor's previous change.
    pub dependencies: Vec<Digest>,
    /// The Automerge hash of the change.
    pub hash: Digest,
}

/// What became of a batch of changes from elsewhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// What is in the document now and was not before, in the order of application. It may include
    /// changes that had been waiting from earlier batches.
    pub applied: Vec<ChangeStamp>,
    /// How many changes of this batch now wait for their dependencies. Waiting is a courtesy: a
    /// waiting change may be dropped for room or lost with the process, so only applied ones count
    /// as had.
    pub held: usize,
    /// How many were here already, applied or waiting.
    pub duplicates: usize,
    /// What was refused, by actor and sequence number, and why.
    pub refused: Vec<(Actor, u64, Refusal)>,
}

impl ChangePlan {
    /// What holding this plan costs, in bytes.
    pub(crate) fn weight(&self) -> usize {
        let entries = self
            .entries
            .iter()
            .map(|(key, value)| key.as_str().len() + value.len() + 64);
        96 + 32 * self.dependencies.len() + entries.sum::<usize>()
    }
}

/// Whether these entries may make up one change: how many, how large, no key twice.
pub(crate) fn check_entries<'a>(
    entries: impl ExactSizeIterator<Item = (&'a Key, &'a [u8])>,
) -> Result<(), Refusal> {
    if entries.len() == 0 {
        return Err(Refusal::Empty);
    }
    if entries.len() > ENTRIES_PER_CHANGE_MAX {
        return Err(Refusal::TooLarge("entries"));
    }
    let mut bytes = 0;
    let mut keys = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        if value.len() > ENTRY_BYTES_MAX {
            return Err(Refusal::TooLarge("bytes of an entry"));
        }
        bytes += value.len();
        keys.push(key.as_str());
    }
    if bytes > CHANGE_BYTES_MAX {
        return Err(Refusal::TooLarge("bytes of a change"));
    }
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::KeyTwice);
    }
    Ok(())
}

/// The change. Time is 0 and the message empty, so that nothing but the plan decides its bytes.
pub(crate) fn build<'a>(
    actor: &Actor,
    seq: u64,
    start_op: u64,
    dependencies: &[Digest],
    entries: impl Iterator<Item = (&'a Key, &'a [u8])>,
) -> Change {
    let genesis = GENESIS.automerge();
    Change::from(ExpandedChange {
        operations: entries
            .map(|(key, value)| put(&genesis, key, value))
            .collect(),
        actor_id: actor.automerge(),
        hash: None,
        seq,
        start_op: NonZeroU64::new(start_op).expect("operations count from one"),
        time: 0,
        message: None,
        deps: dependencies.iter().map(hash).collect(),
        extra_bytes: Vec::new(),
        author: None,
    })
}

/// A fact never replaces anything, so it has no predecessors.
fn put(genesis: &ActorId, key: &Key, value: &[u8]) -> Op {
    Op {
        action: OpType::Put(ScalarValue::Bytes(value.to_vec())),
        obj: ObjectId::Id(OpId(bucket_op(key.bucket()), genesis.clone())),
        key: MapKey::Map(key.as_str().into()),
        pred: Vec::new().into(),
        insert: false,
    }
}
