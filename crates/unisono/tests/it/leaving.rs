//! A member that leaves: its process ends by itself, nothing of it is lost, nobody waits for it; and
//! nobody but the owner of its directory can bring that about.

use serde_json::json;

use crate::cluster::three;
use crate::process::{Place, until};

/// A claim's words; confirmed within five seconds, or not.
fn claim(topic: &str, agent: &str) -> Vec<String> {
    let words = [
        "claim",
        topic,
        "--as",
        agent,
        "--confirm",
        "--wait-ms",
        "5000",
    ];
    words.map(str::to_owned).to_vec()
}

#[test]
fn a_node_that_left_ends_and_keeps_nobody_waiting() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    n3.json(&place, &["agent", "enrol", "cyd"]);
    n1.json(&place, &["agent", "enrol", "ada"]);
    let last = n3.json(&place, &["task", "create", "late", "--as", "cyd"]);
    let forged = json!({ "at_ms": 0, "hand_to": 0, "signature": "AAAA" });
    let (status, refused) = n3.post("/v1/leave", &forged);
    assert_eq!(
        (status, &refused["code"]),
        (422, &json!("bad_signature")),
        "{refused}"
    );

    let data = place.path("n3");
    let data = data.to_str().unwrap();
    let left = place.json(&["leave", "--data", data]);
    assert_eq!(
        (&left["ends"], &left["wanted"]),
        (&json!(true), &json!(2)),
        "{left}"
    );
    assert_eq!(n3.ended(), 0, "its process ends by itself");
    let again = place.json(&["leave", "--data", data]);
    assert_eq!(again["already"], true, "{again}");
    assert_eq!(n3_doctor(&place)["what"], "membership");

    // What it took last is with the others, and they confirm without it.
    let cursor = last["cursor"].as_str().unwrap();
    let task = n1.json(&place, &["task", "show", "late", "--min-cursor", cursor]);
    assert_eq!(task["status"], "open");
    let words = claim("door", "ada");
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    assert_eq!(n1.json(&place, &words)["claim"]["status"], "confirmed");
    let members = n2.json(&place, &["members"]);
    let gone = members["members"].as_array().unwrap();
    assert_eq!(
        gone.iter().filter(|member| member["left"] == true).count(),
        1
    );

    // Served again it comes back.
    let n3 = place.serve("n3", &[]);
    until("it is a member again", || {
        let members = n1.json(&place, &["members"]);
        let members = members["members"].as_array().unwrap();
        members.iter().all(|member| member["left"] == false)
    });
    until("it takes requests again", || {
        let done = place.run(&["--node", &n3.url, "emit", "need", "index", "--as", "cyd"]);
        done.code == 0
    });
}

#[test]
fn the_last_member_and_one_that_does_not_run_cannot_leave() {
    let place = Place::new();
    place.found("n1");
    let data = place.path("n1");
    let data = data.to_str().unwrap();
    let refused = place.fails(6, &["leave", "--data", data]);
    assert_eq!(refused["code"], "not_running");
    let n1 = place.serve("n1", &[]);
    let refused = place.fails(4, &["leave", "--data", data]);
    assert_eq!(
        refused["code"], "keys_here",
        "nobody could be let in any more"
    );
    let refused = place.fails(5, &["leave", "--data", data, "--keys-are-kept"]);
    assert_eq!(refused["code"], "last_member");
    assert_eq!(n1.stop(), 0);
}

/// What the doctor of `n3` finds first.
fn n3_doctor(place: &Place) -> serde_json::Value {
    let said = place.run(&["doctor", "--data", "n3", "-o", "json"]);
    let told: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    told["findings"][0].clone()
}
