//! Another root of rights takes the place of the one that stands.

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{Malformed, Signature};
use crate::{AgentId, ClusterId, Digest, limits};

/// The word that names a root of rights (`docs/decisions/026`). It proves itself, so anybody may lay
/// it down, in every orchestra.
///
/// The key that names roots has signed it: the recovery key, or in a cluster without one the root that
/// was there at the founding. What it says counts from [`RootWord::from_ms`] on, by the stamps of
/// records, wherever and whenever it is laid down: the word of the highest number among those whose
/// time has come names the root ([`RootWord::outranks`]).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct RootWord {
    /// How many roots there were before it, from the one of the founding on.
    pub number: u32,
    /// The root from then on.
    pub root: AgentId,
    /// The one whose place it takes: for those who read it. What counts does not depend on it.
    pub former: AgentId,
    /// From when on (ms since the Unix epoch).
    pub from_ms: u64,
    /// Of the key that names roots, over [`RootWord::proof`].
    pub signature: Signature,
    /// The next root's own, over the same: nobody is named who does not have that key.
    pub consent: Signature,
}

impl RootWord {
    /// What both keys sign: everything that the word says, for one cluster.
    pub fn proof(
        cluster: ClusterId,
        number: u32,
        root: AgentId,
        former: AgentId,
        from_ms: u64,
    ) -> Digest {
        Digest::of(
            "unisono/root/v1",
            &[
                &cluster.0,
                &u64::from(number).to_le_bytes(),
                &root.0,
                &former.0,
                &from_ms.to_le_bytes(),
            ],
        )
    }

    /// The word of the key that names roots, with the consent of the next one.
    pub fn sign(
        (names, next): (&SigningKey, &SigningKey),
        cluster: ClusterId,
        number: u32,
        former: AgentId,
        from_ms: u64,
    ) -> Self {
        let root = AgentId(next.verifying_key().to_bytes());
        let proof = Self::proof(cluster, number, root, former, from_ms);
        let by = |key: &SigningKey| Signature::from_bytes(key.sign(&proof.0).to_bytes());
        Self {
            number,
            root,
            former,
            from_ms,
            signature: by(names),
            consent: by(next),
        }
    }

    /// What its signatures have to be over, in this cluster.
    pub fn signed(&self, cluster: ClusterId) -> Digest {
        Self::proof(cluster, self.number, self.root, self.former, self.from_ms)
    }

    /// Which of two words of one number stands: the one with the higher key, and of two about one key
    /// the one that counts from earlier on, since whoever says it again means to hurry.
    pub fn outranks(&self, other: &Self) -> bool {
        let rank = |word: &Self| (word.root, core::cmp::Reverse(word.from_ms));
        rank(self) > rank(other)
    }

    /// Whether it is within its limits.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        if self.number == 0 || self.number > limits::ROOT_NUMBER_MAX {
            return Err(Malformed::Limit("number of a root"));
        }
        if self.root == self.former {
            return Err(Malformed::Contradiction("a root in its own place"));
        }
        Ok(())
    }
}
