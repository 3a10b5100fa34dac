//! A record: one action, signed by its agent, at its place in the agent's chain.

use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Blob, Malformed, Signature};
use crate::{
    Action, AgentId, ChainId, ClusterId, Digest, Held, IdempotencyKey, LogId, OrchestraId, limits,
};

/// The version of the record format that this code writes and reads.
pub const RECORD_VERSION: u8 = 1;

/// What an agent says. Its time is testimony and orders nothing.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RecordBody {
    /// [`RECORD_VERSION`].
    pub version: u8,
    /// Who holds the key that signs.
    pub held: Held,
    /// The agent's time (ms since the Unix epoch).
    pub agent_ms: u64,
    /// The iteration in which it was made.
    pub iteration: u32,
    /// The client's name for the request.
    pub key: Option<IdempotencyKey>,
    /// In a chain's first record: the heads of the agent's earlier chains that it knows.
    pub predecessors: Vec<ChainHead>,
    /// The capability token that allows it, by its last link; none where the orchestra is not
    /// guarded.
    pub token: Option<Digest>,
    /// What is done.
    pub action: Action,
}

/// The last record of a chain.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ChainHead {
    /// Which chain.
    pub chain: ChainId,
    /// The last record's number; the first is 1.
    pub seq: u64,
    /// The last record's digest.
    pub record: Digest,
}

/// Where a record stands, outside its body: all of it is under the signature.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RecordPlace {
    /// The cluster.
    pub cluster: ClusterId,
    /// The orchestra.
    pub orchestra: OrchestraId,
    /// The agent, and the log that carries it.
    pub chain: ChainId,
    /// The record's number in the chain, from 1.
    pub seq: u64,
    /// The digest of the record before, or zeros.
    pub prev: Digest,
}

/// A record with its signature, as a client sends it to a node.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SignedRecord {
    /// Who signs.
    pub agent: AgentId,
    /// The log for which it was signed.
    pub log: LogId,
    /// Its number in the chain, from 1.
    pub seq: u64,
    /// The digest of the record before, or zeros.
    pub prev: Digest,
    /// The body's canonical bytes.
    pub body: Blob,
    /// Over [`RecordPlace::digest`].
    pub signature: Signature,
}

impl RecordPlace {
    /// What the agent signs, and the record's name.
    pub fn digest(&self, body: &[u8]) -> Digest {
        Digest::of(
            "unisono/record/v1",
            &[
                &self.cluster.0,
                &self.orchestra.0,
                &self.chain.agent.0,
                &self.chain.log.node.0,
                &self.chain.log.incarnation.started_ms.to_le_bytes(),
                &self.chain.log.incarnation.nonce.to_le_bytes(),
                &self.seq.to_le_bytes(),
                &self.prev.0,
                body,
            ],
        )
    }
}

impl SignedRecord {
    /// Signs a body for its place.
    pub fn sign(key: &SigningKey, place: &RecordPlace, body: &RecordBody) -> Self {
        let body = wire::encode(body);
        let signature = key.sign(&place.digest(&body).0);
        Self {
            agent: place.chain.agent,
            log: place.chain.log,
            seq: place.seq,
            prev: place.prev,
            body: Blob(body),
            signature: Signature::from_bytes(signature.to_bytes()),
        }
    }

    /// The chain it belongs to.
    pub fn chain(&self) -> ChainId {
        ChainId {
            agent: self.agent,
            log: self.log,
        }
    }

    /// Where it stands, in the cluster and orchestra that it was sent to.
    pub fn place(&self, cluster: ClusterId, orchestra: OrchestraId) -> RecordPlace {
        RecordPlace {
            cluster,
            orchestra,
            chain: self.chain(),
            seq: self.seq,
            prev: self.prev,
        }
    }
}

impl RecordBody {
    /// Reads a body and checks every limit. Signature and place are checked elsewhere.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let body: Self = wire::decode(bytes, limits::RECORD_BYTES_MAX)?;
        body.check()?;
        Ok(body)
    }

    /// Whether everything is within its limits.
    pub fn check(&self) -> Result<(), Malformed> {
        if self.version != RECORD_VERSION {
            return Err(Malformed::Contradiction("a record of another version"));
        }
        if self.iteration == 0 || self.iteration > limits::ITERATION_MAX {
            return Err(Malformed::Limit("iteration"));
        }
        if self.predecessors.len() > limits::PREDECESSORS_MAX {
            return Err(Malformed::Limit("predecessors"));
        }
        crate::check::action(&self.action)
    }
}
