//! The vocabulary: ids, stamps, records, bundles, actions, refusals, limits. No behaviour beyond
//! reading, writing and checking what one value says about itself.
//!
//! **Invariant:** nothing here knows a clock, a socket, a disk, chance, or any other crate of ours.
#![no_std]
extern crate alloc;

mod ids;

pub use ids::{
    AgentId, ChainId, ClusterId, Digest, IdempotencyKey, Incarnation, LogId, NodeId,
    NotHexadecimal, OrchestraId, from_hex,
};
