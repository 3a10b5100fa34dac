//! A document of living values: notes and configuration, edited together, merged by Automerge.

mod causality;
mod config;
mod gate;
mod prescan;
mod read;

use std::collections::{BTreeMap, VecDeque};

use automerge::legacy::{Key as MapKey, ObjectId, OpId, OpType};
use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{Automerge, AutomergeError, Change, ExpandedChange, ObjId, ObjType, ReadDoc};
use unisono_model::Digest;

use self::causality::{Causality, Characters};
use self::config::check_path;
pub use self::config::{ConfigConflict, ConfigTree, ConfigValue};
use self::gate::{Gate, Opening, Parsed, parse};
use crate::door::{Door, digest};
use crate::error::{LoadError, Poisoned, Refusal, WriteError};
use crate::fact::{Applied, history_of};
use crate::genesis::{self, CONFIG_OP, GENESIS, NOTE_OP};
use crate::held::Held;
use crate::history::{History, Place};
use crate::id::{Actor, DocumentId};
use crate::limits::{
    DEPENDENCIES_MAX, LIVING_OPERATIONS_MAX, NOTE_CHARACTERS_MAX, NOTE_NAME_BYTES_MAX,
};
use crate::plan::ChangeStamp;

/// The notes by the actor of the fixed change that makes each.
type Notes = BTreeMap<Actor, String>;

/// Notes (texts) and configuration (a tree of values) that many write at once.
///
/// Unlike facts they travel as raw Automerge changes. They carry no authority: a node alone vouches
/// for them, and nothing is decided by them.
#[derive(Debug)]
pub struct LivingDocument {
    id: DocumentId,
    door: Door,
    history: History,
    causality: Causality,
    characters: Characters,
    notes: Notes,
    held: Held<(Actor, Vec<u8>)>,
}

/// A local edit, to be carried to the others as it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Edit {
    /// Its number among the actor's changes in this document.
    pub seq: u64,
    /// The Automerge hash of the change.
    pub hash: Digest,
    /// The raw change, for [`LivingDocument::apply_remote`].
    pub bytes: Vec<u8>,
}

impl LivingDocument {
    /// The empty document: no notes, no configuration.
    pub fn new(id: DocumentId) -> Self {
        let genesis = genesis::living();
        let mut document = Self::around(id, Door::new(genesis.clone()), History::default());
        document
            .history
            .note(GENESIS, 1, digest(genesis.hash()), &[], genesis.max_op());
        document
            .absorb(&genesis, &genesis.decode())
            .expect("the genesis depends on nothing");
        document
    }

    /// Takes what [`Self::save`] wrote, if it is undamaged, of this document, and stands at exactly
    /// these heads (sorted). Otherwise the caller rebuilds from the log.
    pub fn load(
        id: DocumentId,
        saved: &[u8],
        expected_heads: &[Digest],
    ) -> Result<Self, LoadError> {
        let (door, _) = Door::load(&id, saved)?;
        let history = door.read(history_of).map_err(|_| LoadError::Damaged)??;
        if !history.heads().eq(expected_heads) {
            return Err(LoadError::OtherHeads);
        }
        let changes = door.read(|automerge| {
            let changes = automerge.get_changes(&[]).into_iter();
            changes
                .map(|change| (change.decode(), change))
                .collect::<Vec<_>>()
        });
        let mut document = Self::around(id, door, history);
        for (expanded, change) in changes.map_err(|_| LoadError::Damaged)? {
            document
                .absorb(&change, &expanded)
                .ok_or(LoadError::Shape)?;
        }
        if !document.history.contains(&digest(genesis::living().hash())) {
            return Err(LoadError::Shape);
        }
        Ok(document)
    }

    /// The document as bytes for [`Self::load`], compressed.
    pub fn save(&self) -> Result<Vec<u8>, Poisoned> {
        self.door.save(&self.id, [0, 0])
    }

    /// Which document this is.
    pub fn id(&self) -> &DocumentId {
        &self.id
    }

    /// The changes without a successor, sorted. Equal heads mean equal documents. Once the document
    /// broke they mean nothing.
    pub fn heads(&self) -> Vec<Digest> {
        self.history.heads().copied().collect()
    }

    /// The number of this actor's last change here; 0 if there is none.
    pub fn seq(&self, actor: &Actor) -> u64 {
        self.history.seq(actor)
    }

    /// How many changes the document consists of, the fixed ones included.
    pub fn changes(&self) -> usize {
        self.history.changes()
    }

    /// How many changes wait for dependencies, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        (self.held.len(), self.held.bytes())
    }

    /// Whether the document broke and must be rebuilt.
    pub fn is_poisoned(&self) -> bool {
        self.door.is_poisoned()
    }

    /// Replaces `delete` characters of a note from `position` (counted in characters) on by
    /// `insert`. The first insertion makes the note. `None` if that changes nothing. Refused if it
    /// reaches beyond the note's end or exceeds a limit.
    pub fn note_splice(
        &mut self,
        actor: &Actor,
        name: &str,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<Option<Edit>, WriteError> {
        let length = self.note_length(name)?;
        if position.checked_add(delete).is_none_or(|end| end > length) {
            return Err(Refusal::Shape("beyond the end of the note").into());
        }
        let inserted = insert.chars().count();
        check_note_size(length - delete + inserted, delete + inserted)?;
        let delete = isize::try_from(delete).map_err(|_| Refusal::TooLarge("characters"))?;
        self.edit_note(actor, name, insert.is_empty(), |edit, note| {
            edit.splice_text(note, position, delete, insert)
        })
    }

    /// Makes a note read `text`, by as few insertions and deletions as turn the present text into
    /// it, so that it merges well with what others write meanwhile.
    pub fn note_set(
        &mut self,
        actor: &Actor,
        name: &str,
        text: &str,
    ) -> Result<Option<Edit>, WriteError> {
        let old = self.note(name)?.unwrap_or_default();
        check_note_size(text.chars().count(), differing(&old, text))?;
        self.edit_note(actor, name, text.is_empty(), |edit, note| {
            edit.update_text(note, text)
        })
    }

    /// Puts a value at a path (`a/b/c`), replacing what is known to be there. `None` if it is there
    /// already.
    pub fn config_put(
        &mut self,
        actor: &Actor,
        path: &str,
        value: &ConfigValue,
    ) -> Result<Option<Edit>, WriteError> {
        check_path(path)?;
        value.check()?;
        self.edit(actor, None, |edit| {
            edit.put(config_map(), path, value.scalar())
        })
    }

    /// Removes the value at a path; what lies below it stays. `None` if there is none.
    pub fn config_delete(&mut self, actor: &Actor, path: &str) -> Result<Option<Edit>, WriteError> {
        check_path(path)?;
        let found = self.door.read(|automerge| {
            automerge
                .get_all(config_map(), path)
                .is_ok_and(|all| !all.is_empty())
        })?;
        if !found {
            return Ok(None);
        }
        self.edit(actor, None, |edit| edit.delete(config_map(), path))
    }

    /// Takes a raw change that a node carried; `expected` is that node's actor here (see
    /// [`crate::actor_id`]). What is refused leaves no trace. A change whose past is not here waits.
    /// The answer includes waiting changes that could follow now.
    pub fn apply_remote(&mut self, expected: &Actor, bytes: &[u8]) -> Result<Applied, Poisoned> {
        let mut outcome = Applied::default();
        let mut queue = VecDeque::from([(*expected, bytes.to_vec())]);
        while let Some((actor, bytes)) = queue.pop_front() {
            let parsed = match parse(&actor, &bytes) {
                Ok(parsed) => parsed,
                Err(refusal) => {
                    outcome.refused.push((actor, 0, refusal));
                    continue;
                }
            };
            match self.judge(&parsed) {
                Ok(Verdict::Duplicate) => outcome.duplicates += 1,
                Ok(Verdict::After(missing)) => self.hold(&parsed, missing, bytes, &mut outcome),
                Ok(Verdict::Next) => {
                    let stamp = ChangeStamp {
                        actor,
                        seq: parsed.seq,
                        hash: parsed.hash,
                    };
                    outcome.applied.push(stamp);
                    queue.extend(self.take(parsed)?);
                }
                Err(WriteError::Refused(refusal)) => {
                    outcome.refused.push((actor, parsed.seq, refusal));
                }
                Err(WriteError::Poisoned(poisoned)) => return Err(poisoned),
            }
        }
        Ok(outcome)
    }

    fn around(id: DocumentId, door: Door, history: History) -> Self {
        Self {
            id,
            door,
            history,
            causality: Causality::default(),
            characters: Characters::default(),
            notes: Notes::new(),
            held: Held::new(),
        }
    }

    fn judge(&self, parsed: &Parsed) -> Result<Verdict, WriteError> {
        let opened = parsed.opens.as_ref().map(|opening| (opening.hash, NOTE_OP));
        let operations = parsed.change.len();
        let (actor, dependencies) = (&parsed.actor, &parsed.dependencies);
        match self
            .history
            .place_with(actor, parsed.seq, dependencies, operations, opened)?
        {
            Place::Taken(_) if self.history.contains(&parsed.hash) => Ok(Verdict::Duplicate),
            Place::Taken(_) => Err(Refusal::Forked.into()),
            Place::After(missing) => Ok(Verdict::After(missing)),
            Place::Next(start_op) => {
                self.door
                    .read(|automerge| self.gate(automerge).check(parsed, start_op))??;
                Ok(Verdict::Next)
            }
        }
    }

    fn gate<'a>(&'a self, automerge: &'a Automerge) -> Gate<'a> {
        Gate {
            automerge,
            history: &self.history,
            causality: &self.causality,
            characters: &self.characters,
            notes: &self.notes,
        }
    }

    fn hold(&mut self, parsed: &Parsed, missing: Digest, bytes: Vec<u8>, outcome: &mut Applied) {
        let (place, weight) = ((parsed.actor, parsed.seq), bytes.len() + 128);
        if self.held.contains(&place) {
            outcome.duplicates += 1;
        } else if self
            .held
            .hold(place, missing, weight, (parsed.actor, bytes))
            .is_ok()
        {
            outcome.held += 1;
        } else {
            outcome
                .refused
                .push((place.0, place.1, Refusal::BufferFull(missing)));
        }
    }

    /// Applies a judged change; answers what had waited for it.
    fn take(&mut self, parsed: Parsed) -> Result<Vec<(Actor, Vec<u8>)>, Poisoned> {
        let opening = parsed
            .opens
            .filter(|opening| !self.history.contains(&opening.hash));
        let mut released = Vec::new();
        let mut changes = Vec::new();
        if let Some(opening) = opening {
            released.extend(self.held.release(&opening.hash));
            self.note_opening(&opening)?;
            changes.push(opening.change);
        }
        let max_op = parsed.change.max_op();
        self.history.note(
            parsed.actor,
            parsed.seq,
            parsed.hash,
            &parsed.dependencies,
            max_op,
        );
        let absorbed = self.absorb(&parsed.change, &parsed.expanded);
        absorbed.ok_or_else(|| self.door.poison())?;
        changes.push(parsed.change);
        self.door.apply(changes)?;
        self.check_heads()?;
        released.extend(self.held.release(&parsed.hash));
        Ok(released)
    }

    fn note_opening(&mut self, opening: &Opening) -> Result<(), Poisoned> {
        let (actor, change) = (genesis::note_actor(&opening.name), &opening.change);
        let dependencies = [digest(genesis::living().hash())];
        self.history
            .note(actor, 1, opening.hash, &dependencies, change.max_op());
        self.absorb(change, &change.decode())
            .ok_or_else(|| self.door.poison())
    }

    fn check_heads(&mut self) -> Result<(), Poisoned> {
        if self.door.heads()?.iter().eq(self.history.heads()) {
            return Ok(());
        }
        Err(self.door.poison())
    }

    /// Notes what later changes are judged by. `None` if the change is none of ours.
    fn absorb(&mut self, change: &Change, expanded: &ExpandedChange) -> Option<()> {
        let dependencies: Vec<Digest> = change.deps().iter().copied().map(digest).collect();
        let (hash, actor) = (digest(change.hash()), Actor::of(change.actor_id())?);
        let start_op = change.start_op().get();
        self.causality.note(hash, actor, start_op, &dependencies)?;
        for (number, operation) in (start_op..).zip(&expanded.operations) {
            match (&operation.obj, &operation.key) {
                (ObjectId::Id(OpId(NOTE_OP, note)), MapKey::Seq(_)) if operation.insert => {
                    self.characters.insert(actor, number, Actor::of(note)?);
                }
                (ObjectId::Id(_), MapKey::Map(name))
                    if operation.action == OpType::Make(ObjType::Text) =>
                {
                    self.notes.insert(actor, name.to_string());
                }
                _ => {}
            }
        }
        Some(())
    }

    fn note_length(&self, name: &str) -> Result<usize, WriteError> {
        check_note_name(name)?;
        Ok(self
            .door
            .read(|automerge| automerge.length(note_text(name)))?)
    }

    fn edit_note(
        &mut self,
        actor: &Actor,
        name: &str,
        empty: bool,
        work: impl FnOnce(&mut Transaction<'_>, &ObjId) -> Result<(), AutomergeError>,
    ) -> Result<Option<Edit>, WriteError> {
        check_note_name(name)?;
        let note = note_text(name);
        if self.notes.contains_key(&genesis::note_actor(name)) {
            return self.edit(actor, None, |edit| work(edit, &note));
        }
        if empty {
            return Ok(None);
        }
        self.edit(actor, Some(Opening::of(name)), |edit| work(edit, &note))
    }

    fn edit(
        &mut self,
        actor: &Actor,
        opening: Option<Opening>,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<(), AutomergeError>,
    ) -> Result<Option<Edit>, WriteError> {
        if self.door.is_poisoned() {
            return Err(Poisoned.into());
        }
        if self.history.heads().len() + 2 > DEPENDENCIES_MAX {
            return Err(Refusal::TooLarge("heads").into());
        }
        if *actor == GENESIS || self.notes.contains_key(actor) {
            return Err(Refusal::Actor.into());
        }
        let message = opening.as_ref().map(|opening| opening.name.clone());
        if let Some(opening) = opening {
            self.note_opening(&opening)?;
            self.door.apply(vec![opening.change])?;
        }
        let change = self.door.write(|automerge| {
            automerge.set_actor(actor.automerge());
            let mut edit = automerge.transaction();
            work(&mut edit)?;
            let options = CommitOptions {
                message,
                time: Some(0),
            };
            let hash = edit.commit_with(options).0;
            Ok(hash.and_then(|hash| automerge.get_change_by_hash(&hash)))
        })?;
        let Some(change) = change else {
            return Ok(None);
        };
        let (seq, hash) = (change.seq(), digest(change.hash()));
        let dependencies: Vec<Digest> = change.deps().iter().copied().map(digest).collect();
        self.history
            .note(*actor, seq, hash, &dependencies, change.max_op());
        let absorbed = self.absorb(&change, &change.decode());
        absorbed.ok_or_else(|| self.door.poison())?;
        self.check_heads()?;
        Ok(Some(Edit {
            seq,
            hash,
            bytes: change.raw_bytes().to_vec(),
        }))
    }
}

enum Verdict {
    Duplicate,
    After(Digest),
    Next,
}

pub(crate) fn config_map() -> ObjId {
    ObjId::Id(CONFIG_OP, GENESIS.automerge(), 0)
}

pub(crate) fn note_text(name: &str) -> ObjId {
    ObjId::Id(NOTE_OP, genesis::note_actor(name).automerge(), 0)
}

/// A name is 1 to 128 bytes without control characters.
fn check_note_name(name: &str) -> Result<(), Refusal> {
    let fits = (1..=NOTE_NAME_BYTES_MAX).contains(&name.len());
    if fits && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Refusal::Key)
    }
}

fn check_note_size(characters: usize, operations: usize) -> Result<(), Refusal> {
    if characters > NOTE_CHARACTERS_MAX {
        return Err(Refusal::TooLarge("characters of a note"));
    }
    if operations as u64 > LIVING_OPERATIONS_MAX {
        return Err(Refusal::TooLarge("characters of an edit"));
    }
    Ok(())
}

/// How many characters of both texts lie between their common beginning and their common end: at
/// least as many as any way to turn one into the other touches.
fn differing(old: &str, new: &str) -> usize {
    let (old, new): (Vec<char>, Vec<char>) = (old.chars().collect(), new.chars().collect());
    let front = old
        .iter()
        .zip(&new)
        .take_while(|(left, right)| left == right)
        .count();
    let (old, new) = (&old[front..], &new[front..]);
    let back = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(left, right)| left == right);
    old.len() + new.len() - 2 * back.count()
}
