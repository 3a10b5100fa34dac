//! Canonical bytes: postcard, bounded, and encoded again to compare, because postcard by itself
//! accepts overlong numbers and trailing bytes.

use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::path::NotPlain;

/// Why bytes are not the one canonical form of a value. Nothing changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Malformed {
    /// More bytes than the kind of value may have.
    #[error("{bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// How many there were.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// Not a value of this kind at all.
    #[error("the bytes are no value of this kind")]
    Undecodable,
    /// A value, but not in the one form that is signed and hashed.
    #[error("the bytes are not in canonical form")]
    NotCanonical,
    /// A count or a number outside its limits.
    #[error("{0} is outside its limits")]
    Limit(&'static str),
    /// A name of nothing, or of blanks.
    #[error("{0} is empty")]
    Empty(&'static str),
    /// A name or a text with too much in it.
    #[error("{what} has {bytes} bytes, at most {max} are allowed")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// How many there were.
        bytes: usize,
        /// How many are allowed.
        max: usize,
    },
    /// A name or a text with a character that could disguise it.
    #[error("{what} has U+{:04X}; control and formatting characters are not allowed there", u32::from(*.found))]
    Disguised {
        /// What it is.
        what: &'static str,
        /// The first such character.
        found: char,
    },
    /// Parts that contradict one another.
    #[error("{0}")]
    Contradiction(&'static str),
    /// A path of a file that is not plain.
    #[error("the path is not plain: {0}")]
    Path(#[from] NotPlain),
}

/// The canonical bytes of a value.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    encode_onto(value, Vec::with_capacity(ENCODED_BYTES))
}

/// The same behind what is there already.
pub fn encode_onto<T: Serialize>(value: &T, bytes: Vec<u8>) -> Vec<u8> {
    postcard::serialize_with_flavor(value, Written(bytes))
        .expect("every type of the vocabulary has a length known to serde")
}

/// Room for most values from the start: growing from nothing copies them five times.
const ENCODED_BYTES: usize = 256;

/// Keeps what is written.
struct Written(Vec<u8>);

impl postcard::ser_flavors::Flavor for Written {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, written: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(written);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Reads a value from its canonical bytes, and from nothing else.
pub fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8], max: usize) -> Result<T, Malformed> {
    if bytes.len() > max {
        return Err(Malformed::TooLarge {
            bytes: bytes.len(),
            max,
        });
    }
    let value: T = postcard::from_bytes(bytes).map_err(|_| Malformed::Undecodable)?;
    match postcard::serialize_with_flavor(&value, Same(bytes)) {
        Ok(true) => Ok(value),
        Ok(false) | Err(_) => Err(Malformed::NotCanonical),
    }
}

/// Compares what would be written with what was read, as far as that goes, and keeps neither.
struct Same<'a>(&'a [u8]);

impl postcard::ser_flavors::Flavor for Same<'_> {
    /// Whether nothing is left over.
    type Output = bool;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        // Most of what is compared are the single bytes of names.
        match self.0.split_first() {
            Some((same, rest)) if *same == byte => {
                self.0 = rest;
                Ok(())
            }
            _ => Err(postcard::Error::SerializeBufferFull),
        }
    }

    #[inline]
    fn try_extend(&mut self, written: &[u8]) -> postcard::Result<()> {
        let rest = self.0.strip_prefix(written);
        self.0 = rest.ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.0.is_empty())
    }
}

/// Bytes that serde carries as bytes, not as a list of numbers.
#[derive(Clone, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Blob(pub Vec<u8>);

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Blob;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// An Ed25519 signature, in halves because serde knows arrays up to 32.
#[derive(Clone, Copy, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Signature(pub [u8; 32], pub [u8; 32]);

impl Signature {
    /// From the 64 bytes of RFC 8032.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        let mut halves = Self([0; 32], [0; 32]);
        halves.0.copy_from_slice(&bytes[..32]);
        halves.1.copy_from_slice(&bytes[32..]);
        halves
    }

    /// The 64 bytes of RFC 8032.
    pub fn to_bytes(self) -> [u8; 64] {
        let mut bytes = [0; 64];
        bytes[..32].copy_from_slice(&self.0);
        bytes[32..].copy_from_slice(&self.1);
        bytes
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sig:{:02x}{:02x}", self.0[0], self.0[1])
    }
}
