//! What actions used of what was allotted to them: the latest words of each agent on each resource.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Resource, Stamp, Used};

use super::lately;

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
        let each = self.told.iter().map(|(key, told)| {
            let latest = lately::latest(told, at, USED_KEPT_MAX).into_iter();
            (*key, latest.map(|(_, used)| used).collect::<Vec<Used>>())
        });
        each.filter(|(_, latest)| !latest.is_empty()).collect()
    }

    /// Keeps the latest at the frontier, and what came after it.
    pub fn prune(&mut self, frontier: Stamp) {
        for told in self.told.values_mut() {
            lately::prune(told, frontier, USED_KEPT_MAX);
        }
    }

    /// Words kept in memory.
    pub fn weight(&self) -> usize {
        self.told.values().map(BTreeMap::len).sum()
    }
}
