//! Histories follow from the set of records, in whichever order they come and however often.

use serde_json::{Value, json};
use unisono_api::client::chronicle::Chronicle;
use unisono_api::client::compression::{Budget, Level, compress};
use unisono_api::client::recovery::whole;
use unisono_api::dto::{Moment, RecordEvent};
use unisono_core::orchestra::course::PhaseMap;
use unisono_model::{Digest, Stamp};

/// A record of an agent, made so many seconds after the first.
fn record(at: u64, by: &str, iteration: u32, verdict: &str, action: &Value) -> RecordEvent {
    let name = Digest::of("unisono/test-chronicle/v1", &[&at.to_be_bytes()]);
    let stamp = Moment::from(Stamp::from_ns((1_763_000_000 + at) * 1_000_000_000));
    let event = json!({
        "record": name, "stamp": stamp, "agent": Digest::default(), "name": by, "seq": at,
        "bundle": 1, "held": "node", "agent_ms": 0, "iteration": iteration, "key": null,
        "log": { "node": Digest::default(),
            "incarnation": { "started_ms": 0, "nonce": "0000000000000000" } },
        "verdict": verdict, "action": action,
    });
    serde_json::from_value(event).unwrap()
}

/// Some iterations of work, two of which were ended on two sides of a cut.
fn life(iterations: u32) -> Vec<RecordEvent> {
    let mut all = Vec::new();
    let mut add = |by: &str, iteration: u32, action: Value| {
        let at = all.len() as u64;
        all.push(record(at, by, iteration, "valid", &action));
        all[all.len() - 1].record
    };
    for iteration in 1..=iterations {
        for number in 0..7 {
            let importance = if number == 0 && iteration == 2 {
                "high"
            } else {
                "normal"
            };
            let topic = format!("D-{iteration}-{number}");
            let decide = json!({ "do": "decide", "topic": topic, "text": "so be it",
                "importance": importance });
            add("ada", iteration, decide);
        }
        let mark = json!({ "do": "mark", "about": "index", "text": "made the index" });
        let mark = add("ada", iteration, mark);
        let offer = json!({ "do": "emit", "kind": "offer", "topic": "index", "evidence": mark });
        add("ada", iteration, offer);
        let need = json!({ "do": "emit", "kind": "need", "topic": "index" });
        add("pia", iteration, need);
        add(
            "ada",
            iteration,
            json!({ "do": "advance", "from": iteration }),
        );
        add(
            "pia",
            iteration,
            json!({ "do": "advance", "from": iteration }),
        );
    }
    all
}

fn by_letters(text: &str) -> u64 {
    text.len().div_ceil(4) as u64
}

fn told(records: impl Iterator<Item = RecordEvent>, total: u64) -> Value {
    let mut chronicle = Chronicle::new(PhaseMap::default());
    for record in records {
        chronicle.insert(record);
    }
    let budget = Budget {
        total,
        ..Budget::default()
    };
    let history = compress(&chronicle, budget, &by_letters);
    json!([chronicle.chapters(), history])
}

#[test]
fn any_order_and_any_repetition_give_the_same_history() {
    let all = life(8);
    let wanted = told(all.iter().cloned(), 5_000);
    assert_eq!(told(all.iter().rev().cloned(), 5_000), wanted);
    assert_eq!(told(all.iter().chain(&all).cloned(), 5_000), wanted);
    // Steps that share no factor with the number of records visit each of them once.
    for step in [5, 7, 11, 25] {
        assert_ne!(all.len() % step, 0);
        let mixed = (0..all.len()).map(|index| all[index * step % all.len()].clone());
        assert_eq!(told(mixed, 5_000), wanted, "every {step}th");
    }
}

#[test]
fn what_does_not_count_tells_nothing_and_an_iteration_ends_once() {
    let mut all = life(3);
    let void = json!({ "do": "decide", "topic": "never", "text": "void" });
    all.push(record(1_000, "eve", 1, "void", &void));
    let jump = json!({ "do": "advance", "from": 9 });
    all.push(record(1_001, "eve", 3, "valid", &jump));
    let mut chronicle = Chronicle::new(PhaseMap::default());
    for record in all {
        chronicle.insert(record);
    }
    assert_eq!(chronicle.iteration(), 4, "what was skipped was not ended");
    let first = chronicle.chapter(1);
    assert_eq!(first.decisions.len(), 7);
    assert_eq!(first.ended.unwrap(), chronicle.chapter(2).began.unwrap());
    assert!(first.needs[0].answered, "somebody else offered it");
    assert_eq!(first.proofs().len(), 1);
}

#[test]
fn budgets_hold_at_any_length_and_only_what_is_pinned_breaks_them() {
    for iterations in [1, 3, 4, 5, 40, 400] {
        let all = life(iterations);
        let history = &told(all.into_iter(), 2_000)[1];
        let tokens = history["tokens"].as_u64().unwrap();
        assert!(tokens <= 2_000, "{iterations}: {tokens}");
        assert_eq!(history["over"], false);
        let levels = history["told"].as_array().unwrap();
        for one in levels {
            let most = match serde_json::to_value(Level::Line).unwrap() {
                line if one["level"] == line => 50,
                _ if one["level"] == "summary" => 200,
                _ => 2_000,
            };
            assert!(one["tokens"].as_u64().unwrap() <= most, "{one:#}");
        }
        // Every iteration is told once, without a gap.
        let mut next = 1;
        for one in levels.iter().filter(|one| one["level"] != "pinned") {
            assert_eq!(one["iteration"], next, "{iterations}");
            next = one["until"].as_u64().unwrap() + 1;
        }
        assert_eq!(next, u64::from(iterations) + 2);
        let text = history.to_string();
        assert_eq!(
            text.contains("D-2-0"),
            iterations >= 2,
            "{iterations}: pinned"
        );
    }
    let history = &told(life(40).into_iter(), 10)[1];
    assert_eq!(
        history["over"], true,
        "what is near and what is pinned is told in any case"
    );
    assert!(history.to_string().contains("D-2-0"));
}

/// A history counted every repetition of a request that had lost its answer, though a view counts
/// it once.
#[test]
fn a_request_that_was_repeated_is_told_once() {
    let mark = json!({ "do": "mark", "about": "index", "text": "made it" });
    let keyed = |at: u64| {
        let mut one = record(at, "ada", 1, "valid", &mark);
        one.key = Some(unisono_model::IdempotencyKey([7; 16]));
        one
    };
    for order in [[1, 2, 3], [3, 2, 1], [2, 3, 1]] {
        let mut chronicle = Chronicle::new(PhaseMap::default());
        for at in order {
            chronicle.insert(keyed(at));
        }
        let chapter = chronicle.chapter(1);
        let marks: Vec<Digest> = chapter.marks.iter().map(|one| one.record).collect();
        assert_eq!(
            marks,
            [keyed(1).record],
            "the lowest, in the order {order:?}"
        );
        assert_eq!(chapter.records, 1);
    }
}

/// Whoever named a later decision as superseded took it out of every history.
#[test]
fn nothing_is_superseded_by_what_stands_before_it() {
    let decide = |at: u64, former: &[u64]| {
        let former: Vec<Digest> = former
            .iter()
            .map(|at| {
                record(
                    *at,
                    "ada",
                    1,
                    "valid",
                    &json!({ "do": "advance", "from": 1 }),
                )
                .record
            })
            .collect();
        let decide = json!({ "do": "decide", "topic": format!("d{at}"), "text": "so", "supersedes": former });
        record(at, "ada", 1, "valid", &decide)
    };
    let mut chronicle = Chronicle::new(PhaseMap::default());
    for one in [decide(1, &[2]), decide(2, &[]), decide(3, &[2])] {
        chronicle.insert(one);
    }
    let chapter = chronicle.chapter(1);
    let gone: Vec<bool> = chapter.decisions.iter().map(|one| one.superseded).collect();
    assert_eq!(gone, [false, true, false]);
    let mut chronicle = Chronicle::new(PhaseMap::default());
    for one in [decide(1, &[2]), decide(2, &[])] {
        chronicle.insert(one);
    }
    assert!(
        chronicle
            .chapter(1)
            .decisions
            .iter()
            .all(|one| !one.superseded)
    );
}

/// What a rollback has set aside tells nothing, but of the time before it.
#[test]
fn a_history_passes_over_what_was_set_aside() {
    let mark = json!({ "do": "mark", "about": "index", "text": "made it" });
    let mut aside = record(1, "ada", 1, "set_aside", &mark);
    let by = record(5, "ada", 1, "valid", &mark);
    aside.set_aside_by = Some(unisono_api::dto::SetAside {
        record: by.record,
        stamp: by.stamp,
    });
    let marks = |at: Option<Stamp>| {
        let mut chronicle = Chronicle::as_of(PhaseMap::default(), at);
        chronicle.insert(aside.clone());
        chronicle.chapter(1).marks.len()
    };
    assert_eq!(marks(None), 0);
    assert_eq!(marks(Some(by.stamp.stamp)), 0);
    assert_eq!(
        marks(Some(record(3, "ada", 1, "valid", &mark).stamp.stamp)),
        1
    );
}

/// What was given back left out why something was decided, what was not taken, who meant and claimed
/// what, and cut every text at 160 letters.
#[test]
fn an_iteration_is_given_back_with_all_that_was_done_in_it() {
    let long = "because ".repeat(60);
    let deeds = [
        json!({ "do": "decide", "topic": "storage", "text": "one file", "question": "which?",
            "reason": long.trim(), "confidence_permille": 900,
            "rejected": [{ "option": "a database", "reason": "too large" }] }),
        json!({ "do": "claim", "topic": "src/store.rs", "lease_ms": 60_000 }),
        json!({ "do": "emit", "kind": "intent", "topic": "store", "text": "write it" }),
    ];
    let all = deeds.iter().enumerate();
    let all: Vec<RecordEvent> = all
        .map(|(at, deed)| record(at as u64, "ada", 1, "valid", deed))
        .collect();
    let mut chronicle = Chronicle::new(PhaseMap::default()).keeping(1);
    let mut plain = Chronicle::new(PhaseMap::default());
    for one in all.iter().rev().chain(&all) {
        chronicle.insert(one.clone());
        plain.insert(one.clone());
    }
    let chapter = chronicle.chapter(1);
    let kept: Vec<Digest> = chapter.deeds.iter().map(|one| one.record).collect();
    let made: Vec<Digest> = all.iter().map(|one| one.record).collect();
    assert_eq!(kept, made, "in the order of everything, each once");
    assert!(plain.chapter(1).deeds.is_empty());
    let text = whole(&chapter);
    for said in [
        long.trim(),
        "which?",
        "a database, since too large",
        "900",
        "src/store.rs",
        "write it",
    ] {
        assert!(text.contains(said), "{said} in {text}");
    }
    assert!(text.contains(&made[0].to_string()), "in full: {text}");
}
