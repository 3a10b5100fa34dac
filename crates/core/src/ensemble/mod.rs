//! Playing together: the beat ([`TempoMap`]), when somebody has to be told ([`Lead`], [`Profile`]),
//! how errors are corrected ([`Corrector`], [`Loop`]), what comes next ([`EventSource`]), what goes
//! wrong ([`Watch`], and of what nodes hold [`judge`](judge())), how punctual everybody is ([`Punctuality`]), and what can be relied on ([`Channels`]).
//!
//! All of it is arithmetic over what it is handed: the beat in integers, the rest in floats from
//! `libm`. `docs/ensemble.md` says how well it does, and why the seed's gains are not the default.
//!
//! **Invariant:** nothing here reads a clock; no input makes it panic or loop without end.

mod belief;
mod channels;
mod correct;
mod cure;
mod gain;
mod habit;
mod health;
mod judge;
mod lead;
pub mod limits;
mod profile;
mod source;
mod tempo;
mod usage;
mod vary;
mod watch;

pub use channels::{
    ChannelHealth, ChannelLook, ChannelMode, ChannelReport, Channels, Compensation,
};
pub use correct::{CorrectionFault, Corrector, Rule};
pub use cure::{Asks, Cure, Due};
pub use gain::{GainError, Gains, Loop};
pub use health::{Health, Measure, Punctuality};
pub use judge::{Beyond, Judged, Judgement, beyond, judge, judge_within};
pub use lead::{Lead, Notice, Together, share_of_each, window_ns};
pub use profile::Profile;
pub use source::{Came, EventSource, Foretold, Intervals, Pattern, Plan, Reliability};
pub use tempo::{Beat, Change, Position, Stress, TempoError, TempoMap};
pub use usage::{Overuse, Usage, UsageFault, usage, usage_with_fault};
pub use vary::{Bounds, Expected, Variation, VariationFault, Varied};
pub use watch::{Alarm, Cause, Cusum, Failure, Recovery, Watch};
