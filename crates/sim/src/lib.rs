//! The simulator: the second driver of the unchanged node, in virtual time, from one seed.
//!
//! A [`Scenario`] and a seed make one run: a cluster with its network, its disks, its clocks and
//! its agents, everything that goes wrong with them, and judges apart from the world who say what
//! did not hold. The same scenario and seed make the same run, event for event.
//!
//! **Invariant:** nothing here knows a real clock, a thread, a socket or a file; the node is driven
//! through its one door only.

pub mod agents;
pub mod campaign;
pub mod chance;
pub mod checks;
pub mod clock;
pub mod counters;
pub mod discipline;
pub mod disk;
pub mod ensemble;
pub mod history;
pub mod host;
pub mod memo;
pub mod network;
pub mod oracle;
pub mod plan;
pub mod run;
pub mod scenario;
pub mod shrink;
pub mod store;
pub mod timing;
pub mod trace;
pub mod world;

pub use campaign::{Campaign, campaign, find};
pub use checks::Violation;
pub use counters::{Counters, SOMETIMES};
pub use history::{Operation, Outcome as OperationOutcome};
pub use plan::Fault;
pub use run::{Outcome, Summary, run, run_with_trace};
pub use scenario::{Mix, Planted, Scenario};
pub use shrink::{Shrunk, shrink};
