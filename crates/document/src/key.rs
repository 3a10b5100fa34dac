//! The name of one entry in a fact document, and the bucket in which it stands.

use std::fmt;

use unisono_model::ChainId;

use crate::error::Refusal;
use crate::limits::KEY_BYTES_MAX;

/// The name under which one entry stands: printable ASCII, 1 to 128 bytes.
///
/// Two actors that write one key do not overwrite each other (both values stay, see
/// [`crate::FactDocument::get_all`]); whether a key is an actor's to write is for carriage to check.
#[derive(Clone, Eq, Ord, PartialEq, PartialOrd)]
pub struct Key(Box<str>);

impl Key {
    /// The key of the record at `seq` of `chain`: 32 hexadecimal characters of the chain's digest,
    /// a slash, the sequence number in decimal.
    pub fn record(chain: &ChainId, seq: u64) -> Self {
        Self::record_of(&Self::chain_prefix(chain), seq)
    }

    /// The part of a record's key that is the same for a whole chain, for writers that make many.
    pub fn chain_prefix(chain: &ChainId) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_derive_key("unisono/chain-key/v1");
        hasher.update(&chain.agent.0);
        hasher.update(&chain.log.node.0);
        hasher.update(&chain.log.incarnation.started_ms.to_be_bytes());
        hasher.update(&chain.log.incarnation.nonce.to_be_bytes());
        let mut prefix = [0; 16];
        prefix.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        prefix
    }

    /// The key of the record at `seq` of the chain with this prefix.
    pub fn record_of(chain_prefix: &[u8; 16], seq: u64) -> Self {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(40);
        for byte in chain_prefix {
            write!(text, "{byte:02x}").expect("writing into a string does not fail");
        }
        write!(text, "/{seq}").expect("writing into a string does not fail");
        Self(text.into_boxed_str())
    }

    /// A key of another form. Refused unless it is 1 to 128 bytes of printable ASCII.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let fits = (1..=KEY_BYTES_MAX).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Refusal::Key);
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first byte of the key's hash. Remote changes walk the whole map that they touch, hence
    /// 256 small maps instead of a large one.
    pub(crate) fn bucket(&self) -> u8 {
        blake3::hash(self.0.as_bytes()).as_bytes()[0]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
