//! The words for closed lists, as JSON shows them.

use serde::{Deserialize, Serialize};
use unisono_core::ensemble;
use unisono_core::orchestra::view as core;
use unisono_model as model;
use utoipa::ToSchema;

// One macro, so that a new variant in the core does not compile until it has its word here.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $source:ty { $($word:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each word means what it means in the core")]
        pub enum $name { $($word),* }

        impl From<$source> for $name {
            fn from(value: $source) -> Self {
                match value { $(<$source>::$word => Self::$word),* }
            }
        }

        impl From<$name> for $source {
            fn from(value: $name) -> Self {
                match value { $($name::$word => Self::$word),* }
            }
        }
    )*};
}

words! {
    /// What stands behind an agent.
    AgentKindWord = model::AgentKind { Ai, Human, Node }
    /// Who holds an agent's key.
    HeldWord = model::Held { Agent, Node }
    /// What an agent is about.
    StatusWord = model::Status { Active, Thinking, Blocked, Idle, Absent }
    /// Kinds of signals.
    SignalKindWord = model::SignalKind { Intent, Need, Offer }
    /// How much a signal matters.
    UrgencyWord = model::Urgency { Low, Normal, High, Blocking }
    /// Where a task stands.
    TaskStatusWord = model::TaskStatus { Open, InProgress, Blocked, Deferred, Closed, Deleted }
    /// How tasks hang together.
    RelationWord = model::Relation { Blocks, Parent, Related, DiscoveredFrom }
    /// What an orchestra is about.
    PhaseWord = core::Phase { Design, Execution, Reflection }
    /// How sure a holding is.
    ClaimStatusWord = core::ClaimStatus { Provisional, Confirmed, Lost, Ended }
    /// Whether a record counts.
    VerdictWord = core::Verdict { Valid, Pending, Void, SetAside }
    /// A number that folds read. Milliseconds where the name says so.
    SettingWord = model::Setting {
        PresenceStaleMs, IntentLifetimeMs, NeedLifetimeMs, ClaimLeaseMs, EmitPerMinuteMax,
        ExecutionEnds, IterationLast, RemoveSilentAfterMs, NeedPatienceMs, CollisionPermille,
        TitleConflict, DescriptionConflict, StatusConflict, PriorityConflict, AssigneeConflict,
        LabelsConflict, LinkConflict, AdvanceNeedsResolved, ContextStaleMs, Run, DesignEnds,
        Reading, VaryTimingMs, VaryRatePpm, VaryAt, VaryBeats, VaryResourcesPpm,
    }
    /// What is done about values that were written at once.
    StrategyWord = core::Strategy { Ask, First, Last, Merge }
    /// Ways out of an interference.
    ResolutionWord = model::Resolution { Merge, Priority, Synthesis, Defer }
    /// Kinds of interference.
    InterferenceWord = core::InterferenceKind { Contested, Overlap, Unanswered, Collision }
    /// Kinds of drift.
    DriftWord = core::DriftKind {
        PhaseMismatch, IterationMismatch, ContextDivergence, IntentCollision, StaleAgent,
    }
    /// How bad a drift is.
    SeverityWord = core::Severity { Info, Warning, Error }
    /// The terms of coherence.
    TermWord = core::TermKind { Iteration, Phase, Context, Fresh, Intent, Unblocked }
    /// What is decided.
    DecideWord = model::DecideKind { Decision, DeadEnd }
    /// How much a decision matters.
    ImportanceWord = model::Importance { Low, Normal, High, Critical }
    /// How an error was recognised.
    FixMatchWord = core::FixMatch { Same, Kind, Alike }
    /// The parts of a brief.
    BriefPartWord = core::BriefPart {
        You, Decisions, DeadEnds, Task, Held, Blockers, Interferences, Together, Asked, Over,
        Lately, Done, Files, Near, Next,
    }
    /// What goes wrong among those who play together, which threshold an agent's actions have crossed, and who uses
    /// more than what is allotted to it.
    FailureWord = core::FailureKind {
        Rushing, Dragging, Drift, Split, MeanCritical, SpreadCritical, DriftCritical, Overuse,
    }
    /// What probably lies behind that: one agent's own clock, load or corrections; the beat or its period;
    /// two sources of time, or a cut between two groups; a limit of resources.
    CauseWord = ensemble::Cause { Player, Beat, TwoReferences, Resources }
    /// What agents use, each with its unit: time of processors (ms), memory at one time (MiB), what was written to
    /// disks (MiB), what went over networks (KiB), tokens of language models, calls of services outside.
    ResourceWord = model::Resource { CpuMs, MemoryMib, DiskMib, NetworkKib, Tokens, Calls }
    /// By which rule errors are corrected: by none; a quarter and a tenth; the gains that are best for the players;
    /// what stays is told from chance.
    CorrectionWord = model::CorrectionRule { None, Seed, Best, Kalman }
    /// How a source of events behaves: one interval; two in turn; short ones, and after some of them a long one.
    PatternWord = ensemble::Pattern { Periodic, Alternating, Bursty }
    /// Whether what an agent is off by is meant: it is not off; it varies within the bounds, where that is
    /// likely, and comes back; it is beyond the bounds; it does not come back; it is off where that is not likely.
    VariationWord = ensemble::Variation { Steady, Varying, OutOfBounds, NotReturning, NoPattern }
    /// What helps against it.
    RecoveryWord = ensemble::Recovery { HoldRate, MoreNotice, CorrectPeriod, Barrier, Relieve }
}

impl SettingWord {
    /// What counts where nobody has set it.
    pub fn default_value(self) -> u64 {
        match self {
            Self::PresenceStaleMs => 10 * 60_000,
            Self::IntentLifetimeMs => 3_600_000,
            Self::NeedLifetimeMs => 24 * 3_600_000,
            Self::ClaimLeaseMs => 30 * 60_000,
            Self::EmitPerMinuteMax => 600,
            Self::DesignEnds | Self::VaryBeats => 1,
            Self::ExecutionEnds => 8,
            Self::IterationLast => 10,
            Self::RemoveSilentAfterMs => 0,
            Self::NeedPatienceMs | Self::ContextStaleMs => 10 * 60_000,
            Self::CollisionPermille => 250,
            Self::TitleConflict
            | Self::DescriptionConflict
            | Self::StatusConflict
            | Self::PriorityConflict
            | Self::AssigneeConflict
            | Self::LabelsConflict
            | Self::LinkConflict
            | Self::AdvanceNeedsResolved
            | Self::Run
            | Self::Reading
            | Self::VaryTimingMs
            | Self::VaryRatePpm
            | Self::VaryAt
            | Self::VaryResourcesPpm => 0,
        }
    }
}

impl ResourceWord {
    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        model::Resource::from(self).name()
    }
}
