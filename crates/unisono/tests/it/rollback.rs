//! Going back with the command: what it would set aside, what it does, and where that is shown.

use serde_json::Value;

use crate::process::Place;

#[test]
fn an_orchestra_goes_back_and_shows_what_it_set_aside() {
    let place = Place::new();
    let node = place.up();
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "ada"]);
    ask(&["decide", "storage", "one file a segment", "--as", "ada"]);
    let before = ask(&["state"]);
    let to = before["as_of"].as_str().unwrap();
    let empty = node.fails(&place, 3, &["rollback", "--to", to, "--as", "ada"]);
    assert_eq!(empty["code"], "rollback_empty");
    let would = ask(&["rollback", "--to", to, "--dry-run"]);
    let barred = serde_json::json!(["nothing that can be set aside was done since"]);
    assert_eq!(would["barred"], barred);
    let table = [
        "--node",
        node.url.as_str(),
        "rollback",
        "--to",
        to,
        "--dry-run",
    ];
    let told = place.run(&table).out;
    assert!(told.starts_with("nothing would be set aside"), "{told}");
    ask(&["decide", "parser", "by hand", "--as", "ada"]);
    ask(&["task", "create", "parse", "--as", "ada"]);
    ask(&["claim", "src/parse.rs", "--as", "ada"]);
    ask(&["iteration", "advance", "--as", "ada"]);
    let would = ask(&["rollback", "--to", to, "--dry-run"]);
    assert_eq!(would["sets_aside"], 3);
    assert_eq!(would["claimed"], serde_json::json!(["src/parse.rs"]));
    assert_eq!(would["barred"], serde_json::json!([]));
    assert_eq!(ask(&["state"])["iteration"], 2, "a dry run changes nothing");
    let done = ask(&[
        "rollback",
        "--to",
        to,
        "--reason",
        "all wrong",
        "--as",
        "ada",
    ]);
    let record = done["record"].as_str().unwrap();
    let state = ask(&["state"]);
    assert_eq!(
        (&state["iteration"], &state["set_aside"]),
        (&1.into(), &3.into())
    );
    assert_eq!(state["claims"], 1);
    let decided = ask(&["decisions"])["decisions"].clone();
    assert_eq!(decided.as_array().unwrap().len(), 1);
    // Nothing is erased, and what was is still read as of then.
    let dump = place.run(&["--node", node.url.as_str(), "dump"]);
    let lines = dump.out.lines().map(serde_json::from_str);
    let dump: Vec<Value> = lines.collect::<Result<_, _>>().unwrap();
    let aside: Vec<&Value> = dump
        .iter()
        .filter(|one| one["verdict"] == "set_aside")
        .collect();
    assert_eq!(aside.len(), 3);
    assert!(
        aside
            .iter()
            .all(|one| one["set_aside_by"]["record"] == record)
    );
    let name = aside[0]["record"].as_str().unwrap();
    let told = place
        .run(&["--node", node.url.as_str(), "explain", name])
        .out;
    assert!(told.contains(&format!("set aside by {record}")), "{told}");
    let just_before = &aside[2]["stamp"]["stamp"];
    let then = ask(&["state", "--as-of", just_before.as_str().unwrap()]);
    assert_eq!(then["iteration"], 2);
    let told = ask(&["recover", "1"]);
    assert_eq!(told["decisions"].as_array().unwrap().len(), 1);
    // Going back behind that alone takes it back: the dry run said that it would be refused.
    let again = ask(&[
        "rollback",
        "--to",
        just_before.as_str().unwrap(),
        "--dry-run",
    ]);
    assert_eq!(again["barred"], serde_json::json!([]), "{again}");
    let counts = |name: &str| again[name].as_u64().unwrap();
    assert_eq!(
        (
            counts("sets_aside"),
            counts("returns"),
            counts("takes_back")
        ),
        (0, 3, 1)
    );
    ask(&[
        "rollback",
        "--to",
        just_before.as_str().unwrap(),
        "--as",
        "ada",
    ]);
    assert_eq!(ask(&["state"])["set_aside"], 0);
}
