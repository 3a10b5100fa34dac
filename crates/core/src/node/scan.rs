//! Walks over all logs of an orchestra: folding again, looking at the past, building a document.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use unisono_model::{Action, Digest, DocumentName, LogId, OrchestraId, Stamp, wire::Signature};

use super::documents::Documents;
use super::input::{Ask, Ticket};
use super::jobs::Purpose;
use super::living::{Living, being_built_again};
use super::output::{AnswerBody, EDITS_CUT_OFF, Note, Output};
use super::{Node, space};
use crate::carriage::Carried;
use crate::context::{Context, Verifier};
use crate::journal::Entry;
use crate::orchestra::claims::Claims;
use crate::orchestra::{Folds, Reading, Refold};
use crate::replication::{LogState, Logs, Placed};

/// A walk over all logs of an orchestra.
#[derive(Debug)]
pub(super) struct Scan {
    /// Logs still to be read, each up to a bundle.
    todo: Vec<(LogId, u64)>,
    logs: Logs,
    folds: Folds,
    living: Living,
    documents: Documents,
    goal: Goal,
    /// A log could not be read to its end.
    short: bool,
}

#[derive(Debug)]
enum Goal {
    /// The views are folded again.
    Refold(Refold),
    /// A question about the past.
    Past {
        ask: Box<Ask>,
        at: Stamp,
        deadline_ms: u64,
    },
    /// A document is built again.
    Document(DocumentName),
}

impl Scan {
    /// Who waits for it, and until when (ms).
    pub(super) fn asker(&self) -> Option<(Ticket, u64)> {
        match &self.goal {
            Goal::Past {
                ask, deadline_ms, ..
            } => Some((ask.ticket, *deadline_ms)),
            Goal::Refold(_) | Goal::Document(_) => None,
        }
    }
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

impl Node {
    /// Folds again what must be, and prunes what may be.
    pub(super) fn care_for_folds(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        // A walk ends with what is on disk now: what is on its way there would be forgotten again,
        // and its place in this node's log written twice.
        if self.batch.is_some() {
            return;
        }
        let now_ms = context.now_ms();
        let due: Vec<(OrchestraId, Refold)> = self
            .spaces
            .values_mut()
            .filter(|space| !space.refolding)
            .filter_map(|space| {
                let broken = space.living.broken || space.wants_rebuilding(now_ms);
                let broken = broken.then_some(Refold::Everything);
                Some((space.id, broken.or_else(|| space.folds.needs_refold())?))
            })
            .collect();
        for (orchestra, refold) in due {
            let why = match &refold {
                Refold::Everything => {
                    "a fork, a fence, a rollback, a contradiction or a failed write took something away, or notes lack something"
                }
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
        let deadline_ms = context.now_ms().saturating_add(ask.deadline_ms);
        let goal = Goal::Past {
            ask: ask.into(),
            at,
            deadline_ms,
        };
        self.scan(context, orchestra, goal, out);
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
        if let Some(space) = self.spaces.get_mut(&orchestra) {
            space.documents.rebuilding(name);
        }
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
        logs.cut_off_as(&space.logs);
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
        let folds = match &goal {
            Goal::Past { at, .. } => space.folds.again_as_of(*at),
            Goal::Refold(_) | Goal::Document(_) => space.folds.again(),
        };
        let scan = Box::new(Scan {
            todo,
            logs,
            folds,
            living,
            documents: Documents::new(orchestra),
            goal,
            short: false,
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

    pub(super) fn scan_step(
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
        for (name, mut document) in scan.documents.take_full() {
            let saved = document.save().ok();
            out.extend(saved.map(|bytes| Output::SaveBlob { name, bytes }));
        }
        let ends = next == from_seq && next <= last;
        if ends && log == self.me && matches!(scan.goal, Goal::Refold(Refold::Everything)) {
            // Going on behind a shorter log of its own would write its bundles a second time.
            self.stopped = true;
            out.push(Output::Restart {
                reason: "this life's own log cannot be read to its end",
            });
            return;
        }
        scan.short |= ends;
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
        let lowest = carried.lowest();
        if state.is_next(&header, &carried.digest(), lowest).is_err() {
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
                        || concerns_rights(&fact.body.action)
                }
                Goal::Past { at, .. } => {
                    let later = fact.place.stamp > *at;
                    if later && concerns_rights(&fact.body.action) {
                        scan.folds.foresee(fact, &rules);
                        continue;
                    }
                    !later
                }
                Goal::Document(_) => false,
            };
            if wanted {
                scan.folds.insert(fact, &rules);
            }
        }
        match scan.goal {
            Goal::Refold(Refold::Everything) => {
                scan.living.shelve(&header, &carried.body().living);
                let (body, now_ms) = (carried.body(), context.now_ms());
                let kinds = kinds(&placed);
                scan.documents
                    .queue(&header, body, &changes, &kinds, now_ms);
                scan.documents.pump(now_ms, false);
            }
            Goal::Document(name) => {
                let (body, now_ms) = (carried.body(), context.now_ms());
                let kinds = kinds(&placed);
                space
                    .documents
                    .requeue(&header, body, &changes, &kinds, now_ms, name);
            }
            Goal::Refold(Refold::Topics(_)) | Goal::Past { .. } => {}
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
            Goal::Refold(_) => self.refolded(context, orchestra, scan, out),
            Goal::Past { ask, at, .. } => {
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
                let result = result.map(|view| {
                    let answer = self.answer(orchestra, at, &horizon, AnswerBody::View(view));
                    self.as_shown(orchestra, answer, ask.min_cursor.as_ref())
                });
                out.push(Output::Reply {
                    ticket: ask.ticket,
                    result,
                });
            }
            Goal::Document(name) => {
                if let Some(space) = self.spaces.get_mut(&orchestra) {
                    // What a hole has kept back comes with another walk (seeds 24 and 683).
                    space.documents.rebuilt(name, scan.short);
                }
                self.flush(context, out);
                self.check_waiters(context, out);
            }
        }
    }

    /// The views have been folded again: they replace the former ones.
    fn refolded(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        scan: Scan,
        out: &mut Vec<Output>,
    ) {
        let topics = matches!(scan.goal, Goal::Refold(Refold::Topics(_)));
        let (me, mut stuck) = (self.me, false);
        if let Some(space) = self.spaces.get_mut(&orchestra) {
            let (mut folds, mut logs) = (scan.folds, scan.logs);
            if topics && scan.short {
                // The vector would go on saying that what lies behind the hole is held, and nobody
                // would bring it again. Folding everything ends the log there instead.
                space.folds.upset();
                space.refolding = false;
                return;
            }
            if topics {
                space.folds.adopt_topics(folds);
            } else {
                folds.settle();
                // Proofs that came while the logs were walked.
                for proof in space.logs.proofs() {
                    if logs.prove_fork(proof.clone()) {
                        folds.upset();
                    }
                }
                if logs.cut_off_as(&space.logs) {
                    folds.upset();
                }
                folds.name.clone_from(&space.folds.name);
                space.folds = folds;
                space.logs = logs;
                // Changes that no batch had taken yet were made upon the former document.
                let mut living = scan.living;
                living.unshelve();
                // A fork, or the removal of a node, took away what this life's edits were built upon, all
                // of which was on this disk: they wait for ever, and its next would wait with them.
                // Another life writes under another name.
                stuck = !scan.short && living.lags_behind(&me);
                space.vector_changed();
                space.note_rebuilt(living.lacks(), context.now_ms());
                let former = core::mem::replace(&mut space.living, living);
                for (asker, _) in former.queue {
                    Self::reject(asker.ticket, being_built_again(), out);
                }
                space.documents = scan.documents;
                space.living.dirty = true;
            }
            space.refolding = false;
            space.unsaved = u64::MAX / 2;
            space.vector_changed();
        }
        if stuck && !self.stopped {
            self.stopped = true;
            out.push(Output::Restart {
                reason: EDITS_CUT_OFF,
            });
            return;
        }
        self.go_on_after(context, orchestra, out);
    }

    /// What waited for views to be folded again.
    fn go_on_after(
        &mut self,
        context: &mut Context<'_>,
        orchestra: OrchestraId,
        out: &mut Vec<Output>,
    ) {
        self.stand_on_members();
        // The walk may have shown that it began with wrong knowledge: until the next has ended, nobody
        // is answered.
        self.care_for_folds(context, out);
        // What was settled may have been set aside by a fence: everybody is looked at again.
        self.remember_grants(orchestra);
        self.published.insert(orchestra);
        self.retry_deferred(context, out);
        self.check_waiters(context, out);
        self.flush(context, out);
    }
}

/// Whether verdicts on other records may rest on this one.
fn concerns_rights(action: &Action) -> bool {
    matches!(
        action,
        Action::Enrol(_) | Action::Present(_) | Action::Guard | Action::Fence(_)
    )
}

/// Which document each record of a bundle stands in, and under which number of its chain.
fn kinds(placed: &[Placed]) -> Vec<Option<(unisono_model::DocumentKind, u64)>> {
    let records = placed.iter();
    records
        .map(|one| {
            one.body
                .as_ref()
                .map(|body| (super::batch::kind_of(body), one.seq))
        })
        .collect()
}
