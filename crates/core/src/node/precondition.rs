//! What must be so before a record exists, and the numbers that its folds will need.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{
    Action, AgentId, Code, Digest, FieldValue, OrchestraId, Rejection, Resolve, Rollback, Rotation,
    Setting, Signal, SignalKind, Stamp, TaskStatus, limits,
};

use super::Node;
use super::lessons::lesson_precondition;
use super::rollback::rollback_precondition;
use super::space::Space;
use crate::context::Context;
use crate::orchestra::Reading;
use crate::orchestra::conflict::Strategy;
use crate::orchestra::horizon::Horizon;
use crate::orchestra::view::InterferenceView;

/// Most open interferences that are named to whoever cannot end an iteration for them.
const OPEN_TOLD_MAX: usize = 8;
/// How whoever lacks evidence comes by it.
const MAKE_A_MARK: &str = "make one with `unisono mark make`, and name it with --evidence";

impl Node {
    /// What must be so before the record exists; fills in the numbers that folds will need.
    pub(super) fn precondition(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        action: Action,
    ) -> Result<Action, Rejection> {
        let at = self.now(context);
        let horizon = Horizon::default();
        match action {
            Action::Admit(_)
            | Action::VoteView(_)
            | Action::Leave(_)
            | Action::Open { .. }
            | Action::Incident(_)
            | Action::Witness(_)
            | Action::Invite(_)
            | Action::InviteUsed(_) => Err(a_nodes_own()),
            Action::Remove(_) | Action::Succeed(_) => self.root_says(orchestra, agent, action),
            Action::Root(word) => self
                .may_name_root(orchestra, &word)
                .map(|()| Action::Root(word)),
            Action::Signal(_) | Action::Across(_) => self.says(context, orchestra, agent, action),
            Action::Claim { .. } | Action::Renew { .. } | Action::Release { .. } => {
                let lease_ms_max = self.config.lease_ms_max;
                let Some(reading) = self.reading(orchestra, at, &horizon) else {
                    return Ok(action);
                };
                claim_precondition(&reading, agent, action, lease_ms_max)
            }
            Action::Advance { from } => {
                let reading = self.reading(orchestra, at, &horizon);
                reading.map_or(Ok(action), |reading| advance_precondition(&reading, from))
            }
            Action::Task(mut change) => {
                let Some(space) = self.spaces.get(&orchestra) else {
                    return Ok(Action::Task(change));
                };
                task_precondition(&change, space.folds.tasks.exists(&change.task, at))?;
                let mut evidence = change.evidence.iter();
                evidence.try_for_each(|mark| is_witnessed(space, mark))?;
                space.folds.tasks.fill_replaces(&mut change, at);
                Ok(Action::Task(change))
            }
            Action::Rollback(rollback) => self.may_roll_back(orchestra, at, *rollback),
            Action::Resolve(resolve) => {
                if let Some(reading) = self.reading(orchestra, at, &horizon) {
                    resolve_precondition(&reading, &resolve)?;
                }
                if let (Some(space), Some(mark)) = (self.spaces.get(&orchestra), &resolve.mark) {
                    is_witnessed(space, mark)?;
                }
                Ok(Action::Resolve(resolve))
            }
            Action::Tempo(_) | Action::Arrive(_) | Action::Cue(_) | Action::Answer(_) => {
                self.precondition_together(context, orchestra, agent, action)
            }
            Action::Settings(changes) => settings_precondition(changes),
            Action::Rotate(rotation) => self.may_rotate(orchestra, agent, *rotation),
            Action::Decide(_) | Action::Remedy(_) | Action::Outcome(_) => {
                match self.reading(orchestra, at, &horizon) {
                    Some(reading) => lesson_precondition(&reading, action),
                    None => Ok(action),
                }
            }
            other => Ok(other),
        }
    }

    fn may_roll_back(
        &self,
        orchestra: OrchestraId,
        at: Stamp,
        rollback: Rollback,
    ) -> Result<Action, Rejection> {
        match self.spaces.get(&orchestra) {
            Some(space) => rollback_precondition(space, at, rollback),
            None => Ok(Action::Rollback(rollback.into())),
        }
    }

    /// Whether the next key takes the place of the agent that its holder means.
    fn may_rotate(
        &self,
        orchestra: OrchestraId,
        agent: AgentId,
        rotation: Rotation,
    ) -> Result<Action, Rejection> {
        let space = self.spaces.get(&orchestra);
        let name = space.map(|space| space.folds.agents.name(&agent));
        match name.filter(|name| *name != rotation.name) {
            None => Ok(Action::Rotate(rotation.into())),
            Some(name) => Err(Rejection::new(
                Code::Malformed,
                format!(
                    "the next key is to be {}'s, and this agent is {name}; nothing changed",
                    rotation.name
                ),
            )
            .hint("name the agent whose key it is: `unisono agent list` shows its name")),
        }
    }

    /// Whether there is an iteration yet: each that is named opens a document on every replica, and a
    /// NEED that bears one to come would outlive its own.
    pub(super) fn check_iteration(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        signed: u32,
    ) -> Result<(), Rejection> {
        let at = self.now(context);
        let space = self.spaces.get(&orchestra);
        let now = space.map_or(1, |space| space.folds.course.iteration(at));
        if signed <= now {
            return Ok(());
        }
        Err(Rejection::new(
            Code::IterationWrong,
            format!("signed for iteration {signed}; the current one is {now}; nothing changed"),
        )
        .hint("open a session again to learn the iteration, and sign for that")
        .retry_after(200))
    }

    /// A signal; the mark that proves what comes from another orchestra stands there.
    fn says(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        action: Action,
    ) -> Result<Action, Rejection> {
        let mut across = match action {
            Action::Across(across) => across,
            Action::Signal(signal) => {
                let signal = self.signal(context, orchestra, agent, signal, None)?;
                return Ok(Action::Signal(signal));
            }
            other => return Ok(other),
        };
        let other = OrchestraId::of(self.config.cluster, &across.orchestra);
        if other == orchestra {
            return Err(Rejection::new(
                Code::Malformed,
                "the other orchestra is this one; nothing changed",
            )
            .hint("name another orchestra, or emit the signal here alone"));
        }
        let proved_in = across.incoming.then_some(other);
        across.signal = self.signal(context, orchestra, agent, across.signal, proved_in)?;
        Ok(Action::Across(across))
    }

    fn signal(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        mut signal: Signal,
        proved_in: Option<OrchestraId>,
    ) -> Result<Signal, Rejection> {
        if signal.kind == SignalKind::Offer && signal.evidence.is_none() {
            return Err(
                Rejection::new(Code::EvidenceMissing, "an OFFER needs a mark as evidence")
                    .hint(MAKE_A_MARK),
            );
        }
        let at = self.now(context);
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(signal);
        };
        if let Some(evidence) = &signal.evidence {
            is_witnessed_in(
                proved_in.map_or(Some(space), |id| self.spaces.get(&id)),
                evidence,
            )?;
        }
        let course = &space.folds.course;
        if signal.lifetime_ms == 0 {
            let setting = match signal.kind {
                SignalKind::Intent => Setting::IntentLifetimeMs,
                SignalKind::Need | SignalKind::Offer => Setting::NeedLifetimeMs,
            };
            signal.lifetime_ms = course
                .setting(setting, at)
                .clamp(1, limits::LIFETIME_MS_MAX);
        }
        let allowed = course.setting(Setting::EmitPerMinuteMax, at);
        let minute = context.now_ms() / 60_000;
        let count = self.emitted.entry((orchestra, agent)).or_default();
        if count.0 != minute {
            *count = (minute, 0);
        }
        if count.1 >= allowed {
            let wait_ms = (minute + 1) * 60_000 - context.now_ms();
            return Err(Rejection::new(
                Code::RateLimited,
                format!("this agent may emit {allowed} signals a minute"),
            )
            .hint("wait, or raise the setting emit_per_minute_max")
            .retry_after(wait_ms));
        }
        count.1 += 1;
        Ok(signal)
    }
}

/// Whether each strategy for what is written at once is one: folds take any other number for asking.
fn settings_precondition(changes: Vec<(Setting, u64)>) -> Result<Action, Rejection> {
    let mut changed = changes.iter();
    let unknown = changed.find(|(one, value)| one.is_conflict() && *value > Strategy::NUMBER_MAX);
    if let Some((one, value)) = unknown {
        let words = format!("{one:?} has no strategy {value}; nothing changed");
        return Err(Rejection::new(Code::Malformed, words)
            .hint("0 asks, 1 is the first writer's, 2 the last writer's, 3 merges"));
    }
    let mut changed = changes.iter();
    if changed.any(|(one, value)| *one == Setting::AdvanceNeedsResolved && *value > 2) {
        let words = "what an iteration needs resolved is 0, 1 or 2; nothing changed";
        return Err(Rejection::new(Code::Malformed, words)
            .hint("0 is nothing, 1 what blocks, 2 every interference"));
    }
    let mut changed = changes.iter();
    if changed.any(|(one, value)| *one == Setting::Reading && *value > 1) {
        let words = "what reading needs is 0 or 1; nothing changed";
        return Err(Rejection::new(Code::Malformed, words)
            .hint("0 is nothing (open), 1 a session of an agent that may read (sessions)"));
    }
    for (one, value) in &changes {
        if let Some(range) = one.varies_within()
            && !range.contains(value)
        {
            let words = format!("{one:?} cannot be {value}; nothing changed");
            return Err(Rejection::new(Code::Malformed, words).hint(format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            )));
        }
    }
    Ok(Action::Settings(changes))
}

/// Whether an iteration is the one that can end now.
fn advance_precondition(reading: &Reading<'_>, from: u32) -> Result<Action, Rejection> {
    let now = reading.iteration();
    if from != now {
        return Err(Rejection::new(
            Code::IterationWrong,
            format!("iteration {from} cannot end now: the current one is {now}"),
        ));
    }
    let needs = reading.setting(Setting::AdvanceNeedsResolved);
    if needs == 0 {
        return Ok(Action::Advance { from });
    }
    // Open ones come first, and of these those that block.
    let found = reading.interferences(None, OPEN_TOLD_MAX);
    let counted = |one: &&InterferenceView| one.is_open() && (needs > 1 || one.blocking);
    let open = found.interferences.iter().filter(counted);
    let told: Vec<String> = open.map(|one| format!("{}", one.id)).collect();
    if told.is_empty() {
        return Ok(Action::Advance { from });
    }
    Err(Rejection::new(
        Code::IterationUnresolved,
        format!(
            "iteration {from} cannot end while there is open what advance_needs_resolved={needs} wants resolved, the first of it {}; nothing changed",
            told.join(", ")
        ),
    )
    .hint("resolve it (`unisono interference resolve`), or have it end; an executive can set advance_needs_resolved=0"))
}

/// Whether evidence is a mark. It may have been made elsewhere and not have come yet: that is for
/// whoever asks to wait for, since here nobody can tell it from one that was never made.
fn is_witnessed(space: &Space, evidence: &Digest) -> Result<(), Rejection> {
    is_witnessed_in(Some(space), evidence)
}

/// The same, of an orchestra that this node may not hold.
fn is_witnessed_in(space: Option<&Space>, evidence: &Digest) -> Result<(), Rejection> {
    if space.is_some_and(|space| space.folds.agents.is_mark(evidence)) {
        return Ok(());
    }
    Err(Rejection::new(
        Code::EvidenceUnknown,
        format!("no mark {evidence} is known here yet; nothing changed"),
    )
    .hint(format!(
        "if it was made at another node, ask again with the cursor that came with it; else {MAKE_A_MARK}"
    )))
}

fn task_precondition(change: &unisono_model::TaskChange, exists: bool) -> Result<(), Rejection> {
    let name = &change.task;
    let creates = change
        .fields
        .iter()
        .any(|f| matches!(f.value, FieldValue::Created(_)));
    if creates && exists {
        return Err(
            Rejection::new(Code::TaskExists, format!("task {name} exists already"))
                .hint("change it instead of making it"),
        );
    }
    if !creates && !exists {
        return Err(
            Rejection::new(Code::TaskUnknown, format!("there is no task {name}"))
                .hint("make it first: `unisono task create`"),
        );
    }
    let closes = change
        .fields
        .iter()
        .any(|field| matches!(field.value, FieldValue::Status(TaskStatus::Closed)));
    if closes && change.evidence.is_none() {
        return Err(Rejection::new(
            Code::EvidenceMissing,
            "closing a task needs a mark as evidence",
        )
        .hint(format!(
            "{MAKE_A_MARK}; `unisono task close NAME --mark TEXT` does both"
        )));
    }
    Ok(())
}

/// Whether there is something to resolve: an interference that stands and that nobody has resolved;
/// and whether the resolution says what came of it, and proves it.
fn resolve_precondition(reading: &Reading<'_>, resolve: &Resolve) -> Result<(), Rejection> {
    let Some(one) = reading.interference(&resolve.interference) else {
        return Err(Rejection::new(
            Code::InterferenceUnknown,
            format!(
                "no interference {} stands: it never did, or has ended by itself",
                resolve.interference
            ),
        )
        .hint("`unisono interference` lists those that can be resolved"));
    };
    if let Some(known) = one.resolution {
        return Err(Rejection::new(
            Code::InterferenceResolved,
            format!("{} resolved it already: {}", known.name, known.outcome),
        )
        .hint("the first resolution stands; what it decided can be changed by a claim, a release or a new signal"));
    }
    if resolve.outcome.trim().is_empty() {
        let words = "a resolution says what came of it, and this one says nothing; nothing changed";
        return Err(Rejection::new(Code::Malformed, words)
            .hint("name the outcome in a sentence: the agents concerned read it"));
    }
    if resolve.mark.is_none() {
        return Err(Rejection::new(
            Code::EvidenceMissing,
            "a resolution needs a mark as evidence",
        )
        .hint("`unisono interference resolve` makes one where --mark names none; else `unisono mark make`"));
    }
    Ok(())
}

/// Whether a topic may be claimed, renewed or released by an agent now.
fn claim_precondition(
    reading: &Reading<'_>,
    agent: AgentId,
    action: Action,
    lease_ms_max: u64,
) -> Result<Action, Rejection> {
    let default_ms = reading
        .setting(Setting::ClaimLeaseMs)
        .clamp(100, lease_ms_max);
    let lease = |asked_ms: u64| match asked_ms {
        0 => Ok(default_ms),
        asked_ms if asked_ms > lease_ms_max => Err(Rejection::new(
            Code::Malformed,
            format!("a lease of {asked_ms} ms; at most {lease_ms_max} are allowed"),
        )),
        asked_ms => Ok(asked_ms),
    };
    match action {
        Action::Claim { topic, lease_ms } => {
            let lease_ms = lease(lease_ms)?;
            let state = reading.topic(&topic);
            match state.holding {
                Some(held) => Err(is_held(reading, &topic, held.agent, held.until, agent)),
                None => Ok(Action::Claim { topic, lease_ms }),
            }
        }
        Action::Renew {
            topic,
            claim,
            lease_ms,
        } => {
            let lease_ms = lease(lease_ms)?;
            let claim = standing(reading, &topic, claim, agent)?;
            Ok(Action::Renew {
                topic,
                claim,
                lease_ms,
            })
        }
        Action::Release { topic, claim } => {
            let claim = if claim == Digest::default() {
                reading
                    .own_claim(&topic, agent)
                    .ok_or_else(|| not_yours(reading, &topic, agent))?
            } else {
                let state = reading.topic(&topic);
                let held = state
                    .holding
                    .is_some_and(|held| held.claim.record == claim && held.agent == agent);
                let lost = state
                    .losers
                    .iter()
                    .any(|l| l.claim.record == claim && l.agent == agent);
                if !held && !lost {
                    return Err(not_yours(reading, &topic, agent));
                }
                claim
            };
            Ok(Action::Release { topic, claim })
        }
        other => Ok(other),
    }
}

fn standing(
    reading: &Reading<'_>,
    topic: &str,
    claim: Digest,
    agent: AgentId,
) -> Result<Digest, Rejection> {
    match reading.topic(topic).holding {
        Some(held)
            if held.agent == agent
                && (claim == Digest::default() || held.claim.record == claim) =>
        {
            Ok(held.claim.record)
        }
        _ => Err(not_yours(reading, topic, agent)),
    }
}

fn is_held(
    reading: &Reading<'_>,
    topic: &str,
    holder: AgentId,
    until: Stamp,
    agent: AgentId,
) -> Rejection {
    let name = reading.folds.agents.name(&holder);
    // The stamp of the end is for the edge to show: no calendar lives down here.
    let detail = format!("topic {topic} is held by {name}");
    let hint = if holder == agent {
        format!("it is yours already: `unisono renew {topic}`")
    } else {
        format!("wait for its release, ask {name}, or take something else")
    };
    let wait_ms = until.as_ms().saturating_sub(reading.at.as_ms());
    Rejection::new(Code::ClaimHeld, detail)
        .hint(hint)
        .retry_after(wait_ms)
}

fn not_yours(reading: &Reading<'_>, topic: &str, agent: AgentId) -> Rejection {
    match reading.topic(topic).holding {
        Some(held) if held.agent != agent => {
            let name = reading.folds.agents.name(&held.agent);
            Rejection::new(Code::NotHolder, format!("topic {topic} is held by {name}"))
                .hint("only its holder may renew or release it")
        }
        Some(_) => Rejection::new(Code::ClaimUnknown, format!("not by this claim: {topic}"))
            .hint("name no claim to mean the one that stands"),
        None if reading.folds.claims.knows(topic) => Rejection::new(
            Code::ClaimExpired,
            format!("nobody holds {topic} any more: the lease has ended"),
        )
        .hint("claim it again"),
        None => Rejection::new(Code::ClaimUnknown, format!("nobody ever claimed {topic}"))
            .hint("claim it first"),
    }
}

fn a_nodes_own() -> Rejection {
    Rejection::new(Code::NotMember, "only nodes do this, of themselves")
}
