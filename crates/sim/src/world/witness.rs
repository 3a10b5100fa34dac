//! What members bear witness of: of others' logs alone, by headers that those have signed, and only of
//! what is there for everybody in the end.

use unisono_core::context::Verifier;
use unisono_model::{Action, BundleHeader, NodeId, wire::Signature};

use super::World;

impl World {
    /// After agreement: whatever a member has borne witness of stands in the logs.
    pub(super) fn judge_witnesses(&mut self) {
        let home = self.reading(self.home);
        let work = self.reading(self.workplace);
        let honest: Vec<NodeId> = (0..self.scenario.nodes)
            .filter(|host| !self.lies(*host))
            .map(|host| self.hosts[host].id)
            .collect();
        for fact in home
            .facts
            .iter()
            .filter(|fact| honest.contains(&fact.log.node))
        {
            let Action::Witness(witness) = &fact.body.action else {
                continue;
            };
            self.counters
                .add_many("heads witnessed", witness.heads.len() as u64);
            for head in &witness.heads {
                let (header, _) = head;
                let reading = match header.orchestra {
                    place if place == self.home => &home,
                    place if place == self.workplace => &work,
                    _ => continue,
                };
                let (log, place) = (header.log, header.seq);
                let forked = reading.forks.contains_key(&log) || reading.split.contains(&log);
                let held = reading.ends.get(&log).copied().unwrap_or(0);
                let writer_lies = !honest.contains(&log.node);
                let why = if log.node == fact.log.node {
                    "its own log"
                } else if !self.is_signed(head) {
                    "what nobody has signed"
                } else if held < place && !forked && !writer_lies {
                    "what nobody holds"
                } else {
                    continue;
                };
                let words = format!("{} bears witness of {why}: {log:?} at {place}", fact.agent);
                self.checks.violated(self.now, "I3", words);
            }
        }
    }

    fn is_signed(&mut self, (header, signature): &(BundleHeader, Signature)) -> bool {
        let mut verifier = self.memo.strict();
        verifier.verify(&header.log.node.0, &header.digest(), signature)
    }
}
