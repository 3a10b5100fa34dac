//! A stamp, and the calendar time that it stands for.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use unisono_model::{Stamp, from_hex};
use utoipa::ToSchema;

/// A moment in the order of everything, and when that is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Moment {
    /// The stamp, 16 hexadecimal characters; compare these, not the time.
    #[serde(serialize_with = "write_stamp", deserialize_with = "read_stamp")]
    #[schema(value_type = String, example = "67eb1f2a00000000")]
    pub stamp: Stamp,
    /// The time (RFC 3339).
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

impl From<Stamp> for Moment {
    fn from(stamp: Stamp) -> Self {
        let time = Timestamp::from_nanosecond(i128::from(stamp.as_ns()));
        Self {
            stamp,
            time: time.expect("a stamp's seconds fit in 32 bits, so it ends in 2106"),
        }
    }
}

/// The text is neither a stamp nor a time.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("neither a stamp (16 hexadecimal characters) nor a time (RFC 3339) from 1970 to 2106")]
pub struct BadMoment;

/// Reads a stamp from 16 hexadecimal characters, or from an RFC 3339 time.
pub fn parse_stamp(text: &str) -> Result<Stamp, BadMoment> {
    let mut bytes = [0; 8];
    if from_hex(text, &mut bytes).is_some() {
        return Ok(Stamp(u64::from_be_bytes(bytes)));
    }
    let time: Timestamp = text.parse().map_err(|_| BadMoment)?;
    let ns = u64::try_from(time.as_nanosecond()).map_err(|_| BadMoment)?;
    Ok(Stamp::from_ns(ns))
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
pub(super) fn write_stamp<S: Serializer>(stamp: &Stamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(stamp)
}

pub(super) fn read_stamp<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Stamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_stamp(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_its_text_in_both_forms() {
        for raw in [
            0,
            1,
            0x67eb_1f2a_0000_0001,
            0x67eb_1f2a_ffff_ffff,
            0xffff_fffe_ffff_ffff,
        ] {
            let stamp = Stamp(raw);
            let moment = Moment::from(stamp);
            assert_eq!(parse_stamp(&stamp.to_string()), Ok(stamp));
            let by_time = parse_stamp(&moment.time.to_string()).unwrap_or(Stamp::MIN);
            assert!(
                by_time.0.abs_diff(raw) <= 5,
                "{raw:x} came back as {:x}",
                by_time.0
            );
        }
        assert_eq!(parse_stamp("1969-12-31T23:59:59Z"), Err(BadMoment));
        assert_eq!(parse_stamp("yesterday"), Err(BadMoment));
    }
}
