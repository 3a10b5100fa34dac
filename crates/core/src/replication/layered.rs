//! A map that costs little to copy: copies share what they had in common, and each keeps for itself
//! what it has changed since.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map of two layers. A copy takes as long as there were changes since [`Layered::settle`], however
/// much there is in all: a log's state is copied for each batch, and a node's log has a chain for
/// every agent that has ever spoken there.
#[derive(Clone, Debug)]
pub struct Layered<K, V> {
    /// What may be shared.
    below: Arc<BTreeMap<K, V>>,
    /// What stands instead of it, or beside it.
    above: BTreeMap<K, V>,
}

impl<K, V> Default for Layered<K, V> {
    fn default() -> Self {
        Self {
            below: Arc::default(),
            above: BTreeMap::new(),
        }
    }
}

impl<K: Clone + Ord, V: Clone + Default> Layered<K, V> {
    /// What stands for a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.above.get(key).or_else(|| self.below.get(key))
    }

    /// The same, to be changed; nothing yet where nothing stands.
    pub fn entry(&mut self, key: K) -> &mut V {
        if self.above.is_empty() && Arc::get_mut(&mut self.below).is_some() {
            // Nobody else has it: once it is certain, this copies nothing.
            return Arc::make_mut(&mut self.below).entry(key).or_default();
        }
        let below = &self.below;
        let from_below = |key: &K| below.get(key).cloned().unwrap_or_default();
        self.above
            .entry(key)
            .or_insert_with_key(|key| from_below(key))
    }

    /// Makes one layer of the two. It copies everything while a copy from before is left.
    pub fn settle(&mut self) {
        if !self.above.is_empty() {
            let above = core::mem::take(&mut self.above);
            Arc::make_mut(&mut self.below).extend(above);
        }
    }
}

/// As a plain map.
impl<K: Clone + Ord + Serialize, V: Clone + Serialize> Serialize for Layered<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.above.is_empty() {
            return self.below.serialize(serializer);
        }
        let mut whole = BTreeMap::clone(&self.below);
        whole.extend(self.above.clone());
        whole.serialize(serializer)
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for Layered<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            below: Arc::new(BTreeMap::deserialize(deserializer)?),
            above: BTreeMap::new(),
        })
    }
}

#[cfg(test)]
mod tests;
