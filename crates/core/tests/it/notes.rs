//! Notes and configuration between nodes: what was acknowledged is everywhere, also after restarts.

use ed25519_dalek::SigningKey;
use unisono_core::carriage::Carried;
use unisono_core::context::StrictVerifier;
use unisono_core::node::{Input, LivingEdit, Promise, Question, Work};
use unisono_core::orchestra::view::View;
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, encode};
use unisono_model::{BundleHeader, Digest, ForkProof, OrchestraId, SignedBundle};

use crate::loopback::{CLUSTER, Loop};

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

/// The edits of a log were read back by stamps. Those of a node whose clock was behind are stamped
/// below what they were made upon: beyond 256 they were dropped, shown nowhere, and every edit after
/// that was told to come again, for ever.
#[test]
fn edits_upon_one_of_a_clock_ahead_are_read_back() {
    let mut world = cluster(2);
    world.ahead_ms[1] = 60_000;
    splice(&mut world, 1, "base ");
    world.run_ms(1_000);
    for _ in 0..300 {
        splice(&mut world, 0, "x");
    }
    world.run_ms(3_000);
    let whole = text(&mut world, 0);
    assert_eq!(whole.len(), 305);
    world.memories[0].blobs.clear();
    world.restart(0);
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 0), whole);
    splice(&mut world, 0, "z");
}

/// That a log forked at one of its bundles, signed by its node.
fn fork(world: &Loop, index: usize, seq: u64) -> ForkProof {
    let (main, log) = (OrchestraId::of(CLUSTER, "main"), world.nodes[index].log());
    let bytes = &world.memories[index].bundles[&(main, log, seq)];
    let honest = Carried::admit(bytes, CLUSTER, &mut StrictVerifier).expect("signed by its node");
    let header = BundleHeader {
        body: Digest([9; 32]),
        ..*honest.header()
    };
    let key = SigningKey::from_bytes(&[index as u8 + 1; 32]);
    let other = SignedBundle::sign(&key, header, Blob::default());
    let honest = (*honest.header(), honest.bundle().signature);
    let other = (other.header, other.signature);
    let (one, other) = if honest.0.digest() < other.0.digest() {
        (honest, other)
    } else {
        (other, honest)
    };
    ForkProof { one, other }
}

/// A fork took away an edit that a node had built upon: its own edits waited for ever, and each new
/// one was told to come again, until somebody started it anew.
#[test]
fn a_node_whose_edits_stood_on_a_fork_edits_on() {
    let mut world = cluster(3);
    splice(&mut world, 2, "forked ");
    world.run_ms(1_000);
    splice(&mut world, 0, "upon it ");
    world.run_ms(1_000);
    assert_eq!(text(&mut world, 1), "upon it forked ");
    let (main, log) = (OrchestraId::of(CLUSTER, "main"), world.nodes[2].log());
    let own = world.memories[2].bundles.keys();
    let written = own.filter(|(of, by, _)| *of == main && *by == log);
    let first = written.map(|(_, _, seq)| *seq).min().expect("it wrote");
    let proof = fork(&world, 2, first);
    world.revived = Some(Vec::new());
    let from = world.nodes[1].id();
    let vector = Frame::Vector {
        orchestra: main,
        ask: false,
        logs: Vec::new(),
        proofs: vec![proof],
    };
    let bytes = encode(&vector);
    world.feed(0, Input::Received { from, bytes });
    world.run_ms(10_000);
    let revived = world.revived.clone().expect("it was set");
    assert!(revived.iter().any(|(index, _)| *index == 0), "{revived:?}");
    splice(&mut world, 0, "again ");
    world.run_ms(3_000);
    assert_eq!(text(&mut world, 0), "again ");
    assert_eq!(text(&mut world, 1), "again ");
}
