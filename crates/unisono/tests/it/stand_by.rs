//! Commands on several machines at one time, between real processes: who stands by, who is not ready, who
//! dies in between, and that no command travels.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::process::{Place, Process, Said, until};

/// A process that stands by.
struct Standing {
    child: Child,
    says: BufReader<ChildStdout>,
}

impl Standing {
    /// Begins to stand by, and waits until it does.
    fn new(place: &Place, node: &Process, agent: &str, more: &[&str], command: &[&str]) -> Self {
        let words = [
            "--node", &node.url, "-o", "json", "stand-by", "switch", "--as", agent,
        ];
        let mut child = place
            .command()
            .args(words)
            .args(more)
            .arg("--")
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let says = BufReader::new(child.stdout.take().unwrap());
        let mut standing = Self { child, says };
        assert_eq!(standing.next()["event"], "standing");
        standing
    }

    /// What it says next.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"))
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `at --on` says: its exit code, its table as JSON, and the code of its failure.
struct Told {
    code: i32,
    table: Value,
    failure: String,
    err: String,
}

impl Told {
    fn player(&self, name: &str) -> &Value {
        let mut players = self.table["players"].as_array().unwrap().iter();
        let found = players.find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name} in {}", self.table))
    }
}

fn at(place: &Place, node: &Process, words: &[&str]) -> Told {
    let all = ["--node", &node.url, "-o", "json", "at"];
    let Said { code, out, err } = place.run(&[&all[..], words, &["--as", "boss"]].concat());
    let last = err.lines().last().unwrap_or_default();
    let failure: Value = serde_json::from_str(last).unwrap_or_default();
    Told {
        code,
        table: serde_json::from_str(&out).unwrap_or_default(),
        failure: failure["code"].as_str().unwrap_or_default().to_owned(),
        err,
    }
}

/// One node with agents.
fn alone(place: &Place) -> Process {
    let node = place.up();
    for agent in ["boss", "ada", "eve"] {
        node.json(place, &["agent", "enrol", agent]);
    }
    node
}

fn path(place: &Place, name: &str) -> String {
    place.path(name).to_str().unwrap().to_owned()
}

#[test]
fn commands_on_two_nodes_are_run_at_one_time_and_what_came_of_each_is_told() {
    let place = Place::new();
    place.found("n1");
    let n1 = place.serve("n1", &[]);
    place.join("n1", "n2", "far");
    let n2 = place.serve("n2", &["--clock-offset-ms=300", "--clock-drift-ppm=40"]);
    n1.json(&place, &["state", "--create"]);
    until("the orchestra is known there", || {
        let known = n2.json(&place, &["orchestras"]);
        known["orchestras"].to_string().contains("\"main\"")
    });
    n1.json(&place, &["agent", "enrol", "boss"]);
    n1.json(&place, &["agent", "enrol", "ada"]);
    n2.json(&place, &["agent", "enrol", "eve", "--role", "switcher"]);
    n2.json(&place, &["agent", "enrol", "zoe"]);
    until("both nodes have one time and know everybody", || {
        let leader = n1.json(&place, &["clock"])["leader"].clone();
        let follows = n2.json(&place, &["clock"]);
        let agents = n1.json(&place, &["agent", "list"]);
        let known = agents["agents"].as_array().unwrap().len() >= 4;
        known && follows["state"] == "synchronised" && follows["leader"] == leader
    });
    let file = |name: &str| format!("date +%s%N > {}", path(&place, name));
    let (by_ada, by_eve) = (file("by-ada"), file("by-eve"));
    let mut ada = Standing::new(
        &place,
        &n1,
        "ada",
        &["--from", "boss"],
        &["sh", "-c", &by_ada],
    );
    let by_eve = format!("{by_eve}; exit 3");
    let mut eve = Standing::new(&place, &n2, "eve", &[], &["sh", "-c", &by_eve]);
    // A node's name stands for its agents, here those in a role.
    let words = [
        "+4s",
        "--on",
        "ada,n2",
        "--word",
        "switch",
        "--window-ms",
        "2000",
    ];
    let refused = at(&place, &n1, &[&words[..], &["--role", "switcher"]].concat());
    assert_eq!(
        (refused.code, refused.failure.as_str()),
        (3, "agent_unknown"),
        "{}",
        refused.err
    );
    let words = [
        "+4s", "--on", "n2", "--role", "switcher", "--word", "switch",
    ];
    let told = at(
        &place,
        &n1,
        &[&words[..], &["--window-ms", "2000"]].concat(),
    );
    assert_eq!(
        (told.code, told.failure.as_str()),
        (1, "command_ended_badly"),
        "{}",
        told.err
    );
    assert_eq!(
        told.table["players"].as_array().unwrap().len(),
        1,
        "{}",
        told.table
    );
    assert_eq!(
        (&told.player("eve")["exit"], &told.player("eve")["node"]),
        (&3.into(), &"n2".into())
    );
    let words = [
        "+4s",
        "--on",
        "ada,eve",
        "--word",
        "switch",
        "--window-ms",
        "2000",
    ];
    let told = at(&place, &n1, &words);
    assert_eq!(
        (told.code, told.failure.as_str()),
        (1, "command_ended_badly"),
        "{}",
        told.err
    );
    assert_eq!(told.table["stage"], "on");
    for (name, exit) in [("ada", 0), ("eve", 3)] {
        let player = told.player(name);
        assert_eq!(player["exit"], exit, "{player}");
        assert_eq!(player["outcome"], "punctual", "{player}");
        let late_ms = player["late_ms"].as_f64().unwrap();
        assert!((0.0..2_000.0).contains(&late_ms), "never early: {player}");
        let ready_ms = player["ready_after_ms"].as_f64().unwrap();
        assert!((0.0..3_500.0).contains(&ready_ms), "{player}");
    }
    // The truth: one machine's clock read by both commands.
    let read = |name: &str| -> i64 {
        let text = std::fs::read_to_string(place.path(name)).unwrap();
        text.trim().parse().unwrap()
    };
    let apart_ns = read("by-ada").abs_diff(read("by-eve"));
    assert!(apart_ns < 1_500_000_000, "{apart_ns} ns apart");
    let events: Vec<Value> = (0..2).map(|_| ada.next()).collect();
    assert_eq!(
        (&events[0]["event"], &events[1]["event"]),
        (&"ready".into(), &"played".into())
    );
    assert_eq!(events[1]["ended"], "ended 0");
    let events: Vec<Value> = (0..4).map(|_| eve.next()).collect();
    assert_eq!(events[3]["ended"], "ended 3", "{events:?}");
}

#[test]
fn nothing_is_run_unless_all_are_ready_and_who_was_not_is_told_with_the_reason() {
    let place = Place::new();
    let node = alone(&place);
    let ran = path(&place, "ran");
    let mut ada = Standing::new(&place, &node, "ada", &[], &["touch", &ran]);
    // Nobody stands by for eve.
    let words = [
        "+2s",
        "--on",
        "ada,eve",
        "--word",
        "switch",
        "--window-ms",
        "2000",
    ];
    let told = at(&place, &node, &words);
    assert_eq!(
        (told.code, told.failure.as_str()),
        (5, "cue_off"),
        "{}",
        told.err
    );
    assert_eq!(
        (
            &told.player("ada")["lacking"],
            &told.player("eve")["lacking"]
        ),
        (&false.into(), &true.into())
    );
    assert!(
        told.player("eve")["why"]
            .as_str()
            .unwrap()
            .contains("does it stand by")
    );
    assert!(told.err.contains("unisono stand-by switch"), "{}", told.err);
    assert_eq!(ada.next()["event"], "ready");
    let off = ada.next();
    assert_eq!(
        (&off["event"], &off["lacking"][0]),
        (&"off".into(), &"eve".into()),
        "{off}"
    );
    assert!(!place.path("ran").exists());
    // It stands by with what cannot be started.
    let mut eve = Standing::new(&place, &node, "eve", &[], &["./is-not-there"]);
    let told = at(&place, &node, &words);
    assert_eq!(
        (told.code, told.failure.as_str()),
        (5, "cue_off"),
        "{}",
        told.err
    );
    let why = told.player("eve")["why"].as_str().unwrap();
    assert!(why.contains("is-not-there"), "{why}");
    assert_eq!(told.player("eve")["word"], "declined");
    assert_eq!(eve.next()["event"], "declined");
    assert!(!place.path("ran").exists());
    // Under the other rule whoever is ready goes.
    let told = at(&place, &node, &[&words[..], &["--rule", "go"]].concat());
    assert_eq!(
        (told.code, told.failure.as_str()),
        (1, "not_played"),
        "{}",
        told.err
    );
    assert!(
        told.err.contains("eve") && !told.err.contains("by ada"),
        "{}",
        told.err
    );
    assert_eq!(told.player("ada")["exit"], 0);
    assert!(place.path("ran").exists());
}

#[test]
fn what_is_wrong_with_the_asking_is_refused_before_anything_is_given() {
    let place = Place::new();
    let node = alone(&place);
    let known = || {
        node.json(&place, &["schedule"])["cues"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = known();
    for (exit, code, words) in [
        (
            3,
            "agent_unknown",
            vec!["+2s", "--on", "ada,nobody", "--word", "switch"],
        ),
        (
            3,
            "agent_unknown",
            vec!["+2s", "--on", "ada", "--role", "x", "--word", "switch"],
        ),
        (
            2,
            "time_past",
            vec!["1000", "--on", "ada", "--word", "switch"],
        ),
        (
            2,
            "time_unreadable",
            vec!["NaN", "--on", "ada", "--word", "switch"],
        ),
        (2, "usage", vec!["+2s", "--on", "ada"]),
        (
            2,
            "usage",
            vec!["+2s", "--on", "ada", "--word", "switch", "--", "touch", "x"],
        ),
        (
            2,
            "usage",
            vec!["+2s", "--word", "switch", "--", "touch", "x"],
        ),
    ] {
        let told = at(&place, &node, &words);
        assert_eq!(
            (told.code, told.failure.as_str()),
            (exit, code),
            "{words:?}: {}",
            told.err
        );
    }
    assert_eq!(known(), before);
}

#[test]
fn who_dies_between_ready_and_the_time_runs_nothing_and_is_missed() {
    let place = Place::new();
    let node = alone(&place);
    let ran = path(&place, "ran");
    let mut ada = Standing::new(&place, &node, "ada", &[], &["touch", &ran]);
    let told = std::thread::scope(|scope| {
        let words = [
            "+3s",
            "--on",
            "ada",
            "--word",
            "switch",
            "--patience-ms",
            "1000",
        ];
        let (place, node) = (&place, &node);
        let told = scope.spawn(move || at(place, node, &words));
        assert_eq!(ada.next()["event"], "ready");
        ada.kill();
        told.join().unwrap()
    });
    assert_eq!(
        (told.code, told.failure.as_str()),
        (1, "not_played"),
        "{}",
        told.err
    );
    let player = told.player("ada");
    assert_eq!(
        (&player["outcome"], &player["lacking"]),
        (&"untold".into(), &false.into())
    );
    assert!(
        player["why"]
            .as_str()
            .unwrap()
            .contains("told nothing since"),
        "{player}"
    );
    assert!(!place.path("ran").exists(), "its command died with it");
}

#[test]
fn who_may_say_when_can_be_narrowed_and_a_notice_that_is_too_short_says_which_is_enough() {
    let place = Place::new();
    let node = alone(&place);
    let mut ada = Standing::new(&place, &node, "ada", &["--from", "eve"], &["true"]);
    let words = ["+2s", "--on", "ada", "--word", "switch"];
    let told = at(&place, &node, &words);
    assert_eq!(
        (told.code, told.failure.as_str()),
        (5, "cue_off"),
        "{}",
        told.err
    );
    let why = told.player("ada")["why"].as_str().unwrap().to_owned();
    assert!(why.contains("no cues of boss"), "{why}");
    assert_eq!(ada.next()["event"], "declined");
    // Of whom nobody knows two seconds are assumed, and half a second and more to answer.
    let words = [
        "--node", &node.url, "at", "+1500ms", "--on", "ada", "--word", "switch", "--as", "boss",
    ];
    let said = place.run(&words);
    assert_eq!(said.code, 5, "{}", said.err);
    assert!(said.err.contains("too short for ada; +25"), "{}", said.err);
    assert!(
        said.out.starts_with("PLAYER") && said.out.contains("ada"),
        "{}",
        said.out
    );
    let enough_ms = told.table["enough_ms"].as_u64().unwrap();
    assert!((2_500..3_500).contains(&enough_ms), "{}", told.table);
    // Without a time it is as soon as all can be ready.
    let mut eve = Standing::new(
        &place,
        &node,
        "eve",
        &["--once", "--ready"],
        &["sh", "-c", "read at"],
    );
    let told = at(&place, &node, &["soon", "--on", "eve", "--word", "switch"]);
    assert_eq!(told.code, 0, "{} {}", told.table, told.err);
    assert_eq!(
        told.table["notice"]["short"],
        serde_json::json!([]),
        "{}",
        told.table
    );
    let end = Instant::now() + Duration::from_secs(5);
    let status = loop {
        if let Some(status) = eve.child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < end, "once is once");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success());
}

#[test]
fn what_is_not_sure_to_come_is_reacted_to_and_nothing_is_made_ready_long_before() {
    let place = Place::new();
    let node = alone(&place);
    let mut ada = Standing::new(&place, &node, "ada", &[], &["true"]);
    let gives = |confidence: &str| {
        let words = [
            "schedule",
            "cue",
            "switch",
            "--at",
            "+6s",
            "--for",
            "ada",
            "--confidence",
            confidence,
            "--as",
            "boss",
        ];
        node.json(&place, &words)
    };
    let given = gives("100");
    assert_eq!(given["cue"]["plan"], "prepare");
    assert_eq!(ada.next()["event"], "ready");
    assert_eq!(ada.next()["event"], "played");
    let given = gives("50");
    assert_eq!(given["cue"]["plan"], "react");
    assert!(given["cue"]["notice"].is_null(), "{given}");
    let reacts = ada.next();
    assert_eq!(reacts["event"], "reacts");
    assert_eq!(reacts["sure"], 0.5);
    let ready = ada.next();
    assert_eq!(ready["event"], "ready");
    assert!(ready["left_ms"].as_f64() < Some(1_000.0), "{ready}");
}
