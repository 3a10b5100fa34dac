//! Signature checks that are remembered: the verdict is a pure function, and in a simulation every
//! node asks for the same one.

use std::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_model::{Digest, wire::Signature};

/// Asks once, remembers for all nodes.
#[derive(Clone, Debug, Default)]
pub struct Memo {
    known: BTreeMap<[u8; 16], bool>,
    /// A planted fault: nodes are told what `verify` says. The oracles never are.
    plainly: bool,
    /// How often a verdict had to be computed.
    pub computed: u64,
    /// How often it was known.
    pub remembered: u64,
}

/// Of so many signatures of which somebody says to have made them, one is checked all the same.
const TRUSTED_OF: u8 = 16;

impl Memo {
    /// Remembers nothing yet; nodes are told what `verify` says if that fault is planted.
    pub fn new(plainly: bool) -> Self {
        Self {
            plainly,
            ..Self::default()
        }
    }

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

impl Memo {
    /// The verdict of whoever judges.
    pub fn strict(&mut self) -> Strict<'_> {
        Strict(self)
    }

    fn verdict(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
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
}

/// Verdicts by the rule, whatever nodes are told.
#[derive(Debug)]
pub struct Strict<'a>(&'a mut Memo);

impl Verifier for Strict<'_> {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        self.0.verdict(public_key, message, signature)
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "the planted fault is to do what is forbidden"
)]
fn plain(public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
    use ed25519_dalek::Verifier as _;
    let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
    let key = VerifyingKey::from_bytes(public_key);
    key.is_ok_and(|key| key.verify(&message.0, &signature).is_ok())
}

impl Verifier for Memo {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let verdict = self.verdict(public_key, message, signature);
        verdict || (self.plainly && plain(public_key, message, signature))
    }

    fn signed(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) {
        let name = Self::name(public_key, message, signature);
        if !name[0].is_multiple_of(TRUSTED_OF) {
            self.known.insert(name, true);
        }
    }
}
