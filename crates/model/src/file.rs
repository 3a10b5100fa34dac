//! What is said about files: that one was written, and what somebody thinks of it.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::Digest;
use crate::capability::Operations;

/// A file of the workspace was written, moved or removed. The record bears no content, but its
/// digest and what the node that carries the record has measured of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Write {
    /// The project of the plan.
    pub project: String,
    /// The phase of the project.
    pub phase: u32,
    /// The file, as [`crate::path::check`] takes it.
    pub path: String,
    /// The content that it replaces; none where there was no file.
    pub base: Option<Digest>,
    /// What it holds now; none: it is removed.
    pub content: Option<Content>,
    /// Where it stood before, if it was moved.
    pub moved_from: Option<Moved>,
    /// The record of the plan under which it is written.
    pub plan: Digest,
}

/// From where a file was moved.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// The former path.
    pub path: String,
    /// What it held there.
    pub base: Digest,
}

/// What is known of a content without having it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Its name: [`Content::digest_of`].
    pub digest: Digest,
    /// How long it is.
    pub bytes: u32,
    /// Whether nothing in it does anything: white space, comments.
    pub blank: bool,
    /// What its functions measure.
    pub measure: Measure,
}

/// What came of measuring.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Measure {
    /// These figures.
    Known(Measured),
    /// No grammar belongs to the path's ending.
    UnknownLanguage,
    /// It cannot be measured, for this reason: a word.
    Unmeasurable(String),
}

/// What the functions of a file measure.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The language that it was read as.
    pub language: String,
    /// How many functions there are.
    pub functions: u32,
    /// The greatest cyclomatic complexity of one.
    pub complexity_max: u32,
    /// Whose that is; empty where there are none.
    pub most_complex: String,
    /// The most lines of one.
    pub lines_max: u32,
    /// Whose they are; empty where there are none.
    pub longest: String,
}

/// Somebody says what they think of what others have made.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Approve {
    /// About what.
    pub about: Reviewed,
    /// What it holds, or for a task how it stands: the opinion is about this and nothing later.
    pub content: Digest,
    /// What they think.
    pub judgement: Judgement,
    /// Why.
    pub reason: String,
}

/// What can be approved.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Reviewed {
    /// A file.
    Path(String),
    /// A task.
    Task(String),
}

/// What somebody thinks.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Judgement {
    /// It is good.
    Approved,
    /// It is not.
    Rejected,
}

impl Content {
    /// The name of a content.
    pub fn digest_of(bytes: &[u8]) -> Digest {
        Digest::of("unisono/content/v1", &[bytes])
    }
}

impl Write {
    /// Which kinds of deeds it is: to remove, to move away and to empty are to delete. A file may
    /// be born blank.
    pub fn operations(&self) -> Operations {
        let Some(content) = &self.content else {
            return Operations::DELETE;
        };
        let empties = content.blank && self.base.is_some();
        if empties || self.moved_from.is_some() {
            Operations::WRITE_CODE.and(Operations::DELETE)
        } else {
            Operations::WRITE_CODE
        }
    }

    /// The files that it is about: its own, and the one that it was moved from.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let former = self.moved_from.iter().map(|moved| moved.path.as_str());
        core::iter::once(self.path.as_str()).chain(former)
    }
}
