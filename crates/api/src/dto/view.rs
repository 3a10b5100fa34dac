//! An orchestra's views, as they are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view as core;
use unisono_core::orchestra::view::ConflictView;
use unisono_model::{AgentId, Digest};
use utoipa::ToSchema;

use super::answer::HeadBody;
use super::moment::Moment;
use super::task::Tasks;
use super::words::{
    AgentKindWord, ClaimStatusWord, HeldWord, PhaseWord, SettingWord, SignalKindWord, StatusWord,
    StrategyWord, TaskStatusWord, UrgencyWord,
};

// A list always stands in an object, so that something can be added beside it later.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident { $field:ident: $item:ty })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            /// Each once.
            pub $field: Vec<$item>,
        }
    )*};
}

/// A list that comes page by page.
pub trait Paged {
    /// Where the next page begins, if there is one.
    fn next_after(&self) -> Option<&str>;

    /// Takes the next page.
    fn append(&mut self, next: Self);
}

macro_rules! paged {
    ($name:ident { $field:ident }) => {
        impl Paged for $name {
            fn next_after(&self) -> Option<&str> {
                self.next_after.as_deref()
            }

            fn append(&mut self, mut next: Self) {
                self.$field.append(&mut next.$field);
                self.next_after = next.next_after;
            }
        }
    };
}

// Lists that can be long come page by page.
macro_rules! pages {
    ($($(#[$doc:meta])* $name:ident { $field:ident: $item:ty })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
        pub struct $name {
            /// Each once.
            pub $field: Vec<$item>,
            /// Where there are more: `after` of the next page. Ask for it as of the same moment.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub next_after: Option<String>,
        }

        paged!($name { $field });
    )*};
}

pages! {
    /// Enrolled agents.
    Agents { agents: Agent }
    /// How the agents are.
    Presences { presence: Presence }
    /// The signals that stand, most urgent and newest first.
    Signals { signals: Signal }
    /// Who holds what.
    Claims { claims: Claim }
}

paged!(Tasks { tasks });

lists! {
    /// The latest marks.
    MarkList { marks: MarkShown }
    /// The notes' names.
    Notes { notes: String }
    /// The configuration.
    ConfigValues { config: ConfigValue }
}

/// An orchestra in numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Which run it is; 0 where nobody has said.
    #[serde(default)]
    pub run: u64,
    /// The current iteration, from 1.
    pub iteration: u32,
    /// Derived from the iteration.
    pub phase: PhaseWord,
    /// Enrolled agents.
    pub agents: u64,
    /// Signals that stand.
    pub signals: u64,
    /// Claims that are held.
    pub claims: u64,
    /// Of these, claims that somebody else lost and that wait for their holder's renewal.
    pub contested: u64,
    /// Tasks by status.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub tasks: BTreeMap<TaskStatusWord, u64>,
    /// Task fields with concurrent values.
    pub task_conflicts: u64,
    /// Marks made.
    pub marks: u64,
    /// Valid records.
    pub records: u64,
    /// Records that wait for something that they refer to.
    pub pending: u64,
    /// Records that no longer count, or never did.
    pub void: u64,
    /// Valid records that a rollback has set aside.
    #[serde(default)]
    pub set_aside: u64,
    /// One idempotency key with two bodies: how often.
    pub key_conflicts: u64,
}

/// The current iteration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Iteration {
    /// Its number, from 1.
    pub iteration: u32,
    /// Derived from the number.
    pub phase: PhaseWord,
}

/// An enrolled agent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its first key: what it is known by for life.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The key that it signs with.
    #[schema(value_type = String)]
    pub key: AgentId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// What stands behind it.
    pub kind: AgentKindWord,
    /// Who holds its key.
    pub held: HeldWord,
    /// When it enrolled.
    pub since: HeadBody,
}

/// How an agent is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Presence {
    /// Who.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// What it is about.
    pub status: StatusWord,
    /// What it means to do.
    pub intent: String,
    /// What it looks at.
    pub focus: String,
    /// Its latest record.
    pub last_action: Moment,
    /// Nothing was heard of it for longer than the settings allow.
    pub stale: bool,
    /// Its marks in the current iteration.
    pub contributions: u64,
}

/// A signal that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Signal {
    /// Its record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// From whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What kind.
    pub kind: SignalKindWord,
    /// About what.
    pub topic: String,
    /// How much it matters.
    pub urgency: UrgencyWord,
    /// In words.
    pub text: String,
    /// Until when.
    pub expires: Moment,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// The mark that proves it.
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
    /// Another orchestra to which it is said too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_orchestra: Option<String>,
    /// The other orchestra from which it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_orchestra: Option<String>,
    /// Whether it concerns whoever asks (`as`): it is alike what that agent means to do, or of a topic
    /// that it holds, is asked for, or has said something of.
    #[serde(default)]
    pub near: bool,
}

/// Who holds a topic, or what became of one claim.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// The topic.
    pub topic: String,
    /// The claim's record.
    #[schema(value_type = String)]
    pub claim: Digest,
    /// Whose claim it is.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub holder: String,
    /// How sure it is.
    pub status: ClaimStatusWord,
    /// The fencing token: hand it to whatever the claim protects.
    pub token: Moment,
    /// Whether guards may accept the token; if not, the holder must renew.
    pub token_valid: bool,
    /// When the lease ends.
    pub until: Moment,
    /// Claims that lost against this one and were not given up yet.
    pub losers: Vec<Lost>,
    /// Where this claim lost: who holds the topic, and until when.
    pub held_by: Option<super::HeldBy>,
}

/// A claim that lost.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Lost {
    /// The claim's record.
    #[schema(value_type = String)]
    pub claim: Digest,
    /// Whose it is.
    #[schema(value_type = String)]
    pub agent: AgentId,
}

/// A field that was written by several at once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Conflict {
    /// Which field.
    pub field: String,
    /// Each value, in words, in the order of their stamps.
    pub values: Vec<String>,
    /// Who wrote each, and in which record.
    #[serde(default)]
    pub by: Vec<Writer>,
    /// What is done about it: the setting of this field.
    pub strategy: StrategyWord,
    /// Whether that has decided which value counts; else the writers are asked.
    #[serde(default)]
    pub decided: bool,
    /// Why the values could not be merged, where that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fell_back: Option<String>,
}

/// Who wrote a value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Writer {
    /// The agent.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The record.
    #[schema(value_type = String)]
    pub record: Digest,
    /// When.
    pub stamp: Moment,
}

impl From<ConflictView> for Conflict {
    fn from(view: ConflictView) -> Self {
        let by = view.values.iter().map(|(place, agent, _)| Writer {
            agent: *agent,
            record: place.record,
            stamp: place.stamp.into(),
        });
        Self {
            field: view.field,
            by: by.collect(),
            values: view.values.into_iter().map(|(_, _, value)| value).collect(),
            strategy: view.strategy.into(),
            decided: view.decided,
            fell_back: view.fell_back,
        }
    }
}

/// A witness mark.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MarkShown {
    /// Its record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// By whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// What was done.
    pub text: String,
    /// Why.
    pub reasoning: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// In which iteration.
    pub iteration: u32,
}

/// The settings that count.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// Each with its value.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub settings: BTreeMap<SettingWord, u64>,
}

/// A note.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Note {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A configuration value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigValue {
    /// The key.
    pub key: String,
    /// The value that counts.
    pub value: String,
    /// All values, where several were written at once.
    pub concurrent: Vec<ConfigWriter>,
}

/// One of several values that were written at once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ConfigWriter {
    /// The value.
    pub value: String,
    /// Who wrote it.
    pub writer: String,
}

/// Replicas that hold the same show the same at one stamp.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Hashes {
    /// Of all views.
    #[schema(value_type = String)]
    pub views: Digest,
    /// Of the logs' vector.
    #[schema(value_type = String)]
    pub vector: Digest,
    /// Of the heads of all documents.
    #[schema(value_type = String)]
    pub documents: Digest,
}

impl From<core::StateView> for State {
    fn from(view: core::StateView) -> Self {
        Self {
            name: view.name,
            run: view.run,
            iteration: view.iteration,
            phase: view.phase.into(),
            agents: view.agents,
            signals: view.signals,
            claims: view.claims,
            contested: view.contested,
            tasks: view
                .tasks
                .into_iter()
                .map(|(status, n)| (status.into(), n))
                .collect(),
            task_conflicts: view.task_conflicts,
            marks: view.marks,
            records: view.records,
            pending: view.pending,
            void: view.void,
            set_aside: view.set_aside,
            key_conflicts: view.key_conflicts,
        }
    }
}

impl From<core::AgentView> for Agent {
    fn from(view: core::AgentView) -> Self {
        Self {
            agent: view.agent,
            key: view.key,
            name: view.name,
            role: view.role,
            kind: view.kind.into(),
            held: view.held.into(),
            since: view.since.into(),
        }
    }
}

impl From<core::PresenceView> for Presence {
    fn from(view: core::PresenceView) -> Self {
        Self {
            agent: view.agent,
            name: view.name,
            role: view.role,
            status: view.status.into(),
            intent: view.intent,
            focus: view.focus,
            last_action: view.last_action.into(),
            stale: view.stale,
            contributions: view.contributions,
        }
    }
}

impl From<core::SignalView> for Signal {
    fn from(view: core::SignalView) -> Self {
        let (to_orchestra, from_orchestra) = match view.across {
            Some((other, true)) => (None, Some(other)),
            Some((other, false)) => (Some(other), None),
            None => (None, None),
        };
        Self {
            to_orchestra,
            from_orchestra,
            place: view.place.into(),
            agent: view.agent,
            name: view.name,
            kind: view.kind.into(),
            topic: view.topic,
            urgency: view.urgency.into(),
            text: view.text,
            expires: view.expires.into(),
            iteration: view.iteration,
            evidence: view.evidence,
            near: view.near,
        }
    }
}

impl From<core::ClaimView> for Claim {
    fn from(view: core::ClaimView) -> Self {
        let lost = |(place, agent): (unisono_model::Place, AgentId)| Lost {
            claim: place.record,
            agent,
        };
        Self {
            topic: view.topic,
            claim: view.claim.record,
            agent: view.agent,
            holder: view.name,
            status: view.status.into(),
            token: view.token.into(),
            token_valid: view.token_valid,
            until: view.until.into(),
            losers: view.losers.into_iter().map(lost).collect(),
            held_by: view.held_by.map(|(holder, until)| super::HeldBy {
                holder,
                until: until.into(),
            }),
        }
    }
}

impl From<core::MarkView> for MarkShown {
    fn from(view: core::MarkView) -> Self {
        Self {
            place: view.place.into(),
            agent: view.agent,
            name: view.name,
            about: view.about,
            text: view.text,
            reasoning: view.reasoning,
            tags: view.tags,
            iteration: view.iteration,
        }
    }
}

impl From<core::NoteView> for Note {
    fn from(view: core::NoteView) -> Self {
        Self {
            name: view.name,
            text: view.text,
        }
    }
}

impl From<core::ConfigView> for ConfigValue {
    fn from(view: core::ConfigView) -> Self {
        let writer = |(value, writer)| ConfigWriter { value, writer };
        Self {
            key: view.key,
            value: view.value,
            concurrent: view.concurrent.into_iter().map(writer).collect(),
        }
    }
}

impl From<core::HashView> for Hashes {
    fn from(view: core::HashView) -> Self {
        Self {
            views: view.views,
            vector: view.vector,
            documents: view.documents,
        }
    }
}
