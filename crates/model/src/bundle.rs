//! A bundle: what a node writes into one of its logs at once, signed by the node. A bundle without
//! records is a head: the promise that every later stamp of this log is higher.

use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Blob, Malformed, Signature};
use crate::{
    AgentId, ChainId, ClusterId, Digest, Incarnation, LogId, OrchestraId, RecordPlace, Stamp,
    limits,
};

/// The version of the bundle format that this code writes and reads.
pub const BUNDLE_VERSION: u8 = 1;

/// What the node signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BundleHeader {
    /// [`BUNDLE_VERSION`].
    pub version: u8,
    /// The cluster.
    pub cluster: ClusterId,
    /// The orchestra.
    pub orchestra: OrchestraId,
    /// The log.
    pub log: LogId,
    /// The bundle's number in the log, from 1.
    pub seq: u64,
    /// The digest of the bundle before, or zeros.
    pub prev: Digest,
    /// Not below any record's stamp in it; the log's head until the next bundle.
    pub stamp: Stamp,
    /// The digest of the body's bytes.
    pub body: Digest,
}

/// What a bundle holds.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct BundleBody {
    /// The agents of the records, each once, in order of first appearance.
    pub agents: Vec<AgentId>,
    /// The records, in order of their stamps.
    pub records: Vec<Carried>,
    /// Which documents the records are appended to, and after what. The Automerge change itself is
    /// not carried: it follows from the log, these dependencies and the records, and every replica
    /// builds the same.
    pub appends: Vec<DocumentAppend>,
    /// Raw Automerge changes of the orchestra's living document (notes, configuration).
    pub living: Vec<Blob>,
    /// In a log's first bundle: where the node's earlier logs of this orchestra end. A head of this
    /// log counts for those that hold the earlier ones up to there, so that a restart cannot make
    /// anybody believe that nothing lower is missing.
    pub closes: Vec<LogEnd>,
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LogEnd {
    /// The life that wrote it.
    pub incarnation: Incarnation,
    /// Its last bundle.
    pub seq: u64,
}

/// A record on its way: what the log implies is left out. The digest of the record before is
/// carried, so that each bundle can be shown and checked by itself.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Carried {
    /// Index into [`BundleBody::agents`].
    pub agent: u32,
    /// The record's number in its chain.
    pub seq: u64,
    /// The digest of the record before, or zeros.
    pub prev: Digest,
    /// The node's stamp.
    pub stamp: Stamp,
    /// The body's canonical bytes, as the agent signed them.
    pub body: Blob,
    /// The agent's signature.
    pub signature: Signature,
}

/// Which family of documents a record stands in.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum DocumentKind {
    /// What lasts.
    Score,
    /// One iteration.
    Movement(u32),
}

/// A document of an orchestra. Parts roll over before they grow large.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct DocumentName {
    /// The family.
    pub kind: DocumentKind,
    /// The part, from 0.
    pub part: u32,
}

/// One document's share of a bundle: all its records of that kind.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct DocumentAppend {
    /// Which document.
    pub document: DocumentName,
    /// The heads that the writer had applied: hashes of Automerge changes, sorted.
    pub dependencies: Vec<Digest>,
}

/// A bundle with its signature: the unit of replication and of the disk.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SignedBundle {
    /// What is signed.
    pub header: BundleHeader,
    /// Over [`BundleHeader::digest`].
    pub signature: Signature,
    /// The body's canonical bytes.
    pub body: Blob,
}

/// Two bundles at one place of a log, both signed: the proof that the log forked there.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ForkProof {
    /// The one with the lower digest.
    pub one: (BundleHeader, Signature),
    /// The other.
    pub other: (BundleHeader, Signature),
}

impl Carried {
    /// Where the record stands, given its bundle.
    pub fn place(&self, header: &BundleHeader, agent: AgentId) -> RecordPlace {
        RecordPlace {
            cluster: header.cluster,
            orchestra: header.orchestra,
            chain: ChainId {
                agent,
                log: header.log,
            },
            seq: self.seq,
            prev: self.prev,
        }
    }
}

impl BundleHeader {
    /// What the node signs, and the bundle's name.
    pub fn digest(&self) -> Digest {
        Digest::of("unisono/bundle/v1", &[&wire::encode(self)])
    }
}

impl BundleBody {
    /// Its canonical bytes and their digest.
    pub fn seal(&self) -> (Blob, Digest) {
        let bytes = wire::encode(self);
        let digest = Digest::of("unisono/bundle-body/v1", &[&bytes]);
        (Blob(bytes), digest)
    }
}

impl SignedBundle {
    /// Signs a header for a sealed body.
    pub fn sign(key: &SigningKey, header: BundleHeader, body: Blob) -> Self {
        let signature = Signature::from_bytes(key.sign(&header.digest().0).to_bytes());
        Self {
            header,
            signature,
            body,
        }
    }

    /// Reads a bundle: sizes, canonical form, body digest and inner order. The signature and the
    /// log that it continues are checked elsewhere.
    pub fn decode(bytes: &[u8]) -> Result<(Self, BundleBody), Malformed> {
        let bundle: Self = wire::decode(bytes, limits::BUNDLE_BYTES_MAX)?;
        let body = bundle.open()?;
        Ok((bundle, body))
    }

    /// What the bytes claim to be, unchecked: enough to see whether the bundle is held already.
    pub fn peek(bytes: &[u8]) -> Option<BundleHeader> {
        postcard::take_from_bytes(bytes)
            .ok()
            .map(|(header, _)| header)
    }

    /// Reads and checks the body.
    pub fn open(&self) -> Result<BundleBody, Malformed> {
        if self.header.version != BUNDLE_VERSION {
            return Err(Malformed::Contradiction("a bundle of another version"));
        }
        if Digest::of("unisono/bundle-body/v1", &[&self.body.0]) != self.header.body {
            return Err(Malformed::Contradiction(
                "the body is not the one that was signed",
            ));
        }
        let body: BundleBody = wire::decode(&self.body.0, limits::BUNDLE_BYTES_MAX)?;
        body.check(&self.header)?;
        Ok(body)
    }
}

impl BundleBody {
    fn check(&self, header: &BundleHeader) -> Result<(), Malformed> {
        if self.records.len() > limits::BUNDLE_RECORDS_MAX {
            return Err(Malformed::Limit("records"));
        }
        if self.appends.len() > limits::BUNDLE_DOCUMENTS_MAX {
            return Err(Malformed::Limit("documents"));
        }
        if self.living.len() > limits::BUNDLE_RECORDS_MAX
            || self
                .living
                .iter()
                .any(|change| change.0.len() > limits::LIVING_CHANGE_BYTES_MAX)
        {
            return Err(Malformed::Limit("living changes"));
        }
        let rising = self
            .closes
            .windows(2)
            .all(|pair| pair[0].incarnation < pair[1].incarnation);
        let misplaced = header.seq != 1 && !self.closes.is_empty();
        if self.closes.len() > limits::BUNDLE_CLOSES_MAX || misplaced || !rising {
            return Err(Malformed::Limit("closed logs"));
        }
        let mut next_agent = 0;
        let mut last = Stamp::MIN;
        for record in &self.records {
            if record.agent > next_agent {
                return Err(Malformed::Contradiction("agents out of order"));
            }
            next_agent = next_agent.max(record.agent + 1);
            if record.stamp <= last || record.stamp > header.stamp {
                return Err(Malformed::Contradiction("stamps do not rise"));
            }
            last = record.stamp;
            if record.body.0.len() > limits::RECORD_BYTES_MAX {
                return Err(Malformed::Limit("record"));
            }
        }
        let mut distinct = self.agents.clone();
        distinct.sort_unstable();
        distinct.dedup();
        if self.agents.len() != next_agent as usize || distinct.len() != self.agents.len() {
            return Err(Malformed::Contradiction(
                "an agent without a record, or named twice",
            ));
        }
        for pair in self.appends.windows(2) {
            if pair[0].document.kind >= pair[1].document.kind {
                return Err(Malformed::Contradiction("documents out of order"));
            }
        }
        for append in &self.appends {
            let sorted = append.dependencies.windows(2).all(|pair| pair[0] < pair[1]);
            if append.dependencies.len() > limits::DEPENDENCIES_MAX || !sorted {
                return Err(Malformed::Limit("dependencies"));
            }
        }
        Ok(())
    }
}
