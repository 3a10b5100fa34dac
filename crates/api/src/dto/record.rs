//! Records as they are shown: in histories, dumps and event streams.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::RecordView;
use unisono_model::{
    Across, Action, Admit, AgentId, Digest, Enrol, FieldChange, FieldValue, IdempotencyKey, Leave,
    Mark, NodeId, Signal, TaskChange, ViewVote,
};
use utoipa::ToSchema;

use super::action::{
    AdvanceBody, ClaimBody, EnrolBody, MarkBody, PresenceBody, ReleaseBody, RenewBody,
    SettingsBody, SignalBody,
};
use super::answer::OpenBody;
use super::authority::SucceedBody;
use super::cluster::{Incarnated, InviteShown, InviteUseShown, LogRef, WitnessShown};
use super::ensemble::{
    AnswerBody, ArriveBody, CueBody, PerformsBody, PlayedBody, TempoBody, UsedBody,
};
use super::expulsion::RemoveBody;
use super::file::{ApproveBody, WriteShown};
use super::lesson::{DecideBody, OutcomeBody, RemedyBody};
use super::moment::Moment;
use super::plan::PlanBody;
use super::resonance::{ResolveBody, SeenBody};
use super::rollback::{RollbackBody, SetAside};
use super::root::RootBody;
use super::task::LinkChange;
use super::trust::{FenceBody, GuardBody, IncidentShown, PresentBody, RotateBody};
use super::words::{HeldWord, TaskStatusWord, VerdictWord};

/// A page of records.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Records {
    /// In this node's order.
    pub records: Vec<RecordEvent>,
    /// Ask for what comes `after` this.
    pub next: String,
    /// Whether more is there already.
    pub more: bool,
}

/// One record.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordEvent {
    /// Its digest: its name.
    #[schema(value_type = String)]
    pub record: Digest,
    /// Where it stands in the order of everything.
    pub stamp: Moment,
    /// By whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name, where known.
    pub name: String,
    /// Its number in its chain.
    pub seq: u64,
    /// Its log.
    pub log: LogRef,
    /// The bundle that carries it.
    pub bundle: u64,
    /// Who held the key.
    pub held: HeldWord,
    /// The agent's own time (ms since the Unix epoch): testimony.
    pub agent_ms: u64,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// The request's key.
    #[schema(value_type = Option<String>)]
    pub key: Option<IdempotencyKey>,
    /// The token under which it was done, by its last link.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub token: Option<Digest>,
    /// Whether it counts.
    pub verdict: VerdictWord,
    /// Which rollback has set it aside, if one has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_aside_by: Option<SetAside>,
    /// What was done.
    pub action: ActionShown,
}

/// What was done; `do` says which.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ActionShown {
    /// An agent introduced itself.
    Enrol(EnrolBody),
    /// The orchestra was made.
    Open(OpenBody),
    /// Settings.
    Settings(SettingsBody),
    /// How the agent was.
    Presence(PresenceBody),
    /// A resonance signal.
    Emit(SignalBody),
    /// A claim.
    Claim(ClaimBody),
    /// A renewal.
    Renew(RenewBody),
    /// A release.
    Release(ReleaseBody),
    /// A witness mark.
    Mark(MarkBody),
    /// The end of an iteration.
    Advance(AdvanceBody),
    /// A task was made or changed.
    Task(TaskShown),
    /// One life of a node was admitted to the cluster.
    Admit(AdmitShown),
    /// A vote for who belongs to the cluster from now on.
    VoteView(ViewShown),
    /// One life of a node left the cluster.
    Leave(LeaveShown),
    /// A capability token was laid before the orchestra.
    Present(PresentBody),
    /// From here on every action needs a token.
    Guard(GuardBody),
    /// Rights ended.
    Fence(FenceBody),
    /// A node was removed from the cluster.
    Remove(RemoveBody),
    /// Something was refused.
    Incident(IncidentShown),
    /// A plan was set.
    Plan(PlanBody),
    /// A file was written, moved or removed.
    Write(WriteShown),
    /// Something was approved or rejected.
    Approve(ApproveBody),
    /// How an interference was resolved.
    Resolve(ResolveBody),
    /// The tempo map.
    Tempo(TempoBody),
    /// An arrival at a barrier.
    Arrive(ArriveBody),
    /// Something to be done together at a time.
    Cue(CueBody),
    /// An answer to a cue.
    Answer(AnswerBody),
    /// How punctual an action was.
    Played(PlayedBody),
    /// What it has used of what was allotted to it.
    Used(UsedBody),
    /// It performs, and by how much it corrects its errors.
    Performs(PerformsBody),
    /// Something was decided, or was found to lead nowhere.
    Decide(DecideBody),
    /// What helps against an error.
    Remedy(RemedyBody),
    /// Whether a remedy helped.
    Outcome(OutcomeBody),
    /// The orchestra went back to an earlier time.
    Rollback(RollbackBody),
    /// What the agent said that it had seen.
    Seen(SeenBody),
    /// It went on with another key.
    Rotate(RotateBody),
    /// Another authority signs certificates.
    Succeed(SucceedBody),
    /// How far logs of other nodes had come.
    Witness(WitnessShown),
    /// Another root of rights was named.
    Root(RootBody),
    /// An invite was made.
    Invite(InviteShown),
    /// An invite let a node in.
    InviteUsed(InviteUseShown),
}

/// A task's change, with what each value replaced.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskShown {
    /// The task.
    pub task: String,
    /// What changed.
    pub fields: Vec<FieldShown>,
    /// The mark that proves it.
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
}

/// One field's new value, and which records' values it replaced.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FieldShown {
    /// The field and its value: `{"status": "closed"}`.
    #[serde(flatten)]
    pub value: ValueShown,
    /// The records whose values it replaced.
    #[schema(value_type = Vec<String>)]
    pub replaces: Vec<Digest>,
}

/// A field with its value.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ValueShown {
    /// The task exists, and is of this type.
    Created(String),
    /// One line.
    Title(String),
    /// Many lines.
    Description(String),
    /// Where it stands.
    Status(TaskStatusWord),
    /// 0 is most urgent.
    Priority(u8),
    /// Who has it.
    Assignee(String),
    /// Words on it.
    Labels(Vec<String>),
    /// A relation.
    Link(LinkChange),
    /// A remark.
    Remark(String),
}

/// One life of a node was admitted.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AdmitShown {
    /// Who.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// Its life.
    pub incarnation: Incarnated,
    /// Its region.
    pub region: String,
    /// Its name.
    pub name: String,
    /// Where it is reached.
    pub address: String,
}

/// A vote for a view of the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ViewShown {
    /// The view that it follows; zeros for the first.
    #[schema(value_type = String)]
    pub base: Digest,
    /// Who belongs to it.
    #[schema(value_type = Vec<String>)]
    pub members: Vec<NodeId>,
    /// Who belonged to the cluster and is left out.
    pub removed: Vec<LogRef>,
}

/// The last word of a life that left the cluster.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LeaveShown {
    /// In how many orchestras it says where its node's logs end.
    pub orchestras: usize,
    /// Who stayed.
    #[schema(value_type = Vec<String>)]
    pub staying: Vec<NodeId>,
}

impl From<Leave> for LeaveShown {
    fn from(leave: Leave) -> Self {
        Self {
            orchestras: leave.ends.len(),
            staying: leave.staying.into_iter().map(|life| life.node).collect(),
        }
    }
}

impl From<RecordView> for RecordEvent {
    fn from(view: RecordView) -> Self {
        Self {
            record: view.place.record,
            stamp: view.place.stamp.into(),
            agent: view.agent,
            name: view.name,
            seq: view.seq,
            log: view.log.into(),
            bundle: view.bundle,
            held: view.held.into(),
            agent_ms: view.agent_ms,
            iteration: view.iteration,
            key: view.key,
            token: view.token,
            verdict: view.verdict.into(),
            set_aside_by: view.set_aside_by.map(Into::into),
            action: view.action.into(),
        }
    }
}

impl From<Enrol> for EnrolBody {
    fn from(enrol: Enrol) -> Self {
        Self {
            name: enrol.name,
            role: enrol.role,
            kind: enrol.kind.into(),
            tier: enrol.tier.map(|tier| tier.word().to_owned()),
        }
    }
}

impl From<Action> for ActionShown {
    fn from(action: Action) -> Self {
        match action {
            Action::Enrol(enrol) => Self::Enrol(enrol.into()),
            Action::Open { name } => Self::Open(OpenBody { name }),
            Action::Settings(changes) => Self::Settings(SettingsBody {
                settings: changes
                    .into_iter()
                    .map(|(name, value)| (name.into(), value))
                    .collect(),
            }),
            Action::Presence(presence) => Self::Presence(PresenceBody {
                status: presence.status.into(),
                intent: presence.intent,
                focus: presence.focus,
            }),
            Action::Signal(signal) => Self::Emit(signal.into()),
            Action::Across(across) => Self::Emit((*across).into()),
            Action::Claim { topic, lease_ms } => Self::Claim(ClaimBody {
                topic,
                lease_ms: Some(lease_ms),
            }),
            Action::Renew {
                topic,
                claim,
                lease_ms,
            } => Self::Renew(RenewBody {
                topic,
                claim: Some(claim),
                lease_ms: Some(lease_ms),
            }),
            Action::Release { topic, claim } => Self::Release(ReleaseBody {
                topic,
                claim: Some(claim),
            }),
            Action::Mark(mark) => Self::Mark(mark.into()),
            Action::Advance { from } => Self::Advance(AdvanceBody { from }),
            Action::Task(change) => Self::Task(change.into()),
            Action::Admit(admit) => Self::Admit(admit.into()),
            Action::VoteView(vote) => Self::VoteView(vote.into()),
            Action::Leave(leave) => Self::Leave(leave.into()),
            Action::Present(token) => Self::Present(PresentBody { token }),
            Action::Guard => Self::Guard(GuardBody {}),
            Action::Remove(expulsion) => Self::Remove(expulsion.into()),
            Action::Fence(fence) => Self::Fence(fence.into()),
            Action::Incident(incident) => Self::Incident(incident.into()),
            Action::Plan(plan) => Self::Plan(plan.into()),
            Action::Write(write) => Self::Write((*write).into()),
            Action::Approve(approve) => Self::Approve(approve.into()),
            Action::Resolve(resolve) => Self::Resolve(resolve.into()),
            Action::Tempo(tempo) => Self::Tempo(tempo.into()),
            Action::Arrive(arrival) => Self::Arrive(arrival.into()),
            Action::Cue(cue) => Self::Cue(cue.into()),
            Action::Answer(answer) => Self::Answer(answer.into()),
            Action::Played(played) => Self::Played(played.into()),
            Action::Used(used) => Self::Used(used.into()),
            Action::Performs(performs) => Self::Performs(performs.into()),
            Action::Decide(decide) => Self::Decide((*decide).into()),
            Action::Remedy(remedy) => Self::Remedy((*remedy).into()),
            Action::Outcome(outcome) => Self::Outcome(outcome.into()),
            Action::Rollback(rollback) => Self::Rollback((*rollback).into()),
            Action::Seen(seen) => Self::Seen(seen.into()),
            Action::Rotate(rotation) => Self::Rotate((*rotation).into()),
            Action::Succeed(succession) => Self::Succeed((*succession).into()),
            Action::Witness(witness) => Self::Witness(witness.into()),
            Action::Root(word) => Self::Root((*word).into()),
            Action::Invite(word) => Self::Invite((*word).into()),
            Action::InviteUsed(word) => Self::InviteUsed((*word).into()),
        }
    }
}

impl From<Across> for SignalBody {
    fn from(across: Across) -> Self {
        let body = Self::from(across.signal);
        let other = Some(across.orchestra);
        if across.incoming {
            Self {
                from_orchestra: other,
                ..body
            }
        } else {
            Self {
                to_orchestra: other,
                ..body
            }
        }
    }
}

impl From<Signal> for SignalBody {
    fn from(signal: Signal) -> Self {
        Self {
            kind: signal.kind.into(),
            topic: signal.topic,
            urgency: signal.urgency.into(),
            text: signal.text,
            lifetime_ms: Some(signal.lifetime_ms),
            evidence: signal.evidence,
            to_orchestra: None,
            from_orchestra: None,
        }
    }
}

impl From<Mark> for MarkBody {
    fn from(mark: Mark) -> Self {
        Self {
            about: mark.about,
            text: mark.text,
            reasoning: mark.reasoning,
            tags: mark.tags,
            evidence: mark.evidence,
        }
    }
}

impl From<Admit> for AdmitShown {
    fn from(admit: Admit) -> Self {
        Self {
            node: admit.node,
            incarnation: admit.incarnation.into(),
            region: admit.region,
            name: admit.name,
            address: admit.address,
        }
    }
}

impl From<ViewVote> for ViewShown {
    fn from(vote: ViewVote) -> Self {
        Self {
            base: vote.base,
            members: vote.members,
            removed: vote.removed.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<TaskChange> for TaskShown {
    fn from(change: TaskChange) -> Self {
        let fields = change.fields.into_iter().map(Into::into).collect();
        Self {
            task: change.task,
            fields,
            evidence: change.evidence,
        }
    }
}

impl From<FieldChange> for FieldShown {
    fn from(change: FieldChange) -> Self {
        let value = match change.value {
            FieldValue::Created(kind) => ValueShown::Created(kind),
            FieldValue::Title(title) => ValueShown::Title(title),
            FieldValue::Description(words) => ValueShown::Description(words),
            FieldValue::Status(status) => ValueShown::Status(status.into()),
            FieldValue::Priority(priority) => ValueShown::Priority(priority),
            FieldValue::Assignee(who) => ValueShown::Assignee(who),
            FieldValue::Labels(labels) => ValueShown::Labels(labels),
            FieldValue::Link {
                on,
                relation,
                stands,
            } => ValueShown::Link(LinkChange {
                on,
                relation: relation.into(),
                stands,
            }),
            FieldValue::Remark(words) => ValueShown::Remark(words),
        };
        Self {
            value,
            replaces: change.replaces,
        }
    }
}
