//! The cluster, as a value: feed it what happened, and it says what to do.
//!
//! **Invariant:** nothing here can reach a clock, a socket, a disk or chance: the crate does not
//! link `std`. Two drivers turn it: `unisono` (tokio, QUIC, disk) and `unisono-sim` (a seed).
//!
//! One floor of machines that do not know each other, and `node` above them, which knows all.
#![no_std]
extern crate alloc;

pub mod capability;
pub mod carriage;
pub mod context;
pub mod election;
pub mod ensemble;
pub mod journal;
pub mod membership;
pub mod node;
pub mod orchestra;
pub mod replication;
pub mod sabotage;
pub mod session;
pub mod timekeeper;
pub mod timing;
