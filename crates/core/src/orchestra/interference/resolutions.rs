//! How interferences were resolved: the first by stamp stands.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, Resolve, Stamp};

use super::limits::RESOLUTIONS_MAX;
use crate::orchestra::fact::Carrier;

/// The fold over resolutions: the latest [`RESOLUTIONS_MAX`] records count.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Resolutions {
    by_interference: BTreeMap<Digest, BTreeMap<Place, (AgentId, Resolve, Carrier)>>,
    order: BTreeSet<(Place, Digest)>,
}

impl Resolutions {
    /// Takes in a resolution.
    pub fn insert(&mut self, place: Place, agent: AgentId, resolve: &Resolve, carrier: Carrier) {
        let id = resolve.interference;
        self.order.insert((place, id));
        let known = self.by_interference.entry(id).or_default();
        known.insert(place, (agent, resolve.clone(), carrier));
    }

    /// Takes one out again.
    pub fn retract(&mut self, place: Place, id: Digest) {
        self.order.remove(&(place, id));
        if let Some(known) = self.by_interference.get_mut(&id) {
            known.remove(&place);
            if known.is_empty() {
                self.by_interference.remove(&id);
            }
        }
    }

    /// Whether nothing was resolved.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Where those that count at a stamp begin.
    pub fn begins(&self, at: Stamp) -> Place {
        if self.order.len() <= RESOLUTIONS_MAX {
            return Place::default();
        }
        let end = (Place::end_of(at), Digest([255; 32]));
        let mut seen = self.order.range(..=end).rev();
        seen.nth(RESOLUTIONS_MAX - 1)
            .map_or_else(Place::default, |(place, _)| *place)
    }

    /// What an interference's resolution is at a stamp, if it has one. Planted fault `last`: the
    /// last one stands.
    pub fn read(
        &self,
        id: &Digest,
        at: Stamp,
        begins: Place,
        last: bool,
    ) -> Option<(Place, AgentId, &Resolve)> {
        let end = Place::end_of(at);
        if begins > end {
            return None;
        }
        let mut known = self.by_interference.get(id)?.range(begins..=end);
        let stands = if last {
            known.next_back()
        } else {
            known.next()
        };
        stands.map(|(place, (agent, resolve, _))| (*place, *agent, resolve))
    }

    /// Where a resolution is carried.
    pub fn carrier(&self, id: &Digest, place: &Place) -> Option<Carrier> {
        let (_, _, carrier) = self.by_interference.get(id)?.get(place)?;
        Some(*carrier)
    }

    /// Drops what no longer counts above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let begins = self.begins(frontier);
        while let Some((place, id)) = self.order.first().copied()
            && place < begins
        {
            self.retract(place, id);
        }
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.order.len()
    }
}
