//! Why a command ends badly: one sentence, a stable code, what to do instead, and the exit code.

use serde::Serialize;
use unisono_api::client::ClientError;
use unisono_api::client::flow::Halted;
use unisono_api::client::rounds::Stuck;
use unisono_api::dto::HeldBy;
use unisono_core::journal::{CopyError, OpenError};
use unisono_model::Code;
use unisono_quic::identity::IdentityError;
use unisono_quic::join::{InviteError, JoinError, Refusal};
use unisono_store::{BackupError, OpenDiskError};

use crate::room;

/// What the exit code of the process says, where it is not 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(crate) enum Exit {
    Failed = 1,
    Usage = 2,
    NotFound = 3,
    Denied = 4,
    Conflict = 5,
    Unavailable = 6,
    TimedOut = 7,
    Verification = 8,
}

impl Exit {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Failed,
        Self::Usage,
        Self::NotFound,
        Self::Denied,
        Self::Conflict,
        Self::Unavailable,
        Self::TimedOut,
        Self::Verification,
    ];

    /// What it says, for whoever reads a script: the reference prints this.
    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Failed => "something failed, or does not hold",
            Self::Usage => "the command line, the configuration or the input is wrong",
            Self::NotFound => "what was asked for is not there",
            Self::Denied => "it is not allowed",
            Self::Conflict => "somebody else has it, or it contradicts what is there",
            Self::Unavailable => "nobody can do it at the moment: wait, or ask another node",
            Self::TimedOut => "it was not known in time: ask again with the same idempotency key",
            Self::Verification => {
                "verification failed: bytes that are not what they should be, or a simulation \
                 that broke a rule"
            }
        }
    }
}

/// Why a command ends badly.
#[derive(Clone, Debug)]
pub(crate) struct Failure(Box<Report>);

/// What is printed of a failure; with `-o json` exactly this.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// What was asked and why it cannot be.
    pub(crate) error: String,
    /// One stable word.
    pub(crate) code: String,
    /// What to do instead; may be empty.
    pub(crate) hint: String,
    /// Commands that help.
    pub(crate) next: Vec<String>,
    /// Whether anything changed; null where nobody can tell.
    pub(crate) changed: Option<bool>,
    /// Who holds the topic, where a claim was refused for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) held_by: Option<HeldBy>,
    /// The record by which the orchestra is told of it, where it is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident: Option<unisono_model::Digest>,
    /// After how long it may be tried again (ms), where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_after_ms: Option<u64>,
    /// The exit code.
    pub(crate) exit: u8,
}

impl Failure {
    /// A failure; nothing changed.
    pub(crate) fn new(exit: Exit, code: &str, error: impl Into<String>) -> Self {
        Self(Box::new(Report {
            error: error.into(),
            code: code.to_owned(),
            hint: String::new(),
            next: Vec::new(),
            changed: Some(false),
            held_by: None,
            incident: None,
            retry_after_ms: None,
            exit: exit as u8,
        }))
    }

    /// The command line is wrong.
    pub(crate) fn usage(error: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", error)
    }

    /// The system refused something.
    pub(crate) fn system(what: &str, error: &std::io::Error) -> Self {
        let words = format!("{what}: {error}");
        if room::is_full(error) {
            return Self::full(words);
        }
        Self::new(Exit::Failed, "system", words)
    }

    /// There is no room on a disk; whoever knows which one says how much is free.
    fn full(words: impl Into<String>) -> Self {
        Self::new(Exit::Unavailable, room::FULL, words).hint("make room on that disk")
    }

    /// Whether it is this refusal.
    pub(crate) fn is_code(&self, code: Code) -> bool {
        self.0.code == code.as_str()
    }

    /// The same, of something that was done all the same.
    pub(crate) fn changed(mut self) -> Self {
        self.0.changed = Some(true);
        self
    }

    /// The same, with what to do instead.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = hint.into();
        self
    }

    /// The same, with a command that helps.
    pub(crate) fn next(mut self, command: impl Into<String>) -> Self {
        self.0.next.push(command.into());
        self
    }

    /// What is printed.
    pub(crate) fn report(&self) -> &Report {
        &self.0
    }
}

impl<P> From<Halted<P>> for Failure {
    fn from(halted: Halted<P>) -> Self {
        halted.error.into()
    }
}

impl<T> From<Stuck<T>> for Failure {
    fn from(stuck: Stuck<T>) -> Self {
        stuck.error.into()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = error.exit_code();
        let code = match &error {
            ClientError::Refused(problem) => problem.code.clone(),
            ClientError::Unreachable(_) => "unreachable".to_owned(),
            ClientError::Unknown(_) => "unknown".to_owned(),
            ClientError::Unreadable(_) => "unreadable".to_owned(),
            ClientError::Usage(_) => "usage".to_owned(),
        };
        let mut failure = Self::new(Exit::Failed, &code, error.to_string());
        failure.0.exit = exit;
        match error {
            ClientError::Refused(problem) => {
                failure.0.error = problem.detail;
                failure.0.hint = problem.hint;
                failure.0.next = problem.next;
                failure.0.changed = problem.changed;
                failure.0.held_by = problem.held_by;
                failure.0.incident = problem.incident;
                failure.0.retry_after_ms = problem.retry_after_ms;
            }
            ClientError::Unreachable(words) => {
                let (hint, next) = unreached(&words);
                hint.clone_into(&mut failure.0.hint);
                failure.0.next = next.iter().map(|&next| next.to_owned()).collect();
            }
            ClientError::Unknown(_) => {
                failure.0.changed = None;
                "send the same again with the same --idempotency-key"
                    .clone_into(&mut failure.0.hint);
            }
            ClientError::Unreadable(_) | ClientError::Usage(_) => {}
        }
        failure
    }
}

/// What to do about a node that was not reached: to begin one helps where nobody listens on this machine.
fn unreached(words: &str) -> (&'static str, &'static [&'static str]) {
    let is_here = ["127.0.0.1", "localhost", "[::1]"]
        .iter()
        .any(|here| words.contains(here));
    let ended = words.contains("ended the stream") || words.contains("the stream broke");
    if ended {
        (
            "the node has ended, or the way to it is cut: give the same again",
            &[],
        )
    } else if words.contains("did not answer") || words.contains("in time") {
        (
            "something listens there and does not answer: `unisono doctor` on its machine",
            &[],
        )
    } else if is_here {
        (
            "is a node running there? --node names another",
            &["unisono doctor", "unisono up"],
        )
    } else {
        (
            "is that its address, does it run, and does it serve there (--http) and not on its loopback alone?",
            &["unisono doctor"],
        )
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let (exit, code) = match &error {
            IdentityError::Missing { .. } => (Exit::NotFound, "no_identity"),
            IdentityError::Exists { .. } => (Exit::Conflict, "identity_exists"),
            IdentityError::TooOpen { .. } => (Exit::Denied, "secrets_readable"),
            IdentityError::OthersOwn { .. } => (Exit::Denied, "secrets_of_others"),
            IdentityError::OtherCluster { .. } => (Exit::Verification, "other_cluster"),
            IdentityError::Malformed { .. }
            | IdentityError::Mismatch { .. }
            | IdentityError::Certificate(_) => (Exit::Verification, "identity_broken"),
            IdentityError::Unwritable { source, .. } if room::is_full(source) => {
                return Self::full(error.to_string());
            }
            IdentityError::Unreadable { .. }
            | IdentityError::Unwritable { .. }
            | IdentityError::Unmakeable(_) => (Exit::Failed, "identity_unusable"),
        };
        Self::new(exit, code, error.to_string())
    }
}

impl From<JoinError> for Failure {
    fn from(error: JoinError) -> Self {
        let exit = match &error {
            JoinError::Invite(InviteError::Expired { .. }) => Exit::Denied,
            JoinError::Invite(_) | JoinError::Address { .. } => Exit::Usage,
            JoinError::Refused { refusal, .. } if refusal.is_passing() => Exit::Unavailable,
            JoinError::Refused {
                refusal: Refusal::InviteUsed,
                ..
            } => Exit::Conflict,
            JoinError::Refused { .. } | JoinError::WrongAuthority { .. } => Exit::Denied,
            JoinError::Unreachable { .. } => Exit::Unavailable,
            JoinError::BadAnswer { .. } => Exit::Verification,
        };
        Self::new(exit, error.code(), error.to_string())
    }
}

impl From<OpenDiskError> for Failure {
    fn from(error: OpenDiskError) -> Self {
        match &error {
            OpenDiskError::InUse(_) => Self::new(Exit::Conflict, "data_in_use", error.to_string())
                .hint("stop the process that uses it, or name another directory with --data"),
            OpenDiskError::Io { source, .. } if room::is_full(source) => {
                Self::full(error.to_string())
            }
            OpenDiskError::Io { .. } => Self::new(Exit::Failed, "disk", error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let words = error.to_string();
        match error {
            OpenError::OtherCluster { .. } => Self::new(Exit::Verification, "other_cluster", words)
                .hint("name the right directory with --data"),
            OpenError::NewerVersion { .. } => Self::new(Exit::Verification, "newer_version", words)
                .hint("start the newer program, or restore a backup of this version"),
            OpenError::SegmentBytes { .. } => Self::new(Exit::Usage, "segment_bytes", words),
            OpenError::Disk(error) if error.is_full() => Self::full(words),
            OpenError::Disk(_) => Self::new(Exit::Failed, "disk", words),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let words = error.to_string();
        match error {
            BackupError::NotEmpty(_) => Self::new(Exit::Conflict, "not_empty", words)
                .hint("name a directory that is new or empty"),
            BackupError::Directory(error) => error.into(),
            BackupError::Copy {
                source: CopyError::Disk(error),
                ..
            } if error.is_full() => Self::full(words),
            BackupError::Copy { .. } => Self::new(Exit::Verification, "copy_incomplete", words),
        }
    }
}
