//! Carriage: which bytes may enter. The only place where bytes from outside become values that the
//! rest of the core accepts; [`Carried`] has no other constructor.

use alloc::vec::Vec;

use unisono_model::wire::{Malformed, decode};
use unisono_model::{
    Action, BundleBody, ClusterId, Digest, ForkProof, OrchestraId, RecordBody, SignedBundle,
    SignedRecord, Stamp, limits,
};

use crate::context::Verifier;

/// A bundle whose bytes, body and node signature are good. Whether it continues its log, and what
/// its records are worth, are other questions.
#[derive(Clone, Debug)]
pub struct Carried {
    bundle: SignedBundle,
    body: BundleBody,
    digest: Digest,
    bytes: Vec<u8>,
}

/// Why a bundle may not enter. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotCarried {
    /// Not the canonical bytes of a bundle within its limits.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Of another cluster.
    #[error("a bundle of another cluster")]
    OtherCluster,
    /// The node's signature does not verify.
    #[error("the node's signature does not verify")]
    BadSignature,
}

impl NotCarried {
    /// The reason in a fixed word, for counters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed",
            Self::OtherCluster => "other cluster",
            Self::BadSignature => "bad node signature",
        }
    }
}

impl Carried {
    /// Takes in a bundle from a peer or from the disk.
    pub fn admit(
        bytes: &[u8],
        cluster: ClusterId,
        verifier: &mut dyn Verifier,
    ) -> Result<Self, NotCarried> {
        let (bundle, body) = SignedBundle::decode(bytes)?;
        if bundle.header.cluster != cluster {
            return Err(NotCarried::OtherCluster);
        }
        let digest = bundle.header.digest();
        if !verifier.verify(&bundle.header.log.node.0, &digest, &bundle.signature) {
            return Err(NotCarried::BadSignature);
        }
        Ok(Self {
            bundle,
            body,
            digest,
            bytes: bytes.to_vec(),
        })
    }

    /// A bundle that this node has just signed itself.
    pub fn own(bundle: SignedBundle, body: BundleBody) -> Self {
        let digest = bundle.header.digest();
        let bytes = unisono_model::wire::encode(&bundle);
        Self {
            bundle,
            body,
            digest,
            bytes,
        }
    }

    /// A bundle read back from this node's own disk, whose frame checksum was good and whose
    /// signature was checked before it was written.
    pub fn from_disk(bytes: &[u8], cluster: ClusterId) -> Result<Self, NotCarried> {
        let (bundle, body) = SignedBundle::decode(bytes)?;
        if bundle.header.cluster != cluster {
            return Err(NotCarried::OtherCluster);
        }
        let digest = bundle.header.digest();
        Ok(Self {
            bundle,
            body,
            digest,
            bytes: bytes.to_vec(),
        })
    }

    /// The signed bundle.
    pub fn bundle(&self) -> &SignedBundle {
        &self.bundle
    }

    /// Its header.
    pub fn header(&self) -> &unisono_model::BundleHeader {
        &self.bundle.header
    }

    /// What it holds.
    pub fn body(&self) -> &BundleBody {
        &self.body
    }

    /// The lowest stamp in it: its first record's, or its own where it is nothing but a head.
    pub fn lowest(&self) -> Stamp {
        let first = self.body.records.first();
        first.map_or(self.bundle.header.stamp, |record| record.stamp)
    }

    /// Whether one of its records opens the orchestra that it belongs to.
    pub fn opens_its_orchestra(&self) -> bool {
        let header = self.header();
        let mut bodies = self.body.records.iter();
        bodies.any(|record| match RecordBody::decode(&record.body.0) {
            Ok(body) => match body.action {
                Action::Open { name } => OrchestraId::of(header.cluster, &name) == header.orchestra,
                _ => false,
            },
            Err(_) => false,
        })
    }

    /// Its digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its canonical bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a client's record. Its signature is checked where its place is known.
pub fn client_record(bytes: &[u8]) -> Result<SignedRecord, Malformed> {
    decode(bytes, limits::RECORD_BYTES_MAX + 1024)
}

/// Whether two signed headers prove that a log forked: one log, one place, two bundles.
pub fn proves_fork(proof: &ForkProof, cluster: ClusterId, verifier: &mut dyn Verifier) -> bool {
    let (one, other) = (&proof.one.0, &proof.other.0);
    let (a, b) = (one.digest(), other.digest());
    one.cluster == cluster
        && other.cluster == cluster
        && one.orchestra == other.orchestra
        && one.log == other.log
        && one.seq == other.seq
        && a < b
        && verifier.verify(&one.log.node.0, &a, &proof.one.1)
        && verifier.verify(&other.log.node.0, &b, &proof.other.1)
}
