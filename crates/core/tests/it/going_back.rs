//! What going back would do is what it does, and what would change nothing is refused.

use std::collections::BTreeSet;

use unisono_core::node::Question;
use unisono_core::orchestra::rollbacks::Fate;
use unisono_core::orchestra::view::{Verdict, View};
use unisono_model::{Action, Code, LogEnd, Place, Stamp};

use crate::loopback::Loop;
use crate::rollback::{back_to, decide, now, task};

fn held(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 30_000,
    }
}

/// What happened at one node, with the moments before, between and after.
fn doubted() -> (Loop, Vec<Stamp>) {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let mut moments = vec![now(&mut world)];
    let mut act = |world: &mut Loop, action: Action| {
        world.run_ms(50);
        world.act(0, "ada", action).expect("done");
        world.run_ms(50);
        moments.push(now(world));
    };
    act(&mut world, task("one"));
    act(&mut world, held("x"));
    act(&mut world, decide("two"));
    let to = now(&mut world);
    act(&mut world, Action::Advance { from: 1 });
    act(&mut world, task("three"));
    act(&mut world, back_to(to));
    act(&mut world, task("four"));
    act(&mut world, held("y"));
    moments.push(Stamp::from_ms(moments[0].as_ms() + 3_600_000));
    (world, moments)
}

/// A dry run said that going back behind a rollback alone would be refused, which the core takes, and
/// knew nothing of what that brings back.
#[test]
fn what_going_back_would_do_is_what_it_does() {
    let (_, moments) = doubted();
    let mut verdicts = Vec::new();
    for (index, _) in moments.iter().enumerate() {
        let (mut world, moments) = doubted();
        let to = moments[index];
        let Ok(View::GoingBack(would)) = world.view(0, Question::GoingBack(to)) else {
            panic!("no answer");
        };
        let question = Question::Records {
            after: None,
            limit: 100,
            task: None,
        };
        let Ok(View::Records(page)) = world.view(0, question) else {
            panic!("no records");
        };
        let own = page.records.iter().filter(|one| one.action.is_revertible());
        let (mut goes, mut returns) = (Vec::new(), Vec::new());
        for one in own {
            match would.fate(one.place, &one.log, one.bundle) {
                Fate::Goes => goes.push(one.place),
                Fate::Returns => returns.push(one.place),
                Fate::Stays => {}
            }
        }
        let before = set_aside(&mut world);
        let done = world.act(0, "ada", back_to(to)).map(drop);
        assert_eq!(
            would.refused.clone().map(|why| why.code),
            done.clone().err().map(|why| why.code)
        );
        if done.is_ok() {
            world.run_ms(500);
            let expected = before.iter().chain(&goes).copied();
            let expected: BTreeSet<Place> = expected.filter(|one| !returns.contains(one)).collect();
            assert_eq!(set_aside(&mut world), expected, "to {index}");
        }
        verdicts.push((done.err().map(|why| why.code), goes.len(), returns.len()));
    }
    let empty = Some(Code::RollbackEmpty);
    let expected = [
        (None, 3, 0),
        (None, 2, 0),
        (None, 2, 0),
        (None, 1, 0),
        (None, 1, 1),
        (None, 1, 2),
        (None, 1, 0),
        (empty, 0, 0),
        (empty, 0, 0),
        (Some(Code::CursorInvalid), 0, 0),
    ];
    assert_eq!(verdicts, expected);
}

/// It names a log, and nothing in it could be set aside: it was recorded, changed nothing, and was
/// one of the few rollbacks that an orchestra has.
#[test]
fn a_rollback_that_sets_nothing_aside_is_refused() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    world.run_ms(100);
    let to = now(&mut world);
    world.act(0, "ada", held("x")).expect("granted");
    world.act(1, "lin", task("doubted")).expect("made");
    world.run_ms(1_000);
    let question = Question::Records {
        after: None,
        limit: 100,
        task: None,
    };
    let Ok(View::Records(page)) = world.view(0, question) else {
        panic!("no records");
    };
    let end = |name: &str| {
        let mut last = page.records.iter().filter(|one| one.action.name() == name);
        let last = last.next_back().expect("it is there");
        vec![LogEnd {
            incarnation: last.log.incarnation,
            seq: last.bundle,
        }]
    };
    let named = |world: &mut Loop, seen: Vec<LogEnd>| {
        let mut action = back_to(to);
        if let Action::Rollback(rollback) = &mut action {
            rollback.seen = seen;
        }
        world.act(0, "ada", action).map(drop)
    };
    let refused = named(&mut world, end("claim")).expect_err("nothing in it goes back");
    assert_eq!(refused.code, Code::RollbackEmpty);
    assert!(
        refused.detail.contains("in the logs that it names"),
        "{}",
        refused.detail
    );
    named(&mut world, end("task")).expect("gone back");
}

fn set_aside(world: &mut Loop) -> BTreeSet<Place> {
    let question = Question::Records {
        after: None,
        limit: 100,
        task: None,
    };
    let Ok(View::Records(page)) = world.view(0, question) else {
        panic!("no records");
    };
    let aside = page.records.into_iter();
    aside
        .filter(|one| one.verdict == Verdict::SetAside)
        .map(|one| one.place)
        .collect()
}
