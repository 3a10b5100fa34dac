//! The orchestra's Automerge documents on one node: a cache that follows from the logs, applied in
//! company, rolled over, put away and fetched back.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_document::{Actor, ChangePlan, DocumentId, FactDocument, Key, Kind, Refusal, actor_id};
use unisono_model::{
    BundleBody, BundleHeader, ChainId, Digest, DocumentAppend, DocumentKind, DocumentName, LogId,
    OrchestraId, wire,
};

use super::limits;

mod saved;
pub(super) use saved::Saved;
use saved::SavedPlan;

/// All documents of an orchestra.
#[derive(Debug)]
pub(super) struct Documents {
    orchestra: OrchestraId,
    slots: BTreeMap<DocumentName, Slot>,
}

#[derive(Debug)]
struct Slot {
    document: Option<FactDocument>,
    /// Changes of the logs that are not applied yet, in log order.
    queue: Vec<ChangePlan>,
    queued_since_ms: u64,
    touched_ms: u64,
    /// Where the document stands, as far as it was applied; for one that is put away, as saved.
    heads: Vec<Digest>,
    /// How many entries the document had when it was saved or put away.
    entries: usize,
    /// How many are queued.
    queued: usize,
    /// Differs from what was saved.
    dirty: bool,
    /// To be put away: there are too many documents in memory.
    surplus: bool,
    /// Being fetched, or built again from the logs.
    loading: bool,
    /// What is queued waits for changes that a fork has taken away, or that have not come yet.
    stalled: bool,
    /// Own changes are among those, or its past cannot be read any more: this life writes into the
    /// next part.
    stranded: bool,
    /// The saved form lacks changes that waited when it was saved.
    incomplete: bool,
}

/// What a document needs before it can be used.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Need {
    /// Its saved form.
    Blob(String),
    /// Nothing.
    Ready,
    /// What is under way already.
    Patience,
}

impl Documents {
    pub(super) fn new(orchestra: OrchestraId) -> Self {
        Self {
            orchestra,
            slots: BTreeMap::new(),
        }
    }

    fn id(&self, name: DocumentName) -> DocumentId {
        let kind = match name.kind {
            DocumentKind::Score => Kind::Score,
            DocumentKind::Movement(iteration) => Kind::Movement(iteration),
        };
        DocumentId {
            orchestra: self.orchestra,
            kind,
            part: name.part,
        }
    }

    /// The part of a family that is written now: the highest, or the next where that is full or
    /// this life cannot write to it.
    pub(super) fn current(&self, kind: DocumentKind) -> DocumentName {
        let first = DocumentName { kind, part: 0 };
        let last = DocumentName {
            kind,
            part: u32::MAX,
        };
        match self.slots.range(first..=last).next_back() {
            Some((name, slot)) if slot.is_sealed() || slot.stranded => DocumentName {
                kind,
                part: name.part.saturating_add(1),
            },
            Some((name, _)) => *name,
            None => first,
        }
    }

    /// What a document needs so that it can be written.
    pub(super) fn need(&mut self, name: DocumentName, now_ms: u64) -> Need {
        let id = self.id(name);
        let slot = self
            .slots
            .entry(name)
            .or_insert_with(|| Slot::new(FactDocument::new(id)));
        slot.touched_ms = now_ms;
        if slot.document.is_some() {
            return Need::Ready;
        }
        if slot.loading {
            return Need::Patience;
        }
        slot.loading = true;
        Need::Blob(self.blob_name(name))
    }

    /// Whether this log's changes to a document are all applied, so that the next can follow. Where
    /// a fork has taken away what they depend on they never will be, and the next part is begun.
    pub(super) fn can_follow(&mut self, name: DocumentName, log: &LogId, changes: u64) -> bool {
        let id = self.id(name);
        let Some(slot) = self.slots.get_mut(&name) else {
            return true;
        };
        slot.apply();
        let actor = actor_id(log.incarnation, &log.node, &id);
        let follows = slot
            .document
            .as_ref()
            .is_none_or(|document| document.seq(&actor) == changes);
        slot.stranded |= !follows;
        follows
    }

    /// Documents that must be fetched because changes wait for them. While the logs have holes, those
    /// that only another walk of the logs can complete are left alone: it would end at the same place.
    pub(super) fn wanted(&mut self, whole: bool) -> Vec<(DocumentName, String)> {
        let waiting = self.slots.iter().filter(|(_, slot)| {
            let lacks = if slot.incomplete {
                whole
            } else {
                !slot.queue.is_empty()
            };
            slot.document.is_none() && !slot.loading && lacks
        });
        let names: Vec<DocumentName> = waiting.map(|(name, _)| *name).collect();
        for name in &names {
            if let Some(slot) = self.slots.get_mut(name) {
                slot.loading = true;
            }
        }
        names
            .into_iter()
            .map(|name| (name, self.blob_name(name)))
            .collect()
    }

    /// The cache's name of a document.
    pub(super) fn blob_name(&self, name: DocumentName) -> String {
        match name.kind {
            DocumentKind::Score => alloc::format!("document-{}-s-{}", self.orchestra, name.part),
            DocumentKind::Movement(iteration) => {
                alloc::format!("document-{}-m{}-{}", self.orchestra, iteration, name.part)
            }
        }
    }

    /// Takes the saved form. False where it is not what it should be: it must be built again.
    pub(super) fn loaded(&mut self, name: DocumentName, bytes: Option<&[u8]>) -> bool {
        let id = self.id(name);
        let Some(slot) = self.slots.get_mut(&name) else {
            return true;
        };
        let loaded = bytes.and_then(|bytes| FactDocument::load(id, bytes, &slot.heads).ok());
        match loaded {
            Some(document) => {
                slot.document = Some(document);
                slot.loading = false;
                true
            }
            None => false,
        }
    }

    /// Whether a document that was just fetched lacks changes, which must come again from the logs.
    pub(super) fn take_incomplete(&mut self, name: DocumentName) -> bool {
        let slot = self.slots.get_mut(&name);
        slot.is_some_and(|slot| core::mem::take(&mut slot.incomplete))
    }

    /// Begins a document anew: every change of it comes again from the logs.
    pub(super) fn begin_anew(&mut self, name: DocumentName) {
        let id = self.id(name);
        let mut slot = Slot::new(FactDocument::new(id));
        slot.dirty = true;
        self.slots.insert(name, slot);
    }

    /// What the next change of a log to a document depends on. Everything queued is applied first;
    /// where that breaks the document, what the change follows is not known here any more, and it
    /// goes to the next part.
    pub(super) fn append(&mut self, name: DocumentName, log: &LogId) -> Option<DocumentAppend> {
        let id = self.id(name);
        let slot = self.slots.get_mut(&name)?;
        if !slot.apply() {
            slot.stranded = true;
            let next = self.current(name.kind);
            let document = FactDocument::new(self.id(next));
            self.slots.insert(next, Slot::new(document));
            return self.append(next, log);
        }
        let actor = actor_id(log.incarnation, &log.node, &id);
        let mut dependencies = slot.document.as_ref()?.dependencies(&actor);
        dependencies.sort_unstable();
        Some(DocumentAppend {
            document: name,
            dependencies,
        })
    }

    /// Queues what a bundle appends.
    pub(super) fn queue(
        &mut self,
        header: &BundleHeader,
        body: &BundleBody,
        numbers: &BTreeMap<DocumentName, u64>,
        kinds: &[Option<(DocumentKind, u64)>],
        now_ms: u64,
    ) {
        for append in &body.appends {
            let id = self.id(append.document);
            let actor = actor_id(header.log.incarnation, &header.log.node, &id);
            let mut entries = Vec::new();
            for (record, kind) in body.records.iter().zip(kinds) {
                let Some((kind, seq)) = kind else { continue };
                if *kind == append.document.kind {
                    let agent = body.agents[record.agent as usize];
                    let chain = ChainId {
                        agent,
                        log: header.log,
                    };
                    entries.push((Key::record(&chain, *seq), wire::encode(record)));
                }
            }
            let dependencies = append.dependencies.clone();
            let Some(seq) = numbers.get(&append.document).copied() else {
                continue;
            };
            let slot = self
                .slots
                .entry(append.document)
                .or_insert_with(|| Slot::new(FactDocument::new(id)));
            if slot.queue.is_empty() {
                slot.queued_since_ms = now_ms;
            }
            slot.touched_ms = now_ms;
            slot.stalled = false;
            slot.queued += entries.len();
            slot.queue.push(ChangePlan {
                actor,
                seq,
                dependencies,
                entries,
            });
        }
    }

    /// Queues what a bundle appends to one document, while the logs are walked again for it. What is
    /// applied already is known by its number, so whatever comes twice does no harm.
    pub(super) fn requeue(
        &mut self,
        header: &BundleHeader,
        body: &BundleBody,
        numbers: &BTreeMap<DocumentName, u64>,
        kinds: &[Option<(DocumentKind, u64)>],
        now_ms: u64,
        name: DocumentName,
    ) {
        let forgotten = |slot: &Slot| slot.document.is_none() && slot.incomplete;
        if self.slots.get(&name).is_some_and(forgotten) {
            // It broke on the way: another walk brings everything.
            return;
        }
        let number = numbers.get(&name).map(|number| (name, *number));
        self.queue(header, body, &number.into_iter().collect(), kinds, now_ms);
        if let Some(slot) = self.slots.get_mut(&name)
            && slot.queue.len() >= limits::DOCUMENT_QUEUE_MAX
        {
            slot.apply();
        }
    }

    /// A document has been built again.
    pub(super) fn rebuilt(&mut self, name: DocumentName, short: bool) {
        if let Some(slot) = self.slots.get_mut(&name) {
            slot.loading = false;
            slot.apply();
            if short {
                slot.forget();
                slot.stranded = true;
            }
        }
    }

    /// The logs are walked for a document: until that has ended, its heads mean nothing.
    pub(super) fn rebuilding(&mut self, name: DocumentName) {
        if let Some(slot) = self.slots.get_mut(&name) {
            slot.loading = true;
        }
    }

    /// Applies what has waited long enough or in enough company. Says which documents broke.
    pub(super) fn pump(&mut self, now_ms: u64, everything: bool) -> Vec<DocumentName> {
        let mut broken = Vec::new();
        for (name, slot) in &mut self.slots {
            let due = slot.queue.len() >= limits::DOCUMENT_QUEUE_MAX
                || now_ms.saturating_sub(slot.queued_since_ms) >= limits::DOCUMENT_DELAY_MS;
            if !slot.queue.is_empty() && (everything || due) && !slot.apply() {
                broken.push(*name);
            }
        }
        broken
    }

    /// Whether every document is applied, so that heads mean something.
    pub(super) fn settled(&self) -> bool {
        self.slots.values().all(|slot| {
            let lacks = slot.document.is_none() && slot.incomplete;
            !lacks && !slot.loading && (slot.queue.is_empty() || slot.stalled)
        })
    }

    /// Saves documents that changed, and puts away those that nobody has touched for a while.
    pub(super) fn save(&mut self, now_ms: u64, idle_ms: u64) -> Vec<(String, Vec<u8>)> {
        let mut saved = Vec::new();
        let names: Vec<DocumentName> = self.slots.keys().copied().collect();
        for name in names {
            let blob = self.blob_name(name);
            let Some(slot) = self.slots.get_mut(&name) else {
                continue;
            };
            let idle = now_ms.saturating_sub(slot.touched_ms) >= idle_ms || slot.is_sealed();
            let idle = idle || core::mem::take(&mut slot.surplus);
            let Some(document) = &mut slot.document else {
                continue;
            };
            if slot.dirty {
                let Ok(bytes) = document.save() else {
                    // What was on its way to Automerge may show only now that it broke.
                    slot.lose();
                    continue;
                };
                saved.push((blob, bytes));
                slot.dirty = false;
                slot.heads = document.heads();
                slot.entries = document.entries();
                slot.incomplete = document.figures().held > 0;
            }
            // What is being built again stays until it is whole: put away, it would be taken for that.
            let whole = slot.queue.is_empty() && document.figures().held == 0 && !slot.loading;
            if idle && whole {
                slot.document = None;
            }
        }
        saved
    }

    /// Whether any document has not been touched for a while.
    pub(super) fn any_idle(&self, now_ms: u64, idle_ms: u64) -> bool {
        self.slots.values().any(|slot| {
            let document = slot.document.as_ref();
            document.is_some_and(|document| document.figures().held == 0)
                && slot.queue.is_empty()
                && !slot.loading
                && now_ms.saturating_sub(slot.touched_ms) >= idle_ms
        })
    }

    /// Takes full parts out of memory while logs are walked from their first bundle, so that it
    /// holds a few and not all of them. Where one is needed and was not kept, it is built again.
    pub(super) fn take_full(&mut self) -> Vec<(String, FactDocument)> {
        let full = self.slots.iter_mut().filter(|(_, slot)| slot.is_sealed());
        let mut taken = Vec::new();
        for (name, slot) in full {
            let settled = slot.queue.is_empty();
            let document = slot
                .document
                .take_if(|document| settled && document.figures().held == 0);
            if let Some(document) = document {
                slot.heads = document.heads();
                slot.entries = document.entries();
                slot.dirty = false;
                taken.push((*name, document));
            }
        }
        let taken = taken.into_iter();
        taken
            .map(|(name, document)| (self.blob_name(name), document))
            .collect()
    }

    /// Applies what a start has read so far. What breaks is built again when it is asked for.
    pub(super) fn pump_at_start(&mut self, now_ms: u64) {
        self.pump(now_ms, false);
        drop(self.take_full());
    }

    /// Documents in memory that nothing waits for: when each was touched, and its bytes.
    pub(super) fn idle(&self) -> impl Iterator<Item = (u64, DocumentName, u64)> {
        let settled = |slot: &Slot| slot.queue.is_empty() && !slot.loading;
        let slots = self.slots.iter().filter(move |(_, slot)| settled(slot));
        slots.filter_map(|(name, slot)| {
            let figures = slot.document.as_ref()?.figures();
            (figures.held == 0).then_some((slot.touched_ms, *name, figures.memory_bytes))
        })
    }

    /// Has a document put away with the next checkpoint, however lately it was touched.
    pub(super) fn put_away_next(&mut self, name: DocumentName) {
        if let Some(slot) = self.slots.get_mut(&name) {
            slot.surplus = true;
        }
    }

    /// What the checkpoint says: only true after [`Documents::save`].
    pub(super) fn saved(&self) -> Vec<Saved> {
        let slots = self.slots.iter();
        slots
            .map(|(name, slot)| Saved {
                name: *name,
                heads: slot.heads.clone(),
                entries: slot.entries as u64,
                queue: slot.queue.iter().map(SavedPlan::of).collect(),
                // While the logs are walked for it, it lacks what the walk has not reached.
                incomplete: slot.incomplete || (slot.loading && slot.document.is_some()),
            })
            .collect()
    }

    /// Takes over what a checkpoint says. The documents themselves are fetched when needed.
    pub(super) fn restore(&mut self, saved: Vec<Saved>) {
        for one in saved {
            let queue = one.queue.into_iter().filter_map(SavedPlan::plan);
            let queue: Vec<ChangePlan> = queue.collect();
            let slot = Slot {
                document: None,
                queued: entries_of(&queue),
                queue,
                queued_since_ms: 0,
                touched_ms: 0,
                heads: one.heads,
                entries: usize::try_from(one.entries).unwrap_or(usize::MAX),
                dirty: false,
                surplus: false,
                loading: false,
                stalled: false,
                stranded: false,
                incomplete: one.incomplete,
            };
            self.slots.insert(one.name, slot);
        }
    }

    /// The digest of all documents' heads.
    pub(super) fn digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (name, slot) in &self.slots {
            let heads = slot
                .document
                .as_ref()
                .map_or_else(|| slot.heads.clone(), FactDocument::heads);
            // A document without an entry is nothing that others must have: it was opened to be
            // written to, and may have been for nothing.
            if slot.held() > 0 {
                bytes.extend_from_slice(&wire::encode(&(name, heads)));
            }
        }
        Digest::of("unisono/documents/v1", &[&bytes])
    }

    /// Documents in memory.
    pub(super) fn loaded_count(&self) -> usize {
        self.slots
            .values()
            .filter(|slot| slot.document.is_some())
            .count()
    }
}

impl Slot {
    fn new(document: FactDocument) -> Self {
        Self {
            heads: document.heads(),
            document: Some(document),
            queue: Vec::new(),
            queued_since_ms: 0,
            touched_ms: 0,
            entries: 0,
            queued: 0,
            dirty: false,
            surplus: false,
            loading: false,
            stalled: false,
            stranded: false,
            incomplete: false,
        }
    }

    /// Whether the next part of its family is written now.
    fn is_sealed(&self) -> bool {
        self.held() + self.queued >= limits::DOCUMENT_ENTRIES_MAX
    }

    /// How many entries the document has.
    fn held(&self) -> usize {
        let document = self.document.as_ref();
        document.map_or(self.entries, FactDocument::entries)
    }

    /// Lets go of everything but the name: it is built again when it is asked for.
    fn forget(&mut self) {
        self.document = None;
        self.queue.clear();
        self.queued = 0;
        self.incomplete = true;
    }

    /// Lets go of a document that broke. Its saved form is not trusted either: it may be why.
    fn lose(&mut self) {
        self.forget();
        self.heads.clear();
    }

    /// Applies the queue; false if the document broke and is gone. What the document has no room to
    /// hold until its past comes stays queued here.
    fn apply(&mut self) -> bool {
        let Some(document) = &mut self.document else {
            return true;
        };
        while !self.queue.is_empty() {
            let plans = core::mem::take(&mut self.queue);
            self.dirty = true;
            let Ok(outcome) = document.apply(&plans) else {
                self.lose();
                return false;
            };
            let early: BTreeSet<(Actor, u64)> = outcome
                .refused
                .iter()
                .filter(|(_, _, why)| {
                    matches!(why, Refusal::BufferFull(_) | Refusal::Sequence { .. })
                })
                .map(|(actor, seq, _)| (*actor, *seq))
                .collect();
            let progress = !outcome.applied.is_empty();
            self.queue = plans;
            self.queue
                .retain(|plan| early.contains(&(plan.actor, plan.seq)));
            self.queued = entries_of(&self.queue);
            if !progress {
                self.stalled = !self.queue.is_empty();
                break;
            }
        }
        true
    }
}

fn entries_of(plans: &[ChangePlan]) -> usize {
    plans.iter().map(|plan| plan.entries.len()).sum()
}

#[cfg(test)]
mod tests;
