//! A claim whose answer was lost on the way, made twice by two sides of a cut: the one that nobody
//! was told of counts, because its stamp is lower, and its agent still gives the topic back.
//!
//! Before, the player of a trace knew a claim by the one record that was acknowledged. When the
//! sides met again that record was a repetition, and its release was refused with `claim_unknown`.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::cluster::{agree, three};
use crate::faults::inject;
use crate::process::{Place, Process, until};

const TASKS: usize = 12;

/// A way to a node that loses its answers while it is told to.
fn lossy(node: &Process) -> (String, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let loses = Arc::new(AtomicBool::new(false));
    let (upstream, told) = (
        node.url.trim_start_matches("http://").to_owned(),
        loses.clone(),
    );
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let node = TcpStream::connect(&upstream);
            let (Ok(client), Ok(node)) = (client, node) else {
                continue;
            };
            let (mut asks, mut hears) = (client.try_clone().unwrap(), node.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut asks, &mut hears));
            let told = told.clone();
            std::thread::spawn(move || answers(node, client, &told));
        }
    });
    (address, loses)
}

fn answers(mut node: TcpStream, mut client: TcpStream, loses: &AtomicBool) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count) = node.read(&mut buffer) {
        let lost = count == 0 || loses.load(Relaxed);
        if lost || client.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    // Whoever is gone already need not be told.
    let _ = client.shutdown(Shutdown::Both);
    let _ = node.shutdown(Shutdown::Both);
}

/// Every task is created, claimed five seconds later, and closed nine seconds after that.
fn trace() -> String {
    let mut lines = String::new();
    let steps = [
        (
            "00",
            json!({"kind": "created", "title": "t", "type": "task"}),
        ),
        ("05", json!({"kind": "claimed"})),
        ("14", json!({"kind": "closed", "reason": "done"})),
    ];
    for (second, mut event) in steps {
        for number in 0..TASKS {
            event["at"] = format!("2026-01-10T08:00:{second}.000000Z").into();
            event["actor"] = format!("worker-{number}").into();
            event["task"] = format!("task-{number}").into();
            lines.push_str(&event.to_string());
            lines.push('\n');
        }
    }
    lines
}

fn count(place: &Place, node: &Process, words: &[&str], list: &str) -> usize {
    let said = node.json(place, &[words, &["--orchestra", "fleet"]].concat());
    said[list].as_array().map_or(0, Vec::len)
}

#[test]
fn a_claim_that_was_made_twice_is_released_by_the_name_that_counts() {
    let place = Place::new();
    let nodes = three(&place, &["--test-faults"]);
    let (way, loses) = lossy(&nodes[0]);
    let path = place.path("trace.jsonl");
    std::fs::write(&path, trace()).unwrap();
    let mut command = place.command();
    command.args(["replay", path.to_str().unwrap(), "--orchestra", "fleet"]);
    command.args(["--speed", "1", "--check", "-o", "json"]);
    for address in [&way, &nodes[1].url, &nodes[2].url] {
        command.args(["--node", address]);
    }
    nodes[0].json(&place, &["state", "--create", "--orchestra", "fleet"]);
    let player = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let player = player.spawn().unwrap();
    until("the tasks are everywhere", || {
        let tasks = |node: &Process| count(&place, node, &["task", "list"], "tasks");
        nodes.iter().all(|node| tasks(node) == TASKS)
    });
    let id = |node: &Process| node.json(&place, &["status"])["node"].clone();
    let others = [id(&nodes[1]), id(&nodes[2])];
    assert_eq!(inject(&nodes[0], &json!({ "block": others })), 200);
    loses.store(true, Relaxed);
    until("all is claimed on the larger side", || {
        count(&place, &nodes[1], &["claim"], "claims") == TASKS
    });
    let alone = count(&place, &nodes[0], &["claim"], "claims");
    assert!(alone > 0, "and some of it on the smaller side too");
    loses.store(false, Relaxed);
    assert_eq!(inject(&nodes[0], &json!({ "unblock": others })), 200);
    let ended = player.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let why = String::from_utf8_lossy(&ended.stderr);
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}{why}"));
    assert!(report["retries"]["answer_lost"].as_u64() >= Some(alone as u64));
    assert_eq!(report["unexplained"], 0, "{report:#}");
    assert_eq!(report["check"]["ok"], true, "{report:#}");
    assert_eq!(ended.status.code(), Some(0), "{why}");
    agree(&place, &nodes);
    let held = count(&place, &nodes[0], &["claim"], "claims");
    assert_eq!(held, 0, "what was closed is free");
}
