//! Living documents: concurrent notes and configuration merge, and nothing that met is hidden.

use unisono_document::{
    Actor, ConfigConflict, ConfigValue, Edit, LivingDocument, LoadError, Refusal, WriteError,
    limits,
};
use unisono_model::Digest;

use crate::world::{Dice, living, node, score};

fn document() -> LivingDocument {
    LivingDocument::new(living())
}

fn actor(n: u8) -> Actor {
    node(&living(), n)
}

fn text(value: &str) -> ConfigValue {
    ConfigValue::Text(value.to_owned())
}

fn deliver(document: &mut LivingDocument, n: u8, edit: &Edit) {
    let outcome = document.apply_remote(&actor(n), &edit.bytes).unwrap();
    assert_eq!(outcome.refused, []);
}

#[test]
fn both_sides_of_a_partition_open_the_same_note_and_both_texts_stay() {
    let (mut left, mut right) = (document(), document());
    let one = left.note_set(&actor(1), "plan", "first ").unwrap().unwrap();
    let two = right
        .note_splice(&actor(2), "plan", 0, 0, "second ")
        .unwrap()
        .unwrap();
    deliver(&mut left, 2, &two);
    deliver(&mut right, 1, &one);
    assert_eq!(left.heads(), right.heads());
    let merged = left.note("plan").unwrap().unwrap();
    assert_eq!(right.note("plan").unwrap().unwrap(), merged);
    assert!(
        merged.contains("first ") && merged.contains("second "),
        "{merged}"
    );
    assert_eq!(left.notes(), ["plan"]);
    assert_eq!(left.note("other").unwrap(), None);
}

#[test]
fn edits_of_one_text_at_two_ends_merge() {
    let (mut left, mut right) = (document(), document());
    let base = left
        .note_set(&actor(1), "n", "the quick brown fox")
        .unwrap()
        .unwrap();
    deliver(&mut right, 1, &base);
    let one = left
        .note_set(&actor(1), "n", "the slow brown fox")
        .unwrap()
        .unwrap();
    let two = right
        .note_set(&actor(2), "n", "the quick brown fox jumps")
        .unwrap()
        .unwrap();
    deliver(&mut left, 2, &two);
    deliver(&mut right, 1, &one);
    assert_eq!(left.note("n").unwrap().unwrap(), "the slow brown fox jumps");
    assert_eq!(left.heads(), right.heads());
    // And both sides deleting the same words is no harm.
    let one = left.note_splice(&actor(1), "n", 0, 9, "").unwrap().unwrap();
    let two = right
        .note_splice(&actor(2), "n", 4, 11, "")
        .unwrap()
        .unwrap();
    deliver(&mut left, 2, &two);
    deliver(&mut right, 1, &one);
    assert_eq!(left.note("n").unwrap().unwrap(), "fox jumps");
    assert_eq!(left.heads(), right.heads());
}

#[test]
fn configuration_that_met_is_shown_whole_until_somebody_settles_it() {
    let (mut left, mut right) = (document(), document());
    let one = left
        .config_put(&actor(1), "limits/rate", &ConfigValue::Integer(5))
        .unwrap()
        .unwrap();
    let two = right
        .config_put(&actor(2), "limits/rate", &ConfigValue::Integer(9))
        .unwrap();
    let other = right
        .config_put(&actor(2), "limits/burst", &ConfigValue::Boolean(true))
        .unwrap();
    deliver(&mut left, 2, &two.unwrap());
    deliver(&mut left, 2, &other.unwrap());
    deliver(&mut right, 1, &one);
    assert_eq!(left.heads(), right.heads());
    assert_eq!(left.config().unwrap(), right.config().unwrap());
    let met = ConfigConflict {
        path: "limits/rate".to_owned(),
        values: vec![
            (actor(2), ConfigValue::Integer(9)),
            (actor(1), ConfigValue::Integer(5)),
        ],
    };
    assert_eq!(left.config_conflicts().unwrap(), std::slice::from_ref(&met));
    assert_eq!(right.config_conflicts().unwrap(), [met]);
    assert_eq!(
        left.config_get("limits/rate").unwrap(),
        Some(ConfigValue::Integer(9))
    );
    let settled = left
        .config_put(&actor(1), "limits/rate", &ConfigValue::Integer(7))
        .unwrap();
    deliver(&mut right, 1, &settled.unwrap());
    assert_eq!(right.config_conflicts().unwrap(), []);
    let limits = &right.config().unwrap().children["limits"];
    assert_eq!(limits.children["rate"].value, Some(ConfigValue::Integer(7)));
    assert_eq!(
        limits.children["burst"].value,
        Some(ConfigValue::Boolean(true))
    );
    let gone = right
        .config_delete(&actor(2), "limits/rate")
        .unwrap()
        .unwrap();
    deliver(&mut left, 2, &gone);
    assert_eq!(left.config_get("limits/rate").unwrap(), None);
    assert_eq!(left.config_delete(&actor(1), "limits/rate").unwrap(), None);
}

#[test]
fn a_value_and_what_lies_below_it_may_both_be() {
    let mut document = document();
    document.config_put(&actor(1), "a", &text("leaf")).unwrap();
    document
        .config_put(&actor(1), "a/b", &ConfigValue::Number(1.5))
        .unwrap();
    let tree = document.config().unwrap();
    assert_eq!(tree.children["a"].value, Some(text("leaf")));
    assert_eq!(
        tree.children["a"].children["b"].value,
        Some(ConfigValue::Number(1.5))
    );
}

#[test]
fn earlier_states_can_be_read() {
    let mut document = document();
    let empty = document.heads();
    document.note_set(&actor(1), "n", "one").unwrap();
    document.config_put(&actor(1), "k", &text("one")).unwrap();
    let then = document.heads();
    document.note_set(&actor(1), "n", "two").unwrap();
    document.config_put(&actor(1), "k", &text("two")).unwrap();
    assert_eq!(document.note_at("n", &empty).unwrap(), None);
    assert_eq!(
        document.note_at("n", &then).unwrap().as_deref(),
        Some("one")
    );
    assert_eq!(document.note_at("n", &[Digest::default()]).unwrap(), None);
    assert_eq!(
        document.config_at(&empty).unwrap().unwrap().children.len(),
        0
    );
    let tree = document.config_at(&then).unwrap().unwrap();
    assert_eq!(tree.children["k"].value, Some(text("one")));
    assert_eq!(document.note("n").unwrap().as_deref(), Some("two"));
}

#[test]
fn edits_that_change_nothing_or_go_too_far_leave_no_trace() {
    let mut document = document();
    let heads = document.heads();
    let me = actor(1);
    assert_eq!(document.note_set(&me, "n", "").unwrap(), None);
    assert_eq!(document.note_splice(&me, "n", 0, 0, "").unwrap(), None);
    assert_eq!(document.config_delete(&me, "k").unwrap(), None);
    let refused: Vec<WriteError> = [
        document.note_splice(&me, "n", 1, 0, "x"),
        document.note_splice(&me, "n", 0, 1, "x"),
        document.note_splice(&me, "n", usize::MAX, 1, "x"),
        document.note_set(&me, "", "x"),
        document.note_set(&me, "a\nb", "x"),
        document.note_set(&me, &"n".repeat(129), "x"),
        document.note_set(&me, "n", &"x".repeat(limits::NOTE_CHARACTERS_MAX + 1)),
        document.note_set(&me, "n", &"x".repeat(20_000)),
        document.config_put(&me, "", &text("x")),
        document.config_put(&me, "a//b", &text("x")),
        document.config_put(&me, "/a", &text("x")),
        document.config_put(&me, &"a/".repeat(16), &text("x")),
        document.config_put(&me, &["a"; 17].join("/"), &text("x")),
        document.config_put(
            &me,
            "k",
            &text(&"x".repeat(limits::CONFIG_VALUE_BYTES_MAX + 1)),
        ),
        document.config_put(&me, "k", &ConfigValue::Number(f64::NAN)),
        document.config_put(&Actor([0; 16]), "k", &text("x")),
    ]
    .into_iter()
    .map(Result::unwrap_err)
    .collect();
    assert!(
        refused
            .iter()
            .all(|error| matches!(error, WriteError::Refused(_)))
    );
    assert_eq!(document.heads(), heads);
    document.config_put(&me, "k", &text("x")).unwrap().unwrap();
    assert_eq!(document.config_put(&me, "k", &text("x")).unwrap(), None);
    document.note_set(&me, "n", "x").unwrap().unwrap();
    assert_eq!(document.note_set(&me, "n", "x").unwrap(), None);
}

#[test]
fn the_largest_edits_pass_the_gate() {
    let (mut left, mut right) = (document(), document());
    let count = usize::try_from(limits::LIVING_OPERATIONS_MAX).unwrap();
    let emoji = left
        .note_set(&actor(1), "n", &"\u{1f3b5}".repeat(count))
        .unwrap()
        .unwrap();
    deliver(&mut right, 1, &emoji);
    let gone = right
        .note_splice(&actor(2), "n", 0, count, "")
        .unwrap()
        .unwrap();
    deliver(&mut left, 2, &gone);
    let long = ConfigValue::Bytes(vec![7; limits::CONFIG_VALUE_BYTES_MAX]);
    let value = left
        .config_put(&actor(1), &"p".repeat(256), &long)
        .unwrap()
        .unwrap();
    deliver(&mut right, 1, &value);
    assert_eq!(left.heads(), right.heads());
    assert_eq!(right.note("n").unwrap().as_deref(), Some(""));
}

/// Three nodes edit at random, each seeing the others late.
pub(crate) fn edits(count: usize, seed: u64) -> (Vec<(Actor, Edit)>, Vec<LivingDocument>) {
    let mut dice = Dice::new(seed);
    let mut documents: Vec<_> = (0..3).map(|_| document()).collect();
    let mut seen = [0usize; 3];
    let mut made: Vec<(Actor, Edit)> = Vec::new();
    while made.len() < count {
        let n = dice.below(3);
        let me = actor(u8::try_from(n + 1).unwrap());
        let document = &mut documents[n];
        if dice.below(3) == 0 {
            for (actor, edit) in &made[seen[n]..] {
                assert_eq!(
                    document.apply_remote(actor, &edit.bytes).unwrap().refused,
                    []
                );
            }
            seen[n] = made.len();
        }
        made.extend(random_edit(document, &me, &mut dice).map(|edit| (me, edit)));
    }
    for document in &mut documents {
        for (actor, edit) in &made {
            assert_eq!(
                document.apply_remote(actor, &edit.bytes).unwrap().refused,
                []
            );
        }
    }
    (made, documents)
}

fn random_edit(document: &mut LivingDocument, me: &Actor, dice: &mut Dice) -> Option<Edit> {
    let name = ["a", "b", "c"][dice.below(3)];
    let path = ["x", "x/y", "z/1", "z/2"][dice.below(4)];
    let words = ["la ", "\u{e9}t\u{e9} ", "\u{1f3b5}", "lorem ipsum "];
    let length = document
        .note(name)
        .unwrap()
        .map_or(0, |text| text.chars().count());
    let made = match dice.below(6) {
        0 => document.config_delete(me, path),
        1 => document.config_put(
            me,
            path,
            &ConfigValue::Integer(i64::try_from(dice.below(9)).unwrap()),
        ),
        2 => document.config_put(me, path, &text(words[dice.below(4)])),
        3 => document.note_set(me, name, &words[dice.below(4)].repeat(1 + dice.below(4))),
        _ => {
            let position = dice.below(length + 1);
            let delete = dice.below((length - position).min(5) + 1);
            document.note_splice(me, name, position, delete, words[dice.below(4)])
        }
    };
    made.unwrap()
}

fn same(left: &LivingDocument, right: &LivingDocument) {
    assert_eq!(left.heads(), right.heads());
    assert_eq!(left.config().unwrap(), right.config().unwrap());
    assert_eq!(
        left.config_conflicts().unwrap(),
        right.config_conflicts().unwrap()
    );
    assert_eq!(left.notes(), right.notes());
    for name in left.notes() {
        assert_eq!(left.note(&name).unwrap(), right.note(&name).unwrap());
    }
}

#[test]
fn any_order_of_delivery_ends_in_the_same_document() {
    for seed in 1..20 {
        let (mut made, documents) = edits(60, seed);
        same(&documents[0], &documents[1]);
        same(&documents[0], &documents[2]);
        Dice::new(seed).shuffle(&mut made);
        let mut late = document();
        for (at, (actor, edit)) in made.iter().chain(&made[..20]).enumerate() {
            let outcome = late.apply_remote(actor, &edit.bytes).unwrap();
            assert_eq!(outcome.refused, []);
            if at % 16 == 0 {
                let waiting = late.held().0;
                let saved = late.save().unwrap();
                let loaded = LivingDocument::load(living(), &saved, &late.heads()).unwrap();
                same(&late, &loaded);
                if waiting == 0 {
                    late = loaded;
                }
            }
        }
        same(&documents[0], &late);
        assert_eq!(late.held(), (0, 0));
    }
}

#[test]
fn a_saved_document_loads_and_goes_on() {
    let (made, mut documents) = edits(80, 77);
    let mut first = documents.remove(0);
    let saved = first.save().unwrap();
    let mut loaded = LivingDocument::load(living(), &saved, &first.heads()).unwrap();
    same(&first, &loaded);
    let edit = loaded
        .note_splice(&actor(1), "a", 0, 0, "after ")
        .unwrap()
        .unwrap();
    deliver(&mut first, 1, &edit);
    let edit = first
        .config_put(&actor(2), "x", &text("after"))
        .unwrap()
        .unwrap();
    deliver(&mut loaded, 2, &edit);
    same(&first, &loaded);
    for (actor, edit) in &made {
        assert_eq!(
            loaded.apply_remote(actor, &edit.bytes).unwrap().duplicates,
            1
        );
    }
    let heads = loaded.heads();
    let mut damaged = saved.clone();
    damaged[100] ^= 1;
    let load = |id, bytes: &[u8]| LivingDocument::load(id, bytes, &heads).err();
    assert_eq!(load(living(), &damaged), Some(LoadError::Damaged));
    assert_eq!(load(living(), &saved), Some(LoadError::OtherHeads));
    assert_eq!(load(score(), &saved), Some(LoadError::Damaged));
}

#[test]
fn another_change_under_a_number_that_was_used_is_a_fork() {
    let (mut left, mut right, mut third) = (document(), document(), document());
    let one = left.note_set(&actor(1), "n", "one").unwrap().unwrap();
    let two = right.note_set(&actor(1), "n", "two").unwrap().unwrap();
    deliver(&mut third, 1, &one);
    let outcome = third.apply_remote(&actor(1), &two.bytes).unwrap();
    assert_eq!(outcome.refused, [(actor(1), 1, Refusal::Forked)]);
    assert_eq!(
        third
            .apply_remote(&actor(1), &one.bytes)
            .unwrap()
            .duplicates,
        1
    );
}

/// Only so many changes of an actor may wait. Those of one came before what they were made upon, and
/// all beyond that many were dropped though their past was there.
#[test]
fn changes_whose_past_comes_last_all_find_it() {
    let mut here = document();
    let base = here.note_set(&actor(2), "n", "base").unwrap().unwrap();
    let mut changes = Vec::new();
    for _ in 0..limits::HELD_PER_ACTOR_MAX + 50 {
        let edit = here.note_splice(&actor(1), "n", 0, 0, "x");
        changes.push((actor(1), edit.unwrap().unwrap().bytes));
    }
    let mut there = document();
    there.apply_all(&changes).unwrap();
    assert!(there.lacks(), "their past is not among them");
    assert!(there.lags_behind(&actor(1)) && !there.lags_behind(&actor(3)));
    changes.push((actor(2), base.bytes));
    let mut whole = document();
    let outcome = whole.apply_all(&changes).unwrap();
    assert_eq!((outcome.applied.len(), outcome.held), (changes.len(), 0));
    assert!(outcome.refused.is_empty() && !whole.lacks());
    assert_eq!(whole.heads(), here.heads());
    // Offered again, they come in; that something had been dropped is for whoever reads the logs anew.
    there.apply_all(&changes).unwrap();
    assert_eq!(there.heads(), here.heads());
}
