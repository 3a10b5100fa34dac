//! What a node exports is checked elsewhere: by this program, and by one that was written apart.

use std::process::Command;

use serde_json::Value;

use crate::process::{Place, root};

/// Exports what a node with a few agents' work holds, while it runs.
fn exported(place: &Place) -> String {
    place.found("solo");
    let node = place.serve("solo", &[]);
    place.json(&["state", "--create", "--node", &node.url]);
    for name in ["ada", "bob"] {
        place.json(&["agent", "enrol", name, "--node", &node.url]);
        for text in ["began", "went on", "done"] {
            place.json(&[
                "emit", "intent", "work", text, "--as", name, "--node", &node.url,
            ]);
        }
    }
    let said = place.run(&["audit", "export", "--data", "solo"]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

/// What the verifier in Python says, if there is a Python.
fn python(file: &std::path::Path) -> Option<(bool, String)> {
    let script = root().join("crates/unisono/tests/verify_audit.py");
    match Command::new("python3").arg(script).arg(file).output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let why = String::from_utf8_lossy(&output.stderr);
            Some((output.status.success(), told + &why))
        }
        Err(error) => {
            println!("SKIPPED the verifier in Python: python3: {error}");
            None
        }
    }
}

#[test]
fn an_export_verifies_here_and_in_python_with_the_same_counts() {
    let place = Place::new();
    let text = exported(&place);
    std::fs::write(place.path("audit.jsonl"), &text).unwrap();
    let found = place.json(&["audit", "verify", "audit.jsonl"]);
    assert_eq!(found["what"], "audit export");
    assert!(found["records"].as_u64().unwrap() >= 8, "{found}");
    assert_eq!((&found["ok"], &found["inert"]), (&true.into(), &0.into()));
    assert_eq!(place.json(&["verify", "audit.jsonl"]), found);
    if let Some((good, told)) = python(&place.path("audit.jsonl")) {
        assert!(good, "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        for count in ["logs", "bundles", "records", "inert"] {
            assert_eq!(told[count], found[count], "{count}");
        }
    }
}

/// Each harm to a file, by what it does to the lines.
#[test]
fn whatever_is_changed_cut_left_out_or_added_is_found() {
    let place = Place::new();
    let text = exported(&place);
    let lines: Vec<&str> = text.lines().collect();
    let (last, middle) = (lines.len() - 1, lines.len() / 2);
    // A character of base64 in the middle of a bundle.
    let changed = {
        let line = lines[middle];
        let at = line.len() / 2;
        let other = if &line[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &line[..at], &line[at + 1..])
    };
    let with = |harm: &dyn Fn(&mut Vec<String>)| {
        let mut harmed: Vec<String> = lines.iter().map(ToString::to_string).collect();
        harm(&mut harmed);
        harmed.join("\n") + "\n"
    };
    let harms = [
        ("changed", with(&|lines| lines[middle].clone_from(&changed))),
        ("cut", with(&|lines| lines.truncate(last))),
        ("left out", with(&|lines| drop(lines.remove(last - 1)))),
        (
            "twice",
            with(&|lines| lines.insert(middle, lines[middle].clone())),
        ),
        ("turned round", with(&|lines| lines.swap(1, 2))),
        ("added", with(&|lines| lines.push(lines[1].clone()))),
        (
            "no line",
            with(&|lines| lines[middle] = "{\"bundle\":7}".to_owned()),
        ),
    ];
    for (harm, text) in &harms {
        let file = format!("{}.jsonl", harm.replace(' ', "-"));
        std::fs::write(place.path(&file), text).unwrap();
        let refused = place.fails(8, &["audit", "verify", &file]);
        assert_eq!(refused["code"], "not_verified", "{harm}: {refused}");
        if let Some((good, told)) = python(&place.path(&file)) {
            assert!(!good, "{harm}: {told}");
        }
    }
}
