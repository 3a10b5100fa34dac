//! The edge: where agents speak JSON over HTTP, and the Rust client that speaks it.
//!
//! * [`server`] turns requests into [`server::Call`]s for whoever drives the node, and answers into
//!   JSON, problem reports and event streams. It decides nothing about the cluster's state.
//! * [`client`] finds the nearest node, fails over, remembers what it has seen, and repeats safely.
//! * [`dto`] is what both exchange: values of their own, converted by hand, so that neither the wire
//!   nor the disk ever depends on JSON.
//! * [`audit`] is what the lines of an exported file say.
//!
//! **Invariant:** knows nothing of QUIC, of the disk, or of how a fold works.

pub mod audit;
#[cfg(feature = "client")]
pub mod client;
pub mod dto;
pub mod limits;
#[cfg(feature = "server")]
pub mod server;

mod key;

pub use key::idempotency_key;
