//! What a fleet learns, by the commands: decided here, read there; an error is recognised on another
//! node in another directory, and what helped against it is told.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::process::{Place, said, until};

#[test]
fn what_was_decided_and_what_helped_is_told_on_the_other_node() {
    let place = Place::new();
    place.found("n1");
    let n1 = place.serve("n1", &[]);
    n1.json(&place, &["state", "--create"]);
    place.join("n1", "n2", "clara");
    let n2 = place.serve("n2", &[]);
    until("the other knows the orchestra", || {
        place.run(&["state", "--node", &n2.url]).code == 0
    });
    for agent in ["ada", "bob"] {
        n1.json(&place, &["agent", "enrol", agent]);
    }
    let decide = |more: &[&str]| {
        let mut words = vec!["decide", "storage"];
        words.extend(more);
        n1.json(&place, &words)["record"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = decide(&[
        "one log\nfor all",
        "--as",
        "ada",
        "--rejected",
        "a database=slow",
    ]);
    let second = decide(&["one log each", "--as", "ada", "--supersedes", &first]);
    let again = [
        "decide",
        "storage",
        "none",
        "--as",
        "bob",
        "--supersedes",
        &first,
    ];
    assert_eq!(n1.fails(&place, 5, &again)["code"], "decision_superseded");
    let error = "error[E0382]: borrow of moved value: `queue`\n --> ada/src/a.rs:4:20\n";
    let remedy = n1.json(
        &place,
        &["fix", error, "--record", "clone\rit", "--as", "ada"],
    )["record"]
        .clone();
    let remedy = remedy.as_str().unwrap();
    let decisions = |more: &[&str]| {
        let mut words = vec!["decisions", "--search", "LOG"];
        words.extend(more);
        n2.json(&place, &words)["decisions"].clone()
    };
    until("both decisions", || {
        decisions(&["--all"]).as_array().unwrap().len() == 2
    });
    let standing = decisions(&["--kind", "decision"]);
    assert_eq!(standing[0]["record"], second);
    assert_eq!(standing.as_array().unwrap().len(), 1);
    assert_eq!(decisions(&["--kind", "dead-end"]), json!([]));
    n2.fails(&place, 2, &["decisions", "--kind", "whim"]);
    // Elsewhere the same goes wrong with another name, in colours, in the middle of other lines.
    let fix = |words: &[&str]| -> Value {
        let mut child = place
            .command()
            .args(["--node", &n2.url, "-o", "json", "fix", "-"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let text = "Compiling x\r\n\u{1b}[31merror[E0382]\u{1b}(B\u{1b}[m: borrow of moved value: `index`\r\n";
        child
            .stdin
            .take()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let said = said(child.wait_with_output().unwrap());
        assert_eq!(said.code, 0, "{}", said.err);
        serde_json::from_str(&said.out).unwrap()
    };
    until("the remedy", || fix(&[])["fixes"] != json!([]));
    let told = fix(&[])["fixes"][0].clone();
    assert_eq!(
        (&told["record"], &told["how"]),
        (&json!(remedy), &json!("kind"))
    );
    let refused = n2.fails(&place, 4, &["fix", "--helped", &first, "--as", "bob"]);
    assert_eq!(refused["code"], "not_held", "the first node holds the key");
    n1.json(&place, &["fix", "--helped", remedy, "--as", "bob"]);
    until("the outcome", || fix(&[])["fixes"][0]["helped"] == 1);
    // Everywhere is one answer, no longer than was asked for, on the same terms.
    n2.json(&place, &["state", "--create", "--orchestra", "other"]);
    let everywhere = fix(&["--everywhere", "--limit", "1"]);
    assert_eq!(everywhere["fixes"].as_array().unwrap().len(), 1);
    assert_eq!(everywhere["fixes"][0]["orchestra"], "main");
    let words = [
        "fix",
        error,
        "--everywhere",
        "--as-of",
        "2100-01-01T00:00:00Z",
    ];
    assert_ne!(
        place.run(&[&["--node", &n2.url][..], &words].concat()).code,
        0
    );
    // What others wrote cannot look like a line of its own, nor overwrite one.
    let shown = place
        .run(&["--node", &n2.url, "fix", error, "--everywhere"])
        .out;
    assert_eq!(shown.lines().count(), 2, "{shown}");
    assert!(
        shown.contains("clone\\rit") && !shown.contains('\r'),
        "{shown}"
    );
}
