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

/// The same facts in another order, which follows from a number (xorshift64, Marsaglia 2003).
pub(crate) fn shuffled(facts: &[Fact], order: u64) -> Vec<Fact> {
    let mut shuffled = facts.to_vec();
    let mut state = order | 1;
    for index in (1..shuffled.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        shuffled.swap(index, (state % (index as u64 + 1)) as usize);
    }
    shuffled
}
