//! The plan of an orchestra: in which phase of which project who may write which files.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::path::{self, NotPlain};
use crate::{AgentId, limits};

/// A plan. The latest by stamp stands, as a whole; its name is the digest of its record.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The projects, in order of their names.
    pub projects: Vec<Project>,
}

/// One project of a plan.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Endings of files (`md`, `toml`) that may be written though nobody can measure them, in order.
    pub unmeasured: Vec<String>,
    /// Its phases, in order of their numbers.
    pub phases: Vec<PlanPhase>,
}

/// One phase of a project.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PlanPhase {
    /// Its number.
    pub number: u32,
    /// What it is about.
    pub name: String,
    /// Whether files may be written in it.
    pub state: PhaseState,
    /// Who may write what in it. What no scope names, nobody writes.
    pub scopes: Vec<FileScope>,
}

/// Where a phase stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum PhaseState {
    /// It has not begun.
    Planned,
    /// Its files may be written.
    Active,
    /// It is over.
    Done,
}

/// Files that somebody may write.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileScope {
    /// Who.
    pub who: Who,
    /// Exact paths, and patterns: `*` stands for characters of one name, a name `**` for any number
    /// of names, at the end for at least one.
    pub paths: Vec<String>,
}

/// Whom a scope is for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Who {
    /// Whoever may write at all.
    Everybody,
    /// Who has introduced itself with this role. That is the agent's own word.
    Role(String),
    /// The agent with this key.
    Agent(AgentId),
}

/// What is wrong with a plan. Nothing changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum PlanFault {
    /// Too few or too many of something.
    #[error("{what}: {count}, where 1 to {max} are allowed")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        max: usize,
    },
    /// A name that is empty, too long, or cannot be shown on a line.
    #[error("{0} is empty, too long or has characters that do not show")]
    Name(&'static str),
    /// Projects of one name, or out of order.
    #[error("project {0} stands twice or out of order")]
    ProjectOrder(String),
    /// Phases of one number in one project, or out of order.
    #[error("phase {number} of project {project} stands twice or out of order")]
    PhaseOrder {
        /// The project.
        project: String,
        /// The number.
        number: u32,
    },
    /// A path or pattern that is not plain.
    #[error("`{path}` in phase {number} of project {project}: {why}")]
    Path {
        /// The project.
        project: String,
        /// The phase.
        number: u32,
        /// The path.
        path: String,
        /// Why it is not plain.
        why: NotPlain,
    },
    /// An ending that is none, or stands twice or out of order.
    #[error("the ending `{0}` is none, or stands twice or out of order")]
    Ending(String),
}

impl Plan {
    /// The project of a name.
    pub fn project(&self, name: &str) -> Option<&Project> {
        self.projects.iter().find(|project| project.name == name)
    }

    /// The same plan in its one form: everything that is a set in order.
    pub fn sorted(mut self) -> Self {
        self.projects.sort_by(|one, next| one.name.cmp(&next.name));
        for project in &mut self.projects {
            project.unmeasured.sort();
            project.phases.sort_by_key(|phase| phase.number);
        }
        self
    }

    /// Whether it can stand. Scopes may overlap.
    ///
    /// # Errors
    /// The first thing that is wrong with it, by its name.
    pub fn check(&self) -> Result<(), PlanFault> {
        count("projects", self.projects.len(), limits::PLAN_PROJECTS_MAX)?;
        for project in &self.projects {
            project.check()?;
        }
        let mut pairs = self.projects.windows(2);
        match pairs.find(|pair| pair[0].name >= pair[1].name) {
            Some(pair) => Err(PlanFault::ProjectOrder(pair[1].name.clone())),
            None => Ok(()),
        }
    }
}

impl Project {
    /// The phase of a number.
    pub fn phase(&self, number: u32) -> Option<&PlanPhase> {
        self.phases.iter().find(|phase| phase.number == number)
    }

    /// Whether a file of no known language may be written by those whose functions are measured.
    pub fn lets_unmeasured(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        self.unmeasured.iter().any(|one| one == ending)
    }

    fn check(&self) -> Result<(), PlanFault> {
        name("the name of a project", &self.name)?;
        if self.unmeasured.len() > limits::PLAN_ENDINGS_MAX {
            let (count, max) = (self.unmeasured.len(), limits::PLAN_ENDINGS_MAX);
            let what = "unmeasured endings";
            return Err(PlanFault::Count { what, count, max });
        }
        let plain = |ending: &str| {
            let short = !ending.is_empty() && ending.len() <= limits::PLAN_ENDING_BYTES_MAX;
            short && ending.bytes().all(|byte| byte.is_ascii_alphanumeric())
        };
        for (index, ending) in self.unmeasured.iter().enumerate() {
            let before = index.checked_sub(1).map(|before| &self.unmeasured[before]);
            if !plain(ending) || before.is_some_and(|before| before >= ending) {
                return Err(PlanFault::Ending(ending.clone()));
            }
        }
        count("phases", self.phases.len(), limits::PLAN_PHASES_MAX)?;
        for phase in &self.phases {
            phase.check(&self.name)?;
        }
        let mut pairs = self.phases.windows(2);
        match pairs.find(|pair| pair[0].number >= pair[1].number) {
            Some(pair) => Err(PlanFault::PhaseOrder {
                project: self.name.clone(),
                number: pair[1].number,
            }),
            None => Ok(()),
        }
    }
}

impl PlanPhase {
    /// The paths that somebody may write in it, whose keys are these.
    pub fn paths<'a>(
        &'a self,
        is_own: impl Fn(&AgentId) -> bool + 'a,
        role: &'a str,
    ) -> impl Iterator<Item = &'a str> {
        let theirs = self.scopes.iter().filter(move |scope| match &scope.who {
            Who::Everybody => true,
            Who::Role(of) => of == role,
            Who::Agent(of) => is_own(of),
        });
        theirs.flat_map(|scope| scope.paths.iter().map(String::as_str))
    }

    /// Whether any scope covers a path, whosoever it is.
    pub fn covers(&self, path: &str) -> bool {
        let mut paths = self.scopes.iter().flat_map(|scope| &scope.paths);
        paths.any(|pattern| path::matches(pattern, path))
    }

    fn check(&self, project: &str) -> Result<(), PlanFault> {
        name("the name of a phase", &self.name)?;
        if self.scopes.len() > limits::PLAN_SCOPES_MAX {
            let (count, max) = (self.scopes.len(), limits::PLAN_SCOPES_MAX);
            let what = "scopes of a phase";
            return Err(PlanFault::Count { what, count, max });
        }
        for scope in &self.scopes {
            if let Who::Role(role) = &scope.who {
                name("the role of a scope", role)?;
            }
            count(
                "paths of a scope",
                scope.paths.len(),
                limits::PLAN_PATHS_MAX,
            )?;
            for path in &scope.paths {
                path::check_pattern(path).map_err(|why| PlanFault::Path {
                    project: project.into(),
                    number: self.number,
                    path: path.chars().filter(|c| !c.is_control()).take(128).collect(),
                    why,
                })?;
            }
        }
        Ok(())
    }
}

fn count(what: &'static str, count: usize, max: usize) -> Result<(), PlanFault> {
    if (1..=max).contains(&count) {
        Ok(())
    } else {
        Err(PlanFault::Count { what, count, max })
    }
}

fn name(what: &'static str, text: &str) -> Result<(), PlanFault> {
    crate::check::name(what, text).map_err(|_| PlanFault::Name(what))
}
