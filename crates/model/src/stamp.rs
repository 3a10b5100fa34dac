//! Stamps: the order of everything, and of nothing else (hybrid logical clocks, Kulkarni et al.,
//! "Logical Physical Clocks", 2014, in the 64-bit NTP layout of RFC 5905 that `uhlc` uses).

use core::fmt;

use serde::{Deserialize, Serialize};
use uhlc::{ID, NTP64, Timestamp};

use crate::{Digest, NodeId};

/// A node's stamp: seconds since the Unix epoch in the upper 32 bits, the fraction below. Strictly
/// rising along a node's log. Ties between nodes fall by record digest, see [`Place`].
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Stamp(pub u64);

/// Where a record stands in the order of everything: by stamp, then by digest.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
pub struct Place {
    /// The node's stamp.
    pub stamp: Stamp,
    /// The record's digest.
    pub record: Digest,
}

impl Stamp {
    /// Below every record.
    pub const MIN: Self = Self(0);
    /// Above every record.
    pub const MAX: Self = Self(u64::MAX);

    /// The first stamp of a nanosecond since the Unix epoch (rounded down to 2^-32 s).
    pub fn from_ns(ns: u64) -> Self {
        let seconds = ns / 1_000_000_000;
        let fraction = ((ns % 1_000_000_000) << 32) / 1_000_000_000;
        Self(seconds.min(u64::from(u32::MAX)) << 32 | fraction)
    }

    /// The first stamp of a millisecond since the Unix epoch.
    pub fn from_ms(ms: u64) -> Self {
        Self::from_ns(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub fn as_ns(self) -> u64 {
        let fraction = (self.0 & 0xffff_ffff) * 1_000_000_000;
        (self.0 >> 32) * 1_000_000_000 + fraction.div_ceil(1 << 32)
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_ms(self) -> u64 {
        self.as_ns() / 1_000_000
    }

    /// The stamp so many milliseconds later, or the greatest.
    pub fn plus_ms(self, ms: u64) -> Self {
        let seconds = (ms / 1000).min(u64::from(u32::MAX)) << 32;
        let fraction = ((ms % 1000) << 32) / 1000;
        Self(self.0.saturating_add(seconds).saturating_add(fraction))
    }

    /// The next stamp.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The stamp before this one.
    pub fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The same as `uhlc` shows it, with the stamping node's name (its first 8 bytes).
    pub fn timestamp(self, node: &NodeId) -> Timestamp {
        let mut name = [0; 8];
        name.copy_from_slice(&node.0[..8]);
        let id = ID::try_from(&name[..]).unwrap_or_else(|_| ID::from(core::num::NonZeroU128::MIN));
        Timestamp::new(NTP64(self.0), id)
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:08x}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Place {
    /// The first place of a stamp.
    pub fn at(stamp: Stamp) -> Self {
        Self {
            stamp,
            record: Digest([0; 32]),
        }
    }

    /// The last place of a stamp.
    pub fn end_of(stamp: Stamp) -> Self {
        Self {
            stamp,
            record: Digest([0xff; 32]),
        }
    }
}
