//! Bundles that a disk has lost below a checkpoint: found at the start or when somebody reads them,
//! fetched from a peer, and refused with a clear error where there is none.
//!
//! Before there was mending, a node whose checkpoint covered the hole asked nobody for it: it
//! served on, and the first reader of old records met the end of a log that went on.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::node::{Input, Question};
use unisono_core::orchestra::view::{DamageView, HashView, View};
use unisono_core::replication::{Cursor, Frame, LogTag};
use unisono_model::wire::{self, Blob, Signature};
use unisono_model::{Action, Code, Digest, LogId, OrchestraId, Rejection, SignedBundle};

use crate::loopback::{CLUSTER, Loop};

/// Three nodes, or one, with some history in the log of the first, and a checkpoint over it.
fn written(nodes: usize) -> Loop {
    let mut world = Loop::new(nodes);
    world.open(0);
    world.enrol(0, "ada");
    for number in 0..12 {
        let topic = format!("topic-{number}");
        let claim = Action::Claim {
            topic,
            lease_ms: 30_000,
        };
        world.act(0, "ada", claim).expect("granted");
    }
    world.run_ms(30_000);
    for index in 0..nodes {
        world.save(index);
    }
    world
}

fn main_orchestra() -> OrchestraId {
    OrchestraId::of(CLUSTER, "main")
}

/// Takes bundles from a node's disk; gives back what they were.
fn lose(world: &mut Loop, index: usize, log: LogId, seqs: &[u64]) -> Vec<Vec<u8>> {
    let bundles = &mut world.memories[index].bundles;
    let lost = seqs
        .iter()
        .map(|seq| bundles.remove(&(main_orchestra(), log, *seq)));
    lost.map(|bytes| bytes.expect("it was there")).collect()
}

fn on_disk(world: &Loop, index: usize, log: LogId, seqs: &[u64]) -> Vec<Option<Vec<u8>>> {
    let bundles = &world.memories[index].bundles;
    let held = seqs
        .iter()
        .map(|seq| bundles.get(&(main_orchestra(), log, *seq)).cloned());
    held.collect()
}

fn hash(world: &mut Loop, index: usize) -> HashView {
    match world.view(index, Question::Hash) {
        Ok(View::Hash(hash)) => hash,
        other => panic!("no hash: {other:?}"),
    }
}

fn damage(world: &mut Loop, index: usize) -> Vec<DamageView> {
    match world.view(index, Question::Status) {
        Ok(View::Status(status)) => status.damage,
        other => panic!("no status: {other:?}"),
    }
}

fn page(after: Option<Cursor>) -> Question {
    Question::Records {
        after,
        limit: 1_000,
        task: None,
    }
}

/// Pages through all records, as a dump does.
fn records(world: &mut Loop, index: usize) -> Result<usize, Rejection> {
    let (mut count, mut after) = (0, None);
    loop {
        let View::Records(view) = world.view(index, page(after))? else {
            panic!("no records")
        };
        count += view.records.len();
        after = Some(view.next);
        if !view.more {
            return Ok(count);
        }
    }
}

#[test]
fn a_hole_found_at_the_start_is_mended_from_a_peer() {
    let mut world = written(3);
    let log = world.nodes[0].log();
    let before = hash(&mut world, 1);
    let all = records(&mut world, 0).expect("whole");
    for (index, seqs) in [(0, &[2, 3, 4, 7][..]), (2, &[1, 5][..])] {
        let lost = lose(&mut world, index, log, seqs);
        world.restart(index);
        assert_eq!(damage(&mut world, index).len(), 1, "known from the start");
        world.run_ms(10_000);
        let back: Vec<Vec<u8>> = on_disk(&world, index, log, seqs)
            .into_iter()
            .map(|bytes| bytes.expect("written back"))
            .collect();
        assert_eq!(back, lost, "to the byte");
        assert_eq!(damage(&mut world, index), []);
    }
    world.run_ms(20_000);
    for index in 0..3 {
        assert_eq!(hash(&mut world, index).documents, before.documents);
        assert_eq!(records(&mut world, index), Ok(all));
    }
}

#[test]
fn a_hole_that_a_reader_meets_is_mended_while_the_reader_waits() {
    let mut world = written(3);
    let log = world.nodes[0].log();
    let all = records(&mut world, 0).expect("whole");
    // After a restart nothing of the past is in memory.
    world.restart(1);
    world.run_ms(5_000);
    let lost = lose(&mut world, 1, log, &[3, 4, 9]);
    assert_eq!(damage(&mut world, 1), [], "nobody has looked yet");
    assert_eq!(records(&mut world, 1), Ok(all));
    let back = on_disk(&world, 1, log, &[3, 4, 9]);
    assert_eq!(back, lost.into_iter().map(Some).collect::<Vec<_>>());
    assert_eq!(damage(&mut world, 1), []);
}

#[test]
fn a_node_alone_refuses_to_read_over_a_hole_and_names_it() {
    let mut world = written(1);
    let log = world.nodes[0].log();
    let before = hash(&mut world, 0);
    lose(&mut world, 0, log, &[3, 4]);
    world.restart(0);
    world.run_ms(5_000);
    assert_eq!(hash(&mut world, 0).views, before.views, "views stand");
    let told = damage(&mut world, 0);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].log, &told[0].bundles[..]), (log, &[(3, 4)][..]));
    assert!(!told[0].asked);
    let refused = records(&mut world, 0).expect_err("a hole");
    assert_eq!(refused.code, Code::Corrupt);
    for word in ["bundles 3-4", &log.node.to_string(), "unisono restore"] {
        assert!(refused.to_string().contains(word), "{word}: {refused}");
    }
}

/// Before, such a dump ended like a whole one, and a second question had to find out what it lacked.
#[test]
fn a_page_at_the_end_of_a_log_that_ends_before_a_hole_says_what_is_lost() {
    let mut world = written(1);
    let log = world.nodes[0].log();
    // Without a checkpoint the views are folded from the log, which ends where it cannot be read.
    world.memories[0].blobs.clear();
    lose(&mut world, 0, log, &[3, 4]);
    world.restart(0);
    world.run_ms(5_000);
    let last = |world: &mut Loop, after: Option<Cursor>| match world.view(0, page(after)) {
        Ok(View::Records(view)) if !view.more => view,
        other => panic!("no last page: {other:?}"),
    };
    let view = last(&mut world, None);
    assert!(!view.records.is_empty(), "what there is");
    let lost = view.lost.expect("a hole");
    assert_eq!(lost.code, Code::Corrupt);
    assert!(lost.to_string().contains("bundles 3-4"), "{lost}");
    let beyond = Cursor([(LogTag::of(&log), 4)].into());
    let view = last(&mut world, Some(beyond));
    assert_eq!(view.lost, None, "whoever has them lacks nothing");
}

#[test]
fn a_reader_is_refused_in_time_when_no_peer_has_a_copy() {
    let mut world = written(3);
    let log = world.nodes[0].log();
    for index in 0..3 {
        lose(&mut world, index, log, &[3]);
        world.restart(index);
    }
    world.run_ms(5_000);
    let seen = Cursor([(LogTag::of(&log), 2)].into());
    // However long its asker would wait, and however short: it is told what is wrong.
    for (deadline_ms, asks_ms, answered_ms) in [(10_000, 1_000, 3_000), (500, 300, 300)] {
        let ticket = world.ask(2, page(Some(seen.clone())), deadline_ms);
        world.run_ms(asks_ms);
        assert!(world.reply(ticket).is_none(), "peers are being asked");
        world.run_ms(answered_ms);
        let refused = world
            .reply(ticket)
            .expect("answered within the agent's patience")
            .expect_err("nobody has it");
        assert_eq!(refused.code, Code::Corrupt);
    }
}

#[test]
fn what_the_log_does_not_name_is_not_taken_for_what_was_lost() {
    let mut world = written(3);
    let log = world.nodes[0].log();
    world.cut = vec![(0, 1), (0, 2), (1, 2)];
    let lost = lose(&mut world, 2, log, &[3]).remove(0);
    world.restart(2);
    // Signed by the log's own node, and yet another bundle than the one that stood there.
    let mut other: SignedBundle = wire::decode(&lost, usize::MAX).expect("a bundle");
    other.header.prev = Digest::default();
    let key = SigningKey::from_bytes(&[1; 32]);
    other.signature = Signature::from_bytes(key.sign(&other.header.digest().0).to_bytes());
    let push = |bytes: Vec<u8>| {
        let bundles = vec![Blob(bytes)];
        wire::encode(&Frame::Push {
            relay: false,
            bundles,
        })
    };
    let from = world.nodes[1].id();
    for bytes in [wire::encode(&other), lost.clone()] {
        let known = bytes == lost;
        let bytes = push(bytes);
        world.feed(2, Input::Received { from, bytes });
        world.run_ms(3_000);
        let held = on_disk(&world, 2, log, &[3]).remove(0);
        assert_eq!(held, known.then(|| lost.clone()));
    }
}
