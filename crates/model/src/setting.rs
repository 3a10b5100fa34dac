//! The numbers of an orchestra that folds read.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::limits;

/// A number that folds read. Milliseconds where the name says so.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Setting {
    /// After how long without an action a presence is stale (default 10 min).
    PresenceStaleMs,
    /// Life of an INTENT when the agent names none (default 1 h).
    IntentLifetimeMs,
    /// Life of a NEED or an OFFER when the agent names none (default: 24 h; also ends with its
    /// iteration).
    NeedLifetimeMs,
    /// Lease of a claim when the agent names none (default 30 min).
    ClaimLeaseMs,
    /// Signals that one agent may emit in a minute (default 600).
    EmitPerMinuteMax,
    /// Up to this iteration, from behind those of DESIGN on, is EXECUTION; the rest is REFLECTION
    /// (default 8).
    ExecutionEnds,
    /// The last iteration (default 10).
    IterationLast,
    /// After how long a silent member is voted out; 0 never (default 0; cluster orchestra).
    RemoveSilentAfterMs,
    /// After how long a NEED without an OFFER is an interference (default 10 min).
    NeedPatienceMs,
    /// How alike two INTENTs are that collide, at least, in thousandths (default 250).
    CollisionPermille,
    /// Which of several titles counts that were written at once: 0 asks (the default), 1 the first
    /// writer's, 2 the last writer's, 3 all of them merged.
    TitleConflict,
    /// The same of descriptions.
    DescriptionConflict,
    /// The same of a task's status.
    StatusConflict,
    /// The same of priorities.
    PriorityConflict,
    /// The same of assignees, who cannot be merged.
    AssigneeConflict,
    /// The same of labels.
    LabelsConflict,
    /// The same of relations to another task.
    LinkConflict,
    /// What has to be resolved before an iteration ends: 0 nothing (the default), 1 every interference
    /// that blocks, 2 every interference.
    AdvanceNeedsResolved,
    /// For how long something that binds an agent may be there before it counts against it that it
    /// acts without having said that it has seen it (default 10 min).
    ContextStaleMs,
    /// The number of the run that the orchestra is (default 0, none).
    Run,
    /// Up to this iteration is DESIGN (default 1; 0: none is).
    DesignEnds,
    /// What reading over HTTP needs: 0 nothing (the default), 1 a session of an agent that may read.
    Reading,
    /// How far from its target (ms) an action may be on purpose (default 0: not at all).
    VaryTimingMs,
    /// By how much of the tempo's rate (millionths) agents may act faster or slower on purpose (default 0).
    VaryRatePpm,
    /// Where they may: 0 from any beat on (the default), 1 from coordination points on, 2 from major
    /// synchronisations on.
    VaryAt,
    /// For how many beats from there on (default 1).
    VaryBeats,
    /// By how much more than what is allotted to them (millionths of it) agents may use on purpose (default 0).
    VaryResourcesPpm,
}

impl Setting {
    /// Whether it says which of several values counts that were written at once.
    pub fn is_conflict(self) -> bool {
        matches!(
            self,
            Self::TitleConflict
                | Self::DescriptionConflict
                | Self::StatusConflict
                | Self::PriorityConflict
                | Self::AssigneeConflict
                | Self::LabelsConflict
                | Self::LinkConflict
        )
    }

    /// Which values it may have, if it is one that says how agents may vary on purpose.
    pub fn varies_within(self) -> Option<RangeInclusive<u64>> {
        match self {
            Self::VaryTimingMs => Some(0..=limits::VARY_TIMING_MS_MAX),
            Self::VaryRatePpm => Some(0..=limits::VARY_RATE_PPM_MAX),
            Self::VaryAt => Some(0..=2),
            Self::VaryResourcesPpm => Some(0..=limits::VARY_RESOURCES_PPM_MAX),
            Self::VaryBeats => Some(1..=limits::VARY_BEATS_MAX),
            _ => None,
        }
    }
}
