//! Plays the events of tasks, each task in its order, and remembers what their next change replaces.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use unisono_api::dto::Problem;
use unisono_model::{
    Action, Digest, Field, FieldChange, FieldValue, Mark, Signal, SignalKind, TaskChange,
    TaskStatus, Urgency,
};

use super::desk::{Desk, Done, Thread};
use super::mapping;
use super::trace::{Event, Kind, Trace};

/// How long a NEED stands (ms).
const NEED_MS: u64 = 24 * 3_600_000;
/// Leases end by the cluster's time, not by ours.
const MARGIN: Duration = Duration::from_secs(5);

/// What a player knows of one of its tasks.
#[derive(Debug, Default)]
struct Task {
    thread: Thread,
    /// Whether the trace has created it.
    created: bool,
    /// Per field, the records whose value the next change replaces.
    heads: BTreeMap<Field, Vec<Digest>>,
    holder: Option<Holder>,
    /// Claims that were given back under one name and may come to light under another: whose, which.
    ghosts: Vec<(usize, Digest)>,
}

/// Who holds a task's topic.
#[derive(Clone, Debug)]
struct Holder {
    actor: usize,
    claim: Digest,
    /// Other names under which the claim may stand. Where an answer was lost it may have been
    /// recorded on two nodes that did not hear each other; then the record with the lower stamp
    /// counts, and the other, which was acknowledged, is its repetition.
    others: Vec<Digest>,
    renewed: Instant,
}

impl Holder {
    /// A claim that was just made.
    fn new(actor: usize, done: &Done, renewed: Instant) -> Self {
        let claim = done.recorded.record;
        let mut others = done.names.clone();
        others.retain(|name| *name != claim);
        Self {
            actor,
            claim,
            others,
            renewed,
        }
    }
}

/// Plays the events of some tasks.
#[derive(Debug)]
pub(crate) struct Player<'a> {
    trace: &'a Trace,
    desk: &'a Desk,
    lease: Duration,
    tasks: HashMap<usize, Task>,
}

impl<'a> Player<'a> {
    /// A player that has played nothing yet.
    pub(crate) fn new(trace: &'a Trace, desk: &'a Desk, lease: Duration) -> Self {
        Self {
            trace,
            desk,
            lease,
            tasks: HashMap::new(),
        }
    }

    /// What its tasks have seen at last.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = &str> {
        self.tasks
            .values()
            .filter_map(|task| task.thread.cursor.as_deref())
    }

    /// Plays one event to its end.
    pub(crate) async fn play(&mut self, event: &Event) {
        let mut task = self.tasks.remove(&event.task).unwrap_or_default();
        let mut hasher = DefaultHasher::new();
        (&self.trace.tasks[event.task], event.actor).hash(&mut hasher);
        task.thread.home = hasher.finish() as usize;
        let mut turn = Turn {
            trace: self.trace,
            desk: self.desk,
            lease: self.lease,
            event,
            steps: 0,
            refused: 0,
        };
        let taken = turn.play(&mut task).await;
        self.desk
            .tally
            .event(event.kind.word(), taken, turn.refused);
        self.tasks.insert(event.task, task);
    }
}

/// One event's turn.
struct Turn<'a> {
    trace: &'a Trace,
    desk: &'a Desk,
    lease: Duration,
    event: &'a Event,
    steps: u32,
    refused: u32,
}

impl Turn<'_> {
    /// Whether the task came to be what the trace says.
    async fn play(&mut self, task: &mut Task) -> bool {
        let actor = self.event.actor;
        let fields = match mapping::fields(&self.event.kind, &self.trace.actors[actor]) {
            Ok(fields) => fields,
            Err(word) => {
                self.note("no_meaning", false, &word);
                return false;
            }
        };
        let closes = fields.contains(&FieldValue::Status(TaskStatus::Closed));
        let ends = closes || matches!(self.event.kind, Kind::Deleted | Kind::Released { .. });
        let mut evidence = None;
        // What does not exist is neither claimed nor proved; the change itself will be refused.
        if task.created {
            if matches!(self.event.kind, Kind::Claimed) {
                self.claim(task).await;
            }
            if closes {
                evidence = self.mark(task).await;
            }
        }
        if !self.change(task, fields, evidence).await {
            return false;
        }
        if let Kind::Blocks { on } = &self.event.kind {
            self.need(task, on).await;
        }
        if ends {
            self.end_claim(task).await;
        }
        true
    }

    async fn change(
        &mut self,
        task: &mut Task,
        fields: Vec<FieldValue>,
        evidence: Option<Digest>,
    ) -> bool {
        let change = |value: FieldValue| {
            let replaces = task.heads.get(&value.field()).cloned().unwrap_or_default();
            FieldChange { value, replaces }
        };
        let creates = matches!(self.event.kind, Kind::Created { .. });
        let change = TaskChange {
            task: self.trace.tasks[self.event.task].clone(),
            fields: fields.into_iter().map(change).collect(),
            evidence,
        };
        let touched: Vec<Field> = change
            .fields
            .iter()
            .map(|field| field.value.field())
            .collect();
        match self
            .record(self.event.actor, &mut task.thread, &Action::Task(change))
            .await
        {
            Ok(done) => {
                let unheard = !task.created && !creates;
                task.created |= creates;
                for field in touched.into_iter().filter(|field| *field != Field::Remark) {
                    task.heads.insert(field, done.names.clone());
                }
                if unheard {
                    self.note("unknown_task_accepted", false, "was the orchestra empty?");
                }
                true
            }
            Err(problem) => {
                let explained = match problem.code.as_str() {
                    "task_unknown" => !task.created && !creates,
                    "task_exists" => task.created && creates,
                    _ => false,
                };
                self.note(&problem.code, explained, &problem.detail);
                false
            }
        }
    }

    /// Claims the task's topic for the actor, or prolongs the actor's own claim.
    async fn claim(&mut self, task: &mut Task) {
        let actor = self.event.actor;
        let held = task.holder.take();
        let stands = |holder: &Holder| holder.renewed.elapsed() < self.lease;
        let by_another = held.as_ref().is_some_and(|h| stands(h) && h.actor != actor);
        let renewed = Instant::now();
        let done = match &held {
            Some(own) if stands(own) && own.actor == actor => self.renew(task, own).await,
            _ => self.take(task, by_another).await,
        };
        match done {
            Ok(mut holder) => {
                holder.renewed = renewed;
                task.holder = Some(holder);
            }
            Err(problem) => {
                let explained = match problem.code.as_str() {
                    "claim_held" => by_another,
                    code => self.lease_may_be_over(code, held.as_ref()),
                };
                self.note(&problem.code, explained, &problem.detail);
                task.holder = held;
            }
        }
    }

    async fn take(&mut self, task: &mut Task, by_another: bool) -> Result<Holder, Box<Problem>> {
        let actor = self.event.actor;
        let action = Action::Claim {
            topic: self.topic(),
            lease_ms: self.lease_ms(),
        };
        let mut done = self.record(actor, &mut task.thread, &action).await;
        let refused = done.as_ref().err();
        let held = refused.is_some_and(|problem| problem.code == "claim_held");
        if held && !by_another && self.lay_ghosts(task).await {
            done = self
                .again(actor, &mut task.thread, &action, "after a ghost")
                .await;
        }
        Ok(Holder::new(actor, &done?, Instant::now()))
    }

    async fn renew(&mut self, task: &mut Task, own: &Holder) -> Result<Holder, Box<Problem>> {
        let (topic, lease_ms) = (self.topic(), self.lease_ms());
        let renewal = |claim| Action::Renew {
            topic: topic.clone(),
            claim,
            lease_ms,
        };
        let claim = self.by_its_name(task, own, renewal).await?;
        let mut holder = own.clone();
        holder.others.push(holder.claim);
        holder.others.retain(|name| *name != claim);
        holder.claim = claim;
        Ok(holder)
    }

    /// Gives the topic back, by whoever holds it.
    async fn end_claim(&mut self, task: &mut Task) {
        let Some(holder) = task.holder.take() else {
            return;
        };
        let topic = self.topic();
        let release = |claim| Action::Release {
            topic: topic.clone(),
            claim,
        };
        match self.by_its_name(task, &holder, release).await {
            Ok(claim) => {
                let names = holder.others.iter().chain([&holder.claim]);
                let left = names.filter(|name| **name != claim);
                task.ghosts.extend(left.map(|name| (holder.actor, *name)));
            }
            Err(problem) => {
                let explained = self.lease_may_be_over(&problem.code, Some(&holder));
                self.note(&problem.code, explained, &problem.detail);
            }
        }
    }

    /// Has something recorded of a claim under the name by which it stands; says which that is.
    async fn by_its_name(
        &mut self,
        task: &mut Task,
        holder: &Holder,
        action: impl Fn(Digest) -> Action,
    ) -> Result<Digest, Box<Problem>> {
        let (actor, thread) = (holder.actor, &mut task.thread);
        let first = self.record(actor, thread, &action(holder.claim)).await;
        let Err(problem) = first else {
            return Ok(holder.claim);
        };
        if problem.code == "claim_unknown" {
            for other in &holder.others {
                let action = action(*other);
                let name = other.to_string();
                if self.again(actor, thread, &action, &name).await.is_ok() {
                    return Ok(*other);
                }
            }
        }
        Err(problem)
    }

    /// Gives back what was given back under a name that turned out not to count. Says whether there
    /// was anything.
    async fn lay_ghosts(&mut self, task: &mut Task) -> bool {
        let mut any = false;
        for (actor, claim) in std::mem::take(&mut task.ghosts) {
            let action = Action::Release {
                topic: self.topic(),
                claim,
            };
            let name = claim.to_string();
            let laid = self.again(actor, &mut task.thread, &action, &name).await;
            any |= laid.is_ok();
        }
        any
    }

    fn topic(&self) -> String {
        self.trace.tasks[self.event.task].clone()
    }

    fn lease_ms(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }

    /// A trace that is played slowly outlives its leases.
    fn lease_may_be_over(&self, code: &str, holder: Option<&Holder>) -> bool {
        let over = holder.is_some_and(|holder| holder.renewed.elapsed() + MARGIN >= self.lease);
        over && matches!(
            code,
            "claim_expired" | "claim_unknown" | "not_holder" | "claim_held"
        )
    }

    async fn mark(&mut self, task: &mut Task) -> Option<Digest> {
        let reason = match &self.event.kind {
            Kind::Closed { reason } => mapping::text(reason),
            _ => String::new(),
        };
        let action = Action::Mark(Mark {
            about: self.trace.tasks[self.event.task].clone(),
            text: "closed".to_owned(),
            reasoning: reason,
            tags: Vec::new(),
            evidence: Vec::new(),
        });
        match self
            .record(self.event.actor, &mut task.thread, &action)
            .await
        {
            Ok(done) => Some(done.recorded.record),
            Err(problem) => {
                self.note(&problem.code, false, &problem.detail);
                None
            }
        }
    }

    async fn need(&mut self, task: &mut Task, on: &str) {
        let waiting = &self.trace.tasks[self.event.task];
        let action = Action::Signal(Signal {
            kind: SignalKind::Need,
            topic: on.to_owned(),
            urgency: Urgency::Blocking,
            text: format!("{waiting} waits for {on}"),
            lifetime_ms: NEED_MS,
            evidence: None,
        });
        if let Err(problem) = self
            .record(self.event.actor, &mut task.thread, &action)
            .await
        {
            self.note(&problem.code, false, &problem.detail);
        }
    }

    async fn record(
        &mut self,
        actor: usize,
        thread: &mut Thread,
        action: &Action,
    ) -> Result<Done, Box<Problem>> {
        self.steps += 1;
        let words = self.words();
        self.desk.record(actor, thread, action, &words).await
    }

    /// The same step once more, in another way.
    async fn again(
        &self,
        actor: usize,
        thread: &mut Thread,
        action: &Action,
        way: &str,
    ) -> Result<Done, Box<Problem>> {
        let words = format!("{}/{way}", self.words());
        self.desk.record(actor, thread, action, &words).await
    }

    /// The same in every run of this trace: what was recorded before is not made again.
    fn words(&self) -> String {
        let (trace, line) = (&self.trace.name, self.event.line);
        format!("replay/{trace}/{line}/{}", self.steps)
    }

    fn note(&mut self, code: &str, explained: bool, detail: &str) {
        self.refused += 1;
        let place = format!(
            "line {}: {} {} by {}: {detail}",
            self.event.line,
            self.event.kind.word(),
            self.trace.tasks[self.event.task],
            self.trace.actors[self.event.actor],
        );
        self.desk.tally.refused(code, explained, place);
    }
}
