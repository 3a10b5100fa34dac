//! Batches: own work is stamped, signed and bundled, peers' bundles are put in their place, and
//! all of it goes to disk at once. At most one batch is under way; the next gathers meanwhile.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use ed25519_dalek::SigningKey;
use unisono_model::wire::{self, Blob};
use unisono_model::{
    Action, AgentId, Code, Digest, DocumentKind, DocumentName, ForkProof, LogId, OrchestraId,
    RecordBody, Rejection, SignedRecord, Stamp,
};

use super::bundle::Trusted;
use super::documents::Need;
use super::input::{BatchId, DiskFailure, LoadId, Promise, Ticket};
use super::output::{Note, Output};
use super::{Node, clock, limits, space};
use crate::carriage::Carried;
use crate::context::{Context, Verifier};
use crate::journal::{Entry, EntryKey, Proof};
use crate::replication::{LogState, NotNext, Placed};

/// Own work that has passed its preconditions.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) ticket: Option<Ticket>,
    pub(super) orchestra: OrchestraId,
    pub(super) source: Source,
    pub(super) body: RecordBody,
    pub(super) promise: Promise,
    pub(super) deadline_ms: u64,
    pub(super) subjects: Vec<Subject>,
}

impl Made {
    pub(super) fn is_last_word(&self) -> bool {
        matches!(self.body.action, Action::Leave(_))
    }

    /// About how many bytes it takes in a bundle.
    fn weight(&self) -> usize {
        let body = match &self.source {
            Source::Signed(record) => record.body.0.len(),
            Source::Held(_) | Source::Own => wire::encode(&self.body).len(),
        };
        body + RECORD_OVERHEAD_BYTES
    }
}

/// What signature, stamp and digests add to a record's body, and predecessors at the most.
const RECORD_OVERHEAD_BYTES: usize = 256;
/// What the records of one bundle may weigh together: the rest is for dependencies and changes.
const BUNDLE_RECORD_BYTES_MAX: usize = unisono_model::limits::BUNDLE_BYTES_MAX / 2;

/// Who signs it.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// The agent has.
    Signed(SignedRecord),
    /// This node does, for an agent whose key it holds.
    Held(SigningKey),
    /// This node does, for itself.
    Own,
}

/// Something that only one request at a time may change.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    Agent(OrchestraId, AgentId),
    Topic(OrchestraId, String),
    Task(OrchestraId, String),
    File(OrchestraId, String),
    Plan(OrchestraId),
    Iteration(OrchestraId),
}

/// What is on its way to disk.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) bundles: Vec<Staged>,
    /// The logs as they will be.
    pub(super) states: BTreeMap<(OrchestraId, LogId), LogState>,
    pub(super) made: Vec<Placement>,
    pub(super) proofs: Vec<ForkProof>,
    /// Bundles that were lost here and have come back.
    pub(super) mended: Vec<Carried>,
}

/// A bundle on its way to disk.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) orchestra: OrchestraId,
    pub(super) carried: Carried,
    pub(super) placed: Vec<Placed>,
    pub(super) own: bool,
    /// The numbers of this bundle's changes among those of its log, per document.
    pub(super) changes: BTreeMap<DocumentName, u64>,
}

/// Own work with its place.
#[derive(Debug)]
pub(super) struct Placement {
    pub(super) made: Made,
    pub(super) placed: Placed,
    pub(super) bundle: u64,
}

impl Node {
    /// Starts the next batch, if there is anything for it and none is under way.
    pub(super) fn flush(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        self.drop_queue_of_expelled(out);
        let waits = self.disk_retry_ms.is_some_and(|at| context.now_ms() < at);
        if self.batch.is_some() || waits || self.stopped {
            return;
        }
        let mut batch = Batch {
            id: BatchId(self.next_batch),
            bundles: Vec::new(),
            states: BTreeMap::new(),
            made: Vec::new(),
            proofs: core::mem::take(&mut self.jobs.new_proofs),
            mended: Vec::new(),
        };
        self.stage_mended(&mut batch);
        if !self.is_closed() {
            self.stage_incoming(context, &mut batch, out);
        }
        self.stage_own(context, &mut batch, out);
        if batch.bundles.is_empty() && batch.proofs.is_empty() && batch.mended.is_empty() {
            return;
        }
        self.next_batch += 1;
        self.counters.batches += 1;
        let id = batch.id;
        out.push(Output::Persist {
            batch: id,
            entries: batch.carried().map(entry).collect(),
            proofs: batch.proofs.iter().map(proof_entry).collect(),
        });
        self.batch = Some(batch);
        if self.config.sabotage.acknowledge_before_sync {
            self.persisted(context, id, Ok(()), out);
        }
    }

    /// Puts peers' bundles that continue their logs into the batch.
    fn stage_incoming(
        &mut self,
        context: &mut Context<'_>,
        batch: &mut Batch,
        out: &mut Vec<Output>,
    ) {
        let mut bytes = 0;
        let trusts = self.config.sabotage.signatures_at_the_edge_alone;
        for space in self.spaces.values_mut().filter(|space| !space.refolding) {
            let logs: Vec<LogId> = space.incoming.firsts().map(|(log, _)| log).collect();
            for log in logs {
                let mut state = space.logs.entry(log).clone();
                loop {
                    let full = batch.bundles.len() >= limits::BATCH_BUNDLES_MAX
                        || bytes >= limits::BATCH_BYTES_MAX;
                    let Some((seq, carried)) = space.incoming.first(&log) else {
                        break;
                    };
                    match state.is_next(carried.header(), &carried.digest(), carried.lowest()) {
                        Err(NotNext::Gap) => break,
                        Ok(()) if full => break,
                        Err(why) => {
                            let refused = space.incoming.remove(&log, seq);
                            if why == NotNext::Stamps {
                                let why = "stamps do not rise";
                                let log = Some(log);
                                self.counters.bundles_refused += 1;
                                out.push(Output::Note(Note::BundleRefused {
                                    from: self.me.node,
                                    log,
                                    why,
                                }));
                            }
                            drop(refused);
                        }
                        Ok(()) => {
                            let Some(carried) = space.incoming.remove(&log, seq) else {
                                break;
                            };
                            let (header, digest) = (*carried.header(), carried.digest());
                            // Planted: whatever another node passes on its agents have signed.
                            let verifier: &mut dyn Verifier = if trusts {
                                &mut Trusted
                            } else {
                                &mut *context.verifier
                            };
                            let placed = state.advance(&header, digest, carried.body(), verifier);
                            bytes += carried.bytes().len();
                            batch.bundles.push(Staged {
                                orchestra: space.id,
                                changes: state.changes_of(carried.body()),
                                carried,
                                placed,
                                own: false,
                            });
                        }
                    }
                }
                if space.logs.get(&log).map(|known| known.seq) != Some(state.seq) {
                    batch.states.insert((space.id, log), state);
                }
            }
            let gap = !space.incoming.is_empty();
            space.gap_since_ms = match (gap, space.gap_since_ms) {
                (false, _) => None,
                (true, since) => since.or(Some(context.now_ms())),
            };
        }
    }

    /// Bundles own work, and writes heads where others wait for them.
    fn stage_own(&mut self, context: &mut Context<'_>, batch: &mut Batch, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        let last_word = self.queue.iter().any(Made::is_last_word);
        if self.is_mute(now_ms, last_word) {
            self.held_back = self.queue.len();
            return;
        }
        let mut work: BTreeMap<OrchestraId, Vec<Made>> = BTreeMap::new();
        let mut later = Vec::new();
        let mut count = 0;
        let mut bytes = 0;
        while let Some(made) = self.queue.pop_front() {
            let weight = made.weight();
            let full = count >= limits::BATCH_RECORDS_MAX
                || (count > 0 && bytes + weight > BUNDLE_RECORD_BYTES_MAX);
            let refolding = self
                .spaces
                .get(&made.orchestra)
                .is_none_or(|space| space.refolding);
            let moot = last_word && !made.is_last_word();
            if full || moot || refolding || !self.ready(&made, now_ms, out) {
                later.push(made);
                continue;
            }
            count += 1;
            bytes += weight;
            work.entry(made.orchestra).or_default().push(made);
        }
        // With anything staged there will be another look when that is on disk.
        self.held_back = later.len();
        self.queue.extend(later);
        let mut heads = false;
        let me = self.me;
        self.postpone_heads(context);
        if last_word {
            // Alone in its bundle: it says where every log ends.
            self.forget_heads();
        }
        for (id, space) in &self.spaces {
            if !space.living.queue.is_empty() && !space.refolding && !space.living.broken {
                work.entry(*id).or_default();
            }
            let due = space.head_due_ms.is_some_and(|at| at <= now_ms);
            let claims = work
                .get(id)
                .is_some_and(|made| made.iter().any(|made| space::urgent(&made.body.action)));
            heads |= due || claims;
            if due && space.needs_head(&me) {
                work.entry(*id).or_default();
            }
        }
        // A head in an orchestra counts as far as the head in the cluster's own has come.
        let cluster_ready = self.spaces.get(&self.cluster).is_some_and(|s| !s.refolding);
        if heads && cluster_ready && self.peers_matter() {
            work.entry(self.cluster).or_default();
        }
        // The cluster's own comes last, so that its head is the highest.
        let own = work.remove(&self.cluster);
        for (orchestra, made) in work {
            self.bundle(context, batch, orchestra, made);
        }
        if let Some(made) = own {
            self.bundle(context, batch, self.cluster, made);
        }
    }

    /// How far this node's head in the cluster's own orchestra has come; nobody waits for it where
    /// there is nobody else.
    pub(super) fn cluster_head(&self) -> Stamp {
        let cluster = self
            .spaces
            .get(&self.cluster)
            .filter(|_| self.peers_matter());
        cluster.map_or(Stamp::MAX, |space| {
            let own = space.logs.get(&self.me);
            own.map_or(Stamp::MIN, |state| state.stamp)
        })
    }

    /// Whether nothing may be written now: nothing comes after what others were asked to keep, and what
    /// this node would say by itself is moot then; and nothing is stamped by a clock that has just
    /// jumped.
    fn is_mute(&mut self, now_ms: u64, last_word: bool) -> bool {
        let frozen = self.is_frozen() && (self.has_left() || !last_word);
        if frozen {
            self.forget_heads();
        }
        self.wall_clock.holds_back = self.clock_unsure(now_ms);
        frozen || self.wall_clock.holds_back
    }

    fn forget_heads(&mut self) {
        for space in self.spaces.values_mut() {
            space.head_due_ms = None;
        }
    }

    /// Of the heads that are due, keeps those that can be written now and that anybody needs.
    fn postpone_heads(&mut self, context: &Context<'_>) {
        let now_ms = context.now_ms();
        let (me, now) = (self.me, self.now(context));
        let shown = self.cluster_head();
        let cluster_ready = self.spaces.get(&self.cluster).is_some_and(|s| !s.refolding);
        for space in self.spaces.values_mut() {
            if space.head_due_ms.is_none_or(|at| at > now_ms) {
                continue;
            }
            // Own records may have passed what others wait for already; the head in the cluster's
            // own orchestra has not, and counts as well.
            if !space.needs_head(&me) && space.foreign <= shown {
                space.head_due_ms = None;
            } else if space.refolding || !cluster_ready {
                space.head_due_ms = Some(now_ms + limits::CARE_MS);
            } else if space.foreign > now {
                let ahead_ms = space.foreign.as_ms().saturating_sub(now.as_ms()) + 1;
                // Looks for what came meanwhile were not in vain.
                if space.head_put_off.0 != space.foreign {
                    space.head_put_off = (space.foreign, 0);
                }
                let wait_ms = clock::patience_ms(ahead_ms, &mut space.head_put_off.1);
                space.head_due_ms = Some(now_ms + wait_ms);
            }
        }
    }

    /// Whether the document that a record goes to is at hand; else it is fetched.
    fn ready(&mut self, made: &Made, now_ms: u64, out: &mut Vec<Output>) -> bool {
        let Some(space) = self.spaces.get_mut(&made.orchestra) else {
            return false;
        };
        let kind = kind_of(&made.body);
        let mut name = space.documents.current(kind);
        let changes = |name: &DocumentName| {
            let own = space.logs.get(&self.me);
            own.and_then(|state| state.changes.get(name))
                .copied()
                .unwrap_or(0)
        };
        if !space.documents.can_follow(name, &self.me, changes(&name)) {
            name = space.documents.current(kind);
        }
        match space.documents.need(name, now_ms) {
            Need::Ready => true,
            Need::Patience => false,
            Need::Blob(blob) => {
                let load = self.jobs.load_document(made.orchestra, name);
                out.push(Output::LoadBlob { load, name: blob });
                false
            }
        }
    }

    /// The disk has dealt with the batch.
    pub(super) fn persisted(
        &mut self,
        context: &mut Context<'_>,
        id: BatchId,
        result: Result<(), DiskFailure>,
        out: &mut Vec<Output>,
    ) {
        if self.batch.as_ref().is_none_or(|batch| batch.id != id) {
            return;
        }
        let Some(batch) = self.batch.take() else {
            return;
        };
        match result {
            Ok(()) => {
                if self.disk_retry_ms.take().is_some() {
                    out.push(Output::Note(Note::Disk { full: false }));
                }
                self.apply(context, batch, out);
            }
            Err(DiskFailure::Full) => self.disk_full(context, batch, out),
            Err(DiskFailure::Broken) => {
                self.stopped = true;
                for placement in &batch.made {
                    Self::reject(placement.made.ticket, broken(), out);
                }
                out.push(Output::Restart {
                    reason: "a write to disk has failed",
                });
                return;
            }
        }
        // Under load there is a batch on its way at every round of care; and nobody is answered from
        // views that a proof has just taken something out of.
        self.care_for_folds(context, out);
        self.retry_deferred(context, out);
        self.check_waiters(context, out);
        self.go_on_leaving(context, out);
        self.flush(context, out);
        self.resume_pursuits(context, out);
    }

    /// Nothing was written: own work is refused, peers' bundles will be asked for again.
    fn disk_full(&mut self, context: &mut Context<'_>, batch: Batch, out: &mut Vec<Output>) {
        if self.disk_retry_ms.is_none() {
            out.push(Output::Note(Note::Disk { full: true }));
        }
        self.disk_retry_ms = Some(context.now_ms() + limits::DISK_RETRY_MS);
        self.jobs.new_proofs.extend(batch.proofs.iter().cloned());
        self.lost_again(&batch.mended);
        for placement in &batch.made {
            self.unblock(&placement.made.subjects);
            Self::reject(placement.made.ticket, full(), out);
        }
        for staged in batch.bundles.iter().filter(|staged| staged.own) {
            if self.edits_are_in_flight(&staged.orchestra) {
                self.living_written(context, staged.orchestra, false, out);
            }
        }
        self.held_back = 0;
        let queued: Vec<Made> = self.queue.drain(..).collect();
        for made in queued {
            self.unblock(&made.subjects);
            Self::reject(made.ticket, full(), out);
        }
    }

    pub(super) fn reject(ticket: Option<Ticket>, rejection: Rejection, out: &mut Vec<Output>) {
        if let Some(ticket) = ticket {
            out.push(Output::Reply {
                ticket,
                result: Err(rejection),
            });
        }
    }

    /// Names one more read.
    pub(super) fn next_load(&mut self) -> LoadId {
        self.jobs.next_load()
    }
}

pub(super) fn full() -> Rejection {
    Rejection::new(
        Code::DiskFull,
        "this node's disk is full; nothing was written",
    )
    .hint("reads go on; writing goes on by itself when there is room, or ask another node")
    .retry_after(limits::DISK_RETRY_MS)
}

fn broken() -> Rejection {
    Rejection::new(
        Code::Unknown,
        "the disk failed while this was being written",
    )
    .hint("ask again with the same idempotency key")
    .retry_after(limits::DISK_RETRY_MS)
}

/// The key of an agent that a node holds: it follows from the node's secret, the orchestra and the name.
pub fn held_key(secret: &[u8; 32], orchestra: OrchestraId, name: &str) -> SigningKey {
    let parts: [&[u8]; 3] = [secret, &orchestra.0, name.as_bytes()];
    SigningKey::from_bytes(&Digest::of("unisono/held-key/v1", &parts).0)
}

/// Which family of documents a record goes to.
pub(super) fn kind_of(body: &RecordBody) -> DocumentKind {
    if body.action.lasts() {
        DocumentKind::Score
    } else {
        DocumentKind::Movement(body.iteration)
    }
}

impl Batch {
    fn carried(&self) -> impl Iterator<Item = &Carried> {
        let staged = self.bundles.iter().map(|staged| &staged.carried);
        staged.chain(&self.mended)
    }
}

fn entry(carried: &Carried) -> Entry {
    let header = carried.header();
    let key = EntryKey {
        orchestra: header.orchestra,
        log: header.log,
        seq: header.seq,
    };
    Entry {
        key,
        bytes: carried.bytes().to_vec(),
    }
}

fn proof_entry(proof: &ForkProof) -> Proof {
    let bytes = wire::encode(proof);
    let digest = Digest::of("unisono/fork-proof/v1", &[&bytes]);
    Proof {
        orchestra: proof.one.0.orchestra,
        digest,
        bytes,
    }
}

/// The bytes of bundles, for a frame.
pub(super) fn blobs(bundles: &[Vec<u8>]) -> Vec<Blob> {
    bundles.iter().map(|bytes| Blob(bytes.clone())).collect()
}
