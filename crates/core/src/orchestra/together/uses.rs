//! What actions used of what was allotted to them: the latest words of each agent on each resource.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Resource, Stamp, Used};

/// So many words of each agent on each resource are kept: enough to know how use spreads, and to see that it
/// stays beyond what was allotted.
pub const USED_KEPT_MAX: usize = 64;

/// The fold over what was used.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Uses {
    told: BTreeMap<(AgentId, Resource), BTreeMap<Place, Used>>,
}

impl Uses {
    /// Takes in a word.
    pub fn insert(&mut self, place: Place, agent: AgentId, used: Used) {
        let told = self.told.entry((agent, used.resource)).or_default();
        told.insert(place, used);
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, agent: AgentId, resource: Resource) {
        if let Some(told) = self.told.get_mut(&(agent, resource)) {
            told.remove(&place);
        }
    }

    /// The latest words of each agent on each resource as of a stamp, the oldest first.
    pub fn read(&self, at: Stamp) -> BTreeMap<(AgentId, Resource), Vec<Used>> {
        let edge = Place::end_of(at);
        let each = self.told.iter().map(|(key, told)| {
            let latest = told.range(..=edge).rev().take(USED_KEPT_MAX);
            let mut latest: Vec<Used> = latest.map(|(_, used)| *used).collect();
            latest.reverse();
            (*key, latest)
        });
        each.filter(|(_, latest)| !latest.is_empty()).collect()
    }

    /// Keeps the latest at the frontier, and what came after it.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        for told in self.told.values_mut() {
            let first = told.range(..=edge).rev().nth(USED_KEPT_MAX - 1);
            if let Some(place) = first.map(|(place, _)| *place) {
                *told = told.split_off(&place);
            }
        }
    }

    /// Words kept in memory.
    pub fn weight(&self) -> usize {
        self.told.values().map(BTreeMap::len).sum()
    }
}
