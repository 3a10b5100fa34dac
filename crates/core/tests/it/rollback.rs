//! Going back: what is set aside follows from the set of records, whatever their order; nothing that
//! was not seen goes, nothing is erased, and a rollback can itself be rolled back.

use proptest::prelude::*;
use unisono_core::node::{AnswerBody, Question};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::view::{Verdict, View};
use unisono_core::orchestra::{Folds, Refold};
use unisono_model::{
    Action, Code, Content, Decide, DecideKind, Digest, FieldChange, FieldValue, Importance,
    Incarnation, LogEnd, Mark, Measure, Rollback, Setting, SignalKind, Stamp, TaskChange, Write,
};

use crate::folds::digest;
use crate::interference::{claim, claim_rules, enrolments, fact, read, rules, shuffled, signal};
use crate::loopback::Loop;

fn life(agent: u8) -> Incarnation {
    Incarnation {
        started_ms: u64::from(agent % 3),
        nonce: u64::from(agent % 3),
    }
}

/// A record in the log of the agent's node: each is a bundle of its own.
fn made(number: u64, agent: u8, at_ms: u64, action: Action) -> Fact {
    let mut fact = fact(number, agent, at_ms, action);
    fact.log.incarnation = life(agent);
    fact
}

/// A task that is made.
pub(crate) fn task(name: &str) -> Action {
    Action::Task(TaskChange {
        task: name.into(),
        fields: vec![FieldChange {
            value: FieldValue::Created("bug".into()),
            replaces: Vec::new(),
        }],
        evidence: None,
    })
}

/// A decision that is made.
pub(crate) fn decide(topic: &str) -> Action {
    Action::Decide(Box::new(Decide {
        kind: DecideKind::Decision,
        topic: topic.into(),
        question: String::new(),
        text: "so".into(),
        reason: String::new(),
        importance: Importance::High,
        confidence_permille: 900,
        rejected: Vec::new(),
        supersedes: Vec::new(),
    }))
}

/// Goes back to a time; the logs of these agents were seen up to these bundles.
fn back(to_ms: u64, seen: &[(u8, u64)]) -> Action {
    let mut seen: Vec<LogEnd> = seen
        .iter()
        .map(|(agent, seq)| LogEnd {
            incarnation: life(*agent),
            seq: *seq,
        })
        .collect();
    seen.sort_unstable();
    seen.dedup_by_key(|end| end.incarnation);
    Action::Rollback(Box::new(Rollback {
        to: Stamp::from_ms(to_ms),
        seen,
        reason: String::new(),
    }))
}

/// As a node does it: whatever asks for it is folded again from the logs, until nothing does.
fn settled<'a>(facts: impl IntoIterator<Item = &'a Fact>, at: Stamp) -> Folds {
    let facts: Vec<&Fact> = facts.into_iter().collect();
    let mut folds = Folds::default();
    for fact in &facts {
        folds.insert((*fact).clone(), &rules());
    }
    folds.ripen(at);
    let mut walks = 0;
    while folds.needs_refold() == Some(Refold::Everything) {
        walks += 1;
        assert!(walks < 5, "folding again must come to an end");
        let mut again = folds.again();
        for fact in &facts {
            again.insert((*fact).clone(), &rules());
        }
        again.settle();
        again.ripen(at);
        folds = again;
    }
    folds
}

fn tasks(folds: &Folds, at_ms: u64) -> Vec<String> {
    read(folds, at_ms, |reading| {
        let tasks = reading.tasks(None, None, 100).into_iter();
        tasks.map(|view| view.task).collect()
    })
}

/// What agents do, in numbers; some of it goes back.
fn build(steps: &[(u8, u8, u8, u16)]) -> Vec<Fact> {
    let mut facts = enrolments(4);
    for fact in &mut facts {
        fact.log.incarnation = life(fact.agent.0[0]);
    }
    let mut at_ms = 2_000;
    for (index, (agent, kind, subject, gap)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap) + 1;
        let number = index as u64 + 10;
        let action = match kind % 9 {
            0 | 1 => task(&format!("t{}", subject % 5)),
            2 => decide(&format!("d{}", subject % 3)),
            3 => signal(SignalKind::Need, "x", "", 500_000),
            4 => Action::Advance {
                from: u32::from(subject % 3) + 1,
            },
            5 => Action::Settings(vec![(Setting::NeedPatienceMs, u64::from(*subject))]),
            6 => claim(&format!("c{}", subject % 3)),
            _ => {
                let lag = u64::from(subject % 5);
                let seen: Vec<(u8, u64)> = (1..=3).map(|a| (a, number - lag)).collect();
                back(at_ms.saturating_sub(u64::from(*subject) * 20), &seen)
            }
        };
        facts.push(made(number, agent % 4 + 1, at_ms, action));
    }
    facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_is_set_aside_follows_from_the_set_of_records(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60),
        order in any::<u64>(),
        walk in any::<u64>(),
    ) {
        let facts = build(&steps);
        let end = Stamp::from_ms(1 << 40);
        let straight = settled(&facts, end);
        // They come in one order, and stand in the logs in another.
        let mut folds = Folds::default();
        for fact in shuffled(&facts, order) {
            folds.insert(fact.clone(), &rules());
            folds.ripen(end);
        }
        for _ in 0..5 {
            if folds.needs_refold() != Some(Refold::Everything) {
                break;
            }
            let mut again = folds.again();
            for fact in shuffled(&facts, walk) {
                again.insert(fact.clone(), &rules());
            }
            again.settle();
            folds = again;
        }
        prop_assert_eq!(folds.needs_refold(), None);
        prop_assert_eq!(digest(&straight, end), digest(&folds, end));
    }

    /// A reading of an earlier time knows nothing of what went back later.
    #[test]
    fn an_earlier_reading_is_what_it_was(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60),
        cut in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let end = Stamp::from_ms(1 << 40);
        let at = facts[cut.index(facts.len())].place.stamp;
        let then = facts.iter().filter(|fact| fact.place.stamp <= at);
        let wanted = settled(then.clone(), at);
        let mut past = settled(&facts, end).again_as_of(at);
        for fact in then {
            past.insert(fact.clone(), &rules());
        }
        past.settle();
        prop_assert_eq!(past.needs_refold(), None);
        prop_assert_eq!(digest(&wanted, at), digest(&past, at));
    }

    #[test]
    fn a_rollback_from_below_a_checkpoint_is_folded_again(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 2..60),
        frontier in 1_000_u64..40_000,
        late in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let end = Stamp::from_ms(1 << 40);
        let late = late.index(facts.len());
        let edge = Stamp::from_ms(frontier);
        let mut folds = Folds::default();
        for (index, fact) in facts.iter().enumerate() {
            if index != late && fact.place.stamp <= edge {
                folds.insert(fact.clone(), &rules());
            }
        }
        folds.ripen(edge);
        folds.prune(edge, &claim_rules());
        for (index, fact) in facts.iter().enumerate() {
            if index == late || fact.place.stamp > edge {
                folds.insert(fact.clone(), &rules());
            }
        }
        folds.ripen(end);
        let straight = settled(&facts, end);
        match folds.needs_refold() {
            Some(Refold::Everything) => {}
            Some(Refold::Topics(_)) => {
                folds.adopt_topics(settled(&facts, end));
                prop_assert_eq!(digest(&straight, end), digest(&folds, end));
            }
            None => prop_assert_eq!(digest(&straight, end), digest(&folds, end)),
        }
    }
}

/// What came from beyond a cut stands: whoever went back had not seen it.
#[test]
fn what_was_not_seen_stands() {
    let mut facts = enrolments(2);
    facts.push(made(10, 1, 2_000, task("before")));
    facts.push(made(11, 1, 4_000, task("seen")));
    facts.push(made(12, 2, 4_500, task("beyond")));
    facts.push(made(13, 1, 5_000, back(3_000, &[(1, 11)])));
    facts.push(made(14, 1, 6_000, task("after")));
    let folds = settled(&facts, Stamp::MAX);
    assert_eq!(tasks(&folds, 9_000), ["after", "before", "beyond"]);
}

#[test]
fn a_rollback_of_a_rollback_brings_back_what_it_set_aside() {
    let mut facts = enrolments(1);
    facts.push(made(10, 1, 2_000, task("kept")));
    facts.push(made(11, 1, 4_000, task("doubted")));
    facts.push(made(12, 1, 5_000, back(3_000, &[(1, 11)])));
    facts.push(made(13, 1, 6_000, task("since")));
    assert_eq!(
        tasks(&settled(&facts, Stamp::MAX), 9_000),
        ["kept", "since"]
    );
    facts.push(made(14, 1, 7_000, back(4_500, &[(1, 13)])));
    let folds = settled(&facts, Stamp::MAX);
    assert_eq!(tasks(&folds, 9_000), ["doubted", "kept"]);
    // And that one, too.
    facts.push(made(15, 1, 8_000, back(6_500, &[(1, 14)])));
    let folds = settled(&facts, Stamp::MAX);
    assert_eq!(tasks(&folds, 9_000), ["kept", "since"]);
}

/// Asked for at two nodes, since the first did not answer, a rollback stands in two logs. A walk that
/// met the higher one first took it for one that it had not known, and began anew for ever.
#[test]
fn a_rollback_that_was_asked_for_twice_is_folded_in_any_order() {
    let key = Some(unisono_model::IdempotencyKey([7; 16]));
    let kept = made(10, 1, 1_000, task("kept"));
    let gone = made(11, 1, 2_000, task("gone"));
    let seen = [(1, u64::MAX), (2, u64::MAX)];
    let mut first = made(12, 2, 3_000, back(1_500, &seen));
    first.body.key = key;
    let mut again = made(13, 2, 4_000, back(1_500, &seen));
    again.body.key = key;
    again.log.incarnation = life(3);
    let mut facts = enrolments(2);
    facts.extend([kept, gone, again, first]);
    let forth = settled(&facts, Stamp::from_ms(9_000));
    assert_eq!(tasks(&forth, 9_000), ["kept"]);
    facts.reverse();
    let back = settled(&facts, Stamp::from_ms(9_000));
    assert_eq!(tasks(&back, 9_000), ["kept"]);
}

/// A node whose clock is ahead goes back: until that time has come, nothing is set aside.
#[test]
fn a_rollback_from_the_future_waits_for_its_time() {
    let mut facts = enrolments(1);
    facts.push(made(10, 1, 4_000, task("doubted")));
    facts.push(made(11, 1, 90_000, back(3_000, &[(1, 10)])));
    assert_eq!(
        tasks(&settled(&facts, Stamp::from_ms(50_000)), 50_000),
        ["doubted"]
    );
    let folds = settled(&facts, Stamp::from_ms(90_001));
    assert!(tasks(&folds, 90_001).is_empty());
    assert_eq!(
        folds.readable_from(),
        Stamp::from_ms(90_000),
        "below, others count"
    );
}

fn records(world: &mut Loop, index: usize) -> Vec<(String, Verdict)> {
    let question = Question::Records {
        after: None,
        limit: 100,
        task: None,
    };
    match world.view(index, question) {
        Ok(View::Records(page)) => {
            let records = page.records.into_iter();
            records
                .map(|one| (one.action.name().to_owned(), one.verdict))
                .collect()
        }
        other => panic!("{other:?}"),
    }
}

pub(crate) fn now(world: &mut Loop) -> Stamp {
    let ticket = world.ask(0, Question::State, 1_000);
    world.run_ms(5);
    world
        .reply(ticket)
        .expect("an answer")
        .expect("a view")
        .as_of
}

pub(crate) fn back_to(to: Stamp) -> Action {
    Action::Rollback(Box::new(Rollback {
        to,
        seen: Vec::new(),
        reason: "it went wrong".into(),
    }))
}

/// Two nodes go back behind a task and an iteration; what somebody holds and has witnessed stays.
#[test]
fn nodes_go_back_together_and_erase_nothing() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    world.act(0, "ada", task("kept")).expect("made");
    world.run_ms(100);
    let to = now(&mut world);
    world.run_ms(100);
    world
        .act(0, "ada", Action::Advance { from: 1 })
        .expect("done");
    world.act(1, "lin", task("doubted")).expect("made");
    let held = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(1, "lin", held).expect("granted");
    world.run_ms(500);
    world.act(0, "ada", back_to(to)).expect("gone back");
    world.run_ms(3_000);
    for index in 0..2 {
        let Ok(View::State(state)) = world.view(index, Question::State) else {
            panic!("no state");
        };
        assert_eq!((state.iteration, state.claims, state.set_aside), (1, 1, 2));
        assert_eq!(
            world
                .view(index, Question::Task("doubted".into()))
                .expect_err("it is refused")
                .code,
            Code::TaskUnknown
        );
        assert!(world.view(index, Question::Task("kept".into())).is_ok());
        let aside: Vec<String> = records(&mut world, index)
            .into_iter()
            .filter(|(_, verdict)| *verdict == Verdict::SetAside)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(aside, ["advance", "task"]);
    }
    // As of then it is as it was.
    let again = world.act(0, "ada", back_to(to)).expect_err("it is refused");
    assert_eq!(again.code, Code::RollbackEmpty);
    // What was set aside can be done anew.
    world.act(1, "lin", task("doubted")).expect("made anew");
}

#[test]
fn going_back_is_refused_where_a_rule_would_break() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let to = now(&mut world);
    world.run_ms(50);
    let refused = |world: &mut Loop, to| {
        world
            .act(0, "ada", back_to(to))
            .expect_err("it is refused")
            .code
    };
    assert_eq!(refused(&mut world, to), Code::RollbackEmpty);
    let far = Stamp::from_ms(to.as_ms() + 3_600_000);
    assert_eq!(refused(&mut world, far), Code::CursorInvalid);
    world.act(0, "ada", task("t")).expect("made");
    // It names a log that nobody here has.
    let mut unknown = back_to(to);
    if let Action::Rollback(rollback) = &mut unknown {
        rollback.seen = vec![LogEnd {
            incarnation: life(2),
            seq: 1,
        }];
    }
    assert_eq!(
        world
            .act(0, "ada", unknown)
            .expect_err("it is refused")
            .code,
        Code::Behind
    );
    world.act(0, "ada", Action::Guard).ok();
    let AnswerBody::Recorded(_) = world.act(0, "ada", back_to(to)).expect("gone back").body else {
        panic!("no record");
    };
}

/// An OFFER and a closing could name any digest as their proof.
#[test]
fn evidence_is_a_mark_that_is_known_here() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    let offer = |evidence: Digest| {
        let Action::Signal(mut one) = signal(SignalKind::Offer, "x", "", 60_000) else {
            unreachable!("a signal")
        };
        one.evidence = Some(evidence);
        Action::Signal(one)
    };
    let refused = world
        .act(0, "ada", offer(Digest([7; 32])))
        .expect_err("it is refused");
    assert_eq!(refused.code, Code::EvidenceUnknown);
    world.act(0, "ada", task("t")).expect("made");
    let close = |evidence| {
        Action::Task(TaskChange {
            task: "t".into(),
            fields: vec![FieldChange {
                value: FieldValue::Status(unisono_model::TaskStatus::Closed),
                replaces: Vec::new(),
            }],
            evidence: Some(evidence),
        })
    };
    let refused = world
        .act(0, "ada", close(Digest([7; 32])))
        .expect_err("it is refused");
    assert_eq!(refused.code, Code::EvidenceUnknown);
    world.cut = vec![(0, 1)];
    let mark = Action::Mark(Mark {
        about: "t".into(),
        text: "done".into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    });
    let AnswerBody::Recorded(recorded) = world.act(1, "lin", mark).expect("marked").body else {
        panic!("no record");
    };
    // Made beyond a cut: not known here yet, and known once that is over.
    let record = recorded.place.record;
    let refused = world
        .act(0, "ada", close(record))
        .expect_err("it is refused");
    assert_eq!(refused.code, Code::EvidenceUnknown);
    world.cut.clear();
    world.run_ms(15_000);
    world.act(0, "ada", close(record)).expect("closed");
    world.act(0, "ada", offer(record)).expect("offered");
}

/// What stands in a file on a disk no record brings back.
#[test]
fn a_file_that_was_written_bars_the_way_back() {
    let mut folds = Folds::default();
    let mut facts = enrolments(1);
    facts.push(made(
        10,
        1,
        4_000,
        Action::Write(Box::new(Write {
            project: "p".into(),
            phase: 1,
            path: "src/a".into(),
            base: None,
            content: Some(Content {
                digest: Digest([1; 32]),
                bytes: 1,
                blank: false,
                measure: Measure::UnknownLanguage,
            }),
            moved_from: None,
            plan: Digest::default(),
        })),
    ));
    for fact in facts {
        folds.insert(fact, &rules());
    }
    assert_eq!(folds.written_after(Stamp::from_ms(3_000)), Some("src/a"));
    assert_eq!(folds.written_after(Stamp::from_ms(4_000)), None);
}
