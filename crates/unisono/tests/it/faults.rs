//! Faults on demand, and that nobody has them who did not ask.

use serde_json::{Value, json};

use crate::cluster::{agree, three};
use crate::process::{Place, Process, free_address, until};

/// Sends a body to the test endpoint; gives the status.
pub(crate) fn inject(node: &Process, body: &Value) -> u16 {
    node.post("/v1/test/faults", body).0
}

#[test]
fn the_endpoint_is_not_there_unless_asked_for() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    assert_eq!(inject(&node, &json!({})), 404);
}

#[test]
fn both_sides_of_a_cut_go_on_and_agree_after_it() {
    let place = Place::new();
    let nodes = three(&place, &["--test-faults"]);
    nodes[0].json(&place, &["agent", "enrol", "ada"]);
    nodes[2].json(&place, &["agent", "enrol", "cyd"]);
    let ids: Vec<Value> = nodes
        .iter()
        .map(|node| node.json(&place, &["status"])["node"].clone())
        .collect();
    assert_eq!(
        inject(&nodes[2], &json!({ "block": [ids[0], ids[1]] })),
        200
    );
    let near = nodes[0].json(&place, &["claim", "door", "--as", "ada"]);
    let far = nodes[2].json(&place, &["claim", "door", "--as", "cyd"]);
    for claim in [&near, &far] {
        assert_eq!(
            claim["claim"]["status"], "provisional",
            "nobody knows of the other side"
        );
    }
    assert_eq!(
        inject(&nodes[2], &json!({ "unblock": [ids[0], ids[1]] })),
        200
    );
    agree(&place, &nodes);
    let holder = |node: &Process| node.json(&place, &["claim"])["claims"][0]["holder"].clone();
    until("one holder", || {
        nodes.iter().all(|node| holder(node) == holder(&nodes[0]))
    });
}

#[test]
fn a_node_that_is_made_anew_begins_another_life_and_serves_on() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &["--test-faults"]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    let life = node.json(&place, &["status"])["incarnation"].clone();
    assert_eq!(inject(&node, &json!({ "sabotage": ["unheard-of"] })), 400);
    assert_eq!(
        inject(&node, &json!({ "sabotage": ["cursor-ignored"] })),
        200
    );
    until("another life", || {
        node.json(&place, &["status"])["incarnation"] != life
    });
    node.json(&place, &["claim", "door", "--as", "ada"]);
    assert_eq!(
        node.json(&place, &["agent", "list"])["agents"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(node.pid() > 0);
    assert_eq!(node.stop(), 0);
}

/// Value and writer had been swapped on the way to the answer, and a note asked for as of a time
/// came with today's text.
#[test]
fn settings_of_both_sides_are_shown_with_their_values_and_not_as_of_a_time() {
    let place = Place::new();
    let nodes = three(&place, &["--test-faults"]);
    nodes[0].json(&place, &["agent", "enrol", "ada"]);
    nodes[2].json(&place, &["agent", "enrol", "cyd"]);
    let id = |node: &Process| node.json(&place, &["status"])["node"].clone();
    let others = [id(&nodes[0]), id(&nodes[1])];
    assert_eq!(inject(&nodes[2], &json!({ "block": others })), 200);
    let set = |node: &Process, value: &str, by: &str| {
        node.json(&place, &["conf", "set", "colour", value, "--as", by]);
    };
    set(&nodes[0], "red", "ada");
    set(&nodes[2], "blue", "cyd");
    assert_eq!(inject(&nodes[2], &json!({ "unblock": others })), 200);
    let shown = || nodes[1].json(&place, &["conf", "get"])["config"][0]["concurrent"].clone();
    until("both values", || {
        shown().as_array().is_some_and(|all| all.len() == 2)
    });
    let values: Vec<Value> = shown()
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["value"].clone())
        .collect();
    assert!(
        values.contains(&json!("red")) && values.contains(&json!("blue")),
        "{values:?}"
    );
    nodes[0].json(&place, &["note", "set", "plan", "today", "--as", "ada"]);
    let past = ["note", "show", "plan", "--as-of", "2026-01-01T00:00:00Z"];
    assert_eq!(nodes[0].fails(&place, 3, &past)["code"], "too_old");
    for command in ["members", "clock", "status"] {
        let present = [command, "--as-of", "2026-01-01T00:00:00Z"];
        assert_eq!(nodes[0].fails(&place, 2, &present)["code"], "usage");
    }
    for path in ["/v1/status", "/v1/members", "/v1/orchestras"] {
        let (status, told) = nodes[0].get(&format!("{path}?as_of=2026-01-01T00:00:00Z"));
        assert_eq!(status, 404, "{path}: {told}");
        assert!(told.contains("too_old"), "{path}: {told}");
    }
}

/// A step of an hour that lasted a moment: what the node acknowledged after it was back was seen by
/// nobody else for an hour.
#[test]
fn a_node_that_has_stamped_an_hour_ahead_says_so_and_takes_no_writes() {
    let place = Place::new();
    place.found("a");
    let peer = free_address();
    let node = place.start("serve", "a", "127.0.0.1:0", &peer, &["--test-faults"]);
    let node = node.expect("it serves");
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "ada"]);
    place.join("a", "b", "clara");
    let step = |ms: u64| assert_eq!(inject(&node, &json!({ "clock_offset_ms": ms })), 200);
    step(3_600_000);
    node.json(&place, &["claim", "door", "--as", "ada"]);
    step(0);
    // Alone it writes on, and says how it is; but whoever it admitted would wait for an hour.
    node.json(&place, &["mark", "make", "alone", "--as", "ada"]);
    let status = || node.json(&place, &["status"]);
    assert!(status()["stamps_ahead_ms"].as_u64().unwrap() > 3_500_000);
    let other = place.serve("b", &[]);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(status()["members"].as_array().unwrap().len(), 1);
    step(3_590_000);
    until("the other is a member", || {
        status()["members"].as_array().unwrap().len() == 2
    });
    step(0);
    let refused = node.fails(&place, 6, &["claim", "window", "--as", "ada"]);
    assert_eq!(
        (&refused["code"], &refused["changed"]),
        (&json!("clock_off"), &json!(false))
    );
    drop(other);
    let words = refused["error"].as_str().unwrap();
    assert!(words.contains("ahead"), "{words}");
    // Reads go on, and what it has acknowledged is there.
    assert_eq!(node.json(&place, &["claim"])["claims"][0]["topic"], "door");
    // A step that others hardly notice refuses nobody.
    assert_eq!(inject(&node, &json!({ "clock_offset_ms": 3_580_000 })), 200);
    node.json(&place, &["claim", "window", "--as", "ada"]);
}
