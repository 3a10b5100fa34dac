//! Another authority in the place of the one that signs: while agents work, after its key has leaked,
//! and after it was lost. Until now there was one for each cluster, for thirty years.

use std::fs;

use serde_json::Value;

use crate::cluster::{alive, three};
use crate::process::{Place, Process, until};

fn root_key(place: &Place) -> String {
    let path = place.path("n1").join("root.key");
    path.to_str().unwrap().to_owned()
}

fn shown(place: &Place, node: &Process) -> Value {
    node.json(place, &["ca", "show"])
}

fn moved(place: &Place, node: &Process) -> (u64, u64) {
    let shown = shown(place, node);
    let number = |name: &str| shown[name].as_u64().unwrap();
    (number("moved"), number("members"))
}

fn write_and_read(place: &Place, by: &Process, at: &Process, task: &str) {
    by.json(place, &["agent", "enrol", task]);
    let made = by.json(place, &["task", "create", task, "--as", task]);
    let cursor = made["cursor"].as_str().unwrap();
    let show = [
        "task",
        "show",
        task,
        "--min-cursor",
        cursor,
        "--wait-ms",
        "15000",
    ];
    assert_eq!(at.json(place, &show)["status"], "open");
}

#[test]
fn every_node_moves_to_a_new_authority_and_one_that_was_off_follows_it() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    assert_eq!(moved(&place, &n1), (3, 3));
    let before = place.json(&["invite", "--data", "n1"]);
    let before = before["invite"].as_str().unwrap().to_owned();
    let former_key = fs::read(place.path("n1").join("ca.key")).unwrap();
    assert_eq!(n3.stop(), 0);

    // Whoever cannot is told, and nothing has changed.
    let root = root_key(&place);
    let elsewhere = ["ca", "rotate", "--data", "n2", "--root-key", &root];
    let said = n2.fails(&place, 4, &elsewhere);
    assert_eq!(said["code"], "not_an_issuer", "{said}");
    place.found("other");
    let other = place.path("other").join("root.key");
    let other = other.to_str().unwrap();
    let wrong = ["ca", "rotate", "--data", "n1", "--root-key", other];
    let said = n1.fails(&place, 4, &wrong);
    assert_eq!(said["code"], "not_allowed", "{said}");
    assert_eq!(
        fs::read(place.path("n1").join("ca.key")).unwrap(),
        former_key
    );

    let rotate = ["ca", "rotate", "--data", "n1"];
    let done = n1.json(&place, &rotate);
    assert_eq!(done["authorities"][0]["number"], 1, "{done}");
    assert_eq!(done["authorities"][1]["state"], "former", "{done}");
    assert_eq!(done["signs"], true);
    assert_ne!(
        fs::read(place.path("n1").join("ca.key")).unwrap(),
        former_key
    );
    assert!(!place.path("n1").join("ca.next.key").exists());
    until("the one that is here has moved", || {
        moved(&place, &n1) == (2, 3) && shown(&place, &n2)["moved"] == 2
    });
    let again = n1.fails(&place, 5, &rotate);
    assert_eq!(again["code"], "rotation_under_way", "{again}");
    assert!(again["error"].as_str().unwrap().contains("2/3"), "{again}");
    write_and_read(&place, &n2, &n1, "meanwhile");

    // One that was off for all of it meets an authority that it has never heard of.
    let n3 = place.serve("n3", &[]);
    until("it has moved, too", || moved(&place, &n1) == (3, 3));
    write_and_read(&place, &n3, &n2, "back");

    let said = place.run(&["join", &before, "--data", "late"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("ask for a new invite"), "{}", said.err);
    place.join("n1", "n4", "near");
    let n4 = place.serve("n4", &[]);
    until("a new one is let in", || alive(&place, &n1) == 4);
    let mut nodes = vec![n1, n2, n3, n4];

    // All of it is on disk.
    for name in ["n1", "n2", "n3", "n4"] {
        let node = nodes.remove(0);
        assert_eq!(node.stop(), 0);
        nodes.push(place.serve(name, &[]));
    }
    for node in &nodes {
        until("all have moved after a start", || {
            moved(&place, node) == (4, 4)
        });
    }
    assert_eq!(shown(&place, &nodes[0])["signs"], true);
}

#[test]
fn an_authority_whose_key_has_leaked_ends_at_once_and_who_was_off_is_renewed_all_the_same() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    assert_eq!(n3.stop(), 0);
    let done = n1.json(&place, &["ca", "rotate", "--data", "n1", "--now"]);
    assert_eq!(done["authorities"][1]["state"], "ended", "{done}");
    until("it has moved", || moved(&place, &n1) == (2, 3));
    write_and_read(&place, &n2, &n1, "meanwhile");
    let n3 = place.serve("n3", &[]);
    until("who was off has moved", || moved(&place, &n1) == (3, 3));
    write_and_read(&place, &n3, &n2, "back");
    // Another one, since its key may have leaked, too: the last one is not waited for.
    let done = n1.json(&place, &["ca", "rotate", "--data", "n1", "--now"]);
    assert_eq!(done["authorities"][0]["number"], 2, "{done}");
    until("all have moved again", || moved(&place, &n1) == (3, 3));
}

#[test]
fn where_every_key_of_the_authority_is_lost_the_root_makes_another_one_on_any_node() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    let root = root_key(&place);
    n1.kill();
    let rotate = ["ca", "rotate", "--data", "n2", "--root-key", &root];
    let said = n2.fails(&place, 4, &rotate);
    assert!(
        said["hint"].as_str().unwrap().contains("ca recover"),
        "{said}"
    );
    let recover = ["ca", "recover", "--data", "n2", "--root-key", &root];
    let done = n2.json(&place, &recover);
    assert_eq!(done["signs"], true, "{done}");
    until("the other one has moved", || moved(&place, &n2).0 == 2);
    write_and_read(&place, &n3, &n2, "after");
    place.join("n2", "n4", "near");
    let n4 = place.serve("n4", &[]);
    until("a new one is let in", || {
        shown(&place, &n4)["authorities"][0]["number"] == 1
    });
    write_and_read(&place, &n2, &n4, "later");
    // The founder comes back after all, with a key that signs no more.
    let n1 = place.serve("n1", &[]);
    until("it has moved, and does not sign", || {
        moved(&place, &n2) == (4, 4) && shown(&place, &n1)["signs"] == false
    });
}

#[test]
fn the_same_command_again_takes_the_key_that_was_drawn_wherever_it_broke_off() {
    let place = Place::new();
    place.found("n1");
    // Nobody answers: nothing was said.
    let root = root_key(&place);
    let offline = ["ca", "rotate", "--data", "n1", "--root-key", &root];
    let said = place.run(&offline);
    assert_ne!(said.code, 0, "{}", said.out);
    let n1 = place.serve("n1", &[]);
    let done = n1.json(&place, &offline);
    assert_eq!(done["moved"], 1, "{done}");
    let drawn = fs::read(place.path("n1").join("ca.key")).unwrap();

    // The process was cut off before it had put the key in its place.
    assert_eq!(n1.stop(), 0);
    let file = |name: &str| place.path("n1").join(name);
    fs::rename(file("ca.key"), file("ca.next.key")).unwrap();
    let n1 = place.serve("n1", &[]);
    until("it has put it there now", || {
        shown(&place, &n1)["signs"] == true
    });
    assert_eq!(fs::read(file("ca.key")).unwrap(), drawn);
    assert!(!file("ca.next.key").exists());
}
