//! The fixed first changes, built byte for byte alike on every node, so that containers are never
//! created by two sides at once.

use std::num::NonZeroU64;

use automerge::legacy::{Key, ObjectId, Op, OpId, OpType};
use automerge::{Change, ChangeHash, ExpandedChange, ObjType};
use unisono_model::Digest;

use crate::id::Actor;

/// The actor of the genesis: zeros, which sort first, so that its index never moves.
pub(crate) const GENESIS: Actor = Actor([0; 16]);

/// The operation that made the configuration map of a living document.
pub(crate) const CONFIG_OP: u64 = 1;

/// The operation that made the map of notes of a living document.
pub(crate) const NOTES_OP: u64 = 2;

/// The number of the operation that makes a note: the one after the genesis.
pub(crate) const NOTE_OP: u64 = 3;

/// The genesis of a fact document: 256 maps `00` to `ff` in the root.
pub(crate) fn facts() -> Change {
    let names = (0..=255u8).map(|bucket| format!("{bucket:02x}"));
    change(
        GENESIS,
        Vec::new(),
        1,
        names.map(|name| make(ObjectId::Root, &name, ObjType::Map)),
    )
}

/// The genesis of a living document: the maps `config` and `notes` in the root.
pub(crate) fn living() -> Change {
    let names = ["config", "notes"].into_iter();
    change(
        GENESIS,
        Vec::new(),
        1,
        names.map(|name| make(ObjectId::Root, name, ObjType::Map)),
    )
}

/// The change that makes the note of this name. It is the same whoever opens the note first, so
/// that both sides of a partition that open one note have opened the same.
pub(crate) fn note(name: &str) -> Change {
    let notes = ObjectId::Id(OpId(NOTES_OP, GENESIS.automerge()));
    let operation = make(notes, name, ObjType::Text);
    change(
        note_actor(name),
        vec![living().hash()],
        NOTE_OP,
        std::iter::once(operation),
    )
}

/// The actor of the change that makes the note of this name.
pub(crate) fn note_actor(name: &str) -> Actor {
    let digest = Digest::of("unisono/note/v1", &[name.as_bytes()]);
    let mut actor = Actor::default();
    actor.0.copy_from_slice(&digest.0[..16]);
    actor
}

/// The map in which the entries of a bucket stand.
pub(crate) fn bucket_map(bucket: u8) -> automerge::ObjId {
    automerge::ObjId::Id(bucket_op(bucket), GENESIS.automerge(), 0)
}

/// The operation that made a bucket's map.
pub(crate) fn bucket_op(bucket: u8) -> u64 {
    1 + u64::from(bucket)
}

fn make(parent: ObjectId, name: &str, kind: ObjType) -> Op {
    Op {
        action: OpType::Make(kind),
        obj: parent,
        key: Key::Map(name.into()),
        pred: Vec::new().into(),
        insert: false,
    }
}

fn change(
    actor: Actor,
    deps: Vec<ChangeHash>,
    start_op: u64,
    operations: impl Iterator<Item = Op>,
) -> Change {
    Change::from(ExpandedChange {
        operations: operations.collect(),
        actor_id: actor.automerge(),
        hash: None,
        seq: 1,
        start_op: NonZeroU64::new(start_op).expect("operations count from one"),
        time: 0,
        message: None,
        deps,
        extra_bytes: Vec::new(),
        author: None,
    })
}
