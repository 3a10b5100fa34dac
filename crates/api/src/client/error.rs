//! Why a client has no answer to give, and whether anything may have changed.

use crate::dto::Problem;

/// Why there is no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ClientError {
    /// A node refused. Whether anything changed stands in the problem.
    #[error("{}: {}{}", .0.code, .0.detail, hint(&.0.hint))]
    Refused(Box<Problem>),
    /// No node could be reached. Nothing changed.
    #[error("no node could be reached: {0}")]
    Unreachable(String),
    /// It was sent and not answered: it may have happened. Send the same again with the same key.
    #[error("nobody can tell whether it happened: {0}")]
    Unknown(String),
    /// What answered is not a node of this version.
    #[error("the answer could not be read: {0}")]
    Unreadable(String),
    /// The client was told something that cannot be.
    #[error("{0}")]
    Usage(String),
}

impl ClientError {
    /// The refusal, where it is one.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused(problem) => Some(problem),
            _ => None,
        }
    }

    /// Whether a node refused by this rule.
    pub fn is_code(&self, code: unisono_model::Code) -> bool {
        self.problem()
            .is_some_and(|problem| problem.code == code.as_str())
    }

    /// The exit code of a command that ends with this; `unisono reference codes` says what each
    /// says.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Refused(problem) => exit_of(problem.status),
            Self::Unreachable(_) => 6,
            Self::Unknown(_) => 7,
            Self::Unreadable(_) => 1,
            Self::Usage(_) => 2,
        }
    }
}

/// The exit code of a command that was refused with this HTTP status.
pub fn exit_of(status: u16) -> u8 {
    match status {
        400 | 405 | 413 | 415 => 2,
        404 => 3,
        401 | 403 | 421 => 4,
        409 => 5,
        429 | 503 => 6,
        408 | 504 => 7,
        422 => 8,
        _ => 1,
    }
}

fn hint(hint: &str) -> String {
    if hint.is_empty() {
        String::new()
    } else {
        format!(" ({hint})")
    }
}
