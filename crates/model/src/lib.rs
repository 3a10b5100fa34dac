//! The vocabulary: ids, stamps, records, bundles, actions, refusals, limits. No behaviour beyond
//! reading, writing and checking what one value says about itself.
//!
//! **Invariant:** nothing here knows a clock, a socket, a disk, chance, or any other crate of ours.
#![no_std]
extern crate alloc;

mod action;
mod bundle;
pub mod capability;
pub mod check;
mod ensemble;
mod file;
mod ids;
mod invite;
mod lesson;
pub mod limits;
pub mod path;
mod plan;
mod record;
mod rejection;
mod root;
mod seen;
mod session;
mod setting;
mod stamp;
mod succession;
mod trust;
pub mod wire;
mod witness;

pub use action::{
    Across, Action, Admit, AgentKind, Enrol, Expulsion, Field, FieldChange, FieldValue, Held,
    Leave, Mark, OrchestraEnd, Presence, Relation, Resolution, Resolve, Rollback, Signal,
    SignalKind, Status, TaskChange, TaskStatus, Urgency, ViewVote,
};
pub use bundle::{
    BUNDLE_VERSION, BundleBody, BundleHeader, Carried, DocumentAppend, DocumentKind, DocumentName,
    ForkProof, LogEnd, SignedBundle,
};
pub use ensemble::{
    Arrival, CorrectionRule, Cue, CueAnswer, CueRule, CueWord, Curve, PARTS_PER_BEAT, Performs,
    Played, Resource, Tempo, TempoSegment, Used,
};
pub use file::{Approve, Content, Judgement, Measure, Measured, Moved, Reviewed, Write};
pub use ids::{
    AgentId, AuthorityId, ChainId, ClusterId, Digest, IdempotencyKey, Incarnation, InviteKey,
    LogId, NodeId, NotHexadecimal, OrchestraId, from_hex,
};
pub use invite::{InviteUse, InviteWord};
pub use lesson::{Decide, DecideKind, Importance, Outcome, Rejected, Remedy};
pub use plan::{FileScope, PhaseState, Plan, PlanFault, PlanPhase, Project, Who};
pub use record::{ChainHead, RECORD_VERSION, RecordBody, RecordPlace, SignedRecord};
pub use rejection::{Category, Code, Rejection};
pub use root::RootWord;
pub use seen::Seen;
pub use session::{ReadSession, SESSION_VERSION, SignedSession};
pub use setting::Setting;
pub use stamp::{Place, Stamp};
pub use succession::{Succession, SuccessionWord};
pub use trust::{
    ChainCut, Fence, FenceTarget, INCIDENT_ACKNOWLEDGED, Incident, Rotation, record_of_evidence,
};
pub use witness::Witness;
