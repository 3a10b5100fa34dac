//! Looking back: what is shown of a moment stays what it was, whatever comes later, and whether the
//! folds in memory or the logs are asked; what cannot be said of the past is refused.
//!
//! Before, the numbers of an orchestra counted what had come since, rights listed tokens, fences and
//! guards from after the moment, a task's history ignored the moment that it was asked for, and
//! `session`, `chains` and `ends` bore it and showed what was there now.

use std::collections::BTreeSet;

use unisono_core::node::{AnswerBody, Ask, Input, Question, Reader, Ticket};
use unisono_core::orchestra::claims::Rules;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{ClaimsWanted, DecisionsWanted, SignalsWanted, View};
use unisono_core::orchestra::{Folds, Reading};
use unisono_core::replication::Cursor;
use unisono_model::{
    Action, AgentId, Code, FenceTarget, FieldChange, FieldValue, Mark, NodeId, OrchestraId,
    Presence, Reviewed, Rollback, Setting, Signal, SignalKind, Stamp, Status, TaskChange,
    TaskStatus, Urgency,
};

use crate::capability::NOW_MS;
use crate::folds::NobodyLate;
use crate::loopback::{CLUSTER, Loop};
use crate::rollback::decide;
use crate::trust;

fn task(name: &str, value: FieldValue) -> Action {
    let change = |value| FieldChange {
        value,
        replaces: Vec::new(),
    };
    Action::Task(TaskChange {
        task: name.into(),
        fields: match value {
            FieldValue::Created(_) => {
                vec![change(value), change(FieldValue::Status(TaskStatus::Open))]
            }
            value => vec![change(value)],
        },
        evidence: None,
    })
}

fn mark(text: &str) -> Action {
    Action::Mark(Mark {
        about: "t".into(),
        text: text.into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

fn emit(kind: SignalKind, topic: &str) -> Action {
    Action::Signal(Signal {
        kind,
        topic: topic.into(),
        urgency: Urgency::Normal,
        text: "words".into(),
        lifetime_ms: 600_000,
        evidence: None,
    })
}

fn act(world: &mut Loop, agent: &str, action: Action) {
    world.act(0, agent, action).expect("done");
    world.run_ms(1);
}

/// One of everything that an agent can do here, under names of a round.
fn everything(world: &mut Loop, round: &str) {
    act(
        world,
        "ada",
        task(&format!("task-{round}"), FieldValue::Created("bug".into())),
    );
    act(
        world,
        "lin",
        task(&format!("task-{round}"), FieldValue::Title(round.into())),
    );
    act(world, "ada", mark(round));
    act(world, "ada", decide(round));
    act(
        world,
        "ada",
        emit(SignalKind::Need, &format!("need-{round}")),
    );
    act(
        world,
        "lin",
        emit(SignalKind::Intent, &format!("{round}/part")),
    );
    let presence = Presence {
        status: Status::Active,
        intent: round.into(),
        focus: String::new(),
    };
    act(world, "lin", Action::Presence(presence));
    let claim = Action::Claim {
        topic: format!("topic-{round}"),
        lease_ms: 50_000,
    };
    act(world, "ada", claim);
}

fn questions() -> Vec<Question> {
    vec![
        Question::State,
        Question::Agents,
        Question::Presences,
        Question::Sense(SignalsWanted {
            agent: Some("ada".into()),
            ..SignalsWanted::default()
        }),
        Question::Interference {
            agent: None,
            limit: 100,
        },
        Question::Coherence,
        Question::Explained(None),
        Question::Continue {
            agent: "ada".into(),
            since: None,
        },
        Question::Claims(ClaimsWanted::default()),
        Question::Tasks {
            status: None,
            after: None,
            limit: 100,
        },
        Question::Task("task-before".into()),
        Question::Marks { limit: 100 },
        Question::Trust,
        Question::Settings,
        Question::Plan,
        Question::Files {
            after: None,
            limit: 100,
        },
        Question::File("a.rs".into()),
        Question::Approvals(Reviewed::Task("task-before".into())),
        Question::Records {
            after: None,
            limit: 256,
            task: Some("task-before".into()),
        },
        Question::Tempo,
        Question::Beat,
        Question::Barriers,
        Question::Cues,
        Question::Players,
        Question::Performing,
        Question::Decisions(DecisionsWanted::default()),
        Question::Remedies { limit: 10 },
        Question::Fixes {
            error: "command not found".into(),
            limit: 5,
        },
    ]
}

fn asked(
    world: &mut Loop,
    number: u64,
    question: Question,
    as_of: Option<Stamp>,
) -> Result<(Stamp, View), Code> {
    let ticket = Ticket(1_000_000 + number);
    let ask = Ask {
        ticket,
        orchestra: OrchestraId::of(CLUSTER, "main"),
        question,
        as_of,
        min_cursor: None,
        deadline_ms: 1_000,
        reader: Reader::Own,
    };
    world.feed(0, Input::Ask(ask));
    world.run_ms(20);
    let answer = world.reply(ticket).expect("an answer");
    let answer = answer.map_err(|rejection| rejection.code)?;
    match answer.body {
        AnswerBody::View(view) => Ok((answer.as_of, view)),
        other => panic!("no view: {other:?}"),
    }
}

/// What a view says, but for the cursor up to which its records were looked at.
fn words(view: View) -> String {
    match view {
        View::Records(mut page) => {
            // How far a page looked says nothing about the moment.
            (page.next, page.more) = (Cursor::default(), false);
            format!("{page:?}")
        }
        view => format!("{view:?}"),
    }
}

#[test]
fn what_is_shown_of_a_moment_stays_what_it_was() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    world.enrol(0, "lin");
    everything(&mut world, "before");
    world.run_ms(50);
    let mut told = Vec::new();
    // All of one moment: asked for by its stamp while nothing has come since.
    let (moment, _) = asked(&mut world, 0, Question::State, None).expect("a view");
    for (number, question) in (1..).zip(questions()) {
        let asked_for = asked(&mut world, number, question.clone(), Some(moment));
        let (at, view) = asked_for.unwrap_or_else(|code| panic!("{question:?}: {code:?}"));
        assert_eq!(at, moment, "{question:?}");
        told.push((question, words(view)));
    }

    world.enrol(0, "eve");
    everything(&mut world, "after");
    act(
        &mut world,
        "ada",
        task("task-before", FieldValue::Title("renamed".into())),
    );
    act(&mut world, "ada", Action::Advance { from: 1 });
    let settings = vec![(Setting::NeedPatienceMs, 1), (Setting::TitleConflict, 2)];
    act(&mut world, "ada", Action::Settings(settings));
    for number in 0..300 {
        act(&mut world, "lin", mark(&format!("mark {number}")));
    }
    compare(&mut world, 1_000, moment, &told, "in memory");

    // Long after, only the logs still know.
    world.run_ms(60_000);
    everything(&mut world, "later");
    world.save(0);
    world.run_ms(60_000);
    world.restart(0);
    world.run_ms(5_000);
    compare(&mut world, 2_000, moment, &told, "from the logs");
}

fn compare(world: &mut Loop, from: u64, moment: Stamp, told: &[(Question, String)], when: &str) {
    for (number, (question, then)) in (from..).zip(told) {
        let (at, view) = asked(world, number, question.clone(), Some(moment)).expect("a view");
        assert_eq!(at, moment, "{when}: {question:?}");
        assert_eq!(&words(view), then, "{when}: {question:?}");
    }
}

/// Whoever read to the end as of a moment and went on from there was never told what had come between
/// the moment and the reading: the cursor said that it was seen.
#[test]
fn a_cursor_of_a_moment_leaves_nothing_out_that_came_after_it() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.enrol(1, "lin");
    for n in 0..20 {
        let (host, agent) = [(0, "ada"), (1, "lin")][n % 2];
        world.act(host, agent, mark(&format!("{n}"))).expect("done");
        world.run_ms(50);
    }
    world.run_ms(2_000);
    let pages = |world: &mut Loop, mut after, as_of, limit| {
        let (mut told, mut round) = (Vec::new(), 0);
        loop {
            round += 1;
            assert!(round < 100, "pages must come to an end");
            let question = Question::Records {
                after,
                limit,
                task: None,
            };
            let ticket = 1_000 + told.len() as u64 + limit as u64 * 100_000 + round * 1_000;
            let (_, view) = asked(world, ticket, question, as_of).expect("a page");
            let View::Records(page) = view else {
                panic!("no records");
            };
            told.extend(page.records.into_iter().map(|one| one.place));
            after = Some(page.next);
            if !page.more {
                return (told, after);
            }
        }
    };
    let (all, _) = pages(&mut world, None, None, 100);
    let marks = all.len() - 12;
    let moment = all[marks].stamp;
    for limit in [1, 3, 100] {
        let (before, cursor) = pages(&mut world, None, Some(moment), limit);
        assert_eq!(before, all[..=marks], "{limit}");
        let (rest, _) = pages(&mut world, cursor, None, limit);
        assert_eq!(rest, all[marks + 1..], "{limit}");
    }
}

#[test]
fn what_cannot_be_said_of_the_past_is_refused() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let (moment, _) = asked(&mut world, 0, Question::State, None).expect("a view");
    let present = [
        Question::Session(AgentId([1; 32])),
        Question::Chains(FenceTarget::Key(AgentId([1; 32]))),
        Question::Ends(NodeId([1; 32])),
        Question::GoingBack(Stamp::MIN),
        Question::Notes,
        Question::Note("plan".into()),
        Question::Config,
        Question::Status,
        Question::Orchestras,
    ];
    for (number, question) in (1..).zip(present) {
        let refused = asked(&mut world, number, question.clone(), Some(moment));
        assert_eq!(refused.err(), Some(Code::TooOld), "{question:?}");
    }
    // What is to come is refused, too.
    let ahead = asked(
        &mut world,
        99,
        Question::State,
        Some(moment.plus_ms(60_000)),
    );
    assert_eq!(ahead.err(), Some(Code::CursorInvalid));
}

/// Rights as of a moment are those of then: a token, a fence or a guard that came later was shown,
/// too, before, beside the moment that was asked for.
#[test]
fn rights_as_of_a_moment_are_those_of_then() {
    let mut history = trust::History::with_rights();
    history.fence(
        trust::executive(),
        500,
        FenceTarget::Link(trust::id_of(2)),
        &[],
    );
    history.add(trust::root(), 1, NOW_MS + 4_000, None, Action::Guard);
    let mut all = Folds::new(trust::orchestra());
    for fact in &history.facts {
        all.insert(fact.clone(), &trust::rules());
    }
    let rights = |folds: &Folds, at: Stamp| {
        let horizon = Horizon::default();
        let reading = Reading {
            folds,
            at,
            horizon: &horizon,
            rules: Rules {
                standing: &NobodyLate,
                lease_ms_max: 60_000,
                expiry_ignored: false,
            },
        };
        format!("{:?}", reading.trust())
    };
    let mut told = BTreeSet::new();
    for moment in history.facts.iter().map(|fact| fact.place.stamp) {
        let mut then = Folds::new(trust::orchestra());
        let seen = history.facts.iter();
        for fact in seen.filter(|fact| fact.place.stamp <= moment) {
            then.insert(fact.clone(), &trust::rules());
        }
        assert_eq!(rights(&all, moment), rights(&then, moment));
        told.insert(rights(&then, moment));
    }
    assert_eq!(
        told.len(),
        5,
        "nothing, two tokens one by one, a fence, a guard"
    );
}

/// An orchestra that went back in error goes back behind that at once. Before, this was refused as
/// long as nothing else had been done: a rollback was nothing that could be set aside.
#[test]
fn a_rollback_is_taken_back_though_nothing_was_done_since() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let stamp = |world: &mut Loop, number| {
        world.run_ms(20);
        let told = asked(world, number, Question::State, None).expect("a view");
        world.run_ms(20);
        told.0
    };
    let back = |to| {
        Action::Rollback(Box::new(Rollback {
            to,
            seen: Vec::new(),
            reason: String::new(),
        }))
    };
    let empty = stamp(&mut world, 1);
    act(&mut world, "ada", decide("storage"));
    let decided = stamp(&mut world, 2);
    act(&mut world, "ada", back(empty));
    world.run_ms(2_000);
    let wanted = || {
        Question::Decisions(DecisionsWanted {
            limit: 10,
            ..DecisionsWanted::default()
        })
    };
    let count = |view: View| match view {
        View::Decisions(decisions) => decisions.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(count(world.view(0, wanted()).expect("a view")), 0);
    act(&mut world, "ada", back(decided));
    world.run_ms(2_000);
    assert_eq!(count(world.view(0, wanted()).expect("a view")), 1);
    let (_, then) = asked(&mut world, 3, wanted(), Some(decided)).expect("a view");
    assert_eq!(count(then), 1);
}
