//! A node gets another key: it leaves and is a member anew under its name, agents whose keys it holds
//! stay who they are, whoever has the former key is turned away, and a call that was broken off is
//! given again.

use serde_json::{Value, json};

use crate::cluster::{agree, alive, three};
use crate::process::{Place, Process, until};

fn invite(place: &Place, from: &str) -> String {
    let made = place.json(&["invite", "--data", from]);
    made["invite"].as_str().unwrap().to_owned()
}

fn id(place: &Place, node: &Process) -> String {
    let status = node.json(place, &["status"]);
    status["node"].as_str().unwrap().to_owned()
}

/// What the doctor says of the third node's directory.
fn doctored(place: &Place) -> String {
    place.run(&["doctor", "--data", "n3", "-o", "json"]).out
}

/// What a node shows of a member.
fn member(place: &Place, node: &Process, id: &str) -> Value {
    let members = node.json(place, &["members"]);
    let members = members["members"].as_array().unwrap();
    let found = members.iter().find(|member| member["node"] == json!(id));
    found.cloned().unwrap_or_default()
}

/// What a node shows of the one agent of a name; nothing where it has not heard of it yet.
fn agent(place: &Place, node: &Process, orchestra: &str, name: &str) -> Value {
    let list = ["agent", "list", "--orchestra", orchestra, "-o", "json"];
    let said = place.run(&[&["--node", node.url.as_str()], &list[..]].concat());
    let agents: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let agents = agents["agents"].as_array().cloned().unwrap_or_default();
    let mut named = agents.iter().filter(|one| one["name"] == json!(name));
    let one = named.next().cloned().unwrap_or_default();
    assert!(named.next().is_none(), "one agent of the name: {agents:?}");
    one
}

/// An agent in a guarded orchestra, with a token, whose key n3 holds.
fn guarded(place: &Place, n1: &Process, n3: &Process) -> String {
    n3.json(place, &["state", "--create", "--orchestra", "side"]);
    let enrol = [
        "agent",
        "enrol",
        "dot",
        "--tier",
        "validation",
        "--orchestra",
        "side",
    ];
    n3.json(place, &enrol);
    let dot = agent(place, n3, "side", "dot")["agent"].clone();
    let dot = dot.as_str().unwrap().to_owned();
    let mint = ["token", "mint", "validation", "--data", "n1", "--for", &dot];
    let token = place.json(&mint)["token"].as_str().unwrap().to_owned();
    std::fs::write(place.path("dot.token"), token).unwrap();
    let present = [
        "token",
        "present",
        "dot.token",
        "--as",
        "dot",
        "--orchestra",
        "side",
    ];
    n3.json(place, &present);
    until("the orchestra is known at the other node", || {
        agent(place, n1, "side", "dot")["name"] == "dot"
    });
    let guard = [
        "guard",
        "--as",
        "root",
        "--key-file",
        "n1/root.key",
        "--orchestra",
        "side",
    ];
    n3.json(place, &guard);
    dot
}

#[test]
fn a_node_takes_another_key_and_its_agents_stay_who_they_are() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    n3.json(&place, &["agent", "enrol", "cyd"]);
    let claimed = n3.json(&place, &["claim", "door", "--as", "cyd"]);
    n3.json(&place, &["task", "create", "before", "--as", "cyd"]);
    let dot = guarded(&place, &n1, &n3);
    let cyd = agent(&place, &n3, "main", "cyd");
    assert_eq!(cyd["agent"], cyd["key"]);
    let former = id(&place, &n3);

    let rotate = ["node", "rotate", "--data", "n3"];
    let refused = place.fails(2, &rotate);
    assert_eq!(
        refused["changed"], false,
        "nobody lets the next key in: {refused}"
    );
    // No time to hand anything on: broken off after the agents have their keys.
    let string = invite(&place, "n1");
    let first = [&rotate[..], &["--invite", &string, "--wait-ms", "0"]].concat();
    let said = place.run(&[&first[..], &["-o", "json"]].concat());
    assert_eq!(said.code, 7, "{}", said.err);
    let why: Value = serde_json::from_str(said.err.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&why["code"], &why["changed"]),
        (&json!("not_handed_over"), &json!(true))
    );
    assert_eq!(id(&place, &n3), former, "it did not leave");
    let waits = n3.fails(&place, 4, &["presence", "active", "--as", "cyd"]);
    assert_eq!(waits["code"], "key_rotated");

    let findings = doctored(&place);
    assert!(findings.contains("do not remove `next`"), "{findings}");

    // The same again, without the invite that is used.
    let told = place.json(&rotate);
    assert_eq!(n3.ended(), 0, "its process ends by itself");
    assert_eq!(
        (&told["former"], &told["agents"]),
        (&json!(former), &json!(2)),
        "{told}"
    );
    let next = told["node"].as_str().unwrap().to_owned();
    assert_ne!(next, former);
    let n3 = place.serve("n3", &[]);
    assert_eq!(id(&place, &n3), next);
    for node in [&n1, &n2, &n3] {
        until("the former key is no member, and the next one is", || {
            let (old, new) = (member(&place, node, &former), member(&place, node, &next));
            old["left"] == true && new["alive"] == true && new["left"] == false
        });
        let shown = member(&place, node, &next);
        assert_eq!(
            (&shown["name"], &shown["region"]),
            (&json!("n3"), &json!("far"))
        );
    }

    // The same agents, with their claim, their tasks and their tokens.
    until("what was written before has come back", || {
        place
            .run(&["--node", &n3.url, "task", "show", "before"])
            .code
            == 0
            && agent(&place, &n3, "side", "dot")["name"] == "dot"
    });
    let renewed = n3.json(&place, &["renew", "door", "--as", "cyd"]);
    assert_eq!(renewed["claim"]["holder"], "cyd", "{renewed}");
    assert_eq!(
        renewed["claim"]["claim"], claimed["claim"]["claim"],
        "{renewed}"
    );
    n3.json(&place, &["emit", "need", "index", "--as", "cyd"]);
    n3.json(
        &place,
        &["claim", "gate", "--as", "dot", "--orchestra", "side"],
    );
    for node in [&n1, &n3] {
        until(
            "both show one agent of the name, under its first key",
            || {
                let shown = agent(&place, node, "main", "cyd");
                shown["agent"] == cyd["agent"] && shown["key"] != cyd["key"]
            },
        );
        assert_eq!(agent(&place, node, "side", "dot")["agent"], json!(dot));
    }
    let nodes = [n1, n2, n3];
    agree(&place, &nodes);
    the_former_key_is_turned_away(&place, &nodes, &former);
}

/// Once a root has removed it: until then whoever has it can serve it again, as any node that left.
fn the_former_key_is_turned_away(place: &Place, nodes: &[Process; 3], former: &str) {
    let [n1, n2, _] = nodes;
    let remove = [
        "node",
        "remove",
        former,
        "--as",
        "root",
        "--key-file",
        "n1/root.key",
    ];
    n1.json(place, &remove);
    let thief = place.serve("n3/former.1", &[]);
    let create = [
        "task",
        "create",
        "stolen",
        "--as",
        "cyd",
        "--wait-ms",
        "500",
    ];
    let acts = [&["--node", thief.url.as_str()], &create[..]].concat();
    assert_ne!(
        place.run(&acts).code,
        0,
        "the agents' former keys count no more"
    );
    std::thread::sleep(std::time::Duration::from_secs(3));
    for node in [n1, n2] {
        let shown = member(place, node, former);
        assert_eq!(
            (&shown["expelled"], &shown["alive"]),
            (&json!(true), &json!(false))
        );
        let tasks = node.json(place, &["task", "list"]);
        assert_eq!(tasks["tasks"].as_array().unwrap().len(), 1, "{tasks}");
    }
    assert_eq!(alive(place, n1), 3);
}

#[test]
fn who_founded_the_cluster_invites_itself_and_keeps_the_keys_of_the_cluster() {
    let place = Place::new();
    place.found("n1");
    let n1 = place.serve("n1", &[]);
    place.join("n1", "n2", "near");
    let n2 = place.serve("n2", &[]);
    n1.json(&place, &["state", "--create"]);
    until("both are members", || {
        alive(&place, &n1) == 2 && alive(&place, &n2) == 2
    });
    let former = id(&place, &n1);
    let string = invite(&place, "n1");
    let told = place.json(&["node", "rotate", "--data", "n1", "--invite", &string]);
    assert_eq!(told["former"], json!(former));
    assert_eq!(
        told["renewed_tokens"], true,
        "another delegation is to be given"
    );
    assert_eq!(n1.ended(), 0);
    let n1 = place.serve("n1", &[]);
    until("it is a member again", || {
        alive(&place, &n1) == 2 && alive(&place, &n2) == 2
    });
    assert_ne!(id(&place, &n1), former);
    // The authority's key stayed: it lets others in.
    place.join("n1", "n3", "far");
    let n3 = place.serve("n3", &[]);
    until("the third one is a member", || alive(&place, &n3) == 3);
}

#[test]
fn what_cannot_come_to_its_end_is_refused_before_anything_changes() {
    let place = Place::new();
    place.found("n1");
    let string = invite(&place, "n1");
    let rotate = ["node", "rotate", "--data", "n1", "--invite", &string];
    assert_eq!(place.fails(6, &rotate)["code"], "not_running");
    let nowhere = ["node", "rotate", "--data", "nowhere", "--invite", &string];
    assert_eq!(place.fails(3, &nowhere)["code"], "not_initialised");
    assert!(!place.path("nowhere").exists());
    let n1 = place.serve("n1", &[]);
    let own = id(&place, &n1);
    let alone = place.fails(5, &rotate);
    assert_eq!(
        (&alone["code"], &alone["changed"]),
        (&json!("last_member"), &json!(false))
    );
    place.join("n1", "n2", "near");
    let n2 = place.serve("n2", &[]);
    until("both are members", || alive(&place, &n1) == 2);
    let many = [&rotate[..], &["--hand-to", "2"]].concat();
    assert_eq!(place.fails(6, &many)["code"], "others_silent");
    place.found("m1");
    let other = invite(&place, "m1");
    let other = ["node", "rotate", "--data", "n1", "--invite", &other];
    assert_eq!(place.fails(4, &other)["code"], "other_cluster");
    let torn = [
        "node",
        "rotate",
        "--data",
        "n1",
        "--invite",
        &string[..string.len() - 2],
    ];
    place.fails(2, &torn);
    assert!(!place.path("n1").join("next").exists(), "no key was drawn");
    drop(n1);
    drop(n2);
    let n1 = place.serve("n1", &[]);
    assert_eq!(id(&place, &n1), own);
}
