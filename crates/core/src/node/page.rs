//! Pages of records after a cursor: a stretch of each log, merged by stamp.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;

use unisono_model::{Action, LogId, OrchestraId, Stamp};

use super::input::{Ask, Question, Ticket};
use super::jobs::Purpose;
use super::output::{AnswerBody, Output};
use super::space::Space;
use super::{Node, limits};
use crate::carriage::Carried;
use crate::context::Context;
use crate::journal::Entry;
use crate::orchestra::fact::Fact;
use crate::orchestra::rollbacks::Rollbacks;
use crate::orchestra::trust;
use crate::orchestra::view::{RecordView, RecordsView, Verdict, View};
use crate::replication::{Cursor, LogTag};

/// A page of records.
#[derive(Debug)]
pub(super) struct Page {
    ask: Ask,
    /// Until when its asker waits (ms).
    deadline_ms: u64,
    todo: Vec<(LogId, u64)>,
    bundles: Vec<Carried>,
    /// No log is known above this stamp: records beyond it wait for the next page.
    horizon: Stamp,
    more: bool,
}

/// What a page shows of a bundle.
struct Shown<'a> {
    /// Only what is about this task.
    task: Option<&'a str>,
    /// Only what stands at or below this stamp.
    at: Stamp,
    /// What was set aside then.
    rollbacks: &'a Rollbacks,
}

/// How much of each log a page looks at (bytes).
const PAGE_LOG_BYTES: usize = 64 * 1024;

impl Page {
    /// Who waits for it, and until when (ms).
    pub(super) fn asker(&self) -> (Ticket, u64) {
        (self.ask.ticket, self.deadline_ms)
    }
}

impl Node {
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
        let deadline_ms = context.now_ms().saturating_add(ask.deadline_ms);
        let page = Page {
            ask,
            deadline_ms,
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

    pub(super) fn page_step(
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
        // What comes behind a bundle from after the moment is from after it, too.
        let hidden = page.ask.as_of.is_some_and(|at| stamp > at);
        if next <= last && next > from_seq && !hidden {
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
        let now = self.now(context);
        let at = page.ask.as_of.unwrap_or(now);
        // Without a time all is shown, also what a clock that is ahead has stamped.
        let last_shown = page.ask.as_of.unwrap_or(Stamp::MAX);
        let rollbacks = self.spaces.get(&page.ask.orchestra).map(|space| {
            // Of an earlier moment: what has been set aside since was not then.
            match page.ask.as_of {
                Some(at) => Cow::Owned(Rollbacks::after(&space.folds.rollbacks, at)),
                None => Cow::Borrowed(&space.folds.rollbacks),
            }
        });
        let shown = rollbacks.as_deref().map(|rollbacks| Shown {
            task: task.as_deref(),
            at: last_shown,
            rollbacks,
        });
        page.bundles.sort_by_key(|carried| carried.header().stamp);
        let mut next = after.unwrap_or_default();
        let mut records = Vec::new();
        for carried in &page.bundles {
            // What is not shown, in whole or in part, is from after the moment, and so is what comes
            // behind it: no cursor says that it was seen. The last page shows what it can of all such,
            // for there is no cursor between the records of a bundle.
            let hides = carried.header().stamp > last_shown;
            let full = !hides && records.len() >= limit;
            if carried.header().stamp > page.horizon || full {
                page.more = true;
                break;
            }
            if !hides {
                next.0
                    .insert(LogTag::of(&carried.header().log), carried.header().seq);
            }
            if let Some(shown) = &shown {
                self.show_bundle(orchestra, carried, shown, &mut records);
            }
        }
        let horizon = self.horizon(orchestra);
        let last = !page.more;
        let lost = last.then(|| self.lost_beyond(orchestra, &next)).flatten();
        let view = View::Records(RecordsView {
            records,
            next,
            more: page.more,
            lost,
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
        shown: &Shown<'_>,
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
            let asked_for = shown.task.is_none() || about == shown.task;
            if !asked_for || record.stamp > shown.at {
                continue;
            }
            let fact = Fact {
                place: unisono_model::Place {
                    stamp: record.stamp,
                    record: record.place(header, agent).digest(&record.body.0),
                },
                agent,
                log: header.log,
                bundle: header.seq,
                seq: record.seq,
                body,
            };
            let mut verdict = self.verdict_on(space, &fact);
            let own = verdict == Verdict::Valid && fact.body.action.is_revertible();
            let by = shown
                .rollbacks
                .set_aside(fact.place, &fact.log, fact.bundle);
            let set_aside_by = by.filter(|_| own);
            if set_aside_by.is_some() {
                verdict = Verdict::SetAside;
            }
            let name = space.folds.name_of(&agent);
            records.push(RecordView {
                set_aside_by,
                ..RecordView::of(fact, name, verdict)
            });
        }
    }

    /// Whether a record counts, by all that is held now.
    fn verdict_on(&self, space: &Space, fact: &Fact) -> Verdict {
        let trust = &space.folds.trust;
        if space.inert.contains(&fact.place.record) || trust.why_void(&fact.place).is_some() {
            return Verdict::Void;
        }
        let forgotten = |id| trust.has_forgotten(&id);
        match trust.judge(space.id, fact, &self.fold_rules()) {
            trust::Verdict::Counts(_) => Verdict::Valid,
            trust::Verdict::Void(_) => Verdict::Void,
            // Its token ended long ago, and what came of it then stands.
            trust::Verdict::Awaits(_) if fact.body.token.is_some_and(forgotten) => Verdict::Valid,
            trust::Verdict::Awaits(_) => Verdict::Pending,
        }
    }
}
