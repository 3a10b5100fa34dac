//! Sessions: for a few minutes an agent reads by one signature.
//!
//! ```text
//!  agent's key ──signs──► this cluster, this orchestra or all, this token, from then until then
//!                           └► any node checks it by itself: nothing is kept, nothing is looked up
//! ```
//!
//! It is a proof of possession with an end, and no right: whether its agent may read is judged by what
//! is known of the orchestra, at the moment of each read. Who has a copy of one reads what its agent
//! may for the minutes that are left, and writes nothing: each record is signed by itself.

use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Blob, Malformed, Signature};
use crate::{AgentId, ClusterId, Digest, OrchestraId, limits};

/// The version of the session format that this code writes and reads.
pub const SESSION_VERSION: u8 = 1;

/// What an agent signs so as to read.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ReadSession {
    /// [`SESSION_VERSION`].
    pub version: u8,
    /// The cluster in which it counts, at each of its nodes.
    pub cluster: ClusterId,
    /// The orchestra in which it counts; all of them if left out.
    pub orchestra: Option<OrchestraId>,
    /// Who reads, and signs it.
    pub agent: AgentId,
    /// The token under which it reads; none if left out.
    pub token: Option<Digest>,
    /// When it was made (ms since the Unix epoch).
    pub issued_ms: u64,
    /// It counts before this (ms since the Unix epoch): at most [`limits::SESSION_LIFE_MS_MAX`] later.
    pub ends_ms: u64,
    /// Drawn for each, so that no two are alike.
    pub nonce: [u8; 16],
}

/// A session with its agent's signature, as bytes: the bytes are what is signed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SignedSession {
    /// The canonical bytes of the session.
    pub body: Blob,
    /// The agent's signature over [`ReadSession::id_of`] these.
    pub signature: Signature,
}

impl ReadSession {
    /// The name of a session with these canonical bytes: what is signed.
    pub fn id_of(body: &[u8]) -> Digest {
        Digest::of("unisono/session/v1", &[body])
    }

    /// Signs it.
    pub fn sign(&self, agent: &SigningKey) -> SignedSession {
        let body = wire::encode(self);
        let signature = agent.sign(&Self::id_of(&body).0);
        SignedSession {
            body: Blob(body),
            signature: Signature::from_bytes(signature.to_bytes()),
        }
    }
}

impl SignedSession {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads a session from its canonical bytes. The signature is not checked.
    ///
    /// # Errors
    /// Bytes of another length, form or version; a time that ends before it begins, or lasts longer
    /// than any session may.
    pub fn decode(bytes: &[u8]) -> Result<(Self, ReadSession), Malformed> {
        let signed: Self = wire::decode(bytes, limits::SESSION_BYTES_MAX)?;
        let session: ReadSession = wire::decode(&signed.body.0, limits::SESSION_BYTES_MAX)?;
        if session.version != SESSION_VERSION {
            return Err(Malformed::Contradiction("a session of another version"));
        }
        if session.ends_ms <= session.issued_ms {
            return Err(Malformed::Contradiction(
                "the session ends before it begins",
            ));
        }
        if session.ends_ms - session.issued_ms > limits::SESSION_LIFE_MS_MAX {
            return Err(Malformed::Limit("how long the session lasts"));
        }
        Ok((signed, session))
    }
}
