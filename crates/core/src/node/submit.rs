//! The edge's preconditions: checked once, before a record exists, and never again.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use unisono_model::wire::Malformed;
use unisono_model::{
    Action, AgentId, Category, Code, Digest, Held, IdempotencyKey, OrchestraId, RECORD_VERSION,
    RecordBody, Rejection, SignedRecord, check, limits, wire,
};

use super::batch::{Made, Source, Subject};
use super::files::Seen;
use super::input::{Submit, Work};
use super::output::{AnswerBody, Output, Recorded};
use super::places::check_signature;
use super::space::Space;
use super::subjects::{rules_the_cluster, subjects};
use super::wait::Waiter;
use super::{Node, limits as bounds};
use crate::carriage::client_record;
use crate::context::Context;
use crate::orchestra::Reading;
use crate::orchestra::horizon::Horizon;
use crate::replication::ChainTip;

/// What a request came to at the edge.
enum Verdict {
    /// It becomes a record.
    Make(Box<Made>),
    /// It was done before under its key.
    Repeated(Box<Recorded>),
    /// Something that it is about is being changed: it waits its turn.
    Later,
}

impl Node {
    pub(super) fn submit(
        &mut self,
        context: &mut Context<'_>,
        submit: Submit,
        out: &mut Vec<Output>,
    ) {
        let deadline_ms = context.now_ms().saturating_add(submit.promise.deadline_ms);
        if let Work::Leave { hand_to } = submit.work {
            return self.leave(context, &submit, hand_to, out);
        }
        if let Some(rejection) = self
            .refusal_in_leaving()
            .or_else(|| self.refusal_of_outdone())
        {
            return Self::reject(Some(submit.ticket), rejection, out);
        }
        if self.waiters.len() + self.deferred.len() + self.queue.len() >= bounds::WAITING_MAX {
            Self::reject(Some(submit.ticket), busy(), out);
            return;
        }
        if !self.may_take(&submit) {
            self.waiters.push(Waiter::Submit(submit, deadline_ms));
            return;
        }
        self.follow_cursor(
            context,
            submit.orchestra,
            submit.promise.min_cursor.as_ref(),
        );
        let now = self.now(context);
        if let Some(space) = self.spaces.get_mut(&submit.orchestra)
            && !space.refolding
        {
            space.folds.ripen(now);
        }
        if self
            .spaces
            .get(&submit.orchestra)
            .is_some_and(Space::in_doubt)
        {
            self.deferred.push_back((submit, deadline_ms));
            return;
        }
        let ticket = submit.ticket;
        match self.consider(context, &submit, deadline_ms, out) {
            Ok(Some(Verdict::Make(made))) => {
                self.block(&made.subjects);
                self.queue.push_back(*made);
                if self.queue.len() >= bounds::BATCH_RECORDS_MAX {
                    self.flush(context, out);
                }
            }
            Ok(Some(Verdict::Repeated(recorded))) => {
                let at = self.now(context);
                let horizon = self.horizon(submit.orchestra);
                let body = AnswerBody::Recorded(*recorded);
                let answer = self.answer(submit.orchestra, at, &horizon, body);
                let asked = submit.promise.min_cursor.as_ref();
                let answer = self.as_shown(submit.orchestra, answer, asked);
                out.push(Output::Reply {
                    ticket,
                    result: Ok(answer),
                });
            }
            Ok(Some(Verdict::Later)) => self.deferred.push_back((submit, deadline_ms)),
            Ok(None) => {}
            Err(rejection) => self.refuse(context, ticket, deadline_ms, rejection, out),
        }
    }

    /// Tries what was put off, in the order in which it came.
    pub(super) fn retry_deferred(&mut self, context: &mut Context<'_>, out: &mut Vec<Output>) {
        let now_ms = context.now_ms();
        for _ in 0..self.deferred.len() {
            let Some((mut submit, deadline_ms)) = self.deferred.pop_front() else {
                return;
            };
            if now_ms >= deadline_ms {
                Self::reject(Some(submit.ticket), busy(), out);
                continue;
            }
            // What is left of the patience, so that asking again cannot renew it.
            submit.promise.deadline_ms = deadline_ms - now_ms;
            self.submit(context, submit, out);
        }
    }

    fn consider(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        deadline_ms: u64,
        out: &mut Vec<Output>,
    ) -> Result<Option<Verdict>, Rejection> {
        self.refusals.noted = None;
        self.may_write(context)?;
        if let Work::Open { name } = &submit.work {
            return self.open(context, submit, name, deadline_ms, out);
        }
        let closed = submit.orchestra == self.cluster && !rules_the_cluster(&submit.work);
        if closed || !self.spaces.contains_key(&submit.orchestra) {
            return Err(
                Rejection::new(Code::OrchestraUnknown, "no orchestra of this name here")
                    .hint("`unisono orchestras` lists those that there are; `unisono state --create` makes one; on a node that has just joined it may be on its way"),
            );
        }
        match &submit.work {
            Work::File { seen, work } => match work.as_ref() {
                Work::Record(bytes) => self
                    .signed(context, submit, bytes, Some(seen), deadline_ms)
                    .map(Some),
                Work::Act { agent, action, key } => self
                    .acted(
                        context,
                        submit,
                        (agent, action, *key),
                        Some(seen),
                        deadline_ms,
                    )
                    .map(Some),
                Work::File { .. }
                | Work::Open { .. }
                | Work::Living { .. }
                | Work::OfInvite(_)
                | Work::Leave { .. } => Err(Rejection::new(
                    Code::Malformed,
                    "only a record or an action writes a file",
                )),
            },
            Work::Record(bytes) => self
                .signed(context, submit, bytes, None, deadline_ms)
                .map(Some),
            Work::Act { agent, action, key } => self
                .acted(context, submit, (agent, action, *key), None, deadline_ms)
                .map(Some),
            Work::Living { agent, edit } => {
                self.edit_living(context, submit, agent, edit, out)?;
                Ok(None)
            }
            Work::OfInvite(said) => self
                .lay_down(context, submit, said, deadline_ms)
                .map(|made| made.map_or(Verdict::Later, |made| Verdict::Make(Box::new(made))))
                .map(Some),
            // Dealt with before.
            Work::Open { .. } | Work::Leave { .. } => Ok(None),
        }
    }

    fn open(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        name: &str,
        deadline_ms: u64,
        out: &mut Vec<Output>,
    ) -> Result<Option<Verdict>, Rejection> {
        check::name("orchestra name", name)?;
        let id = OrchestraId::of(self.config.cluster, name);
        if id != submit.orchestra || id == self.cluster {
            return Err(Rejection::new(
                Code::Malformed,
                "the id does not follow from the name",
            ));
        }
        let known = self
            .spaces
            .get(&id)
            .is_some_and(|space| !space.folds.name.is_empty());
        if known {
            let horizon = self.horizon(id);
            let at = self.now(context);
            let answer = self.answer(id, at, &horizon, AnswerBody::Opened);
            out.push(Output::Reply {
                ticket: submit.ticket,
                result: Ok(answer),
            });
            return Ok(None);
        }
        if self.blocked.contains_key(&Subject::Iteration(id)) {
            return Ok(Some(Verdict::Later));
        }
        self.space_entry(id);
        self.enrol_self(context, id);
        self.name_roots_in(context, id);
        let action = Action::Open {
            name: name.to_string(),
        };
        let mut made = Self::own_record(context, id, action);
        made.ticket = Some(submit.ticket);
        made.promise = submit.promise.clone();
        made.deadline_ms = deadline_ms;
        made.subjects.push(Subject::Iteration(id));
        Ok(Some(Verdict::Make(Box::new(made))))
    }

    fn signed(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        bytes: &[u8],
        seen: Option<&Seen>,
        deadline_ms: u64,
    ) -> Result<Verdict, Rejection> {
        let record = client_record(bytes)?;
        let (body, formed) = read_body(&record)?;
        let orchestra = submit.orchestra;
        let digest = record
            .place(self.config.cluster, orchestra)
            .digest(&record.body.0);
        check_signature(context, &record, &digest)?;
        if body.held != Held::Agent {
            return Err(Rejection::new(
                Code::Malformed,
                "a signed record is held by its agent",
            ));
        }
        if let Err(malformed) = formed {
            let rejection = Rejection::from(malformed);
            self.note_incident(context, orchestra, record.agent, &body, &rejection);
            return Err(rejection);
        }
        // Rights and chains are the key's, everything else is the agent's.
        let agent = self.identity(orchestra, record.agent);
        let mut subjects = subjects(orchestra, agent, &body.action);
        if let Action::Rotate(rotation) = &body.action {
            subjects.push(Subject::Agent(orchestra, rotation.next));
        }
        if self.is_blocked(&subjects) || self.is_premature(orchestra, &body.action) {
            return Ok(Verdict::Later);
        }
        if let Some(recorded) = self.repeated(submit, agent, body.key, &body.action)? {
            return Ok(Verdict::Repeated(Box::new(recorded)));
        }
        if let Err(rejection) = self.check_chain(orchestra, &record, &digest) {
            self.note_second(context, orchestra, (&record, &digest), &body);
            return Err(rejection);
        }
        self.check_enrolled(orchestra, record.agent, &body.action)?;
        self.check_rights(context, orchestra, record.agent, &body)?;
        self.check_iteration(context, orchestra, body.iteration)?;
        let mut action = self.prepare(context, orchestra, agent, &body, seen)?;
        // Who signs for no window at all means that very moment.
        if let (Action::Cue(filled), Action::Cue(cue)) = (&mut action, &body.action) {
            filled.window_ms = cue.window_ms;
        }
        // A head that came between the agent's look and now is no reason to refuse: the change then
        // stands beside it, and both are shown.
        if action != body.action && !matches!(action, Action::Task(_)) {
            return Err(
                Rejection::new(Code::Malformed, "a signed action must name every number")
                    .hint("fill in lease, lifetime, claim and plan before signing"),
            );
        }
        let spot = (orchestra, record.agent, record.seq);
        self.places.took(spot, digest, context.now_ms());
        Ok(Verdict::Make(Box::new(Made {
            ticket: Some(submit.ticket),
            orchestra,
            source: Source::Signed(record),
            body,
            promise: submit.promise.clone(),
            deadline_ms,
            subjects,
        })))
    }

    fn acted(
        &mut self,
        context: &mut Context<'_>,
        submit: &Submit,
        (name, action, key): (&str, &Action, Option<IdempotencyKey>),
        seen: Option<&Seen>,
        deadline_ms: u64,
    ) -> Result<Verdict, Rejection> {
        check::name("agent name", name)?;
        let orchestra = submit.orchestra;
        if matches!(action, Action::Rotate(_)) {
            let words = format!("{name} has no key of its own here; nothing changed");
            return Err(Rejection::new(Code::NotHeld, words).hint(
                "who holds a key rotates it: sign with it (`--key-file`). A key that a node holds \
                 follows from the node's own and from the name, and changes with that: \
                 `unisono node rotate`",
            ));
        }
        let held = self.remembered_key(orchestra, name);
        let signer = AgentId(held.verifying_key().to_bytes());
        // Rights and chains are the key's, everything else is the agent's.
        let agent = self.identity(orchestra, signer);
        let subjects = subjects(orchestra, agent, action);
        if self.is_blocked(&subjects) || self.is_premature(orchestra, action) {
            return Ok(Verdict::Later);
        }
        if let Action::Enrol(enrol) = action
            && enrol.name != name
        {
            return Err(Rejection::new(
                Code::Malformed,
                "an agent enrols under its own name",
            ));
        }
        self.check_enrolled(orchestra, signer, action)
            .map_err(|refused| match refused.code {
                Code::AgentUnknown => self.held_elsewhere(orchestra, name).unwrap_or(refused),
                _ => refused,
            })?;
        if let Some(recorded) = self.repeated(submit, agent, key, action)? {
            return Ok(Verdict::Repeated(Box::new(recorded)));
        }
        let asked = body(context, Held::Node, 1, key, action.clone());
        self.check_form(context, orchestra, signer, &asked)?;
        let token = self.check_rights(context, orchestra, signer, &asked)?;
        let asked = RecordBody { token, ..asked };
        let action = self.prepare(context, orchestra, agent, &asked, seen)?;
        check::action(&action)?;
        let at = self.now(context);
        let iteration = self
            .spaces
            .get(&orchestra)
            .map_or(1, |space| space.folds.course.iteration(at))
            .min(limits::ITERATION_MAX);
        Ok(Verdict::Make(Box::new(Made {
            ticket: Some(submit.ticket),
            orchestra,
            source: Source::Held(held),
            body: RecordBody {
                token,
                ..body(context, Held::Node, iteration, key, action)
            },
            promise: submit.promise.clone(),
            deadline_ms,
            subjects,
        })))
    }

    /// What must be so before the record exists. Whoever is refused something about files and plans
    /// is told on: those refusals are about what may be done.
    fn prepare(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
        seen: Option<&Seen>,
    ) -> Result<Action, Rejection> {
        let prepared = match &body.action {
            Action::Plan(_) | Action::Write(_) | Action::Approve(_) => {
                self.file_precondition(context, orchestra, agent, body, seen)
            }
            action => return self.precondition(context, orchestra, agent, action.clone()),
        };
        // Who was overtaken, or came before the plan, has done nothing that others should look at.
        if let Err(rejection) = &prepared
            && rejection.code.category() != Category::Conflict
            && rejection.code != Code::PlanMissing
        {
            self.note_incident(context, orchestra, agent, body, rejection);
        }
        prepared
    }

    /// The answer that was given before under this key, if any.
    fn repeated(
        &self,
        submit: &Submit,
        agent: AgentId,
        key: Option<IdempotencyKey>,
        action: &Action,
    ) -> Result<Option<Recorded>, Rejection> {
        let orchestra = submit.orchestra;
        let (Some(key), Some(space)) = (key, self.spaces.get(&orchestra)) else {
            return Ok(None);
        };
        if self.config.sabotage.key_forgotten {
            return Ok(None);
        }
        let Some(kept) = space.folds.once.find(agent, key) else {
            return Ok(None);
        };
        if space.folds.once.contradicts(agent, key, action) {
            return Err(
                Rejection::new(Code::KeyReused, "this key was used for another action")
                    .hint("draw a new idempotency key for a new action"),
            );
        }
        let horizon = self.horizon(orchestra);
        let at = self.clock.now(0).max(kept.place.stamp);
        let reading = self.reading(orchestra, at, &horizon);
        let reading = reading.as_ref();
        let mut cue = reading.and_then(|reading| reading.cue_of(action, kept.place));
        if let Some(cue) = &mut cue {
            self.lengthen(cue);
        }
        Ok(Some(Recorded {
            place: kept.place,
            log: kept.log,
            seq: kept.seq,
            // Who else holds it was heard by whoever waited the first time.
            durable_on: 1,
            durable_wanted: submit.promise.durable_on,
            claim: reading.and_then(|reading| reading.claim_of(action, kept.place, agent)),
            cue,
            repeated: true,
            key: Some(key),
        }))
    }

    /// The agent that a key signs for.
    pub(super) fn identity(&self, orchestra: OrchestraId, key: AgentId) -> AgentId {
        let space = self.spaces.get(&orchestra);
        space.map_or(key, |space| space.folds.identity(&key))
    }

    fn check_chain(
        &self,
        orchestra: OrchestraId,
        record: &SignedRecord,
        digest: &Digest,
    ) -> Result<(), Rejection> {
        if record.log != self.me {
            return Err(Rejection::new(
                Code::WrongLog,
                "signed for a log that is not written here",
            )
            .hint("open a session on this node and sign for its log"));
        }
        let tip = self.chain_tip(orchestra, record.agent);
        if record.seq == tip.seq && *digest == tip.record {
            return Err(
                Rejection::new(Code::ChainOrder, "this record is on the chain already")
                    .hint("give records an idempotency key to learn what became of them"),
            );
        }
        if record.seq != tip.seq + 1 || record.prev != tip.record {
            let (expected, got) = (tip.seq + 1, record.seq);
            return Err(Rejection::new(
                Code::ChainOrder,
                format!("expected record {expected} of this chain, got {got}"),
            )
            .hint("open a session again to learn where the chain stands"));
        }
        Ok(())
    }

    /// Where an agent's chain on this node stands.
    pub(super) fn chain_tip(&self, orchestra: OrchestraId, agent: AgentId) -> ChainTip {
        let log = self
            .spaces
            .get(&orchestra)
            .and_then(|space| space.logs.get(&self.me));
        log.and_then(|state| state.chains.get(&agent))
            .copied()
            .unwrap_or_default()
    }

    fn check_enrolled(
        &self,
        orchestra: OrchestraId,
        agent: AgentId,
        action: &Action,
    ) -> Result<(), Rejection> {
        let enrolled = self
            .spaces
            .get(&orchestra)
            .is_some_and(|space| space.folds.is_enrolled(&agent));
        if let Action::Enrol(enrol) = action {
            return self.check_tier(orchestra, &agent, enrol);
        }
        if enrolled {
            return Ok(());
        }
        Err(
            Rejection::new(Code::AgentUnknown, "no such agent is enrolled here")
                .hint("enrol it first: `unisono agent enrol NAME`"),
        )
    }

    /// The folds of an orchestra, read as of a stamp.
    pub(super) fn reading<'a>(
        &'a self,
        orchestra: OrchestraId,
        at: unisono_model::Stamp,
        horizon: &'a Horizon,
    ) -> Option<Reading<'a>> {
        let folds = &self.spaces.get(&orchestra)?.folds;
        Some(Reading {
            folds,
            at,
            horizon,
            rules: self.claim_rules()?,
        })
    }
}

/// What a record says. Who asks for a file by a trick is told on, and must have signed for that; all
/// else that is malformed is nobody's word.
fn read_body(record: &SignedRecord) -> Result<(RecordBody, Result<(), Malformed>), Rejection> {
    let body: RecordBody = wire::decode(&record.body.0, limits::RECORD_BYTES_MAX)?;
    match body.check() {
        Err(malformed) if !matches!(malformed, Malformed::Path(_)) => Err(malformed.into()),
        formed => Ok((body, formed)),
    }
}

pub(super) fn body(
    context: &Context<'_>,
    held: Held,
    iteration: u32,
    key: Option<IdempotencyKey>,
    action: Action,
) -> RecordBody {
    RecordBody {
        version: RECORD_VERSION,
        held,
        agent_ms: context.wall_ms(),
        iteration,
        key,
        predecessors: Vec::new(),
        token: None,
        action,
    }
}

fn busy() -> Rejection {
    Rejection::new(
        Code::Busy,
        "too many requests wait in this node; nothing changed",
    )
    .hint("ask again, or ask another node")
    .retry_after(200)
}
