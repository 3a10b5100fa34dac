//! Changes of living documents from another node, and saved documents from a disk.

use unisono_document::{
    Actor, ConfigValue, DocumentId, Edit, FactDocument, Key, Kind, LivingDocument, actor_id,
};
use unisono_model::{Incarnation, NodeId, OrchestraId};

use crate::Seed;

fn id(kind: Kind) -> DocumentId {
    DocumentId {
        orchestra: OrchestraId([2; 16]),
        kind,
        part: 0,
    }
}

fn actor(kind: Kind, n: u8) -> Actor {
    let incarnation = Incarnation {
        started_ms: 1_800_000_000_000,
        nonce: u64::from(n),
    };
    actor_id(incarnation, &NodeId([n; 32]), &id(kind))
}

/// Edits of node 1, one upon the other: a note made and changed, a setting made, changed, removed.
fn edits() -> Vec<Edit> {
    let mut document = LivingDocument::new(id(Kind::Living));
    let me = actor(Kind::Living, 1);
    let put =
        |document: &mut LivingDocument, value| document.config_put(&me, "limits/rate", &value);
    let made = [
        document.note_set(&me, "plan", "the quick brown fox"),
        document.note_splice(&me, "plan", 4, 5, "slow"),
        put(&mut document, ConfigValue::Integer(5)),
        put(&mut document, ConfigValue::Text("many".into())),
        document.config_delete(&me, "limits/rate"),
    ];
    made.map(|edit| edit.expect("a good edit").expect("that changes something"))
        .into()
}

/// A change is fed to documents that hold none, one, … of the edits before it, so that its
/// dependencies are there, missing, or already followed by others.
pub(crate) fn living_change(bytes: &[u8]) -> bool {
    let me = actor(Kind::Living, 1);
    let mut document = LivingDocument::new(id(Kind::Living));
    let mut accepted = false;
    for edit in edits().into_iter().map(Some).chain([None]) {
        let outcome = document
            .apply_remote(&me, bytes)
            .expect("no bytes break a document");
        accepted |= !outcome.applied.is_empty() || outcome.duplicates > 0;
        if accepted {
            // From here on the document may differ from the one that the edits were made on.
            return true;
        }
        if let Some(edit) = edit {
            document
                .apply_remote(&me, &edit.bytes)
                .expect("a good edit");
        }
    }
    accepted
}

pub(crate) fn changes() -> Vec<Seed> {
    let names = ["note", "splice", "put", "overwrite", "remove"];
    names
        .into_iter()
        .zip(edits())
        .map(|(name, edit)| (name, edit.bytes))
        .collect()
}

fn facts() -> FactDocument {
    let mut document = FactDocument::new(id(Kind::Score));
    for n in 1..4 {
        let key = Key::new(&format!("entry/{n}")).expect("a good key");
        let me = actor(Kind::Score, 1);
        document
            .append(&me, &[(key, b"a fact".as_slice())])
            .expect("there is room");
    }
    document
}

/// A saved document is taken only if it is the very one that was saved.
pub(crate) fn saved(bytes: &[u8]) -> bool {
    let sound = facts();
    let Ok(loaded) = FactDocument::load(id(Kind::Score), bytes, &sound.heads()) else {
        return false;
    };
    assert_eq!(
        loaded.entries(),
        sound.entries(),
        "a document that loads is whole"
    );
    true
}

pub(crate) fn saves() -> Vec<Seed> {
    vec![("three", facts().save().expect("a sound document saves"))]
}
