//! Local edits of notes and configuration.

use automerge::transaction::{CommitOptions, Transactable, Transaction};
use automerge::{AutomergeError, ObjId, ReadDoc};
use unisono_model::Digest;

use super::config::{ConfigValue, check_path};
use super::gate::Opening;
use super::{Edit, LivingDocument, check_note_name, config_map, note_text};
use crate::door::digest;
use crate::error::{Poisoned, Refusal, WriteError};
use crate::genesis::{self, GENESIS};
use crate::id::Actor;
use crate::limits::{
    DEPENDENCIES_MAX, LIVING_CHANGE_BYTES_MAX, LIVING_OPERATIONS_MAX, NOTE_CHARACTERS_MAX,
};

impl LivingDocument {
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
        if change.raw_bytes().len() > LIVING_CHANGE_BYTES_MAX {
            // Automerge takes nothing back: what it holds now must be built again from the log.
            self.door.poison();
            return Err(Refusal::TooLarge("bytes of an edit").into());
        }
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
