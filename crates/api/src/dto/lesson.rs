//! What an orchestra learns, as it is said and shown: decisions, dead ends, remedies, outcomes.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::lessons::error::{ErrorForm, FORM_VERSION};
use unisono_core::orchestra::view as core;
use unisono_model::{AgentId, Decide, Digest, Outcome, Rejected, Remedy};
use utoipa::ToSchema;

use super::answer::HeadBody;
use super::words::{DecideWord, FixMatchWord, ImportanceWord};

/// Something was decided, or was found to lead nowhere.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DecideBody {
    /// Which of the two; `decision` if left out.
    #[serde(default = "decision")]
    pub kind: DecideWord,
    /// About what.
    pub topic: String,
    /// The question that was open.
    #[serde(default)]
    pub question: String,
    /// What was decided, or what leads nowhere.
    pub text: String,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// How much it matters; `normal` if left out. What is `high` or `critical` stands
    /// in a brief before all else: the latest 128, as far as there is room.
    #[serde(default = "normal")]
    pub importance: ImportanceWord,
    /// How sure whoever decided is (‰); 1000 if left out.
    #[serde(default = "sure")]
    pub confidence_permille: u16,
    /// What was looked at and not taken, at most 16.
    #[serde(default)]
    pub rejected: Vec<RejectedBody>,
    /// The records of decisions that it takes the place of, at most 16.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub supersedes: Vec<Digest>,
}

/// An alternative that was not taken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectedBody {
    /// What.
    pub option: String,
    /// Why not.
    #[serde(default)]
    pub reason: String,
}

/// What helps against an error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemedyBody {
    /// What the tool said; it is recorded in its normal form.
    pub error: String,
    /// What to do.
    pub text: String,
    /// What it comes from.
    #[serde(default)]
    pub cause: String,
    /// Files that it is done to.
    #[serde(default)]
    pub files: Vec<String>,
}

/// Whether a remedy helped.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutcomeBody {
    /// The remedy's record.
    #[schema(value_type = String)]
    pub remedy: Digest,
    /// Whether the error went away.
    pub helped: bool,
    /// In words.
    #[serde(default)]
    pub text: String,
}

/// Decisions and dead ends: what matters most first, newest first among these.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decisions {
    /// The first of them.
    pub decisions: Vec<DecisionShown>,
}

/// A decision or a dead end.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DecisionShown {
    /// Its record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// Who decided.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which iteration.
    pub iteration: u32,
    /// Which of the two.
    pub kind: DecideWord,
    /// About what.
    pub topic: String,
    /// The question that was open.
    pub question: String,
    /// What was decided, or what leads nowhere.
    pub text: String,
    /// Why.
    pub reason: String,
    /// How much it matters.
    pub importance: ImportanceWord,
    /// How sure whoever decided was (‰).
    pub confidence_permille: u16,
    /// What was looked at and not taken.
    pub rejected: Vec<RejectedBody>,
    /// The records of decisions that it took the place of.
    #[schema(value_type = Vec<String>)]
    pub supersedes: Vec<Digest>,
    /// Whether it binds: nothing has taken its place.
    pub stands: bool,
    /// What has taken its place, the first to do so first. Several were decided without knowing of
    /// each other.
    pub superseded_by: Vec<HeadBody>,
}

/// What may help against an error.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fixes {
    /// The error in its normal form.
    pub error: String,
    /// The name of its kind.
    #[schema(value_type = String)]
    pub fingerprint: Digest,
    /// Remedies, the most promising first.
    pub fixes: Vec<Fix>,
}

/// A remedy that may help.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fix {
    /// The remedy's record.
    #[serde(flatten)]
    pub place: HeadBody,
    /// By whom.
    #[schema(value_type = String)]
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// In which iteration.
    pub iteration: u32,
    /// How the error was recognised.
    pub how: FixMatchWord,
    /// How alike the errors are (‰).
    pub likeness_permille: u16,
    /// How far it can be relied on (‰).
    pub confidence_permille: u16,
    /// How many agents say that it helped.
    pub helped: u32,
    /// How many say that it did not.
    pub failed: u32,
    /// The remedy.
    pub remedy: RemedyBody,
}

fn decision() -> DecideWord {
    DecideWord::Decision
}

fn normal() -> ImportanceWord {
    ImportanceWord::Normal
}

fn sure() -> u16 {
    1_000
}

impl From<DecideBody> for Decide {
    fn from(body: DecideBody) -> Self {
        let mut supersedes = body.supersedes;
        supersedes.sort_unstable();
        supersedes.dedup();
        Self {
            kind: body.kind.into(),
            topic: body.topic,
            question: body.question,
            text: body.text,
            reason: body.reason,
            importance: body.importance.into(),
            confidence_permille: body.confidence_permille,
            rejected: body.rejected.into_iter().map(Into::into).collect(),
            supersedes,
        }
    }
}

impl From<Decide> for DecideBody {
    fn from(decide: Decide) -> Self {
        Self {
            kind: decide.kind.into(),
            topic: decide.topic,
            question: decide.question,
            text: decide.text,
            reason: decide.reason,
            importance: decide.importance.into(),
            confidence_permille: decide.confidence_permille,
            rejected: decide.rejected.into_iter().map(Into::into).collect(),
            supersedes: decide.supersedes,
        }
    }
}

impl From<RejectedBody> for Rejected {
    fn from(body: RejectedBody) -> Self {
        Self {
            option: body.option,
            reason: body.reason,
        }
    }
}

impl From<Rejected> for RejectedBody {
    fn from(rejected: Rejected) -> Self {
        Self {
            option: rejected.option,
            reason: rejected.reason,
        }
    }
}

impl From<Remedy> for RemedyBody {
    fn from(remedy: Remedy) -> Self {
        Self {
            error: remedy.error,
            text: remedy.text,
            cause: remedy.cause,
            files: remedy.files,
        }
    }
}

impl From<RemedyBody> for Remedy {
    fn from(body: RemedyBody) -> Self {
        Self {
            form: FORM_VERSION,
            error: ErrorForm::of(&body.error).text(),
            text: body.text,
            cause: body.cause,
            files: body.files,
        }
    }
}

impl From<core::FixesView> for Fixes {
    fn from(view: core::FixesView) -> Self {
        Self {
            error: view.error,
            fingerprint: view.fingerprint,
            fixes: view.fixes.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<core::FixView> for Fix {
    fn from(view: core::FixView) -> Self {
        let remedy = view.remedy;
        Self {
            place: remedy.place.into(),
            agent: remedy.agent,
            name: remedy.name,
            iteration: remedy.iteration,
            how: view.how.into(),
            likeness_permille: view.likeness_permille,
            confidence_permille: view.confidence_permille,
            helped: remedy.tally.helped,
            failed: remedy.tally.failed,
            remedy: remedy.remedy.into(),
        }
    }
}

impl From<OutcomeBody> for Outcome {
    fn from(body: OutcomeBody) -> Self {
        Self {
            remedy: body.remedy,
            helped: body.helped,
            text: body.text,
        }
    }
}

impl From<Outcome> for OutcomeBody {
    fn from(outcome: Outcome) -> Self {
        Self {
            remedy: outcome.remedy,
            helped: outcome.helped,
            text: outcome.text,
        }
    }
}

impl From<core::DecisionView> for DecisionShown {
    fn from(view: core::DecisionView) -> Self {
        let body = DecideBody::from(view.decide);
        Self {
            place: view.place.into(),
            agent: view.agent,
            name: view.name,
            iteration: view.iteration,
            kind: body.kind,
            topic: body.topic,
            question: body.question,
            text: body.text,
            reason: body.reason,
            importance: body.importance,
            confidence_permille: body.confidence_permille,
            rejected: body.rejected,
            supersedes: body.supersedes,
            stands: view.superseded_by.is_empty(),
            superseded_by: view.superseded_by.into_iter().map(Into::into).collect(),
        }
    }
}
