//! What the edge and its clients exchange as JSON. Ids are hexadecimal, moments bear both the stamp
//! and the calendar time, unknown fields of requests are refused.

mod action;
mod answer;
mod authority;
mod certificate;
mod clock;
mod cluster;
mod cue;
mod ensemble;
mod expulsion;
mod file;
mod finding;
mod flow;
mod foretold;
mod lesson;
mod moment;
mod plan;
mod problem;
mod reading;
mod record;
mod resonance;
mod rollback;
mod root;
mod score;
mod task;
mod trust;
mod vary;
mod view;
mod words;

pub use action::{
    ActBody, ActionBody, AdvanceBody, ClaimBody, EnrolBody, MarkBody, PresenceBody, ReleaseBody,
    RenewBody, SettingsBody, SignalBody,
};
pub use answer::{
    ConfigSetBody, Done, HeadBody, LeaveBody, Left, NoteSpliceBody, NoteTextBody, OpenBody, Opened,
    RecordBase64, Recorded, Session, SessionHead,
};
pub use authority::{AuthorityShown, AuthorityWord, NodeAuthority, SucceedBody};
pub use certificate::{CertificateTrouble, CertificateWord, NodeCertificate};
pub use clock::{
    ChannelModeWord, ChannelShown, ChannelsShown, Clock, ClockSource, Nanoseconds, SyncWord,
    TimingRole,
};
pub use cluster::{
    Counted, Damage, HeadShown, Incarnated, InviteShown, InviteUseShown, LogRef, Member, Members,
    OrchestraSummary, Orchestras, Status, Version, WitnessShown,
};
pub use cue::{
    CueList, CueNoticeShown, CueOutcomeWord, CueShown, CueStageWord, CueTurn, Ended, LeadShown,
    LeadsShown, PartyShown, ShortNotice, UnreliableShown,
};
pub use ensemble::{
    AnswerBody, ArriveBody, Bpm, CueAnswerWord, CueBody, CueRuleWord, CurveBody, Digits,
    PerformsBody, PlayedBody, SegmentBody, TempoBody, UsedBody,
};
pub use expulsion::{EndBody, Ends, RemoveBody};
pub use file::{
    AboutBody, ApprovalShown, Approvals, ApproveBody, ContentShown, FileShown, Files, HeldShown,
    JudgementWord, MeasureBody, MeasureShown, MeasuredContent, MeasuredShown, MovedBody, WorthWord,
    WriteBody, WriteShown, content_fields,
};
pub use finding::{Finding, FindingChange};
pub use flow::{FlowShown, FlowWord, NamedByWord, Yielded};
#[cfg(feature = "server")]
pub(crate) use foretold::to_ms;
pub use foretold::{
    CameShown, EventKindWord, ForetoldShown, NextShown, PlanWord, ReliabilityShown,
};
pub use lesson::{
    DecideBody, DecisionShown, Decisions, Fix, Fixes, OutcomeBody, RejectedBody, RemedyBody,
};
pub use moment::{BadMoment, Moment, parse_stamp};
pub use plan::{PhaseBody, PhaseStateWord, PlanBody, PlanShown, ProjectBody, ScopeBody};
pub use problem::{HeldBy, Problem};
pub use reading::{parse_session, session_text};
pub use record::{
    ActionShown, AdmitShown, FieldShown, RecordEvent, Records, TaskShown, ValueShown, ViewShown,
};
pub use resonance::{
    Brief, BriefLineShown, Coherence, CoherenceChange, CoherenceExplained, Drift, Gluing,
    Interference, Interferences, LoweredBy, ResolutionShown, ResolveBody, SeenBody, Side, Term,
    TermExplained,
};
pub use rollback::{RollbackBody, RollbackShown, SeenLog, SetAside};
pub use root::{RootBody, RootShown};
pub use score::{
    BarrierList, BarrierShown, Beat, ChangeShown, ChangeStageWord, Ensemble, FollowerShown,
    FollowsWord, GainsShown, HealthWord, Minute, OpeningShown, OveruseShown, PerformerShown,
    Performers, Player, StressWord, TempoShown, UsageShown, VariationShown,
};
pub use task::{
    FieldHeads, LinkBody, LinkChange, Task, TaskBody, TaskNewBody, TaskPatchBody, Tasks,
};
pub use trust::{
    Beyond, Chains, CutBody, FenceBody, FenceShown, GuardBody, IncidentShown, IncidentTold,
    PresentBody, RenewalBody, RotateBody, RotationShown, TargetBody, TokenRenewed, TokenShown,
    Trust, VoidedShown, parse_token, token_text,
};
pub use vary::{OneTo, VariationBody};
pub use view::{
    Agent, Agents, Claim, Claims, ConfigValue, ConfigValues, ConfigWriter, Conflict, Hashes,
    Iteration, Lost, MarkList, MarkShown, Note, Notes, Paged, Presence, Presences, Settings,
    Signal, Signals, State, Writer,
};
pub use words::{
    AgentKindWord, BriefPartWord, CauseWord, ClaimStatusWord, CorrectionWord, DecideWord,
    DriftWord, FailureWord, FixMatchWord, HeldWord, ImportanceWord, InterferenceWord, PatternWord,
    PhaseWord, RecoveryWord, RelationWord, ResolutionWord, ResourceWord, SettingWord, SeverityWord,
    SignalKindWord, StatusWord, StrategyWord, TaskStatusWord, TermWord, UrgencyWord, VariationWord,
    VerdictWord,
};
