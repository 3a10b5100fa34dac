//! A node that is killed again and again at random times under load, and started again on the same
//! directory each time: what it acknowledged in any of its lives is there in the last.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;
use unisono_api::client::{Client, Config, WriteOptions};
use unisono_api::dto::{ActionBody, EnrolBody, MarkBody};

use crate::process::Place;

/// Kills, unless `UNISONO_KILLS` says otherwise.
const KILLS: u64 = 10;
const WRITERS: usize = 16;
/// The latest moment of a kill (ms after the load began).
const KILL_MS_MAX: u64 = 700;

/// Writes through one node until it answers no more; gives what it acknowledged.
async fn write(url: &str, progress: &AtomicU64) -> Vec<String> {
    let mut config = Config::new([url]);
    config.attempts_max = 1;
    let client = Client::offline(config).unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (client, name) = (client.clone(), format!("writer-{writer}"));
        let body = serde_json::json!({ "name": name });
        let body: EnrolBody = serde_json::from_value(body).unwrap();
        // In a later life it is enrolled already, and told so; a killed node says nothing.
        let _ = client.enrol("main", &body, &WriteOptions::default()).await;
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            let options = WriteOptions::default();
            for number in 0.. {
                let body = serde_json::json!({ "text": format!("mark {number}") });
                let mark: MarkBody = serde_json::from_value(body).unwrap();
                let done = client
                    .act("main", &name, &ActionBody::Mark(mark), &options)
                    .await;
                match done {
                    Ok(reply) => acknowledged.push(reply.body.record.to_string()),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    let mut all = Vec::new();
    while let Some(done) = writers.join_next().await {
        all.extend(done.unwrap());
        progress.store(all.len() as u64, Ordering::Relaxed);
    }
    all
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A number that nobody chose.
fn drawn(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn a_node_killed_again_and_again_keeps_what_it_acknowledged() {
    let kills = std::env::var("UNISONO_KILLS")
        .ok()
        .and_then(|text| text.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS);
    let mut chance = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64;
    println!("chance {chance}");
    let place = Place::new();
    place.found("node");
    let history = place.path("history.jsonl");
    let history = history.to_str().unwrap();
    let runtime = runtime();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for _ in 0..kills {
        let node = place.serve("node", &["--history", history]);
        node.json(&place, &["state", "--create"]);
        let (url, pid) = (node.url.clone(), node.pid());
        let wait = Duration::from_millis(drawn(&mut chance) % KILL_MS_MAX);
        let told = runtime.block_on(async {
            let progress = AtomicU64::new(0);
            let writing = write(&url, &progress);
            let killing = async {
                tokio::time::sleep(wait).await;
                // By the system's own command, while the writers are in the middle of it.
                let killed = Command::new("kill")
                    .args(["-KILL", &pid.to_string()])
                    .status();
                assert!(killed.unwrap().success());
            };
            tokio::join!(writing, killing).0
        });
        node.kill();
        acknowledged.extend(told);
    }
    let node = place.serve("node", &[]);
    let dump = place.run(&["dump", "--node", &node.url]);
    assert_eq!(dump.code, 0, "{}", dump.err);
    let dump = dump.out;
    let held: BTreeSet<&str> = dump.lines().filter_map(record_of).collect();
    let lost = acknowledged
        .iter()
        .filter(|record| !held.contains(record.as_str()))
        .count();
    println!(
        "{kills} kills, {} acknowledged to clients, {lost} lost",
        acknowledged.len()
    );
    assert_eq!(lost, 0);
    assert!(acknowledged.len() as u64 > kills, "there was no load");

    // The judge says the same by what the node itself wrote down, in all of its lives.
    let file = place.path("dump.ndjson");
    std::fs::write(&file, &dump).unwrap();
    let disk = place.path("node");
    let disk = disk.to_str().unwrap();
    let dumped = file.to_str().unwrap();
    let said = place.run(&[
        "judge",
        "--history",
        history,
        "--dump",
        dumped,
        "--disks",
        disk,
    ]);
    let last = said.out.lines().last().unwrap_or_default().to_owned();
    println!("{last}");
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(last.ends_with("lost=0"), "{last}");

    // And it can say otherwise: without one of them the dump is short of a promise.
    let missing = acknowledged.last().unwrap();
    let lines = dump.lines().filter(|line| record_of(line) != Some(missing));
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let said = place.run(&[
        "judge",
        "--history",
        history,
        "--dump",
        file.to_str().unwrap(),
    ]);
    assert_eq!(said.code, 8, "{}", said.out);
    the_disks_can_say_otherwise(&place, history, disk);
}

/// By the disk alone: a record that somebody was told of and that is nowhere, and one that is there
/// and that nobody asked for.
fn the_disks_can_say_otherwise(place: &Place, history: &str, disk: &str) {
    let told = std::fs::read_to_string(history).unwrap();
    let file = place.path("told.jsonl");
    let judged = |text: String| {
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        place.run(&["judge", "--history", file, "--disks", disk])
    };
    let said = judged(told.clone());
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);

    let name = told.lines().find_map(record_of).unwrap();
    let other = told.replacen(name, &"7".repeat(name.len()), 1);
    let said = judged(other);
    assert!(said.out.contains("violated: I2"), "{}", said.out);

    let said = judged(told.replace("\"durable_on\":1", "\"durable_on\":2"));
    assert_eq!(said.code, 0, "one disk is all that there is: {}", said.out);

    let asked = |line: &&str| line.contains("invoked") && !line.contains("\"key\":null");
    let nobody = told.lines().filter(|line| !asked(line));
    let seen = told.lines().find(|line| line.contains("invoked")).unwrap();
    let text: Vec<&str> = nobody.chain([seen]).collect();
    let said = judged(text.join("\n") + "\n");
    assert!(said.out.contains("violated: I3"), "{}", said.out);
}

/// The name of the record in a line of a dump.
fn record_of(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("\"record\":\"")?;
    rest.split('"').next()
}

/// The judge wanted to know which claim a client was told of, and the lines of `load` did not say: every
/// run of the chaos laboratory ended there.
#[test]
fn what_a_load_was_told_is_judged() {
    let place = Place::new();
    place.found("node");
    let served = place.path("served.jsonl");
    let served = served.to_str().unwrap();
    let node = place.serve("node", &["--history", served]);
    let told = place.path("told.jsonl");
    let told = told.to_str().unwrap();
    let load = [
        "load",
        "--writers",
        "2",
        "--seconds",
        "2",
        "--history",
        told,
    ];
    let said = place.run(&[&load[..], &["--node", &node.url]].concat());
    assert_eq!(said.code, 0, "{}", said.err);
    let lines = std::fs::read_to_string(told).unwrap();
    assert!(
        lines.contains("\"status\":\"confirmed\""),
        "a claim is among them"
    );
    let dump = place.run(&["dump", "--node", &node.url]);
    let file = place.path("dump.ndjson");
    std::fs::write(&file, &dump.out).unwrap();
    let dumped = file.to_str().unwrap();
    let judge = ["judge", "--history", told, served, "--dump", dumped];
    let said = place.run(&judge);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
}
