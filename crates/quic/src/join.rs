//! Joining a cluster with one string.
//!
//! An [`Invite`] carries addresses, the fingerprint of the cluster's authority and a one-time secret.
//! The joiner dials with the protocol `unisono-join/1` and believes only a server whose chain ends in
//! that authority; there is no trust on first use. It proves the secret by a signature of the Ed25519
//! key that follows from it, over its request and the TLS exporter of this very connection (RFC 5705,
//! RFC 9266): the secret never crosses the wire, a relay gains nothing, and whoever admits needs to
//! keep only the public half ([`InviteId`]). It proves its node key by a second signature over the same.
//!
//! Any node with the authority's key admits. Another one passes the join on to such a one, over the
//! connection that stands between them, and hands its answer back; where it reaches none, it refuses
//! with `not_an_issuer` and names those that may, and the joiner goes on to them. Whether an invite counts is for the [`Admission`] to say:
//! this module knows no state.

mod client;
mod invite;
mod passing;
mod proofs;
mod server;
mod wire;

use std::{fmt, future::Future, net::SocketAddr, pin::Pin};

use serde::{Deserialize, Serialize};
use unisono_model::NodeId;

pub use client::{JoinError, Joined, Joiner, join};
pub use invite::{Invite, InviteError, InviteId};
pub(crate) use passing::{answer as answer_passed, is_passed, read as read_request};
pub(crate) use proofs::ProofLimiter;
pub(crate) use server::serve;
pub use wire::{is_answer, is_passed_request, is_request};

use crate::{identity::Region, renew::RenewalRefusal};

/// Says who may join. Its answer is final: when it says yes, the certificate is on its way.
pub trait Admission: fmt::Debug + Send + Sync {
    /// Whether this joiner is admitted; the member list for it if so, opaque bytes of at most
    /// [`JOIN_ANSWER_BYTES_MAX`](crate::limits::JOIN_ANSWER_BYTES_MAX) less a certificate.
    ///
    /// Both proofs in the request have been checked. Left to say: the invite is known, unexpired and
    /// unused. The same node asking again with the invite that it used should be admitted again, since
    /// the first answer may have been lost.
    fn admit(&self, request: JoinRequest) -> Answer<'_>;

    /// Whether this node's certificate is renewed. That it asks for itself, and not too often, has been
    /// checked; left to say is whether the cluster still lets it in.
    fn renews(&self, _node: NodeId) -> MayRenew<'_> {
        Box::pin(async { Err(RenewalRefusal::NotReady) })
    }

    /// Nodes that may hold the authority's key: a join is passed on to them first.
    fn signers(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// Where nodes that hold the authority's key listen, `host:port`; told to joiners that came to a
    /// node without it which reaches none.
    fn issuers(&self) -> Vec<String>;
}

/// What an [`Admission`] answers, when it has.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Refusal>> + Send + 'a>>;

/// What an [`Admission`] answers to a renewal, when it has.
pub type MayRenew<'a> = Pin<Box<dyn Future<Output = Result<(), RenewalRefusal>> + Send + 'a>>;

/// Someone who holds the secret of `invite` and the key of `node`, and asks to be let in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinRequest {
    /// The public half of the invite's secret.
    pub invite: InviteId,
    /// Who asks.
    pub node: NodeId,
    /// Where it will stand; its certificate will say so.
    pub region: Region,
    /// Where it will listen, `host:port`.
    pub addresses: Vec<String>,
    /// From where it asks.
    pub from: SocketAddr,
}

/// Why a joiner is not let in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The cluster knows no such invite.
    #[error("the cluster knows no such invite: ask for a new one")]
    InviteUnknown,
    /// The invite let somebody else in.
    #[error("the invite was used already: ask for a new one")]
    InviteUsed,
    /// The invite's time is over.
    #[error("the invite has expired: ask for a new one")]
    InviteExpired,
    /// The request is not signed by the invite's key and the node's.
    #[error("the proof of the invite is wrong: paste the invite again, whole")]
    BadProof,
    /// The request is for another cluster.
    #[error("this node belongs to another cluster: check the invite's addresses")]
    OtherCluster,
    /// This node cannot admit, and reaches none that can; these can.
    #[error(
        "this node cannot admit anyone and reaches no node that can; these can: {}",
        issuers.join(", ")
    )]
    NotAnIssuer {
        /// Where to go, `host:port`.
        issuers: Vec<String>,
    },
    /// Too many wrong proofs came from this address.
    #[error("too many wrong proofs came from this address: wait {retry_after_ms} ms")]
    TooManyFailures {
        /// How long to wait.
        retry_after_ms: u64,
    },
    /// This node admits nobody at the moment.
    #[error("this node admits nobody at the moment: try again, or another address")]
    NotReady,
    /// The request cannot be read.
    #[error("the request cannot be read: use the same version on both sides")]
    Malformed,
    /// The request is of another version.
    #[error("the request is of another version, this node speaks {spoken}: update the older side")]
    OtherVersion {
        /// The version that this node speaks.
        spoken: u16,
    },
    /// The cluster's rules say no.
    #[error("the cluster refuses: {why}")]
    Denied {
        /// For whoever reads it.
        why: String,
    },
}

impl Refusal {
    /// A stable name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InviteUnknown => "invite_unknown",
            Self::InviteUsed => "invite_used",
            Self::InviteExpired => "invite_expired",
            Self::BadProof => "bad_proof",
            Self::OtherCluster => "other_cluster",
            Self::NotAnIssuer { .. } => "not_an_issuer",
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::NotReady => "not_ready",
            Self::Malformed => "malformed",
            Self::OtherVersion { .. } => "other_version",
            Self::Denied { .. } => "denied",
        }
    }

    /// Whether another node, or the same one later, may answer otherwise.
    pub fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::NotAnIssuer { .. } | Self::TooManyFailures { .. } | Self::NotReady
        )
    }
}
