//! The tempo maps that were set: the latest by stamp stands.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Stamp, Tempo};

/// The fold over tempo maps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tempi {
    set: BTreeMap<Place, (AgentId, Tempo)>,
}

impl Tempi {
    /// Takes in a map.
    pub fn insert(&mut self, place: Place, agent: AgentId, tempo: &Tempo) {
        self.set.insert(place, (agent, tempo.clone()));
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place) {
        self.set.remove(&place);
    }

    /// What stands at a stamp: where it was set, by whom, and the map.
    pub fn read(&self, at: Stamp) -> Option<(Place, AgentId, &Tempo)> {
        let last = self.set.range(..=Place::end_of(at)).next_back();
        last.map(|(place, (agent, tempo))| (*place, *agent, tempo))
    }

    /// Drops maps that no longer stand at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let last = self.read(frontier).map(|(place, ..)| place);
        if let Some(place) = last {
            self.set = self.set.split_off(&place);
        }
    }

    /// Maps kept in memory.
    pub fn weight(&self) -> usize {
        self.set.len()
    }
}
