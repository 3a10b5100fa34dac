//! An agent's key is given up for another one, as an operator does it: the next key is on disk
//! before anything is sent, the same command again does no harm, and what the former key signs is
//! refused everywhere.

use serde_json::json;

use crate::cluster::{agree, three};
use crate::process::{Place, until};
use crate::rights::Agent;

#[test]
fn an_operator_gives_an_agent_a_new_key_in_a_guarded_orchestra() {
    let place = Place::new();
    let nodes = three(&place, &[]);
    let [n1, n2, n3] = &nodes;
    let mut ivy = Agent::new(&place, "ivy");
    let first = ivy.enrol(n1, "executive");
    let mint = [
        "token",
        "mint",
        "executive",
        "--project",
        "main",
        "--data",
        "n1",
        "--for",
        &first,
    ];
    ivy.under(place.json(&mint)["token"].as_str().unwrap());
    let guard = ["guard", "--as", "root", "--key-file", "n1/root.key"];
    n1.json(&place, &guard);
    ivy.does(n1, &["claim", "door"]);

    let rotate = ["agent", "rotate", "ivy", "--key-file", "ivy.key"];
    let told = n1.json(&place, &rotate);
    assert_eq!(told["former"], json!(first));
    assert_eq!(told["key_file"], "ivy.key.next");
    let next = told["key"].as_str().unwrap().to_owned();
    // The same once more: nothing is done twice, and the key in the file stays.
    let again = n1.json(&place, &rotate);
    assert_eq!(
        (&again["key"], &again["record"]),
        (&json!(next), &json!(null))
    );

    let under = |key: &'static str, words: &[&'static str]| {
        let more = [
            "--as",
            "ivy",
            "--key-file",
            key,
            "--token-file",
            "ivy.token",
        ];
        [words, &more].concat()
    };
    let refused = n1.fails(&place, 4, &under("ivy.key", &["presence", "active"]));
    assert_eq!(refused["code"], "key_rotated");
    agree(&place, &nodes);
    // The token of the former key is the next one's, at another node too, and so is the claim.
    let renewed = n2.json(&place, &under("ivy.key.next", &["renew", "door"]));
    assert_eq!(renewed["claim"]["holder"], "ivy", "{renewed}");
    let refused = n3.fails(&place, 4, &under("ivy.key", &["presence", "active"]));
    assert_eq!(refused["code"], "key_rotated");
    until("all show one agent", || {
        nodes.iter().all(|node| {
            let agents = node.json(&place, &["agent", "list"]);
            let agents = agents["agents"].as_array().unwrap();
            let mut ivy = agents.iter().filter(|one| one["name"] == "ivy");
            let shown = ivy.next().unwrap();
            shown["key"] == json!(next) && shown["agent"] == json!(first) && ivy.next().is_none()
        })
    });
    agree(&place, &nodes);
}

#[test]
fn a_rotation_that_cannot_be_says_why_and_changes_nothing() {
    let place = Place::new();
    let node = place.up();
    node.json(&place, &["agent", "enrol", "kim"]);
    let held = node.fails(&place, 2, &["agent", "rotate", "kim"]);
    assert!(
        held["hint"].as_str().unwrap().contains("a node holds"),
        "{held}"
    );
    let missing = ["agent", "rotate", "ivy", "--key-file", "ivy.key"];
    node.fails(&place, 1, &missing);
    assert!(
        !place.path("ivy.key").exists(),
        "no key was drawn for an agent that is none"
    );
    let ivy = Agent::new(&place, "ivy");
    ivy.enrol(&node, "validation");
    // Itself, a stranger's name, a file that others can read, and a key that is somebody's.
    let itself = [&missing[..], &["--key-out", "ivy.key"]].concat();
    assert_eq!(node.fails(&place, 2, &itself)["code"], "usage");
    let stranger = ["agent", "rotate", "eve", "--key-file", "ivy.key"];
    assert_eq!(node.fails(&place, 2, &stranger)["code"], "malformed");
    let eve = Agent::new(&place, "eve");
    eve.enrol(&node, "validation");
    let taken = [&missing[..], &["--key-out", "eve.key"]].concat();
    assert_eq!(node.fails(&place, 5, &taken)["code"], "key_taken");
    assert!(
        place.path("eve.key").exists(),
        "a key that was there before is somebody's"
    );
    assert!(
        !place.path("ivy.key.next").exists(),
        "a key that was drawn for a rotation that was refused is nobody's"
    );
    // A key that is enrolled nowhere gives nothing up.
    std::fs::write(place.path("nobody.key"), format!("{:064x}\n", 7)).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(place.path("nobody.key"), mode).unwrap();
    let nobodys = ["agent", "rotate", "ivy", "--key-file", "nobody.key"];
    let nobodys = [&nobodys[..], &["--key-out", "x.key"]].concat();
    node.fails(&place, 2, &nobodys);
    // A half-written key from a crash is no key, and none is sent.
    std::fs::write(place.path("torn.key"), "ab").unwrap();
    let torn = [&missing[..], &["--key-out", "torn.key"]].concat();
    node.fails(&place, 1, &torn);
    let agents = node.json(&place, &["agent", "list"]);
    let agents = agents["agents"].as_array().unwrap();
    assert!(
        agents.iter().all(|one| one["key"] == one["agent"]),
        "{agents:?}"
    );
}
