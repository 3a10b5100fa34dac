//! What agents say about records, one voice each: cues are answered so, and remedies judged.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Digest, Place, Stamp};

/// What was said about records, whether or not these are held yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Voices<T> {
    said: BTreeMap<Digest, BTreeMap<Place, Voice<T>>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Voice<T> {
    agent: AgentId,
    what: T,
}

impl<T> Default for Voices<T> {
    fn default() -> Self {
        Self {
            said: BTreeMap::new(),
        }
    }
}

impl<T> Voices<T> {
    /// Takes in what an agent says about a record.
    pub fn insert(&mut self, about: Digest, place: Place, agent: AgentId, what: T) {
        let said = self.said.entry(about).or_default();
        said.insert(place, Voice { agent, what });
    }

    /// Takes it out again.
    pub fn retract(&mut self, about: &Digest, place: &Place) {
        if let Some(said) = self.said.get_mut(about) {
            said.remove(place);
            if said.is_empty() {
                self.said.remove(about);
            }
        }
    }

    /// The latest word of each agent about a record at a stamp. Nobody answers before it was asked:
    /// what stands before the record is no word about it.
    pub fn latest(&self, about: &Place, at: Stamp) -> BTreeMap<AgentId, (Place, &T)> {
        let said = self.said.get(&about.record).into_iter().flatten();
        let heard = said.filter(|(place, _)| *place > about && place.stamp <= at);
        heard
            .map(|(place, voice)| (voice.agent, (*place, &voice.what)))
            .collect()
    }

    /// All words about a record up to a stamp, by place: who said what.
    pub fn words(&self, about: &Place, at: Stamp) -> impl Iterator<Item = (Place, AgentId, &T)> {
        let said = self.said.get(&about.record).into_iter().flatten();
        let heard = said.filter(move |(place, _)| *place > about && place.stamp <= at);
        heard.map(|(place, voice)| (*place, voice.agent, &voice.what))
    }

    /// Drops what can no longer be heard above the frontier; `held` are the records that are kept
    /// there. One that is not may come yet, with a stamp above the frontier, and so do the words
    /// about it then.
    pub fn prune(&mut self, frontier: Stamp, held: &BTreeMap<Digest, Place>) {
        self.prune_but(frontier, held, |_, _| Vec::new());
    }

    /// The same, and keeps of the words about a held record, up to the frontier, those that `also` names.
    pub fn prune_but(
        &mut self,
        frontier: Stamp,
        held: &BTreeMap<Digest, Place>,
        also: impl Fn(&Place, &[(Place, AgentId, &T)]) -> Vec<Place>,
    ) {
        let edge = Place::end_of(frontier);
        self.said.retain(|about, said| {
            let Some(about) = held.get(about) else {
                said.retain(|place, _| *place > edge);
                return !said.is_empty();
            };
            let heard: Vec<(Place, AgentId, &T)> = said
                .range(..=edge)
                .filter(|(place, _)| *place > about)
                .map(|(place, voice)| (*place, voice.agent, &voice.what))
                .collect();
            let last: BTreeMap<AgentId, Place> = heard
                .iter()
                .map(|(place, agent, _)| (*agent, *place))
                .collect();
            let mut stays: BTreeSet<Place> = last.into_values().collect();
            stays.extend(also(about, &heard));
            said.retain(|place, _| *place > edge || stays.contains(place));
            !said.is_empty()
        });
    }

    /// Words kept in memory.
    pub fn weight(&self) -> usize {
        self.said.values().map(BTreeMap::len).sum()
    }
}
