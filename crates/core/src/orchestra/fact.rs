//! A record as the folds take it.

use unisono_model::{AgentId, LogId, Place, RecordBody};

/// A record with its place, after carriage.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Where it stands in the order of everything; also its name.
    pub place: Place,
    /// Who signed it.
    pub agent: AgentId,
    /// The log that carries it.
    pub log: LogId,
    /// The bundle that carries it.
    pub bundle: u64,
    /// Its number in its chain.
    pub seq: u64,
    /// What it says.
    pub body: RecordBody,
}
