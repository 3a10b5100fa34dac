//! How punctual actions were: the latest of each agent.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Played, Stamp};

use super::lately;

/// So many actions of each agent are kept: enough to learn how late it is as a rule, and to see that change.
pub const PLAYED_KEPT_MAX: usize = 128;
/// So many of them it is told of how punctual they were: enough for a spread, and for a trend.
pub const PLAYED_SHOWN_MAX: usize = 64;

/// An action as its agent told it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Play {
    /// Its record.
    pub place: Place,
    /// What was told.
    pub played: Played,
}

/// The fold over actions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Plays {
    agents: BTreeMap<AgentId, BTreeMap<Place, Played>>,
}

impl Plays {
    /// Takes in an action.
    pub fn insert(&mut self, place: Place, agent: AgentId, played: Played) {
        self.agents.entry(agent).or_default().insert(place, played);
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, agent: AgentId) {
        if let Some(plays) = self.agents.get_mut(&agent) {
            plays.remove(&place);
        }
    }

    /// The latest actions of each agent as of a stamp, the oldest first: those that are told of.
    pub fn read(&self, at: Stamp) -> BTreeMap<AgentId, alloc::vec::Vec<Play>> {
        self.latest(at, PLAYED_SHOWN_MAX)
    }

    /// The latest actions of each agent as of a stamp, the oldest first: all that are kept.
    pub fn kept(&self, at: Stamp) -> BTreeMap<AgentId, alloc::vec::Vec<Play>> {
        self.latest(at, PLAYED_KEPT_MAX)
    }

    /// The latest actions of one agent as of a stamp, the oldest first: those that are told of.
    pub fn of(&self, agent: &AgentId, at: Stamp) -> alloc::vec::Vec<Play> {
        let plays = self.agents.get(agent);
        plays.map_or_else(alloc::vec::Vec::new, |plays| {
            latest_of(plays, at, PLAYED_SHOWN_MAX)
        })
    }

    fn latest(&self, at: Stamp, most: usize) -> BTreeMap<AgentId, alloc::vec::Vec<Play>> {
        let each = self.agents.iter();
        let each = each.map(|(agent, plays)| (*agent, latest_of(plays, at, most)));
        each.filter(|(_, latest)| !latest.is_empty()).collect()
    }

    /// Keeps of each agent the latest at the frontier, and what came after it.
    pub fn prune(&mut self, frontier: Stamp) {
        for plays in self.agents.values_mut() {
            lately::prune(plays, frontier, PLAYED_KEPT_MAX);
        }
    }

    /// Actions kept in memory.
    pub fn weight(&self) -> usize {
        self.agents.values().map(BTreeMap::len).sum()
    }
}

fn latest_of(plays: &BTreeMap<Place, Played>, at: Stamp, most: usize) -> alloc::vec::Vec<Play> {
    let latest = lately::latest(plays, at, most).into_iter();
    latest
        .map(|(place, played)| Play { place, played })
        .collect()
}
