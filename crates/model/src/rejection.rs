//! Refusals: part of the vocabulary, because whoever is refused must know by which rule, what is
//! allowed instead, and that nothing changed.

use alloc::string::String;
use core::fmt;

use crate::Digest;

/// Why something was refused. Whatever was asked did not happen, unless [`Code::Unknown`] says
/// that nobody can tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rejection {
    /// The rule, stable over versions.
    pub code: Code,
    /// What was asked and why it cannot be, in a sentence.
    pub detail: String,
    /// What to do instead; may be empty.
    pub hint: String,
    /// When to ask again (ms), where waiting helps.
    pub retry_after_ms: Option<u64>,
    /// The record that tells the orchestra of it, where one does: an incident.
    pub incident: Option<Digest>,
}

/// What a refusal means for whoever asked; drives HTTP status and exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Category {
    /// The request itself is wrong.
    Usage,
    /// What it speaks of is not there.
    NotFound,
    /// It is not allowed.
    Denied,
    /// Somebody else has it, or it contradicts what stands.
    Conflict,
    /// Too much at once: wait.
    TooMany,
    /// This node cannot do it now.
    Unavailable,
    /// It was not known in time.
    Timeout,
    /// Bytes that do not prove what they say.
    Verification,
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident $text:literal $category:ident,)*) => {
        /// The rules by which something can be refused.
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub enum Code { $($(#[doc = $doc])* $name,)* }

        impl Code {
            /// Every rule.
            pub const ALL: &'static [Code] = &[$(Code::$name,)*];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What the rule is, in words.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }

            /// What it means for whoever asked.
            pub fn category(self) -> Category {
                match self { $(Self::$name => Category::$category,)* }
            }
        }
    };
}

codes! {
    /// Bytes or fields outside the format or its limits.
    Malformed "malformed" Usage,
    /// A signature that does not verify.
    BadSignature "bad_signature" Verification,
    /// A record for another chain place than the next.
    ChainOrder "chain_order" Conflict,
    /// A record for a log that this node does not write (any more).
    WrongLog "wrong_log" Conflict,
    /// No orchestra of this name.
    OrchestraUnknown "orchestra_unknown" NotFound,
    /// No such agent in this orchestra.
    AgentUnknown "agent_unknown" NotFound,
    /// The node does not hold this agent's key.
    NotHeld "not_held" Denied,
    /// No such task.
    TaskUnknown "task_unknown" NotFound,
    /// The task exists already.
    TaskExists "task_exists" Conflict,
    /// The task's end needs a mark that proves it.
    EvidenceMissing "evidence_missing" Denied,
    /// Nobody holds this topic, or not by this claim.
    ClaimUnknown "claim_unknown" NotFound,
    /// Somebody else holds the topic.
    ClaimHeld "claim_held" Conflict,
    /// The lease is over.
    ClaimExpired "claim_expired" Conflict,
    /// Somebody else's claim.
    NotHolder "not_holder" Denied,
    /// Not the current iteration.
    IterationWrong "iteration_wrong" Conflict,
    /// The iteration may not end while something is open that has to be resolved.
    IterationUnresolved "iteration_unresolved" Conflict,
    /// The same idempotency key with another body.
    KeyReused "key_reused" Conflict,
    /// Too many requests of one agent, or too many at once.
    RateLimited "rate_limited" TooMany,
    /// The node is full of waiting requests.
    Busy "busy" TooMany,
    /// The disk is full: reads go on.
    DiskFull "disk_full" Unavailable,
    /// The disk failed.
    DiskFailed "disk_failed" Unavailable,
    /// This node's clock is off by more than the cluster accepts.
    ClockOff "clock_off" Unavailable,
    /// The node has not seen what the cursor names, and did not in time.
    Behind "behind" Timeout,
    /// It was done or not: nobody can tell yet. Ask again with the same key.
    Unknown "unknown" Timeout,
    /// The cursor or the time is none.
    CursorInvalid "cursor_invalid" Usage,
    /// What lies so far back cannot be told.
    TooOld "too_old" NotFound,
    /// Only members may do this, and only in the cluster's own orchestra.
    NotMember "not_member" Denied,
    /// The node is leaving the cluster, or has left it.
    Leaving "leaving" Unavailable,
    /// The last member cannot leave.
    LastMember "last_member" Conflict,
    /// Too few others hold what the node wrote: it did not leave.
    NotHandedOver "not_handed_over" Timeout,
    /// No note of this name.
    NoteUnknown "note_unknown" NotFound,
    /// Stored bytes that are not what was written.
    Corrupt "corrupt" Verification,
    /// A guarded orchestra, and no token.
    TokenMissing "token_missing" Denied,
    /// A token that has not been laid before the orchestra.
    TokenUnknown "token_unknown" Denied,
    /// Bytes that are no token, or none that this cluster gave to this agent.
    TokenInvalid "token_invalid" Denied,
    /// A token that does not count yet, or no longer.
    TokenTime "token_time" Denied,
    /// A token, or the key that uses it, has been fenced off.
    TokenFenced "token_fenced" Denied,
    /// The token is another agent's, or of another tier than the agent is enrolled for.
    TokenBinding "token_binding" Denied,
    /// The token does not allow this.
    NotAllowed "not_allowed" Denied,
    /// More actions in a minute than the token allows.
    TokenRate "token_rate" TooMany,
    /// A path of a file in another form than the one that is taken.
    PathNotPlain "path_not_plain" Usage,
    /// A path that leads out of the workspace, or to what has a second name.
    PathEscapes "path_escapes" Denied,
    /// A file that neither token nor plan lets this agent write.
    FileNotAllowed "file_not_allowed" Denied,
    /// Removing, moving away or emptying a file without the right to delete.
    DeletionNotAllowed "deletion_not_allowed" Denied,
    /// Functions that are too complex or too long, cannot be measured, or measure otherwise than
    /// claimed; a file that is too large.
    MeasureRefused "measure_refused" Denied,
    /// A phase that is not active, not in the plan, or not in the token.
    PhaseNotActive "phase_not_active" Denied,
    /// Nobody has set a plan.
    PlanMissing "plan_missing" Denied,
    /// Another plan stands by now.
    PlanStale "plan_stale" Conflict,
    /// A plan that cannot stand.
    PlanInvalid "plan_invalid" Usage,
    /// The file holds something else by now.
    ContentConflict "content_conflict" Conflict,
    /// The content is not what the record says of it.
    ContentMismatch "content_mismatch" Verification,
    /// Who approves and who wrote have a hand in common.
    DutiesTogether "duties_together" Denied,
    /// No such interference stands.
    InterferenceUnknown "interference_unknown" NotFound,
    /// Somebody has resolved it already.
    InterferenceResolved "interference_resolved" Conflict,
    /// What is to be played lies in the past.
    TimePast "time_past" Usage,
    /// Not everybody could know of it in time.
    LeadShort "lead_short" Usage,
    /// No cue of this name, or it is long over.
    CueUnknown "cue_unknown" NotFound,
    /// At this barrier agents wait for another number.
    BarrierCount "barrier_count" Conflict,
    /// No decision of this name is held.
    DecisionUnknown "decision_unknown" NotFound,
    /// Another decision has taken its place already.
    DecisionSuperseded "decision_superseded" Conflict,
    /// No remedy of this name is held.
    RemedyUnknown "remedy_unknown" NotFound,
    /// Evidence that no mark known here is.
    EvidenceUnknown "evidence_unknown" NotFound,
    /// Nothing that can be set aside was done since.
    RollbackEmpty "rollback_empty" NotFound,
    /// Something done since cannot be set aside, and what can be rests on it.
    RollbackBarred "rollback_barred" Conflict,
    /// The agent signs with another key by now, or a token was issued with one that it has given up.
    KeyRotated "key_rotated" Denied,
    /// The key that an agent is to go on with is somebody's already.
    KeyTaken "key_taken" Conflict,
    /// Another authority signs already, or has taken the place that this one was to take.
    AuthorityTaken "authority_taken" Conflict,
    /// Another key is the root of rights at that time, or was when a token was laid down.
    RootRotated "root_rotated" Denied,
    /// Another root of rights was named with that number, or a higher one.
    RootTaken "root_taken" Conflict,
    /// An agent has changed its key, or a key was named by rotations, as often as is looked at.
    RotationLimit "rotation_limit" Conflict,
    /// The token may not be renewed any further, or not by the node that was asked.
    NotRenewable "not_renewable" Denied,
    /// Who reads this orchestra has to say who they are, by a session.
    SessionNeeded "session_needed" Denied,
    /// The session's time is over.
    SessionEnded "session_ended" Denied,
    /// No session, or none that its agent signed for this cluster, this orchestra and this time.
    SessionInvalid "session_invalid" Denied,
}

impl Rejection {
    /// A refusal with its reason.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            hint: String::new(),
            retry_after_ms: None,
            incident: None,
        }
    }

    /// The same, with what to do instead.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The same, with the record that tells of it.
    pub fn told_by(mut self, incident: Digest) -> Self {
        self.incident = Some(incident);
        self
    }

    /// The same, with when to ask again (ms).
    pub fn retry_after(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.detail)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

impl core::error::Error for Rejection {}

impl From<crate::wire::Malformed> for Rejection {
    fn from(malformed: crate::wire::Malformed) -> Self {
        let code = match malformed {
            crate::wire::Malformed::Path(_) => Code::PathNotPlain,
            _ => Code::Malformed,
        };
        Self::new(code, alloc::format!("{malformed}; nothing changed")).hint(
            "docs/reference/limits.md says what may be how long, and docs/protocol.md how it looks",
        )
    }
}
