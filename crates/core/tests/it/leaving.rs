//! Members that leave of their own accord: nothing of theirs is lost, and nobody waits for them.

use unisono_core::node::{Answer, AnswerBody, Promise, Question, Work};
use unisono_core::orchestra::view::{ClaimStatus, ClaimsWanted, MemberView, View};
use unisono_model::{Action, Code, Rejection};

use crate::loopback::Loop;

fn claim(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 60_000,
    }
}

/// Three nodes with an agent each.
fn three() -> Loop {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    for (index, agent) in ["ada", "lin", "bob"].iter().enumerate() {
        world.enrol(index, agent);
    }
    world.run_ms(2_000);
    world
}

fn leave(world: &mut Loop, index: usize, hand_to: u16) -> Result<Answer, Rejection> {
    let promise = Promise {
        deadline_ms: 5_000,
        ..Promise::default()
    };
    let ticket = world.submit(index, "cluster", Work::Leave { hand_to }, promise);
    world.run_ms(6_000);
    world.reply(ticket).expect("an answer in time")
}

fn status_of(world: &mut Loop, index: usize, topic: &str) -> ClaimStatus {
    match world.view(index, Question::Claims(ClaimsWanted::on(topic))) {
        Ok(View::Claims(claims)) => claims[0].status,
        other => panic!("no claims: {other:?}"),
    }
}

fn members(world: &mut Loop, index: usize) -> Vec<MemberView> {
    match world.view(index, Question::Status) {
        Ok(View::Status(status)) => status.members,
        other => panic!("no status: {other:?}"),
    }
}

/// Cut off at once, a member that left keeps no claim of the others provisional; one that is only
/// silent does, for ever.
#[test]
fn nobody_waits_for_whoever_has_left() {
    for leaves in [true, false] {
        let mut world = three();
        world.act(2, "bob", claim("bobs")).expect("granted");
        if leaves {
            let answer = leave(&mut world, 2, 0).expect("left");
            let AnswerBody::Left { held_by, wanted } = answer.body else {
                panic!("no farewell: {answer:?}")
            };
            assert_eq!((held_by.len(), wanted), (2, 2));
            assert!(world.nodes[2].is_dispensable());
        }
        world.cut = vec![(0, 2), (1, 2)];
        world.act(0, "ada", claim("x")).expect("granted");
        world.run_ms(15_000);
        let expected = if leaves {
            ClaimStatus::Confirmed
        } else {
            ClaimStatus::Provisional
        };
        assert_eq!(status_of(&mut world, 1, "x"), expected);
        // What it had granted goes on: leaving ends no lease.
        if leaves {
            assert_eq!(status_of(&mut world, 1, "bobs"), ClaimStatus::Confirmed);
            let shown = members(&mut world, 0);
            assert_eq!(shown.iter().filter(|member| member.left).count(), 1);
        }
    }
}

#[test]
fn a_node_that_has_left_takes_nothing_and_still_answers() {
    let mut world = three();
    leave(&mut world, 2, 0).expect("left");
    let refused = world.act(2, "bob", claim("x")).expect_err("it has left");
    assert_eq!(refused.code, Code::Leaving);
    assert!(world.view(2, Question::State).is_ok());
    assert_eq!(
        leave(&mut world, 2, 0).expect_err("once").code,
        Code::Leaving
    );
}

/// The founder is the first view: without heirs the others could never leave anybody out.
#[test]
fn the_founder_leaves_and_the_last_member_cannot() {
    let mut world = three();
    leave(&mut world, 0, 0).expect("left");
    world.cut = vec![(0, 1), (0, 2)];
    world.act(1, "lin", claim("x")).expect("granted");
    world.run_ms(15_000);
    assert_eq!(status_of(&mut world, 2, "x"), ClaimStatus::Confirmed);
    leave(&mut world, 1, 0).expect("left");
    world.cut.push((1, 2));
    world.act(2, "bob", claim("y")).expect("granted");
    assert_eq!(status_of(&mut world, 2, "y"), ClaimStatus::Confirmed);
    let refused = leave(&mut world, 2, 0).expect_err("the cluster would be gone");
    assert_eq!(refused.code, Code::LastMember);
}

#[test]
fn whoever_finds_nobody_to_hand_to_stays() {
    let mut world = three();
    world.cut = vec![(0, 2), (1, 2)];
    world.run_ms(1_000);
    world.act(2, "bob", claim("x")).expect("granted");
    let refused = leave(&mut world, 2, 1).expect_err("nobody hears it");
    assert_eq!(refused.code, Code::NotHandedOver);
    world
        .act(2, "bob", claim("y"))
        .expect("it is a member still");
    let refused = leave(&mut world, 2, 3).expect_err("there are two others");
    assert_eq!(refused.code, Code::Malformed);
    world.cut.clear();
    world.run_ms(5_000);
    leave(&mut world, 2, 0).expect("left");
}

/// Started again, it is another life, admitted by those who stayed; what it says counts.
#[test]
fn whoever_left_comes_back_as_another_life() {
    let mut world = three();
    world.act(2, "bob", claim("before")).expect("granted");
    leave(&mut world, 2, 0).expect("left");
    world.cut = vec![(0, 2), (1, 2)];
    world.act(0, "ada", claim("meanwhile")).expect("granted");
    world.run_ms(10_000);
    world.cut.clear();
    world.restart(2);
    world.run_ms(15_000);
    let shown = members(&mut world, 1);
    assert!(shown.iter().all(|member| !member.left), "{shown:?}");
    let refused = world.act(2, "bob", claim("meanwhile"));
    assert_eq!(refused.expect_err("ada has it").code, Code::ClaimHeld);
    world.act(2, "bob", claim("after")).expect("granted");
    world.run_ms(15_000);
    for topic in ["before", "meanwhile", "after"] {
        assert_eq!(status_of(&mut world, 1, topic), ClaimStatus::Confirmed);
    }
    // And its silence counts again.
    world.cut = vec![(0, 2), (1, 2)];
    world.act(0, "ada", claim("alone")).expect("granted");
    world.run_ms(15_000);
    assert_eq!(status_of(&mut world, 1, "alone"), ClaimStatus::Provisional);
}

/// Each held all that the other had written, both said their last word, and nobody was left who could
/// have let either of them in again.
#[test]
fn two_cannot_let_each_other_go() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(3_000);
    let promise = || Promise {
        deadline_ms: 5_000,
        ..Promise::default()
    };
    let work = || Work::Leave { hand_to: 0 };
    let tickets = [0, 1].map(|index| world.submit(index, "cluster", work(), promise()));
    world.run_ms(7_000);
    let answers = tickets.map(|ticket| world.reply(ticket).expect("an answer in time"));
    let left = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(left < 2, "{answers:?}");
    assert!(!(world.nodes[0].has_left() && world.nodes[1].has_left()));
}

/// Its own left life counted as a membership without an end: it granted what the others, who waited for
/// nothing of it, had confirmed for somebody else.
#[test]
fn whoever_comes_back_writes_nothing_before_it_is_admitted() {
    let mut world = three();
    leave(&mut world, 2, 0).expect("left");
    world.cut = vec![(0, 2), (1, 2)];
    world.restart(2);
    world.run_ms(2_000);
    let promise = Promise {
        deadline_ms: 500,
        ..Promise::default()
    };
    let ticket = world.begin(2, "bob", claim("x"), promise);
    world.run_ms(1_000);
    let refused = world
        .reply(ticket)
        .expect("an answer")
        .expect_err("no member");
    assert_eq!(refused.code, Code::Behind);
}

/// While it is asked for, nothing is added to what the others keep.
#[test]
fn a_leaving_node_takes_nothing_in() {
    let mut world = three();
    world.cut = vec![(1, 2)];
    let promise = Promise {
        deadline_ms: 4_000,
        ..Promise::default()
    };
    // Of two others only one hears it: it asks until its patience ends.
    let ticket = world.submit(2, "cluster", Work::Leave { hand_to: 2 }, promise);
    world.run_ms(1_000);
    let promise = Promise {
        durable_on: 3,
        deadline_ms: 1_000,
        ..Promise::default()
    };
    let made = world.begin(0, "ada", claim("x"), promise);
    world.run_ms(2_000);
    let answer = world.reply(made).expect("an answer").expect("recorded");
    let AnswerBody::Recorded(recorded) = answer.body else {
        panic!("no record: {answer:?}")
    };
    assert_eq!(
        recorded.durable_on, 2,
        "whoever is about to go keeps nothing"
    );
    world.run_ms(3_000);
    let refused = world.reply(ticket).expect("an answer").expect_err("1 of 2");
    assert_eq!(refused.code, Code::NotHandedOver);
    world.cut.clear();
    world.run_ms(6_000);
    assert_eq!(status_of(&mut world, 2, "x"), ClaimStatus::Confirmed);
}
