//! A log of the lying node's that its own node knows nothing of: a life that is begun beside the real one,
//! as whoever has a node's key can.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentId, BUNDLE_VERSION, BundleBody, BundleHeader, Carried, ChainId, Digest, Held,
    Incarnation, LogId, OrchestraId, RECORD_VERSION, RecordBody, RecordPlace, SignedBundle,
    SignedRecord, Stamp,
};

use super::World;
use crate::clock::EPOCH_NS;
use crate::host::secret;

/// Such a log, as far as it is written.
#[derive(Debug)]
pub(super) struct Shadow {
    header: BundleHeader,
    key: SigningKey,
    /// How far each agent's chain has come in it.
    chains: BTreeMap<AgentId, (u64, Digest)>,
}

impl Shadow {
    /// A new life of the lying node, in an orchestra.
    pub(super) fn begin(world: &World, liar: usize, orchestra: OrchestraId, nonce: u64) -> Self {
        let started_ms = (EPOCH_NS + world.now) / 1_000_000;
        let log = LogId {
            node: world.hosts[liar].id,
            incarnation: Incarnation { started_ms, nonce },
        };
        Self {
            header: BundleHeader {
                version: BUNDLE_VERSION,
                cluster: world.common.cluster,
                orchestra,
                log,
                seq: 0,
                prev: Digest::default(),
                stamp: Stamp::MIN,
                body: Digest::default(),
            },
            key: SigningKey::from_bytes(&secret(world.seed, liar)),
            chains: BTreeMap::new(),
        }
    }

    /// The same log of another node, behind what that one has written, signed by the liar all the same.
    pub(super) fn behind(world: &World, liar: usize, head: &BundleHeader) -> Self {
        Self {
            header: BundleHeader {
                prev: head.digest(),
                ..*head
            },
            key: SigningKey::from_bytes(&secret(world.seed, liar)),
            chains: BTreeMap::new(),
        }
    }

    /// Which log it is.
    pub(super) fn log(&self) -> LogId {
        self.header.log
    }

    /// Where an agent's chain goes on in it.
    pub(super) fn next_place(&self, agent: AgentId) -> RecordPlace {
        let (seq, prev) = self.chains.get(&agent).copied().unwrap_or_default();
        self.place(agent, seq + 1, prev)
    }

    /// A place of an agent's chain in it.
    pub(super) fn place(&self, agent: AgentId, seq: u64, prev: Digest) -> RecordPlace {
        let log = self.header.log;
        RecordPlace {
            cluster: self.header.cluster,
            orchestra: self.header.orchestra,
            chain: ChainId { agent, log },
            seq,
            prev,
        }
    }

    /// A record takes its place: the chain goes on behind it.
    pub(super) fn take(&mut self, record: &SignedRecord) -> Digest {
        let place = self.place(record.agent, record.seq, record.prev);
        let name = place.digest(&record.body.0);
        self.chains.insert(record.agent, (record.seq, name));
        name
    }

    /// The next bundle of the log, stamped from a stamp on, or from where the log stands.
    pub(super) fn bundle(&mut self, from: Stamp, records: &[SignedRecord]) -> Vec<u8> {
        let mut stamp = from.max(self.header.stamp.next());
        let mut body = BundleBody::default();
        for record in records {
            let known = body.agents.iter().position(|agent| *agent == record.agent);
            let agent = known.unwrap_or_else(|| {
                body.agents.push(record.agent);
                body.agents.len() - 1
            });
            body.records.push(Carried {
                agent: agent as u32,
                seq: record.seq,
                prev: record.prev,
                stamp,
                body: record.body.clone(),
                signature: record.signature,
            });
            stamp = stamp.next();
        }
        let (sealed, digest) = body.seal();
        self.header.seq += 1;
        self.header.stamp = stamp;
        self.header.body = digest;
        let bundle = SignedBundle::sign(&self.key, self.header, sealed);
        self.header.prev = self.header.digest();
        encode(&bundle)
    }
}

/// What somebody says who signs for themselves.
pub(super) fn said(now: u64, action: Action, token: Option<Digest>) -> RecordBody {
    RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: (EPOCH_NS + now) / 1_000_000,
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token,
        action,
    }
}
