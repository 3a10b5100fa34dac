//! Notes and configuration between nodes: what was acknowledged is everywhere, also after restarts.

use unisono_core::node::{LivingEdit, Promise, Question, Work};
use unisono_core::orchestra::view::View;

use crate::loopback::Loop;

fn splice(world: &mut Loop, index: usize, insert: &str) {
    let edit = LivingEdit::NoteSplice {
        name: "plan".into(),
        position: 0,
        delete: 0,
        insert: insert.into(),
    };
    edit_by(world, index, edit);
}

fn configure(world: &mut Loop, index: usize, value: &str) {
    let edit = LivingEdit::Config {
        key: "colour".into(),
        value: Some(value.into()),
    };
    edit_by(world, index, edit);
}

fn edit_by(world: &mut Loop, index: usize, edit: LivingEdit) {
    let agent = "ada".into();
    let work = Work::Living { agent, edit };
    let ticket = world.submit(index, "main", work, Promise::default());
    world.run_ms(20);
    let answer = world.reply(ticket).expect("an answer");
    answer.expect("the edit is on disk");
}

fn text(world: &mut Loop, index: usize) -> String {
    match world.view(index, Question::Note("plan".into())) {
        Ok(View::Note(note)) => note.text,
        other => panic!("no note: {other:?}"),
    }
}

fn cluster(count: usize) -> Loop {
    let mut world = Loop::new(count);
    world.open(0);
    world.run_ms(3_000);
    world.enrol(0, "ada");
    world.run_ms(3_000);
    world
}

/// An edit of 16,384 characters may be 64 KiB of text and more as a change; every peer refused the
/// bundle, and so did the node itself at its next start.
#[test]
fn the_longest_edits_come_everywhere_and_through_a_restart() {
    let mut world = cluster(2);
    let long = "\u{1f3bb}".repeat(16_384);
    splice(&mut world, 0, &long);
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 1), long);
    // As many operations as an edit may have, scattered.
    let scattered: String = (0..5_461)
        .flat_map(|_| ['\u{1f3bb}', '\u{1f3ba}'])
        .collect();
    let other = scattered + &"\u{1f3bb}".repeat(16_384 - 5_461);
    let every_other = LivingEdit::NoteText {
        name: "plan".into(),
        text: other.clone(),
    };
    edit_by(&mut world, 0, every_other);
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 1), other);
    world.restart(0);
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 0), other);
    splice(&mut world, 0, "on ");
    world.run_ms(3_000);
    assert!(text(&mut world, 1).starts_with("on "));
}

/// A change that waited for another's was in no saved document, and its bundle counted as folded:
/// after a restart it never came into the note.
#[test]
fn an_edit_that_waits_for_another_outlives_a_restart() {
    let mut world = cluster(3);
    world.cut = vec![(0, 2)];
    splice(&mut world, 0, "first ");
    world.run_ms(100);
    splice(&mut world, 1, "second ");
    world.run_ms(100);
    world.save(2);
    world.cut = vec![(0, 2), (1, 2)];
    world.restart(2);
    world.run_ms(100);
    world.cut.clear();
    world.run_ms(10_000);
    assert_eq!(text(&mut world, 0), "second first ");
    assert_eq!(text(&mut world, 2), "second first ");
}

/// Who wrote what was known only to a node that had taken it in since its start.
#[test]
fn writers_of_concurrent_values_are_known_after_a_restart() {
    let mut world = cluster(2);
    world.cut = vec![(0, 1)];
    configure(&mut world, 0, "red");
    configure(&mut world, 1, "blue");
    world.cut.clear();
    world.run_ms(10_000);
    let shown = |world: &mut Loop, index| match world.view(index, Question::Config) {
        Ok(View::Config(values)) => values[0].concurrent.clone(),
        other => panic!("no configuration: {other:?}"),
    };
    let before = shown(&mut world, 0);
    assert_eq!(before.len(), 2, "both are shown");
    assert_eq!(before, shown(&mut world, 1), "everywhere alike");
    world.save(0);
    world.restart(0);
    world.run_ms(3_000);
    assert_eq!(before, shown(&mut world, 0));
}

/// Read log by log, nearly every edit waits for one of the other log, and only 256 of a log may wait:
/// the rest was dropped, though its bundles counted as taken in, and nobody sent it again.
#[test]
fn edits_in_turn_are_read_back_from_logs_of_any_length() {
    let mut world = cluster(2);
    for turn in 0..300 {
        splice(&mut world, turn % 2, "x");
        splice(&mut world, turn % 2, "y");
    }
    world.run_ms(3_000);
    let whole = text(&mut world, 0);
    assert_eq!(whole.len(), 600);
    // Without a checkpoint: everything is read from the logs.
    world.memories[1].blobs.clear();
    world.restart(1);
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 1), whole);
    splice(&mut world, 1, "z");
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 0), format!("z{whole}"));
}

/// A value that was there already, but on no disk yet, was told as kept; then the disk was full.
#[test]
fn an_edit_that_changes_nothing_waits_for_the_one_that_did() {
    let mut world = cluster(1);
    world.disks_hang = true;
    let agent = || "ada".to_string();
    let edit = || LivingEdit::Config {
        key: "colour".into(),
        value: Some("red".into()),
    };
    let work = || Work::Living {
        agent: agent(),
        edit: edit(),
    };
    let first = world.submit(0, "main", work(), Promise::default());
    let again = world.submit(0, "main", work(), Promise::default());
    world.run_ms(100);
    assert!(world.reply(first).is_none(), "it is on no disk");
    assert!(world.reply(again).is_none(), "nor is what it rests on");
    world.disks_go_on();
    world.run_ms(100);
    world.reply(first).expect("an answer").expect("on disk");
    world.reply(again).expect("an answer").expect("on disk");
}
