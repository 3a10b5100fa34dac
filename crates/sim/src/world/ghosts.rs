//! What the lying node says in the name of nodes that it made up: whoever has a certificate could.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::node::Class;
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{
    Action, Admit, AgentId, AgentKind, BUNDLE_VERSION, BundleBody, BundleHeader, Carried, ChainId,
    Digest, Enrol, ForkProof, Held, Incarnation, LogId, NodeId, OrchestraId, RECORD_VERSION,
    RecordBody, RecordPlace, SignedBundle, SignedRecord, Stamp, ViewVote,
};

use super::World;
use crate::clock::EPOCH_NS;

/// How many orchestras and forked logs are made up at a time.
const FLOOD: u64 = 40;

/// A node that nobody has admitted.
struct Ghost {
    key: SigningKey,
    log: LogId,
    at: Stamp,
}

impl Ghost {
    fn new(seed: u64, now: u64, number: u64) -> Self {
        let parts: [&[u8]; 3] = [
            &seed.to_le_bytes(),
            &now.to_le_bytes(),
            &number.to_le_bytes(),
        ];
        let secret = Digest::of("unisono/sim-outsider/v1", &parts);
        let key = SigningKey::from_bytes(&secret.0);
        let node = NodeId(key.verifying_key().to_bytes());
        let incarnation = Incarnation {
            started_ms: (EPOCH_NS + now) / 1_000_000,
            nonce: number,
        };
        Self {
            key,
            log: LogId { node, incarnation },
            at: Stamp::from_ns(EPOCH_NS + now),
        }
    }

    /// The chain of the node's own records.
    fn records(&self, header: &BundleHeader, actions: Vec<Action>) -> BundleBody {
        let agent = AgentId(self.log.node.0);
        let (mut prev, mut stamp) = (Digest::default(), self.at);
        let mut records = Vec::new();
        for (index, action) in actions.into_iter().enumerate() {
            let body = RecordBody {
                version: RECORD_VERSION,
                held: Held::Node,
                agent_ms: stamp.as_ms(),
                iteration: 1,
                key: None,
                predecessors: Vec::new(),
                token: None,
                action,
            };
            let place = RecordPlace {
                cluster: header.cluster,
                orchestra: header.orchestra,
                chain: ChainId {
                    agent,
                    log: self.log,
                },
                seq: index as u64 + 1,
                prev,
            };
            let record = SignedRecord::sign(&self.key, &place, &body);
            prev = place.digest(&record.body.0);
            records.push(Carried {
                agent: 0,
                seq: record.seq,
                prev: record.prev,
                stamp,
                body: record.body,
                signature: record.signature,
            });
            stamp = stamp.next();
        }
        BundleBody {
            agents: vec![agent],
            records,
            ..BundleBody::default()
        }
    }

    fn header(&self, world: &World, orchestra: OrchestraId, seq: u64) -> BundleHeader {
        BundleHeader {
            version: BUNDLE_VERSION,
            cluster: world.common.cluster,
            orchestra,
            log: self.log,
            seq,
            prev: Digest::default(),
            stamp: self.at.plus_ms(1),
            body: Digest::default(),
        }
    }

    fn sign(&self, header: &BundleHeader) -> Signature {
        Signature::from_bytes(self.key.sign(&header.digest().0).to_bytes())
    }

    fn bundle(&self, header: BundleHeader, body: &BundleBody) -> Vec<u8> {
        let (sealed, digest) = body.seal();
        let header = BundleHeader {
            body: digest,
            ..header
        };
        encode(&SignedBundle {
            signature: self.sign(&header),
            header,
            body: sealed,
        })
    }

    fn fork(&self, header: BundleHeader) -> ForkProof {
        let other = BundleHeader {
            stamp: header.stamp.next(),
            ..header
        };
        let signed = |header: BundleHeader| (header, self.sign(&header));
        let (one, other) = (signed(header), signed(other));
        if one.0.digest() < other.0.digest() {
            ForkProof { one, other }
        } else {
            ForkProof {
                one: other,
                other: one,
            }
        }
    }
}

impl World {
    /// The liar shows a node that enrols itself, admits itself, and votes for a view of itself alone,
    /// without any life of anybody else.
    pub(super) fn send_ghost(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let ghost = Ghost::new(self.seed, self.now, 0);
        let others = self.hosts.iter().map(|host| host.id);
        let mut removed: Vec<LogId> = others
            .map(|node| LogId {
                node,
                incarnation: Incarnation {
                    started_ms: u64::MAX,
                    nonce: u64::MAX,
                },
            })
            .collect();
        removed.sort_unstable();
        removed.dedup();
        let enrol = Enrol {
            name: format!("ghost-{}", self.now / 1_000_000),
            role: "node".into(),
            kind: AgentKind::Node,
            tier: None,
        };
        let admit = Admit {
            node: ghost.log.node,
            incarnation: ghost.log.incarnation,
            region: "nowhere".into(),
            name: "ghost".into(),
            address: String::new(),
        };
        let vote = ViewVote {
            base: ViewVote::GENESIS,
            members: vec![ghost.log.node],
            removed,
        };
        let actions = vec![
            Action::Enrol(enrol),
            Action::Admit(admit),
            Action::VoteView(vote),
        ];
        let home = OrchestraId::of(self.common.cluster, "cluster");
        let header = ghost.header(self, home, 1);
        let body = ghost.records(&header, actions);
        let bundles = vec![Blob(ghost.bundle(header, &body))];
        self.counters.add("ghost sent");
        let relay = false;
        self.tell_all(liar, &Frame::Push { relay, bundles });
    }

    /// The liar writes behind what nobody has, in orchestras that nobody has opened, under its own
    /// name and another, asks about more of them, and proves that logs have forked.
    pub(super) fn send_flood(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let mut ghost = Ghost::new(self.seed, self.now, 1);
        let own = SigningKey::from_bytes(&crate::host::secret(self.seed, liar));
        let mut bundles = Vec::new();
        let mut proofs = Vec::new();
        let workplace = self.workplace;
        for number in 0..FLOOD {
            if number == FLOOD / 2 {
                let node = NodeId(own.verifying_key().to_bytes());
                (ghost.key, ghost.log.node) = (own.clone(), node);
            }
            let parts: [&[u8]; 2] = [&self.now.to_le_bytes(), &number.to_le_bytes()];
            let name = Digest::of("unisono/sim-nowhere/v1", &parts).to_string();
            let orchestra = OrchestraId::of(self.common.cluster, &name);
            let header = ghost.header(self, orchestra, 2);
            bundles.push(Blob(ghost.bundle(header, &BundleBody::default())));
            let vector = Frame::Vector {
                orchestra,
                ask: true,
                logs: Vec::new(),
                proofs: Vec::new(),
            };
            self.tell_all(liar, &vector);
            if number < FLOOD / 2 {
                let forked = Ghost::new(self.seed, self.now, number + 2);
                proofs.push(forked.fork(forked.header(self, workplace, 1)));
            }
        }
        self.counters.add("flood sent");
        let relay = false;
        self.tell_all(liar, &Frame::Push { relay, bundles });
        let vector = Frame::Vector {
            orchestra: workplace,
            ask: false,
            logs: Vec::new(),
            proofs,
        };
        self.tell_all(liar, &vector);
    }

    fn tell_all(&mut self, liar: usize, frame: &Frame) {
        for peer in 0..self.scenario.nodes {
            if peer != liar {
                let id = self.hosts[peer].id;
                self.send(liar, id, Class::Push, encode(frame));
            }
        }
    }
}
