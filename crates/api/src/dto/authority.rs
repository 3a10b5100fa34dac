//! The authorities that sign certificates as JSON.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use unisono_model::wire::{Blob, Signature};
use unisono_model::{AuthorityId, NodeId, Succession, SuccessionWord, limits};
use utoipa::ToSchema;

use super::trust::signature_as_text;

/// Puts another authority in the place of the one that signs (roots only).
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SucceedBody {
    /// How many authorities there were before it.
    pub number: u32,
    /// The authority that signs from now on.
    #[schema(value_type = String)]
    pub authority: AuthorityId,
    /// The one whose place it takes.
    #[schema(value_type = String)]
    pub former: AuthorityId,
    /// Until when what those before it have signed counts (ms since the Unix epoch).
    pub former_until_ms: u64,
    /// The root's signature over all of this: 128 hexadecimal characters.
    #[serde(with = "signature_as_text")]
    #[schema(value_type = String)]
    pub signature: Signature,
    /// The authority's certificate, DER in base64.
    #[serde(with = "certificate_as_text")]
    #[schema(value_type = String)]
    pub certificate: Blob,
}

mod certificate_as_text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{BASE64, Blob, limits};

    pub(super) fn serialize<S: Serializer>(der: &Blob, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&der.0))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Blob, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.len() > limits::AUTHORITY_CERTIFICATE_BYTES_MAX.div_ceil(3) * 4 {
            return Err(D::Error::custom("no authority's certificate is so long"));
        }
        let der = BASE64.decode(text.as_bytes());
        der.map(Blob)
            .map_err(|_| D::Error::custom("a certificate is DER in base64"))
    }
}

/// What an authority's signatures are worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityWord {
    /// It signs.
    Signs,
    /// What it has signed counts for a time.
    Former,
    /// What it has signed is good for asking for the next certificate, and for nothing else.
    Ended,
}

/// An authority that a node knows.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityShown {
    /// How many there were before it.
    pub number: u32,
    /// Its key.
    #[schema(value_type = String)]
    pub authority: AuthorityId,
    /// The SHA-256 of its certificate, as `openssl x509 -fingerprint -sha256` shows it.
    pub fingerprint: String,
    /// What its signatures are worth.
    pub state: AuthorityWord,
    /// Until when they count (ms since the Unix epoch); none for the one that signs.
    pub ends_ms: Option<u64>,
}

/// Whose certificate a node bears.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NodeAuthority {
    /// The node.
    #[schema(value_type = String)]
    pub node: NodeId,
    /// The authority that has signed its certificate.
    #[schema(value_type = String)]
    pub authority: AuthorityId,
}

impl From<SucceedBody> for Succession {
    fn from(body: SucceedBody) -> Self {
        Self {
            word: SuccessionWord {
                number: body.number,
                authority: body.authority,
                former: body.former,
                former_until_ms: body.former_until_ms,
                signature: body.signature,
            },
            certificate: body.certificate,
        }
    }
}

impl From<Succession> for SucceedBody {
    fn from(succession: Succession) -> Self {
        let SuccessionWord {
            number,
            authority,
            former,
            former_until_ms,
            signature,
        } = succession.word;
        Self {
            number,
            authority,
            former,
            former_until_ms,
            signature,
            certificate: succession.certificate,
        }
    }
}
