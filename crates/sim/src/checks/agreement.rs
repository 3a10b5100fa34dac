//! I1: replicas with the same records show the same; what they show is what the logs say.

use std::collections::{BTreeMap, BTreeSet};

use unisono_core::orchestra::approvals::Worth;
use unisono_core::orchestra::view::{
    AgentView, BriefView, ClaimView, CoherenceView, FileView, HashView, SignalView, StateView,
    TaskView,
};
use unisono_model::{Digest, FieldValue, Place, Relation};

use super::brief;
use super::coherence;
use super::lessons::Learned;
use super::together::Score;
use crate::oracle::{File, Held, Task, Truth};

/// What one node shows at one stamp.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The digests.
    pub hash: HashView,
    /// Iteration and counts.
    pub state: StateView,
    /// Who holds what.
    pub claims: Vec<ClaimView>,
    /// The tasks.
    pub tasks: Vec<TaskView>,
    /// The files.
    pub files: Vec<FileView>,
    /// The signals.
    pub signals: Vec<SignalView>,
    /// What is played together.
    pub score: Score,
    /// What was learned.
    pub learned: Learned,
    /// Who is here, how far they have come apart, and what each is told.
    pub apart: Apart,
}

/// How far agents have come apart, and what each is told, at one stamp.
#[derive(Clone, Debug)]
pub struct Apart {
    /// The agents.
    pub agents: Vec<AgentView>,
    /// How coherent they are.
    pub coherence: CoherenceView,
    /// What each needs to know to go on.
    pub briefs: Vec<BriefView>,
}

impl Apart {
    /// Whether this is what the logs say.
    pub fn matches(&self, truth: &Truth) -> Result<(), String> {
        let agents: BTreeSet<_> = self.agents.iter().map(|agent| agent.agent).collect();
        same("agents", &agents, &truth.agents)?;
        for one in &self.briefs {
            brief::check(one, &self.agents, truth)?;
        }
        coherence::check(&self.coherence, &truth.coherence)
    }
}

/// Two nodes' digests at one stamp: where they hold the same, they must show the same.
pub fn agrees(one: &HashView, other: &HashView) -> Result<(), String> {
    if one.vector != other.vector {
        return Ok(());
    }
    if one.views != other.views {
        return Err("two nodes hold the same logs and show different views".into());
    }
    if one.documents != other.documents {
        return Err("two nodes hold the same logs and have different document heads".into());
    }
    Ok(())
}

impl Shown {
    /// Whether this is what the logs say.
    pub fn matches(&self, truth: &Truth) -> Result<(), String> {
        same("iteration", &self.state.iteration, &truth.iteration)?;
        same("marks", &self.state.marks, &truth.marks)?;
        let signals: BTreeSet<Place> = self.signals.iter().map(|signal| signal.place).collect();
        same("signals", &signals, &truth.signals)?;
        self.files_match(&truth.files)?;
        same("learned", &self.learned.told(), &truth.lessons)?;
        same("played together", &self.score.told(), &truth.together)?;
        self.apart.matches(truth)?;
        self.claims_match(&truth.claims)?;
        self.tasks_match(&truth.tasks)
    }

    fn files_match(&self, truth: &BTreeMap<String, File>) -> Result<(), String> {
        let shown: BTreeMap<String, File> = self
            .files
            .iter()
            .map(|view| {
                let standing = view.approvals.iter();
                let standing = standing.filter(|one| one.worth == Worth::Stands);
                let file = File {
                    holds: Some(view.holds.place),
                    beside: view.beside.iter().map(|one| one.place).collect(),
                    approved: standing.map(|one| one.place).collect(),
                };
                (view.path.clone(), file)
            })
            .collect();
        same("files", &shown, truth)
    }

    fn claims_match(&self, truth: &BTreeMap<String, Held>) -> Result<(), String> {
        let held: Vec<&String> = self.claims.iter().map(|claim| &claim.topic).collect();
        same("held topics", &held, &truth.keys().collect())?;
        for view in &self.claims {
            let Some(said) = truth.get(&view.topic) else {
                continue;
            };
            let losers: BTreeSet<_> = view.losers.iter().copied().collect();
            let shown = (
                view.claim,
                view.agent,
                view.token,
                view.token_valid,
                view.until,
                losers,
            );
            let losers = said.losers.clone();
            let said = (
                said.claim,
                said.agent,
                said.token,
                said.token_valid,
                said.until,
                losers,
            );
            same(&format!("claim of {}", view.topic), &shown, &said)?;
        }
        Ok(())
    }

    fn tasks_match(&self, truth: &BTreeMap<String, Task>) -> Result<(), String> {
        let names: Vec<&String> = self.tasks.iter().map(|task| &task.task).collect();
        same("tasks", &names, &truth.keys().collect())?;
        for view in &self.tasks {
            let Some(said) = truth.get(&view.task) else {
                continue;
            };
            task_matches(view, said).map_err(|why| format!("task {}: {why}", view.task))?;
        }
        Ok(())
    }
}

fn task_matches(view: &TaskView, said: &Task) -> Result<(), String> {
    same("remarks", &(view.remarks as usize), &said.remarks)?;
    same("latest change", &view.changed, &Some(said.changed))?;
    let shown: BTreeMap<_, Vec<Digest>> = view.heads.iter().cloned().collect();
    let heads: BTreeMap<_, Vec<Digest>> = said
        .heads
        .iter()
        .map(|(field, heads)| {
            (
                field.clone(),
                heads.iter().map(|(place, _)| place.record).collect(),
            )
        })
        .collect();
    same("heads", &shown, &heads)?;
    let circular: BTreeSet<String> = view
        .circular
        .iter()
        .filter(|(_, relation)| *relation == Relation::Blocks)
        .map(|(on, _)| on.clone())
        .collect();
    same("circular links", &circular, &said.circular)?;
    let split = view.conflicts.iter();
    let decided: Vec<bool> = split.map(|split| split.decided).collect();
    let split = said.heads.iter().filter(|(_, heads)| heads.len() > 1);
    let settled = split.map(|(field, _)| said.shown.get(field).is_some_and(|one| one.decided));
    same("decided", &decided, &settled.collect())?;
    for shown in said.shown.values() {
        match &shown.value {
            FieldValue::Created(kind) => same("type", &view.kind, kind)?,
            FieldValue::Title(title) => same("title", &view.title, title)?,
            FieldValue::Status(status) => same("status", &view.status, &Some(*status))?,
            FieldValue::Priority(priority) => same("priority", &view.priority, &Some(*priority))?,
            FieldValue::Assignee(who) => same("assignee", &view.assignee, who)?,
            FieldValue::Labels(labels) => same("labels", &view.labels, labels)?,
            FieldValue::Description(words) => same("description", &view.description, words)?,
            FieldValue::Link { .. } | FieldValue::Remark(_) => {}
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, shown: &T, said: &T) -> Result<(), String> {
    if shown == said {
        return Ok(());
    }
    let short = |value: &T| format!("{value:?}").chars().take(700).collect::<String>();
    Err(format!(
        "{what}: shown {}, by the logs {}",
        short(shown),
        short(said)
    ))
}
