//! What a checkpoint says of the documents.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_document::{Actor, ChangePlan, Key};
use unisono_model::{Digest, DocumentName, wire};

/// What a checkpoint says of a document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::node) struct Saved {
    pub(super) name: DocumentName,
    pub(super) heads: Vec<Digest>,
    pub(super) entries: u64,
    pub(super) queue: Vec<SavedPlan>,
    /// Changes that waited inside the document were not saved with it: the logs have them.
    pub(super) incomplete: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SavedPlan {
    actor: [u8; 16],
    seq: u64,
    dependencies: Vec<Digest>,
    entries: Vec<(String, wire::Blob)>,
}

impl SavedPlan {
    pub(super) fn of(plan: &ChangePlan) -> Self {
        let entries = plan.entries.iter();
        Self {
            actor: plan.actor.0,
            seq: plan.seq,
            dependencies: plan.dependencies.clone(),
            entries: entries
                .map(|(key, value)| (key.as_str().into(), wire::Blob(value.clone())))
                .collect(),
        }
    }

    pub(super) fn plan(self) -> Option<ChangePlan> {
        let entries = self.entries.into_iter();
        Some(ChangePlan {
            actor: Actor(self.actor),
            seq: self.seq,
            dependencies: self.dependencies,
            entries: entries
                .map(|(key, value)| Some((Key::new(&key).ok()?, value.0)))
                .collect::<Option<_>>()?,
        })
    }
}
