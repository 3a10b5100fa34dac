//! What a fact document holds: entries by key, all entries.

use automerge::{Automerge, ReadDoc, ScalarValue, ScalarValueRef, Value, ValueRef};

use super::FactDocument;
use crate::error::Poisoned;
use crate::genesis::bucket_map;
use crate::id::Actor;
use crate::key::Key;

impl FactDocument {
    /// The value under a key; the same one on every replica if several actors wrote it.
    pub fn get(&mut self, key: &Key) -> Result<Option<Vec<u8>>, Poisoned> {
        self.hand_over()?;
        self.door.read(|automerge| {
            let found = automerge.get(bucket_map(key.bucket()), key.as_str());
            found.ok().flatten().and_then(|(value, _)| bytes_of(value))
        })
    }

    /// All values under a key with their actors: more than one if several actors wrote it.
    pub fn get_all(&mut self, key: &Key) -> Result<Vec<(Actor, Vec<u8>)>, Poisoned> {
        self.hand_over()?;
        self.door
            .read(|automerge| written(automerge, key).collect())
    }

    /// All entries, in the order of bucket and key. One bucket at a time is in memory. Ends with an
    /// error if the document breaks.
    pub fn iter(&mut self) -> impl Iterator<Item = Result<(Key, Vec<u8>), Poisoned>> + '_ {
        // Where that breaks the document, each bucket says so.
        let _ = self.hand_over();
        (0..=255u8).flat_map(|bucket| {
            let entries = self
                .door
                .read(|automerge| bucket_entries(automerge, bucket));
            let (entries, broken) = match entries {
                Ok(entries) => (entries, None),
                Err(poisoned) => (Vec::new(), Some(Err(poisoned))),
            };
            entries.into_iter().map(Ok).chain(broken)
        })
    }

    /// Whether this actor wrote any of these keys. What other actors wrote there does not matter,
    /// or the answer would depend on the order of arrival.
    pub(super) fn any_written<'a>(
        &self,
        actor: &Actor,
        mut keys: impl Iterator<Item = &'a Key> + Clone,
    ) -> Result<bool, Poisoned> {
        let on_the_way = &self.company.keys;
        if !on_the_way.is_empty()
            && keys
                .clone()
                .any(|key| on_the_way.contains(&(*actor, key.clone())))
        {
            return Ok(true);
        }
        self.door.read(|automerge| {
            keys.any(|key| written(automerge, key).any(|(writer, _)| writer == *actor))
        })
    }
}

fn bytes_of(value: Value<'_>) -> Option<Vec<u8>> {
    match value.into_scalar().ok()? {
        ScalarValue::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn written<'a>(
    automerge: &'a Automerge,
    key: &Key,
) -> impl Iterator<Item = (Actor, Vec<u8>)> + use<'a> {
    let all = automerge
        .get_all(bucket_map(key.bucket()), key.as_str())
        .unwrap_or_default();
    all.into_iter().filter_map(|(value, writer)| match writer {
        automerge::ObjId::Id(_, writer, _) => Some((Actor::of(&writer)?, bytes_of(value)?)),
        automerge::ObjId::Root => None,
    })
}

fn bucket_entries(automerge: &Automerge, bucket: u8) -> Vec<(Key, Vec<u8>)> {
    let range = automerge.map_range(bucket_map(bucket), ..);
    let entries = range.filter_map(|item| {
        let ValueRef::Scalar(ScalarValueRef::Bytes(value)) = item.value else {
            return None;
        };
        Some((Key::new(&item.key).ok()?, value.into_owned()))
    });
    entries.collect()
}
