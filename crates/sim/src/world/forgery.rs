//! Forgeries: those of the lying node that need its key, and one of anybody's that needs none.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::node::{Class, Input, Promise, Submit, Ticket, Work};
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{
    Action, AgentId, AgentKind, BundleBody, BundleHeader, Carried, ChainId, Digest, Enrol, Held,
    RECORD_VERSION, RecordBody, RecordPlace, SignedBundle, SignedRecord, Stamp,
};

use super::{MS, SECOND, World};
use crate::clock::EPOCH_NS;
use crate::host::secret;

/// The request with which somebody tries a signature that fits everything. No agent waits for its
/// answer.
pub(super) const FORGED: Ticket = Ticket(u64::MAX);

impl World {
    /// Somebody enrols a key of small order at an honest node: with the neutral element as key, the
    /// all-but-empty signature fits every message, if it is not looked at strictly.
    pub(super) fn sign_nothing(&mut self) {
        let honest = (0..self.scenario.nodes).find(|host| {
            let machine = &self.hosts[*host];
            !self.lies(*host) && machine.is_awake() && !machine.paused
        });
        let Some(host) = honest else { return };
        let (mut neutral, mut signature) = ([0; 32], [0; 64]);
        (neutral[0], signature[0]) = (1, 1);
        let record = SignedRecord {
            agent: AgentId(neutral),
            log: self.hosts[host].log(),
            seq: 1,
            prev: Digest::default(),
            body: Blob(encode(&enrolling("nobody", EPOCH_NS / MS))),
            signature: Signature::from_bytes(signature),
        };
        let submit = Submit {
            ticket: FORGED,
            orchestra: self.workplace,
            work: Work::Record(encode(&record)),
            promise: Promise::default(),
        };
        self.counters.add("signature of small order sent");
        self.feed(host, Input::Submit(submit));
    }

    /// The liar continues its log with a record that is stamped below the head it has shown. Its
    /// node knows nothing of this, so the honest next bundle comes as well.
    pub(super) fn backdate(&mut self) {
        let Some(liar) = self.plan.liar.filter(|liar| self.hosts[*liar].is_awake()) else {
            return;
        };
        let log = self.hosts[liar].log();
        let entries = self.hosts[liar].store.entries(self.workplace);
        let last = entries.iter().rfind(|entry| entry.key.log == log);
        let Some((head, _)) = last.and_then(|entry| SignedBundle::decode(&entry.bytes).ok()) else {
            return;
        };
        let bundle = self.backdated(liar, &head.header);
        let frame = Frame::Push {
            relay: false,
            bundles: vec![Blob(encode(&bundle))],
        };
        self.counters.add("back-dated bundle sent");
        for peer in 0..self.scenario.nodes {
            if peer != liar {
                let id = self.hosts[peer].id;
                self.send(liar, id, Class::Push, encode(&frame));
            }
        }
    }

    fn backdated(&self, liar: usize, head: &BundleHeader) -> SignedBundle {
        let ghost = SigningKey::from_bytes(&Digest::of("unisono/sim-ghost/v1", &[&head.body.0]).0);
        let agent = AgentId(ghost.verifying_key().to_bytes());
        let below = Stamp::from_ns(head.stamp.as_ns().saturating_sub(SECOND));
        let record = ghostly(&ghost, agent, head);
        let body = BundleBody {
            agents: vec![agent],
            records: vec![Carried {
                agent: 0,
                seq: record.seq,
                prev: record.prev,
                stamp: below,
                body: record.body,
                signature: record.signature,
            }],
            ..BundleBody::default()
        };
        let (sealed, digest) = body.seal();
        let header = BundleHeader {
            seq: head.seq + 1,
            prev: head.digest(),
            stamp: head.stamp.next(),
            body: digest,
            ..*head
        };
        let key = SigningKey::from_bytes(&secret(self.seed, liar));
        let signature = Signature::from_bytes(key.sign(&header.digest().0).to_bytes());
        SignedBundle {
            header,
            signature,
            body: sealed,
        }
    }
}

/// The enrolment of an agent that nobody knows.
fn ghostly(key: &SigningKey, agent: AgentId, head: &BundleHeader) -> SignedRecord {
    let body = enrolling("ghost", head.stamp.as_ms());
    let log = head.log;
    let place = RecordPlace {
        cluster: head.cluster,
        orchestra: head.orchestra,
        chain: ChainId { agent, log },
        seq: 1,
        prev: Digest::default(),
    };
    SignedRecord::sign(key, &place, &body)
}

fn enrolling(name: &str, agent_ms: u64) -> RecordBody {
    let enrol = Enrol {
        name: name.into(),
        role: "liar".into(),
        kind: AgentKind::Ai,
        tier: None,
    };
    RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms,
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token: None,
        action: Action::Enrol(enrol),
    }
}
