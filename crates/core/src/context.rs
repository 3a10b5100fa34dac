//! What a machine is handed with every input: the time, chance, and a way to check signatures.

use rand_core::RngCore;
use unisono_model::{Digest, wire::Signature};

/// The world, as far as the core may see it.
pub struct Context<'a> {
    /// The machine's wall clock (ns since the Unix epoch). May jump.
    pub wall_ns: u64,
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
}

/// Verifies every time.
#[derive(Clone, Copy, Debug, Default)]
pub struct StrictVerifier;

impl Verifier for StrictVerifier {
    fn verify(&mut self, public_key: &[u8; 32], message: &Digest, signature: &Signature) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(public_key) else {
            return false;
        };
        let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
        key.verify_strict(&message.0, &signature).is_ok()
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
