//! What is known to go wrong with hybrid logical clocks (`docs/timing.md`, "Stamps"), each pitfall a
//! test: one bad clock that drags all, one bad reading that outlasts its repair, a reader that is
//! behind.

use unisono_core::node::{Answer, AnswerBody, Ask, Input, Promise, Question, Reader, Ticket};
use unisono_core::orchestra::view::View;
use unisono_core::replication::Cursor;
use unisono_model::{Action, Code, OrchestraId, Stamp};

use crate::loopback::{CLUSTER, Loop};
use crate::rollback::task;

const MS: u64 = 1_000_000;
const AGENTS: [&str; 3] = ["ada", "blaise", "colette"];

/// Nodes that know the time to a millisecond, but for what `ahead_ms` says.
fn cluster(count: usize) -> Loop {
    let mut world = Loop::new(count);
    world.unsure_ns = Some(MS);
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        if other < count {
            world.connect(one, other, true);
        }
    }
    world.open(0);
    world.run_ms(3_000);
    enrol(&mut world, count);
    world
}

/// Nodes hold the keys of their agents: one at each.
fn enrol(world: &mut Loop, count: usize) {
    for (index, agent) in AGENTS.iter().take(count).enumerate() {
        world.enrol(index, agent);
    }
    world.run_ms(3_000);
}

fn tasks(world: &mut Loop, index: usize) -> Vec<String> {
    let question = Question::Tasks {
        status: None,
        after: None,
        limit: 100,
    };
    match world.view(index, question).expect("a view") {
        View::Tasks(tasks) => tasks.into_iter().map(|view| view.task).collect(),
        other => panic!("{other:?}"),
    }
}

/// How far a node's stamps are ahead of the true time (ms).
fn lead_ms(world: &Loop, index: usize) -> u64 {
    let (reached, _) = world.nodes[index].stamps_reached();
    reached.as_ns().saturating_sub(world.now_ns) / MS
}

/// One node that was 499 ms ahead put all that heard of it 499 ms ahead, and those everybody else:
/// within the half second that every clock was granted.
#[test]
fn one_bad_clock_drags_nobody_who_knows_the_time() {
    let mut world = cluster(3);
    world.ahead_ms[2] = 400;
    world.act(2, AGENTS[2], task("early")).expect("recorded");
    world.run_ms(50);
    for index in 0..2 {
        assert!(lead_ms(&world, index) <= 5, "{} ms", lead_ms(&world, index));
        assert!(tasks(&mut world, index).is_empty(), "its time has not come");
    }
    world.act(0, AGENTS[0], task("now")).expect("recorded");
    assert_eq!(tasks(&mut world, 0), ["now"], "work goes on meanwhile");
    world.run_ms(500);
    for index in 0..3 {
        assert_eq!(tasks(&mut world, index), ["early", "now"]);
    }
}

/// Where nobody knows the cluster's time, half a second is granted as before: work on machines whose
/// clocks are a little apart is seen at once.
#[test]
fn wall_clocks_that_are_a_little_apart_keep_nobody_waiting() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(3_000);
    enrol(&mut world, 2);
    world.ahead_ms[1] = 400;
    world.run_ms(3_000);
    world.act(1, AGENTS[1], task("early")).expect("recorded");
    world.run_ms(20);
    assert_eq!(tasks(&mut world, 0), ["early"]);
}

/// What is held back is looked at when its time has come, and not with the next care: a stream told of
/// it up to a second late.
#[test]
fn what_was_held_back_is_published_when_its_time_comes() {
    let mut world = cluster(2);
    world.ahead_ms[1] = 100;
    world.act(1, AGENTS[1], task("early")).expect("recorded");
    world.run_ms(20);
    let before = world.published[0];
    world.run_ms(100);
    assert!(world.published[0] > before);
}

/// A node that was to write a head above what it had heard, while its own time stood, a millisecond short of
/// that, looked again each millisecond (seed 1478: 701 times in one second).
#[test]
fn a_head_that_waits_for_a_time_which_stands_is_not_asked_for_all_the_while() {
    let mut world = cluster(2);
    world.ahead_ms = vec![2_000, 2_006];
    world.run_ms(100);
    world.act(1, AGENTS[1], task("early")).expect("recorded");
    world.ticks[0] = 0;
    for _ in 0..1_000 {
        // Its clock stands.
        world.ahead_ms[0] -= 1;
        world.run_ms(1);
    }
    assert!(world.ticks[0] < 60, "{} ticks", world.ticks[0]);
    assert!(tasks(&mut world, 0).is_empty(), "its time has not come");
    world.run_ms(1_500);
    assert_eq!(tasks(&mut world, 0), ["early"]);
}

/// A node's clock leapt ten seconds ahead while it stamped, and was put right: everybody refused what
/// it wrote for ten seconds. It does not write while nobody can tell what its clock should show.
#[test]
fn a_leap_of_ten_seconds_is_noticed_before_a_stamp_is_given() {
    let mut world = cluster(3);
    world.ahead_ms[1] = 10_000;
    let refused = world.act(1, AGENTS[1], task("from the future"));
    let refused = refused.expect_err("its clock has just leapt");
    assert_eq!(refused.code, Code::ClockOff);
    world.ahead_ms[1] = 0;
    world.run_ms(3_000);
    world.act(1, AGENTS[1], task("now")).expect("recorded");
    world.run_ms(20);
    assert_eq!(tasks(&mut world, 0), ["now"], "nobody has to wait for it");
}

/// A node that followed nobody for so long that it may be off by more than any clock is granted, or
/// whose machine has just slept, writes nothing before it knows better.
#[test]
fn who_does_not_know_the_time_does_not_write() {
    let mut world = cluster(2);
    world.unsure_ns = Some(800 * MS);
    let refused = world.act(1, AGENTS[1], task("some time"));
    let refused = refused.expect_err("it may be off by 800 ms");
    assert_eq!(refused.code, Code::ClockOff);
    assert!(refused.detail.contains("800 ms"), "{}", refused.detail);
    world.unsure_ns = Some(MS);
    world.act(1, AGENTS[1], task("now")).expect("it knows");
}

/// The cursor of an answer left out what its own asker had brought, so that it went back; or it named
/// what lay more than half a second ahead, and dragged the next node as soon as that came nearer.
#[test]
fn a_cursor_keeps_what_was_brought_and_names_nothing_far_ahead() {
    let mut world = cluster(2);
    world.ahead_ms[1] = 1_500;
    let answer = world.act(1, AGENTS[1], task("far")).expect("recorded");
    world.run_ms(20);
    assert!(!cursor(&mut world, 0).covers(&answer.cursor));
    let promise = Promise {
        min_cursor: Some(answer.cursor.clone()),
        ..Promise::default()
    };
    let ticket = world.begin(0, AGENTS[0], task("near"), promise);
    world.run_ms(20);
    let near = world.reply(ticket).expect("an answer").expect("recorded");
    assert!(near.cursor.covers(&answer.cursor));
    assert!(lead_ms(&world, 0) <= 5, "so far nobody follows");
}

/// The head for which a confirmation waits came ten seconds after a claim of a node that was 20 ms
/// ahead, as for what nobody waits for.
#[test]
fn a_claim_that_was_held_back_is_confirmed_as_soon_as_it_can_be() {
    let mut world = cluster(3);
    world.ahead_ms[2] = 40;
    let promise = Promise {
        confirm: true,
        deadline_ms: 5_000,
        ..Promise::default()
    };
    let ticket = world.begin(2, AGENTS[2], claim("door"), promise);
    world.run_ms(300);
    let answer = world.reply(ticket).expect("confirmed within 300 ms");
    answer.expect("it holds the door");
}

/// Looks that were too early since more had come meanwhile counted as if the time stood: after a burst of
/// claims the head came up to a second late.
#[test]
fn the_last_of_many_claims_that_were_held_back_is_confirmed_as_soon() {
    let mut world = cluster(3);
    world.ahead_ms[2] = 6;
    let promise = Promise {
        confirm: true,
        deadline_ms: 5_000,
        ..Promise::default()
    };
    let mut claimed = Vec::new();
    for number in 0..80 {
        let door = format!("door {number}");
        claimed.push(world.begin(2, AGENTS[2], claim(&door), promise.clone()));
        world.run_ms(3);
    }
    world.run_ms(100);
    let answer = world.reply(claimed[79]).expect("confirmed within 100 ms");
    answer.expect("it holds the last door");
}

/// Whoever reads at a node that is ahead and acts at one that is not acts after what it has read: the
/// second node's stamps go there, and no view shows the answer before the question.
#[test]
fn causes_come_before_effects_also_over_a_clock_that_is_behind() {
    let mut world = cluster(2);
    world.ahead_ms[1] = 300;
    let answer = world.act(1, AGENTS[1], task("cause")).expect("recorded");
    world.run_ms(20);
    assert!(lead_ms(&world, 0) <= 5);
    let promise = Promise {
        min_cursor: Some(answer.cursor),
        ..Promise::default()
    };
    let ticket = world.begin(0, AGENTS[0], task("effect"), promise);
    world.run_ms(20);
    let answer = world.reply(ticket).expect("an answer").expect("recorded");
    let cause = world.nodes[1].stamps_reached().0;
    assert!(answer.as_of >= cause.min(Stamp::from_ns(world.now_ns + 270 * MS)));
    assert_eq!(tasks(&mut world, 0), ["cause", "effect"]);
}

/// A reader that was 600 ms behind refused every correct peer: what it was sent was lost to it.
#[test]
fn who_is_600_ms_behind_refuses_nobody() {
    let mut world = cluster(3);
    world.ahead_ms = vec![600, 600, 0];
    let answer = world.act(0, AGENTS[0], task("cause"));
    answer.expect("recorded");
    world.run_ms(20);
    assert_eq!(tasks(&mut world, 1), ["cause"]);
    assert!(tasks(&mut world, 2).is_empty(), "its time has not come");
    // It is there as soon as that has, and nobody had to send it again.
    world.run_ms(700);
    assert_eq!(tasks(&mut world, 2), ["cause"]);
}

/// A cursor named what its bearer's view had not shown yet, so that another node made its clock follow
/// one that nobody had followed.
#[test]
fn a_cursor_names_nothing_that_no_view_shows() {
    let mut world = cluster(2);
    let before = cursor(&mut world, 0);
    world.ahead_ms[1] = 300;
    let answer = world.act(1, AGENTS[1], task("early")).expect("recorded");
    world.run_ms(20);
    assert!(!cursor(&mut world, 0).covers(&answer.cursor));
    assert!(cursor(&mut world, 0).covers(&before));
    world.run_ms(400);
    assert!(cursor(&mut world, 0).covers(&answer.cursor));
}

/// A node called a view final by what its clock had given or seen, which is written nowhere: its
/// wall clock was set back, it ended, and its next life began above its own last stamp on disk, and
/// below that moment (simulator, seed 329).
#[test]
fn what_is_final_stays_so_over_a_life_whose_clock_was_set_back() {
    let mut world = Loop::new(2);
    world.ahead_ms = vec![2_000, 2_020];
    world.run_ms(5_000);
    world.open(0);
    world.run_ms(3_000);
    enrol(&mut world, 2);
    let answer = world.act(0, AGENTS[0], claim("door")).expect("recorded");
    world.run_ms(50);
    let own = own_stamp(&answer);
    let later = (0..50).map(|ms| own.plus_ms(ms));
    let final_up_to = later
        .filter(|moment| state(&mut world, 0, Some(*moment)).is_final)
        .max();
    let final_up_to = final_up_to.expect("the moment of its own claim is final");
    world.ahead_ms[0] = 0;
    world.restart(0);
    let next = (0..30).find_map(|_| {
        world.run_ms(100);
        world.act(0, AGENTS[0], claim("window")).ok()
    });
    let stamp = own_stamp(&next.expect("written once its time has come"));
    assert!(stamp > final_up_to, "{stamp:?} under {final_up_to:?}");
}

fn claim(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 60_000,
    }
}

fn own_stamp(answer: &Answer) -> Stamp {
    match &answer.body {
        AnswerBody::Recorded(recorded) => recorded.place.stamp,
        other => panic!("{other:?}"),
    }
}

fn cursor(world: &mut Loop, index: usize) -> Cursor {
    state(world, index, None).cursor
}

fn state(world: &mut Loop, index: usize, as_of: Option<Stamp>) -> Answer {
    let ticket = Ticket(1_000_000 + world.now_ns % 1_000_000_000);
    let ask = Ask {
        ticket,
        orchestra: OrchestraId::of(CLUSTER, "main"),
        question: Question::State,
        as_of,
        min_cursor: None,
        deadline_ms: 1_000,
        reader: Reader::Own,
    };
    world.feed(index, Input::Ask(ask));
    world.run_ms(2);
    let answer = world.reply(ticket).expect("an answer");
    answer.expect("a view")
}
