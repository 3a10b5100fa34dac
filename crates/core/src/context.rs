//! What a machine is handed with every input: the time, chance, and a way to check signatures.

use alloc::collections::BTreeMap;

use ed25519_dalek::VerifyingKey;
use rand_core::RngCore;
use unisono_model::{Digest, wire::Signature};

/// The world, as far as the core may see it.
pub struct Context<'a> {
    /// What time it is (ns since the Unix epoch): the cluster's, where the machine's timing plane
    /// knows it, else what the machine's wall clock shows. May jump.
    pub wall_ns: u64,
    /// How far that may be off the cluster's time (ns, three sigma); nothing where it is a wall
    /// clock's, of which nobody knows.
    pub unsure_ns: Option<u64>,
    /// A clock that never jumps and stops when the machine sleeps (ns since some start).
    pub monotonic_ns: u64,
    /// Chance.
    pub rng: &'a mut dyn RngCore,
    /// Checks signatures. A pure function, so a driver may remember its answers.
    pub verifier: &'a mut dyn Verifier,
}

/// Ed25519 verification as RFC 8032 with the strict rules of "Taming the many EdDSAs" (no small
/// order, canonical encodings): the same verdict everywhere.
pub trait Verifier {
    /// Whether `signature` over `message` is that of `public_key`.
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool;

    /// Whoever calls this has just made the signature with the secret key. A driver that remembers
    /// answers may take this for one.
    fn signed(&mut self, _public_key: &[u8; 32], _message: &Digest, _signature: &Signature) {}
}

/// Verifies every time.
#[derive(Clone, Copy, Debug, Default)]
pub struct StrictVerifier;

impl Verifier for StrictVerifier {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(public_key) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
        key.verify_strict(&message.0, &signature).is_ok()
    }
}

/// Keys that are kept decoded; when more are in use, they are decoded again.
const KEYS_MAX: usize = 4_096;

/// Gives the verdicts of [`StrictVerifier`], and keeps decoded keys: a tenth of what a check costs
/// is to find the point that a key's bytes stand for.
#[derive(Debug, Default)]
pub struct PracticedVerifier {
    keys: BTreeMap<[u8; 32], VerifyingKey>,
}

impl Verifier for PracticedVerifier {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
        if let Some(key) = self.keys.get(public_key) {
            return key.verify_strict(&message.0, &signature).is_ok();
        }
        let Ok(key) = VerifyingKey::from_bytes(public_key) else {
            return false;
        };
        let good = key.verify_strict(&message.0, &signature).is_ok();
        // A key that signed nothing is not worth its room: anybody can make up as many as they like.
        if good {
            if self.keys.len() >= KEYS_MAX {
                self.keys.clear();
            }
            self.keys.insert(*public_key, key);
        }
        good
    }
}

impl core::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Context({} ns)", self.monotonic_ns)
    }
}

impl Context<'_> {
    /// The monotonic clock in ms.
    pub fn now_ms(&self) -> u64 {
        self.monotonic_ns / 1_000_000
    }

    /// The wall clock in ms.
    pub fn wall_ms(&self) -> u64 {
        self.wall_ns / 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use ed25519_dalek::{Signer as _, SigningKey};

    use super::*;

    #[test]
    fn practice_changes_no_verdict() {
        let mut practiced = PracticedVerifier::default();
        let message = Digest([7; 32]);
        for round in 0..3u8 {
            for secret in 1..4u8 {
                let key = SigningKey::from_bytes(&[secret; 32]);
                let public = key.verifying_key().to_bytes();
                let mut bytes = key.sign(&message.0).to_bytes();
                let good = Signature::from_bytes(bytes);
                bytes[3] ^= 1 + round;
                let bad = Signature::from_bytes(bytes);
                assert!(practiced.verify(&public, &message, &good));
                assert!(!practiced.verify(&public, &message, &bad));
                assert!(!practiced.verify(&[2; 32], &message, &good));
                assert!(!practiced.verify(&public, &Digest([8; 32]), &good));
            }
        }
        assert_eq!(practiced.keys.len(), 3, "only keys that signed something");
    }

    /// The points of small order by their encodings, canonical ones and others: under such a key
    /// `verify` takes one signature for every message, or for one in two, four or eight.
    #[test]
    fn no_encoding_of_a_key_of_small_order_signs_anything() {
        const EIGHTH: [u8; 32] = *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05";
        const OTHER: [u8; 32] = *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a";
        let mut one = [0; 32];
        one[0] = 1;
        // The prime itself less one, and, beyond what is canonical, the prime and one more.
        let prime = [0xec, 0xed, 0xee].map(|first| {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (first, 0x7f);
            key
        });
        let mut keys = Vec::from([[0; 32], one, EIGHTH, OTHER]);
        keys.extend(prime);
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let mut practiced = PracticedVerifier::default();
        for mut key in keys {
            for sign in [0, 0x80] {
                key[31] = key[31] & 0x7f | sign;
                for first in keys_of_small_order_as_r(key) {
                    bytes[..32].copy_from_slice(&first);
                    let signature = Signature::from_bytes(bytes);
                    for message in 0..32 {
                        let message = Digest([message; 32]);
                        assert!(!StrictVerifier.verify(&key, &message, &signature));
                        assert!(!practiced.verify(&key, &message, &signature));
                    }
                }
            }
        }
        assert!(practiced.keys.is_empty(), "they take no room either");
    }

    /// What the first half of a signature may be taken for: the neutral element, and the key.
    fn keys_of_small_order_as_r(key: [u8; 32]) -> [[u8; 32]; 2] {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        [neutral, key]
    }

    #[test]
    fn a_key_of_small_order_signs_nothing() {
        // The neutral element: with it as key, the all-but-empty signature fits every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut bytes = [0; 64];
        bytes[0] = 1;
        let signature = Signature::from_bytes(bytes);
        let mut practiced = PracticedVerifier::default();
        for _ in 0..2 {
            assert!(!practiced.verify(&neutral, &Digest([7; 32]), &signature));
        }
    }
}
