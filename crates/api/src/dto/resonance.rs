//! Interference, coherence and the brief, as they are shown.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unisono_core::orchestra::view as core;
use unisono_core::replication::{Cursor, LogTag};
use unisono_model::{AgentId, Digest, Resolve, Seen};
use utoipa::ToSchema;

use super::answer::HeadBody;
use super::moment::Moment;
use super::words::{
    BriefPartWord, DriftWord, InterferenceWord, ResolutionWord, SeverityWord, TermWord,
};

/// Says how an interference was resolved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveBody {
    /// Which: its id, as it is listed.
    #[schema(value_type = String)]
    pub interference: Digest,
    /// In which way.
    pub how: ResolutionWord,
    /// What was decided.
    #[serde(default)]
    pub outcome: String,
    /// The record of the mark that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mark: Option<Digest>,
}

/// The agent says what it has seen.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeenBody {
    /// The cursor of what it has read, as reads give it (header Unisono-Cursor).
    #[serde(serialize_with = "write_cursor", deserialize_with = "read_cursor")]
    #[schema(value_type = String)]
    pub cursor: Cursor,
}

fn write_cursor<S: Serializer>(cursor: &Cursor, into: S) -> Result<S::Ok, S::Error> {
    into.serialize_str(&cursor.to_text())
}

fn read_cursor<'de, D: Deserializer<'de>>(from: D) -> Result<Cursor, D::Error> {
    let text = String::deserialize(from)?;
    Cursor::from_text(&text).ok_or_else(|| D::Error::custom("cursor is none that a node gave out"))
}

impl From<SeenBody> for Seen {
    fn from(body: SeenBody) -> Self {
        let logs = body.cursor.0.into_iter();
        Self {
            logs: logs.map(|(tag, bundle)| (tag.0, bundle)).collect(),
        }
    }
}

impl From<Seen> for SeenBody {
    fn from(seen: Seen) -> Self {
        let logs = seen.logs.into_iter();
        Self {
            cursor: Cursor(logs.map(|(tag, bundle)| (LogTag(tag), bundle)).collect()),
        }
    }
}

/// Interferences that stand: open ones first, then those that block, then the newest.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interferences {
    /// The first of them.
    pub interferences: Vec<Interference>,
    /// How many nobody has resolved.
    pub open: u64,
    /// How many somebody has, and that have not ended yet.
    pub resolved: u64,
    /// Whether there are more collisions or NEEDs than a node looks at (16384 of each): these are not
    /// counted.
    #[serde(default)]
    pub more: bool,
}

/// Where agents get in each other's way.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interference {
    /// Its name: the same on every replica.
    #[schema(value_type = String)]
    pub id: Digest,
    /// What kind.
    pub kind: InterferenceWord,
    /// Whether an agent that it names should yield.
    pub blocking: bool,
    /// The agents' names, the earlier side first.
    pub agents: Vec<String>,
    /// The two that get in each other's way; a need has one side.
    pub sides: Vec<Side>,
    /// Since when.
    pub since: Moment,
    /// When it ends by itself at the latest.
    pub until: Moment,
    /// How alike two intents are (‰); 1000 for the other kinds.
    pub likeness: u16,
    /// Who goes on by the rule of claims, where that decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_for: Option<String>,
    /// How it was resolved, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<ResolutionShown>,
}

/// One of the two.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    /// Its record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// Whose.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// About what.
    pub topic: String,
    /// In the agent's words.
    pub text: String,
}

/// How an interference was resolved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ResolutionShown {
    /// The record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// By whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which way.
    pub how: ResolutionWord,
    /// What was decided.
    pub outcome: String,
    /// The mark that proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub mark: Option<Digest>,
}

/// How coherent an orchestra is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Coherence {
    /// From 0 to 1: the sum of weight × share over the terms.
    pub coherence: f64,
    /// The same in thousandths.
    pub score: u64,
    /// What it is made of.
    pub terms: Vec<Term>,
    /// How many agents take part.
    pub agents: u64,
    /// Where they have come apart, worst first.
    pub drift: Vec<Drift>,
    /// What would make one whole of them.
    pub gluing: Vec<Gluing>,
}

/// One term of the score.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Term {
    /// Its name.
    pub term: TermWord,
    /// How much it counts (‰ of the score).
    pub weight: u64,
    /// The share of agents without fault (‰).
    pub share: u64,
    /// The agents with one.
    pub breakers: Vec<String>,
}

/// The terms of coherence with what stands behind them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoherenceExplained {
    /// From 0 to 1: the sum of weight × share over all terms.
    pub coherence: f64,
    /// How many agents take part.
    pub agents: u64,
    /// The terms: all, or the one that was asked for.
    pub terms: Vec<TermExplained>,
}

/// One term with what stands behind it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TermExplained {
    /// Its name.
    pub term: TermWord,
    /// What it is the share of.
    pub what: String,
    /// What counts as a fault.
    pub fault: String,
    /// How much it counts (‰ of the score).
    pub weight: u64,
    /// The share of agents without fault (‰).
    pub share: u64,
    /// How much it takes from the score (‰, rounded up).
    pub lost: u64,
    /// Who lowers it.
    pub lowered_by: Vec<LoweredBy>,
}

/// An agent that lowers a term.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoweredBy {
    /// The agent's name.
    pub name: String,
    /// By what, the worst first.
    pub why: Vec<String>,
    /// How many more reasons there are.
    pub more: u64,
}

/// Agents that have come apart.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// How.
    pub kind: DriftWord,
    /// How bad it is.
    pub severity: SeverityWord,
    /// Whose.
    pub agents: Vec<String>,
    /// What shows it.
    pub evidence: String,
    /// How it ends.
    pub remedy: String,
    /// Whether it ends by itself, without anybody's decision.
    pub resolves_itself: bool,
}

/// How coherent an orchestra is, and what of it is new.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CoherenceChange {
    /// As of when.
    pub at: Moment,
    /// From 0 to 1.
    pub coherence: f64,
    /// The same in thousandths.
    pub score: u64,
    /// How many agents take part.
    pub agents: u64,
    /// The conditions, whether or not they have changed.
    pub gluing: Vec<Gluing>,
    /// Drifts that have begun, or that are worse or better than they were; in the first event all.
    pub begun: Vec<Drift>,
    /// Drifts that are over, or that are worse or better now.
    pub ended: Vec<Drift>,
}

/// A condition under which the agents' views make one whole.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Gluing {
    /// What must be so.
    pub condition: String,
    /// Whether it is.
    pub holds: bool,
    /// Who breaks it.
    pub breakers: Vec<String>,
}

/// What an agent needs to know to go on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Brief {
    /// The agent's name.
    pub agent: String,
    /// Whether an agent of that name is enrolled.
    pub known: bool,
    /// The lines, in the order in which they are shown.
    pub lines: Vec<BriefLineShown>,
    /// How many lines did not fit, by part.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub left_out: BTreeMap<BriefPartWord, u64>,
    /// How many tokens the text has.
    pub tokens: u64,
    /// What they were counted by: a tokenizer, or `bytes/3.5` where none could be had.
    #[serde(default)]
    pub counted_with: String,
    /// How many it might have.
    pub max_tokens: u64,
    /// Only what is new since this moment; left out where everything is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub since: Option<String>,
    /// The same as Markdown.
    pub markdown: String,
}

/// One line of a brief.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BriefLineShown {
    /// Where it stands.
    pub part: BriefPartWord,
    /// What it says.
    pub text: String,
    /// Whether it goes in before all that is not.
    pub pinned: bool,
    /// The record that it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub record: Option<Digest>,
}

impl From<ResolveBody> for Resolve {
    fn from(body: ResolveBody) -> Self {
        Self {
            interference: body.interference,
            how: body.how.into(),
            outcome: body.outcome,
            mark: body.mark,
        }
    }
}

impl From<Resolve> for ResolveBody {
    fn from(resolve: Resolve) -> Self {
        Self {
            interference: resolve.interference,
            how: resolve.how.into(),
            outcome: resolve.outcome,
            mark: resolve.mark,
        }
    }
}

impl From<core::InterferencesView> for Interferences {
    fn from(view: core::InterferencesView) -> Self {
        let interferences = view.interferences.into_iter().map(Into::into).collect();
        Self {
            interferences,
            open: view.open,
            resolved: view.resolved,
            more: view.more,
        }
    }
}

impl From<core::InterferenceView> for Interference {
    fn from(view: core::InterferenceView) -> Self {
        Self {
            id: view.id,
            kind: view.kind.into(),
            blocking: view.blocking,
            agents: view.sides.iter().map(|side| side.name.clone()).collect(),
            sides: view.sides.into_iter().map(Into::into).collect(),
            since: view.since.into(),
            until: view.until.into(),
            likeness: view.likeness,
            decided_for: view.decided_for,
            resolution: view.resolution.map(Into::into),
        }
    }
}

impl From<core::SideView> for Side {
    fn from(view: core::SideView) -> Self {
        Self {
            place: view.place.into(),
            agent: view.agent,
            name: view.name,
            topic: view.topic,
            text: view.text,
        }
    }
}

impl From<core::ResolutionView> for ResolutionShown {
    fn from(view: core::ResolutionView) -> Self {
        Self {
            place: view.place.into(),
            agent: view.agent,
            name: view.name,
            how: view.how.into(),
            outcome: view.outcome,
            mark: view.mark,
        }
    }
}

impl From<core::CoherenceView> for Coherence {
    fn from(view: core::CoherenceView) -> Self {
        let term = |term: core::TermView| Term {
            term: term.term.into(),
            weight: term.weight,
            share: term.share,
            breakers: term.breakers,
        };
        let drift = |drift: core::DriftView| Drift {
            kind: drift.kind.into(),
            severity: drift.severity.into(),
            agents: drift.names,
            evidence: drift.evidence,
            remedy: drift.remedy,
            resolves_itself: drift.resolves_itself,
        };
        let gluing = |one: core::GluingView| Gluing {
            condition: one.condition,
            holds: one.holds,
            breakers: one.breakers,
        };
        Self {
            coherence: view.score as f64 / 1_000.0,
            score: view.score,
            terms: view.terms.into_iter().map(term).collect(),
            agents: view.agents,
            drift: view.drift.into_iter().map(drift).collect(),
            gluing: view.gluing.into_iter().map(gluing).collect(),
        }
    }
}

impl From<core::ExplainedView> for CoherenceExplained {
    fn from(view: core::ExplainedView) -> Self {
        let by = |one: core::LoweredBy| LoweredBy {
            name: one.name,
            why: one.why,
            more: one.more,
        };
        let term = |one: core::TermExplained| TermExplained {
            term: one.term.into(),
            what: one.what,
            fault: one.fault,
            weight: one.weight,
            share: one.share,
            lost: one.lost,
            lowered_by: one.lowered_by.into_iter().map(by).collect(),
        };
        Self {
            coherence: view.score as f64 / 1_000.0,
            agents: view.agents,
            terms: view.terms.into_iter().map(term).collect(),
        }
    }
}

impl From<core::BriefView> for Brief {
    fn from(view: core::BriefView) -> Self {
        let markdown = view.markdown();
        let line = |line: core::BriefLine| BriefLineShown {
            part: line.part.into(),
            text: line.text,
            pinned: line.pinned,
            record: line.record,
        };
        let left_out = view.left_out.into_iter();
        Self {
            agent: view.agent,
            known: view.known,
            lines: view.lines.into_iter().map(line).collect(),
            left_out: left_out.map(|(part, n)| (part.into(), n)).collect(),
            tokens: view.tokens,
            counted_with: String::new(),
            max_tokens: view.tokens_max,
            since: view.since.map(|stamp| stamp.to_string()),
            markdown,
        }
    }
}
