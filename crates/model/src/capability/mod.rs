//! Capability tokens: what an agent may do, and what it may let others do.
//!
//! ```text
//!  root key ──signs──► link 1: operator ► executive       may: read, plan, spawn
//!                        │                                grant: implementation {2 files}
//!  executive ──signs──►  └► link 2: executive ► implementer   may: read, write 2 files
//! ```
//!
//! A token is a chain of links. Each is signed with the key that the link before it names as its
//! audience, so a token is worth nothing without the private key of its last audience. What a link
//! may *do* and what it may *grant* are two fields: whoever makes agents that write code need not
//! write code. Narrowing goes from `grant` to the next link, never from `may`.

mod renewal;
mod rights;

pub use renewal::{RENEWAL_VERSION, RENEWER, Renewal};
pub use rights::{Grant, Operations, Rights, Scope, Tier};

use alloc::vec::Vec;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{self, Blob, Malformed, Signature};
use crate::{AgentId, ClusterId, Digest, limits};

/// The version of the link format that this code writes and reads.
pub const LINK_VERSION: u8 = 1;

/// One step of a chain: an issuer lets an audience do something.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// [`LINK_VERSION`].
    pub version: u8,
    /// The cluster in which it counts.
    pub cluster: ClusterId,
    /// Who signs it: a root, or the audience of the link before.
    pub issuer: AgentId,
    /// Who may use it, and sign the link after it.
    pub audience: AgentId,
    /// The link before, or zeros.
    pub parent: Digest,
    /// Drawn for each link, so that two equal ones can be revoked apart.
    pub nonce: [u8; 16],
    /// The epoch in which it counts: a later one ends all tokens of earlier ones.
    pub epoch: u32,
    /// It counts for records stamped from here on (ms since the Unix epoch).
    pub not_before_ms: u64,
    /// It counts for records stamped before this (ms since the Unix epoch).
    pub expires_ms: u64,
    /// Until when it may be renewed by whoever holds a delegation to renew; at least `expires_ms`,
    /// or zero for never.
    pub renew_until_ms: u64,
    /// What kind of agent its audience is.
    pub tier: Tier,
    /// What its audience may do.
    pub may: Rights,
    /// What its audience may let others do; nothing if it is left out.
    pub grant: Option<Grant>,
    /// How many links may follow it.
    pub depth_left: u8,
}

/// A link with its issuer's signature, as bytes: the bytes are what is signed and named.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SignedLink {
    /// The canonical bytes of the link.
    pub body: Blob,
    /// The issuer's signature over [`SignedLink::id`].
    pub signature: Signature,
}

/// A chain of links, from a root to whoever uses it.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// In order; at least one, at most [`limits::TOKEN_LINKS_MAX`]; behind them a [`Renewal`] if the
    /// token was renewed.
    pub links: Vec<SignedLink>,
}

impl Link {
    /// The name of a link with these canonical bytes: what a revocation names, and what is signed.
    pub fn id_of(body: &[u8]) -> Digest {
        Digest::of("unisono/capability-link/v1", &[body])
    }

    /// Signs the link.
    pub fn sign(&self, issuer: &SigningKey) -> SignedLink {
        let body = wire::encode(self);
        let signature = issuer.sign(&Self::id_of(&body).0);
        SignedLink {
            body: Blob(body),
            signature: Signature::from_bytes(signature.to_bytes()),
        }
    }
}

impl SignedLink {
    /// The link's name, or the renewal's.
    pub fn id(&self) -> Digest {
        if self.body.0.first() == Some(&RENEWAL_VERSION) {
            Renewal::id_of(&self.body.0)
        } else {
            Link::id_of(&self.body.0)
        }
    }
}

impl Token {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(self)
    }

    /// Reads a token and its links from their canonical bytes; what renews them is for
    /// [`Token::renewal`] to say. No signature is checked.
    ///
    /// # Errors
    /// Bytes of another length, depth or form. Nothing is kept of them.
    pub fn decode(bytes: &[u8]) -> Result<(Self, Vec<Link>), Malformed> {
        let token: Self = wire::decode(bytes, limits::TOKEN_BYTES_MAX)?;
        let renewed = token.renewal()?.is_some();
        let count = token.links.len() - usize::from(renewed);
        if count == 0 || count > limits::TOKEN_LINKS_MAX {
            return Err(Malformed::Limit("the number of links"));
        }
        let mut links = Vec::with_capacity(count);
        for signed in &token.links[..count] {
            let link: Link = wire::decode(&signed.body.0, limits::TOKEN_BYTES_MAX)?;
            if link.version != LINK_VERSION {
                return Err(Malformed::Contradiction("a link of another version"));
            }
            link.may.check()?;
            if let Some(grant) = &link.grant {
                grant.check()?;
            }
            link.tier.check()?;
            links.push(link);
        }
        Ok((token, links))
    }

    /// What renews the token, if anything does.
    ///
    /// # Errors
    /// Something of that kind in another form.
    pub fn renewal(&self) -> Result<Option<Renewal>, Malformed> {
        let last = self.links.last();
        last.map_or(Ok(None), |last| Renewal::read(&last.body.0))
    }

    /// The token as it was before it was renewed.
    #[must_use]
    pub fn unrenewed(mut self) -> Self {
        let renews = |signed: &SignedLink| signed.body.0.first() == Some(&RENEWAL_VERSION);
        if self.links.last().is_some_and(renews) {
            self.links.pop();
        }
        self
    }

    /// The name of the whole token: that of its last link, or of its renewal.
    pub fn id(&self) -> Digest {
        self.links
            .last()
            .map_or_else(Digest::default, SignedLink::id)
    }
}
