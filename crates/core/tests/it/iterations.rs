//! How iterations end: on both sides of a cut, and while something is open.

use unisono_core::node::{AnswerBody, Question};
use unisono_core::orchestra::view::{StateView, View};
use unisono_model::{Action, Code, Mark, Resolution, Resolve, Setting};

use crate::loopback::Loop;

fn state(world: &mut Loop, index: usize) -> StateView {
    match world.view(index, Question::State) {
        Ok(View::State(state)) => state,
        other => panic!("no state: {other:?}"),
    }
}

fn ends(world: &mut Loop, index: usize, agent: &str, from: u32) {
    let advance = Action::Advance { from };
    world.act(index, agent, advance).expect("it ends");
}

fn two_apart() -> Loop {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    world.run_ms(500);
    world.cut = vec![(0, 1)];
    world.run_ms(100);
    world
}

#[test]
fn two_sides_that_end_one_iteration_at_once_have_ended_it_once() {
    let mut world = two_apart();
    ends(&mut world, 0, "ada", 1);
    world.run_ms(50);
    ends(&mut world, 1, "lin", 1);
    world.cut = Vec::new();
    world.run_ms(5_000);
    let shown = [state(&mut world, 0), state(&mut world, 1)];
    assert_eq!(shown.each_ref().map(|one| one.iteration), [2, 2]);
    assert_eq!(shown[0].records, shown[1].records);
    // Whoever has not heard that it is over ends it no second time.
    let late = Action::Advance { from: 1 };
    let late = world.act(1, "lin", late).expect_err("it is refused");
    assert_eq!(late.code, Code::IterationWrong);
}

/// The side that went further was not held up, and the other one is where that is.
#[test]
fn the_side_that_went_further_takes_the_other_with_it() {
    let mut world = two_apart();
    ends(&mut world, 0, "ada", 1);
    ends(&mut world, 1, "lin", 1);
    ends(&mut world, 1, "lin", 2);
    assert_eq!(state(&mut world, 0).iteration, 2);
    world.cut = Vec::new();
    world.run_ms(5_000);
    for index in 0..2 {
        assert_eq!(state(&mut world, index).iteration, 3);
    }
}

fn needs(world: &mut Loop, value: u64) -> Result<(), Code> {
    let changes = vec![(Setting::AdvanceNeedsResolved, value)];
    let done = world.act(0, "ada", Action::Settings(changes));
    done.map(drop).map_err(|refused| refused.code)
}

#[test]
fn an_iteration_ends_with_something_open_unless_a_setting_says_otherwise() {
    let mut world = Loop::new(1);
    world.open(0);
    for (agent, topic) in [("ada", "src/**"), ("lin", "src/a.rs")] {
        world.enrol(0, agent);
        let claim = Action::Claim {
            topic: topic.into(),
            lease_ms: 30_000,
        };
        world.act(0, agent, claim).expect("granted");
    }
    ends(&mut world, 0, "ada", 1);
    assert_eq!(needs(&mut world, 3), Err(Code::Malformed));
    for value in [1, 2] {
        needs(&mut world, value).expect("set");
        let advance = Action::Advance { from: 2 };
        let refused = world.act(0, "ada", advance).expect_err("it is refused");
        assert_eq!(refused.code, Code::IterationUnresolved);
        assert_eq!(state(&mut world, 0).iteration, 2);
    }
    let question = Question::Interference {
        agent: None,
        limit: 10,
    };
    let Ok(View::Interference(found)) = world.view(0, question) else {
        panic!("no interferences");
    };
    let resolve = |outcome: &str, mark| {
        Action::Resolve(Resolve {
            interference: found.interferences[0].id,
            how: Resolution::Defer,
            outcome: outcome.into(),
            mark,
        })
    };
    let blank = world
        .act(0, "ada", resolve(" \n", None))
        .expect_err("refused");
    assert_eq!(blank.code, Code::Malformed);
    let unproved = world.act(0, "ada", resolve("lin first", None));
    assert_eq!(unproved.expect_err("refused").code, Code::EvidenceMissing);
    let mark = Action::Mark(Mark {
        about: "form".into(),
        text: "lin first".into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    });
    let made = world.act(0, "ada", mark).expect("made");
    let AnswerBody::Recorded(made) = made.body else {
        panic!("a record was made");
    };
    let mark = made.place.record;
    world
        .act(0, "ada", resolve("lin first", Some(mark)))
        .expect("resolved");
    ends(&mut world, 0, "ada", 2);
}
