//! Invites that any node with the authority's key honours, its maker being away or restored from an
//! older disk; and one that has let in two nodes on the two sides of a cut.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::{agree, alive};
use crate::faults::inject;
use crate::process::{Place, Process, Said, free_address, until};

/// Two nodes that hold the authority's key, with the orchestra `main`; the first at this address.
fn two_issuers(place: &Place, address: &str, more: &[&str]) -> [Process; 2] {
    place.found("n1");
    let n1 = served_at(place, "n1", address, more);
    place.join("n1", "n2", "far");
    fs::copy(place.path("n1/ca.key"), place.path("n2/ca.key")).unwrap();
    let n2 = place.serve("n2", more);
    n1.json(place, &["state", "--create"]);
    for node in [&n1, &n2] {
        until("both are alive", || alive(place, node) == 2);
    }
    until("the orchestra is known", || {
        n2.json(place, &["orchestras"]).to_string().contains("main")
    });
    [n1, n2]
}

fn served_at(place: &Place, name: &str, address: &str, more: &[&str]) -> Process {
    let started = place.start("serve", name, "127.0.0.1:0", address, more);
    started.unwrap_or_else(|said| panic!("{name} does not start: {}", said.err))
}

/// An invite of the first node, to knock with at these; known to the other issuer.
fn invite(place: &Place, at: [&str; 2], other: &Process) -> String {
    let [first, second] = at;
    let made = place.json(&[
        "invite",
        "--data",
        "n1",
        "--advertise",
        first,
        "--advertise",
        second,
    ]);
    until("it is recorded", || {
        let (_, records) = other.get("/v1/orchestras/cluster/dump");
        records.contains("\"do\":\"invite\"")
    });
    made["invite"].as_str().unwrap().to_owned()
}

fn join(place: &Place, invite: &str, name: &str) -> Said {
    let words = ["join", invite, "--data", name, "--name", name, "-o", "json"];
    place.run(&words)
}

fn joined(place: &Place, invite: &str, name: &str) -> String {
    let said = join(place, invite, name);
    assert_eq!(said.code, 0, "{}", said.err);
    let joined: Value = serde_json::from_str(&said.out).unwrap();
    joined["node"].as_str().unwrap().to_owned()
}

#[test]
fn another_issuer_honours_an_invite_once_while_its_maker_is_away_and_the_maker_goes_by_that() {
    let place = Place::new();
    let address = free_address();
    let [n1, n2] = two_issuers(&place, &address, &[]);
    let invite = invite(&place, [&address, &n2.peer], &n2);
    n1.kill();
    joined(&place, &invite, "n3");
    let refused = join(&place, &invite, "n4");
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(refused.err.contains("invite_used"), "{}", refused.err);
    let n3 = place.serve("n3", &[]);
    until("the newcomer is a member", || alive(&place, &n2) == 2);

    // The maker's own disk says that nobody has used it.
    let n1 = served_at(&place, "n1", &address, &[]);
    until("it has heard of the newcomer", || alive(&place, &n1) == 3);
    assert_eq!(n2.stop(), 0);
    let refused = join(&place, &invite, "n5");
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(refused.err.contains("invite_used"), "{}", refused.err);
    drop(n3);
}

/// The maker lets somebody in, and comes back with the disk that it had before that.
#[test]
fn a_maker_restored_from_an_older_disk_honours_no_invite_that_it_has_honoured() {
    let place = Place::new();
    let address = free_address();
    let [n1, n2] = two_issuers(&place, &address, &[]);
    let invite = invite(&place, [&address, &n2.peer], &n2);
    assert_eq!(n1.stop(), 0);
    let copied = |from: &str, to: &str| {
        let copied = Command::new("cp")
            .args(["-a", from, to])
            .current_dir(place.path("."))
            .status();
        assert!(copied.unwrap().success());
    };
    copied("n1", "yesterday");
    let n1 = served_at(&place, "n1", &address, &[]);
    let n3_id = joined(&place, &invite, "n3");
    let mine = fs::read_dir(place.path("n1/invites")).unwrap();
    let mine = mine.map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
    assert!(
        mine.into_iter().any(|text| text.contains(&n3_id)),
        "it let it in"
    );
    let n3 = place.serve("n3", &[]);
    until("the newcomer is a member", || alive(&place, &n2) == 3);
    n1.kill();
    fs::rename(place.path("n1"), place.path("today")).unwrap();
    copied("yesterday", "n1");

    let n1 = served_at(&place, "n1", &address, &[]);
    until("it has heard of the newcomer", || alive(&place, &n1) == 3);
    assert_eq!(n2.stop(), 0);
    let refused = join(&place, &invite, "n4");
    assert_eq!(refused.code, 5, "{}", refused.err);
    assert!(refused.err.contains("invite_used"), "{}", refused.err);
    drop(n3);
}

/// What two nodes wrote that came by one invite, on the two sides of a cut.
fn write(place: &Place, node: &Process, agent: &str) {
    until("it takes writes", || {
        let words = ["--node", &node.url, "agent", "enrol", agent];
        place.run(&words).code == 0
    });
    for number in 0..5 {
        let task = format!("{agent}-{number}");
        node.json(place, &["task", "create", &task, "--as", agent]);
    }
}

fn ids(place: &Place, nodes: [&Process; 2]) -> [String; 2] {
    nodes.map(|node| {
        node.json(place, &["status"])["node"]
            .as_str()
            .unwrap()
            .to_owned()
    })
}

fn outdone(place: &Place, node: &Process) -> Vec<String> {
    let members = node.json(place, &["members"]);
    let members = members["members"].as_array().unwrap().iter();
    let outdone = members.filter(|member| member["outdone"] == true);
    outdone
        .map(|one| one["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn of_two_nodes_that_one_invite_let_in_on_two_sides_of_a_cut_one_stays_and_nothing_is_lost() {
    let place = Place::new();
    let address = free_address();
    let faults = ["--test-faults"];
    let [n1, n2] = two_issuers(&place, &address, &faults);
    let [id1, id2] = ids(&place, [&n1, &n2]);
    let invite = invite(&place, [&address, &n2.peer], &n2);
    assert_eq!(inject(&n1, &json!({ "block": [id2] })), 200);
    assert_eq!(inject(&n2, &json!({ "block": [id1] })), 200);
    let a = joined(&place, &invite, "a");
    n1.kill();
    let b = joined(&place, &invite, "b");
    assert_eq!(inject(&n2, &json!({ "block": [a] })), 200);
    let n1 = served_at(&place, "n1", &address, &faults);
    assert_eq!(inject(&n1, &json!({ "block": [id2, b] })), 200);
    let nodes = [place.serve("a", &[]), place.serve("b", &[])];
    for (node, agent) in nodes.iter().zip(["ada", "bob"]) {
        until("it knows the orchestra", || {
            node.json(&place, &["orchestras"])
                .to_string()
                .contains("main")
        });
        write(&place, node, agent);
    }
    assert_eq!(outdone(&place, &n1), Vec::<String>::new());

    assert_eq!(inject(&n1, &json!({ "unblock": [id2, b] })), 200);
    assert_eq!(inject(&n2, &json!({ "unblock": [id1, a] })), 200);
    until("both sides say who is to leave", || {
        let known = outdone(&place, &n1);
        known.len() == 1 && known == outdone(&place, &n2)
    });
    let loser = outdone(&place, &n1).remove(0);
    let [a, b] = nodes;
    let (stays, goes) = if loser == "a" { (b, a) } else { (a, b) };
    assert_ne!(
        goes.ended(),
        0,
        "it ends by itself, and not by anybody's wish"
    );
    let log = fs::read_to_string(place.path(&format!("{loser}.log"))).unwrap();
    assert!(log.contains("has let in another one as well"), "{log}");
    let doctor = place.run(&["doctor", "--node", &n1.url]);
    assert!(
        doctor
            .out
            .contains("an invite that has let in another node"),
        "{}",
        doctor.out
    );

    let nodes = [n1, n2, stays];
    for node in &nodes {
        for task in ["ada", "bob"].map(|agent| (0..5).map(move |n| format!("{agent}-{n}"))) {
            for task in task {
                until("nothing acknowledged is lost", || {
                    let words = ["--node", &node.url, "task", "show", &task];
                    place.run(&words).code == 0
                });
            }
        }
        let gone = |member: &Value| member["name"] == loser.as_str() && member["left"] == true;
        until("it has left", || {
            let members = node.json(&place, &["members"]);
            members["members"].as_array().unwrap().iter().any(gone)
        });
    }
    agree(&place, &nodes);
    // Served again, it says why it takes nothing.
    let back = place.serve(&loser, &[]);
    let agent = if loser == "a" { "ada" } else { "bob" };
    let refused = back.fails(&place, 4, &["task", "create", "late", "--as", agent]);
    assert_eq!(refused["code"], "not_member", "{refused}");
    assert!(
        refused.to_string().contains("has let in another node"),
        "{refused}"
    );
}
