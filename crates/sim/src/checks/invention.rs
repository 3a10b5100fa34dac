//! I3: no record that nobody asked for; no fork among the honest.

use std::collections::BTreeSet;

use unisono_model::{AgentId, Digest, Held, IdempotencyKey, NodeId};

use crate::oracle::Reading;

/// Remembers what agents signed and asked for.
#[derive(Clone, Debug, Default)]
pub struct Invention {
    signed: BTreeSet<Digest>,
    keys: BTreeSet<IdempotencyKey>,
    /// Keys that agents hold themselves: no node has them, whatever it does.
    own: BTreeSet<AgentId>,
}

impl Invention {
    /// An agent holds this key itself.
    pub fn signs_itself(&mut self, agent: AgentId) {
        self.own.insert(agent);
    }

    /// An agent has signed a record.
    pub fn signed(&mut self, record: Digest) {
        self.signed.insert(record);
    }

    /// An agent has asked for something under a key.
    pub fn asked(&mut self, key: IdempotencyKey) {
        self.keys.insert(key);
    }

    /// Whether a record bears the name of an agent that holds its key itself and has not signed it.
    fn is_forged(&self, agent: &AgentId, record: &Digest) -> bool {
        self.own.contains(agent) && !self.signed.contains(record)
    }

    /// Whether everything that a node shows of agents that hold their keys themselves was signed by
    /// them, whichever log has brought it.
    pub fn shown(&self, shown: &[(AgentId, Digest)]) -> Result<(), String> {
        let mut shown = shown.iter();
        match shown.find(|(agent, record)| self.is_forged(agent, record)) {
            None => Ok(()),
            Some((agent, record)) => Err(format!(
                "{record} is shown as a word of {agent}, who has never signed it"
            )),
        }
    }

    /// Whether every record in the logs was signed or asked for, and only liars' logs forked. What a
    /// liar's log says of itself and of agents whose keys a node holds is the liar's; what it says in
    /// the name of an agent that holds its own key has to be that agent's there, too.
    pub fn check(&self, reading: &Reading, liars: &BTreeSet<NodeId>) -> Result<(), String> {
        for fact in &reading.facts {
            if self.is_forged(&fact.agent, &fact.place.record) {
                let (record, agent, log) = (fact.place.record, fact.agent, fact.log);
                return Err(format!(
                    "record {record} in log {log:?} was never signed by {agent}, in whose name it is"
                ));
            }
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

#[cfg(test)]
mod tests {
    use unisono_model::{Action, Incarnation, LogId, Place, RECORD_VERSION, RecordBody, Stamp};

    use super::*;
    use crate::oracle::Fact;

    const LIAR: NodeId = NodeId([7; 32]);
    const AGENT: AgentId = AgentId([1; 32]);
    const HELD_BY_NODE: AgentId = AgentId([2; 32]);

    fn carried(agent: AgentId, held: Held, record: u8) -> Reading {
        let body = RecordBody {
            version: RECORD_VERSION,
            held,
            agent_ms: 0,
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action: Action::Guard,
        };
        let fact = Fact {
            place: Place {
                stamp: Stamp(1),
                record: Digest([record; 32]),
            },
            agent,
            log: LogId {
                node: LIAR,
                incarnation: Incarnation::default(),
            },
            bundle: 1,
            seq: 1,
            body,
        };
        Reading {
            facts: vec![fact],
            ..Reading::default()
        }
    }

    #[test]
    fn a_liars_log_carries_what_an_agent_signed_and_invents_nothing_in_its_name() {
        let mut known = Invention::default();
        known.signs_itself(AGENT);
        known.signed(Digest([5; 32]));
        let liars = BTreeSet::from([LIAR]);
        for (agent, held, record, holds) in [
            (AGENT, Held::Agent, 5, true),
            (AGENT, Held::Agent, 6, false),
            // To say that the node holds the key changes nothing.
            (AGENT, Held::Node, 6, false),
            (HELD_BY_NODE, Held::Node, 6, true),
        ] {
            let reading = carried(agent, held, record);
            assert_eq!(
                known.check(&reading, &liars).is_ok(),
                holds,
                "{held:?} {record}"
            );
            assert_eq!(known.shown(&[(agent, Digest([record; 32]))]).is_ok(), holds);
        }
        let honest = known.check(&carried(HELD_BY_NODE, Held::Node, 6), &BTreeSet::new());
        assert!(honest.is_err(), "nobody has asked an honest node for it");
    }
}
