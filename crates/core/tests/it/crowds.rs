//! What many agents do at once, or one does again and again, costs whoever reads no more than it
//! must, and hides nothing.

use unisono_core::orchestra::Folds;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_core::orchestra::view::SignalsWanted;
use unisono_model::{
    Action, AgentId, Digest, FieldChange, FieldValue, Remedy, SignalKind, TaskChange, TaskStatus,
};

use crate::interference::{LATER, claim, enrolments, fact, folded, read, rules, signal};

/// The shortest of nine times that it takes: what other processes take is in the longer ones.
#[allow(clippy::disallowed_methods, reason = "a test measures")]
fn took(mut what: impl FnMut()) -> std::time::Duration {
    let once = |what: &mut dyn FnMut()| {
        let begun = std::time::Instant::now();
        what();
        begun.elapsed()
    };
    (0..9).map(|_| once(&mut what)).min().expect("nine times")
}

/// Agents that say the same again and again make far more pairs than anybody looks at.
#[test]
fn a_page_costs_what_a_page_costs_however_much_there_is() {
    let mut folds = folded(&enrolments(2));
    let text = "the same words again, ".repeat(40);
    for n in 0..4_000 {
        let intent = signal(SignalKind::Intent, "one", &text, LATER);
        let agent = (n % 2) as u8 + 1;
        folds.insert(fact(1_000 + n, agent, 2_000 + n, intent), &rules());
    }
    let at_ms = 10_000;
    let of = [AgentId([1; 32])].into();
    read(&folds, at_ms, |reading| {
        for of in [None, Some(&of)] {
            let all = reading.interferences(of, usize::MAX);
            let page = reading.interferences(of, 10);
            assert_eq!(page.interferences[..], all.interferences[..10]);
            assert_eq!(
                (page.open, page.open),
                (all.open, all.interferences.len() as u64)
            );
            let whole = took(|| drop(reading.interferences(of, usize::MAX)));
            let some = took(|| drop(reading.interferences(of, 10)));
            assert!(some * 2 < whole, "ten take {some:?}, all take {whole:?}");
        }
        let last = reading.interferences(None, usize::MAX).interferences.pop();
        let last = last.expect("there are many");
        assert_eq!(reading.interference(&last.id), Some(last));
        let coherence = reading.coherence();
        assert!(coherence.drift.len() <= 101, "{}", coherence.drift.len());
        let intent = &coherence.terms[4];
        assert_eq!(
            intent.breakers,
            ["a1", "a2"],
            "nobody is left out of the score"
        );
    });
}

/// Of the collisions of a flood those of its oldest INTENTs were looked at, and what had just come was
/// told to nobody whom it concerns.
#[test]
fn whoever_floods_is_told_of_what_has_just_come() {
    let mut folds = folded(&enrolments(3));
    let text = "the same words again, ".repeat(40);
    let mut say = |n: u64, agent, topic: &str| {
        let intent = signal(SignalKind::Intent, topic, &text, LATER);
        folds.insert(fact(1_000 + n, agent, 2_000 + n, intent), &rules());
    };
    for n in 0..6_000 {
        say(n, (n % 2) as u8 + 1, "one");
    }
    say(6_000, 3, "two");
    let of = [AgentId([1; 32])].into();
    read(&folds, 10_000, |reading| {
        let page = reading.interferences(Some(&of), 10);
        let text = format!("{:?}", page.interferences);
        assert!(page.more && text.contains("a3"), "{text}");
        let near = reading.sense(&SignalsWanted {
            agent: Some("a1".into()),
            only_near: true,
            limit: Some(20),
            ..SignalsWanted::default()
        });
        assert!(near.iter().any(|one| one.topic == "two"), "{near:?}");
        let brief = reading.brief("a1", 1_500, None).markdown();
        assert!(brief.contains("a3 means to work on two"), "{brief}");
    });
}

/// What was given back long ago takes no room from what is held.
#[test]
fn who_has_given_back_many_topics_still_sees_what_it_holds() {
    let mut facts = enrolments(2);
    let mut number = 100;
    let mut at_ms = 2_000;
    let mut add = |facts: &mut Vec<Fact>, agent, action| {
        number += 1;
        at_ms += 1;
        facts.push(fact(number, agent, at_ms, action));
        facts.last().expect("just pushed").place.record
    };
    for n in 0..300 {
        let topic = format!("lib/{n:03}.rs");
        let claimed = add(&mut facts, 1, claim(&topic));
        let release = Action::Release {
            topic,
            claim: claimed,
        };
        add(&mut facts, 1, release);
    }
    add(&mut facts, 1, claim("src/**"));
    add(&mut facts, 2, claim("src/a.rs"));
    let of = [AgentId([1; 32])].into();
    let folds = folded(&facts);
    let own = read(&folds, 3_000, |reading| {
        reading.interferences(Some(&of), 100)
    });
    assert_eq!(own.open, 1, "the glob is over what somebody else holds");
    let brief = read(&folds, 3_000, |reading| reading.brief("a1", 1_500, None));
    assert!(
        brief.markdown().contains("src/** for"),
        "{}",
        brief.markdown()
    );
}

/// What is over counts neither against what is near nor against what is next: some nodes have
/// forgotten it, others have not yet.
#[test]
fn what_is_over_hides_nothing_from_a_brief() {
    let mut facts = enrolments(3);
    let short = |topic: &str| Action::Claim {
        topic: topic.into(),
        lease_ms: 1_000,
    };
    for n in 0..300 {
        facts.push(fact(
            100 + n,
            3,
            2_000 + n,
            short(&format!("src/{n:03}.rs")),
        ));
    }
    facts.push(fact(500, 1, 5_000, claim("src/own.rs")));
    facts.push(fact(501, 2, 5_001, claim("src/theirs.rs")));
    // As deep as the path is long, and not beside it.
    facts.push(fact(502, 3, 5_002, claim("src2/own.rs")));
    let change = |task: &str, values: Vec<FieldValue>| {
        let field = |value| FieldChange {
            value,
            replaces: Vec::new(),
        };
        Action::Task(TaskChange {
            task: task.into(),
            fields: values.into_iter().map(field).collect(),
            evidence: None,
        })
    };
    for n in 0..600 {
        let task = format!("old-{n}");
        let made = vec![
            FieldValue::Created("bug".into()),
            FieldValue::Status(TaskStatus::Open),
            FieldValue::Priority(1),
        ];
        let opened = fact(1_000 + 2 * n, 1, 6_000 + n, change(&task, made));
        let mut closed = change(&task, vec![FieldValue::Status(TaskStatus::Closed)]);
        if let Action::Task(closed) = &mut closed {
            closed.fields[0].replaces.push(opened.place.record);
        }
        facts.push(opened);
        facts.push(fact(1_001 + 2 * n, 1, 7_000 + n, closed));
    }
    let made = vec![
        FieldValue::Created("bug".into()),
        FieldValue::Status(TaskStatus::Open),
        FieldValue::Priority(5),
    ];
    facts.push(fact(5_000, 1, 8_000, change("still-open", made)));
    let folds = folded(&facts);
    let brief = read(&folds, 9_000, |reading| reading.brief("a1", 4_000, None));
    let text = brief.markdown();
    assert!(text.contains("a2 holds src/theirs.rs"), "{text}");
    assert!(!text.contains("src2"), "{text}");
    assert!(text.contains("still-open"), "{text}");
}

/// Those who need a topic are not held against each of those who offered it, nor each topic against
/// all globs that anybody ever held.
#[test]
fn a_crowd_on_one_topic_is_read_in_the_time_of_a_crowd() {
    let by = |number: u64, fact: Fact| Fact {
        agent: AgentId(Digest::of("agent", &[&number.to_le_bytes()]).0),
        ..fact
    };
    let crowd = |size: u64| {
        let mut facts = Vec::new();
        for n in 0..size {
            let need = signal(SignalKind::Need, "one", "", LATER);
            let offer = signal(SignalKind::Offer, "one", "", 10);
            facts.push(by(n, fact(10 * n, 1, 2_000, need)));
            facts.push(by(n, fact(10 * n + 1, 1, 2_000, offer)));
            // Each name stands once, and its agent gives it back at once.
            let glob = format!("src/*{n}");
            let taken = by(n, fact(10 * n + 2, 1, 2_000, claim(&glob)));
            let release = Action::Release {
                topic: glob,
                claim: taken.place.record,
            };
            facts.push(taken);
            facts.push(by(n, fact(10 * n + 3, 1, 2_001, release)));
            let file = claim(&format!("src/{n}.rs"));
            facts.push(by(n, fact(10 * n + 4, 1, 2_002, file)));
        }
        let mut folds = Folds::default();
        let mut enrolled = enrolments(1);
        for n in 0..size {
            let again = fact(1_000_000 + n, 1, 1_000, enrolled[0].body.action.clone());
            enrolled.push(by(n, again));
        }
        for fact in enrolled.into_iter().chain(facts) {
            folds.insert(fact, &rules());
        }
        let unanswered = |folds: &Folds| {
            read(folds, 900_000, |reading| {
                reading.interferences(None, 10).open
            })
        };
        assert_eq!(unanswered(&folds), size, "each is one that nobody answers");
        took(|| assert!(unanswered(&folds) > 0))
    };
    // Each with each are sixteen million, and took ten seconds; this takes a tenth of one beside
    // much other work.
    let time = crowd(4_000);
    assert!(time < std::time::Duration::from_secs(1), "{time:?}");
}

/// A node answers all its agents with one loop, and remedies can be long.
#[test]
fn what_is_not_told_of_fixes_is_not_copied() {
    let mut folds = folded(&enrolments(1));
    let text = "do this, ".repeat(2_000);
    for n in 0..2_000 {
        let error = ErrorForm::of(&format!("error[E0382]: borrow of moved value: `queue_{n}`"));
        let remedy = Remedy {
            form: 1,
            error: error.text(),
            text: text.clone(),
            cause: String::new(),
            files: Vec::new(),
        };
        let remedy = Action::Remedy(Box::new(remedy));
        folds.insert(fact(1_000 + n, 1, 2_000 + n, remedy), &rules());
    }
    let asked = "error[E0382]: borrow of moved value: `queue`";
    read(&folds, LATER, |reading| {
        assert_eq!(reading.fixes(asked, usize::MAX).fixes.len(), 2_000);
        let whole = took(|| drop(reading.fixes(asked, usize::MAX)));
        let some = took(|| drop(reading.fixes(asked, 5)));
        println!("five of 2,000 fixes take {some:?}, all {whole:?}");
        assert!(some * 2 < whole, "five take {some:?}, all take {whole:?}");
    });
}
