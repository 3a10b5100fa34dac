//! Renewing a node's certificate, from one that has not ended, or by a node whose has.
//!
//! A node asks whoever holds the authority's key for the next certificate of its own key, over the
//! live connection between them: a stream of two ways, one request, one answer. Who asks is who TLS
//! says it is, and nothing can be asked for anybody else. A node whose certificate has ended is
//! admitted by nobody who has a fresh one; for it there is the protocol `unisono-renew/1`, on which
//! the same can be asked and nothing else.
//!
//! Whether the node is still let in is for the [`Admission`](crate::join::Admission) to say: an ended
//! certificate is no reason to keep out who is known, and a good one none to let in who was removed.

mod asking;
mod limiter;
mod signing;

use std::net::SocketAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use unisono_model::{ClusterId, NodeId};

pub(crate) use asking::ask;
pub(crate) use limiter::RenewalLimiter;
pub(crate) use signing::{answer, serve};

use crate::identity::{Credentials, spoken};

/// The version of request and answer.
const VERSION: u16 = 1;

/// What a renewal has brought. Save the certificate, then show it.
#[derive(Clone, Debug)]
pub struct Renewal {
    /// The same node with its next certificate.
    pub credentials: Credentials,
    /// The signer's clock minus this machine's (ms), give or take the round trip.
    pub clock_apart_ms: i64,
}

/// Why a certificate is not renewed.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum RenewalRefusal {
    /// This node cannot sign; these may.
    #[error("it does not hold the authority's key: ask another member")]
    NotAnIssuer {
        /// Who has signed for it, and where that one was reached.
        issuers: Vec<(NodeId, SocketAddr)>,
    },
    /// The node is none that the cluster lets in.
    #[error("{why}")]
    NotAMember {
        /// For whoever reads it.
        why: String,
    },
    /// The request is for another node than the one that asks.
    #[error("a node renews its own certificate and no other's")]
    OtherNode,
    /// The request is for another cluster.
    #[error("it belongs to another cluster")]
    OtherCluster,
    /// Too many were asked for.
    #[error("too many renewals were asked for: wait {retry_after_ms} ms")]
    TooOften {
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// It cannot say at the moment.
    #[error("it cannot say at the moment: try again, or another member")]
    NotReady,
    /// The request cannot be read.
    #[error("the request cannot be read: use the same version on both sides")]
    Malformed,
    /// The request is of another version.
    #[error("the request is of another version, it speaks {spoken}: update the older side")]
    OtherVersion {
        /// The version that it speaks.
        spoken: u16,
    },
}

impl RenewalRefusal {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnIssuer { .. } => "not_an_issuer",
            Self::NotAMember { .. } => "not_member",
            Self::OtherNode => "other_node",
            Self::OtherCluster => "other_cluster",
            Self::TooOften { .. } => "too_many_renewals",
            Self::NotReady => "not_ready",
            Self::Malformed => "malformed",
            Self::OtherVersion { .. } => "other_version",
        }
    }
}

/// Why a renewal failed. Nothing has changed; the certificate that is there stays in use.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RenewalError {
    /// The member said no.
    #[error("it refused: {0}")]
    Refused(RenewalRefusal),
    /// It was not reached, or did not answer.
    #[error("it did not answer ({0})")]
    Unreachable(String),
    /// What it signed does not count by this machine's clock.
    #[error(
        "what it signed does not count here: its clock and this machine's are {} apart; set the one that is off",
        spoken(apart_ms.unsigned_abs())
    )]
    Clock {
        /// Its clock minus this machine's (ms).
        apart_ms: i64,
    },
    /// What it answered is of no use.
    #[error("its answer is of no use ({0})")]
    BadAnswer(String),
}

impl RenewalError {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.code(),
            Self::Unreachable(_) => "unreachable",
            Self::Clock { .. } => "clock_apart",
            Self::BadAnswer(_) => "bad_answer",
        }
    }
}

/// Who asks, as it says itself.
#[derive(Serialize, Deserialize)]
struct Request {
    version: u16,
    cluster: ClusterId,
    node: NodeId,
}

/// What the signer says.
#[derive(Serialize, Deserialize)]
enum Answer {
    Signed {
        /// The certificate (DER).
        certificate: Vec<u8>,
        /// What the signer's clock shows (ms since the Unix epoch).
        now_ms: u64,
    },
    Refused(RenewalRefusal),
}

/// Whether these bytes are a whole request in its one form, whoever sends it.
pub fn is_request(bytes: &[u8]) -> bool {
    decode::<Request>(bytes).is_some()
}

/// Whether these bytes are a whole answer in its one form, whatever it says.
pub fn is_answer(bytes: &[u8]) -> bool {
    decode::<Answer>(bytes).is_some()
}

fn encode(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("plain fields have a postcard form")
}

/// The value, if these bytes are its one canonical form: postcard alone accepts others.
fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    (encode(&value) == bytes).then_some(value)
}
