//! Where an agent stands in the flow, as it is shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resonance::Interference;
use super::words::PhaseWord;

/// Where an agent stands in the flow, as far as records show it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FlowShown {
    /// The agent's name.
    pub agent: String,
    /// Whether an agent of that name is enrolled.
    pub known: bool,
    /// The current iteration.
    pub iteration: u32,
    /// Its phase.
    pub phase: PhaseWord,
    /// The last iteration: behind it everybody is complete.
    pub iteration_last: u64,
    /// Where the agent stands.
    pub place: FlowWord,
    /// The open interferences that block and name it, oldest first: what it yields to.
    pub yields_to: Vec<Yielded>,
    /// The topics that it holds.
    pub holds: Vec<String>,
}

/// The places of the flow. No record shows that somebody is emitting: that is over with its answer.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FlowWord {
    /// It holds nothing and means to do nothing: it looks around.
    Sensing,
    /// It holds a topic, or an INTENT of its own stands.
    Working,
    /// Something that blocks names it, and nobody has resolved that.
    Yielding,
    /// The last iteration is over.
    Complete,
}

/// What an agent yields to, and why that names it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Yielded {
    /// The interference.
    #[serde(flatten)]
    pub interference: Interference,
    /// What names the agent.
    pub named_by: NamedByWord,
    /// The topic of the agent's by which it is named.
    pub own_topic: String,
}

/// What makes an interference name an agent.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedByWord {
    /// One of its sides is the agent's own record.
    Side,
    /// Somebody needs something of a topic that the agent holds.
    Holds,
    /// Somebody needs a task that the agent has.
    Task,
}
