//! What stays in memory, and how fast a long history comes from a peer.

use unisono_core::node::{Input, Question};
use unisono_core::orchestra::view::{HashView, View};
use unisono_core::replication::Frame;
use unisono_model::wire::{Blob, encode};
use unisono_model::{Action, Mark, Presence, Status};

use crate::loopback::Loop;

/// A mark of about sixteen thousand bytes.
fn large(number: usize) -> Action {
    Action::Mark(Mark {
        about: "bounds".into(),
        text: format!("{number:016000}"),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

fn hash(world: &mut Loop, index: usize) -> HashView {
    match world.view(index, Question::Hash) {
        Ok(View::Hash(hash)) => hash,
        other => panic!("no hash: {other:?}"),
    }
}

/// Two nodes that know each other, of which the second lacks three hundred large marks of the first.
fn a_long_gap() -> Loop {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(2_000);
    world.cut = vec![(0, 1)];
    for number in 0..300 {
        world.act(0, "ada", large(number)).expect("made");
    }
    world.cut.clear();
    world
}

/// The second finds the first again, and asks for what it lacks.
fn meet_again(world: &mut Loop) {
    let node = world.nodes[0].id();
    let up = Input::PeerUp {
        node,
        round_trip_us: 100,
    };
    world.feed(1, up);
}

/// A node that joined after a million records was asked for 256 KiB, then waited a quarter of a
/// second, and compared vectors before the next: 175 s, most of it waiting.
#[test]
fn a_long_gap_is_closed_stretch_after_stretch() {
    let mut world = a_long_gap();
    meet_again(&mut world);
    // Eighteen stretches; a wait after each would take more than four seconds.
    world.run_ms(1_000);
    assert_eq!(hash(&mut world, 0).vector, hash(&mut world, 1).vector);
}

/// While the gap is open, what is written now piles up behind it. A node that asked for no more than
/// its disk can take waited for that pile to reach the disk, which only the gap could let it.
#[test]
fn a_long_gap_is_closed_while_writing_goes_on_behind_it() {
    let mut world = a_long_gap();
    let (from, log) = (world.nodes[0].id(), world.nodes[0].log());
    let written = world.memories[0].bundles.iter();
    let written = written.filter(|((_, of, _), bundle)| *of == log && bundle.len() > 16_000);
    let behind: Vec<Vec<u8>> = written
        .skip(140)
        .map(|(_, bundle)| bundle.clone())
        .collect();
    for bundle in behind {
        let bytes = encode(&Frame::Push {
            relay: false,
            bundles: vec![Blob(bundle)],
        });
        world.feed(1, Input::Received { from, bytes });
    }
    let waiting = world.nodes[1].weight().incoming;
    assert!(waiting > 150, "{waiting} bundles wait behind the gap");
    meet_again(&mut world);
    world.run_ms(1_000);
    assert_eq!(hash(&mut world, 0).vector, hash(&mut world, 1).vector);
}

/// Ada says fifty times what she is at: only the last of it is worth keeping.
fn fifty_steps(world: &mut Loop) {
    for number in 0..50 {
        let presence = Presence {
            status: Status::Active,
            intent: format!("step {number}"),
            focus: String::new(),
        };
        world
            .act(0, "ada", Action::Presence(presence))
            .expect("made");
    }
}

/// Views of orchestras in which nothing happened any more were never pruned, because only the next
/// checkpoint would have: a hundred quiet orchestras cost 2.4 MiB each.
#[test]
fn a_quiet_orchestra_is_pruned() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    fifty_steps(&mut world);
    let busy = world.nodes[0].weight().folds;
    world.run_ms(15_000);
    let quiet = world.nodes[0].weight().folds;
    assert!(busy > 100, "{busy} values while it is readable");
    assert!(quiet < 20, "{quiet} values, of {busy}");
    let Ok(View::Presences(presences)) = world.view(0, Question::Presences) else {
        panic!("no presences")
    };
    let ada = presences.iter().find(|one| one.name == "ada");
    assert_eq!(ada.expect("she is there").intent, "step 49");
}

/// The founder had been restarted and wrote nothing since: nobody who joined then could tell how far
/// it had come, and kept every record of the history in memory.
#[test]
fn who_joins_after_a_restart_can_prune() {
    let mut world = Loop::new(2);
    world.cut = vec![(0, 1)];
    world.open(0);
    world.enrol(0, "ada");
    fifty_steps(&mut world);
    world.restart(0);
    world.cut.clear();
    world.run_ms(40_000);
    assert_eq!(hash(&mut world, 0).vector, hash(&mut world, 1).vector);
    let quiet = world.nodes[1].weight().folds;
    assert!(quiet < 20, "{quiet} values");
}

/// Documents stayed in memory for a minute after their last change, whatever their number: a node
/// that joined late held more than a gigabyte.
#[test]
fn documents_beyond_the_limit_are_put_away_and_come_back() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    for number in 0..2_200 {
        world.act(0, "ada", large(number)).expect("made");
    }
    let before = hash(&mut world, 0).documents;
    world.run_ms(2_000);
    let weight = world.nodes[0].weight();
    assert!(weight.documents < 3, "{} documents", weight.documents);
    assert_eq!(hash(&mut world, 0).documents, before);
    world.act(0, "ada", large(2_200)).expect("made");
    assert_ne!(hash(&mut world, 0).documents, before);
}

/// A start without a checkpoint queued every change of the history before it applied one, and held
/// every document at the end.
#[test]
fn a_start_from_the_logs_alone_holds_few_documents() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    for number in 0..4_200 {
        let mark = Mark {
            about: "bounds".into(),
            text: number.to_string(),
            reasoning: String::new(),
            tags: Vec::new(),
            evidence: Vec::new(),
        };
        world.act(0, "ada", Action::Mark(mark)).expect("made");
    }
    let before = hash(&mut world, 0).documents;
    world.memories[0].blobs.clear();
    let started = world.start(0);
    // Of the marks' two parts the first is full; the cluster's and the lasting records have one each.
    assert_eq!(started.weight().documents, 3);
    world.nodes[0] = started;
    assert_eq!(hash(&mut world, 0).documents, before);
}
