//! What a living document says: notes and configuration, now and at earlier heads.

use automerge::{ChangeHash, ObjId, ReadDoc, Value, ValueRef};
use unisono_model::Digest;

use super::config::{ConfigConflict, ConfigTree, ConfigValue};
use super::{LivingDocument, config_map, note_text};
use crate::door::hash;
use crate::error::Poisoned;
use crate::genesis;
use crate::id::Actor;

impl LivingDocument {
    /// The names of all notes, sorted, those included whose text was deleted.
    pub fn notes(&self) -> Vec<String> {
        let mut names: Vec<String> = self.notes.values().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The text of a note; `None` if nobody opened it.
    pub fn note(&self, name: &str) -> Result<Option<String>, Poisoned> {
        if !self.notes.contains_key(&genesis::note_actor(name)) {
            return Ok(None);
        }
        self.door
            .read(|automerge| automerge.text(note_text(name)).ok())
    }

    /// The text of a note as it was at these heads; `None` if one of them is not here or nobody had
    /// opened the note.
    pub fn note_at(&self, name: &str, heads: &[Digest]) -> Result<Option<String>, Poisoned> {
        let opened = genesis::note_actor(name);
        if !self.notes.contains_key(&opened) || !self.knows(heads) {
            return Ok(None);
        }
        if self
            .causality
            .outside(self.history.heads(), heads)
            .contains(&opened, genesis::NOTE_OP)
        {
            return Ok(None);
        }
        let heads: Vec<ChangeHash> = heads.iter().map(hash).collect();
        self.door
            .read(|automerge| automerge.text_at(note_text(name), &heads).ok())
    }

    /// The value at a path; the same on every replica if several writes met.
    pub fn config_get(&self, path: &str) -> Result<Option<ConfigValue>, Poisoned> {
        self.door.read(|automerge| {
            let found = automerge.get(config_map(), path).ok().flatten();
            found.and_then(|(value, _)| value_of(&value))
        })
    }

    /// The whole configuration.
    pub fn config(&self) -> Result<ConfigTree, Poisoned> {
        self.tree(None)
    }

    /// The whole configuration as it was at these heads; `None` if one of them is not here.
    pub fn config_at(&self, heads: &[Digest]) -> Result<Option<ConfigTree>, Poisoned> {
        if !self.knows(heads) {
            return Ok(None);
        }
        self.tree(Some(heads)).map(Some)
    }

    /// The keys to which several wrote without knowing of each other, by path. The next write that
    /// knows of all of them settles it.
    pub fn config_conflicts(&self) -> Result<Vec<ConfigConflict>, Poisoned> {
        self.door.read(|automerge| {
            let keys = automerge.map_range(config_map(), ..);
            let contested = keys
                .filter(|item| item.conflict)
                .map(|item| item.key.into_owned());
            let conflicts = contested.map(|path| {
                let all = automerge
                    .get_all(config_map(), path.as_str())
                    .unwrap_or_default();
                // Automerge lists the value that it shows last.
                let values = all.iter().rev().filter_map(|(value, id)| {
                    let ObjId::Id(_, actor, _) = id else {
                        return None;
                    };
                    Some((Actor::of(actor)?, value_of(value)?))
                });
                ConfigConflict {
                    values: values.collect(),
                    path,
                }
            });
            conflicts.collect()
        })
    }

    fn knows(&self, heads: &[Digest]) -> bool {
        heads.iter().all(|head| self.history.contains(head))
    }

    fn tree(&self, heads: Option<&[Digest]>) -> Result<ConfigTree, Poisoned> {
        self.door.read(|automerge| {
            let range = match heads {
                None => automerge.map_range(config_map(), ..),
                Some(heads) => {
                    let heads: Vec<ChangeHash> = heads.iter().map(hash).collect();
                    automerge.map_range_at(config_map(), .., &heads)
                }
            };
            let mut tree = ConfigTree::default();
            for item in range {
                if let ValueRef::Scalar(value) = &item.value
                    && let Some(value) = ConfigValue::of_ref(value)
                {
                    tree.insert(&item.key, value);
                }
            }
            tree
        })
    }
}

fn value_of(value: &Value<'_>) -> Option<ConfigValue> {
    match value {
        Value::Scalar(value) => ConfigValue::of(value),
        Value::Object(_) => None,
    }
}
