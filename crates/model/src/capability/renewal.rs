//! Renewals: a token that is let count for longer, by somebody who may do nothing else.
//!
//! ```text
//!  root ──► link 1 ──► link 2, until 13:00, renewable until midnight
//!                        └► renewal: until 13:30, signed by a renewer    (another one takes its place)
//!  root ──► link: the renewer                                              its delegation, inside
//! ```
//!
//! It stands behind the last link and names it; the links stay what they are. So a token is renewed
//! any number of times and grows by one renewal, and whatever ends a link ends it.

use alloc::string::String;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use super::{Rights, SignedLink, Tier, Token};
use crate::wire::{self, Blob, Malformed, Signature};
use crate::{AgentId, ClusterId, Digest, limits};

/// The version of the form of a renewal, where a link bears [`super::LINK_VERSION`].
pub const RENEWAL_VERSION: u8 = 2;
/// The tier of whoever may renew and do nothing else.
pub const RENEWER: &str = "renewer";

/// A token's links count for longer.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Renewal {
    /// [`RENEWAL_VERSION`].
    pub version: u8,
    /// The cluster in which it counts.
    pub cluster: ClusterId,
    /// The last link of the token.
    pub renews: Digest,
    /// Who signs it: the last audience of the delegation.
    pub renewer: AgentId,
    /// The token counts for records stamped from here on (ms since the Unix epoch).
    pub from_ms: u64,
    /// It counts for records stamped before this (ms since the Unix epoch).
    pub expires_ms: u64,
    /// What the token's holder may do from now on, if that is less than before.
    pub may: Option<Rights>,
    /// The bytes of the token that lets the renewer renew.
    pub delegation: Blob,
}

impl Renewal {
    /// The name of a renewal with these canonical bytes: that of the renewed token.
    pub fn id_of(body: &[u8]) -> Digest {
        Digest::of("unisono/capability-renewal/v1", &[body])
    }

    /// Signs it.
    pub fn sign(&self, renewer: &SigningKey) -> SignedLink {
        let body = wire::encode(self);
        let signature = renewer.sign(&Self::id_of(&body).0);
        SignedLink {
            body: Blob(body),
            signature: Signature::from_bytes(signature.to_bytes()),
        }
    }

    /// Reads one, if these bytes are one's at all.
    pub(super) fn read(body: &[u8]) -> Result<Option<Self>, Malformed> {
        if body.first() != Some(&RENEWAL_VERSION) {
            return Ok(None);
        }
        let renewal: Self = wire::decode(body, limits::TOKEN_BYTES_MAX)?;
        if let Some(may) = &renewal.may {
            may.check()?;
        }
        // No renewal in a delegation: what may be read inside of what is read has an end.
        let (delegation, _) = Token::decode(&renewal.delegation.0)?;
        if delegation.renewal()?.is_some() {
            return Err(Malformed::Contradiction("a delegation that was renewed"));
        }
        Ok(Some(renewal))
    }
}

impl Tier {
    /// The tier of whoever may renew tokens.
    pub fn renewer() -> Self {
        Self::Named(String::from(RENEWER))
    }

    /// Whether it is that of whoever may renew tokens.
    pub fn is_renewer(&self) -> bool {
        matches!(self, Self::Named(name) if name == RENEWER)
    }
}
