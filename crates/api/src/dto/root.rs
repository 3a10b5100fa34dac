//! Roots of rights as JSON.

use serde::{Deserialize, Serialize};
use unisono_core::orchestra::view::RootView;
use unisono_model::wire::Signature;
use unisono_model::{AgentId, RootWord};
use utoipa::ToSchema;

use super::trust::signature_as_text;

/// Names another root of rights. The word proves itself, so anybody may hand it in.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RootBody {
    /// How many roots there were before it.
    pub number: u32,
    /// The root from then on.
    #[schema(value_type = String)]
    pub root: AgentId,
    /// The one whose place it takes.
    #[schema(value_type = String)]
    pub former: AgentId,
    /// From when on (ms since the Unix epoch): by the stamps of records.
    pub from_ms: u64,
    /// The signature of the key that names roots, over all of this: 128 hexadecimal characters.
    #[serde(with = "signature_as_text")]
    #[schema(value_type = String)]
    pub signature: Signature,
    /// The next root's over the same.
    #[serde(with = "signature_as_text")]
    #[schema(value_type = String)]
    pub consent: Signature,
}

/// A root of rights that was named.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RootShown {
    /// How many there were before it.
    pub number: u32,
    /// Its key.
    #[schema(value_type = String)]
    pub root: AgentId,
    /// The one whose place it took.
    #[schema(value_type = String)]
    pub former: AgentId,
    /// From when on it is the root (ms since the Unix epoch).
    pub from_ms: u64,
    /// Until when, if another one was named (ms since the Unix epoch).
    pub until_ms: Option<u64>,
}

impl From<RootBody> for RootWord {
    fn from(body: RootBody) -> Self {
        Self {
            number: body.number,
            root: body.root,
            former: body.former,
            from_ms: body.from_ms,
            signature: body.signature,
            consent: body.consent,
        }
    }
}

impl From<RootWord> for RootBody {
    fn from(word: RootWord) -> Self {
        Self {
            number: word.number,
            root: word.root,
            former: word.former,
            from_ms: word.from_ms,
            signature: word.signature,
            consent: word.consent,
        }
    }
}

impl From<RootView> for RootShown {
    fn from(view: RootView) -> Self {
        let RootView { word, until_ms } = view;
        Self {
            number: word.number,
            root: word.root,
            former: word.former,
            from_ms: word.from_ms,
            until_ms,
        }
    }
}
