//! Plans as JSON and as files: the same shape, so that a plan can be kept beside the code.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::PlanView;
use unisono_model::{AgentId, Digest, FileScope, PhaseState, Plan, PlanPhase, Project, Who};
use utoipa::ToSchema;

use super::moment::Moment;

/// A plan: in which phase of which project who may write which files.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanBody {
    /// The projects.
    #[serde(default)]
    pub project: Vec<ProjectBody>,
}

/// A project of a plan.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectBody {
    /// Its name.
    pub name: String,
    /// Endings of files that may be written though nobody can measure them.
    #[serde(default)]
    pub unmeasured: Vec<String>,
    /// Its phases.
    #[serde(default)]
    pub phase: Vec<PhaseBody>,
}

/// A phase of a project.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseBody {
    /// Its number.
    pub number: u32,
    /// What it is about.
    pub name: String,
    /// Whether files may be written in it; `planned` if left out.
    #[serde(default = "planned")]
    pub state: PhaseStateWord,
    /// Who may write what.
    #[serde(default)]
    pub files: Vec<ScopeBody>,
}

/// Files that somebody may write: a role's, an agent's, or else everybody's.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScopeBody {
    /// The role that they introduced themselves with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The agent's key; goes before a role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub agent: Option<AgentId>,
    /// Exact paths, or patterns with `*` within a name and `**` for names.
    pub paths: Vec<String>,
}

/// Where a phase stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of PhaseState")]
pub enum PhaseStateWord {
    Planned,
    Active,
    Done,
}

/// The plan that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PlanShown {
    /// Its record: signed writes name it; none: nobody has set one.
    #[schema(value_type = Option<String>)]
    pub record: Option<Digest>,
    /// Since when it stands.
    pub since: Option<Moment>,
    /// Who set it.
    pub by: Option<String>,
    /// What it says.
    #[serde(flatten)]
    pub plan: PlanBody,
}

fn planned() -> PhaseStateWord {
    PhaseStateWord::Planned
}

impl From<PhaseStateWord> for PhaseState {
    fn from(word: PhaseStateWord) -> Self {
        match word {
            PhaseStateWord::Planned => Self::Planned,
            PhaseStateWord::Active => Self::Active,
            PhaseStateWord::Done => Self::Done,
        }
    }
}

impl From<PhaseState> for PhaseStateWord {
    fn from(state: PhaseState) -> Self {
        match state {
            PhaseState::Planned => Self::Planned,
            PhaseState::Active => Self::Active,
            PhaseState::Done => Self::Done,
        }
    }
}

impl From<PlanBody> for Plan {
    /// In its one form; whether it can stand is for [`Plan::check`] to say.
    fn from(body: PlanBody) -> Self {
        let projects = body.project.into_iter().map(|project| Project {
            name: project.name,
            unmeasured: project.unmeasured,
            phases: project.phase.into_iter().map(Into::into).collect(),
        });
        let plan = Self {
            projects: projects.collect(),
        };
        plan.sorted()
    }
}

impl From<PhaseBody> for PlanPhase {
    fn from(body: PhaseBody) -> Self {
        let scopes = body.files.into_iter().map(|scope| FileScope {
            who: match (scope.agent, scope.role) {
                (Some(agent), _) => Who::Agent(agent),
                (None, Some(role)) => Who::Role(role),
                (None, None) => Who::Everybody,
            },
            paths: scope.paths,
        });
        Self {
            number: body.number,
            name: body.name,
            state: body.state.into(),
            scopes: scopes.collect(),
        }
    }
}

impl From<Plan> for PlanBody {
    fn from(plan: Plan) -> Self {
        let projects = plan.projects.into_iter().map(|project| ProjectBody {
            name: project.name,
            unmeasured: project.unmeasured,
            phase: project.phases.into_iter().map(Into::into).collect(),
        });
        Self {
            project: projects.collect(),
        }
    }
}

impl From<PlanPhase> for PhaseBody {
    fn from(phase: PlanPhase) -> Self {
        let files = phase.scopes.into_iter().map(|scope| {
            let (agent, role) = match scope.who {
                Who::Everybody => (None, None),
                Who::Role(role) => (None, Some(role)),
                Who::Agent(agent) => (Some(agent), None),
            };
            ScopeBody {
                role,
                agent,
                paths: scope.paths,
            }
        });
        Self {
            number: phase.number,
            name: phase.name,
            state: phase.state.into(),
            files: files.collect(),
        }
    }
}

impl From<Option<PlanView>> for PlanShown {
    fn from(view: Option<PlanView>) -> Self {
        let Some(view) = view else {
            return Self {
                record: None,
                since: None,
                by: None,
                plan: PlanBody::default(),
            };
        };
        Self {
            record: Some(view.place.record),
            since: Some(view.place.stamp.into()),
            by: Some(view.name),
            plan: view.plan.into(),
        }
    }
}
