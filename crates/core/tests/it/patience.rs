//! Deadlines on a disk that hangs. The incident: seed 119 of the ordinary scenario, in which a slow
//! disk took eight seconds for a batch while checkpoints went to it, and requests for which the
//! batch came too late were answered seconds after their deadlines.

use unisono_core::node::{Answer, AnswerBody, LivingEdit, Promise, Question, Work};
use unisono_model::{Action, Code, IdempotencyKey, Rejection};

use crate::loopback::Loop;

const DEADLINE_MS: u64 = 500;

fn hurried() -> Promise {
    Promise {
        deadline_ms: DEADLINE_MS,
        ..Promise::default()
    }
}

fn claim(topic: &str, key: u8) -> Work {
    Work::Act {
        agent: "ada".into(),
        action: Action::Claim {
            topic: topic.into(),
            lease_ms: 30_000,
        },
        key: Some(IdempotencyKey([key; 16])),
    }
}

fn note() -> Work {
    Work::Living {
        agent: "ada".into(),
        edit: LivingEdit::NoteText {
            name: "plan".into(),
            text: "one".into(),
        },
    }
}

fn code(reply: Option<Result<Answer, Rejection>>) -> Code {
    let reply = reply.expect("an answer at the deadline");
    reply.expect_err("nothing is on disk").code
}

#[test]
fn work_on_its_way_to_a_hanging_disk_is_answered_at_its_deadline() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    world.disks_hang = true;
    let written = world.submit(0, "main", claim("written", 1), hurried());
    let queued = world.submit(0, "main", note(), hurried());
    world.run_ms(DEADLINE_MS - 10);
    assert!(world.reply(written).is_none(), "it is not on disk");
    world.run_ms(20);
    assert_eq!(code(world.reply(written)), Code::Unknown);
    assert_eq!(code(world.reply(queued)), Code::Unknown);
    world.disks_go_on();
    world.run_ms(50);
    let again = world.submit(0, "main", claim("written", 1), hurried());
    world.run_ms(50);
    match world
        .reply(again)
        .expect("an answer")
        .expect("it was done")
        .body
    {
        AnswerBody::Recorded(recorded) => assert!(recorded.repeated),
        other => panic!("{other:?}"),
    }
    world
        .view(0, Question::Note("plan".into()))
        .expect("the note was written behind its answer");
}

#[test]
fn work_that_no_batch_has_taken_is_refused_at_its_deadline_and_never_done() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    world.enrol(0, "lin");
    world.disks_hang = true;
    let patient = Promise::default();
    let first = world.submit(0, "main", claim("first", 1), patient);
    let lin = Work::Act {
        agent: "lin".into(),
        action: Action::Claim {
            topic: "second".into(),
            lease_ms: 30_000,
        },
        key: None,
    };
    let second = world.submit(0, "main", lin, hurried());
    world.run_ms(DEADLINE_MS + 10);
    assert_eq!(code(world.reply(second)), Code::Busy);
    world.disks_go_on();
    world.run_ms(50);
    world.reply(first).expect("an answer").expect("it is done");
    world
        .act(
            0,
            "ada",
            Action::Claim {
                topic: "second".into(),
                lease_ms: 30_000,
            },
        )
        .expect("the refused claim holds nothing");
}

#[test]
fn a_question_that_reads_from_a_hanging_disk_is_answered_at_its_deadline() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    // A new life has nothing in memory to serve the page from.
    world.restart(0);
    world.disks_hang = true;
    let all = Question::Records {
        after: None,
        limit: 10,
        task: None,
    };
    let ticket = world.ask(0, all, DEADLINE_MS);
    world.run_ms(DEADLINE_MS + 10);
    assert_eq!(code(world.reply(ticket)), Code::Behind);
    // What the disk says now is nobody's answer any more; the loop fails on a second one.
    world.disks_go_on();
    world.run_ms(50);
}
