//! Another authority takes the place of the one that signs the certificates of nodes.

use core::cmp::Reverse;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};

use crate::wire::{Blob, Malformed, Signature};
use crate::{AuthorityId, ClusterId, Digest, limits};

/// The word of a root that an authority takes the place of another one. It is signed in itself, so
/// that it proves itself also where no record is at hand: in the authority's own certificate.
///
/// Of all that was said the one of the highest [rank](Self::rank) counts, whatever came first; from
/// the end that a word names on, the certificates of all authorities below it count no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct SuccessionWord {
    /// How many authorities there were before it, from the one on that the founder made.
    pub number: u32,
    /// The authority from now on.
    pub authority: AuthorityId,
    /// The one whose place it takes.
    pub former: AuthorityId,
    /// Until when what authorities below it have signed counts (ms since the Unix epoch).
    pub former_until_ms: u64,
    /// The root's, over [`SuccessionWord::proof`].
    pub signature: Signature,
}

/// An authority takes the place of another one (cluster orchestra only). Only a root says so, and
/// nobody can take it back but by another one of a higher rank.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Succession {
    /// What the root says.
    pub word: SuccessionWord,
    /// The authority's certificate (DER), which bears the same word. Whether it does is for those to
    /// say who read certificates.
    pub certificate: Blob,
}

impl SuccessionWord {
    /// What a root signs: everything that the word says, for one cluster.
    pub fn proof(
        cluster: ClusterId,
        number: u32,
        authority: AuthorityId,
        former: AuthorityId,
        former_until_ms: u64,
    ) -> Digest {
        Digest::of(
            "unisono/succession/v1",
            &[
                &cluster.0,
                &u64::from(number).to_le_bytes(),
                &authority.0,
                &former.0,
                &former_until_ms.to_le_bytes(),
            ],
        )
    }

    /// The word of the root whose key this is.
    pub fn sign(
        root: &SigningKey,
        cluster: ClusterId,
        number: u32,
        authority: AuthorityId,
        former: AuthorityId,
        former_until_ms: u64,
    ) -> Self {
        let proof = Self::proof(cluster, number, authority, former, former_until_ms);
        Self {
            number,
            authority,
            former,
            former_until_ms,
            signature: Signature::from_bytes(root.sign(&proof.0).to_bytes()),
        }
    }

    /// What its signature has to be over, in this cluster.
    pub fn signed(&self, cluster: ClusterId) -> Digest {
        let (number, until_ms) = (self.number, self.former_until_ms);
        Self::proof(cluster, number, self.authority, self.former, until_ms)
    }

    /// Which of two words counts: the one with the higher number; of two with one number, as two sides
    /// of a partition may say them, the one with the higher key.
    pub fn rank(&self) -> (u32, AuthorityId) {
        (self.number, self.authority)
    }

    /// Which of several words about one authority stands: the earliest end, since a root that says it
    /// again means to hurry.
    pub fn precedence(&self) -> (u32, AuthorityId, Reverse<u64>) {
        (self.number, self.authority, Reverse(self.former_until_ms))
    }

    /// Until when the certificates of the authority of a rank count, if these words are all that was
    /// said; none: without an end.
    pub fn end_ms<'a>(
        words: impl IntoIterator<Item = &'a Self>,
        rank: (u32, AuthorityId),
    ) -> Option<u64> {
        let above = words.into_iter().filter(|word| word.rank() > rank);
        above.map(|word| word.former_until_ms).min()
    }
}

impl Succession {
    /// Whether it is within its limits.
    pub(crate) fn check(&self) -> Result<(), Malformed> {
        let word = &self.word;
        if word.number == 0 || word.number > limits::SUCCESSION_NUMBER_MAX {
            return Err(Malformed::Limit("number of an authority"));
        }
        if word.authority == word.former {
            return Err(Malformed::Contradiction("an authority in its own place"));
        }
        let bytes = self.certificate.0.len();
        if bytes == 0 || bytes > limits::AUTHORITY_CERTIFICATE_BYTES_MAX {
            return Err(Malformed::Limit("bytes of an authority's certificate"));
        }
        Ok(())
    }
}
