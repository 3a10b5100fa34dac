//! A refusal, as RFC 9457 has it (`application/problem+json`).

use serde::{Deserialize, Serialize};
use unisono_model::Digest;
use utoipa::ToSchema;

use super::moment::Moment;

/// Why a request was refused, and what to do instead.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A name for the rule: `urn:unisono:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The rule in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The rule, one stable word.
    pub code: String,
    /// What was asked and why it cannot be.
    #[serde(default)]
    pub detail: String,
    /// What to do instead; may be empty.
    #[serde(default)]
    pub hint: String,
    /// Commands that help; may be empty.
    #[serde(default)]
    pub next: Vec<String>,
    /// When to ask again (ms), where waiting helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Whether anything changed: false, or null where nobody can tell.
    pub changed: Option<bool>,
    /// Who holds the topic, where a claim was refused for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<HeldBy>,
    /// The record by which the orchestra is told of this refusal, where it is told: an incident.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub incident: Option<Digest>,
}

/// Who holds a topic.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HeldBy {
    /// The holder's name.
    pub holder: String,
    /// When the lease ends.
    pub until: Moment,
}
