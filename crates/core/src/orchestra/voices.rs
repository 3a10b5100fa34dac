//! What agents say about records, one voice each: cues are answered so, and remedies judged.

use alloc::collections::BTreeMap;

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

    /// Drops what can no longer be heard above the frontier; `held` are the records that are kept
    /// there. One that is not may come yet, with a stamp above the frontier, and so do the words
    /// about it then.
    pub fn prune(&mut self, frontier: Stamp, held: &BTreeMap<Digest, Place>) {
        let edge = Place::end_of(frontier);
        self.said.retain(|about, said| {
            let mut last = BTreeMap::new();
            for (place, voice) in said.range(..=edge) {
                last.insert(voice.agent, *place);
            }
            let stands = |place: &Place, voice: &Voice<T>| {
                let after = held.get(about).is_some_and(|about| place > about);
                after && last[&voice.agent] == *place
            };
            said.retain(|place, voice| *place > edge || stands(place, voice));
            !said.is_empty()
        });
    }

    /// Words kept in memory.
    pub fn weight(&self) -> usize {
        self.said.values().map(BTreeMap::len).sum()
    }
}
