//! Cursors: what somebody has seen of an orchestra, valid on any node.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{LogId, NodeId};

/// Names a log: 24 bits for its node, 40 for its life. Enough to tell apart the logs of one orchestra.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LogTag(pub u64);

/// Per log, the last bundle seen. Partially ordered; `merge` is the least upper bound.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cursor(pub BTreeMap<LogTag, u64>);

/// Most logs that a cursor from outside may name.
pub const CURSOR_LOGS_MAX: usize = 4096;

impl LogTag {
    /// The tag of a log.
    pub fn of(log: &LogId) -> Self {
        Self(log.tag())
    }

    /// Whether it may name a log of a node: a few in ten million of other nodes' logs would, too.
    pub fn is_of(self, node: &NodeId) -> bool {
        self.0 >> 40 == u64::from(node.tag())
    }
}

impl Cursor {
    /// The place after all bundles of a log that has forked.
    pub const END: u64 = u64::MAX >> 1;

    /// Whether everything in `other` has been seen.
    pub fn covers(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|(log, seq)| self.0.get(log).is_some_and(|have| have >= seq))
    }

    /// Takes over whatever is further.
    pub fn merge(&mut self, other: &Self) {
        for (log, seq) in &other.0 {
            let have = self.0.entry(*log).or_default();
            *have = (*have).max(*seq);
        }
    }

    /// As one word of base64url without padding (RFC 4648), for headers and files.
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(self.0.len() * 12);
        for (log, seq) in &self.0 {
            bytes.extend_from_slice(&log.0.to_le_bytes());
            let mut rest = *seq;
            while rest >= 0x80 {
                bytes.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
        }
        base64(&bytes)
    }

    /// Reads a word of [`Cursor::to_text`]; `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = unbase64(text)?;
        let mut cursor = Self::default();
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (tag, tail) = rest.split_first_chunk::<8>()?;
            rest = tail;
            let mut seq = 0_u64;
            let mut shift = 0;
            loop {
                let (byte, tail) = rest.split_first()?;
                rest = tail;
                if shift > 56 {
                    return None;
                }
                seq |= u64::from(byte & 0x7f) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            cursor.0.insert(LogTag(u64::from_le_bytes(*tag)), seq);
            if cursor.0.len() > CURSOR_LOGS_MAX {
                return None;
            }
        }
        Some(cursor)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut word = [0; 3];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u32::from(word[0]) << 16 | u32::from(word[1]) << 8 | u32::from(word[2]);
        for place in 0..=chunk.len() {
            let index = word >> (18 - 6 * place) & 0x3f;
            text.push(char::from(ALPHABET[index as usize]));
        }
    }
    text
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    if text.len() > CURSOR_LOGS_MAX * 24 || text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for chunk in text.as_bytes().chunks(4) {
        let mut word = 0_u32;
        for place in 0..4 {
            let value = match chunk.get(place) {
                Some(c) => ALPHABET.iter().position(|known| known == c)? as u32,
                None => 0,
            };
            word = word << 6 | value;
        }
        let unpacked = [(word >> 16) as u8, (word >> 8) as u8, word as u8];
        bytes.extend_from_slice(&unpacked[..chunk.len() - 1]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let mut cursor = Cursor::default();
        assert_eq!(Cursor::from_text(&cursor.to_text()), Some(cursor.clone()));
        for n in 0..50_u64 {
            cursor
                .0
                .insert(LogTag(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)), n * n * 997);
            assert_eq!(Cursor::from_text(&cursor.to_text()), Some(cursor.clone()));
        }
        cursor.0.insert(LogTag(7), Cursor::END);
        assert_eq!(Cursor::from_text(&cursor.to_text()), Some(cursor));
        assert_eq!(Cursor::from_text("not a cursor!"), None);
    }
}
