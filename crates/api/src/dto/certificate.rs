//! A node's certificate, as its node knows it.

use serde::{Deserialize, Serialize};
use unisono_model::{AuthorityId, NodeId};
use utoipa::ToSchema;

use super::authority::{AuthorityShown, NodeAuthority};

/// How a certificate is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateWord {
    /// It is not yet time for the next one.
    Fresh,
    /// The next one is asked for.
    Due,
    /// Half of its life is over, and nobody has signed the next one since the first third.
    Overdue,
    /// It has ended: members whose own are fresh let this node renew it and nothing else.
    Ended,
}

/// The certificate that the node shows to others.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeCertificate {
    /// How it is.
    pub state: CertificateWord,
    /// When it was made, by its signer's clock (ms since the Unix epoch).
    pub made_ms: u64,
    /// From when on the next one is asked for (ms since the Unix epoch).
    pub renews_from_ms: u64,
    /// When it ends (ms since the Unix epoch).
    pub ends_ms: u64,
    /// Whether this node holds the authority's key, and signs for itself and others.
    pub signs: bool,
    /// Who signed it, if it was renewed by another node in this process.
    #[schema(value_type = Option<String>)]
    pub signed_by: Option<NodeId>,
    /// The signer's clock minus this machine's (ms), if it was renewed in this process.
    pub clock_apart_ms: Option<i64>,
    /// Why it was not renewed at the last try.
    pub trouble: Option<CertificateTrouble>,
    /// The authority that has signed it.
    #[serde(default)]
    #[schema(value_type = String)]
    pub authority: AuthorityId,
    /// All authorities that this node knows, the one that signs first.
    #[serde(default)]
    pub authorities: Vec<AuthorityShown>,
    /// Whose certificate each node bore that this one has spoken with in this process, the last time.
    #[serde(default)]
    pub seen: Vec<NodeAuthority>,
}

/// Why a certificate was not renewed. Nothing has changed; it is tried again.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CertificateTrouble {
    /// A stable name: `not_an_issuer`, `not_member`, `unreachable`, `clock_apart`, …
    pub code: String,
    /// What whoever was asked has said, the one that says most.
    pub detail: String,
    /// Since when it fails (ms since the Unix epoch).
    pub since_ms: u64,
}
