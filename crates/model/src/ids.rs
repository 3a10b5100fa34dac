//! Names of things: who, where, which life, which place in which chain.

use core::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A BLAKE3 digest (32 bytes) of something signed or stored.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest(pub [u8; 32]);

/// A cluster, drawn at random by `init`. It stands in every signed byte, so nothing signed for one
/// cluster means anything in another.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClusterId(pub [u8; 16]);

/// An orchestra: a digest of cluster and name, so that both sides of a partition that make the
/// orchestra of one name have made the same one.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct OrchestraId(pub [u8; 16]);

/// A node: its Ed25519 public key.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NodeId(pub [u8; 32]);

/// An agent: its Ed25519 public key.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AgentId(pub [u8; 32]);

/// An authority, which signs the certificates of nodes: its Ed25519 public key.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AuthorityId(pub [u8; 32]);

/// An invite: the Ed25519 public key that follows from its secret. It admits nobody.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct InviteKey(pub [u8; 32]);

/// One life of a node's process. Logs, chains and Automerge actors are keyed by it, and nothing
/// ever continues an old one: that is why a restored backup or a cloned machine cannot fork anybody.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Incarnation {
    /// When the process started, milliseconds since the Unix epoch, by the node's own clock.
    pub started_ms: u64,
    /// Drawn at the start, so that two lives that began in one millisecond still differ.
    pub nonce: u64,
}

/// The log that one life of a node writes in one orchestra (the orchestra is known from context).
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LogId {
    /// Who writes it.
    pub node: NodeId,
    /// In which life.
    pub incarnation: Incarnation,
}

/// An agent's chain on one life of one node.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct ChainId {
    /// Who signs it.
    pub agent: AgentId,
    /// Which log carries it.
    pub log: LogId,
}

/// A client's name for one request. The same key from the same agent counts once in the cluster.
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IdempotencyKey(pub [u8; 16]);

impl OrchestraId {
    /// The orchestra of this name in this cluster.
    pub fn of(cluster: ClusterId, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("unisono/orchestra/v1");
        hasher.update(&cluster.0);
        hasher.update(name.as_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(id)
    }
}

impl Digest {
    /// The digest of `parts`, one after the other, in the named domain.
    pub fn of(domain: &'static str, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(domain);
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads as many bytes as `out` holds from lower- or upper-case hexadecimal; `None` unless the text
/// is exactly that.
pub fn from_hex(text: &str, out: &mut [u8]) -> Option<()> {
    let text = text.as_bytes();
    if text.len() != out.len() * 2 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(())
}

macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0[..4], f)
            }
        }
        impl core::str::FromStr for $name {
            type Err = NotHexadecimal;
            fn from_str(text: &str) -> Result<Self, NotHexadecimal> {
                let mut id = Self::default();
                from_hex(text, &mut id.0).ok_or(NotHexadecimal { characters: id.0.len() * 2 })?;
                Ok(id)
            }
        }
        // Bytes where machines read, hexadecimal where people do.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    self.0.serialize(serializer)
                }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return Ok(Self(Deserialize::deserialize(deserializer)?));
                }
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("hexadecimal characters")
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    )*};
}
hexadecimal!(
    Digest,
    ClusterId,
    OrchestraId,
    NodeId,
    AuthorityId,
    InviteKey,
    AgentId,
    IdempotencyKey
);

/// The text is not an identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an identifier: {characters} hexadecimal characters are expected")]
pub struct NotHexadecimal {
    /// How many characters would have been right.
    pub characters: usize,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:016x}", self.started_ms, self.nonce)
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:04x}", self.started_ms, self.nonce & 0xffff)
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}@{:?}", self.node, self.incarnation)
    }
}

impl fmt::Debug for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}/{:?}", self.agent, self.log)
    }
}

impl NodeId {
    /// The 24 bits by which cursors name all of a node's logs: whoever has never heard of a log can
    /// still tell whose it is.
    pub fn tag(&self) -> u32 {
        let digest = Digest::of("unisono/node-tag/v1", &[&self.0]);
        let mut tag = [0; 4];
        tag[1..].copy_from_slice(&digest.0[..3]);
        u32::from_be_bytes(tag)
    }
}

impl LogId {
    /// How cursors name it: its node's tag, and 40 bits of its own digest.
    pub fn tag(&self) -> u64 {
        let digest = Digest::of(
            "unisono/log-tag/v1",
            &[
                &self.node.0,
                &self.incarnation.started_ms.to_le_bytes(),
                &self.incarnation.nonce.to_le_bytes(),
            ],
        );
        let mut own = [0; 8];
        own[3..].copy_from_slice(&digest.0[..5]);
        (u64::from(self.node.tag()) << 40) | u64::from_be_bytes(own)
    }
}
