//! Reads from disk that take several steps: serving peers, folding again, looking at the past,
//! pages of records, documents.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{
    Action, Digest, DocumentName, ForkProof, LogId, NodeId, OrchestraId, Stamp, wire::Signature,
};

use super::input::{Ask, LoadId, Question};
use super::living::Living;
use super::output::{AnswerBody, Note, Output};
use super::{Node, limits, space};
use crate::carriage::Carried;
use crate::context::{Context, Verifier};
use crate::journal::Entry;
use crate::orchestra::claims::Claims;
use crate::orchestra::view::{RecordView, RecordsView, Verdict, View};
use crate::orchestra::{Folds, Reading, Refold};
use crate::replication::{Cursor, LogState, LogTag, Logs, SignedHeader};

/// Reads under way.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    next: u64,
    loads: BTreeMap<LoadId, Load>,
    documents: BTreeMap<LoadId, (OrchestraId, DocumentName)>,
    /// Fork proofs that go to disk with the next batch.
    pub(super) new_proofs: Vec<ForkProof>,
}

#[derive(Debug)]
struct Load {
    orchestra: OrchestraId,
    log: LogId,
    from_seq: u64,
    purpose: Purpose,
}

/// What a read is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A peer lacks these.
    Serve { to: NodeId, more: bool },
    /// What stands at the place of a header that a peer has shown.
    Header { from: NodeId, theirs: SignedHeader },
    /// Every record of an orchestra, log by log.
    Scan(Box<Scan>),
    /// Records after a cursor.
    Page(Box<Page>),
}

/// A walk over all logs of an orchestra.
#[derive(Debug)]
pub(super) struct Scan {
    /// Logs still to be read, each up to a bundle.
    todo: Vec<(LogId, u64)>,
    logs: Logs,
    folds: Folds,
    living: Living,
    goal: Goal,
}

#[derive(Debug)]
enum Goal {
    /// The views are folded again.
    Refold(Refold),
    /// A question about the past.
    Past { ask: Ask, at: Stamp },
    /// A document is built again.
    Document(DocumentName),
}

/// A page of records.
#[derive(Debug)]
pub(super) struct Page {
    ask: Ask,
    todo: Vec<(LogId, u64)>,
    bundles: Vec<Carried>,
    /// No log is known above this stamp: records beyond it wait for the next page.
    horizon: Stamp,
    more: bool,
}

/// Verdicts that were given when the records came.
struct Remembered<'a>(&'a BTreeSet<Digest>);

impl Verifier for Remembered<'_> {
    fn verify(&mut self, _: &[u8; 32], message: &Digest, _: &Signature) -> bool {
        !self.0.contains(message)
    }
}

/// How much a step of a walk reads at once (bytes).
const STEP_BYTES: usize = 256 * 1024;
/// How much of each log a page looks at (bytes).
const PAGE_LOG_BYTES: usize = 64 * 1024;

impl Jobs {
    pub(super) fn next_load(&mut self) -> LoadId {
        self.next += 1;
        LoadId(self.next)
    }

    pub(super) fn load_document(&mut self, orchestra: OrchestraId, name: DocumentName) -> LoadId {
        let load = self.next_load();
        self.documents.insert(load, (orchestra, name));
        load
    }
}

impl Node {
    /// Reads a stretch of a log: at once where it is in memory, else from the disk.
    pub(super) fn fetch(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
        purpose: Purpose,
        out: &mut Vec<Output>,
    ) {
        if let Purpose::Serve { to, more } = &purpose {
            let entries = self.recent.read(orchestra, log, from_seq, bytes_max);
            if !entries.is_empty() {
                self.send_range(*to, entries, *more, out);
                return;
            }
        }
        let load = self.next_load();
        self.jobs.loads.insert(
            load,
            Load {
                orchestra,
                log,
                from_seq,
                purpose,
            },
        );
        out.push(Output::Load {
            load,
            orchestra,
            log,
            from_seq,
            bytes_max,
        });
    }

    pub(super) fn loaded(
        &mut self,
        context: &mut Context<'_>,
        load: LoadId,
        entries: Vec<Entry>,
        out: &mut Vec<Output>,
    ) {
        let Some(Load {
            orchestra,
            log,
            from_seq,
            purpose,
        }) = self.jobs.loads.remove(&load)
        else {
            return;
        };
        match purpose {
            Purpose::Serve { to, more } => self.send_range(to, entries, more, out),
            Purpose::Header { from, theirs } => {
                let ours = entries
                    .first()
                    .and_then(|entry| Carried::from_disk(&entry.bytes, self.config.cluster).ok());
                if let Some(ours) = ours
                    && ours.header().seq == theirs.0.seq
                    && let Some(space) = self.spaces.get_mut(&orchestra)
                {
                    let known = space.headers.entry(log).or_default();
                    known.insert(theirs.0.seq, (*ours.header(), ours.bundle().signature));
                    self.compare_header(context, from, theirs, out);
                    self.flush(context, out);
                }
            }
            Purpose::Scan(scan) => self.scan_step(context, orchestra, scan, from_seq, entries, out),
            Purpose::Page(page) => self.page_step(context, orchestra, page, entries, out),
        }
    }

    /// Folds again what must be, and prunes what may be.
    pub(super) fn care_for_folds(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let due: Vec<(OrchestraId, Refold)> = self
            .spaces
            .values()
            .filter(|space| !space.refolding)
            .filter_map(|space| {
                let broken = space.living.broken.then_some(Refold::Everything);
                Some((space.id, broken.or_else(|| space.folds.needs_refold())?))
            })
            .collect();
        for (orchestra, refold) in due {
            let why = match &refold {
                Refold::Everything => "a fork or a contradiction took records away",
                Refold::Topics(_) => "a record came from below the checkpoint",
            };
            self.counters.refolds += 1;
            out.push(Output::Note(Note::Refold { orchestra, why }));
            if let Some(space) = self.spaces.get_mut(&orchestra) {
                space.refolding = true;
            }
            self.scan(context, orchestra, Goal::Refold(refold), out);
        }
    }

    pub(super) fn begin_past(
        &mut self,
        context: &mut Context<'_>,
        ask: Ask,
        at: Stamp,
        out: &mut Vec<Output>,
    ) {
        let orchestra = ask.orchestra;
        self.scan(context, orchestra, Goal::Past { ask, at }, out);
    }

    pub(super) fn rebuild_document(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        name: DocumentName,
        out: &mut Vec<Output>,
    ) {
        out.push(Output::Note(Note::DocumentDropped {
            orchestra,
            why: "it is built again",
        }));
        self.scan(context, orchestra, Goal::Document(name), out);
    }

    fn scan(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        goal: Goal,
        out: &mut Vec<Output>,
    ) {
        let Some(space) = self.spaces.get(&orchestra) else {
            return;
        };
        let mut logs = Logs::default();
        for proof in space.logs.proofs() {
            logs.prove_fork(proof.clone());
        }
        let held = space.logs.iter().filter(|(_, state)| state.seq > 0);
        let todo = held
            .map(|(log, state)| {
                (
                    *log,
                    state.cut.map_or(state.seq, |cut| state.seq.min(cut - 1)),
                )
            })
            .filter(|(_, last)| *last > 0)
            .collect();
        let living = Living::new(orchestra);
        let scan = Box::new(Scan {
            todo,
            logs,
            folds: Folds::default(),
            living,
            goal,
        });
        self.scan_next(context, orchestra, scan, out);
    }

    /// Asks for the next stretch, or ends the walk.
    fn scan_next(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        scan: Box<Scan>,
        out: &mut Vec<Output>,
    ) {
        let Some((log, _)) = scan.todo.last().copied() else {
            return self.scan_done(context, orchestra, *scan, out);
        };
        let from_seq = scan.logs.get(&log).map_or(0, |state| state.seq) + 1;
        self.fetch(
            orchestra,
            log,
            from_seq,
            STEP_BYTES,
            Purpose::Scan(scan),
            out,
        );
    }

    fn scan_step(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        mut scan: Box<Scan>,
        from_seq: u64,
        entries: Vec<Entry>,
        out: &mut Vec<Output>,
    ) {
        let Some((log, last)) = scan.todo.last().copied() else {
            return;
        };
        let mut next = from_seq;
        for entry in &entries {
            if entry.key.seq > last {
                break;
            }
            let Ok(carried) = Carried::from_disk(&entry.bytes, self.config.cluster) else {
                break;
            };
            self.scan_bundle(context, orchestra, &mut scan, log, &carried);
            next = entry.key.seq + 1;
        }
        // A stretch that brings nothing new ends the log: what lies behind is lost until repaired.
        if next > last || next == from_seq {
            scan.todo.pop();
        }
        self.scan_next(context, orchestra, scan, out);
    }

    fn scan_bundle(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        scan: &mut Scan,
        log: LogId,
        carried: &Carried,
    ) {
        let rules = self.fold_rules();
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        let header = *carried.header();
        let state: &mut LogState = scan.logs.entry(log);
        if state.is_next(&header, &carried.digest()).is_err() {
            return;
        }
        let mut verifier = Remembered(&space.inert);
        let placed = state.advance(&header, carried.digest(), carried.body(), &mut verifier);
        let changes = state.changes_of(carried.body());
        for one in &placed {
            let Some(fact) = space::fact(log, header.seq, one) else {
                scan.folds.insert_void();
                continue;
            };
            let wanted = match &scan.goal {
                Goal::Refold(Refold::Everything) => true,
                Goal::Refold(Refold::Topics(topics)) => {
                    Claims::topic_of(&fact.body.action).is_some_and(|t| topics.contains(t))
                        || matches!(fact.body.action, Action::Enrol(_))
                }
                Goal::Past { at, .. } => fact.place.stamp <= *at,
                Goal::Document(_) => false,
            };
            if wanted {
                scan.folds.insert(fact, &rules);
            }
        }
        let rebuilds = match &scan.goal {
            Goal::Refold(Refold::Everything) => true,
            Goal::Document(name) => carried.body().appends.iter().any(|a| a.document == *name),
            _ => false,
        };
        if matches!(scan.goal, Goal::Refold(Refold::Everything)) {
            let writer = alloc::format!("{:?}", log.node);
            for change in &carried.body().living {
                scan.living.apply(&log, change, writer.clone());
            }
        }
        if rebuilds {
            let kinds: Vec<_> = placed
                .iter()
                .map(|one| {
                    one.body
                        .as_ref()
                        .map(|body| (super::batch::kind_of(body), one.seq))
                })
                .collect();
            let now_ms = context.now_ms();
            let only = match &scan.goal {
                Goal::Document(name) => Some(*name),
                _ => None,
            };
            space
                .documents
                .requeue(&header, carried.body(), &changes, &kinds, now_ms, only);
        }
    }

    fn scan_done(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        scan: Scan,
        out: &mut Vec<Output>,
    ) {
        match scan.goal {
            Goal::Refold(refold) => {
                if let Some(space) = self.spaces.get_mut(&orchestra) {
                    let mut folds = scan.folds;
                    match refold {
                        Refold::Everything => {
                            folds.name.clone_from(&space.folds.name);
                            space.folds = folds;
                            space.logs = scan.logs;
                            space.living = scan.living;
                            space.living.dirty = true;
                        }
                        Refold::Topics(_) => space.folds.adopt_topics(folds),
                    }
                    space.refolding = false;
                    space.unsaved = u64::MAX / 2;
                    space.vector_changed();
                }
                self.published.insert(orchestra);
                self.retry_deferred(context, out);
                self.check_waiters(context, out);
                self.flush(context, out);
            }
            Goal::Past { ask, at } => {
                let horizon = self.horizon(orchestra);
                let result = match self.claim_rules() {
                    Some(rules) => {
                        let reading = Reading {
                            folds: &scan.folds,
                            at,
                            horizon: &horizon,
                            rules,
                        };
                        self.view(context, &ask, &reading)
                    }
                    None => Err(super::answer::unknown_orchestra()),
                };
                let result =
                    result.map(|view| self.answer(orchestra, at, &horizon, AnswerBody::View(view)));
                out.push(Output::Reply {
                    ticket: ask.ticket,
                    result,
                });
            }
            Goal::Document(name) => {
                if let Some(space) = self.spaces.get_mut(&orchestra) {
                    space.documents.rebuilt(name);
                }
                self.flush(context, out);
                self.check_waiters(context, out);
            }
        }
    }

    /// Records after a cursor: a stretch of each log, merged by stamp.
    pub(super) fn begin_page(
        &mut self,
        context: &mut Context<'_>,
        ask: Ask,
        out: &mut Vec<Output>,
    ) {
        let Question::Records { after, .. } = &ask.question else {
            return;
        };
        let Some(space) = self.spaces.get(&ask.orchestra) else {
            return;
        };
        let empty = Cursor::default();
        let seen = &after.as_ref().unwrap_or(&empty).0;
        let held = space.logs.iter().filter(|(_, state)| state.seq > 0);
        let todo = held.filter_map(|(log, state)| {
            let from = seen.get(&LogTag::of(log)).copied().unwrap_or(0) + 1;
            (from <= state.seq).then_some((*log, from))
        });
        let todo: Vec<(LogId, u64)> = todo.collect();
        let orchestra = ask.orchestra;
        let page = Page {
            ask,
            todo,
            bundles: Vec::new(),
            horizon: Stamp::MAX,
            more: false,
        };
        self.page_next(context, orchestra, Box::new(page), out);
    }

    fn page_next(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        mut page: Box<Page>,
        out: &mut Vec<Output>,
    ) {
        while let Some((log, from_seq)) = page.todo.last().copied() {
            let entries = self.recent.read(orchestra, log, from_seq, PAGE_LOG_BYTES);
            if entries.is_empty() {
                let purpose = Purpose::Page(page);
                self.fetch(orchestra, log, from_seq, PAGE_LOG_BYTES, purpose, out);
                return;
            }
            self.page_take(orchestra, &mut page, entries);
        }
        self.page_done(context, orchestra, *page, out);
    }

    fn page_step(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        mut page: Box<Page>,
        entries: Vec<Entry>,
        out: &mut Vec<Output>,
    ) {
        self.page_take(orchestra, &mut page, entries);
        self.page_next(context, orchestra, page, out);
    }

    fn page_take(&self, orchestra: OrchestraId, page: &mut Page, entries: Vec<Entry>) {
        let Some((log, from_seq)) = page.todo.pop() else {
            return;
        };
        let state = self
            .spaces
            .get(&orchestra)
            .and_then(|space| space.logs.get(&log));
        let last = state.map_or(0, |state| {
            state.cut.map_or(state.seq, |c| state.seq.min(c - 1))
        });
        let mut next = from_seq;
        let mut stamp = Stamp::MIN;
        for entry in entries.iter().filter(|entry| entry.key.seq <= last) {
            let Ok(carried) = Carried::from_disk(&entry.bytes, self.config.cluster) else {
                break;
            };
            stamp = carried.header().stamp;
            next = entry.key.seq + 1;
            page.bundles.push(carried);
        }
        if next <= last && next > from_seq {
            page.horizon = page.horizon.min(stamp);
            page.more = true;
        }
    }

    fn page_done(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        mut page: Page,
        out: &mut Vec<Output>,
    ) {
        let Question::Records { after, limit, task } = page.ask.question.clone() else {
            return;
        };
        let limit = limit.clamp(1, limits::PAGE_RECORDS_MAX);
        page.bundles.sort_by_key(|carried| carried.header().stamp);
        let mut next = after.unwrap_or_default();
        let mut records = Vec::new();
        for carried in &page.bundles {
            if carried.header().stamp > page.horizon || records.len() >= limit {
                page.more = true;
                break;
            }
            next.0
                .insert(LogTag::of(&carried.header().log), carried.header().seq);
            self.show_bundle(orchestra, carried, task.as_deref(), &mut records);
        }
        let at = self.now(context);
        let horizon = self.horizon(orchestra);
        let view = View::Records(RecordsView {
            records,
            next,
            more: page.more,
        });
        let answer = self.answer(orchestra, at, &horizon, AnswerBody::View(view));
        out.push(Output::Reply {
            ticket: page.ask.ticket,
            result: Ok(answer),
        });
    }

    fn show_bundle(
        &self,
        orchestra: OrchestraId,
        carried: &Carried,
        task: Option<&str>,
        records: &mut Vec<RecordView>,
    ) {
        let Some(space) = self.spaces.get(&orchestra) else {
            return;
        };
        let header = carried.header();
        for record in &carried.body().records {
            let agent = carried.body().agents[record.agent as usize];
            let Ok(body) = unisono_model::RecordBody::decode(&record.body.0) else {
                continue;
            };
            let about = match &body.action {
                Action::Task(change) => Some(change.task.as_str()),
                _ => None,
            };
            if task.is_some() && about != task {
                continue;
            }
            let name = space.folds.agents.name(&agent);
            let digest = record.place(header, agent).digest(&record.body.0);
            let place = unisono_model::Place {
                stamp: record.stamp,
                record: digest,
            };
            records.push(RecordView {
                place,
                agent,
                name,
                seq: record.seq,
                log: header.log,
                bundle: header.seq,
                held: body.held,
                agent_ms: body.agent_ms,
                iteration: body.iteration,
                key: body.key,
                action: body.action,
                verdict: if space.inert.contains(&digest) {
                    Verdict::Void
                } else if space.folds.agents.is_enrolled(&agent) {
                    Verdict::Valid
                } else {
                    Verdict::Pending
                },
            });
        }
    }

    pub(super) fn blob_loaded(
        &mut self,
        context: &mut Context<'_>,
        load: LoadId,
        bytes: Option<Vec<u8>>,
        out: &mut Vec<Output>,
    ) {
        let Some((orchestra, name)) = self.jobs.documents.remove(&load) else {
            return;
        };
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        if space.documents.loaded(name, bytes.as_deref()) {
            self.flush(context, out);
            self.check_waiters(context, out);
        } else {
            space.documents.begin_anew(name);
            self.rebuild_document(context, orchestra, name, out);
        }
    }

    /// Asks for the documents that changes wait for.
    pub(super) fn fetch_documents(&mut self, out: &mut Vec<Output>) {
        let mut wanted: Vec<(OrchestraId, DocumentName, String)> = Vec::new();
        for space in self.spaces.values_mut() {
            let names = space.documents.wanted();
            wanted.extend(names.into_iter().map(|(name, blob)| (space.id, name, blob)));
        }
        for (orchestra, name, blob) in wanted {
            let load = self.jobs.load_document(orchestra, name);
            out.push(Output::LoadBlob { load, name: blob });
        }
    }
}
