//! Every command once, as a program would use it.

use serde_json::Value;

use crate::process::{Place, Process};

fn node(place: &Place) -> Process {
    place.up()
}

#[test]
fn agents_signals_claims_and_marks() {
    let place = Place::new();
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&[
        "agent", "enrol", "ada", "--role", "builder", "--kind", "human",
    ]);
    assert_eq!(
        ask(&["agent", "list"])["agents"].as_array().unwrap().len(),
        2
    );
    ask(&[
        "presence", "active", "--intent", "build", "--focus", "index", "--as", "ada",
    ]);
    let all = ask(&["presence"]);
    let ada = all["presence"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "ada");
    assert_eq!(ada.unwrap()["status"], "active");
    ask(&[
        "emit",
        "need",
        "index",
        "who has it?",
        "--urgency",
        "high",
        "--as",
        "ada",
    ]);
    assert_eq!(ask(&["sense", "index"])["signals"][0]["urgency"], "high");
    assert_eq!(
        ask(&["sense", "other"])["signals"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    let claim = ask(&["claim", "door", "--lease-ms", "60000", "--as", "ada"]);
    let renewed = ask(&["renew", "door", "--as", "ada"]);
    assert!(
        renewed["claim"]["token"]["stamp"].as_str() > claim["claim"]["token"]["stamp"].as_str()
    );
    ask(&["release", "door", "--as", "ada"]);
    assert_eq!(ask(&["claim"])["claims"].as_array().unwrap().len(), 0);
    let before = claim["as_of"].as_str().unwrap();
    assert_eq!(
        ask(&["claim", "--as-of", before])["claims"][0]["holder"],
        "ada"
    );
    node.fails(&place, 3, &["emit", "need", "x", "--as", "nobody"]);
}

#[test]
fn marks_prove_themselves_from_a_file() {
    let place = Place::new();
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    ask(&["agent", "enrol", "ada"]);
    let mark = ask(&[
        "mark", "make", "done", "--about", "index", "--tag", "x", "--as", "ada",
    ]);
    assert_eq!(ask(&["mark", "list"])["marks"][0]["record"], mark["record"]);
    let record = mark["record"].as_str().unwrap();
    let proof = place.json(&["mark", "export", record, "--data", "lab"]);
    std::fs::write(place.path("mark.json"), proof.to_string()).unwrap();
    assert_eq!(place.json(&["mark", "verify", "mark.json"])["text"], "done");
    let forged = proof["record"]
        .as_str()
        .unwrap()
        .replacen("ZG9uZQ", "ZG9uZR", 1);
    let mut proof = proof.clone();
    proof["record"] = Value::String(flipped(&forged));
    std::fs::write(place.path("forged.json"), proof.to_string()).unwrap();
    assert_eq!(
        place.fails(8, &["mark", "verify", "forged.json"])["code"],
        "not_verified"
    );
}

/// The same text with one character of its middle changed.
fn flipped(text: &str) -> String {
    let middle = text.len() / 2;
    let other = if text.as_bytes()[middle] == b'A' {
        "B"
    } else {
        "A"
    };
    format!("{}{other}{}", &text[..middle], &text[middle + 1..])
}

#[test]
fn tasks() {
    let place = Place::new();
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, &[words, &["--as", "ada"]].concat());
    ask(&["agent", "enrol", "ada"]);
    ask(&[
        "task",
        "create",
        "one",
        "--title",
        "First",
        "--priority",
        "1",
        "--label",
        "x",
    ]);
    ask(&["task", "create", "two", "--kind", "bug"]);
    ask(&["task", "link", "two", "one"]);
    assert_eq!(ask(&["task", "show", "two"])["blocked_by"][0], "one");
    ask(&[
        "task",
        "set",
        "one",
        "--status",
        "in_progress",
        "--assignee",
        "ada",
        "--remark",
        "on it",
    ]);
    let open = ask(&["task", "list", "--status", "in-progress"]);
    assert_eq!(open["tasks"][0]["task"], "one");
    node.fails(&place, 4, &["task", "close", "one", "--as", "ada"]);
    ask(&["task", "close", "one", "--mark", "it works"]);
    assert_eq!(ask(&["task", "show", "one"])["status"], "closed");
    assert!(
        ask(&["task", "show", "two"])["blocked_by"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    let history = ask(&["task", "history", "one"]);
    assert_eq!(history["records"].as_array().unwrap().len(), 3);
    ask(&["task", "link", "two", "one", "--lift"]);
    node.fails(&place, 3, &["task", "show", "three"]);
}

#[test]
fn notes_configuration_settings_and_iterations() {
    let place = Place::new();
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, &[words, &["--as", "ada"]].concat());
    ask(&["agent", "enrol", "ada"]);
    ask(&["note", "set", "plan", "first the index"]);
    ask(&[
        "note",
        "edit",
        "plan",
        "--position",
        "0",
        "--delete",
        "5",
        "First",
    ]);
    assert_eq!(ask(&["note", "show", "plan"])["text"], "First the index");
    assert_eq!(ask(&["note", "list"])["notes"][0]["note"], "plan");
    ask(&["conf", "set", "model.name", "small"]);
    assert_eq!(ask(&["conf", "get", "model.name"])["value"], "small");
    ask(&["conf", "unset", "model.name"]);
    node.fails(&place, 3, &["conf", "get", "model.name"]);
    ask(&[
        "settings",
        "set",
        "claim_lease_ms=60000",
        "execution_ends=3",
    ]);
    assert_eq!(
        ask(&["settings", "show"])["settings"]["claim_lease_ms"],
        60_000
    );
    assert_eq!(ask(&["iteration"])["iteration"], 1);
    ask(&["iteration", "advance"]);
    assert_eq!(ask(&["iteration", "show"])["phase"], "execution");
    node.fails(
        &place,
        5,
        &["iteration", "advance", "--from", "1", "--as", "ada"],
    );
    ask(&["state", "--create", "--orchestra", "other"]);
    node.fails(&place, 3, &["state", "--orchestra", "missing"]);
}

#[test]
fn records_status_and_formats() {
    let place = Place::new();
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    let first = ask(&["agent", "enrol", "ada", "--idempotency-key", "once"]);
    let again = ask(&["agent", "enrol", "ada", "--idempotency-key", "once"]);
    assert_eq!(
        (&again["repeated"], &again["record"]),
        (&true.into(), &first["record"])
    );
    assert_eq!(ask(&["status"])["members"].as_array().unwrap().len(), 1);
    let run = |words: &[&str]| {
        let said = place.run(&[&["--node", node.url.as_str()], words].concat());
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        said.out
    };
    for words in [&["log", "-o", "ndjson"][..], &["dump"]] {
        let out = run(words);
        assert!(out.lines().count() >= 2, "{out}");
        assert!(
            out.lines()
                .all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "{out}"
        );
    }
    assert!(run(&["agent", "list", "-o", "ndjson"]).lines().count() == 2);
    // One member a line: what counts them has counted the lines of one object.
    assert!(!run(&["members", "-o", "ndjson"]).contains("\"members\""));
    assert!(run(&["agent", "list"]).starts_with("NAME"));
    for words in [
        &["status"][..],
        &["members"],
        &["state"],
        &["log"],
        &["claim"],
        &["sense"],
    ] {
        assert!(
            !run(words).contains('\x1b'),
            "no colours where nobody looks"
        );
    }
    let key = place.path("ada.key");
    let key = key.to_str().unwrap();
    ask(&["agent", "enrol", "eve", "--key-file", key]);
    let claim = ask(&["claim", "door", "--as", "eve", "--key-file", key]);
    assert_eq!(claim["claim"]["holder"], "eve");
    ask(&["release", "door", "--as", "eve", "--key-file", key]);
    let completions = place.run(&["completions", "bash"]);
    assert!(completions.out.contains("unisono"));
}

#[test]
fn following_sees_what_comes_and_resumes() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    let node = node(&place);
    let mut follow = place.command();
    follow.args(["log", "--follow", "-o", "ndjson", "--node", &node.url]);
    follow.stdout(std::process::Stdio::piped());
    let mut follow = follow.spawn().unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    node.json(&place, &["agent", "enrol", "ada"]);
    let seen = lines.find_map(|line| {
        let record: Value = serde_json::from_str(&line.unwrap()).unwrap();
        (record["name"] == "ada").then_some(record)
    });
    let cursor = seen.unwrap()["cursor"].as_str().unwrap().to_owned();
    follow.kill().unwrap();
    follow.wait().unwrap();
    node.json(&place, &["emit", "intent", "x", "--as", "ada"]);
    let later = place.run(&[
        "log", "--after", &cursor, "-o", "ndjson", "--node", &node.url,
    ]);
    assert_eq!(later.out.lines().count(), 1, "{}", later.out);
    let emitted: Value = serde_json::from_str(later.out.trim()).unwrap();
    let since = emitted["stamp"]["stamp"].as_str().unwrap();
    let since = ["log", "--since", since, "-o", "ndjson", "--node", &node.url];
    let since = place.run(&since);
    assert_eq!(since.out, later.out, "a time, where no cursor was kept");
    place.fails(2, &["log", "--since", "yesterday", "--node", &node.url]);
}

#[test]
fn the_simulator_runs_from_the_command_line() {
    let place = Place::new();
    let names = place.json(&["sim", "--sabotage", "list"]);
    assert_eq!(names["sabotages"].as_array().unwrap().len(), 55);
    let scenario = r#"{"safety_s": 20, "actions_min": 0, "liveness_s": 60, "nodes": 3}"#;
    std::fs::write(place.path("small.json"), scenario).unwrap();
    let run = place.json(&["sim", "--seeds", "1..2", "--scenario", "small.json"]);
    assert_eq!(
        (&run["seeds"], run["failed"].as_array().unwrap().len()),
        (&1.into(), 0)
    );
    place.fails(2, &["sim", "--seeds", "2..1"]);
    place.fails(2, &["sim", "--nodes", "0"]);
}

/// Walks all commands by their own help.
#[test]
fn every_command_shows_an_example() {
    let place = Place::new();
    let mut ahead = vec![Vec::<String>::new()];
    let mut count = 0;
    while let Some(words) = ahead.pop() {
        let mut all: Vec<&str> = words.iter().map(String::as_str).collect();
        all.push("--help");
        let said = place.run(&all);
        assert_eq!(said.code, 0, "{words:?}: {}", said.err);
        count += 1;
        let listed = said.out.split("Commands:").nth(1).unwrap_or_default();
        let listed = listed
            .lines()
            .skip(1)
            .take_while(|line| !line.trim().is_empty());
        let below: Vec<&str> = listed
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        assert!(said.out.contains("Example:"), "{words:?} shows no example");
        for name in below {
            ahead.push(words.iter().cloned().chain([name.to_owned()]).collect());
        }
    }
    assert!(count > 50, "only {count} commands were found");
}
