//! I3: no record that nobody asked for; no fork among the honest.

use std::collections::BTreeSet;

use unisono_model::{Digest, Held, IdempotencyKey, NodeId};

use crate::oracle::Reading;

/// Remembers what agents signed and asked for.
#[derive(Clone, Debug, Default)]
pub struct Invention {
    signed: BTreeSet<Digest>,
    keys: BTreeSet<IdempotencyKey>,
}

impl Invention {
    /// An agent has signed a record.
    pub fn signed(&mut self, record: Digest) {
        self.signed.insert(record);
    }

    /// An agent has asked for something under a key.
    pub fn asked(&mut self, key: IdempotencyKey) {
        self.keys.insert(key);
    }

    /// Whether every record in the logs was signed or asked for, and only liars' logs forked.
    pub fn check(&self, reading: &Reading, liars: &BTreeSet<NodeId>) -> Result<(), String> {
        for fact in &reading.facts {
            let known = match fact.body.held {
                Held::Agent => self.signed.contains(&fact.place.record),
                Held::Node => fact.body.key.is_some_and(|key| self.keys.contains(&key)),
            };
            let node = fact.agent.0 == fact.log.node.0;
            if !known && !node && !liars.contains(&fact.log.node) {
                let (record, log) = (fact.place.record, fact.log);
                return Err(format!(
                    "record {record} in log {log:?} was never signed or asked for"
                ));
            }
        }
        if let Some((log, seq)) = reading
            .forks
            .iter()
            .find(|(log, _)| !liars.contains(&log.node))
        {
            return Err(format!(
                "the log {log:?} of an honest node forked at bundle {seq}"
            ));
        }
        Ok(())
    }
}
