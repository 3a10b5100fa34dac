//! A document of living values: notes and configuration, edited together, merged by Automerge.

mod causality;
mod config;
mod edit;
mod gate;
mod prescan;
mod read;

use std::collections::{BTreeMap, VecDeque};

use automerge::legacy::{Key as MapKey, ObjectId, OpId, OpType};
use automerge::{Automerge, Change, ExpandedChange, ObjId, ObjType};
use unisono_model::Digest;

use self::causality::{Causality, Characters};
pub use self::config::{ConfigConflict, ConfigTree, ConfigValue};
use self::gate::{Gate, Opening, Parsed, parse};
use crate::door::{Door, digest};
use crate::error::{LoadError, Poisoned, Refusal, WriteError};
use crate::fact::history_of;
use crate::genesis::{self, CONFIG_OP, GENESIS, NOTE_OP};
use crate::held::Held;
use crate::history::{History, Place};
use crate::id::{Actor, DocumentId};
use crate::limits::NOTE_NAME_BYTES_MAX;
use crate::plan::{Applied, ChangeStamp};

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

    /// The changes that wait for dependencies, with their actors: in no saved form, to be offered
    /// again after [`Self::load`].
    pub fn waiting(&self) -> impl Iterator<Item = (Actor, &[u8])> {
        self.held
            .items()
            .map(|(actor, bytes)| (*actor, bytes.as_slice()))
    }

    /// Whether a change that had to wait was dropped for want of room: the document says less than
    /// the logs until it is built again.
    pub fn lacks(&self) -> bool {
        !self.held.dropped().is_empty()
    }

    /// Whether changes of this very actor wait or were dropped: its next one would be taken for one
    /// of those.
    pub fn lags_behind(&self, actor: &Actor) -> bool {
        self.held.of(actor) > 0 || self.held.dropped().contains(actor)
    }

    /// Whether the document broke and must be rebuilt.
    pub fn is_poisoned(&self) -> bool {
        self.door.is_poisoned()
    }

    /// Takes a raw change that a node carried; `expected` is that node's actor here (see
    /// [`crate::actor_id`]). What is refused leaves no trace (its number is given as 0 if it could
    /// not be read). A change whose past is not here waits. The answer includes waiting changes that
    /// could follow now.
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

    /// Takes many changes in whatever order they are, again and again for as long as that brings
    /// something in: what found no room to wait finds what it waited for the next time. Nothing is
    /// dropped whose past is among them.
    pub fn apply_all(&mut self, changes: &[(Actor, Vec<u8>)]) -> Result<Applied, Poisoned> {
        let before = self.held.take_dropped();
        let mut all = Applied::default();
        loop {
            let mut outcome = Applied::default();
            for (actor, bytes) in changes {
                let one = self.apply_remote(actor, bytes)?;
                outcome.applied.extend(one.applied);
                outcome.refused.extend(one.refused);
            }
            let came = !outcome.applied.is_empty();
            all.applied.append(&mut outcome.applied);
            all.refused = outcome.refused;
            if !came || !self.lacks() {
                break;
            }
            self.held.take_dropped();
        }
        self.held.note_dropped(before);
        all.held = self.held.len();
        Ok(all)
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
