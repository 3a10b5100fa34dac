//! What only one request at a time may change, and what may be changed in the cluster's own
//! orchestra.

use alloc::string::ToString;
use alloc::vec::Vec;

use unisono_model::{Action, AgentId, OrchestraId, RecordBody, Reviewed};

use super::Node;
use super::batch::Subject;
use super::input::Work;
use crate::carriage::client_record;
use crate::orchestra::claims::Claims;

impl Node {
    pub(super) fn block(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            *self.blocked.entry(subject.clone()).or_default() += 1;
        }
    }

    pub(super) fn unblock(&mut self, subjects: &[Subject]) {
        for subject in subjects {
            if let Some(count) = self.blocked.get_mut(subject) {
                *count -= 1;
                if *count == 0 {
                    self.blocked.remove(subject);
                }
            }
        }
    }

    pub(super) fn is_blocked(&self, subjects: &[Subject]) -> bool {
        subjects
            .iter()
            .any(|subject| self.blocked.contains_key(subject))
    }

    /// Whether an action has to wait until something is on disk that it does not change itself: what
    /// may be written is said by the plan.
    pub(super) fn is_premature(&self, orchestra: OrchestraId, action: &Action) -> bool {
        matches!(action, Action::Write(_)) && self.blocked.contains_key(&Subject::Plan(orchestra))
    }
}

/// A file, by a name under which those are one that differ in the case of their letters: they are one
/// where disks fold case.
fn file(orchestra: OrchestraId, path: &str) -> Subject {
    Subject::File(orchestra, path.to_lowercase())
}

/// What an action changes.
pub(super) fn subjects(orchestra: OrchestraId, agent: AgentId, action: &Action) -> Vec<Subject> {
    let mut subjects = alloc::vec![Subject::Agent(orchestra, agent)];
    if let Some(topic) = Claims::topic_of(action) {
        subjects.push(Subject::Topic(orchestra, topic.to_string()));
    }
    if let Action::Task(change) = action {
        subjects.push(Subject::Task(orchestra, change.task.clone()));
    }
    match action {
        Action::Advance { .. } => subjects.push(Subject::Iteration(orchestra)),
        Action::Plan(_) => subjects.push(Subject::Plan(orchestra)),
        Action::Rollback(_) => {
            subjects.extend([Subject::Iteration(orchestra), Subject::Plan(orchestra)]);
        }
        Action::Write(write) => {
            let files = write.paths().map(|path| file(orchestra, path));
            subjects.extend(files);
        }
        Action::Approve(approve) => subjects.push(match &approve.about {
            Reviewed::Path(path) => file(orchestra, path),
            Reviewed::Task(task) => Subject::Task(orchestra, task.clone()),
        }),
        _ => {}
    }
    subjects
}

/// What agents may do in the cluster's own orchestra: introduce themselves, set its settings, and
/// settle who may do so.
pub(super) fn rules_the_cluster(work: &Work) -> bool {
    let allowed = |action: &Action| {
        matches!(
            action,
            Action::Enrol(_)
                | Action::Settings(_)
                | Action::Present(_)
                | Action::Guard
                | Action::Fence(_)
                | Action::Remove(_)
                | Action::Rotate(_)
                | Action::Succeed(_)
                | Action::Root(_)
        )
    };
    match work {
        Work::Act { action, .. } => allowed(action),
        Work::Record(bytes) => client_record(bytes)
            .and_then(|record| RecordBody::decode(&record.body.0))
            .is_ok_and(|body| allowed(&body.action)),
        Work::OfInvite(_) => true,
        Work::File { .. } | Work::Open { .. } | Work::Living { .. } | Work::Leave { .. } => false,
    }
}
