//! An orchestra as a directory of files: one written by hand is imported, exported, and imported once
//! more with the same view; a wrong one is named by file and line, and nothing of it is imported.

use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Place, Process};

const BY_HAND: &str = r#"{
  "run_number": 23,
  "iteration": 3,
  "phase": "EXECUTION",
  "agents": {
    "adversarial": { "role": "critic", "status": "thinking", "intent": "reviews the waves" },
    "creative": { "role": "maker", "status": "active", "intent": "builds the waves", "focus": "waves" }
  },
  "context": {
    "iteration": 3,
    "mission": "make the waves worth fighting",
    "deliverables": [
      { "name": "waves", "title": "Enemy waves", "status": "in_progress" },
      { "name": "menu", "title": "A menu", "status": "closed" }
    ],
    "decisions": [{ "id": "DD-3", "text": "waves grow by tens", "by": "creative", "importance": "high" }],
    "blockers": [{ "id": "balance", "text": "too hard", "by": "adversarial" }],
    "artifacts": [{ "path": "src/waves.rs", "by": "creative", "witness_mark_id": "m003" }]
  }
}
"#;

const RESONANCE: &str = r#"{
  "active_signals": [
    { "source": "creative", "type": "INTENT", "topic": "waves", "text": "the third wave" },
    { "source": "creative", "type": "CLAIM", "topic": "src/waves.rs" },
    { "source": "creative", "type": "OFFER", "topic": "src/waves.rs", "evidence": "m003" },
    { "source": "adversarial", "type": "NEED", "topic": "balance", "urgency": "blocking", "text": "too hard" },
    { "source": "adversarial", "type": "CLAIM", "topic": "src/menu.rs" },
    { "source": "adversarial", "type": "RELEASE", "topic": "src/menu.rs" }
  ]
}
"#;

fn by_hand(place: &Place) {
    let history = place.path("hand/.history");
    std::fs::create_dir_all(&history).unwrap();
    std::fs::write(place.path("hand/.orchestra.json"), BY_HAND).unwrap();
    std::fs::write(place.path("hand/.resonance.json"), RESONANCE).unwrap();
    let first = json!({
        "iteration": 1, "phase": "DESIGN", "one_sentence_summary": "the mood board is there",
        "key_decisions": ["DD-1", "DD-2"], "artifacts_produced": ["mood-board.md"],
        "blockers_resolved": ["nobody knew the genre"], "witness_mark_ids": ["m001"],
    });
    let second = json!({
        "iteration": 2, "phase": "EXECUTION", "one_sentence_summary": "interfaces stand",
        "artifacts_produced": [{ "path": "src/api.rs", "by": "adversarial", "text": "a draft" }],
    });
    for (number, summary) in [(1, first), (2, second)] {
        let name = history.join(format!("iteration-00{number}.json"));
        std::fs::write(name, format!("{summary:#}")).unwrap();
    }
}

fn node(place: &Place) -> Process {
    place.up()
}

/// A file of a directory without what is new with each import: times, and names of marks.
fn read(directory: &Path, name: &str) -> Value {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    let mut value: Value = serde_json::from_str(&text).unwrap();
    forget(&mut value);
    value
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for new in [
                "timestamp",
                "expires_at",
                "last_action",
                "evidence",
                "witness_mark_id",
                "witness_mark_ids",
                "interference",
                "resolutions",
            ] {
                fields.remove(new);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

#[test]
fn imported_exported_and_imported_again_it_shows_the_same() {
    let place = Place::new();
    by_hand(&place);
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    let told = ask(&["layout", "import", "hand", "--orchestra", "one"]);
    assert_eq!(
        (&told["iteration"], &told["agents"]),
        (&json!(3), &json!(2))
    );
    assert_eq!(
        told["marks_not_taken"], 3,
        "nobody here can prove them: {told}"
    );
    ask(&["layout", "export", "out-1", "--orchestra", "one"]);
    ask(&["layout", "import", "out-1", "--orchestra", "two"]);
    ask(&["layout", "export", "out-2", "--orchestra", "two"]);
    for name in [
        ".orchestra.json",
        ".resonance.json",
        ".history/iteration-001.json",
        ".history/iteration-002.json",
    ] {
        let (first, second) = (
            read(&place.path("out-1"), name),
            read(&place.path("out-2"), name),
        );
        assert_eq!(first, second, "{name}");
    }
    let out = read(&place.path("out-1"), ".orchestra.json");
    let hand: Value = serde_json::from_str(BY_HAND).unwrap();
    assert_eq!(out["context"]["mission"], hand["context"]["mission"]);
    assert_eq!(out["context"]["decisions"], hand["context"]["decisions"]);
    assert_eq!(out["agents"]["creative"]["focus"], "waves");
    assert_eq!(out["run_number"], 23);
    let first = read(&place.path("out-1"), ".history/iteration-001.json");
    assert_eq!(first["one_sentence_summary"], "the mood board is there");
    assert_eq!(first["key_decisions"][1]["id"], "DD-2");
    assert_eq!(first["blockers_resolved"], json!(["nobody knew the genre"]));
    let signals = read(&place.path("out-1"), ".resonance.json");
    assert_eq!(
        signals["active_signals"].as_array().unwrap().len(),
        4,
        "{signals:#}"
    );
    assert!(place.path("out-1/.audit/.focus.creative.md").exists());
    let both = |what: &[&str]| {
        let of = |name: &str| ask(&[what, &["--orchestra", name]].concat());
        (of("one"), of("two"))
    };
    let (one, two) = both(&["outline"]);
    assert_eq!(one["iterations"], two["iterations"]);
    let (one, two) = both(&["state"]);
    for counted in [
        "run",
        "iteration",
        "phase",
        "agents",
        "signals",
        "claims",
        "tasks",
    ] {
        assert_eq!(one[counted], two[counted], "{counted}");
    }
    // What is there already is not written over, and not imported into.
    let full = node.fails(
        &place,
        5,
        &["layout", "export", "out-1", "--orchestra", "one"],
    );
    assert_eq!(full["code"], "not_empty");
    let used = node.fails(
        &place,
        5,
        &["layout", "import", "hand", "--orchestra", "one"],
    );
    assert_eq!(used["code"], "not_empty");
    // The same once more, as after an import that broke off, counts once.
    let records = ask(&["state", "--orchestra", "one"])["marks"].clone();
    ask(&["layout", "import", "hand", "--orchestra", "one", "--again"]);
    assert_eq!(ask(&["state", "--orchestra", "one"])["marks"], records);
}

/// The draft's state holds its iterations and its signals itself; two iterations of DESIGN were refused.
#[test]
fn a_state_that_holds_history_and_signals_itself_is_the_same_orchestra() {
    let place = Place::new();
    by_hand(&place);
    let whole = |phase: &str, also: &dyn Fn(&mut Value)| {
        let json = |name: &str| -> Value {
            let text = std::fs::read_to_string(place.path("hand").join(name)).unwrap();
            serde_json::from_str(&text).unwrap()
        };
        let mut state = json(".orchestra.json");
        let mut second = json(".history/iteration-002.json");
        second["phase"] = phase.into();
        state["history"] = json!([json(".history/iteration-001.json"), second]);
        state["resonance"] = json(".resonance.json");
        also(&mut state);
        let path = place.path("whole");
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(".orchestra.json"), format!("{state:#}")).unwrap();
    };
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    whole("EXECUTION", &|_| ());
    ask(&["layout", "import", "hand", "--orchestra", "one"]);
    ask(&["layout", "import", "whole", "--orchestra", "two"]);
    for (name, out) in [("one", "out-1"), ("two", "out-2")] {
        ask(&["layout", "export", out, "--orchestra", name]);
    }
    for name in [
        ".orchestra.json",
        ".resonance.json",
        ".history/iteration-002.json",
    ] {
        let [one, two] = ["out-1", "out-2"].map(|out| read(&place.path(out), name));
        assert_eq!(one, two, "{name}");
    }
    whole("DESIGN", &|_| ());
    ask(&["layout", "import", "whole", "--orchestra", "three"]);
    ask(&["layout", "export", "out-3", "--orchestra", "three"]);
    let second = read(&place.path("out-3"), ".history/iteration-002.json");
    assert_eq!(second["phase"], "DESIGN");
    let settings = ask(&["settings", "show", "--orchestra", "three"]);
    assert_eq!(settings["settings"]["design_ends"], 2);

    let refused = |also: &dyn Fn(&mut Value)| {
        whole("EXECUTION", also);
        let words = ["layout", "import", "whole", "--orchestra", "four"];
        let told = node.fails(&place, 2, &words);
        told["error"].as_str().unwrap().to_owned()
    };
    let told = refused(&|state| state["history"][1]["iteration"] = 3.into());
    assert!(
        told.contains("iteration 3 is not over") || told.contains("iteration-002"),
        "{told}"
    );
    let told = refused(&|state| state["history"][1]["iteration"] = 1.into());
    assert!(told.contains("stands there twice"), "{told}");
    let own = place.path("whole/.resonance.json");
    std::fs::write(own, "{ \"active_signals\": [] }").unwrap();
    let told = refused(&|_| ());
    assert!(told.contains("take one of them away"), "{told}");
}

/// "It leads nowhere" came back as "it was decided", and a signal of last year stood again.
#[test]
fn a_dead_end_stays_one_and_what_has_expired_is_not_taken() {
    let place = Place::new();
    by_hand(&place);
    let put = |file: &str, old: &str, new: &str| {
        let path = place.path("hand").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old}");
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
    };
    put(
        ".orchestra.json",
        "\"id\": \"DD-3\",",
        "\"id\": \"DD-3\", \"kind\": \"dead_end\",",
    );
    for (kind, year) in [("INTENT", 2020), ("CLAIM", 2021), ("OFFER", 9999)] {
        let old = format!("\"type\": \"{kind}\",");
        let new = format!("{old} \"expires_at\": \"{year}-01-31T12:00:00Z\",");
        put(".resonance.json", &old, &new);
    }
    let node = node(&place);
    let ask = |words: &[&str]| node.json(&place, words);
    let told = ask(&["layout", "import", "hand", "--orchestra", "one"]);
    assert_eq!(told["signals_expired"], 3, "one was released: {told}");
    let lessons = ask(&["decisions", "--orchestra", "one"]).to_string();
    assert!(lessons.contains("dead_end"), "{lessons}");
    ask(&["layout", "export", "out", "--orchestra", "one"]);
    let out = read(&place.path("out"), ".orchestra.json");
    assert_eq!(out["context"]["decisions"][0]["kind"], "dead_end");
    let signals = read(&place.path("out"), ".resonance.json");
    let kinds: Vec<&Value> = signals["active_signals"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let kinds: Vec<&Value> = kinds.iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["NEED", "OFFER"]);
    put(".resonance.json", "9999-01-31T12:00:00Z", "the day after");
    let told = node.fails(
        &place,
        2,
        &["layout", "import", "hand", "--orchestra", "two"],
    );
    let error = told["error"].as_str().unwrap();
    assert!(error.starts_with(".resonance.json:5: "), "{error}");
}

#[test]
fn a_wrong_directory_is_named_by_file_and_line_and_nothing_is_imported() {
    let place = Place::new();
    let node = node(&place);
    let wrong = |file: &str, old: &str, new: &str| {
        by_hand(&place);
        let path = place.path("hand").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{file}: {old}");
        std::fs::write(&path, text.replacen(old, new, 1)).unwrap();
        let told = node.fails(
            &place,
            2,
            &["layout", "import", "hand", "--orchestra", "new"],
        );
        assert_eq!(
            (&told["code"], &told["changed"]),
            (&json!("layout"), &json!(false))
        );
        told["error"].as_str().unwrap().to_owned()
    };
    let (state, field) = (".orchestra.json", ".resonance.json");
    let first = ".history/iteration-001.json";
    for (told, place) in [
        (
            wrong(
                state,
                "\"phase\": \"EXECUTION\",",
                "\"phase\": \"EXECUTION\"",
            ),
            ".orchestra.json:5: ",
        ),
        (
            wrong(state, "\"EXECUTION\"", "\"DESIGN\""),
            ".orchestra.json:4: ",
        ),
        (
            wrong(state, "\"thinking\"", "\"dreaming\""),
            ".orchestra.json:6: ",
        ),
        (
            wrong(state, "\"by\": \"adversarial\"", "\"by\": \"nobody\""),
            ".orchestra.json:17: ",
        ),
        (
            wrong(state, "\"mission\"", "\"misson\""),
            ".orchestra.json:11: ",
        ),
        (wrong(field, "\"CLAIM\"", "\"GRAB\""), ".resonance.json:4: "),
        (
            wrong(field, "\"topic\": \"waves\"", "\"topic\": \"\""),
            ".resonance.json:",
        ),
        // These were found after the orchestra had been made.
        (
            wrong(
                field,
                "\"type\": \"NEED\", \"topic\": \"balance\"",
                "\"type\": \"CLAIM\", \"topic\": \"src/waves.rs\"",
            ),
            ".resonance.json:4: ",
        ),
        (
            wrong(state, "\"name\": \"menu\"", "\"name\": \"waves\""),
            ".orchestra.json:",
        ),
        (
            wrong(state, "\"adversarial\": {", "\"adver\\tsarial\": {"),
            ".orchestra.json:",
        ),
        (
            wrong(first, "\"iteration\": 1", "\"iteration\": 7"),
            ".history/iteration-001.json:",
        ),
    ] {
        assert!(told.starts_with(place), "{place} {told}");
    }
    by_hand(&place);
    std::fs::remove_file(place.path("hand/.history/iteration-002.json")).unwrap();
    let told = node.fails(
        &place,
        2,
        &["layout", "import", "hand", "--orchestra", "new"],
    );
    let told = told["error"].as_str().unwrap();
    assert!(
        told.starts_with(".history/iteration-002.json:1: "),
        "{told}"
    );
    let orchestras = node.json(&place, &["orchestras"]);
    assert!(
        !orchestras.to_string().contains("\"new\""),
        "not even made: {orchestras}"
    );
}

#[test]
fn a_directory_with_a_device_in_it_is_refused_and_not_read_for_ever() {
    let place = Place::new();
    let node = node(&place);
    by_hand(&place);
    let signals = place.path("hand/.resonance.json");
    std::fs::remove_file(&signals).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &signals).unwrap();
    let told = node.fails(
        &place,
        2,
        &["layout", "import", "hand", "--orchestra", "new"],
    );
    let words = told["error"].as_str().unwrap();
    assert!(
        words.starts_with(".resonance.json:1: is no regular"),
        "{told}"
    );
}

/// An orchestra whose EXECUTION ended before the eighth iteration could be exported, and not
/// imported again.
#[test]
fn phases_that_a_setting_has_moved_are_imported_with_it() {
    let place = Place::new();
    let node = node(&place);
    by_hand(&place);
    let path = place.path("hand/.orchestra.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("EXECUTION", "REFLECTION", 1)).unwrap();
    let import = ["layout", "import", "hand", "--orchestra", "short"];
    node.json(&place, &import);
    let state = node.json(&place, &["state", "--orchestra", "short"]);
    assert_eq!(
        (&state["iteration"], &state["phase"]),
        (&json!(3), &json!("reflection"))
    );
}
