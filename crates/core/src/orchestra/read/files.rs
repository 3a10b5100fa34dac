//! Reading plans, files and approvals as of a stamp.

use alloc::vec::Vec;

use unisono_model::{Place, Reviewed};

use super::Reading;
use crate::orchestra::files::Written;
use crate::orchestra::view::{ApprovalView, FileView, PlanView, WriteView};

impl Reading<'_> {
    /// The plan that stands.
    pub fn plan(&self) -> Option<PlanView> {
        let (place, planned) = self.folds.plans.at(self.at)?;
        Some(PlanView {
            place,
            by: planned.by,
            name: self.folds.agents.name(&planned.by),
            plan: planned.plan.clone(),
        })
    }

    /// Files by path, after a path.
    pub fn files(&self, after: Option<&str>, limit: usize) -> Vec<FileView> {
        let paths = self.folds.files.paths_after(after);
        paths
            .filter_map(|path| self.file(path))
            .take(limit)
            .collect()
    }

    /// One file, if it was ever written.
    pub fn file(&self, path: &str) -> Option<FileView> {
        let mut heads = self.folds.files.heads(path, self.at);
        let (place, written) = heads.next()?;
        Some(FileView {
            path: path.into(),
            holds: self.write(place, written),
            beside: heads
                .map(|(place, written)| self.write(place, written))
                .collect(),
            approvals: self.approvals(&Reviewed::Path(path.into())),
        })
    }

    /// What was said about something, the latest first.
    pub fn approvals(&self, about: &Reviewed) -> Vec<ApprovalView> {
        let standing = self.folds.standing(about, self.at);
        let said = self.folds.approvals.read(about, self.at, standing);
        said.map(|(place, opinion, worth)| ApprovalView {
            place,
            agent: opinion.agent,
            name: self.folds.agents.name(&opinion.agent),
            content: opinion.content,
            judgement: opinion.judgement,
            reason: opinion.reason.clone(),
            worth,
        })
        .collect()
    }

    fn write(&self, place: Place, written: &Written) -> WriteView {
        let stood = self.folds.plans.before(place);
        WriteView {
            place,
            agent: written.agent,
            name: self.folds.agents.name(&written.agent),
            project: written.project.clone(),
            phase: written.phase,
            plan: written.plan,
            late: stood.is_none_or(|plan| plan.record != written.plan),
            content: written.content.clone(),
        }
    }
}
