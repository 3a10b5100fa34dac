//! Facts made by hand, for the laws of the folds.

use unisono_core::orchestra::fact::Fact;
use unisono_model::{
    Action, AgentId, Digest, Held, LogId, Place, RECORD_VERSION, RecordBody, Stamp,
};

/// A record that an agent made, with its name, as bundle and record `number` of a log.
pub(crate) fn fact(
    record: Digest,
    (log, number): (LogId, u64),
    agent: u8,
    at_ms: u64,
    action: Action,
) -> Fact {
    Fact {
        place: Place {
            stamp: Stamp::from_ms(at_ms),
            record,
        },
        agent: AgentId([agent; 32]),
        log,
        bundle: number,
        seq: number,
        body: RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: 0,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        },
    }
}
