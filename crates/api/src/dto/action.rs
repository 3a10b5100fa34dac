//! What an agent asks to be done.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use unisono_model::capability::Tier;
use unisono_model::{Across, Action, Digest, Enrol, INCIDENT_ACKNOWLEDGED, Mark, Presence, Signal};
use utoipa::ToSchema;

use super::authority::SucceedBody;
use super::ensemble::{
    AnswerBody, ArriveBody, CueBody, PerformsBody, PlayedBody, TempoBody, UsedBody,
};
use super::expulsion::RemoveBody;
use super::file::{ApproveBody, WriteBody};
use super::lesson::{DecideBody, OutcomeBody, RemedyBody};
use super::plan::PlanBody;
use super::resonance::{ResolveBody, SeenBody};
use super::rollback::RollbackBody;
use super::root::RootBody;
use super::task::TaskBody;
use super::trust::{FenceBody, GuardBody, PresentBody, RotateBody};
use super::vary::VariationBody;
use super::words::{AgentKindWord, SettingWord, SignalKindWord, StatusWord, UrgencyWord};

/// An action by an agent whose key the node holds: `{"agent": "ada", "do": "claim", …}`.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ActBody {
    /// The agent's name.
    pub agent: String,
    /// What it does.
    #[serde(flatten)]
    pub action: ActionBody,
}

/// What an agent does; `do` says which.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ActionBody {
    /// A resonance signal.
    Emit(SignalBody),
    /// Claims a topic.
    Claim(ClaimBody),
    /// Prolongs a lease.
    Renew(RenewBody),
    /// Gives a topic back.
    Release(ReleaseBody),
    /// A witness mark.
    Mark(MarkBody),
    /// How the agent is.
    Presence(PresenceBody),
    /// Makes or changes a task.
    Task(TaskBody),
    /// Ends an iteration.
    Advance(AdvanceBody),
    /// Sets settings.
    Settings(SettingsBody),
    /// Lays a capability token before the orchestra.
    Present(PresentBody),
    /// From here on every action needs a token (roots only).
    Guard(GuardBody),
    /// Ends what tokens or a key allowed.
    Fence(FenceBody),
    /// Removes a node from the cluster (roots only, in the cluster's own orchestra).
    Remove(RemoveBody),
    /// Sets the plan.
    Plan(PlanBody),
    /// Writes, moves or removes a file.
    Write(WriteBody),
    /// Approves or rejects what others have made.
    Approve(ApproveBody),
    /// Says how an interference was resolved.
    Resolve(ResolveBody),
    /// Sets the tempo map.
    Tempo(TempoBody),
    /// Says how agents may vary on purpose: the settings of that name, all at once.
    Vary(VariationBody),
    /// Waits at a barrier.
    Arrive(ArriveBody),
    /// Something is to be done together at a time.
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
    /// Goes back to an earlier time.
    Rollback(RollbackBody),
    /// Says what it has seen.
    Seen(SeenBody),
    /// Goes on with another key (agents that sign for themselves).
    Rotate(RotateBody),
    /// Puts another authority in the place of the one that signs (roots only, in the cluster's own
    /// orchestra).
    Succeed(SucceedBody),
    /// Names another root of rights (in the cluster's own orchestra).
    Root(RootBody),
}

/// A resonance signal.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalBody {
    /// What kind.
    pub kind: SignalKindWord,
    /// About what.
    pub topic: String,
    /// How much it matters; `normal` if left out.
    #[serde(default = "normal")]
    pub urgency: UrgencyWord,
    /// In words.
    #[serde(default)]
    pub text: String,
    /// For how long it stands (ms), at least one; as the settings say if left out.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lasting"
    )]
    pub lifetime_ms: Option<u64>,
    /// The record of the mark that proves it; an offer must bear one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub evidence: Option<Digest>,
    /// Another orchestra to which it is said too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_orchestra: Option<String>,
    /// The other orchestra from which it comes, where its agent says it there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_orchestra: Option<String>,
}

/// Zero stands for the setting inside, and whoever asked for nothing must not get an hour.
fn lasting<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Option::deserialize(from)? {
        Some(0) => Err(D::Error::custom(
            "lifetime_ms is at least 1; left out, it is as the settings say",
        )),
        other => Ok(other),
    }
}

/// Claims a topic for a time.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimBody {
    /// What is claimed.
    pub topic: String,
    /// For how long (ms); as the settings say if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// Prolongs a lease from now on.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RenewBody {
    /// The topic.
    pub topic: String,
    /// The claim's record; the one that stands if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub claim: Option<Digest>,
    /// For how long from now (ms); as the settings say if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// Gives a topic back, or gives up a claim that lost.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseBody {
    /// The topic.
    pub topic: String,
    /// The claim's record; the one that stands if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub claim: Option<Digest>,
}

/// A witness mark: what was done, why, and what proves it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkBody {
    /// What it is about: a task, a topic.
    #[serde(default)]
    pub about: String,
    /// What was done.
    pub text: String,
    /// Why.
    #[serde(default)]
    pub reasoning: String,
    /// Words to find it by.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Records of other marks, or digests of content, that prove it.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub evidence: Vec<Digest>,
}

impl MarkBody {
    /// A mark that acknowledges incidents, at most [`unisono_model::limits::TAGS_MAX`] at once:
    /// whoever makes it is told of them no more.
    pub fn acknowledging(incidents: &[Digest]) -> Self {
        Self {
            about: "incidents".to_owned(),
            text: "seen".to_owned(),
            reasoning: String::new(),
            tags: vec![INCIDENT_ACKNOWLEDGED.to_owned()],
            evidence: incidents.to_vec(),
        }
    }
}

/// How an agent is.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PresenceBody {
    /// What it is about.
    pub status: StatusWord,
    /// What it means to do, in one sentence.
    #[serde(default)]
    pub intent: String,
    /// What it looks at.
    #[serde(default)]
    pub focus: String,
}

/// Ends an iteration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceBody {
    /// The iteration that ends.
    pub from: u32,
}

/// Sets settings of the orchestra.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsBody {
    /// Each with its value.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub settings: BTreeMap<SettingWord, u64>,
}

/// An agent introduces itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolBody {
    /// The name that people read.
    pub name: String,
    /// What it does in this orchestra.
    #[serde(default)]
    pub role: String,
    /// What stands behind it; `ai` if left out.
    #[serde(default = "ai")]
    pub kind: AgentKindWord,
    /// The tier that its key is bound to for life; none: no token counts for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

fn normal() -> UrgencyWord {
    UrgencyWord::Normal
}

fn ai() -> AgentKindWord {
    AgentKindWord::Ai
}

impl SignalBody {
    fn into_action(self, filling: u64) -> Action {
        let signal = Signal {
            kind: self.kind.into(),
            topic: self.topic,
            urgency: self.urgency.into(),
            text: self.text,
            lifetime_ms: self.lifetime_ms.unwrap_or(filling),
            evidence: self.evidence,
        };
        let from = self.from_orchestra.map(|name| (name, true));
        match from.or(self.to_orchestra.map(|name| (name, false))) {
            Some((orchestra, incoming)) => Action::Across(Box::new(Across {
                orchestra,
                incoming,
                signal,
            })),
            None => Action::Signal(signal),
        }
    }
}

impl ActionBody {
    /// The setting that fills in what was left out, where something was.
    pub fn missing(&self) -> Option<SettingWord> {
        match self {
            Self::Emit(body) if body.lifetime_ms.is_none() => Some(match body.kind {
                SignalKindWord::Intent => SettingWord::IntentLifetimeMs,
                SignalKindWord::Need | SignalKindWord::Offer => SettingWord::NeedLifetimeMs,
            }),
            Self::Claim(ClaimBody { lease_ms: None, .. })
            | Self::Renew(RenewBody { lease_ms: None, .. }) => Some(SettingWord::ClaimLeaseMs),
            _ => None,
        }
    }

    /// The topic, for actions on claims.
    pub fn claimed_topic(&self) -> Option<&str> {
        match self {
            Self::Claim(body) => Some(&body.topic),
            Self::Renew(body) => Some(&body.topic),
            Self::Release(body) => Some(&body.topic),
            _ => None,
        }
    }

    /// The action of the vocabulary. `filling` stands where a duration was left out; a claim that
    /// was left out is zeros, and a task's fields replace nothing: "what stands now".
    pub fn into_action(self, filling: u64) -> Action {
        match self {
            Self::Emit(body) => body.into_action(filling),
            Self::Claim(body) => Action::Claim {
                topic: body.topic,
                lease_ms: body.lease_ms.unwrap_or(filling),
            },
            Self::Renew(body) => Action::Renew {
                topic: body.topic,
                claim: body.claim.unwrap_or_default(),
                lease_ms: body.lease_ms.unwrap_or(filling),
            },
            Self::Release(body) => Action::Release {
                topic: body.topic,
                claim: body.claim.unwrap_or_default(),
            },
            Self::Mark(body) => Action::Mark(Mark {
                about: body.about,
                text: body.text,
                reasoning: body.reasoning,
                tags: body.tags,
                evidence: body.evidence,
            }),
            Self::Presence(body) => Action::Presence(Presence {
                status: body.status.into(),
                intent: body.intent,
                focus: body.focus,
            }),
            Self::Task(body) => Action::Task(body.into_change()),
            Self::Advance(body) => Action::Advance { from: body.from },
            Self::Settings(body) => body.into_action(),
            Self::Present(body) => Action::Present(body.token),
            Self::Guard(_) => Action::Guard,
            Self::Fence(body) => Action::Fence(body.into()),
            Self::Remove(body) => Action::Remove(body.into()),
            Self::Plan(body) => Action::Plan(body.into()),
            // What the content measures is for a node to say.
            Self::Write(body) => Action::Write(Box::new(body.into_write(None, Digest::default()))),
            Self::Approve(body) => Action::Approve(body.into()),
            Self::Resolve(body) => Action::Resolve(body.into()),
            Self::Tempo(body) => Action::Tempo(body.into()),
            Self::Vary(body) => SettingsBody::from(body).into_action(),
            Self::Arrive(body) => Action::Arrive(body.into()),
            Self::Cue(body) => Action::Cue(body.into()),
            Self::Answer(body) => Action::Answer(body.into()),
            Self::Played(body) => Action::Played(body.into()),
            Self::Used(body) => Action::Used(body.into()),
            Self::Performs(body) => Action::Performs(body.into()),
            Self::Decide(body) => Action::Decide(Box::new(body.into())),
            Self::Remedy(body) => Action::Remedy(Box::new(body.into())),
            Self::Outcome(body) => Action::Outcome(body.into()),
            Self::Rollback(body) => Action::Rollback(Box::new(body.into())),
            Self::Seen(body) => Action::Seen(body.into()),
            Self::Rotate(body) => Action::Rotate(Box::new(body.into())),
            Self::Succeed(body) => Action::Succeed(Box::new(body.into())),
            Self::Root(body) => Action::Root(Box::new(body.into())),
        }
    }
}

impl SettingsBody {
    fn into_action(self) -> Action {
        let settings = self.settings.into_iter();
        Action::Settings(settings.map(|(name, value)| (name.into(), value)).collect())
    }
}

impl From<EnrolBody> for Enrol {
    fn from(body: EnrolBody) -> Self {
        Self {
            name: body.name,
            role: body.role,
            kind: body.kind.into(),
            tier: body.tier.as_deref().map(Tier::of),
        }
    }
}
