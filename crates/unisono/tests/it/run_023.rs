//! Run 023 on real nodes: every step of the trace, on one node and on three of which one is cut off.

use serde_json::Value;

use crate::process::{Place, Said};

/// Plays it; gives the exit code and the answer.
fn play(more: &[&str]) -> (Said, Value) {
    let mut words = vec!["demo", "run-023", "-o", "json"];
    words.extend(more);
    let said = Place::new().run(&words);
    let answer = serde_json::from_str(&said.out);
    let answer = answer.unwrap_or_else(|error| panic!("{error}: {}\n{}", said.out, said.err));
    (said, answer)
}

/// What was checked after steps that begin like this, in the order of the story.
fn checked<'a>(answer: &'a Value, who: &str, does: &str) -> Vec<&'a str> {
    let steps = answer["steps"].as_array().unwrap();
    let steps = steps
        .iter()
        .filter(|step| step["who"] == who && step["does"].as_str().unwrap().starts_with(does));
    steps
        .flat_map(|step| step["checks"].as_array().unwrap())
        .map(|check| check["what"].as_str().unwrap())
        .collect()
}

/// The steps of the trace, in its order; who does what.
const TRACE: [(u64, &str, &str); 23] = [
    (1, "creative", "senses"),
    (
        1,
        "creative",
        "emits INTENT \"Mood board and architecture\"",
    ),
    (1, "creative", "works: mood-board"),
    (1, "creative", "emits OFFER \"mood-board\""),
    (1, "adversarial", "senses"),
    (
        1,
        "adversarial",
        "emits INTENT \"Analyzing architecture options\"",
    ),
    (1, "adversarial", "works: spec-analysis"),
    (1, "adversarial", "emits OFFER \"spec-analysis\""),
    (1, "orchestra", "looks for drift"),
    (1, "creative", "decides DD-1 and DD-2"),
    (1, "adversarial", "ends iteration 1"),
    (2, "creative", "senses"),
    (2, "creative", "works: component-interfaces"),
    (7, "player", "senses"),
    (7, "player", "plays"),
    (
        7,
        "player",
        "emits NEED \"balance broken\" urgency=blocking",
    ),
    (7, "creative", "senses"),
    (7, "creative", "YIELDS"),
    (
        7,
        "creative",
        "resolves: \"Adding debug death key + damage cap\"",
    ),
    (7, "creative", "continues to work"),
    (7, "player", "senses"),
    (7, "player", "advises"),
    (7, "orchestra", "looks for drift"),
];

fn follows_the_trace(answer: &Value) {
    let mut steps = answer["steps"].as_array().unwrap().iter();
    for (iteration, who, does) in TRACE {
        let found = steps.any(|step| {
            step["iteration"] == iteration
                && step["who"] == who
                && step["does"].as_str().unwrap().starts_with(does)
        });
        assert!(found, "in its order: {iteration} {who} {does}: {answer:#}");
    }
}

#[test]
fn every_step_of_the_trace_holds_on_one_node() {
    let (said, answer) = play(&["--nodes", "1"]);
    assert_eq!(said.code, 0, "{answer:#}\n{}", said.err);
    assert_eq!(
        (&answer["ok"], answer["nodes"].as_u64()),
        (&true.into(), Some(1))
    );
    follows_the_trace(&answer);
    assert_eq!(
        checked(&answer, "creative", "YIELDS"),
        [
            "paris says that CREATIVE yields to this one need",
            "paris says that ADVERSARIAL does not"
        ]
    );
    assert_eq!(answer["checks"], 56, "{}", said.err);
}

#[test]
fn every_step_of_the_trace_holds_on_three_nodes_of_which_one_is_cut_off() {
    let (said, answer) = play(&[]);
    assert_eq!(said.code, 0, "{answer:#}\n{}", said.err);
    assert_eq!(
        (&answer["ok"], answer["nodes"].as_u64()),
        (&true.into(), Some(3))
    );
    follows_the_trace(&answer);
    assert_eq!(
        checked(&answer, "creative", "senses, beyond the cut"),
        [
            "nothing that it can know of names it: it works",
            "it is not held up by a player who cannot answer",
            "tokyo does not know what is made meanwhile",
            "paris does not know of the need"
        ]
    );
    assert_eq!(checked(&answer, "creative", "YIELDS").len(), 6);
    assert_eq!(answer["checks"], 118, "{}", said.err);
}

#[test]
fn a_broken_rule_is_found_at_its_step() {
    // Nodes that do not wait for what an agent has seen elsewhere.
    let (said, answer) = play(&["--sabotage", "cursor-ignored"]);
    assert_eq!(said.code, 1, "{answer:#}\n{}", said.err);
    assert_eq!(answer["ok"], false);
    let failed = answer["failed"].as_array().unwrap();
    let failed: Vec<&str> = failed.iter().map(|one| one.as_str().unwrap()).collect();
    assert!(
        failed
            .iter()
            .any(|one| one.starts_with("tokyo shows the OFFER")),
        "{failed:?}"
    );
}
