//! Two orchestras on one node: what one needs the other offers, and a token for one does not reach
//! into the other.

use serde_json::{Value, json};

use crate::process::{Place, Process};

fn opened(place: &Place) -> Process {
    let node = place.up();
    let (status, told) = node.post("/v1/orchestras", &json!({ "name": "library" }));
    assert_eq!(status, 200, "{told}");
    node
}

fn of(node: &Process, place: &Place, orchestra: &str, words: &[&str]) -> Value {
    let mut all = words.to_vec();
    all.extend(["--orchestra", orchestra]);
    node.json(place, &all)
}

#[test]
fn what_one_orchestra_needs_another_offers() {
    let place = Place::new();
    let node = opened(&place);
    for orchestra in ["main", "library"] {
        for agent in ["ada", "bob"] {
            of(&node, &place, orchestra, &["agent", "enrol", agent]);
        }
    }
    let need = ["emit", "need", "index", "who has it?", "--as", "ada"];
    let to = |orchestra: &'static str| ["--to-orchestra", orchestra];
    of(&node, &place, "main", &[&need[..], &to("library")].concat());
    let there = of(&node, &place, "library", &["sense"]);
    assert_eq!(there["signals"][0]["from_orchestra"], "main", "{there}");
    assert_eq!(there["signals"][0]["name"], "ada");
    let here = of(&node, &place, "main", &["sense"]);
    assert_eq!(here["signals"][0]["to_orchestra"], "library", "{here}");

    let mark = ["mark", "make", "built", "--as", "bob"];
    let mark = of(&node, &place, "library", &mark)["record"].clone();
    let offer = [
        "emit",
        "offer",
        "index",
        "here",
        "--as",
        "bob",
        "--evidence",
    ];
    let proof = [mark.as_str().unwrap()];
    let offer = [&offer[..], &proof, &to("main")].concat();
    of(&node, &place, "library", &offer);
    let here = of(&node, &place, "main", &["sense", "--as", "ada"]);
    let first = &here["signals"][0];
    assert_eq!(
        (&first["kind"], &first["name"]),
        (&json!("offer"), &json!("bob"))
    );
    assert_eq!(first["from_orchestra"], "library");

    // Nobody knows this one there: nothing changed anywhere.
    of(&node, &place, "main", &["agent", "enrol", "cyd"]);
    let asked = [&["emit", "need", "more", "--as", "cyd"][..], &to("library")].concat();
    let failed = node.fails(&place, 3, &asked);
    assert!(
        failed["error"].as_str().unwrap().contains("in library"),
        "{failed}"
    );
    let here = of(&node, &place, "main", &["sense", "more"]);
    assert_eq!(here["signals"], json!([]));
    let itself = [&["emit", "need", "more", "--as", "ada"][..], &to("main")].concat();
    assert_eq!(node.fails(&place, 2, &itself)["code"], "malformed");
}

#[test]
fn a_token_for_one_orchestra_does_not_reach_into_another() {
    let place = Place::new();
    let node = opened(&place);
    let key = ["--as", "ivy", "--key-file", "ivy.key"];
    let enrol = [
        "agent",
        "enrol",
        "ivy",
        "--key-file",
        "ivy.key",
        "--tier",
        "implementation",
    ];
    let id = node.json(&place, &enrol)["agent"].clone();
    let mint = [
        "token",
        "mint",
        "implementation",
        "--data",
        "lab",
        "--project",
        "main",
        "--for",
    ];
    let mint = [&mint[..], &[id.as_str().unwrap()]].concat();
    let token = place.json(&mint)["token"].clone();
    std::fs::write(place.path("ivy.token"), token.as_str().unwrap()).unwrap();
    let root = ["guard", "--as", "root", "--key-file", "lab/root.key"];
    for orchestra in ["main", "library"] {
        of(&node, &place, orchestra, &root);
    }
    let need = ["emit", "need", "index", "--token-file", "ivy.token"];
    node.json(&place, &[&need[..], &key].concat());
    let across = [&need[..], &key, &["--to-orchestra", "library"]].concat();
    let failed = node.fails(&place, 4, &across);
    assert_eq!(failed["code"], "not_allowed");
    let words = failed.to_string();
    assert!(
        words.contains("to write in main"),
        "it names what is allowed: {words}"
    );
    let there = of(&node, &place, "library", &["sense"]);
    assert_eq!(there["signals"], json!([]));
}
