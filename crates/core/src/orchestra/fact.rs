//! A record as the folds take it.

use serde::{Deserialize, Serialize};
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

/// Which bundle carries a record, as cursors name it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Carrier {
    /// Its log.
    pub tag: u64,
    /// Its number in the log.
    pub bundle: u64,
}

impl Fact {
    /// Which bundle carries it.
    pub fn carrier(&self) -> Carrier {
        Carrier {
            tag: self.log.tag(),
            bundle: self.bundle,
        }
    }
}
