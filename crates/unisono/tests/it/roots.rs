//! Another root of rights in the place of the one that stands: the former key is worth nothing from
//! then on, wherever it is shown. Until now a root whose key had leaked was for ever.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use crate::cluster::three;
use crate::process::{Place, Process, until};

fn shown(place: &Place, node: &Process, data: &str) -> Value {
    node.json(place, &["root", "show", "--data", data])
}

fn number(place: &Place, node: &Process, data: &str) -> u64 {
    let shown = shown(place, node, data);
    let roots = shown["roots"].as_array().unwrap();
    let stands = roots.iter().find(|one| one["state"] == "stands");
    stands.unwrap()["number"].as_u64().unwrap()
}

/// The word is known in an orchestra, not in the cluster's own alone.
fn knows(place: &Place, node: &Process) -> bool {
    let trust = node.json(place, &["trust", "--orchestra", "main"]);
    trust["roots"]
        .as_array()
        .is_some_and(|roots| roots.len() == 1)
}

#[test]
fn a_new_root_stands_on_every_node_and_on_one_that_was_off() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    n1.json(&place, &["agent", "enrol", "ada"]);
    let file = |name: &str| place.path("n1").join(name);
    let former = fs::read(file("root.key")).unwrap();
    fs::copy(file("root.key"), place.path("stolen.key")).unwrap();
    until("all hold it", || {
        let agents = n3.json(&place, &["agent", "list"]);
        agents["agents"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    });
    assert_eq!(n3.stop(), 0);

    // Nobody but the recovery key names a root.
    let stolen = place.path("stolen.key");
    let stolen = stolen.to_str().unwrap();
    let wrong = ["root", "rotate", "--data", "n1", "--recovery-key", stolen];
    let said = n1.fails(&place, 4, &wrong);
    assert_eq!(said["code"], "not_allowed", "{said}");
    assert_eq!(fs::read(file("root.key")).unwrap(), former);

    // It lies elsewhere, as it should.
    let kept = place.path("recovery.key");
    fs::rename(file("recovery.key"), &kept).unwrap();
    let kept = kept.to_str().unwrap();
    let rotate = ["root", "rotate", "--data", "n1", "--recovery-key", kept];
    let done = n1.json(&place, &rotate);
    assert_eq!(done["key_here"], true, "{done}");
    assert_eq!(number(&place, &n1, "n1"), 1);
    let next = fs::read(file("root.key")).unwrap();
    assert_ne!(next, former);
    assert_eq!(fs::read(file("root.former.0.key")).unwrap(), former);
    assert!(!file("root.next.key").exists());
    let mode = fs::metadata(file("root.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    for node in [&n1, &n2] {
        until("the word lies in this orchestra, too", || {
            knows(&place, node)
        });
    }

    // The former root's key is worth nothing, and the next one's everything.
    let guard = [
        "guard",
        "--orchestra",
        "main",
        "--as",
        "thief",
        "--key-file",
        stolen,
    ];
    let said = n2.fails(&place, 4, &guard);
    assert_eq!(said["code"], "root_rotated", "{said}");
    let root = file("root.key");
    let root = root.to_str().unwrap();
    let n3 = place.serve("n3", &[]);
    until("who was off knows it", || knows(&place, &n3));
    let said = n3.fails(&place, 4, &guard);
    assert_eq!(said["code"], "root_rotated", "{said}");
    let guard = [
        "guard",
        "--orchestra",
        "main",
        "--as",
        "root",
        "--key-file",
        root,
    ];
    n3.json(&place, &guard);

    // Tokens are the next root's, and it names the next authority, to nodes that are off, too.
    let key = shown(&place, &n1, "n1")["named_by"]
        .as_str()
        .unwrap()
        .to_owned();
    let project = ["--project", "main"];
    let mint = ["token", "mint", "executive", "--data", "n1", "--for", &key];
    let mint = [&mint[..], &project].concat();
    let minted = place.run(&mint);
    assert_eq!(minted.code, 0, "{}", minted.err);
    let old = [&mint[..], &["--key-file", stolen]].concat();
    assert_ne!(place.run(&old).code, 0);
    assert_eq!(n3.stop(), 0);
    n1.json(&place, &["ca", "rotate", "--data", "n1", "--now"]);
    let n3 = place.serve("n3", &[]);
    until("it has moved to the next authority", || {
        n3.json(&place, &["ca", "show"])["authorities"][0]["number"] == 1
    });

    // A joiner learns it with its welcome.
    place.join("n1", "n4", "near");
    let n4 = place.serve("n4", &[]);
    until("a newcomer knows it", || number(&place, &n4, "n4") == 1);
    drop((n2, n3, n4));
}

#[test]
fn the_same_command_again_takes_the_key_that_was_drawn_wherever_it_broke_off() {
    let place = Place::new();
    place.found("n1");
    let rotate = ["root", "rotate", "--data", "n1"];
    // A root that ends in the future would be neither the one that is nor the next.
    let ahead = place.run(&[&rotate[..], &["--since", "2099-01-01T00:00:00Z"]].concat());
    assert_eq!(ahead.code, 2, "{}", ahead.err);
    assert!(!place.path("n1").join("root.next.key").exists());
    // Nobody answers: nothing was said.
    let said = place.run(&rotate);
    assert_ne!(said.code, 0, "{}", said.out);
    let file = |name: &str| place.path("n1").join(name);
    let drawn = fs::read(file("root.next.key")).unwrap();
    let n1 = place.serve("n1", &[]);
    n1.json(&place, &rotate);
    assert_eq!(fs::read(file("root.key")).unwrap(), drawn);
    // It was cut off before the key was in its place.
    fs::rename(file("root.key"), file("root.next.key")).unwrap();
    n1.json(&place, &rotate);
    assert_eq!(fs::read(file("root.key")).unwrap(), drawn);
    assert_eq!(number(&place, &n1, "n1"), 1);
    // All of it is on disk.
    assert_eq!(n1.stop(), 0);
    let n1 = place.serve("n1", &[]);
    assert_eq!(number(&place, &n1, "n1"), 1);
    let trust = n1.json(&place, &["trust", "--orchestra", "cluster"]);
    assert_eq!(trust["roots"].as_array().unwrap().len(), 1, "{trust}");
}

/// Until now the word lay in the cluster's own orchestra alone for up to a second.
#[test]
fn a_new_root_is_the_root_of_an_orchestra_from_its_first_moment_on() {
    let place = Place::new();
    let node = place.up();
    node.json(&place, &["root", "rotate", "--data", "lab"]);
    let root = place.path("lab/root.key");
    let root = root.to_str().unwrap();
    for orchestra in ["one", "two", "three"] {
        let there = ["--orchestra", orchestra];
        let made = [&["state", "--create"][..], &there].concat();
        node.json(&place, &made);
        let guard = ["guard", "--as", "root", "--key-file", root];
        node.json(&place, &[&guard[..], &there].concat());
    }
}
