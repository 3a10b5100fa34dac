//! The limits of each action: what is outside them is no record, wherever it comes from.

use alloc::string::String;

use crate::capability::Tier;
use crate::{
    Across, Action, Admit, Approve, Enrol, Expulsion, Fence, FieldValue, Incident, Leave, Measure,
    NodeId, OrchestraEnd, Reviewed, Rollback, Signal, TaskChange, Write, limits, path,
    wire::Malformed,
};

/// Whether an action is within its limits.
pub fn action(action: &Action) -> Result<(), Malformed> {
    match action {
        Action::Enrol(one) => enrol(one),
        Action::Open { name: orchestra } => name("orchestra name", orchestra),
        Action::Settings(changes) => count("settings", changes.len(), limits::SETTINGS_MAX),
        Action::Presence(presence) => {
            text("intent", &presence.intent, limits::TEXT_BYTES_MAX)?;
            text("focus", &presence.focus, limits::TEXT_BYTES_MAX)
        }
        Action::Signal(one) => signal(one),
        Action::Across(one) => across(one),
        Action::Claim { topic, lease_ms } => claim(topic, *lease_ms),
        Action::Renew {
            topic, lease_ms, ..
        } => claim(topic, *lease_ms),
        Action::Release { topic, .. } => name("topic", topic),
        Action::Mark(mark) => {
            text("about", &mark.about, limits::NAME_BYTES_MAX)?;
            text("mark", &mark.text, limits::TEXT_BYTES_MAX)?;
            text("reasoning", &mark.reasoning, limits::TEXT_BYTES_MAX)?;
            count("evidence", mark.evidence.len(), limits::TAGS_MAX)?;
            tags(&mark.tags)
        }
        Action::Advance { from } => {
            if *from == 0 || *from >= limits::ITERATION_MAX {
                return Err(Malformed::Limit("iteration"));
            }
            Ok(())
        }
        Action::Task(change) => task(change),
        Action::Admit(one) => admit(one),
        Action::VoteView(vote) => {
            nodes("members", vote.members.iter())?;
            let removed = vote.removed.iter().map(|life| &life.node);
            nodes("removed members", removed)
        }
        Action::Leave(one) => leave(one),
        Action::Remove(one) => expulsion(one),
        Action::Rollback(one) => rollback(one),
        // Whether they are a token is for validity to say: a bad one is a void record, no bad bytes.
        Action::Present(token) => {
            count("bytes of the token", token.0.len(), limits::TOKEN_BYTES_MAX)
        }
        Action::Guard | Action::InviteUsed(_) => Ok(()),
        Action::Fence(one) => fence(one),
        Action::Rotate(one) => name("agent name", &one.name),
        Action::Succeed(one) => one.check(),
        Action::Witness(one) => one.check(),
        Action::Root(one) => one.check(),
        Action::Invite(one) => one.check(),
        Action::Incident(one) => incident(one),
        Action::Tempo(one) => one.check(),
        Action::Arrive(one) => one.check(),
        Action::Cue(one) => one.check(),
        Action::Answer(one) => one.check(),
        Action::Played(one) => one.check(),
        Action::Used(one) => one.check(),
        Action::Performs(one) => one.check(),
        Action::Decide(one) => one.check(),
        Action::Remedy(one) => one.check(),
        Action::Outcome(one) => one.check(),
        Action::Seen(one) => one.check(),
        Action::Resolve(resolve) => text("outcome", &resolve.outcome, limits::TEXT_BYTES_MAX),
        Action::Plan(plan) => plan
            .check()
            .map_err(|_| Malformed::Contradiction("a plan that cannot stand")),
        Action::Write(one) => write(one),
        Action::Approve(one) => approve(one),
    }
}

fn enrol(enrol: &Enrol) -> Result<(), Malformed> {
    name("agent name", &enrol.name)?;
    text("role", &enrol.role, limits::NAME_BYTES_MAX)?;
    enrol.tier.as_ref().map_or(Ok(()), Tier::check)
}

fn admit(admit: &Admit) -> Result<(), Malformed> {
    name("region", &admit.region)?;
    name("node name", &admit.name)?;
    text("address", &admit.address, limits::NAME_BYTES_MAX)
}

fn across(across: &Across) -> Result<(), Malformed> {
    name("orchestra name", &across.orchestra)?;
    signal(&across.signal)
}

fn approve(approve: &Approve) -> Result<(), Malformed> {
    match &approve.about {
        Reviewed::Path(path) => path::check(path)?,
        Reviewed::Task(task) => name("task name", task)?,
    }
    text("reason", &approve.reason, limits::REASON_BYTES_MAX)
}

fn write(write: &Write) -> Result<(), Malformed> {
    name("project", &write.project)?;
    path::check(&write.path)?;
    if let Some(moved) = &write.moved_from {
        path::check(&moved.path)?;
        if moved.path == write.path || write.content.is_none() {
            return Err(Malformed::Contradiction(
                "what is moved has another path and a content",
            ));
        }
    }
    let Some(content) = &write.content else {
        return match write.base {
            Some(_) => Ok(()),
            None => Err(Malformed::Contradiction(
                "a removal names the content that it removes",
            )),
        };
    };
    match &content.measure {
        Measure::Known(measured) => {
            name("language", &measured.language)?;
            text("function", &measured.most_complex, limits::NAME_BYTES_MAX)?;
            text("function", &measured.longest, limits::NAME_BYTES_MAX)
        }
        Measure::UnknownLanguage => Ok(()),
        Measure::Unmeasurable(reason) => name("reason", reason),
    }
}

fn fence(fence: &Fence) -> Result<(), Malformed> {
    text("reason", &fence.reason, limits::REASON_BYTES_MAX)?;
    count("chains kept", fence.keep.len(), limits::FENCE_CHAINS_MAX)?;
    if fence.keep.is_sorted_by(|one, next| one.chain < next.chain) {
        Ok(())
    } else {
        Err(Malformed::NotCanonical)
    }
}

fn incident(incident: &Incident) -> Result<(), Malformed> {
    name("deed", &incident.deed)?;
    name("rule", &incident.rule)?;
    text("detail", &incident.detail, limits::REASON_BYTES_MAX)?;
    if incident.times == 0 {
        return Err(Malformed::Limit("times"));
    }
    Ok(())
}

fn leave(leave: &Leave) -> Result<(), Malformed> {
    count("ends of logs", leave.ends.len(), limits::LEAVE_ENDS_MAX)?;
    if !leave.ends.is_sorted_by(|one, next| one < next) {
        return Err(Malformed::Limit("ends of logs"));
    }
    let staying = leave.staying.iter().map(|life| &life.node);
    nodes("staying members", staying)
}

fn expulsion(removal: &Expulsion) -> Result<(), Malformed> {
    count(
        "ends of logs",
        removal.ends.len(),
        limits::EXPULSION_ENDS_MAX,
    )?;
    let log = |one: &OrchestraEnd| (one.orchestra, one.end.incarnation);
    let once = removal.ends.is_sorted_by(|one, next| log(one) < log(next));
    if !once || removal.ends.iter().any(|one| one.end.seq == 0) {
        return Err(Malformed::Limit("ends of logs"));
    }
    text("reason", &removal.reason, limits::REASON_BYTES_MAX)?;
    nodes(
        "staying members",
        removal.staying.iter().map(|life| &life.node),
    )
}

fn rollback(rollback: &Rollback) -> Result<(), Malformed> {
    count("logs seen", rollback.seen.len(), limits::ROLLBACK_LOGS_MAX)?;
    if !rollback
        .seen
        .is_sorted_by(|one, next| one.incarnation < next.incarnation)
    {
        return Err(Malformed::NotCanonical);
    }
    text("reason", &rollback.reason, limits::REASON_BYTES_MAX)
}

/// A view has one name: its lists name each node once, in one order.
fn nodes<'a>(
    what: &'static str,
    nodes: impl ExactSizeIterator<Item = &'a NodeId>,
) -> Result<(), Malformed> {
    count(what, nodes.len(), limits::MEMBERS_MAX)?;
    if nodes.is_sorted_by(|one, next| one < next) {
        Ok(())
    } else {
        Err(Malformed::Limit(what))
    }
}

fn signal(signal: &Signal) -> Result<(), Malformed> {
    name("topic", &signal.topic)?;
    text("text", &signal.text, limits::TEXT_BYTES_MAX)?;
    if signal.lifetime_ms == 0 || signal.lifetime_ms > limits::LIFETIME_MS_MAX {
        return Err(Malformed::Limit("lifetime"));
    }
    Ok(())
}

fn claim(topic: &str, lease_ms: u64) -> Result<(), Malformed> {
    name("topic", topic)?;
    if !limits::LEASE_MS.contains(&lease_ms) {
        return Err(Malformed::Limit("lease"));
    }
    Ok(())
}

fn task(change: &TaskChange) -> Result<(), Malformed> {
    name("task", &change.task)?;
    count("fields", change.fields.len(), limits::TASK_FIELDS_MAX)?;
    if change.fields.is_empty() {
        return Err(Malformed::Limit("fields"));
    }
    for field in &change.fields {
        count("replaces", field.replaces.len(), limits::REPLACES_MAX)?;
        value(&field.value)?;
    }
    Ok(())
}

/// Whether a task's field may have this value: what is merged from several is held to the same as
/// what somebody writes.
pub fn value(value: &FieldValue) -> Result<(), Malformed> {
    match value {
        FieldValue::Created(kind) => text("type", kind, limits::NAME_BYTES_MAX),
        FieldValue::Title(title) => text("title", title, limits::TEXT_BYTES_MAX),
        FieldValue::Description(words) | FieldValue::Remark(words) => {
            text("description", words, limits::TEXT_BYTES_MAX)
        }
        FieldValue::Assignee(who) => text("assignee", who, limits::NAME_BYTES_MAX),
        FieldValue::Labels(labels) => tags(labels),
        FieldValue::Link { on, .. } => name("linked task", on),
        FieldValue::Status(_) | FieldValue::Priority(_) => Ok(()),
    }
}

/// A name: not empty, not long, no control or bidirectional formatting characters, since it is
/// shown on one line beside other names and must not be able to disguise itself.
pub fn name(what: &'static str, name: &str) -> Result<(), Malformed> {
    let disguises = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if name.trim().is_empty() {
        return Err(Malformed::Empty(what));
    }
    fits(what, name, limits::NAME_BYTES_MAX)?;
    undisguised(what, name, disguises)
}

fn fits(what: &'static str, text: &str, max: usize) -> Result<(), Malformed> {
    let bytes = text.len();
    if bytes > max {
        return Err(Malformed::TooLong { what, bytes, max });
    }
    Ok(())
}

fn undisguised(
    what: &'static str,
    text: &str,
    disguises: impl Fn(char) -> bool,
) -> Result<(), Malformed> {
    match text.chars().find(|c| disguises(*c)) {
        Some(found) => Err(Malformed::Disguised { what, found }),
        None => Ok(()),
    }
}

pub(crate) fn text(what: &'static str, text: &str, max: usize) -> Result<(), Malformed> {
    fits(what, text, max)?;
    undisguised(what, text, |c| {
        c.is_control() && !matches!(c, '\n' | '\r' | '\t')
    })
}

fn tags(tags: &[String]) -> Result<(), Malformed> {
    count("tags", tags.len(), limits::TAGS_MAX)?;
    tags.iter()
        .try_for_each(|tag| text("tag", tag, limits::NAME_BYTES_MAX))
}

pub(crate) fn count(what: &'static str, count: usize, max: usize) -> Result<(), Malformed> {
    if count > max {
        Err(Malformed::Limit(what))
    } else {
        Ok(())
    }
}
