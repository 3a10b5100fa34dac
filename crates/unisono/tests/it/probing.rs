//! What a refusal tells whoever asks for one again and again: of others' files, nothing.

use serde_json::json;

use crate::process::Place;

const GOOD: &str = "fn a(x: u32) -> u32 {\n    if x > 1 { x } else { 1 }\n}\n";

/// A plan in which everybody has a file of their own.
const APART: &str = r#"
[[project]]
name = "engine"

[[project.phase]]
number = 1
name = "parts"
state = "active"

[[project.phase.files]]
agent = "KIM"
paths = ["src/a.rs"]

[[project.phase.files]]
agent = "MAX"
paths = ["src/m.rs", "src/n.rs"]
"#;

/// One that another has written, one that nobody has, one that lies in the workspace alone, one that is
/// a link there, one that is nowhere and nobody's.
const OTHERS: [&str; 5] = ["src/m.rs", "src/n.rs", "src/w.rs", "src/l.rs", "lib/q.rs"];

/// The incident: nobody had looked. A refusal that differs by what is there tells whoever asks often
/// enough what others have.
#[test]
fn a_refusal_says_the_same_of_anothers_file_of_none_and_of_nobodys() {
    let place = Place::new();
    place.found("n1");
    std::fs::create_dir_all(place.path("ws/src")).unwrap();
    let node = place.serve("n1", &["--workspace", "ws"]);
    node.json(&place, &["state", "--create"]);
    for name in ["kim", "max"] {
        node.json(&place, &["agent", "enrol", name]);
    }
    let all = node.json(&place, &["agent", "list"]);
    let id = |name: &str| {
        let mut all = all["agents"].as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap()["agent"]
            .as_str()
            .unwrap()
    };
    let plan = APART.replace("KIM", id("kim")).replace("MAX", id("max"));
    std::fs::write(place.path("plan.toml"), plan).unwrap();
    node.json(&place, &["plan", "set", "plan.toml", "--as", "max"]);
    for file in ["src/m.rs", "src/w.rs"] {
        std::fs::write(place.path("ws").join(file), GOOD).unwrap();
    }
    std::os::unix::fs::symlink("m.rs", place.path("ws/src/l.rs")).unwrap();
    let write = |agent: &str, path: &str, text: &str| {
        let body = json!({ "agent": agent, "project": "engine", "phase": 1, "path": path,
            "text": text });
        node.post("/v1/orchestras/main/files", &body)
    };
    assert_eq!(write("max", "src/m.rs", GOOD).0, 201);

    // The caller's own in an answer: the path that it asked for, and the incident of it.
    let refused = |path: &str, text: &str| {
        let (status, mut problem) = write("kim", path, text);
        assert_eq!(problem["code"], "file_not_allowed", "{path}: {problem}");
        assert!(problem["incident"].is_string(), "{problem}");
        problem["incident"] = "one".into();
        (status, problem.to_string().replace(path, "PATH"))
    };
    let first = refused("src/m.rs", GOOD);
    for path in OTHERS {
        for content in [GOOD, "fn b() {}\n"] {
            assert_eq!(refused(path, content), first, "{path}");
        }
    }
    assert!(first.1.contains("src/a.rs") && !first.1.contains("src/n.rs"));
}
