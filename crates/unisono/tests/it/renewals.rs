//! Tokens that end while a network is cut: work goes on under renewed ones, a fence on the other side
//! ends them on every node after the heal, and nothing is renewed for longer than it may be.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{agree, alive};
use crate::faults::inject;
use crate::process::{Place, Process, until};
use crate::rights::Agent;

/// How long each token lives from now on, and until how long from now it may be renewed.
const LIFE: [&str; 4] = ["--life", "20s", "--renew-for", "45s"];
const SCOPE: [&str; 6] = ["--project", "main", "--file", "src/a.rs", "--phase", "1"];

fn id_of(place: &Place, node: &Process) -> String {
    let status = node.json(place, &["status"]);
    status["node"].as_str().unwrap().to_owned()
}

/// A node that joins, and is let renew tokens by the root.
fn joined_renewer(place: &Place) -> Process {
    place.join("n1", "n2", "far");
    let node = place.serve("n2", &[]);
    let id = id_of(place, &node);
    assert_eq!(node.stop(), 0);
    let mint = ["token", "mint", "renewer", "--data", "n1", "--for", &id];
    let token = place.json(&mint)["token"].as_str().unwrap().to_owned();
    std::fs::write(place.path("n2/renewer.token"), token).unwrap();
    place.serve("n2", &["--test-faults"])
}

/// Enrols an agent whose key the node holds, and says which agent that is.
fn held(place: &Place, node: &Process, name: &str) -> String {
    node.json(place, &["agent", "enrol", name, "--tier", "implementation"]);
    let agents = node.json(place, &["agent", "list"]);
    let mut agents = agents["agents"].as_array().unwrap().iter();
    let agent = agents.find(|one| one["name"] == name).unwrap();
    agent["agent"].as_str().unwrap().to_owned()
}

fn cut(nodes: [&Process; 2], ids: &[String; 2], word: &str) {
    assert_eq!(inject(nodes[0], &json!({ word: [ids[1]] })), 200);
    assert_eq!(inject(nodes[1], &json!({ word: [ids[0]] })), 200);
}

fn newest_end(place: &Place, node: &Process, agent: &str) -> u64 {
    let trust = node.json(place, &["token", "list"]);
    let tokens = trust["tokens"].as_array().unwrap().iter();
    let own = tokens.filter(|token| token["name"] == agent);
    own.map(|token| token["expires_ms"].as_u64().unwrap())
        .max()
        .unwrap()
}

fn voided(place: &Place, node: &Process) -> Vec<(Value, Value)> {
    let voided = node.json(place, &["voided"]);
    let voided = voided["voided"].as_array().unwrap().iter();
    voided
        .map(|one| (one["deed"].clone(), one["rule"].clone()))
        .collect()
}

#[test]
fn work_goes_on_in_a_cut_under_renewed_tokens_until_a_fence_or_their_last_time() {
    let place = Place::new();
    place.found("n1");
    let n1 = place.serve("n1", &["--test-faults"]);
    let n2 = joined_renewer(&place);
    n1.json(&place, &["state", "--create"]);
    for node in [&n1, &n2] {
        until("both are alive", || alive(&place, node) == 2);
    }
    let ids = [id_of(&place, &n1), id_of(&place, &n2)];
    let mut boss = Agent::new(&place, "boss");
    let mut ivy = Agent::new(&place, "ivy");
    let (boss_key, ivy_key) = (
        boss.enrol(&n1, "executive"),
        ivy.enrol(&n1, "implementation"),
    );
    until("the orchestra is known", || {
        n2.json(&place, &["orchestras"])
            .to_string()
            .contains("main")
    });
    let kim_key = held(&place, &n2, "kim");
    let mint = |tier: &str, to: &str, more: &[&str]| {
        let words = ["token", "mint", tier, "--data", "n1", "--for", to];
        let made = place.json(&[&words, &SCOPE[..], more].concat());
        made["token"].as_str().unwrap().to_owned()
    };
    boss.under(&mint("executive", &boss_key, &[]));
    let began = Instant::now();
    let narrow = [
        "token",
        "narrow",
        "boss.token",
        "implementation",
        "--for",
        &ivy_key,
    ];
    let narrow = [&narrow[..], &SCOPE, &LIFE, &["--key-file", "boss.key"]].concat();
    let first = place.json(&narrow);
    let (first, ends_ms) = (first["token"].as_str().unwrap(), &first["expires_ms"]);
    ivy.under(first);
    std::fs::write(place.path("first.token"), first).unwrap();
    std::fs::write(
        place.path("kim.token"),
        mint("implementation", &kim_key, &LIFE),
    )
    .unwrap();
    n2.json(&place, &["token", "present", "kim.token", "--as", "kim"]);
    n1.json(
        &place,
        &["guard", "--as", "root", "--key-file", "n1/root.key"],
    );
    boss.does(&n1, &["presence", "active"]);
    ivy.does(&n2, &["presence", "active"]);
    knows_the_guard(&place, &n2);
    cut([&n1, &n2], &ids, "block");

    while began.elapsed() < Duration::from_secs(24) {
        ivy.does(&n2, &["presence", "active"]);
        n2.json(&place, &["presence", "active", "--as", "kim"]);
        std::thread::sleep(Duration::from_secs(2));
    }
    // The first time of both is over, and each works on under a renewed one.
    let shown = place.json(&["token", "inspect", "ivy.token"]);
    assert_eq!(shown["renewed"]["renewer"], json!(ids[1]), "{shown}");
    let leaf = shown["links"].as_array().unwrap().last().unwrap().clone();
    assert!(leaf["expires_ms"].as_u64() > ends_ms.as_u64());
    let explained = place.run(&["token", "explain", "ivy.token"]).out;
    assert!(explained.contains("has renewed it"), "{explained}");
    let before = ["presence", "active", "--as", "ivy", "--key-file", "ivy.key"];
    let before = [&before[..], &["--token-file", "first.token"]].concat();
    assert_eq!(n2.fails(&place, 4, &before)["code"], "token_time");
    let late = n2.fails(&place, 4, &["token", "renew", "first.token"]);
    assert_eq!(late["code"], "token_time", "only before its end");

    // On the other side ivy's link is fenced, and here ivy goes on.
    let link = leaf["link"].as_str().unwrap();
    boss.does(&n1, &["fence", "--link", link, "--reason", "enough"]);
    ivy.does(&n2, &["claim", "door"]);
    cut([&n1, &n2], &ids, "unblock");
    let fenced = (json!("claim"), json!("token_fenced"));
    for node in [&n1, &n2] {
        until("what was done behind the fence is void", || {
            voided(&place, node).contains(&fenced)
        });
        assert_eq!(ivy.fails(node, &["presence", "active"]), "token_fenced");
    }
    let refused = n2.fails(&place, 4, &["token", "renew", "ivy.token"]);
    assert_eq!(refused["code"], "token_fenced");
    agree(&place, &[n1, n2]);
}

fn knows_the_guard(place: &Place, node: &Process) {
    until("the guard is known", || {
        let trust = node.json(place, &["trust"]);
        !trust["guarded_since"].is_null()
    });
}

#[test]
fn a_token_of_a_held_agent_is_renewed_to_its_last_time_and_no_further() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    node.json(&place, &["state", "--create"]);
    let kim = held(&place, &node, "kim");
    let began = Instant::now();
    let mint = [
        "token",
        "mint",
        "implementation",
        "--data",
        "n1",
        "--for",
        &kim,
    ];
    let made = place.json(&[&mint, &SCOPE[..], &["--life", "15s", "--renew-for", "30s"]].concat());
    std::fs::write(place.path("kim.token"), made["token"].as_str().unwrap()).unwrap();
    let last_ms = made["renew_until_ms"].as_u64().unwrap();
    node.json(&place, &["token", "present", "kim.token", "--as", "kim"]);
    node.json(
        &place,
        &["guard", "--as", "root", "--key-file", "n1/root.key"],
    );
    until("it was renewed as far as it may", || {
        newest_end(&place, &node, "kim") == last_ms
    });
    node.json(&place, &["presence", "active", "--as", "kim"]);
    while began.elapsed() < Duration::from_secs(31) {
        std::thread::sleep(Duration::from_millis(500));
    }
    let over = node.fails(&place, 4, &["presence", "active", "--as", "kim"]);
    assert_eq!(over["code"], "token_time");
    assert_eq!(newest_end(&place, &node, "kim"), last_ms);
}

#[test]
fn a_renewal_is_refused_with_its_reason() {
    let place = Place::new();
    let node = place.up();
    let ivy = Agent::new(&place, "ivy");
    let key = ivy.enrol(&node, "implementation");
    let mint = [
        "token",
        "mint",
        "implementation",
        "--data",
        "lab",
        "--for",
        &key,
    ];
    let never = place.json(&[&mint, &SCOPE[..], &["--renew-for", "never"]].concat());
    assert_eq!(never["renew_until_ms"], 0);
    let never = never["token"].as_str().unwrap().to_owned();
    let refused = node.fails(&place, 4, &["token", "renew", &never]);
    assert_eq!(refused["code"], "not_renewable");
    let short = [&mint, &SCOPE[..], &["--life", "1h", "--renew-for", "1s"]].concat();
    assert_eq!(place.fails(2, &short)["code"], "usage");
}
