//! What a raw change must be before a living document takes it.
//!
//! Automerge trusts its input: an operation that refers to what is not there panics or damages the
//! document for good. So each operation is checked against what its author could know.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use automerge::legacy::{ElementId, Key, ObjectId, Op, OpId, OpType};
use automerge::{Automerge, Change, ChangeHash, ExpandedChange, ObjId, ReadDoc, ScalarValue};
use unisono_model::Digest;

use super::causality::{Causality, Characters, Outside};
use super::config::{ConfigValue, check_path};
use super::prescan::prescan;
use super::{Notes, check_note_name};
use crate::door::hash;
use crate::error::Refusal;
use crate::genesis::{self, CONFIG_OP, GENESIS, NOTE_OP};
use crate::history::History;
use crate::id::Actor;

/// A change that parses, is by whom it should be, and is encoded as we encode.
pub(crate) struct Parsed {
    pub(crate) actor: Actor,
    pub(crate) seq: u64,
    pub(crate) hash: Digest,
    pub(crate) dependencies: Vec<Digest>,
    pub(crate) expanded: ExpandedChange,
    pub(crate) change: Change,
    /// The note that the change's author opened with it: the note's own fixed change comes first.
    pub(crate) opens: Option<Opening>,
}

/// The fixed change that makes a note.
pub(crate) struct Opening {
    pub(crate) name: String,
    pub(crate) change: Change,
    pub(crate) hash: Digest,
}

impl Opening {
    pub(crate) fn of(name: &str) -> Self {
        let change = genesis::note(name);
        let hash = Digest(change.hash().0);
        Self {
            name: name.to_owned(),
            change,
            hash,
        }
    }
}

/// Reads a raw change, looking at nothing but its bytes.
pub(crate) fn parse(expected: &Actor, bytes: &[u8]) -> Result<Parsed, Refusal> {
    prescan(bytes)?;
    let decoded = catch_unwind(|| {
        let change = Change::from_bytes(bytes.to_vec()).ok()?;
        let expanded = change.decode();
        Some((change, expanded))
    });
    let decoded = decoded.map_err(|_| Refusal::Encoding("operations"))?;
    let (change, expanded) = decoded.ok_or(Refusal::Encoding("operations"))?;
    // A change that is not what our encoder writes would get another hash whenever Automerge
    // rebuilds it from its columns, and the saved document could not be loaded. The checksum, which
    // the parser does not look at, is compared here too.
    let again = catch_unwind(AssertUnwindSafe(|| Change::from(expanded.clone())));
    if !again.is_ok_and(|again| again.raw_bytes() == bytes) {
        return Err(Refusal::Encoding("not canonical"));
    }
    if Actor::of(change.actor_id()) != Some(*expected) {
        return Err(Refusal::Actor);
    }
    let dependencies: Vec<Digest> = change.deps().iter().map(|hash| Digest(hash.0)).collect();
    let opens = match change.message() {
        None => None,
        Some(name) => {
            check_note_name(name)?;
            let opening = Opening::of(name);
            if !dependencies.contains(&opening.hash) {
                return Err(Refusal::Dependencies);
            }
            Some(opening)
        }
    };
    let (seq, hash) = (change.seq(), Digest(change.hash().0));
    Ok(Parsed {
        actor: *expected,
        seq,
        hash,
        dependencies,
        expanded,
        change,
        opens,
    })
}

/// What a change is judged against.
pub(crate) struct Gate<'a> {
    pub(crate) automerge: &'a Automerge,
    pub(crate) history: &'a History,
    pub(crate) causality: &'a Causality,
    pub(crate) characters: &'a Characters,
    pub(crate) notes: &'a Notes,
}

/// The state of one judgement.
struct Judgement<'a> {
    gate: &'a Gate<'a>,
    parsed: &'a Parsed,
    outside: Outside,
    start_op: u64,
    /// The dependencies that Automerge knows: all but the fixed change of a note just opened.
    past: Vec<ChangeHash>,
    /// The characters that the change itself has inserted so far, and where.
    inserted: BTreeMap<u64, Actor>,
    deleted: BTreeSet<(Actor, u64)>,
    paths: BTreeSet<&'a str>,
}

impl Gate<'_> {
    /// Whether all operations of a change whose dependencies are here are such as its author could
    /// have made.
    pub(crate) fn check(&self, parsed: &Parsed, start_op: u64) -> Result<(), Refusal> {
        if parsed.expanded.start_op.get() != start_op {
            return Err(Refusal::StartOp { expected: start_op });
        }
        let known = parsed
            .dependencies
            .iter()
            .filter(|hash| self.history.contains(hash));
        let mut judgement = Judgement {
            gate: self,
            parsed,
            outside: self
                .causality
                .outside(self.history.heads(), &parsed.dependencies),
            start_op,
            past: known.map(hash).collect(),
            inserted: BTreeMap::new(),
            deleted: BTreeSet::new(),
            paths: BTreeSet::new(),
        };
        for (number, operation) in (start_op..).zip(&parsed.expanded.operations) {
            judgement.operation(number, operation)?;
        }
        Ok(())
    }
}

impl<'a> Judgement<'a> {
    fn operation(&mut self, number: u64, operation: &'a Op) -> Result<(), Refusal> {
        let ObjectId::Id(OpId(counter, maker)) = &operation.obj else {
            return Err(Refusal::Shape("operation in the root"));
        };
        let maker = Actor::of(maker).ok_or(Refusal::Actor)?;
        match &operation.key {
            Key::Map(path) if maker == GENESIS && *counter == CONFIG_OP => {
                self.config_operation(path, operation)
            }
            Key::Seq(element) if *counter == NOTE_OP && self.knows_note(&maker) => {
                self.note_operation(number, maker, element, operation)
            }
            Key::Map(_) | Key::Seq(_) => Err(Refusal::Shape("neither configuration nor note")),
        }
    }

    fn knows_note(&self, note: &Actor) -> bool {
        let opened = self.parsed.opens.as_ref();
        opened.is_some_and(|opening| genesis::note_actor(&opening.name) == *note)
            || (self.gate.notes.contains_key(note) && !self.outside.contains(note, NOTE_OP))
    }

    fn config_operation(&mut self, path: &'a str, operation: &Op) -> Result<(), Refusal> {
        check_path(path)?;
        if operation.insert || !self.paths.insert(path) {
            return Err(Refusal::Shape("configuration"));
        }
        match &operation.action {
            OpType::Put(value) => {
                ConfigValue::of(value)
                    .ok_or(Refusal::Shape("value"))?
                    .check()?;
            }
            OpType::Delete if !operation.pred.is_empty() => {}
            OpType::Delete => return Err(Refusal::Predecessors),
            OpType::Make(_) | OpType::Increment(_) | OpType::MarkBegin(_) | OpType::MarkEnd(_) => {
                return Err(Refusal::Shape("action"));
            }
        }
        let mut visible = self.visible(path);
        visible.sort_unstable();
        // Whoever puts the value that is shown already, while others met with it, deletes those.
        let losers = match (&operation.action, visible.split_last()) {
            (OpType::Delete, Some((_, losers))) => losers,
            _ => &visible,
        };
        let replaces = |seen: &[OpId]| operation.pred.iter().eq(seen);
        if replaces(&visible) || replaces(losers) {
            Ok(())
        } else {
            Err(Refusal::Predecessors)
        }
    }

    /// The values at a path that the author saw, all of which a put or a delete replaces.
    fn visible(&self, path: &str) -> Vec<OpId> {
        let (automerge, config) = (self.gate.automerge, super::config_map());
        let all = if self.outside.is_empty() {
            automerge.get_all(config, path)
        } else {
            automerge.get_all_at(config, path, &self.past)
        };
        let all = all.unwrap_or_default().into_iter();
        all.filter_map(|(_, id)| match id {
            ObjId::Id(counter, actor, _) => Some(OpId(counter, actor)),
            ObjId::Root => None,
        })
        .collect()
    }

    fn note_operation(
        &mut self,
        number: u64,
        note: Actor,
        element: &ElementId,
        operation: &Op,
    ) -> Result<(), Refusal> {
        match (&operation.action, operation.insert) {
            (OpType::Put(ScalarValue::Str(text)), true) => {
                let mut characters = text.chars();
                let one = characters.next().is_some() && characters.next().is_none();
                if !one || !operation.pred.is_empty() {
                    return Err(Refusal::Shape("character"));
                }
                if let ElementId::Id(after) = element {
                    self.character(note, after, true)?;
                }
                self.inserted.insert(number, note);
                Ok(())
            }
            (OpType::Delete, false) => {
                let ElementId::Id(character) = element else {
                    return Err(Refusal::Shape("delete"));
                };
                let place = self.character(note, character, false)?;
                if !operation.pred.iter().eq([character]) {
                    return Err(Refusal::Predecessors);
                }
                if self.deleted.insert(place) {
                    Ok(())
                } else {
                    Err(Refusal::Shape("delete"))
                }
            }
            _ => Err(Refusal::Shape("action")),
        }
    }

    /// Whether this character stands in this note and the author could know it.
    fn character(
        &self,
        note: Actor,
        OpId(number, actor): &OpId,
        own: bool,
    ) -> Result<(Actor, u64), Refusal> {
        let actor = Actor::of(actor).ok_or(Refusal::Unknown)?;
        let found = if actor == self.parsed.actor && *number >= self.start_op {
            self.inserted.get(number).copied().filter(|_| own)
        } else if self.outside.contains(&actor, *number) {
            None
        } else {
            self.gate.characters.note_of(&actor, *number)
        };
        if found == Some(note) {
            Ok((actor, *number))
        } else {
            Err(Refusal::Unknown)
        }
    }
}
