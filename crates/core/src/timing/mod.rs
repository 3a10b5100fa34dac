//! Time: the stamping clock, and the cluster's clock with an honest uncertainty.
//!
//! A node asks its leader the time ([`ProbeLedger`], [`Probe`]), filters the answers
//! ([`OffsetFilter`]) and reads the cluster's time as an interval ([`ClusterClock`]). Several
//! leaders are weighed against one another ([`intersect`], [`reconcile`]).
//!
//! All of it is arithmetic over what it is handed: integers of nanoseconds at the door, floats from
//! `libm` inside, so that every machine computes the same. `docs/timing.md` says how well it does.
//!
//! **Invariant:** nothing here reads a clock or touches one; no input makes time run backwards.

mod calibration;
mod envelope;
mod estimate;
mod filter;
mod floor;
mod gaussian;
mod hard;
mod holdover;
mod jump;
pub mod limits;
mod memory;
mod mesh;
mod normal;
mod now;
mod path;
mod probe;
mod sources;
mod stamp;
mod wander;

pub use estimate::Estimate;
pub use filter::{Fault, News, OffsetFilter, ProbeError};
pub use jump::{Jump, Witness};
pub use memory::{Memory, MemoryError, PathMemory, RateMemory};
pub use mesh::{Difference, MeshError, reconcile};
pub use now::{ClusterClock, Interval, Known, Reading, Shift, Sync, Upstream};
pub use probe::{LedgerError, Probe, ProbeLedger, TimesError};
pub use sources::{Agreement, intersect};
pub use stamp::{StampClock, ahead_max_ns};
