//! The name of a region, as it may stand in a certificate.

use std::{fmt, str::FromStr};

use crate::limits;

/// A region: 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a hyphen (a DNS label, RFC 1035).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Region(String);

impl Region {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text is not a region's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a region: use 1 to {max} of a-z, 0-9 and -, such as eu-west-1", max = limits::REGION_BYTES_MAX)]
pub struct NotARegion;

impl FromStr for Region {
    type Err = NotARegion;

    fn from_str(text: &str) -> Result<Self, NotARegion> {
        let fits = (1..=limits::REGION_BYTES_MAX).contains(&text.len());
        let plain = text
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        let edges = !text.starts_with('-') && !text.ends_with('-');
        (fits && plain && edges)
            .then(|| Self(text.to_owned()))
            .ok_or(NotARegion)
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
