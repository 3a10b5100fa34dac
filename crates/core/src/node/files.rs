//! Files at the edge: plan, phase, measures and what is replaced are looked at once, before there is
//! a record. What a token says is judged by every replica (`crate::orchestra::trust`).
//!
//! Nothing is measured here. Whoever drives the node brings what it has seen of a content, and the
//! record has to say the same: so the bundle that carries the record attests the figures in it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use unisono_model::capability::Operations;
use unisono_model::{
    Action, AgentId, Approve, Code, Content, Digest, Measure, OrchestraId, Place, Plan, Project,
    RecordBody, Rejection, Stamp, Write, check, path,
};

use super::{Node, Space, limits};
use crate::capability::{ceiling, limits_functions};
use crate::context::Context;
use crate::orchestra::files::bases;

/// What the edge saw of a content; none for a removal.
pub(super) type Seen = Result<Option<Content>, Rejection>;

/// Paths that a refusal names.
const PATHS_NAMED_MAX: usize = 16;

impl Node {
    /// Whether an action is within its limits, told so that its author can mend it.
    pub(super) fn check_form(
        &mut self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
    ) -> Result<(), Rejection> {
        let formed = match &body.action {
            Action::Plan(plan) => plan
                .check()
                .map_err(|fault| Rejection::new(Code::PlanInvalid, fault.to_string())),
            action @ (Action::Write(_) | Action::Approve(_)) => {
                check::action(action).map_err(Rejection::from)
            }
            _ => return Ok(()),
        };
        if let Err(rejection) = &formed {
            self.note_incident(context, orchestra, agent, body, rejection);
        }
        formed
    }

    /// What must be so of a plan, a write or an approval; fills in the plan that stands.
    pub(super) fn file_precondition(
        &self,
        context: &Context<'_>,
        orchestra: OrchestraId,
        agent: AgentId,
        body: &RecordBody,
        seen: Option<&Seen>,
    ) -> Result<Action, Rejection> {
        let Some(space) = self.spaces.get(&orchestra) else {
            return Ok(body.action.clone());
        };
        let edge = Edge {
            space,
            at: self.now(context),
            agent,
            token: body.token,
            by_prefix: self.config.sabotage.paths_by_prefix,
        };
        edge.no_tier_forbids(&body.action)?;
        match &body.action {
            Action::Write(write) => {
                let plan = edge.write(write, seen)?;
                let write = Write {
                    plan,
                    ..Write::clone(write)
                };
                Ok(Action::Write(write.into()))
            }
            Action::Approve(approve) => {
                edge.approve(approve)?;
                Ok(Action::Approve(approve.clone()))
            }
            other => Ok(other.clone()),
        }
    }
}

struct Edge<'a> {
    space: &'a Space,
    at: Stamp,
    agent: AgentId,
    token: Option<Digest>,
    by_prefix: bool,
}

impl Edge<'_> {
    /// The ceilings of a tier hold for whoever enrolled for it, without a token too.
    fn no_tier_forbids(&self, action: &Action) -> Result<(), Rejection> {
        let laws = self.space.folds.trust.laws();
        let key = laws.turns().latest(self.agent, Place::end_of(self.at));
        let bound = laws.tier_of(&key);
        let Some(ceiling) = bound.and_then(ceiling).filter(|_| self.token.is_none()) else {
            return Ok(());
        };
        let needed = match action {
            Action::Write(write) => write.operations(),
            Action::Plan(_) => Operations::WRITE_PLAN,
            _ => Operations::APPROVE,
        };
        let lacks = needed.without(ceiling.operations);
        if !lacks.is_empty() {
            let code = if lacks.contains(Operations::DELETE) {
                Code::DeletionNotAllowed
            } else {
                Code::NotAllowed
            };
            let words: Vec<&str> = lacks.words().collect();
            let detail = format!("no {} has the right to {}", ceiling.tier, words.join(", "));
            return Err(Rejection::new(code, detail));
        }
        if ceiling.files_listed && matches!(action, Action::Write(_)) {
            let detail = format!("an agent of the tier {} writes files", ceiling.tier);
            return Err(Rejection::new(
                Code::TokenMissing,
                format!("{detail} that its token lists"),
            )
            .hint("ask an executive for a token, and act under it"));
        }
        Ok(())
    }

    /// Plan, phase, scope; then what was seen of the content, so that nobody is told of files that they
    /// may not write; measure, base. Says which plan stands.
    fn write(&self, write: &Write, seen: Option<&Seen>) -> Result<Digest, Rejection> {
        let folds = &self.space.folds;
        let Some((place, planned)) = folds.plans.at(self.at) else {
            return Err(
                Rejection::new(Code::PlanMissing, "no plan stands in this orchestra")
                    .hint("an agent with the right to write the plan sets one: `unisono plan set`"),
            );
        };
        if write.plan != place.record && write.plan != Digest::default() {
            let detail = format!("the plan that stands is {}", place.record);
            return Err(Rejection::new(Code::PlanStale, detail).hint("look at it, and try again"));
        }
        let project = self.in_phase(&planned.plan, write)?;
        is_as_seen(write, seen)?;
        self.measured(project, write)?;
        self.replaces(write)?;
        Ok(place.record)
    }

    fn in_phase<'a>(&self, plan: &'a Plan, write: &Write) -> Result<&'a Project, Rejection> {
        let Write { phase, .. } = write;
        let not_active = |words: String| {
            Err(Rejection::new(Code::PhaseNotActive, words)
                .hint("`unisono plan show` says which phases are active"))
        };
        let Some(project) = plan.project(&write.project) else {
            return not_active(format!("the plan has no project {}", write.project));
        };
        let Some(planned) = project.phase(*phase) else {
            return not_active(format!("project {} has no phase {phase}", project.name));
        };
        if planned.state != unisono_model::PhaseState::Active {
            return not_active(format!("phase {phase} of {} is not active", project.name));
        }
        let role = self.space.folds.agents.read(&self.agent, self.at);
        let role = role.map_or("", |state| state.enrol.role.as_str());
        let own = |key: &AgentId| self.space.folds.identity(key) == self.agent;
        let theirs: Vec<&str> = planned.paths(own, role).collect();
        match outside(&theirs, write.paths(), |one, path| self.covers(one, path)) {
            None => Ok(project),
            Some(path) => {
                let named = theirs[..theirs.len().min(PATHS_NAMED_MAX)].join(", ");
                let detail = format!("asked: to write {path}; the plan lets you write: {named}");
                Err(Rejection::new(Code::FileNotAllowed, detail)
                    .hint("ask whoever writes the plan for a scope"))
            }
        }
    }

    fn covers(&self, pattern: &str, path: &str) -> bool {
        path::matches(pattern, path) || (self.by_prefix && path.starts_with(pattern))
    }

    /// What no token can say, since a record does not know the plan: files of no known language are
    /// for those of whose functions nothing is asked, and for whom the plan lets.
    fn measured(&self, project: &Project, write: &Write) -> Result<(), Rejection> {
        let token = self.token.and_then(|id| self.space.folds.trust.token(&id));
        let limited = token.is_some_and(|token| limits_functions(&token.leaf().may));
        let unknown = write
            .content
            .as_ref()
            .is_some_and(|content| content.measure == Measure::UnknownLanguage);
        if limited && unknown && !project.lets_unmeasured(&write.path) {
            return Err(Rejection::new(
                Code::MeasureRefused,
                "no language is known for this file, so its functions cannot be measured",
            )
            .hint("the plan can let files of this ending be written: `unmeasured`"));
        }
        Ok(())
    }

    /// Whether what is replaced is what is there.
    fn replaces(&self, write: &Write) -> Result<(), Rejection> {
        let files = &self.space.folds.files;
        for (path, base) in bases(write) {
            let moved = write.moved_from.as_ref().map(|moved| moved.path.as_str());
            if files.has_twin(path, self.at, moved) {
                return Err(Rejection::new(
                    Code::PathNotPlain,
                    "a file of this name is there, but for the case of its letters",
                ));
            }
            let Some((_, written)) = files.heads(path, self.at).next() else {
                continue;
            };
            if written.digest() != base {
                let holds = match written.digest() {
                    Some(digest) => format!("it holds {digest} now"),
                    None => "it is gone".to_string(),
                };
                let detail = format!("{path} is not what this write replaces: {holds}");
                return Err(Rejection::new(Code::ContentConflict, detail)
                    .hint("look at what it holds, and write again on top of that"));
            }
        }
        Ok(())
    }

    /// Whether the opinion is about what is there, and not about one's own.
    fn approve(&self, approve: &Approve) -> Result<(), Rejection> {
        let folds = &self.space.folds;
        match folds.standing(&approve.about, self.at) {
            None => {
                let detail = "there is nothing that counts to approve";
                return Err(Rejection::new(Code::ContentConflict, detail));
            }
            Some((_, content)) if content != approve.content => {
                let detail = format!("it is {content} now");
                return Err(Rejection::new(Code::ContentConflict, detail)
                    .hint("look at that, and approve what you have seen"));
            }
            Some(_) => {}
        }
        let own = |key: &AgentId| folds.identity(key) == self.agent;
        let standing = folds.standing(&approve.about, self.at);
        let said = folds
            .approvals
            .said_by(own, &approve.about, self.at, standing);
        if said >= limits::OPINIONS_MAX {
            let words = format!("you have said {said} times what you think of this content");
            return Err(Rejection::new(Code::NotAllowed, words)
                .hint("all of it stands, the latest first, until the content changes"));
        }
        let hands = folds.trust.hands(self.agent, self.token);
        if folds.approvals.had_a_hand(&approve.about, self.at, &hands) {
            return Err(Rejection::new(
                Code::DutiesTogether,
                "who approves, or who let them approve, had a hand in this",
            )
            .hint("somebody approves whose token comes from elsewhere"));
        }
        Ok(())
    }
}

/// The first path that none of the caller's own scopes covers. It is held against all of these and
/// against nothing else, so that neither the answer nor the work says what is there, or whose it is.
fn outside<'a>(
    theirs: &[&str],
    mut paths: impl Iterator<Item = &'a str>,
    mut covers: impl FnMut(&str, &str) -> bool,
) -> Option<&'a str> {
    paths.find(|path| !theirs.iter().any(|one| covers(one, path)))
}

/// Whether the record says of the content what this node has seen of it.
fn is_as_seen(write: &Write, seen: Option<&Seen>) -> Result<(), Rejection> {
    let seen = match seen {
        Some(Ok(seen)) => seen,
        Some(Err(rejection)) => return Err(rejection.clone()),
        None => {
            return Err(Rejection::new(
                Code::ContentMismatch,
                "the write came without the content that it is about",
            )
            .hint("send both: `unisono write PATH`"));
        }
    };
    let mismatch = |words: &str| Err(Rejection::new(Code::ContentMismatch, words));
    let (said, seen) = match (&write.content, seen) {
        (None, None) => return Ok(()),
        (Some(said), Some(seen)) => (said, seen),
        (Some(_), None) | (None, Some(_)) => {
            return mismatch("what was sent is no removal, or the record is one");
        }
    };
    if said.digest != seen.digest || said.bytes != seen.bytes {
        return mismatch(&format!(
            "the content that was sent is {}, and the record names {}",
            seen.digest, said.digest
        ));
    }
    if said.blank != seen.blank {
        return mismatch("the record says otherwise whether the content is blank");
    }
    if said.measure == seen.measure {
        return Ok(());
    }
    let detail = format!(
        "the record claims {}, and this node measured {}",
        figures(&said.measure),
        figures(&seen.measure)
    );
    Err(Rejection::new(Code::MeasureRefused, detail)
        .hint("have the node measure it: POST …/measure says what to sign"))
}

fn figures(measure: &Measure) -> String {
    match measure {
        Measure::Known(measured) => format!(
            "{} functions, complexity {}, {} lines",
            measured.functions, measured.complexity_max, measured.lines_max
        ),
        Measure::UnknownLanguage => "no known language".to_string(),
        Measure::Unmeasurable(reason) => format!("nothing ({reason})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timed test would say little on a busy machine. What is done is counted: nothing is looked up,
    /// and whoever is refused has each of its own scopes held against its path once, whether others may
    /// write it, somebody has, or nobody ever heard of it.
    #[test]
    fn a_refused_path_is_held_against_the_callers_own_scopes_alone_and_against_each_once() {
        let theirs = ["src/a.rs", "docs/**", "src/a/*.rs"];
        for path in ["src/b.rs", "no/such.rs", "src/a.rs.old", "docs", "x"] {
            let mut held = Vec::new();
            let found = outside(&theirs, core::iter::once(path), |one, path| {
                held.push(one.to_string());
                path::matches(one, path)
            });
            assert_eq!(found, Some(path));
            assert_eq!(held, theirs);
        }
        let own = ["src/a.rs", "docs/b.md"];
        assert_eq!(outside(&theirs, own.into_iter(), path::matches), None);
    }
}
