//! What people see: plain values, read from the folds as of a stamp.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::capability::Tier;
use unisono_model::{
    Action, AgentId, AgentKind, ChainCut, ChainId, ClusterId, Digest, Fence, Held, IdempotencyKey,
    Incident, LogId, NodeId, OrchestraId, Place, Rejection, Relation, RootWord, Setting, Stamp,
    Status, TaskStatus,
};

pub use super::brief::{BriefLine, BriefPart, BriefView};
pub use super::coherence::*;
pub use super::confirming::{ChangeStage, ChangeView, FollowerView, Follows};
pub use super::conflict::Strategy;
pub use super::cueing::{CueNotice, CueOutcome, CuePlan, CueStage, CueView, PartyView};
pub use super::explain::{ExplainedView, LoweredBy, TermExplained};
use super::fact::Fact;
pub use super::interference::view::{
    InterferenceKind, InterferenceView, InterferencesView, ResolutionView, SideView,
};
pub use super::judging::{FailureKind, FindingView, PlayersView, VariationView};
pub use super::leads::{LeadView, LeadsOf, LeadsView};
pub use super::lessons::view::*;
pub use super::performing::PerformerView;
pub use super::profiles::UnreliableView;
pub use super::read::{ClaimsWanted, SenseAfter, SignalsWanted};
pub use super::rollbacks::GoingBack;
pub use super::score::{BarrierView, OpeningView, PlayerView, TempoView};
pub use super::using::{OveruseView, UsageView};
use crate::replication::Cursor;
pub use files::{ApprovalView, FileView, PlanView, WriteView};
pub use signal::SignalView;
pub use status::{
    Counters, DamageView, EndsView, InviteView, MemberView, OrchestraView, StatusView,
};
pub use tokens::{RenewedView, TokenView};

mod files;
mod signal;
mod status;
mod tokens;

/// The answer to a question.
#[derive(Clone, Debug)]
pub enum View {
    /// To `Session`.
    Session(SessionView),
    /// To `State`.
    State(StateView),
    /// To `Agents`.
    Agents(Vec<AgentView>),
    /// To `Presences`.
    Presences(Vec<PresenceView>),
    /// To `Sense`.
    Signals(Vec<SignalView>),
    /// To `Interference`.
    Interference(InterferencesView),
    /// To `Coherence`.
    Coherence(CoherenceView),
    /// To `Explained`.
    Explained(ExplainedView),
    /// To `Continue`.
    Continue(BriefView),
    /// To `Claims`.
    Claims(Vec<ClaimView>),
    /// To `Tasks`.
    Tasks(Vec<TaskView>),
    /// To `Task`.
    Task(TaskView),
    /// To `Marks`.
    Marks(Vec<MarkView>),
    /// To `Trust`.
    Trust(TrustView),
    /// To `Alerts`.
    Alerts(AlertsView),
    /// To `Chains`.
    Chains(Vec<ChainCut>),
    /// To `Renewed`.
    Renewed(RenewedView),
    /// To `Ends`.
    Ends(EndsView),
    /// What an invite has come to; empty where nothing is known of it.
    Invite(InviteView),
    /// To `GoingBack`.
    GoingBack(Box<GoingBack>),
    /// To `Settings`.
    Settings(BTreeMap<Setting, u64>),
    /// To `Plan`; none: nobody has set one.
    Plan(Option<PlanView>),
    /// To `Files`.
    Files(Vec<FileView>),
    /// To `File`; none: it was never written.
    File(Option<FileView>),
    /// To `Approvals`.
    Approvals(Vec<ApprovalView>),
    /// To `Notes`.
    Notes(Vec<String>),
    /// To `Note`.
    Note(NoteView),
    /// To `Config`.
    Config(Vec<ConfigView>),
    /// To `Hash`.
    Hash(HashView),
    /// To `Records`.
    Records(RecordsView),
    /// To `Status`.
    Status(StatusView),
    /// To `Orchestras`.
    Orchestras(Vec<OrchestraView>),
    /// To `Proof`.
    Proof(Option<RecordView>),
    /// To `Tempo`.
    Tempo(TempoView),
    /// To `Barriers`.
    Barriers(Vec<BarrierView>),
    /// To `Cues`.
    Cues(Vec<CueView>),
    /// To `Leads`.
    Leads(LeadsView),
    /// To `Players`.
    Players(PlayersView),
    /// To `Performing`.
    Performing(Vec<PerformerView>),
    /// To `Decisions`.
    Decisions(Vec<DecisionView>),
    /// To `Remedies`.
    Remedies(Vec<RemedyView>),
    /// To `Fixes`.
    Fixes(FixesView),
}

/// Where an agent that signs itself continues.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionView {
    /// The cluster that stands in every signature.
    pub cluster: ClusterId,
    /// The orchestra that stands in every signature.
    pub orchestra: OrchestraId,
    /// The chain on this node.
    pub chain: ChainId,
    /// The number of its next record.
    pub next_seq: u64,
    /// The digest of its last record, or zeros.
    pub prev: Digest,
    /// Whether this node holds a valid enrolment of the agent; else the next record must be one.
    pub enrolled: bool,
    /// Keys that the agent had before this one, the latest first.
    pub succeeds: Vec<AgentId>,
    /// The key that has taken the place of this one: what this one signs is void.
    pub given_up_for: Option<AgentId>,
    /// The tier that it is enrolled for, if for one.
    pub tier: Option<Tier>,
    /// Heads of the agent's other chains, to be named in this chain's first record.
    pub predecessors: Vec<unisono_model::ChainHead>,
    /// The current iteration.
    pub iteration: u32,
    /// The node's time (ms since the Unix epoch).
    pub now_ms: u64,
}

/// An orchestra in numbers.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct StateView {
    /// Its name, where this node knows it.
    pub name: String,
    /// Which run it is; 0 where nobody has said.
    pub run: u64,
    /// The current iteration, from 1.
    pub iteration: u32,
    /// Derived from the iteration.
    pub phase: Phase,
    /// Enrolled agents.
    pub agents: u64,
    /// Signals that stand.
    pub signals: u64,
    /// Claims that are held.
    pub claims: u64,
    /// Of these, claims that somebody else lost and that wait for their holder's renewal.
    pub contested: u64,
    /// Tasks by status.
    pub tasks: BTreeMap<TaskStatus, u64>,
    /// Task fields with concurrent values.
    pub task_conflicts: u64,
    /// Marks made.
    pub marks: u64,
    /// Valid records counted.
    pub records: u64,
    /// Records that wait for something that they refer to.
    pub pending: u64,
    /// Records that no longer count, or never did.
    pub void: u64,
    /// Valid records that a rollback has set aside.
    pub set_aside: u64,
    /// Told conflicts: one idempotency key with two bodies.
    pub key_conflicts: u64,
}

/// What an orchestra is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the words are ORCHESTRA-1's own")]
pub enum Phase {
    Design,
    Execution,
    Reflection,
}

/// An enrolled agent.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AgentView {
    /// Its first key: what the agent is known by for life.
    pub agent: AgentId,
    /// The key that it signs with.
    pub key: AgentId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// What stands behind it.
    pub kind: AgentKind,
    /// Who holds its key.
    pub held: Held,
    /// When it enrolled.
    pub since: Place,
}

/// How an agent is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PresenceView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// What it is about.
    pub status: Status,
    /// What it means to do.
    pub intent: String,
    /// What it looks at.
    pub focus: String,
    /// Its latest record.
    pub last_action: Stamp,
    /// Nothing was heard of it for longer than the settings allow.
    pub stale: bool,
    /// Its marks in the current iteration.
    pub contributions: u64,
}

/// How sure a holding is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ClaimStatus {
    /// Granted as far as this node knows; a lower claim may still come from another member.
    Provisional,
    /// Every member has signed a head above it: nothing lower can come.
    Confirmed,
    /// This claim lost.
    Lost,
    /// The lease ended or was given back.
    Ended,
}

/// Who holds a topic, or what became of one claim.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ClaimView {
    /// The topic.
    pub topic: String,
    /// The claim's record.
    pub claim: Place,
    /// Whose claim it is.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// How sure it is.
    pub status: ClaimStatus,
    /// The fencing token: the stamp of the holder's latest claim or renewal.
    pub token: Stamp,
    /// Whether guards may accept the token. False while a losing claim has a higher one: the holder
    /// must renew.
    pub token_valid: bool,
    /// When the lease ends.
    pub until: Stamp,
    /// Claims that lost against the standing one and were not given up yet: place and agent.
    pub losers: Vec<(Place, AgentId)>,
    /// Where this claim lost: who holds the topic, and until when.
    pub held_by: Option<(String, Stamp)>,
}

/// A task.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TaskView {
    /// Its name.
    pub task: String,
    /// Of what type.
    pub kind: String,
    /// One line.
    pub title: String,
    /// Many lines.
    pub description: String,
    /// Where it stands.
    pub status: Option<TaskStatus>,
    /// 0 is most urgent.
    pub priority: Option<u8>,
    /// Who has it.
    pub assignee: String,
    /// Words on it.
    pub labels: Vec<String>,
    /// Its relations.
    pub links: Vec<(String, Relation)>,
    /// Relations left out because they would close a circle.
    pub circular: Vec<(String, Relation)>,
    /// Tasks not closed yet that it waits for.
    pub blocked_by: Vec<String>,
    /// How many remarks were made.
    pub remarks: u64,
    /// The mark that proves its end.
    pub evidence: Option<Digest>,
    /// Fields with more than one head.
    pub conflicts: Vec<ConflictView>,
    /// Per field, the records whose values stand: what the next change replaces.
    pub heads: Vec<(unisono_model::Field, Vec<Digest>)>,
    /// The latest change.
    pub changed: Option<Place>,
}

/// A field that several have written at once.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ConflictView {
    /// Which.
    pub field: String,
    /// What is done about it.
    pub strategy: Strategy,
    /// Whether that has decided which value counts; else its authors are asked.
    pub decided: bool,
    /// Why its values could not be merged, where that was wanted.
    pub fell_back: Option<String>,
    /// Each value's record and author, in order, and the value in words.
    pub values: Vec<(Place, AgentId, String)>,
}

/// A witness mark.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct MarkView {
    /// Its record.
    pub place: Place,
    /// By whom.
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

/// A note.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct NoteView {
    /// Its name.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A configuration value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ConfigView {
    /// The key.
    pub key: String,
    /// The value that Automerge lets win.
    pub value: String,
    /// All values, where several were written at once, each with the writer.
    pub concurrent: Vec<(String, String)>,
}

/// Two replicas that hold the same show the same digests at one stamp.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct HashView {
    /// Of all views.
    pub views: Digest,
    /// Of what they follow from: the logs' vector, and who took part by the cluster's own orchestra.
    pub vector: Digest,
    /// Of the heads of all documents.
    pub documents: Digest,
}

/// One record as it is shown.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RecordView {
    /// Where it stands.
    pub place: Place,
    /// By whom.
    pub agent: AgentId,
    /// The agent's name, where known.
    pub name: String,
    /// Its number in its chain.
    pub seq: u64,
    /// Its log.
    pub log: LogId,
    /// The bundle that carries it.
    pub bundle: u64,
    /// Who held the key.
    pub held: Held,
    /// The agent's time (ms).
    pub agent_ms: u64,
    /// The iteration.
    pub iteration: u32,
    /// The request's key.
    pub key: Option<IdempotencyKey>,
    /// The token under which it was done, by its last link.
    pub token: Option<Digest>,
    /// What was done.
    pub action: Action,
    /// Whether it counts.
    pub verdict: Verdict,
    /// The rollback that has set it aside, if one has: the first of those that stand.
    pub set_aside_by: Option<Place>,
}

impl RecordView {
    /// A record that nothing has set aside, under its agent's name.
    pub fn of(fact: Fact, name: String, verdict: Verdict) -> Self {
        let body = fact.body;
        Self {
            place: fact.place,
            agent: fact.agent,
            name,
            seq: fact.seq,
            log: fact.log,
            bundle: fact.bundle,
            held: body.held,
            agent_ms: body.agent_ms,
            iteration: body.iteration,
            key: body.key,
            token: body.token,
            action: body.action,
            verdict,
            set_aside_by: None,
        }
    }
}

/// Whether a record counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// It does.
    Valid,
    /// What it refers to is not held yet.
    Pending,
    /// It does not, or no longer.
    Void,
    /// It is valid, but a rollback has set it aside.
    SetAside,
}

/// A page of records.
#[derive(Clone, Debug)]
pub struct RecordsView {
    /// In this node's order.
    pub records: Vec<RecordView>,
    /// After these, for the next page.
    pub next: Cursor,
    /// Whether more is there already.
    pub more: bool,
    /// On the last page: what is missing behind it and will not come, if anything.
    pub lost: Option<Rejection>,
}

/// What rights stand, and what they have refused.
#[derive(Clone, Debug)]
pub struct TrustView {
    /// From which record on every action needs a token, if it does.
    pub guarded_from: Option<Place>,
    /// Tokens that were laid before the orchestra.
    pub tokens: Vec<TokenView>,
    /// What was fenced off, in order.
    pub fences: Vec<FenceView>,
    /// Keys that agents have given up for others, in order.
    pub rotations: Vec<RotationView>,
    /// Words that name roots of rights, the lowest number first.
    pub roots: Vec<RootView>,
    /// The latest records that do not count, newest first.
    pub voided: Vec<VoidedView>,
    /// The latest refusals, newest first.
    pub incidents: Vec<IncidentView>,
}

/// A root of rights that was named.
#[derive(Clone, Copy, Debug)]
pub struct RootView {
    /// What was said.
    pub word: RootWord,
    /// Until when it stands (ms since the Unix epoch), if another one was named.
    pub until_ms: Option<u64>,
}

/// A fence.
#[derive(Clone, Debug)]
pub struct FenceView {
    /// Its record.
    pub place: Place,
    /// Who fenced.
    pub by: AgentId,
    /// Whether that is a root of the cluster.
    pub by_root: bool,
    /// What it says.
    pub fence: Fence,
}

/// A key that an agent has given up for another.
#[derive(Clone, Debug)]
pub struct RotationView {
    /// Its record: what the former key signs above it is void.
    pub place: Place,
    /// Whose key it is, by the first that it had.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// The key that was given up.
    pub former: AgentId,
    /// The key that took its place.
    pub next: AgentId,
}

/// A record that does not count.
#[derive(Clone, Debug)]
pub struct VoidedView {
    /// The record.
    pub place: Place,
    /// Who signed it.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// What it would have done.
    pub deed: String,
    /// The rule.
    pub rule: String,
    /// Why, in a sentence.
    pub detail: String,
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct IncidentView {
    /// The record that tells of it.
    pub place: Place,
    /// The node that refused.
    pub node: NodeId,
    /// The agent's name.
    pub name: String,
    /// What was refused.
    pub incident: Incident,
    /// Who has acknowledged it.
    pub acknowledged_by: Vec<AgentId>,
}

/// Refusals that somebody is to be told of.
#[derive(Clone, Debug)]
pub struct AlertsView {
    /// Those that are not acknowledged, oldest first.
    pub incidents: Vec<IncidentView>,
    /// Up to when incidents stand in the log alone, if there are such and the oldest that is kept is
    /// not acknowledged either: of these nobody is told.
    pub beyond: Option<Stamp>,
}
