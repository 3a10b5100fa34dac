//! Forgeries of the lying node that need its key.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::node::Class;
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{
    Action, AgentId, AgentKind, BundleBody, BundleHeader, Carried, ChainId, Digest, Enrol, Held,
    RECORD_VERSION, RecordBody, RecordPlace, SignedBundle, SignedRecord, Stamp,
};

use super::{SECOND, World};
use crate::host::secret;

impl World {
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
    let enrol = Enrol {
        name: "ghost".into(),
        role: "liar".into(),
        kind: AgentKind::Ai,
        tier: None,
    };
    let body = RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: head.stamp.as_ms(),
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token: None,
        action: Action::Enrol(enrol),
    };
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
