//! Signature checks that are remembered: the verdict is a pure function, and in a simulation every
//! node asks for the same one.

use std::collections::BTreeMap;

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::{Digest, wire::Signature};

/// Asks once, remembers for all nodes.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    known: BTreeMap<[u8; 16], bool>,
    /// How often a verdict had to be computed.
    pub computed: u64,
    /// How often it was known.
    pub remembered: u64,
}

/// Of so many signatures of which somebody says to have made them, one is checked all the same.
const TRUSTED_OF: u8 = 16;

impl Memo {
    fn name(public_key: &[u8; 32], message: &Digest, signature: &Signature) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher
            .update(public_key)
            .update(&message.0)
            .update(&signature.0)
            .update(&signature.1);
        let mut name = [0; 16];
        name.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        name
    }
}

impl Verifier for Memo {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let name = Self::name(public_key, message, signature);
        if let Some(verdict) = self.known.get(&name) {
            self.remembered += 1;
            return *verdict;
        }
        self.computed += 1;
        let verdict = StrictVerifier.verify(public_key, message, signature);
        self.known.insert(name, verdict);
        verdict
    }

    fn signed(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) {
        let name = Self::name(public_key, message, signature);
        if !name[0].is_multiple_of(TRUSTED_OF) {
            self.known.insert(name, true);
        }
    }
}
