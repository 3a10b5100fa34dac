//! What an orchestra learns: what was decided and what leads nowhere, what helps against an error,
//! and whether it did.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::{count, name, text};
use crate::wire::Malformed;
use crate::{Digest, limits};

/// Something was decided, or was found to lead nowhere. It binds until a later one supersedes it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Decide {
    /// Which of the two.
    pub kind: DecideKind,
    /// About what.
    pub topic: String,
    /// The question that was open; may be empty.
    pub question: String,
    /// What was decided, or what leads nowhere.
    pub text: String,
    /// Why.
    pub reason: String,
    /// How much it matters.
    pub importance: Importance,
    /// How sure whoever decided is (‰).
    pub confidence_permille: u16,
    /// What was looked at and not taken.
    pub rejected: Vec<Rejected>,
    /// The records of decisions that it takes the place of, in order.
    pub supersedes: Vec<Digest>,
}

/// What is decided.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum DecideKind {
    /// It is done like this.
    Decision,
    /// It was tried and leads nowhere: nobody should try it again.
    DeadEnd,
}

/// How much a decision matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Importance {
    /// Good to know.
    Low,
    /// As most are.
    Normal,
    /// Whoever works nearby has to know it.
    High,
    /// Everybody has to know it.
    Critical,
}

/// An alternative that was not taken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// What.
    pub option: String,
    /// Why not.
    pub reason: String,
}

/// What helps against an error. The error stands here in its normal form, from which its
/// fingerprint follows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Remedy {
    /// The version of the normal form.
    pub form: u8,
    /// The error's text in that form.
    pub error: String,
    /// What to do.
    pub text: String,
    /// What the error comes from; may be empty.
    pub cause: String,
    /// Files that it is done to.
    pub files: Vec<String>,
}

/// What came of a remedy.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The remedy's record.
    pub remedy: Digest,
    /// Whether the error went away.
    pub helped: bool,
    /// In words.
    pub text: String,
}

impl Decide {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        name("topic", &self.topic)?;
        text("question", &self.question, limits::REASON_BYTES_MAX)?;
        said("decision", &self.text)?;
        text("reason", &self.reason, limits::LESSON_BYTES_MAX)?;
        if self.confidence_permille > 1_000 {
            return Err(Malformed::Limit("confidence (0 to 1000 ‰)"));
        }
        count(
            "rejected alternatives",
            self.rejected.len(),
            limits::REJECTED_MAX,
        )?;
        for one in &self.rejected {
            name("rejected alternative", &one.option)?;
            text(
                "reason of a rejected alternative",
                &one.reason,
                limits::REASON_BYTES_MAX,
            )?;
        }
        count(
            "superseded decisions",
            self.supersedes.len(),
            limits::SUPERSEDES_MAX,
        )?;
        if self.supersedes.is_sorted_by(|one, next| one < next) {
            Ok(())
        } else {
            Err(Malformed::NotCanonical)
        }
    }
}

impl Remedy {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.error.trim().is_empty() {
            return Err(Malformed::Contradiction(
                "a remedy names the error that it helps against",
            ));
        }
        text("error", &self.error, limits::ERROR_FORM_BYTES_MAX)?;
        said("remedy", &self.text)?;
        text("cause", &self.cause, limits::LESSON_BYTES_MAX)?;
        count("files", self.files.len(), limits::REMEDY_FILES_MAX)?;
        self.files.iter().try_for_each(|file| name("file", file))
    }
}

impl Outcome {
    /// Whether it is within its limits.
    ///
    /// # Errors
    /// The field that is not.
    pub fn check(&self) -> Result<(), Malformed> {
        text("outcome", &self.text, limits::REASON_BYTES_MAX)
    }
}

/// A text that has to say something.
fn said(what: &'static str, words: &str) -> Result<(), Malformed> {
    if words.trim().is_empty() {
        return Err(Malformed::Limit(what));
    }
    text(what, words, limits::LESSON_BYTES_MAX)
}
