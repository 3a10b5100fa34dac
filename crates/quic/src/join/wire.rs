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

/// What is there on both ends of this connection and nowhere else (RFC 5705).
pub(super) fn exported(connection: &Connection) -> Option<[u8; 32]> {
    let mut exported = [0; 32];
    connection
        .export_keying_material(&mut exported, b"EXPORTER-unisono-join", b"")
        .ok()?;
    Some(exported)
}

/// What both keys sign: the request, in this connection and no other.
pub(super) fn signed(exported: &[u8; 32], request: &[u8]) -> Digest {
    Digest::of("unisono/join/v1", &[exported, request])
}

/// How a join that is passed on begins: no renewal does, whose version comes first.
const PASSED: &[u8; 4] = b"join";
/// What stands before the joiner's own bytes in one (bytes).
pub(super) const PASSED_BYTES: usize = PASSED.len() + 32;

/// A join as it is passed on: the mark, what was exported where it was made, and the joiner's bytes.
pub(super) fn passed(exported: &[u8; 32], envelope: &[u8]) -> Vec<u8> {
    [PASSED.as_slice(), exported, envelope].concat()
}

/// The parts of a join that was passed on.
pub(super) fn unpassed(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let (exported, envelope) = bytes.strip_prefix(PASSED)?.split_first_chunk()?;
    Some((*exported, envelope))
}

/// Whether these bytes are a whole request in its one form, whoever signed it.
pub fn is_request(bytes: &[u8]) -> bool {
    let envelope = decode::<Envelope>(bytes);
    envelope.is_some_and(|envelope| decode::<Request>(&envelope.request).is_some())
}

/// Whether these bytes are a whole answer in its one form, whatever it says.
pub fn is_answer(bytes: &[u8]) -> bool {
    decode::<Answer>(bytes).is_some()
}

/// Whether these bytes are a whole request as a member passes it on.
pub fn is_passed_request(bytes: &[u8]) -> bool {
    unpassed(bytes).is_some_and(|(_, envelope)| is_request(envelope))
}

pub(super) fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain fields have a postcard form")
}

/// The value, if these bytes are its one canonical form: postcard alone accepts others.
pub(super) fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    (encode(&value) == bytes).then_some(value)
}
