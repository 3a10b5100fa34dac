//! Nodes: one opening everywhere, and what the edge refuses before there is a record.

use unisono_core::ensemble::{Change, TempoMap};
use unisono_core::node::{AnswerBody, Input, Question};
use unisono_core::orchestra::view::{BarrierView, View};
use unisono_model::{
    Action, Arrival, Code, Cue, CueAnswer, CueRule, CueWord, Curve, Digest, Stamp, Tempo,
    TempoSegment,
};

use crate::loopback::Loop;

fn arrive(of: u16, lead_ms: u32) -> Action {
    Action::Arrive(Arrival {
        barrier: "door".into(),
        of,
        lead_ms,
        patience_ms: 60_000,
    })
}

fn cue(target_ns: u64) -> Action {
    Action::Cue(Cue {
        name: "go".into(),
        target_ns,
        window_ms: 0,
        confidence_ppm: 1_000_000,
        answer_ms: 0,
        preparation: String::new(),
        parties: Vec::new(),
        rule: CueRule::Go,
    })
}

fn barriers(world: &mut Loop, index: usize) -> Vec<BarrierView> {
    match world.view(index, Question::Barriers) {
        Ok(View::Barriers(all)) => all,
        other => panic!("no barriers: {other:?}"),
    }
}

/// Acts, and says at which stamp.
fn stamp(world: &mut Loop, agent: &str, action: Action) -> Stamp {
    let answer = world.act(0, agent, action).expect("done");
    match answer.body {
        AnswerBody::Recorded(recorded) => recorded.place.stamp,
        other => panic!("no record: {other:?}"),
    }
}

#[test]
fn a_barrier_opens_at_one_time_on_every_node_and_is_confirmed() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(2_000);
    for (index, agent) in ["ada", "lin", "bob"].iter().enumerate() {
        world.enrol(index, agent);
    }
    for (index, agent) in ["ada", "lin", "bob"].iter().enumerate() {
        world.act(index, agent, arrive(3, 0)).expect("arrived");
    }
    world.run_ms(3_000);
    let first = barriers(&mut world, 0);
    let opening = first[0].opened.as_ref().expect("three have come");
    assert!(
        opening.settled,
        "every member has signed past it: {opening:?}"
    );
    // Half a second and three round trips, where nobody says.
    let after_ns = opening.opens_ns - opening.last.stamp.as_ns();
    assert!((500_000_000..520_000_000).contains(&after_ns), "{after_ns}");
    for index in 1..3 {
        assert_eq!(barriers(&mut world, index), first, "node {index}");
    }
}

#[test]
fn too_short_a_lead_the_past_and_nonsense_are_refused_by_name() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(0, "lin");
    world.act(0, "ada", arrive(3, 900)).expect("arrived");
    let other = world.act(0, "lin", arrive(2, 900)).expect_err("for three");
    assert_eq!(other.code, Code::BarrierCount, "{other}");
    let node = world.nodes[1].id();
    let up = Input::PeerUp {
        node,
        round_trip_us: 400_000,
    };
    world.feed(0, up);
    let now = stamp(&mut world, "ada", arrive(3, 900)).as_ns();
    let short = world.act(0, "ada", arrive(3, 300)).expect_err("too short");
    assert_eq!(short.code, Code::LeadShort, "{short}");
    let soon = world
        .act(0, "ada", cue(now + 200_000_000))
        .expect_err("too soon");
    assert_eq!(soon.code, Code::LeadShort, "{soon}");
    let past = world
        .act(0, "ada", cue(now - 1_000_000_000))
        .expect_err("past");
    assert_eq!(past.code, Code::TimePast, "{past}");
    world
        .act(0, "ada", cue(now + 5_000_000_000))
        .expect("in time");
    let none = Action::Answer(CueAnswer {
        cue: Digest([7; 32]),
        word: CueWord::Ready,
        text: String::new(),
    });
    let none = world.act(0, "ada", none).expect_err("no such cue");
    assert_eq!(none.code, Code::CueUnknown);
    let rewritten = Tempo {
        beat: 0,
        part: 0,
        segments: vec![TempoSegment {
            starts_ns: 5,
            lasts_ns: None,
            rate_ubpm: 77_000_000,
            curve: Curve::Steady,
        }],
        point_every: 4,
        major_every: 64,
    };
    let past = world
        .act(0, "ada", Action::Tempo(rewritten))
        .expect_err("rewritten");
    assert_eq!(past.code, Code::TimePast, "{past}");
    let change = |at_ns: u64| {
        let change = Change {
            at_ns,
            to_ubpm: 90_000_000,
            over_ns: 1_000_000_000,
            exponential: false,
        };
        Action::Tempo(TempoMap::default().changed(now, change).expect("a map"))
    };
    let soon = world
        .act(0, "ada", change(now + 100_000_000))
        .expect_err("too soon");
    assert!(
        matches!(soon.code, Code::LeadShort | Code::TimePast),
        "{soon}"
    );
    world
        .act(0, "ada", change(now + 9_000_000_000))
        .expect("in time");
    world.run_ms(2_000);
    for index in 0..2 {
        let Ok(View::Tempo(view)) = world.view(index, Question::Tempo) else {
            panic!("no tempo");
        };
        let map = TempoMap::new(view.tempo).expect("what was taken is a map");
        assert_eq!(
            map.rate_ubpm(now + 10_000_000_000),
            90_000_000,
            "node {index}"
        );
    }
}

/// Whoever gave cues without end filled what every node holds and looks through at each of its looks.
#[test]
fn an_agent_may_have_so_many_cues_open_and_another_one_when_the_first_has_come() {
    let mut world = Loop::new(1);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(0, "eve");
    let now_ns = stamp(&mut world, "eve", arrive(3, 900)).as_ns();
    let soon = cue(now_ns + 1_000_000_000);
    world.act(0, "ada", soon).expect("given");
    for _ in 1..256 {
        world
            .act(0, "ada", cue(now_ns + 3_600_000_000_000))
            .expect("given");
    }
    let refused = world.act(0, "ada", cue(now_ns + 3_600_000_000_000));
    let refused = refused.expect_err("one too many");
    assert_eq!(refused.code, Code::RateLimited, "{refused:?}");
    assert!(
        refused.retry_after_ms.is_some_and(|wait| wait <= 1_000),
        "{refused:?}"
    );
    world
        .act(0, "eve", cue(now_ns + 3_600_000_000_000))
        .expect("eve has given none");
    world.run_ms(1_500);
    world
        .act(0, "ada", cue(now_ns + 3_600_000_000_000))
        .expect("the first has come");
}

/// Nothing bounded at how many barriers an agent waited, each of which every look walks through.
#[test]
fn an_agent_waits_at_so_many_barriers_and_at_another_one_when_the_first_is_over() {
    let mut world = Loop::new(1);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(0, "eve");
    let at = |number: u64, patience_ms: u64| {
        let Action::Arrive(arrival) = arrive(3, 900) else {
            panic!("no arrival")
        };
        Action::Arrive(Arrival {
            barrier: format!("gate {number}"),
            patience_ms,
            ..arrival
        })
    };
    world.act(0, "ada", at(0, 2_000)).expect("arrived");
    for number in 1..64 {
        world.act(0, "ada", at(number, 60_000)).expect("arrived");
    }
    let refused = world.act(0, "ada", at(64, 60_000)).expect_err("too many");
    assert_eq!(refused.code, Code::RateLimited, "{refused:?}");
    assert!(
        refused.retry_after_ms.is_some_and(|wait| wait <= 2_000),
        "{refused:?}"
    );
    world.act(0, "ada", at(7, 60_000)).expect("it waits there");
    world
        .act(0, "eve", at(64, 60_000))
        .expect("eve waits nowhere");
    world.run_ms(2_500);
    world.act(0, "ada", at(64, 60_000)).expect("one is over");
}
