//! The trace of a real fleet, played into a real node, against an oracle that knows nothing of this
//! program: a plain loop over the lines, by the words of docs/replay.md.
//!
//! The committed excerpt in ordinary runs; with `UNISONO_TRACE=FILE` that file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use serde_json::Value;

use crate::cluster;
use crate::process::{Place, Process, root};

/// A task as the trace alone says that it is.
#[derive(Debug, Default)]
struct Expected {
    kind: String,
    title: String,
    description: String,
    status: &'static str,
    priority: u64,
    assignee: String,
    labels: Vec<String>,
    remarks: u64,
    /// What was said at the last closing; none if it was never closed.
    reason: Option<String>,
    /// (other task, relation) that stand.
    links: BTreeSet<(String, &'static str)>,
}

/// The tasks, and how many events spoke of a task that was not there.
#[derive(Debug, Default)]
struct Oracle {
    tasks: BTreeMap<String, Expected>,
    strangers: u64,
    events: u64,
    kinds: BTreeMap<String, u64>,
}

fn word_of_status(word: &str) -> &'static str {
    match word {
        "open" | "pinned" => "open",
        "in_progress" | "hooked" => "in_progress",
        "blocked" => "blocked",
        "deferred" => "deferred",
        "done" => "closed",
        other => panic!("the trace says {other}"),
    }
}

fn word_of_relation(word: &str) -> &'static str {
    match word {
        "blocks" | "blocked-by" => "blocks",
        "parent-child" => "parent",
        "discovered-from" => "discovered_from",
        _ => "related",
    }
}

impl Oracle {
    fn new(trace: &str) -> Self {
        let mut oracle = Self::default();
        for line in trace.lines() {
            oracle.take(&serde_json::from_str(line).unwrap());
        }
        oracle
    }

    fn take(&mut self, event: &Value) {
        let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
        let kind = text("kind");
        self.events += 1;
        *self.kinds.entry(kind.clone()).or_default() += 1;
        if kind == "created" {
            let labels = event["labels"].as_array().cloned().unwrap_or_default();
            let made = Expected {
                kind: text("type"),
                title: text("title"),
                description: text("description"),
                status: "open",
                priority: event["priority"].as_u64().unwrap_or(0),
                labels: labels
                    .iter()
                    .map(|label| label.as_str().unwrap().to_owned())
                    .collect(),
                ..Expected::default()
            };
            let before = self.tasks.insert(text("task"), made);
            assert!(before.is_none(), "created twice");
            return;
        }
        let Some(task) = self.tasks.get_mut(&text("task")) else {
            self.strangers += 1;
            return;
        };
        match kind.as_str() {
            "claimed" => {
                task.assignee = text("actor");
                task.status = "in_progress";
            }
            "released" => {
                task.assignee.clear();
                task.status = word_of_status(&text("status"));
            }
            "status" | "reopened" => {
                task.status = word_of_status(&text("status"));
                if task.status == "closed" {
                    task.reason = Some(String::new());
                }
            }
            "priority" => task.priority = event["priority"].as_u64().unwrap_or(0),
            "blocks" => drop(task.links.insert((text("on"), "blocks"))),
            "unblocks" => drop(task.links.remove(&(text("on"), "blocks"))),
            "linked" => {
                let link = (text("on"), word_of_relation(&text("relation")));
                task.links.insert(link);
            }
            "unlinked" => {
                let link = (text("on"), word_of_relation(&text("relation")));
                task.links.remove(&link);
            }
            "noted" | "commented" => task.remarks += 1,
            "closed" => {
                task.status = "closed";
                task.reason = Some(text("reason"));
            }
            "deleted" => task.status = "deleted",
            other => panic!("the trace says {other}"),
        }
    }
}

fn trace() -> (PathBuf, String) {
    let path = std::env::var_os("UNISONO_TRACE").map_or_else(
        || root().join("crates/unisono/data/fleet-excerpt.jsonl"),
        PathBuf::from,
    );
    let bytes = std::fs::read(&path).unwrap();
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        let mut unpacked = flate2::read::MultiGzDecoder::new(bytes.as_slice());
        unpacked.read_to_string(&mut text).unwrap();
    } else {
        text = String::from_utf8(bytes).unwrap();
    }
    (path, text)
}

/// Plays the trace through all nodes; the command must have succeeded.
fn play(place: &Place, nodes: &[&Process], path: &std::path::Path) -> Value {
    play_with(place, nodes, path, &[])
}

fn play_with(place: &Place, nodes: &[&Process], path: &std::path::Path, more: &[&str]) -> Value {
    let path = path.to_str().unwrap();
    let mut words = vec!["replay", path, "--orchestra", "fleet", "--check"];
    words.extend(more);
    for node in nodes {
        words.extend(["--node", node.url.as_str()]);
    }
    place.json(&words)
}

/// The whole task table, page by page.
fn table(node: &Process) -> BTreeMap<String, Value> {
    let config = unisono_api::client::Config::new([node.url.as_str()]);
    let client = unisono_api::client::blocking::Client::connect(config).unwrap();
    let mut table = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = client.wait(client.inner().tasks("fleet", after.as_deref()));
        let page = page.unwrap().body;
        for task in page.tasks {
            let name = task.task.clone();
            table.insert(name, serde_json::to_value(task).unwrap());
        }
        after = page.next_after;
        if after.is_none() {
            return table;
        }
    }
}

/// The marks of a dump: record, about, reason.
fn marks(place: &Place, node: &Process) -> BTreeMap<String, (String, String)> {
    let said = place.run(&[
        "dump",
        "--orchestra",
        "fleet",
        "--node",
        &node.url,
        "-o",
        "ndjson",
    ]);
    assert_eq!(said.code, 0, "{}", said.err);
    let records = said
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let marks = records.filter(|record| record["action"]["do"] == "mark");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    marks
        .map(|record| {
            let action = &record["action"];
            let words = (text(&action["about"]), text(&action["reasoning"]));
            (text(&record["record"]), words)
        })
        .collect()
}

fn pairs(links: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let links = links.as_array().unwrap().iter();
    links
        .map(|link| (text(&link["on"]), text(&link["relation"])))
        .collect()
}

/// Every field of one task.
fn compare(
    name: &str,
    expected: &Expected,
    shown: &Value,
    oracle: &Oracle,
    marks: &BTreeMap<String, (String, String)>,
) {
    assert_eq!(shown["kind"], expected.kind, "{name}");
    assert_eq!(shown["title"], expected.title, "{name}");
    assert_eq!(shown["description"], expected.description, "{name}");
    assert_eq!(shown["status"], expected.status, "{name}");
    assert_eq!(shown["priority"], expected.priority, "{name}");
    assert_eq!(shown["assignee"], expected.assignee, "{name}");
    let labels: Vec<&str> = expected.labels.iter().map(String::as_str).collect();
    assert_eq!(shown["labels"], serde_json::json!(labels), "{name}");
    assert_eq!(shown["remarks"], expected.remarks, "{name}");
    assert_eq!(shown["conflicts"], serde_json::json!([]), "{name}");
    match (&expected.reason, shown["evidence"].as_str()) {
        (None, None) => {}
        (Some(reason), Some(evidence)) => {
            let mark = marks.get(evidence).expect("the mark is in the dump");
            assert_eq!(*mark, (name.to_owned(), reason.clone()), "{name}");
        }
        (reason, evidence) => panic!("{name}: closed {reason:?}, evidence {evidence:?}"),
    }
    // Which link of a circle is left out depends on who was first: that there is one, does not.
    let circular = pairs(&shown["circular"]);
    let all: BTreeSet<_> = pairs(&shown["links"]).union(&circular).cloned().collect();
    let wanted: BTreeSet<(String, String)> = expected
        .links
        .iter()
        .map(|(on, relation)| (on.clone(), (*relation).to_owned()))
        .collect();
    assert_eq!(all, wanted, "{name}");
    let ended = |on: &String| {
        let other = oracle.tasks.get(on);
        other.is_some_and(|task| matches!(task.status, "closed" | "deleted"))
    };
    let waits: BTreeSet<&str> = wanted
        .iter()
        .filter(|link| link.1 == "blocks" && !circular.contains(*link) && !ended(&link.0))
        .map(|link| link.0.as_str())
        .collect();
    let shown_waits = shown["blocked_by"].as_array().unwrap().iter();
    let shown_waits: BTreeSet<&str> = shown_waits.map(|on| on.as_str().unwrap()).collect();
    assert_eq!(shown_waits, waits, "{name}");
}

/// What waits for what, without the links that were left out, has no circle; and each link that was
/// left out would make one.
fn circles_are_cut_where_they_close(table: &BTreeMap<String, Value>) {
    let mut waits: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut left_out = Vec::new();
    for (name, task) in table {
        let blocks = |(on, relation): (String, String)| (relation == "blocks").then_some(on);
        let circular = pairs(&task["circular"]);
        let standing: BTreeSet<_> = pairs(&task["links"])
            .difference(&circular)
            .cloned()
            .collect();
        waits.insert(name, standing.into_iter().filter_map(blocks).collect());
        left_out.extend(
            circular
                .into_iter()
                .map(|(on, _)| (name.as_str().to_owned(), on)),
        );
    }
    let reaches = |from: &str, to: &str| {
        let mut open = vec![from.to_owned()];
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            if name == to {
                return true;
            }
            if let Some(next) = waits.get(name.as_str())
                && seen.insert(name)
            {
                open.extend(next.iter().cloned());
            }
        }
        false
    };
    for (name, on) in &left_out {
        assert!(reaches(on, name), "{name} could wait for {on}");
    }
    for (name, next) in &waits {
        for on in next {
            assert!(!reaches(on, name), "{name} waits for itself by {on}");
        }
    }
}

#[test]
fn a_fleet_s_work_ends_as_the_oracle_says() {
    let (path, text) = trace();
    let oracle = Oracle::new(&text);
    let place = Place::new();
    place.found("n1");
    let node = place.serve("n1", &[]);
    let report = play(&place, &[&node], &path);
    assert_eq!(report["events"], oracle.events);
    assert_eq!(report["unexplained"], 0, "{report:#}");
    let strangers = &report["refusals"]["task_unknown"]["explained"];
    assert_eq!(*strangers, oracle.strangers, "{report:#}");
    for (kind, count) in &oracle.kinds {
        assert_eq!(report["kinds"][kind]["events"], *count, "{kind}");
    }
    let (table, marks) = (table(&node), marks(&place, &node));
    let names: Vec<&String> = table.keys().collect();
    assert_eq!(names, oracle.tasks.keys().collect::<Vec<_>>());
    for (name, expected) in &oracle.tasks {
        compare(name, expected, &table[name], &oracle, &marks);
    }
    circles_are_cut_where_they_close(&table);
    assert_eq!(node.stop(), 0);
}

#[test]
fn three_nodes_take_a_fleet_s_work_at_once_and_show_the_same() {
    let (_, text) = trace();
    let place = Place::new();
    let nodes = cluster::three(&place, &[]);
    // A part is enough here: the other test compares each task.
    let part: String = text.lines().take(1_000).flat_map(|l| [l, "\n"]).collect();
    let path = place.path("part.jsonl");
    std::fs::write(&path, &part).unwrap();
    let oracle = Oracle::new(&part);
    let all: Vec<&Process> = nodes.iter().collect();
    // As fast as it can be, by the other way of saying so, and on every disk before it counts.
    let report = play_with(
        &place,
        &all,
        &path,
        &["--speed", "1e12", "--durable-on", "3"],
    );
    assert_eq!(report["unexplained"], 0, "{report:#}");
    assert_eq!(report["converged"], true, "{report:#}");
    assert_eq!(report["check"]["ok"], true, "{report:#}");
    let made = report["records"].as_u64().unwrap();
    assert_eq!(report["check"]["acknowledged"], made, "{report:#}");
    assert_eq!(report["views"].as_object().unwrap().len(), 3);
    for node in &nodes {
        let table = table(node);
        for (name, expected) in &oracle.tasks {
            assert_eq!(table[name]["status"], expected.status, "{name}");
            assert_eq!(table[name]["conflicts"], serde_json::json!([]), "{name}");
        }
    }
    for node in nodes {
        assert_eq!(node.stop(), 0);
    }
}
