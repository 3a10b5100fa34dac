//! The composed node: one door in (`handle`), one door out (`Output`), one alarm clock.

mod input;
mod output;

use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{AgentId, ClusterId, Incarnation, LogId, NodeId, OrchestraId};

pub use input::{
    Ask, BatchId, DiskFailure, Input, LivingEdit, LoadId, Promise, Question, Submit, Ticket, Work,
};
pub use output::{Answer, AnswerBody, Class, Note, Output, Recorded};

use crate::context::Context;
use crate::sabotage::Sabotage;

/// What a node must be told at birth.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node's Ed25519 seed.
    pub secret: [u8; 32],
    /// The name that people read.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Where peers reach it.
    pub address: String,
    /// This life: new at every start.
    pub incarnation: Incarnation,
    /// Members that it may knock at: identity and address. Empty for a founder.
    pub seeds: Vec<(NodeId, String)>,
    /// The longest lease in this cluster (ms): the same on every node.
    pub lease_ms_max: u64,
    /// Rules to break, for tests of the checkers.
    pub sabotage: Sabotage,
}

/// What a node reads at its start: the journal, or whatever stands for it.
pub trait Storage {
    /// The orchestras that are on disk.
    fn orchestras(&mut self) -> Vec<OrchestraId>;
    /// The logs of an orchestra, each with the ranges of bundles held (first, last).
    fn holdings(&mut self, orchestra: OrchestraId) -> Vec<(LogId, Vec<(u64, u64)>)>;
    /// Bundles of a log from `from_seq` on, in sequence, about `bytes_max` of them.
    fn read(
        &mut self,
        orchestra: OrchestraId,
        log: LogId,
        from_seq: u64,
        bytes_max: usize,
    ) -> Vec<crate::journal::Entry>;
    /// Fork proofs.
    fn proofs(&mut self, orchestra: OrchestraId) -> Vec<Vec<u8>>;
    /// A cache kept under a name.
    fn blob(&mut self, name: &str) -> Option<Vec<u8>>;
}

/// One member of the cluster, as a value.
#[derive(Debug)]
pub struct Node {
    config: Config,
}

impl Node {
    /// A node as the disk remembers it. Bundles that it cannot read are gaps, to be repaired.
    pub fn start(config: Config, storage: &mut dyn Storage, context: &mut Context<'_>) -> Self {
        let _ = (storage, context);
        Self { config }
    }

    /// Takes in one thing that happened, and pushes onto `out` what to do about it.
    pub fn handle(&mut self, context: &mut Context<'_>, input: Input, out: &mut Vec<Output>) {
        let _ = (context, input, out);
    }

    /// When to call `handle` with `Input::Tick` next at the latest (monotonic ns).
    pub fn next_deadline_ns(&self) -> u64 {
        0
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        NodeId(self.config.secret)
    }

    /// The log that this life writes.
    pub fn log(&self) -> LogId {
        LogId { node: self.id(), incarnation: self.config.incarnation }
    }

    /// The key of an agent whose secret this node holds: derived, never stored.
    pub fn held_agent(&self, orchestra: OrchestraId, name: &str) -> AgentId {
        let _ = (orchestra, name);
        AgentId::default()
    }
}
