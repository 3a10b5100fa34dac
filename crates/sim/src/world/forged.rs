//! What the lying node says in the name of agents that sign for themselves, and of another node. It has
//! no key of theirs: only what they have signed, for other places.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, encode};
use unisono_model::{
    Action, AgentId, BundleHeader, Digest, Held, LogId, Mark, OrchestraId, RecordBody, RecordPlace,
    SignedBundle, SignedRecord,
};

use super::World;
use super::shadow::{Shadow, said};
use crate::chance::Chance;
use crate::host::secret;
use crate::oracle::Reading;

/// What stands on the liar's disk, for forging.
#[derive(Default)]
struct Found {
    /// Records of agents that sign for themselves, the first of each chain apart.
    firsts: BTreeMap<AgentId, SignedRecord>,
    others: BTreeMap<AgentId, Vec<SignedRecord>>,
    /// The last bundle of each log.
    heads: BTreeMap<LogId, BundleHeader>,
}

impl World {
    /// The liar writes in agents' names into a new life of its own, in two orchestras, and into another
    /// node's log. Half of its peers get it from itself.
    pub(super) fn forge(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let mut chance = Chance::new(self.seed, "forge", self.now);
        let found = self.find_true_records(liar);
        let at = Self::stamp_at(self.now);
        let mut bundles = Vec::new();
        for orchestra in [self.workplace, self.home] {
            let mut shadow = Shadow::begin(self, liar, orchestra, chance.below(u64::MAX));
            let records = self.forgeries(liar, &mut chance, &found, &mut shadow);
            if !records.is_empty() {
                self.counters.add_many("forged sent", records.len() as u64);
                self.deceit.forged.insert(shadow.log());
                bundles.push(Blob(shadow.bundle(at, &records)));
            }
        }
        let of_others = found.heads.values();
        let of_others = of_others.filter(|head| head.log.node != self.hosts[liar].id);
        let of_others: Vec<&BundleHeader> = of_others.collect();
        if let Some(head) = chance.pick(&of_others) {
            let records: Vec<SignedRecord> = found.firsts.values().take(1).cloned().collect();
            bundles.push(Blob(Shadow::behind(self, liar, head).bundle(at, &records)));
            self.counters.add("bundle in another's name sent");
        }
        let frame = Frame::Push {
            relay: chance.percent(50),
            bundles,
        };
        self.tell_some(liar, &mut chance, &frame);
    }

    /// In each agent's name something that it has not signed for this place: with a signature by another
    /// key, with one that it gave for other words, its own words put elsewhere, and those under another
    /// token.
    fn forgeries(
        &self,
        liar: usize,
        chance: &mut Chance,
        found: &Found,
        shadow: &mut Shadow,
    ) -> Vec<SignedRecord> {
        let wrong = SigningKey::from_bytes(&secret(self.seed, liar));
        let turned = chance.below(4) as usize;
        let mut records = Vec::new();
        for (index, (agent, own)) in found.others.iter().enumerate() {
            let Some(known) = chance.pick(own) else {
                continue;
            };
            // In the other orchestra the agent is not known yet.
            let introduction = found.firsts.get(agent);
            let introduction = introduction.filter(|_| shadow.is_in(self.home));
            if let Some(first) = introduction {
                let place = shadow.next_place(*agent);
                let first = moved(first, &place);
                shadow.take(&first);
                records.push(first);
            }
            let place = shadow.next_place(*agent);
            let words = said(self.now, invented(&place), None);
            records.push(match (index + turned) % 4 {
                0 => SignedRecord::sign(&wrong, &place, &words),
                1 => SignedRecord {
                    body: Blob(encode(&words)),
                    ..moved(known, &place)
                },
                2 => moved(known, &place),
                _ => SignedRecord {
                    body: under_another_token(&known.body, place.prev),
                    ..moved(known, &place)
                },
            });
        }
        records
    }

    /// What agents that sign for themselves have said, as far as the liar holds it.
    fn find_true_records(&mut self, liar: usize) -> Found {
        let mut found = Found::default();
        for entry in self.hosts[liar].store.entries(self.workplace) {
            let Ok((bundle, body)) = SignedBundle::decode(&entry.bytes) else {
                continue;
            };
            found.heads.insert(bundle.header.log, bundle.header);
            for carried in body.records {
                let agent = body.agents[carried.agent as usize];
                let of_itself = self.agents.iter().any(|known| {
                    known.held == Held::Agent && known.id == agent && known.is_plain()
                });
                if !of_itself {
                    continue;
                }
                let record = SignedRecord {
                    agent,
                    log: bundle.header.log,
                    seq: carried.seq,
                    prev: carried.prev,
                    body: carried.body,
                    signature: carried.signature,
                };
                if record.seq == 1 {
                    found.firsts.insert(agent, record);
                } else {
                    found.others.entry(agent).or_default().push(record);
                }
            }
        }
        found
    }

    /// Sends a frame to half of the peers, and to one at the least.
    pub(super) fn tell_some(&mut self, liar: usize, chance: &mut Chance, frame: &Frame) {
        let peers: Vec<usize> = (0..self.scenario.nodes)
            .filter(|peer| *peer != liar)
            .collect();
        let first = chance.pick(&peers).copied();
        for peer in peers {
            if Some(peer) == first || chance.percent(50) {
                self.tell(liar, peer, frame);
            }
        }
    }

    /// How many logs with forgeries have come to where everybody has them.
    pub(super) fn count_forged(&mut self, reading: &Reading) {
        let held = self.deceit.forged.iter();
        let held = held.filter(|log| reading.ends.get(log).is_some_and(|end| *end > 0));
        let count = held.count() as u64;
        self.counters.add_many("forged held by the logs", count);
    }
}

impl Shadow {
    fn is_in(&self, orchestra: OrchestraId) -> bool {
        self.next_place(AgentId::default()).orchestra == orchestra
    }
}

/// Something that nobody has done.
fn invented(place: &RecordPlace) -> Action {
    Action::Mark(Mark {
        about: "forged".into(),
        text: format!("nobody has done this at {}", place.seq),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

/// A record at another place than it was signed for.
fn moved(record: &SignedRecord, to: &RecordPlace) -> SignedRecord {
    SignedRecord {
        log: to.chain.log,
        seq: to.seq,
        prev: to.prev,
        ..record.clone()
    }
}

fn under_another_token(body: &Blob, other: Digest) -> Blob {
    let Ok(mut words) = RecordBody::decode(&body.0) else {
        return body.clone();
    };
    words.token = match words.token {
        Some(_) => None,
        None => Some(other),
    };
    Blob(encode(&words))
}
