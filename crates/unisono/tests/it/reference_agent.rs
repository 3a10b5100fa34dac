//! The reference agent of the client library goes through its whole loop against a real node.

#[path = "../../../api/examples/agent.rs"]
mod agent;

use agent::Errand;

use crate::process::Place;

#[test]
fn the_reference_agent_works_yields_and_completes() {
    let place = Place::new();
    let node = place.up();
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "eve"]);
    ask(&[
        "settings",
        "set",
        "need_patience_ms=1",
        "iteration_last=1",
        "--as",
        "eve",
    ]);
    for task in ["one", "two"] {
        ask(&["task", "create", task, "--title", task, "--as", "eve"]);
    }
    // Somebody else has the second one.
    ask(&["claim", "two", "--as", "eve"]);
    let errand = |rounds_max| Errand {
        node: node.url.clone(),
        orchestra: "main".to_owned(),
        name: "ada".to_owned(),
        rounds_max,
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let report = runtime.block_on(agent::run(errand(2))).unwrap();
    assert_eq!(report.closed, ["one"], "what somebody else holds is theirs");
    let task = ask(&["task", "show", "one"]);
    assert_eq!(task["status"], "closed");
    let offered = ask(&["sense", "one"]);
    assert_eq!(offered["signals"][0]["evidence"], task["evidence"]);

    // Somebody needs a task that the agent has: it yields, answers, and goes on.
    ask(&["task", "create", "three", "--title", "three", "--as", "eve"]);
    let assigned = ["--status", "in_progress", "--assignee", "ada"];
    ask(&[&["task", "set", "three", "--as", "eve"][..], &assigned].concat());
    let need = [
        "emit",
        "need",
        "three",
        "when?",
        "--urgency",
        "blocking",
        "--as",
        "eve",
    ];
    ask(&need);
    let flow = ask(&["flow", "--as", "ada"]);
    assert_eq!(flow["yields_to"][0]["named_by"], "task", "{flow}");
    let report = runtime.block_on(agent::run(errand(2))).unwrap();
    assert_eq!(report.yielded_to, ["three"]);
    let listed = ask(&["interference", "list"]);
    assert_eq!(
        listed["interferences"][0]["resolution"]["outcome"],
        "three comes next"
    );

    ask(&["iteration", "advance", "--as", "eve"]);
    let report = runtime.block_on(agent::run(errand(9))).unwrap();
    assert!(report.complete, "the last iteration is over");
}
