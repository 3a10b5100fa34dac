//! A document of facts: entries that are appended once and never changed.

mod read;

use std::collections::{BTreeSet, VecDeque};

use automerge::{Automerge, Change, ReadDoc};
use unisono_model::Digest;

use crate::door::{Door, digest};
use crate::error::{LoadError, Poisoned, Refusal, WriteError};
use crate::genesis::{self, bucket_map};
use crate::held::Held;
use crate::history::{History, Place};
use crate::id::{Actor, DocumentId};
use crate::key::Key;
use crate::limits::{CHUNK_COLD, CHUNK_WARM, COLD_CHANGES, COMPANY_BYTES_MAX, WARM_ENTRIES_MIN};
use crate::plan::{Appended, Applied, ChangePlan, ChangeStamp, build, check_entries};

const BUCKETS: u64 = 256;

/// A score or a movement: entries of bytes under keys, appended by many actors.
///
/// The same set of plans gives the same heads on every replica, in whatever order they come.
#[derive(Debug)]
pub struct FactDocument {
    id: DocumentId,
    door: Door,
    history: History,
    held: Held<ChangePlan>,
    /// Part of the document already, and on the way to Automerge.
    company: Company,
    /// How many more changes are applied in small chunks.
    cold: usize,
    entries: usize,
    value_bytes: u64,
}

/// How large a document is, to decide when to roll it over or put it away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Figures {
    /// Entries in the document.
    pub entries: usize,
    /// Bytes of all entries' values together.
    pub value_bytes: u64,
    /// Changes, the genesis included.
    pub changes: usize,
    /// Actors that wrote, the genesis included. Each costs every change a little.
    pub actors: usize,
    /// Changes without a successor.
    pub heads: usize,
    /// Changes that wait for dependencies.
    pub held: usize,
    /// What those weigh, in bytes.
    pub held_bytes: usize,
    /// Roughly what the document takes in memory, in bytes, Automerge's slack not counted.
    pub memory_bytes: u64,
}

impl FactDocument {
    /// The empty document: the fixed genesis and nothing else.
    pub fn new(id: DocumentId) -> Self {
        let genesis = genesis::facts();
        let mut history = History::default();
        let hash = digest(genesis.hash());
        history.note(genesis::GENESIS, 1, hash, &[], BUCKETS);
        Self {
            id,
            door: Door::empty(),
            history,
            held: Held::new(),
            company: Company::default(),
            cold: 0,
            entries: 0,
            value_bytes: 0,
        }
    }

    /// Takes what [`Self::save`] wrote, if it is undamaged, of this document, and stands at exactly
    /// these heads (sorted). Otherwise the caller rebuilds from the log. Waiting changes are not
    /// saved.
    pub fn load(
        id: DocumentId,
        saved: &[u8],
        expected_heads: &[Digest],
    ) -> Result<Self, LoadError> {
        let (door, [entries, value_bytes]) = Door::load(&id, saved)?;
        let history = door.read(history_of).map_err(|_| LoadError::Damaged)??;
        if !history.heads().eq(expected_heads) {
            return Err(LoadError::OtherHeads);
        }
        let operations = door.read(|automerge| automerge.stats().num_ops);
        let genesis = digest(genesis::facts().hash());
        if operations != Ok(BUCKETS + entries) || !history.contains(&genesis) {
            return Err(LoadError::Shape);
        }
        let entries = usize::try_from(entries).map_err(|_| LoadError::Shape)?;
        let held = Held::new();
        Ok(Self {
            id,
            door,
            history,
            held,
            company: Company::default(),
            cold: COLD_CHANGES,
            entries,
            value_bytes,
        })
    }

    /// The document as bytes for [`Self::load`], compressed. Costs 6 to 10 µs per entry.
    pub fn save(&mut self) -> Result<Vec<u8>, Poisoned> {
        self.hand_over()?;
        self.door
            .save(&self.id, [self.entries as u64, self.value_bytes])
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

    /// How many entries the document holds.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// What the next change of a local actor depends on: the heads, and its own last change. Lets a
    /// writer make the plan first and apply it when it is on disk.
    pub fn dependencies(&self, actor: &Actor) -> Vec<Digest> {
        self.history.dependencies(actor)
    }

    /// The number of this actor's last change here; 0 if there is none.
    pub fn seq(&self, actor: &Actor) -> u64 {
        self.history.seq(actor)
    }

    /// Whether the change with this hash is in the document.
    pub fn contains(&self, change: &Digest) -> bool {
        self.history.contains(change)
    }

    /// Whether the document broke and must be rebuilt.
    pub fn is_poisoned(&self) -> bool {
        self.door.is_poisoned()
    }

    /// How large the document is.
    pub fn figures(&self) -> Figures {
        let changes = self.history.changes();
        Figures {
            entries: self.entries,
            value_bytes: self.value_bytes,
            changes,
            actors: self.history.actors(),
            heads: self.history.heads().len(),
            held: self.held.len(),
            held_bytes: self.held.bytes(),
            memory_bytes: self.value_bytes
                + 100 * self.entries as u64
                + 300 * changes as u64
                + self.held.bytes() as u64,
        }
    }

    /// Appends entries as the next change of a local actor.
    ///
    /// Refused, without effect: no entries, too many or too large ones, and keys that this actor
    /// appended before.
    pub fn append(
        &mut self,
        actor: &Actor,
        entries: &[(Key, &[u8])],
    ) -> Result<Appended, WriteError> {
        if self.door.is_poisoned() {
            return Err(Poisoned.into());
        }
        check_entries(pairs(entries))?;
        let dependencies = self.history.dependencies(actor);
        let seq = self.history.seq(actor) + 1;
        let place = self
            .history
            .place(actor, seq, &dependencies, entries.len())?;
        let Place::Next(start_op) = place else {
            return Err(self.door.poison().into());
        };
        let keys = entries.iter().map(|(key, _)| key);
        if seq > 1 && self.any_written(actor, keys)? {
            return Err(Refusal::KeyTwice.into());
        }
        let change = build(actor, seq, start_op, &dependencies, pairs(entries));
        let hash = digest(change.hash());
        self.note(actor, seq, hash, &dependencies, start_op, pairs(entries));
        self.company.join(actor, change, pairs(entries));
        self.hand_over_if_full()?;
        Ok(Appended {
            seq,
            dependencies,
            hash,
        })
    }

    /// Takes changes from elsewhere, in any order. Each is judged by itself: a refused one leaves
    /// no trace and does not stop the others.
    ///
    /// What is taken counts at once. Automerge gets it in company, since several changes at once
    /// cost it little more than one: that it broke may so show later.
    pub fn apply(&mut self, plans: &[ChangePlan]) -> Result<Applied, Poisoned> {
        if self.door.is_poisoned() {
            return Err(Poisoned);
        }
        let mut considered = Considered::default();
        for plan in plans {
            self.consider(plan, &mut considered)?;
            while let Some(plan) = considered.released.pop_front() {
                self.consider(&plan, &mut considered)?;
            }
        }
        Ok(considered.outcome)
    }

    fn consider(&mut self, plan: &ChangePlan, considered: &mut Considered) -> Result<(), Poisoned> {
        match self.judge(plan) {
            Ok(Judgement::Duplicate) => considered.outcome.duplicates += 1,
            Ok(Judgement::After(missing)) => self.hold(plan, missing, considered),
            Ok(Judgement::Next(change)) => self.stage(plan, change, considered)?,
            Err(WriteError::Refused(refusal)) => considered.refuse(plan, refusal),
            Err(WriteError::Poisoned(poisoned)) => return Err(poisoned),
        }
        Ok(())
    }

    fn judge(&self, plan: &ChangePlan) -> Result<Judgement, WriteError> {
        check_entries(plan_pairs(plan))?;
        let (actor, seq) = (&plan.actor, plan.seq);
        let rebuild = |start_op| build(actor, seq, start_op, &plan.dependencies, plan_pairs(plan));
        match self
            .history
            .place(actor, seq, &plan.dependencies, plan.entries.len())?
        {
            Place::Taken(start_op) => {
                let same = start_op.map(|start_op| digest(rebuild(start_op).hash()));
                if same.is_some_and(|hash| self.history.contains(&hash)) {
                    Ok(Judgement::Duplicate)
                } else {
                    Err(Refusal::Forked.into())
                }
            }
            Place::After(missing) => Ok(Judgement::After(missing)),
            Place::Next(start_op) => {
                let keys = plan.entries.iter().map(|(key, _)| key);
                if seq > 1 && self.any_written(actor, keys)? {
                    return Err(Refusal::KeyTwice.into());
                }
                Ok(Judgement::Next(rebuild(start_op)))
            }
        }
    }

    fn hold(&mut self, plan: &ChangePlan, missing: Digest, considered: &mut Considered) {
        let place = (plan.actor, plan.seq);
        if self.held.contains(&place) {
            considered.outcome.duplicates += 1;
        } else if self
            .held
            .hold(place, missing, plan.weight(), plan.clone())
            .is_ok()
        {
            considered.outcome.held += 1;
        } else {
            considered.refuse(plan, Refusal::BufferFull(missing));
        }
    }

    fn stage(
        &mut self,
        plan: &ChangePlan,
        change: Change,
        considered: &mut Considered,
    ) -> Result<(), Poisoned> {
        let (actor, seq) = (plan.actor, plan.seq);
        let hash = digest(change.hash());
        let start_op = change.start_op().get();
        self.note(
            &actor,
            seq,
            hash,
            &plan.dependencies,
            start_op,
            plan_pairs(plan),
        );
        considered
            .outcome
            .applied
            .push(ChangeStamp { actor, seq, hash });
        self.company.join(&actor, change, plan_pairs(plan));
        considered.released.extend(self.held.release(&hash));
        self.hand_over_if_full()
    }

    fn hand_over_if_full(&mut self) -> Result<(), Poisoned> {
        let full = if self.cold > 0 {
            CHUNK_COLD
        } else {
            CHUNK_WARM
        };
        if self.company.changes.len() >= full || self.company.bytes >= COMPANY_BYTES_MAX {
            self.hand_over()
        } else {
            Ok(())
        }
    }

    /// Hands Automerge what is on the way to it.
    pub(super) fn hand_over(&mut self) -> Result<(), Poisoned> {
        let company = std::mem::take(&mut self.company);
        if company.changes.is_empty() {
            Ok(())
        } else {
            self.apply_chunk(company.changes)
        }
    }

    /// Hands changes that are noted already to Automerge, and checks that both agree on the heads.
    fn apply_chunk(&mut self, changes: Vec<Change>) -> Result<(), Poisoned> {
        if self.cold == COLD_CHANGES && self.entries >= WARM_ENTRIES_MIN {
            let buckets: Vec<_> = (0..=255).map(bucket_map).collect();
            self.door.warm(&buckets)?;
        }
        self.cold = self.cold.saturating_sub(changes.len());
        self.door.apply(changes)?;
        if self.door.heads()?.iter().eq(self.history.heads()) {
            return Ok(());
        }
        Err(self.door.poison())
    }

    /// Breaks it so that only the next change or save can tell, as a fault of Automerge would: for
    /// tests of what then has to happen.
    #[doc(hidden)]
    pub fn break_unnoticed(&mut self) {
        self.door.forget();
    }

    fn note<'a>(
        &mut self,
        actor: &Actor,
        seq: u64,
        hash: Digest,
        dependencies: &[Digest],
        start_op: u64,
        entries: impl ExactSizeIterator<Item = (&'a Key, &'a [u8])>,
    ) {
        let max_op = start_op + entries.len() as u64 - 1;
        self.history.note(*actor, seq, hash, dependencies, max_op);
        self.entries += entries.len();
        self.value_bytes += entries.map(|(_, value)| value.len() as u64).sum::<u64>();
    }
}

/// Changes that are noted and judged, and go to Automerge together.
#[derive(Debug, Default)]
struct Company {
    changes: Vec<Change>,
    /// The keys of those.
    keys: BTreeSet<(Actor, Key)>,
    /// What their values weigh, in bytes.
    bytes: usize,
}

impl Company {
    fn join<'a>(
        &mut self,
        actor: &Actor,
        change: Change,
        entries: impl Iterator<Item = (&'a Key, &'a [u8])>,
    ) {
        self.changes.push(change);
        for (key, value) in entries {
            self.keys.insert((*actor, key.clone()));
            self.bytes += value.len();
        }
    }
}

/// What has become of the changes of one call so far.
#[derive(Default)]
struct Considered {
    outcome: Applied,
    /// Were waiting for a change that has come.
    released: VecDeque<ChangePlan>,
}

#[allow(
    clippy::large_enum_variant,
    reason = "each lives for one step, and most are the large one"
)]
enum Judgement {
    Duplicate,
    After(Digest),
    Next(Change),
}

impl Considered {
    fn refuse(&mut self, plan: &ChangePlan, refusal: Refusal) {
        self.outcome.refused.push((plan.actor, plan.seq, refusal));
    }
}

fn pairs<'a>(entries: &'a [(Key, &'a [u8])]) -> impl ExactSizeIterator<Item = (&'a Key, &'a [u8])> {
    entries.iter().map(|(key, value)| (key, *value))
}

fn plan_pairs(plan: &ChangePlan) -> impl ExactSizeIterator<Item = (&Key, &[u8])> {
    plan.entries
        .iter()
        .map(|(key, value)| (key, value.as_slice()))
}

/// What the changes of a loaded document say about themselves.
pub(crate) fn history_of(automerge: &Automerge) -> Result<History, LoadError> {
    let mut history = History::default();
    for change in automerge.get_changes_meta(&[]) {
        let actor = Actor::of(&change.actor).ok_or(LoadError::Shape)?;
        let dependencies: Vec<Digest> = change.deps.iter().copied().map(digest).collect();
        if change.seq.max(change.max_op) > crate::limits::COUNTER_MAX {
            return Err(LoadError::Shape);
        }
        let hash = digest(change.hash);
        history.note(actor, change.seq, hash, &dependencies, change.max_op);
    }
    Ok(history)
}
