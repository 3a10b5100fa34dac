//! Plans on real nodes: who may write which file in which phase, what the node measures of it, who
//! may approve it; the story of it, and each trick with its stable code.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::agree;
use crate::faults::inject;
use crate::process::{Place, Process, until};

/// How long the other node may take to know of a refusal here, on a machine that is busy with other
/// tests; `docs/security.md` says how long it takes on one that is not.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// A plan with a phase that is active and one that is not.
const PLAN: &str = r#"
[[project]]
name = "engine"
unmeasured = ["md"]

[[project.phase]]
number = 1
name = "parts"
state = "active"

[[project.phase.files]]
paths = ["src/a.rs", "src/b.rs", "src/c.rs", "src/*.py", "docs/**"]

[[project.phase]]
number = 2
name = "whole"

[[project.phase.files]]
paths = ["src/**"]
"#;

/// The words that remove the file.
const REMOVAL: [&str; 7] = [
    "write",
    "src/a.rs",
    "--project",
    "engine",
    "--phase",
    "1",
    "--remove",
];
const GOOD: &str = "fn a(x: u32) -> u32 {\n    if x > 1 { x } else { 1 }\n}\n";

/// An orchestra that is guarded and has a plan, with an executive, an implementer and a validator.
struct Stage {
    place: Place,
    nodes: Vec<Process>,
}

impl Stage {
    fn new(nodes: usize, more: &[&str]) -> Self {
        let place = Place::new();
        std::fs::create_dir_all(place.path("ws/src")).unwrap();
        std::fs::create_dir_all(place.path("ws/docs")).unwrap();
        place.found("n1");
        let mut serving = vec![place.serve("n1", more)];
        for number in 2..=nodes {
            let name = format!("n{number}");
            place.join("n1", &name, "near");
            serving.push(place.serve(&name, more));
        }
        serving[0].json(&place, &["state", "--create"]);
        let stage = Self {
            place,
            nodes: serving,
        };
        let files = [
            "--file",
            "src/a.rs",
            "--file",
            "src/b.rs",
            "--file",
            "docs/a.md",
        ];
        let given = [&["--project", "main", "--phase", "1"], files.as_slice()].concat();
        let root = ["token", "mint", "--data", "n1"];
        stage.give(
            "boss",
            "executive",
            "executive",
            &[&root[..], &given].concat(),
        );
        let narrow = ["token", "narrow", "boss.token", "--key-file", "boss.key"];
        stage.give(
            "ivy",
            "implementation",
            "implementation",
            &[&narrow[..], &given].concat(),
        );
        stage.give("vera", "validation", "validation", &root);
        std::fs::write(stage.place.path("plan.toml"), PLAN).unwrap();
        stage.does("boss", &["plan", "set", "plan.toml"]);
        let guard = ["guard", "--as", "root", "--key-file", "n1/root.key"];
        stage.nodes[0].json(&stage.place, &guard);
        for node in &stage.nodes {
            until("plan and guard are everywhere", || {
                let plan = node.json(&stage.place, &["plan", "show"]);
                let trust = node.json(&stage.place, &["trust"]);
                plan["record"].is_string() && trust["guarded_since"].is_object()
            });
        }
        stage
    }

    /// An agent with a key and a token of its own.
    fn give(&self, name: &str, tier: &str, shape: &str, how: &[&str]) {
        let key = format!("{name}.key");
        let enrol = ["agent", "enrol", name, "--key-file", &key, "--tier", tier];
        let enrolled = self.nodes[0].json(&self.place, &enrol);
        let agent = enrolled["agent"].as_str().unwrap();
        let mut words = how.to_vec();
        words.insert(2 + usize::from(how[1] == "narrow"), shape);
        words.extend(["--for", agent]);
        let token = self.place.json(&words);
        let token = token["token"].as_str().unwrap();
        std::fs::write(self.place.path(&format!("{name}.token")), token).unwrap();
    }

    fn words(name: &str, words: &[&str]) -> Vec<String> {
        let files = [format!("{name}.key"), format!("{name}.token")];
        let mut all: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let [key, token] = files;
        all.extend(["--as".to_owned(), name.to_owned()]);
        all.extend([
            "--key-file".to_owned(),
            key,
            "--token-file".to_owned(),
            token,
        ]);
        all
    }

    fn at(&self, node: usize, name: &str, words: &[&str]) -> Value {
        let words = Self::words(name, words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.nodes[node].json(&self.place, &words)
    }

    fn does(&self, name: &str, words: &[&str]) -> Value {
        self.at(0, name, words)
    }

    /// Why somebody is refused: code and sentence.
    fn refused_at(&self, node: usize, name: &str, exit: i32, words: &[&str]) -> (String, String) {
        let words = Self::words(name, words);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let failed = self.nodes[node].fails(&self.place, exit, &words);
        let text = |field: &str| failed[field].as_str().unwrap().to_owned();
        (text("code"), text("error"))
    }

    fn refused(&self, name: &str, exit: i32, words: &[&str]) -> String {
        self.refused_at(0, name, exit, words).0
    }

    /// Writes in the workspace; the words that have it recorded.
    fn file<'a>(&self, path: &'a str, content: &str, more: &[&'a str]) -> Vec<&'a str> {
        std::fs::write(self.place.path("ws").join(path), content).unwrap();
        let words = ["write", path, "--workspace", "ws", "--project", "engine"];
        let phase = more.contains(&"--phase");
        let phase: &[&str] = if phase { &[] } else { &["--phase", "1"] };
        [&words[..], phase, more].concat()
    }

    /// What a file holds.
    fn holds(&self, path: &str) -> String {
        self.holds_at(0, path)
    }

    fn holds_at(&self, node: usize, path: &str) -> String {
        let files = self.nodes[node].json(&self.place, &["files", path]);
        let holds = &files["files"][0]["holds"]["content"];
        holds.as_str().unwrap_or_default().to_owned()
    }

    /// The rules that were broken, as a node tells them.
    fn told(&self, node: usize) -> Vec<String> {
        let trust = self.nodes[node].json(&self.place, &["trust"]);
        let incidents = trust["incidents"].as_array().unwrap();
        let rules = incidents.iter().map(|one| one["rule"].as_str().unwrap());
        rules.map(str::to_owned).collect()
    }

    /// Until a node knows of a refusal.
    fn told_within(&self, node: usize, rule: &str) -> Duration {
        let begin = Instant::now();
        until("the refusal is told", || {
            self.told(node).iter().any(|told| told == rule)
        });
        begin.elapsed()
    }
}

/// A function with so many decisions.
fn branches(decisions: usize) -> String {
    let line = |number| format!("    if x == {number} {{\n        return {number};\n    }}\n");
    let lines = (0..decisions).fold(String::new(), |lines, number| lines + &line(number));
    format!("fn tangled(x: u32) -> u32 {{\n{lines}    x\n}}\n")
}

/// The story: an implementer with two files does what it may, tries what it may not, and is seen;
/// an approval ends with what it was about; a cut, a revocation on one side, and one state after it.
#[test]
fn an_implementer_keeps_to_the_plan_and_an_approval_to_what_it_was_about() {
    let stage = Stage::new(2, &["--test-faults"]);
    stage.at(1, "ivy", &stage.file("src/a.rs", GOOD, &[]));
    until("the file is known where the others are", || {
        !stage.holds("src/a.rs").is_empty()
    });
    let first = stage.holds("src/a.rs");
    let base = ["--base", first.as_str()];

    let tries: [(&str, Vec<&str>); 4] = [
        ("file_not_allowed", stage.file("src/c.rs", GOOD, &[])),
        ("deletion_not_allowed", [&REMOVAL[..], &base].concat()),
        ("measure_refused", stage.file("src/b.rs", &branches(8), &[])),
        (
            "phase_not_active",
            stage.file("src/a.rs", GOOD, &["--phase", "2"]),
        ),
    ];
    for (rule, words) in &tries {
        let (code, _) = stage.refused_at(1, "ivy", 4, words);
        assert_eq!(code, *rule);
        let (here, there) = (stage.told_within(1, rule), stage.told_within(0, rule));
        assert!(here + there < TOLD_WITHIN, "{rule}: {here:?}, {there:?}");
    }
    assert_eq!(stage.holds("src/a.rs"), first, "nothing has changed");

    let approve = [
        "approve",
        "src/a.rs",
        "--content",
        &first,
        "--reason",
        "tests pass",
    ];
    stage.does("vera", &approve);
    let approval = |node: usize| {
        let files = stage.nodes[node].json(&stage.place, &["files", "src/a.rs"]);
        files["files"][0]["approvals"][0]["worth"].clone()
    };
    until("the approval is known", || approval(1) == "stands");
    stage.at(1, "ivy", &stage.file("src/a.rs", "fn a() {}\n", &base));
    until("it is about what is there no more", || {
        approval(0) == "stale"
    });
    assert_eq!(stage.refused("vera", 5, &approve), "content_conflict");

    // A cut; on one side ivy's token ends, on the other ivy writes on.
    let id = |node: &Process| node.json(&stage.place, &["status"])["node"].clone();
    let (near, far) = (id(&stage.nodes[0]), id(&stage.nodes[1]));
    assert_eq!(inject(&stage.nodes[1], &json!({ "block": [near] })), 200);
    assert_eq!(inject(&stage.nodes[0], &json!({ "block": [far] })), 200);
    let link = stage.place.json(&["token", "inspect", "ivy.token"]);
    let link = link["links"][1]["link"].as_str().unwrap().to_owned();
    stage.does("boss", &["fence", "--link", &link, "--reason", "enough"]);
    stage.at(1, "ivy", &stage.file("src/b.rs", GOOD, &[]));
    // Meanwhile others build on it.
    let written = stage.holds_at(1, "src/b.rs");
    let about = [
        "approve",
        "src/b.rs",
        "--content",
        &written,
        "--reason",
        "it is",
    ];
    stage.at(1, "vera", &about);
    assert_eq!(inject(&stage.nodes[1], &json!({ "unblock": [near] })), 200);
    assert_eq!(inject(&stage.nodes[0], &json!({ "unblock": [far] })), 200);
    for node in &stage.nodes {
        until(
            "what was written behind the fence is void everywhere",
            || {
                let voided = node.json(&stage.place, &["voided"]);
                let voided = voided["voided"].as_array().unwrap().clone();
                voided.iter().any(|one| one["deed"] == "write")
            },
        );
        let gone = node.json(&stage.place, &["files", "src/b.rs"]);
        assert_eq!(gone["files"], json!([]));
        let voided = node.json(&stage.place, &["voided"]);
        let voided = voided["voided"].as_array().unwrap().clone();
        let to_review: Vec<_> = voided.iter().filter(|one| one["review"] == true).collect();
        assert_eq!(to_review.len(), 1, "{voided:?}");
        assert_eq!(to_review[0]["deed"], "write");
        assert_eq!(to_review[0]["built_on"][0]["name"], "vera");
        assert_eq!(to_review[0]["built_on"][0]["through"], written);
        let told = stage
            .place
            .run(&["--node", node.url.as_str(), "voided"])
            .out;
        assert!(told.contains("(approve of vera) was built on"), "{told}");
    }
    agree(&stage.place, &stage.nodes);
    let unsanctioned = stage.nodes[0].fails(&stage.place, 8, &["plan", "check", "ws"]);
    assert_eq!(
        unsanctioned["code"], "unsanctioned",
        "it still lies on the disk"
    );
}

#[test]
fn a_file_that_is_not_listed_is_refused_with_the_callers_own_files_alone() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", GOOD, &[]));
    let (code, words) = stage.refused_at(0, "ivy", 4, &stage.file("src/c.rs", GOOD, &[]));
    assert_eq!(code, "file_not_allowed");
    assert!(words.contains("docs/a.md, src/a.rs, src/b.rs"), "{words}");
    assert!(
        !words.contains("src/*.py"),
        "what the plan lets others write: {words}"
    );
}

/// Nothing differs by what is there: see `probing.rs` for the plan's own scopes.
#[test]
fn a_token_refuses_anothers_file_one_that_is_none_and_nobodys_alike() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", GOOD, &[]));
    let root = [
        "token",
        "mint",
        "--data",
        "n1",
        "--project",
        "main",
        "--phase",
        "1",
    ];
    let own = [&root[..], &["--file", "src/c.rs"]].concat();
    stage.give("max", "implementation", "implementation", &own);
    stage.does("max", &stage.file("src/c.rs", GOOD, &[]));
    let refused = |path: &str| {
        let words = Stage::words("ivy", &stage.file(path, GOOD, &[]));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut failed = stage.nodes[0].fails(&stage.place, 4, &words);
        assert_eq!(failed["code"], "file_not_allowed", "{failed}");
        failed["incident"] = "one".into();
        failed.to_string().replace(path, "PATH")
    };
    std::fs::create_dir_all(stage.place.path("ws/lib")).unwrap();
    let first = refused("src/c.rs");
    for path in ["src/z.rs", "src/q.py", "lib/q.rs"] {
        assert_eq!(refused(path), first, "{path}");
    }
}

#[test]
fn a_path_has_one_spelling_and_no_other_is_taken() {
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "kim"]);
    let plan = PLAN.replace("\"src/a.rs\", \"src/b.rs\", ", "\"**\", ");
    std::fs::write(place.path("plan.toml"), plan).unwrap();
    node.json(&place, &["plan", "set", "plan.toml", "--as", "kim"]);
    let write = |path: &str| {
        let body = json!({ "agent": "kim", "project": "engine", "phase": 1, "path": path,
            "text": GOOD });
        node.post("/v1/orchestras/main/files", &body)
    };
    assert_eq!(write("src/größe.rs").0, 201);
    assert_eq!(write("src/a.rs").0, 201);
    let long = format!("src/{}", "a/".repeat(2_048));
    for path in [
        "src/../secret",
        "./src/a.rs",
        "src//a.rs",
        "/etc/passwd",
        "C:\\x",
        "src\\a.rs",
        "src/",
        "src/.",
        "src/a.rs.",
        "src/a\0.rs",
        "src/a\n.rs",
        &long,
        "src/gro\u{308}ße.rs",
        "SRC/A.RS",
        "src/\u{202e}sr.a",
        "src/\u{200b}a.rs",
        "src/CON",
        "src/nul.rs",
    ] {
        let (status, problem) = write(path);
        assert_eq!(problem["code"], "path_not_plain", "{path:?}: {problem}");
        assert_eq!((status, &problem["changed"]), (400, &json!(false)));
    }
    let incidents = node.json(&place, &["trust"]);
    assert_eq!(incidents["incidents"][0]["rule"], "path_not_plain");
    let files = node.json(&place, &["files"]);
    assert_eq!(files["files"].as_array().unwrap().len(), 2);
}

#[test]
fn no_link_leads_a_node_out_of_its_workspace() {
    let place = Place::new();
    place.found("n1");
    let src = place.path("ws/src");
    std::fs::create_dir_all(&src).unwrap();
    std::fs::create_dir_all(place.path("out")).unwrap();
    std::fs::write(place.path("out/c.rs"), GOOD).unwrap();
    let node = place.serve("n1", &["--workspace", "ws"]);
    node.json(&place, &["state", "--create"]);
    node.json(&place, &["agent", "enrol", "kim"]);
    let plan = PLAN.replace("\"src/a.rs\", \"src/b.rs\", ", "\"**\", ");
    std::fs::write(place.path("plan.toml"), plan).unwrap();
    node.json(&place, &["plan", "set", "plan.toml", "--as", "kim"]);
    let write = |path: &str, text: &str| {
        let body = json!({ "agent": "kim", "project": "engine", "phase": 1, "path": path,
            "text": text });
        node.post("/v1/orchestras/main/files", &body).1
    };
    std::fs::write(src.join("a.rs"), GOOD).unwrap();
    assert_eq!(
        write("src/a.rs", "fn other() {}\n")["code"],
        "content_mismatch"
    );
    assert_eq!(write("src/none.rs", GOOD)["code"], "content_mismatch");
    assert!(write("src/a.rs", GOOD)["record"].is_string());
    std::os::unix::fs::symlink("../../out/c.rs", src.join("link.rs")).unwrap();
    std::fs::hard_link(place.path("out/c.rs"), src.join("hard.rs")).unwrap();
    assert_eq!(write("src/link.rs", GOOD)["code"], "path_escapes");
    assert_eq!(write("src/hard.rs", GOOD)["code"], "path_escapes");
    // The folder is exchanged for a link to another that holds the very same.
    std::fs::rename(&src, place.path("ws/old")).unwrap();
    std::os::unix::fs::symlink("../out", &src).unwrap();
    assert_eq!(write("src/c.rs", GOOD)["code"], "path_escapes");
    let told = node.json(&place, &["trust"]);
    let told = told["incidents"].as_array().unwrap().clone();
    assert!(told.iter().any(|one| one["rule"] == "path_escapes"));
}

#[test]
fn to_remove_to_move_away_and_to_empty_are_to_delete() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", GOOD, &[]));
    let holds = stage.holds("src/a.rs");
    let base = ["--base", holds.as_str()];
    let moved = ["--moved-from", "src/a.rs", "--moved-base", holds.as_str()];
    for words in [
        [&REMOVAL[..], &base].concat(),
        stage.file("src/b.rs", GOOD, &moved),
        stage.file("src/a.rs", "", &base),
        stage.file("src/a.rs", " \n\t\n", &base),
        stage.file("src/a.rs", "// nothing is left\n", &base),
    ] {
        assert_eq!(
            stage.refused("ivy", 4, &words),
            "deletion_not_allowed",
            "{words:?}"
        );
    }
    assert_eq!(stage.holds("src/a.rs"), holds);
    stage.does("ivy", &stage.file("src/b.rs", "", &[]));
}

#[test]
fn functions_are_measured_by_the_node_whatever_is_claimed_of_them() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", &branches(7), &[]));
    let base = stage.holds("src/a.rs");
    let line = "    step();\n";
    let long = format!("fn long() {{\n{}}}\n", line.repeat(60));
    let joined = format!("fn long() {{ {} }}\n", "step(); ".repeat(60));
    let hidden = format!("macro_rules! m {{ () => {{ {} }}; }}\n", branches(9));
    for content in [branches(8), long, joined, hidden, "fn a( {\n".to_owned()] {
        let words = stage.file("src/a.rs", &content, &["--base", &base]);
        assert_eq!(
            stage.refused("ivy", 4, &words),
            "measure_refused",
            "{content}"
        );
    }
    // No grammar knows this one: the plan says whether it may be written.
    stage.does("ivy", &stage.file("docs/a.md", "# Words\n", &[]));
    let files = stage.nodes[0].json(&stage.place, &["files", "src/a.rs"]);
    let measured = &files["files"][0]["holds"]["measure"]["known"];
    assert_eq!(measured["complexity_max"], 8);
    assert_eq!(measured["most_complex"], "tangled");
}

#[test]
fn what_is_recorded_is_what_was_sent_on_top_of_what_was_there() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", GOOD, &[]));
    let first = stage.holds("src/a.rs");
    let again = stage.file("src/a.rs", "fn again() {}\n", &[]);
    let (code, words) = stage.refused_at(0, "ivy", 5, &again);
    assert_eq!(code, "content_conflict");
    assert!(words.contains(&first), "it names what is there: {words}");
    let other = "ab".repeat(32);
    let stale = stage.file("src/a.rs", "fn b() {}\n", &["--base", &other]);
    assert_eq!(stage.refused("ivy", 5, &stale), "content_conflict");
    stage.does(
        "ivy",
        &stage.file("src/a.rs", "fn b() {}\n", &["--base", &first]),
    );
    assert_ne!(stage.holds("src/a.rs"), first);
}

#[test]
fn nobody_does_another_tiers_work_nor_approves_where_they_had_a_hand() {
    let stage = Stage::new(1, &[]);
    stage.does("ivy", &stage.file("src/a.rs", GOOD, &[]));
    let holds = stage.holds("src/a.rs");
    let approve = ["approve", "src/a.rs", "--content", holds.as_str()];
    let write = stage.file("src/b.rs", GOOD, &[]);
    assert_eq!(stage.refused("vera", 4, &write), "not_allowed");
    assert_eq!(stage.refused("boss", 4, &write), "not_allowed");
    assert_eq!(stage.refused("ivy", 4, &approve), "not_allowed");
    assert_eq!(
        stage.refused("ivy", 4, &["plan", "set", "plan.toml"]),
        "not_allowed"
    );
    // An executive of a user's own policy makes an implementer, and a validator for what it makes.
    let tier = stage.place.run(&["tier", "show", "executive"]).out;
    let both = tier
        .replace(
            "[\"implementation\"]",
            "[\"implementation\", \"validation\"]",
        )
        .replace(
            "\"write-code\", \"write-report\"]",
            "\"write-code\", \"write-report\", \"approve\"]",
        );
    std::fs::write(stage.place.path("both.toml"), both).unwrap();
    let given = ["--project", "main", "--phase", "1", "--file", "src/b.rs"];
    let mint = ["token", "mint", "--data", "n1"];
    stage.give(
        "chief",
        "executive",
        "both.toml",
        &[&mint[..], &given].concat(),
    );
    let narrow = ["token", "narrow", "chief.token", "--key-file", "chief.key"];
    let narrow = [&narrow[..], &given].concat();
    stage.give("otto", "implementation", "implementation", &narrow);
    stage.give("wren", "validation", "validation", &narrow);
    stage.does("otto", &stage.file("src/b.rs", GOOD, &[]));
    let own = stage.holds("src/b.rs");
    let own = ["approve", "src/b.rs", "--content", own.as_str()];
    assert_eq!(stage.refused("wren", 4, &own), "duties_together");
    stage.does("vera", &own);
    stage.does("wren", &approve);
    let files = stage.nodes[0].json(&stage.place, &["files"]);
    for file in files["files"].as_array().unwrap() {
        assert_eq!(file["approvals"][0]["worth"], "stands", "{file}");
    }
}
