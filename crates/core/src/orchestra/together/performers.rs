//! Who performs, and by how much it corrects its errors: the latest word of each agent.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Performs, Place, Stamp, limits};

use super::lately;

/// What was said longer ago than this (ns) is not read any more: by no word does an agent perform for longer.
const READ_WITHIN_NS: u64 = limits::PERFORMS_MS_MAX as u64 * 1_000_000;

/// The fold over those who perform.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Performers {
    told: BTreeMap<AgentId, BTreeMap<Place, Performs>>,
}

impl Performers {
    /// Takes in a word.
    pub fn insert(&mut self, place: Place, agent: AgentId, performs: Performs) {
        self.told.entry(agent).or_default().insert(place, performs);
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, agent: AgentId) {
        if let Some(told) = self.told.get_mut(&agent) {
            told.remove(&place);
        }
    }

    /// The latest word of each agent as of a stamp, if that is of the hour before it.
    pub fn read(&self, at: Stamp) -> BTreeMap<AgentId, (Place, Performs)> {
        let each = self.told.iter();
        let each = each.filter_map(|(agent, told)| {
            let latest = lately::latest(told, at, 1).pop()?;
            is_read(&latest.0, at).then_some((*agent, latest))
        });
        each.collect()
    }

    /// Keeps of each agent what is read at the frontier, and what came after it.
    pub fn prune(&mut self, frontier: Stamp) {
        for told in self.told.values_mut() {
            lately::prune(told, frontier, 1);
            told.retain(|place, _| is_read(place, frontier));
        }
        self.told.retain(|_, told| !told.is_empty());
    }

    /// Words kept in memory.
    pub fn weight(&self) -> usize {
        self.told.values().map(BTreeMap::len).sum()
    }
}

fn is_read(place: &Place, at: Stamp) -> bool {
    place.stamp.as_ns() >= at.as_ns().saturating_sub(READ_WITHIN_NS)
}
