//! What people see of plans, files and approvals.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Content, Digest, Judgement, Place, Plan};

use crate::orchestra::approvals::Worth;

/// The plan that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct PlanView {
    /// Its record: writes name it.
    pub place: Place,
    /// Who set it.
    pub by: AgentId,
    /// Their name.
    pub name: String,
    /// What it says.
    pub plan: Plan,
}

/// A file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FileView {
    /// Its path.
    pub path: String,
    /// What it holds, and who wrote it.
    pub holds: WriteView,
    /// What was written at the same time and is not in it.
    pub beside: Vec<WriteView>,
    /// What was said about it, the latest first.
    pub approvals: Vec<ApprovalView>,
}

/// A write of a file.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct WriteView {
    /// Its record.
    pub place: Place,
    /// Who wrote.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// The project.
    pub project: String,
    /// The phase.
    pub phase: u32,
    /// Under which plan.
    pub plan: Digest,
    /// Another plan stood when it was written: its node had not heard of it. To be looked at again.
    pub late: bool,
    /// What it holds; none: it was removed, or moved away.
    pub content: Option<Content>,
}

/// What somebody thinks of something.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ApprovalView {
    /// Its record.
    pub place: Place,
    /// Who.
    pub agent: AgentId,
    /// The agent's name.
    pub name: String,
    /// About which content, or which change of a task.
    pub content: Digest,
    /// What they think.
    pub judgement: Judgement,
    /// Why.
    pub reason: String,
    /// What that is worth.
    pub worth: Worth,
}
