//! The lines of an audit file, one JSON object each: what `unisono audit export` prints, and what
//! somebody else's copy of it is read by. What the lines prove is checked elsewhere.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use unisono_model::{ClusterId, Digest, NodeId};

/// What the first line of a file says.
pub const AUDIT_KIND: &str = "unisono/audit/v1";

/// The first line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditHead {
    /// [`AUDIT_KIND`].
    pub kind: String,
    /// Whose bundles these are.
    pub cluster: ClusterId,
    /// Who has exported them.
    pub node: NodeId,
}

/// The last line.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditEnd {
    /// How many bundles there are.
    pub bundles: u64,
    /// Over the digests of all bundles and proofs in their order.
    pub digest: Digest,
    /// The exporting node's signature over that digest (base64).
    pub signature: String,
}

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum AuditLine {
    /// What the file is.
    Head(AuditHead),
    /// The bytes of a bundle.
    Bundle(Vec<u8>),
    /// The bytes of a proof that a log forked.
    Proof(Vec<u8>),
    /// How it closes.
    End(AuditEnd),
}

/// Why a line is none.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NotAnAuditLine {
    /// No line of a file looks like this.
    #[error("neither a bundle, a proof nor the end: {0}")]
    Unknown(String),
    /// The bytes of a bundle or a proof are not written as they should be.
    #[error("no base64: {0}")]
    Base64(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundleLine {
    bundle: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofLine {
    proof: String,
}

impl AuditLine {
    /// What a line says.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(line: &str) -> Result<Self, NotAnAuditLine> {
        if let Ok(BundleLine { bundle }) = serde_json::from_str(line) {
            return Ok(Self::Bundle(decoded(&bundle)?));
        }
        if let Ok(ProofLine { proof }) = serde_json::from_str(line) {
            return Ok(Self::Proof(decoded(&proof)?));
        }
        if let Ok(head) = serde_json::from_str(line) {
            return Ok(Self::Head(head));
        }
        let end = serde_json::from_str(line).map(Self::End);
        end.map_err(|error| NotAnAuditLine::Unknown(error.to_string()))
    }

    /// The line, without its end.
    pub fn to_text(&self) -> String {
        let text = match self {
            Self::Head(head) => serde_json::to_string(head),
            Self::Bundle(bytes) => serde_json::to_string(&BundleLine {
                bundle: BASE64.encode(bytes),
            }),
            Self::Proof(bytes) => serde_json::to_string(&ProofLine {
                proof: BASE64.encode(bytes),
            }),
            Self::End(end) => serde_json::to_string(end),
        };
        text.expect("its fields are words and numbers")
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, NotAnAuditLine> {
    let bytes = BASE64.decode(text.as_bytes());
    bytes.map_err(|error| NotAnAuditLine::Base64(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_survive_their_text_and_others_are_none() {
        let head = AuditHead {
            kind: AUDIT_KIND.to_owned(),
            cluster: ClusterId([1; 16]),
            node: NodeId([2; 32]),
        };
        let end = AuditEnd {
            bundles: 3,
            digest: Digest::default(),
            signature: String::new(),
        };
        for line in [
            AuditLine::Head(head),
            AuditLine::Bundle(vec![1, 2, 3]),
            AuditLine::Proof(Vec::new()),
            AuditLine::End(end),
        ] {
            assert_eq!(AuditLine::parse(&line.to_text()), Ok(line));
        }
        for other in ["", "{}", "[]", "{\"bundle\":\"AA==\",\"proof\":\"AA==\"}"] {
            assert!(AuditLine::parse(other).is_err(), "{other}");
        }
        let spaced = AuditLine::parse("{\"bundle\":\"A A=\"}");
        assert!(matches!(spaced, Err(NotAnAuditLine::Base64(_))));
    }
}
