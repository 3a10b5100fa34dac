//! A story on real nodes: two agents on both sides of a cut claim a glob and a file under it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{agree, three};
use crate::faults::inject;
use crate::following::Following;
use crate::process::{Place, Process, until};

/// Follows what is new as an agent: gives the first event of a kind.
fn told(node: &Process, agent: &str, kind: &str) -> std::thread::JoinHandle<Value> {
    let address = node.url.trim_start_matches("http://").to_owned();
    let (agent, kind) = (agent.to_owned(), format!("event: {kind}"));
    std::thread::spawn(move || {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let request = format!(
            "GET /v1/orchestras/main/events?after=now&as={agent} HTTP/1.1\r\nhost: {address}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut right = false;
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            if line.starts_with("event: ") {
                right = line == kind;
            }
            if let Some(data) = line.strip_prefix("data: ").filter(|_| right) {
                return serde_json::from_str(data).unwrap();
            }
        }
        panic!("the stream ended before {kind}");
    })
}

#[test]
fn two_sides_of_a_cut_get_in_each_others_way_and_one_resolves_it() {
    let place = Place::new();
    let nodes = three(&place, &["--test-faults"]);
    nodes[0].json(&place, &["agent", "enrol", "ada"]);
    nodes[2].json(&place, &["agent", "enrol", "cyd"]);
    agree(&place, &nodes);
    let ids: Vec<Value> = nodes
        .iter()
        .map(|node| node.json(&place, &["status"])["node"].clone())
        .collect();
    let cut = json!({ "block": [ids[0], ids[1]] });
    assert_eq!(inject(&nodes[2], &cut), 200);
    nodes[0].json(&place, &["claim", "src/auth/**", "--as", "ada"]);
    nodes[2].json(&place, &["claim", "src/auth/login.rs", "--as", "cyd"]);
    let alone = nodes[2].json(&place, &["interference", "list"]);
    assert_eq!(alone["open"], 0, "nobody knows of the other side: {alone}");

    let heard = [
        told(&nodes[0], "ada", "interference"),
        told(&nodes[2], "cyd", "interference"),
    ];
    let heal = json!({ "unblock": [ids[0], ids[1]] });
    assert_eq!(inject(&nodes[2], &heal), 200);
    let heard = heard.map(|heard| heard.join().unwrap());
    assert_eq!(heard[0]["id"], heard[1]["id"], "one name on both sides");
    assert_eq!(
        (&heard[0]["kind"], &heard[0]["blocking"]),
        (&json!("overlap"), &json!(true))
    );
    let id = heard[0]["id"].as_str().unwrap();
    agree(&place, &nodes);
    for node in &nodes {
        let listed = node.json(&place, &["interference", "list", "--as", "ada"]);
        assert_eq!(
            (&listed["open"], &listed["interferences"][0]["id"]),
            (&json!(1), &json!(id))
        );
    }
    let coherence = nodes[1].json(&place, &["coherence"]);
    assert_eq!(
        coherence["score"], 900,
        "of two agents the later one must yield: {coherence}"
    );
    let brief = nodes[0].json(&place, &["continue", "--as", "ada", "--max-tokens", "300"]);
    let text = brief["markdown"].as_str().unwrap();
    assert!(
        text.contains("cyd (src/auth/login.rs)") && text.contains(id),
        "{text}"
    );
    assert!(brief["tokens"].as_u64().unwrap() <= 300, "{brief}");

    let way = Following::of(
        &place,
        &nodes[0],
        &["interference", "follow", "--as", "ada"],
    );
    let next = || way.within(Duration::from_secs(60)).expect("a line");
    assert_eq!(next()["id"], id, "what stands is told at once");
    let said = [
        "interference",
        "resolve",
        id,
        "synthesis",
        "one module for both",
        "--as",
        "cyd",
    ];
    let made = nodes[2].json(&place, &said);
    let cursor = made["cursor"].as_str().unwrap();
    until("ada's node knows how it was resolved", || {
        let listed = nodes[0].json(&place, &["interference", "--min-cursor", cursor]);
        listed["open"] == 0 && listed["interferences"][0]["resolution"]["name"] == "cyd"
    });
    assert_eq!(next()["resolution"]["outcome"], "one module for both");
    let again = [
        "interference",
        "resolve",
        id,
        "defer",
        "--as",
        "ada",
        "--min-cursor",
        cursor,
    ];
    let refused = nodes[0].fails(&place, 5, &again);
    assert_eq!(refused["code"], "interference_resolved", "{refused}");
    let new = nodes[0].json(&place, &["continue", "--as", "ada", "--since", cursor]);
    assert_eq!(
        new["lines"].as_array().unwrap().len(),
        1,
        "nothing is new: {new}"
    );
    nodes[2].json(&place, &["release", "src/auth/login.rs", "--as", "cyd"]);
    assert_eq!(next()["over"], id, "it is told when it is over");
    agree(&place, &nodes);
    let ended = nodes[1].json(&place, &["interference", "list"]);
    assert_eq!(
        ended["interferences"],
        json!([]),
        "it ends with one of its sides"
    );
    let gone = nodes[0].fails(&place, 3, &again);
    assert_eq!(gone["code"], "interference_unknown", "{gone}");
}

/// Drift was worked out when somebody asked: who did not ask was not told that agents had come apart.
#[test]
fn whoever_follows_coherence_is_told_each_drift_as_it_begins_and_ends() {
    let place = Place::new();
    let node = place.up();
    let ask = |words: &[&str]| node.json(&place, words);
    for name in ["ada", "cyd"] {
        ask(&["agent", "enrol", name]);
    }
    let words = ["emit", "intent", "login", "the login form and its checks"];
    ask(&[&words[..], &["--as", "ada"]].concat());
    let following = Following::of(&place, &node, &["coherence", "--follow"]);
    let next = || following.within(Duration::from_secs(60)).expect("a line");
    let first = next();
    assert_eq!(
        (&first["score"], &first["begun"]),
        (&json!(1_000), &json!([])),
        "{first}"
    );
    ask(&[&words[..], &["--as", "cyd"]].concat());
    let begun = next();
    assert_eq!(begun["begun"][0]["kind"], "intent_collision", "{begun}");
    assert_eq!(
        begun["begun"][0]["agents"],
        json!(["ada", "cyd"]),
        "{begun}"
    );
    assert_eq!(begun["score"], 900, "both collide: {begun}");
    // Who comes now is told what stands.
    let late = Following::of(&place, &node, &["coherence", "--follow"]);
    let told = late.within(Duration::from_secs(60)).expect("a line");
    assert_eq!(told["begun"], begun["begun"]);
    let found = ask(&["interference"]);
    let id = found["interferences"][0]["id"].as_str().unwrap();
    ask(&[
        "interference",
        "resolve",
        id,
        "merge",
        "one form",
        "--as",
        "ada",
    ]);
    let ended = next();
    assert_eq!(ended["ended"], begun["begun"], "{ended}");
    assert_eq!(
        (&ended["score"], &ended["begun"]),
        (&json!(1_000), &json!([]))
    );
    let mark = ask(&["interference"])["interferences"][0]["resolution"]["mark"].clone();
    assert!(mark.is_string(), "the command made a mark that proves it");
}
