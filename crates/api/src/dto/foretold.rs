//! What is foretold of a source of events, as it is shown: when the next one comes, how sure that is, and
//! how often what was stated came true.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use unisono_core::ensemble::{Foretold, Reliability};
use unisono_model::{Action, AgentId, Digest, FieldValue, Stamp, TaskStatus};
use utoipa::ToSchema;

use super::ensemble::Digits;
use super::moment::Moment;
use super::words::PatternWord;

/// What an agent does that may be an event of a source.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKindWord {
    /// It says how it is.
    Presence,
    /// It emits a signal.
    Emit,
    /// It claims a topic.
    Claim,
    /// It prolongs a lease.
    Renew,
    /// It gives a topic back.
    Release,
    /// It makes a mark.
    Mark,
    /// It ends an iteration.
    Advance,
    /// It makes or changes a task, also by closing it.
    Task,
    /// It closes a task.
    Closed,
    /// It writes, moves or removes a file.
    Write,
    /// It approves or rejects something.
    Approve,
    /// It arrives at a barrier.
    Arrive,
    /// It gives a cue.
    Cue,
    /// It answers one.
    Answer,
    /// It tells how punctual it was.
    Played,
    /// It decides something.
    Decide,
    /// It says what helps against an error.
    Remedy,
    /// It says whether that helped.
    Outcome,
}

/// Whether to prepare for the next event.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlanWord {
    /// It is foretold surely enough.
    Prepare,
    /// Wait until it comes.
    React,
}

/// A source of events, and what is foretold of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ForetoldShown {
    /// As of when, by the node's clock that stamps records.
    pub now: Moment,
    /// An event is foretold if it comes within so much of its time (ms).
    pub within_ms: f64,
    /// From which time on every record was looked at; none: all that the node holds were.
    pub since: Option<Moment>,
    /// How many records that were.
    pub looked_at: u64,
    /// How many of them are events of this source and count here: the latest, with those that have come
    /// since.
    pub events: u64,
    /// When the latest of them came.
    pub last: Option<Moment>,
    /// The mean of the latest intervals, 64 at most (ms).
    pub mean_ms: Option<f64>,
    /// By how much they differ from it, one standard deviation (ms).
    pub spread_ms: Option<f64>,
    /// The next event; none while too little is known, and once it is overdue.
    pub next: Option<NextShown>,
    /// What was foretold and has not come within the tolerance: nothing is foretold until it comes.
    pub overdue: Option<NextShown>,
    /// How long it is from now until the next event (ms).
    pub in_ms: Option<f64>,
    /// Whether to prepare for it.
    pub plan: PlanWord,
    /// When to begin with that: its time less what was said to be needed (ns since the Unix epoch).
    #[schema(value_type = Option<String>)]
    pub prepare_at_ns: Option<Digits>,
    /// How often what was stated came true: the tenths of confidence that were ever stated.
    pub reliability: Vec<ReliabilityShown>,
    /// The event that came just now, where this tells of one.
    pub came: Option<CameShown>,
}

/// An event that is foretold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NextShown {
    /// When it comes (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub at_ns: Digits,
    /// The same (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// By which pattern.
    pub pattern: PatternWord,
    /// With which probability it comes within the tolerance of that time, calibrated by what came true.
    pub confidence: f64,
    /// The same before that.
    pub stated: f64,
}

/// How often what was stated with about this confidence came true.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReliabilityShown {
    /// The middle of the tenth in which it was stated.
    pub stated: f64,
    /// The share that came true.
    pub came_true: f64,
    /// Of how many.
    pub cases: u64,
}

/// An event that came, and what was foretold of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CameShown {
    /// Its record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When: the record's stamp.
    pub at: Moment,
    /// The same (ns since the Unix epoch).
    #[schema(value_type = String)]
    pub at_ns: Digits,
    /// By whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What was foretold of it, if anything was.
    pub foretold: Option<NextShown>,
    /// How long after that it came (ms); negative: before.
    pub off_ms: Option<f64>,
    /// Whether that lies within the tolerance.
    pub came_true: Option<bool>,
}

impl EventKindWord {
    /// Whether an action is of this kind.
    pub fn is(self, action: &Action) -> bool {
        match self {
            Self::Task => matches!(action, Action::Task(_)),
            other => Self::of(action) == Some(other),
        }
    }

    /// The kind of an action; none of what is no event of any source: rights, members, settings.
    pub fn of(action: &Action) -> Option<Self> {
        Some(match action {
            Action::Presence(_) => Self::Presence,
            Action::Signal(_) | Action::Across(_) => Self::Emit,
            Action::Claim { .. } => Self::Claim,
            Action::Renew { .. } => Self::Renew,
            Action::Release { .. } => Self::Release,
            Action::Mark(_) => Self::Mark,
            Action::Advance { .. } => Self::Advance,
            Action::Task(change) => {
                let closed = FieldValue::Status(TaskStatus::Closed);
                if change.fields.iter().any(|field| field.value == closed) {
                    Self::Closed
                } else {
                    Self::Task
                }
            }
            Action::Write(_) => Self::Write,
            Action::Approve(_) => Self::Approve,
            Action::Arrive(_) => Self::Arrive,
            Action::Cue(_) => Self::Cue,
            Action::Answer(_) => Self::Answer,
            Action::Played(_) => Self::Played,
            Action::Decide(_) => Self::Decide,
            Action::Remedy(_) => Self::Remedy,
            Action::Outcome(_) => Self::Outcome,
            _ => return None,
        })
    }
}

impl From<&Foretold> for NextShown {
    fn from(foretold: &Foretold) -> Self {
        Self {
            at_ns: Digits(foretold.at_ns),
            time: Moment::from(Stamp::from_ns(foretold.at_ns)).time,
            pattern: foretold.pattern.into(),
            confidence: rounded(foretold.confidence),
            stated: rounded(foretold.stated),
        }
    }
}

impl ReliabilityShown {
    /// The tenths in which anything was stated.
    pub fn of(reliability: &Reliability) -> Vec<Self> {
        let bins = reliability.curve().filter(|(.., cases)| *cases > 0.0);
        let shown = bins.map(|(stated, came_true, cases)| Self {
            stated: rounded(stated),
            came_true: rounded(came_true),
            cases: cases as u64,
        });
        shown.collect()
    }
}

/// Nanoseconds as milliseconds, to a microsecond.
#[cfg(feature = "server")]
pub(crate) fn to_ms(ns: f64) -> f64 {
    (ns / 1e3).round() / 1e3
}

/// A share, to a ten-thousandth.
fn rounded(share: f64) -> f64 {
    (share * 1e4).round() / 1e4
}
