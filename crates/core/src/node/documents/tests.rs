//! A document that breaks is built again from the logs, whenever it shows.

use alloc::vec;

use unisono_model::{Incarnation, NodeId};

use super::*;

const NAME: DocumentName = DocumentName {
    kind: DocumentKind::Score,
    part: 0,
};

/// The log that writes, other than those of the changes.
fn log() -> LogId {
    LogId {
        node: NodeId([9; 32]),
        incarnation: Incarnation::default(),
    }
}

/// The first change of somebody, with one entry.
fn change(documents: &Documents, who: u8, value: Vec<u8>) -> ChangePlan {
    let id = documents.id(NAME);
    let actor = actor_id(Incarnation::default(), &NodeId([who; 32]), &id);
    let entries = vec![(Key::new(&alloc::format!("{who}")).expect("a key"), value)];
    ChangePlan {
        actor,
        seq: 1,
        dependencies: FactDocument::new(id).dependencies(&actor),
        entries,
    }
}

/// Documents of which one has taken a change and was saved, took another, and broke unnoticed.
fn broken() -> Documents {
    let mut documents = Documents::new(OrchestraId([1; 16]));
    assert_eq!(documents.need(NAME, 0), Need::Ready);
    for who in [1, 2] {
        let change = change(&documents, who, vec![who]);
        let slot = documents.slots.get_mut(&NAME).expect("it was needed");
        slot.queue.push(change);
        assert!(slot.apply());
        if who == 1 {
            assert_eq!(documents.save(0, u64::MAX).len(), 1);
        }
    }
    let slot = documents.slots.get_mut(&NAME).expect("it was needed");
    let document = slot.document.as_mut().expect("it was needed");
    document.break_unnoticed();
    documents
}

/// So much at once goes to Automerge at once, where it shows that the document broke.
fn large(documents: &Documents, who: u8) -> Vec<ChangePlan> {
    let value = vec![who; unisono_document::limits::ENTRY_BYTES_MAX];
    (who..who + 5)
        .map(|who| change(documents, who, value.clone()))
        .collect()
}

#[test]
fn what_breaks_while_it_is_saved_is_never_checkpointed_as_whole() {
    let mut documents = broken();
    assert!(documents.save(0, u64::MAX).is_empty());
    assert!(documents.saved().iter().all(|saved| saved.incomplete));
    assert!(!documents.settled() && !documents.any_idle(u64::MAX, 0));
    let mut restored = Documents::new(documents.orchestra);
    restored.restore(documents.saved());
    for mut documents in [documents, restored] {
        assert_eq!(documents.wanted(true).len(), 1);
        assert!(!documents.loaded(NAME, None));
    }
}

#[test]
fn whoever_applies_changes_to_a_broken_document_lets_go_of_it() {
    type Way = fn(&mut Documents);
    let ways: [(&str, Way); 3] = [
        ("pump", |documents| {
            assert_eq!(documents.pump(0, true), [NAME]);
        }),
        ("can_follow", |documents| {
            documents.can_follow(NAME, &log(), 0);
        }),
        ("rebuilt", |documents| documents.rebuilt(NAME, false)),
    ];
    for (name, way) in ways {
        let mut documents = broken();
        let changes = large(&documents, 3);
        let slot = documents.slots.get_mut(&NAME).expect("it was needed");
        slot.queue = changes;
        way(&mut documents);
        assert!(!documents.settled(), "{name}");
        assert_eq!(documents.wanted(true).len(), 1, "{name}");
    }
}

#[test]
fn a_change_that_would_follow_what_broke_goes_to_the_next_part() {
    let mut documents = broken();
    let changes = large(&documents, 3);
    let slot = documents.slots.get_mut(&NAME).expect("it was needed");
    slot.queue = changes;
    let append = documents.append(NAME, &log()).expect("a next part");
    assert_eq!(append.document.part, 1);
    assert_eq!(documents.current(NAME.kind).part, 1);
    assert!(!documents.settled());
}

#[test]
fn a_document_that_is_being_built_again_is_not_checkpointed_as_whole() {
    let mut documents = broken();
    documents.begin_anew(NAME);
    documents.rebuilding(NAME);
    assert!(documents.saved().iter().all(|saved| saved.incomplete));
    documents.rebuilt(NAME, false);
    assert!(documents.saved().iter().all(|saved| !saved.incomplete));
}

/// A checkpoint came while logs were walked for an empty document that nobody had touched yet: it was
/// put away, named as whole, and after the next start waited for ever for its first changes (seed
/// 1108).
#[test]
fn a_document_that_is_being_built_again_is_not_put_away() {
    let mut documents = broken();
    documents.begin_anew(NAME);
    documents.rebuilding(NAME);
    assert!(!documents.any_idle(u64::MAX, 0) && documents.idle().next().is_none());
    documents.save(u64::MAX, 0);
    assert!(documents.saved().iter().all(|saved| saved.incomplete));
    documents.rebuilt(NAME, false);
    assert!(documents.any_idle(u64::MAX, 0));
}
