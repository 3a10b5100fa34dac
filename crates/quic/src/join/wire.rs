//! The bytes of a join: one request and one answer, each a whole one-way half of one stream.

use quinn::Connection;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use unisono_model::{ClusterId, Digest, NodeId};

use super::{InviteId, Refusal};

/// The version of request and answer.
pub(super) const VERSION: u16 = 1;

/// What the joiner says of itself.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) version: u16,
    pub(super) cluster: ClusterId,
    pub(super) invite: InviteId,
    pub(super) node: NodeId,
    pub(super) region: String,
    pub(super) addresses: Vec<String>,
}

/// A request with its two signatures over [`signed`].
#[derive(Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The postcard form of a [`Request`].
    pub(super) request: Vec<u8>,
    /// By the invite's key.
    pub(super) invite_proof: Vec<u8>,
    /// By the node's key.
    pub(super) node_proof: Vec<u8>,
}

/// What the admitting node says.
#[derive(Serialize, Deserialize)]
pub(super) enum Answer {
    Admitted {
        certificate: Vec<u8>,
        members: Vec<u8>,
    },
    Refused(Refusal),
}

/// What both keys sign: the request, in this connection and no other.
pub(super) fn signed(connection: &Connection, request: &[u8]) -> Option<Digest> {
    let mut exported = [0; 32];
    connection
        .export_keying_material(&mut exported, b"EXPORTER-unisono-join", b"")
        .ok()?;
    Some(Digest::of("unisono/join/v1", &[&exported, request]))
}

/// Whether these bytes are a whole request in its one form, whoever signed it.
pub fn is_request(bytes: &[u8]) -> bool {
    let envelope = decode::<Envelope>(bytes);
    envelope.is_some_and(|envelope| decode::<Request>(&envelope.request).is_some())
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain fields have a postcard form")
}

/// The value, if these bytes are its one canonical form: postcard alone accepts others.
pub(super) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    (encode(&value) == bytes).then_some(value)
}
