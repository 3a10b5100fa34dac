//! Tokens, as they are shown.

use alloc::string::String;
use alloc::vec::Vec;

use unisono_model::{AgentId, Digest};

/// A token.
#[derive(Clone, Debug)]
pub struct TokenView {
    /// Its last link.
    pub token: Digest,
    /// Whom it is for.
    pub agent: AgentId,
    /// The agent's name, where it is enrolled.
    pub name: String,
    /// The tier's word.
    pub tier: String,
    /// From when it counts (ms since the Unix epoch).
    pub not_before_ms: u64,
    /// Until when (ms since the Unix epoch).
    pub expires_ms: u64,
    /// Until when it may be renewed (ms since the Unix epoch); 0: not at all.
    pub renew_until_ms: u64,
    /// Who has renewed it, if anybody has.
    pub renewed_by: Option<AgentId>,
    /// Who issued each of its links, from the root on.
    pub issuers: Vec<AgentId>,
    /// The words of what it allows.
    pub operations: Vec<&'static str>,
    /// Whether a fence ends it.
    pub fenced: bool,
}

/// A token that was renewed. It counts once its agent has laid it before the orchestra.
#[derive(Clone, Debug)]
pub struct RenewedView {
    /// The token's bytes.
    pub token: Vec<u8>,
    /// Its name.
    pub id: Digest,
    /// Until when it counts (ms since the Unix epoch).
    pub expires_ms: u64,
    /// Until when it may be renewed (ms since the Unix epoch).
    pub renew_until_ms: u64,
}
