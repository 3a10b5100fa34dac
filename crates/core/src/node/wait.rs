//! What waits: own work for its promises, and requests for what their agents have already seen.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use unisono_model::{
    Action, AgentId, Code, IdempotencyKey, LogId, NodeId, OrchestraId, Place, Rejection,
};

use super::batch::Made;
use super::input::{Ask, Question, Submit, Ticket};
use super::output::{Answer, AnswerBody, Output, Recorded};
use super::space::Space;
use super::{Node, limits};
use crate::context::Context;

/// Something that waits.
#[derive(Debug)]
pub(super) enum Waiter {
    /// A record that is on this disk.
    Record(WaitingRecord),
    /// A request from an agent that has seen more than this node.
    Submit(Submit, u64),
    /// A question from such an agent, or about views that are being folded again.
    Ask(Ask, u64),
}

/// A record that waits for its promises.
#[derive(Debug)]
pub(super) struct WaitingRecord {
    ticket: Ticket,
    orchestra: OrchestraId,
    place: Place,
    agent: AgentId,
    log: LogId,
    bundle: u64,
    seq: u64,
    action: Action,
    key: Option<IdempotencyKey>,
    wanted: u16,
    confirm: bool,
    /// What its agent had seen.
    min_cursor: Option<crate::replication::Cursor>,
    deadline_ms: u64,
    /// Other nodes that have it on disk.
    holders: BTreeSet<NodeId>,
}

impl Waiter {
    pub(super) fn made(
        ticket: Ticket,
        made: Made,
        placed: &crate::replication::Placed,
        log: LogId,
        bundle: u64,
    ) -> Self {
        Self::Record(WaitingRecord {
            ticket,
            orchestra: made.orchestra,
            place: placed.place,
            agent: placed.agent,
            log,
            bundle,
            seq: placed.seq,
            action: made.body.action,
            key: made.body.key,
            wanted: made.promise.durable_on,
            confirm: made.promise.confirm,
            min_cursor: made.promise.min_cursor,
            deadline_ms: made.deadline_ms,
            holders: BTreeSet::new(),
        })
    }

    fn deadline_ms(&self) -> u64 {
        match self {
            Self::Record(record) => record.deadline_ms,
            Self::Submit(_, deadline_ms) | Self::Ask(_, deadline_ms) => *deadline_ms,
        }
    }
}

impl Node {
    /// A peer has bundles of one of this node's logs on disk.
    pub(super) fn held_by(&mut self, node: NodeId, orchestra: OrchestraId, log: LogId, seq: u64) {
        for waiter in &mut self.waiters {
            if let Waiter::Record(record) = waiter
                && record.orchestra == orchestra
                && record.log == log
                && record.bundle <= seq
            {
                record.holders.insert(node);
            }
        }
    }

    /// Answers whoever has waited long enough, for something or for nothing.
    pub(super) fn check_waiters(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let waiters = core::mem::take(&mut self.waiters);
        let now_ms = context.now_ms();
        for waiter in waiters {
            match waiter {
                Waiter::Record(record) => {
                    if now_ms >= record.deadline_ms || self.is_kept(&record) {
                        self.answer_record(context, &record, out);
                    } else {
                        self.waiters.push(Waiter::Record(record));
                    }
                }
                Waiter::Submit(mut submit, deadline_ms) => {
                    submit.promise.deadline_ms = deadline_ms.saturating_sub(now_ms);
                    if self.may_take(&submit) {
                        self.submit(context, submit, out);
                    } else if now_ms >= deadline_ms {
                        let rejection = self.behind(submit.orchestra);
                        Self::reject(Some(submit.ticket), rejection, out);
                    } else {
                        self.waiters.push(Waiter::Submit(submit, deadline_ms));
                    }
                }
                Waiter::Ask(mut ask, deadline_ms) => {
                    ask.deadline_ms = deadline_ms.saturating_sub(now_ms);
                    if self.may_answer(&ask) {
                        self.ask(context, ask, out);
                    } else if now_ms >= deadline_ms {
                        let rejection = self.behind(ask.orchestra);
                        Self::reject(Some(ask.ticket), rejection, out);
                    } else {
                        self.waiters.push(Waiter::Ask(ask, deadline_ms));
                    }
                }
            }
        }
    }

    fn is_kept(&self, record: &WaitingRecord) -> bool {
        if record.holders.len() + 1 < usize::from(record.wanted) {
            return false;
        }
        if !record.confirm {
            return true;
        }
        let horizon = self.horizon(record.orchestra);
        let decided = horizon.settled(record.place.stamp);
        let in_doubt = self
            .spaces
            .get(&record.orchestra)
            .is_some_and(Space::in_doubt);
        decided && !in_doubt
    }

    fn answer_record(
        &mut self,
        context: &mut Context<'_>,
        record: &WaitingRecord,
        out: &mut Vec<Output>,
    ) {
        // What became a right's end while it lay in the queue has been stamped after it.
        if let Some(rejection) = self.void_after_all(record) {
            return Self::reject(Some(record.ticket), rejection, out);
        }
        let at = self.now(context).max(record.place.stamp);
        let horizon = self.horizon(record.orchestra);
        let reading = self.reading(record.orchestra, at, &horizon);
        let claim = reading.as_ref().and_then(|reading| {
            let agent = reading.folds.identity(&record.agent);
            reading.claim_of(&record.action, record.place, agent)
        });
        let mut cue = reading.and_then(|reading| reading.cue_of(&record.action, record.place));
        if let Some(cue) = &mut cue {
            self.lengthen(cue);
        }
        let recorded = Recorded {
            place: record.place,
            log: record.log,
            seq: record.seq,
            durable_on: record.holders.len() as u16 + 1,
            durable_wanted: record.wanted,
            claim,
            cue,
            repeated: false,
            key: record.key,
        };
        let body = AnswerBody::Recorded(recorded);
        let answer = self.answer(record.orchestra, at, &horizon, body);
        let answer = self.as_shown(record.orchestra, answer, record.min_cursor.as_ref());
        out.push(Output::Reply {
            ticket: record.ticket,
            result: Ok(answer),
        });
    }

    /// Why a record that is on disk does not count.
    fn void_after_all(&self, record: &WaitingRecord) -> Option<Rejection> {
        let space = self.spaces.get(&record.orchestra)?;
        let voided = space.folds.trust.why_void(&record.place)?;
        let code = Code::ALL.iter().find(|code| code.as_str() == voided.rule)?;
        let detail = alloc::format!("{}; it was recorded, and counts for nothing", voided.detail);
        Some(Rejection::new(*code, detail).hint("`unisono trust` shows guards and fences"))
    }

    /// Wraps an answer in what every answer bears.
    pub(super) fn answer(
        &mut self,
        orchestra: OrchestraId,
        at: unisono_model::Stamp,
        horizon: &crate::orchestra::horizon::Horizon,
        body: AnswerBody,
    ) -> Answer {
        let cursor = self.spaces.get(&orchestra).map(|space| space.logs.cursor());
        Answer {
            as_of: at,
            is_final: at <= horizon.frontier(),
            cursor: cursor.unwrap_or_default(),
            body,
        }
    }

    /// Whether this node may write for an agent: it has all that the agent has seen, and it was
    /// admitted. Nobody waits for the word of a node from before its admission, so what it wrote
    /// there could take a topic from a holder that others were told is confirmed.
    pub(super) fn may_take(&self, submit: &Submit) -> bool {
        self.is_admitted() && self.has_seen(submit.orchestra, submit.promise.min_cursor.as_ref())
    }

    /// Whether this node has all that an agent has seen.
    pub(super) fn has_seen(
        &self,
        orchestra: OrchestraId,
        cursor: Option<&crate::replication::Cursor>,
    ) -> bool {
        let Some(cursor) = cursor else { return true };
        if cursor.0.is_empty() || self.config.sabotage.cursor_ignored {
            return true;
        }
        let space = self.spaces.get(&orchestra);
        let Some(space) = space.filter(|space| !space.in_doubt()) else {
            return false;
        };
        let held = space.logs.cursor();
        if held.covers(cursor) {
            return true;
        }
        cursor.0.iter().all(|(log, seq)| {
            held.0.get(log).is_some_and(|have| have >= seq) || self.is_over(&orchestra, *log)
        })
    }

    fn may_answer(&self, ask: &Ask) -> bool {
        let space = self.spaces.get(&ask.orchestra);
        let busy = space.is_some_and(|space| match ask.question {
            Question::Hash => space.in_doubt() || !space.is_settled(),
            Question::Notes | Question::Note(_) | Question::Config => {
                space.in_doubt() || space.living.runs_ahead() || space.living.broken
            }
            _ => space.in_doubt(),
        });
        !busy && self.has_seen(ask.orchestra, ask.min_cursor.as_ref())
    }

    fn behind(&self, orchestra: OrchestraId) -> Rejection {
        if self.spaces.get(&orchestra).is_some_and(Space::in_doubt) {
            return Rejection::new(Code::Behind, "this node is folding its views again")
                .hint("ask again, or ask another node")
                .retry_after(limits::WANT_TIMEOUT_MS);
        }
        if !self.is_admitted() {
            let why = "this node has not been admitted to the cluster yet; nothing changed";
            return Rejection::new(Code::Behind, why)
                .hint("ask again when `unisono status` lists it, or ask another node")
                .retry_after(limits::WANT_TIMEOUT_MS);
        }
        Rejection::new(
            Code::Behind,
            "this node has not yet what the cursor names; nothing changed",
        )
        .hint("ask again, ask the node that gave the cursor, or ask without a cursor")
        .retry_after(limits::WANT_TIMEOUT_MS)
    }

    /// The earliest deadline of whoever waits (ms).
    pub(super) fn waiters_deadline_ms(&self) -> Option<u64> {
        let waiting = self.waiters.iter().map(Waiter::deadline_ms);
        waiting.chain(self.deferred.iter().map(|(_, at)| *at)).min()
    }
}
