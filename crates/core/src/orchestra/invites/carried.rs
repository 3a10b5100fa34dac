//! The words on invites that one node carries.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, Place};

/// Words of one kind that a node carries, by what they say, each at the latest place at which the node
/// says it: whoever says one again has it once. The latest are kept, so that which are kept follows
/// from what was said alone, in whatever order it was heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Carried<T> {
    words: BTreeMap<Digest, (Place, T)>,
    places: BTreeMap<Place, Digest>,
}

impl<T> Default for Carried<T> {
    fn default() -> Self {
        Self {
            words: BTreeMap::new(),
            places: BTreeMap::new(),
        }
    }
}

impl<T> Carried<T> {
    /// Takes in a word, of at most so many. The one that has to go for it, if any.
    pub(super) fn keep(
        &mut self,
        said: Digest,
        place: Place,
        word: T,
        most: usize,
    ) -> Option<(Digest, T)> {
        if let Some((known, _)) = self.words.get(&said) {
            if place <= *known {
                return None;
            }
            self.places.remove(known);
        }
        self.words.insert(said, (place, word));
        self.places.insert(place, said);
        if self.words.len() <= most {
            return None;
        }
        let (_, earliest) = self.places.pop_first()?;
        let (_, word) = self.words.remove(&earliest)?;
        Some((earliest, word))
    }

    /// Where it says a word, and the word.
    pub(super) fn get(&self, said: &Digest) -> Option<&(Place, T)> {
        self.words.get(said)
    }

    /// All of its words.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Digest, &T)> {
        self.words.iter().map(|(said, (_, word))| (said, word))
    }
}
