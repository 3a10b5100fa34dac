//! What agents asked for and what they were told, as a checker from outside would see it.

use serde::{Deserialize, Serialize};

/// One request of an agent, with what came of it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub agent: String,
    /// At which node it was last tried.
    pub node: usize,
    /// What.
    pub what: String,
    /// When it was first sent (virtual ns).
    pub invoked_ns: u64,
    /// When the last answer came (virtual ns).
    pub completed_ns: Option<u64>,
    /// What came of it.
    pub outcome: Outcome,
    /// The refusal's code, where it was refused.
    pub code: Option<String>,
    /// The record's digest (hexadecimal), where one was made.
    pub record: Option<String>,
    /// The record's stamp.
    pub stamp: Option<u64>,
    /// On how many disks it was said to be.
    pub durable_on: Option<u16>,
    /// How often it was sent.
    pub tries: u32,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Sent, not answered yet.
    Invoked,
    /// Done.
    Ok,
    /// Not done.
    Failed,
    /// Nobody can tell.
    Unknown,
}
