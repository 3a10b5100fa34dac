//! A byte of a data directory that is not what was written: mended from the other nodes, or refused
//! with a clear error where there are none.

use serde_json::Value;

use crate::cluster::{agree, three};
use crate::process::{Place, Process, until};

/// Flips one bit of a record's text in a node's largest segment. (Where the name of a bundle is hit
/// instead, `verify` cannot know what it was, and goes on naming the place.)
fn flip(place: &Place, name: &str) {
    let journal = std::fs::read_dir(place.path(&format!("{name}/journal"))).unwrap();
    let segments = journal.map(|entry| entry.unwrap().path()).filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "segment")
    });
    let segment = segments.max_by_key(|path| path.metadata().unwrap().len());
    let segment = segment.unwrap();
    let mut bytes = std::fs::read(&segment).unwrap();
    let text = b"mark 10";
    let at = bytes.windows(text.len()).position(|part| part == text);
    bytes[at.unwrap()] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
}

fn write(place: &Place, node: &Process, marks: u32) {
    node.json(place, &["agent", "enrol", "ada"]);
    for number in 0..marks {
        let text = format!("mark {number}");
        node.json(place, &["mark", "make", &text, "--as", "ada"]);
    }
}

fn dump(place: &Place, node: &Process) -> String {
    let said = place.run(&["--node", node.url.as_str(), "dump"]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

fn status(place: &Place, node: &Process) -> Value {
    node.json(place, &["status"])
}

#[test]
fn a_flipped_byte_under_a_checkpoint_is_mended_from_the_other_nodes() {
    let place = Place::new();
    let [n1, n2, n3] = three(&place, &[]);
    write(&place, &n1, 20);
    let nodes = [n1, n2, n3];
    agree(&place, &nodes);
    let [n1, n2, n3] = nodes;
    let (http, peer) = (
        n1.url.trim_start_matches("http://").to_owned(),
        n1.peer.clone(),
    );
    let whole = dump(&place, &n2);
    assert_eq!(n1.stop(), 0, "a clean end leaves a checkpoint over it all");
    flip(&place, "n1");
    let told = place.fails(8, &["verify", "n1"]);
    assert!(
        told["error"].as_str().unwrap().contains("segment"),
        "{told}"
    );

    let n1 = place.start("serve", "n1", &http, &peer, &[]).ok().unwrap();
    until("the damage is mended", || {
        let status = status(&place, &n1);
        status["damage"] == Value::Array(Vec::new())
            && status["counters"]["bundles_mended"].as_u64() > Some(0)
    });
    assert_eq!(dump(&place, &n1), whole);
    let nodes = [n1, n2, n3];
    agree(&place, &nodes);
    let [n1, ..] = nodes;
    assert_eq!(n1.stop(), 0);
    assert_eq!(place.json(&["verify", "n1"])["ok"], true, "on disk too");
}

#[test]
fn a_flipped_byte_of_a_node_alone_is_named_by_status_dump_and_verify() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &[]);
    node.json(&place, &["state", "--create"]);
    write(&place, &node, 20);
    let last = node.json(&place, &["mark", "make", "the last", "--as", "ada"]);
    let marks = node.json(&place, &["mark", "list"])["marks"].clone();
    assert_eq!(node.stop(), 0);
    flip(&place, "a");
    let node = place.serve("a", &[]);
    let status = status(&place, &node);
    let damage = &status["damage"][0];
    assert_eq!(damage["log"]["node"], status["node"], "{status}");
    assert_eq!(damage["asked"], false);
    assert!(damage["segments"][0].is_u64(), "{status}");
    let first = damage["bundles"][0][0].as_u64().unwrap();
    let told = node.fails(&place, 8, &["dump"]);
    let words = told["error"].as_str().unwrap();
    for word in [
        "segment".to_owned(),
        format!("bundles {first}"),
        status["node"].as_str().unwrap().to_owned(),
    ] {
        assert!(words.contains(&word), "{word}: {words}");
    }
    assert!(!told["hint"].as_str().unwrap().is_empty(), "{told}");
    // Neither a question about what lies behind the hole nor a wrong one has to do with it.
    let seen = last["cursor"].as_str().unwrap();
    let said = place.run(&["--node", node.url.as_str(), "dump", "--after", seen]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);
    node.fails(&place, 2, &["dump", "--after", "yesterday"]);
    let shown = node.json(&place, &["mark", "list"]);
    assert_eq!(shown["marks"], marks, "the checkpoint still covers it");
    drop(node);
    let told = place.fails(8, &["verify", "a"]);
    assert!(
        told["error"].as_str().unwrap().contains("segment"),
        "{told}"
    );
    let said = place.run(&["audit", "export", "--data", "a"]);
    assert_eq!((said.code, said.out.as_str()), (8, ""), "nothing is signed");
}
