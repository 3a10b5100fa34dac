//! From the words of an `Idempotency-Key` header to the key inside a record.

use unisono_model::{Digest, IdempotencyKey};

/// The key for a client's own words: the first half of their digest, so that the same words mean
/// the same request on every node and in every client.
pub fn idempotency_key(words: &str) -> IdempotencyKey {
    let digest = Digest::of("unisono/idempotency-key/v1", &[words.as_bytes()]);
    let mut key = [0; 16];
    key.copy_from_slice(&digest.0[..16]);
    IdempotencyKey(key)
}
