//! Invites, and which node has used one: the words by which every holder of the authority's key
//! honours them alike.

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{Malformed, Signature};
use crate::{AuthorityId, ClusterId, Digest, InviteKey, NodeId};

/// An invite was made (cluster orchestra only; nodes only). The authority signs it in itself, so
/// that a member without that key can invent none, whoever carries the word.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct InviteWord {
    /// The public half of its secret.
    pub invite: InviteKey,
    /// Until when it lets a node in (ms since the Unix epoch).
    pub expires_ms: u64,
    /// The node that made it.
    pub maker: NodeId,
    /// Who signs: the authority of that time.
    pub authority: AuthorityId,
    /// The authority's, over [`InviteWord::proof`].
    pub signature: Signature,
}

/// An invite let a node in (cluster orchestra only; nodes only). Signed as [`InviteWord`] is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct InviteUse {
    /// Which invite.
    pub invite: InviteKey,
    /// Whom it let in.
    pub node: NodeId,
    /// The node that signed the joiner's certificate.
    pub issuer: NodeId,
    /// Who signs: the authority of that time.
    pub authority: AuthorityId,
    /// The authority's, over [`InviteUse::proof`].
    pub signature: Signature,
}

impl InviteWord {
    /// What the authority signs: everything that the word says, for one cluster.
    pub fn proof(&self, cluster: ClusterId) -> Digest {
        Digest::of(
            "unisono/invite/v1",
            &[
                &cluster.0,
                &self.invite.0,
                &self.expires_ms.to_le_bytes(),
                &self.maker.0,
                &self.authority.0,
            ],
        )
    }

    /// The word of the authority whose key this is.
    pub fn sign(
        authority: &SigningKey,
        cluster: ClusterId,
        invite: InviteKey,
        expires_ms: u64,
        maker: NodeId,
    ) -> Self {
        let mut word = Self {
            invite,
            expires_ms,
            maker,
            authority: AuthorityId(authority.verifying_key().to_bytes()),
            signature: unsigned(),
        };
        word.signature = signed(authority, &word.proof(cluster));
        word
    }

    /// Whether it is within its limits.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        if self.expires_ms == 0 {
            return Err(Malformed::Limit("end of an invite"));
        }
        Ok(())
    }
}

impl InviteUse {
    /// What the authority signs: everything that the word says, for one cluster.
    pub fn proof(&self, cluster: ClusterId) -> Digest {
        Digest::of(
            "unisono/invite-use/v1",
            &[
                &cluster.0,
                &self.invite.0,
                &self.node.0,
                &self.issuer.0,
                &self.authority.0,
            ],
        )
    }

    /// The word of the authority whose key this is.
    pub fn sign(
        authority: &SigningKey,
        cluster: ClusterId,
        invite: InviteKey,
        node: NodeId,
        issuer: NodeId,
    ) -> Self {
        let mut word = Self {
            invite,
            node,
            issuer,
            authority: AuthorityId(authority.verifying_key().to_bytes()),
            signature: unsigned(),
        };
        word.signature = signed(authority, &word.proof(cluster));
        word
    }

    /// By what two uses of one invite are compared: the lower one counts. The signature is part of
    /// it, so that nobody without the authority's key can draw node keys until one is low.
    pub fn rank(&self, cluster: ClusterId) -> Digest {
        let proof = self.proof(cluster);
        let signature = self.signature.to_bytes();
        Digest::of("unisono/invite-use-rank/v1", &[&proof.0, &signature])
    }
}

/// Stands where a signature will stand: what is signed does not contain it.
fn unsigned() -> Signature {
    Signature::from_bytes([0; 64])
}

fn signed(authority: &SigningKey, proof: &Digest) -> Signature {
    Signature::from_bytes(authority.sign(&proof.0).to_bytes())
}
