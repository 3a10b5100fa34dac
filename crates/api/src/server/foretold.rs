//! What comes next of a source of events: learnt from the latest records that the node holds, told once, or
//! anew after each event, as server-sent events (`docs/decisions/033-what-comes-next-is-read-from-stamps.md`).

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use unisono_core::ensemble::{Came, EventSource, Plan};
use unisono_core::node::Question;
use unisono_core::orchestra::view::{RecordView, Verdict};
use unisono_core::replication::{Cursor, LogTag};
use unisono_model::{Action, AgentId, Digest, OrchestraId, Stamp};

use super::backwards::Backwards;
use super::edge::{Edge, Told, checked_name};
use super::following::{Following as _, Looking, Outgoing};
use super::refusal::Refusal;
use super::streams::{Numbered, Pages};
use super::terms::{Names, NowParams, ReadTerms, Terms};
use crate::dto::{
    CameShown, Digits, EventKindWord, ForetoldShown, NextShown, PlanWord, ReliabilityShown, to_ms,
};
use crate::limits::{
    FORETOLD_EVENTS_MAX, FORETOLD_FROM, FORETOLD_FROM_MAX, FORETOLD_LOOK_EVERY,
    FORETOLD_PREPARE_MS_MAX, FORETOLD_WITHIN_MS, FORETOLD_WITHIN_MS_RANGE, WAIT_MS,
};

/// Which records are events of the source, and what is asked of it.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(
    dead_code,
    reason = "describes the query to readers of the OpenAPI document"
)]
pub(crate) struct SourceParams {
    /// Only what this agent does, by its name or key.
    agent: Option<String>,
    /// Only what is about this: of signals, claims and decisions the topic, of marks what they are about, of
    /// tasks, barriers and cues the name.
    topic: Option<String>,
    /// Only this.
    #[param(inline, value_type = Option<EventKindWord>)]
    kind: Option<String>,
    /// An event is foretold if it comes within so much of its time (ms), 0.001 to 86400000; 100 if left out.
    within_ms: Option<f64>,
    /// How long it takes to prepare for one (ms), 86400000 at most; nothing if left out.
    prepare_ms: Option<u64>,
    /// In how many of the latest records to look for events, 1 to 16384; 4096 if left out.
    from: Option<usize>,
}

/// When the next event of a source comes, and how sure that is: of an agent, about a topic, of a kind, or
/// what fits several of these. Times are those of the records' stamps; records that do not count are no
/// events.
#[utoipa::path(get, path = "/v1/orchestras/{o}/foretold", tag = "reads",
    params(("o" = String, Path, description = "The orchestra's name"), SourceParams, NowParams),
    responses((status = 200, body = ForetoldShown)))]
pub(crate) async fn foretold(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    mut terms: Terms,
) -> Result<Response, Refusal> {
    let orchestra = edge.orchestra(&o)?;
    let asked = AskedOf::read(&mut terms)?;
    let (told, _) = edge
        .ask(orchestra, Question::State, terms.read_now()?)
        .await?;
    let (learner, _) = Learner::learn(&edge, orchestra, asked, &told.cursor, None).await?;
    Ok(told.json(StatusCode::OK, &learner.shown(told.as_of, None)))
}

/// Tells the same, and again after each event, with whether what was foretold of it came true, and when what
/// was foretold has not come. Each event's id is a cursor: whoever comes back with it is told what has come
/// since, on any node; an event may come twice then. Whoever reads too slowly is told later.
#[utoipa::path(get, path = "/v1/orchestras/{o}/foretold/stream", operation_id = "follow_foretold",
    tag = "streams",
    params(("o" = String, Path, description = "The orchestra's name"), SourceParams,
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event seen")),
    responses((status = 200, content_type = "text/event-stream", body = ForetoldShown)))]
pub(crate) async fn stream(
    State(edge): State<Edge>,
    Names(o): Names<String>,
    terms: Terms,
) -> Result<Response, Refusal> {
    let (follower, told) = Follower::start(edge, &o, terms).await?;
    Ok(follower.into_response(&told))
}

/// Which source, and what is asked of it.
#[derive(Clone, Debug)]
struct AskedOf {
    agent: Option<String>,
    topic: Option<String>,
    kind: Option<EventKindWord>,
    within_ms: f64,
    prepare_ns: u64,
    from: usize,
}

impl AskedOf {
    fn read(terms: &mut Terms) -> Result<Self, Refusal> {
        let mut name = |what: &'static str| {
            let name = terms.text(what)?;
            if let Some(name) = &name {
                checked_name(what, name)?;
            }
            Ok::<_, Refusal>(name)
        };
        let (agent, topic) = (name("agent")?, name("topic")?);
        let kind = terms.word("kind")?;
        if agent.is_none() && topic.is_none() && kind.is_none() {
            return Err(Refusal::malformed(
                "name what is to be foretold: an `agent`, a `topic`, a `kind`, or several of them",
            ));
        }
        let (least, most) = FORETOLD_WITHIN_MS_RANGE;
        let prepare_ms = terms.number("prepare_ms", 0..=FORETOLD_PREPARE_MS_MAX)?;
        Ok(Self {
            agent,
            topic,
            kind,
            within_ms: terms
                .number("within_ms", least..=most)?
                .unwrap_or(FORETOLD_WITHIN_MS),
            prepare_ns: prepare_ms.unwrap_or_default() * 1_000_000,
            from: terms
                .number("from", 1..=FORETOLD_FROM_MAX)?
                .unwrap_or(FORETOLD_FROM),
        })
    }

    fn within_ns(&self) -> u64 {
        (self.within_ms * 1e6).round() as u64
    }

    /// The event that a record is, if it is one of this source.
    fn event(&self, record: RecordView) -> Option<Heard> {
        let action = &record.action;
        let is_of = |agent: &String| record.name == *agent || record.agent.to_string() == *agent;
        let is_about = |topic: &String| about(action) == Some(topic.as_str());
        // What was set aside has happened all the same.
        let is_event = record.verdict != Verdict::Void
            && EventKindWord::of(action).is_some()
            && self.agent.as_ref().is_none_or(is_of)
            && self.topic.as_ref().is_none_or(is_about)
            && self.kind.is_none_or(|kind| kind.is(action));
        is_event.then(|| Heard {
            record: record.place.record,
            at: record.place.stamp,
            agent: record.agent,
            name: record.name,
            log: LogTag::of(&record.log),
            bundle: record.bundle,
        })
    }
}

/// What an action is about.
fn about(action: &Action) -> Option<&str> {
    let signal = action.signal().map(|signal| signal.topic.as_str());
    signal.or(match action {
        Action::Claim { topic, .. }
        | Action::Renew { topic, .. }
        | Action::Release { topic, .. } => Some(topic),
        Action::Mark(mark) => Some(&mark.about),
        Action::Decide(decide) => Some(&decide.topic),
        Action::Task(change) => Some(&change.task),
        Action::Arrive(arrival) => Some(&arrival.barrier),
        Action::Cue(cue) => Some(&cue.name),
        _ => None,
    })
}

/// An event of a source.
#[derive(Clone, Debug)]
struct Heard {
    record: Digest,
    at: Stamp,
    agent: AgentId,
    name: String,
    log: LogTag,
    bundle: u64,
}

/// A source that is learnt.
struct Learner {
    asked: AskedOf,
    source: EventSource,
    since: Option<Stamp>,
    looked_at: usize,
    events: u64,
    last: Option<Stamp>,
}

impl Learner {
    /// Learns from the latest records up to a cursor. Gives also what has come since another cursor.
    async fn learn(
        edge: &Edge,
        orchestra: OrchestraId,
        asked: AskedOf,
        end: &Cursor,
        seen: Option<&Cursor>,
    ) -> Result<(Self, Vec<CameShown>), Refusal> {
        let found = Backwards::new(edge, orchestra, end)
            .read(asked.from, FORETOLD_EVENTS_MAX, |record| {
                asked.event(record)
            })
            .await?;
        let mut learner = Self {
            source: EventSource::new(asked.within_ns()),
            asked,
            since: found.since,
            looked_at: found.looked_at,
            events: 0,
            last: None,
        };
        let is_new = |heard: &Heard| {
            seen.is_some_and(|seen| seen.0.get(&heard.log).is_none_or(|seq| *seq < heard.bundle))
        };
        let mut came = Vec::new();
        let left_out = found.kept.len().saturating_sub(FORETOLD_EVENTS_MAX);
        for (_, heard) in found.kept.into_iter().skip(left_out) {
            let new = is_new(&heard);
            let shown = learner.hear(heard);
            came.extend(shown.filter(|_| new));
        }
        Ok((learner, came))
    }

    /// Learns from one more; nothing where it is not after the one before.
    fn hear(&mut self, heard: Heard) -> Option<CameShown> {
        let came = self.source.came(heard.at.as_ns());
        let (foretold, off_ms, came_true) = match came {
            Came::OutOfOrder => return None,
            Came::Unforetold => (None, None, None),
            Came::Foretold {
                foretold,
                off_ns,
                came_true,
            } => (
                Some(NextShown::from(&foretold)),
                Some(to_ms(off_ns as f64)),
                Some(came_true),
            ),
        };
        self.events += 1;
        self.last = Some(heard.at);
        Some(CameShown {
            record: heard.record,
            at: heard.at.into(),
            at_ns: Digits(heard.at.as_ns()),
            agent: heard.agent,
            name: heard.name,
            foretold,
            off_ms,
            came_true,
        })
    }

    /// What is foretold as of a moment.
    fn shown(&self, now: Stamp, came: Option<CameShown>) -> ForetoldShown {
        let now_ns = now.as_ns();
        let intervals = self.source.intervals();
        let is_overdue = self.source.is_overdue(now_ns);
        let foretold = self.source.next();
        let shown = foretold.as_ref().map(NextShown::from);
        let (overdue, next) = if is_overdue {
            (shown, None)
        } else {
            (None, shown)
        };
        let (plan, prepare_at_ns) = match self.source.plan(self.asked.prepare_ns) {
            Plan::Prepare { from_ns } if !is_overdue => (PlanWord::Prepare, Some(Digits(from_ns))),
            Plan::Prepare { .. } | Plan::React => (PlanWord::React, None),
        };
        let in_ns = |next: &NextShown| next.at_ns.0.wrapping_sub(now_ns).cast_signed();
        ForetoldShown {
            now: now.into(),
            within_ms: self.asked.within_ms,
            since: self.since.map(Into::into),
            looked_at: self.looked_at as u64,
            events: self.events,
            last: self.last.map(Into::into),
            mean_ms: intervals.map(|known| to_ms(known.mean_ns)),
            spread_ms: intervals.and_then(|known| known.spread_ns).map(to_ms),
            in_ms: next.as_ref().map(|next| to_ms(in_ns(next) as f64)),
            next,
            overdue,
            plan,
            prepare_at_ns,
            reliability: ReliabilityShown::of(self.source.reliability()),
            came,
        }
    }
}

/// A stream of what is foretold.
struct Follower {
    learner: Learner,
    pages: Pages,
    outgoing: Outgoing,
    /// The latest moment that the node has told.
    now: Stamp,
    /// Whether it was told that what is foretold is overdue.
    overdue: bool,
}

impl Follower {
    async fn start(edge: Edge, o: &str, mut terms: Terms) -> Result<(Self, Told), Refusal> {
        let orchestra = edge.orchestra(o)?;
        let seen = terms.last_event()?;
        let asked = AskedOf::read(&mut terms)?;
        terms.end()?;
        let outgoing = Outgoing::new(&edge, orchestra)?;
        let terms = ReadTerms {
            deadline_ms: WAIT_MS,
            ..ReadTerms::default()
        };
        let (told, _) = edge.ask(orchestra, Question::State, terms).await?;
        let (learner, came) =
            Learner::learn(&edge, orchestra, asked, &told.cursor, seen.as_ref()).await?;
        let mut follower = Self {
            overdue: learner.source.is_overdue(told.as_of.as_ns()),
            learner,
            pages: Pages {
                edge,
                orchestra,
                after: Some(told.cursor.clone()),
                as_of: None,
            },
            outgoing,
            now: told.as_of,
        };
        let id = told.cursor.to_text();
        // What has come since is told with what is foretold now: what was in between is over.
        if came.is_empty() {
            follower.tell(&id, None);
        }
        for came in came {
            follower.tell(&id, Some(came));
        }
        Ok((follower, told))
    }

    fn tell(&mut self, id: &str, came: Option<CameShown>) {
        let shown = self.learner.shown(self.now, came);
        let data = serde_json::to_string(&shown).expect("texts and numbers");
        self.outgoing
            .ready
            .push_back(Event::default().event("foretold").id(id).data(data));
    }
}

impl Looking for Follower {
    fn outgoing(&mut self) -> &mut Outgoing {
        &mut self.outgoing
    }

    /// Waits until something is new, or what is foretold is overdue.
    async fn wait(&mut self) {
        let due = self.learner.source.next().filter(|_| !self.overdue);
        let Some(due) = due else {
            return self.outgoing.wakes.woken().await;
        };
        let over_ns = due.at_ns.saturating_add(self.learner.asked.within_ns());
        let left = Duration::from_nanos(over_ns.saturating_sub(self.now.as_ns()));
        tokio::select! {
            () = self.outgoing.wakes.woken() => {}
            () = tokio::time::sleep(left.max(FORETOLD_LOOK_EVERY)) => {}
        }
    }

    /// Looks at the next page.
    async fn look(&mut self) -> Result<(), Refusal> {
        let cursor = self.pages.after.clone().unwrap_or_default();
        let (told, page) = self.pages.next().await?;
        (self.now, self.outgoing.more) = (told.as_of, page.more);
        let mut records = Numbered::new(cursor, page);
        while let Some(record) = records.next() {
            let heard = self.learner.asked.event(record);
            if let Some(came) = heard.and_then(|heard| self.learner.hear(heard)) {
                self.tell(&records.cursor().to_text(), Some(came));
            }
        }
        let is_overdue = self.learner.source.is_overdue(self.now.as_ns());
        if is_overdue && !self.overdue && !self.outgoing.more {
            self.tell(&records.cursor().to_text(), None);
        }
        self.overdue = is_overdue;
        Ok(())
    }
}
