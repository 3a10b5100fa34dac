//! A process that is killed in the middle of its work loses nothing that it acknowledged.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use unisono_api::client::{Client, Config, WriteOptions};
use unisono_api::dto::{ActionBody, EnrolBody, MarkBody};

use crate::process::{Place, until};

const ROUNDS: u64 = 4;
const WRITERS: usize = 8;

/// Writes until it is told to end; gives the records that were acknowledged.
fn write(url: &str, stop: &AtomicBool, written: &Arc<AtomicUsize>) -> BTreeSet<String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut config = Config::new([url]);
        config.attempts_max = 1;
        let client = Client::connect(config).await.unwrap();
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let (client, name) = (client.clone(), format!("writer-{writer}"));
            let body = serde_json::json!({ "name": name });
            let body: EnrolBody = serde_json::from_value(body).unwrap();
            let options = WriteOptions::default();
            let enrolled = client.enrol("main", &body, &options);
            // On a busy machine the kill may come before all are here.
            if enrolled.await.is_err() {
                break;
            }
            let written = Arc::clone(written);
            writers.spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0.. {
                    let mark = MarkBody {
                        about: String::new(),
                        text: format!("mark {number}"),
                        reasoning: String::new(),
                        tags: Vec::new(),
                        evidence: Vec::new(),
                    };
                    let action = ActionBody::Mark(mark);
                    match client
                        .act("main", &name, &action, &WriteOptions::default())
                        .await
                    {
                        Ok(reply) => {
                            acknowledged.push(reply.body.record.to_string());
                            written.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(_) => break,
                    }
                }
                acknowledged
            });
        }
        while !stop.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        writers.join_all().await.into_iter().flatten().collect()
    })
}

#[test]
fn killed_under_load_a_node_keeps_what_it_acknowledged() {
    let place = Place::new();
    place.found("a");
    let mut acknowledged = BTreeSet::new();
    for round in 0..ROUNDS {
        let node = place.serve("a", &[]);
        node.json(&place, &["state", "--create"]);
        let (stop, written) = (AtomicBool::new(false), Arc::new(AtomicUsize::new(0)));
        let url = node.url.clone();
        let more = std::thread::scope(|scope| {
            let writing = scope.spawn(|| write(&url, &stop, &written));
            until("there is load", || written.load(Ordering::Relaxed) > 10);
            std::thread::sleep(Duration::from_millis(130 * round));
            node.kill();
            stop.store(true, Ordering::Relaxed);
            writing.join().unwrap()
        });
        assert!(
            more.len() > 10,
            "only {} writes in round {round}",
            more.len()
        );
        acknowledged.extend(more);
    }
    let node = place.serve("a", &[]);
    let dump = place.run(&["dump", "--node", &node.url]);
    assert_eq!(dump.code, 0, "{}", dump.err);
    let held: BTreeSet<String> = dump
        .out
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|record| record["verdict"] == "valid")
        .map(|record| record["record"].as_str().unwrap().to_owned())
        .collect();
    let lost: Vec<_> = acknowledged.difference(&held).collect();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged records are lost",
        lost.len(),
        acknowledged.len()
    );
    std::fs::write(place.path("dump.ndjson"), dump.out).unwrap();
    assert_eq!(place.json(&["verify", "dump.ndjson"])["ok"], true);
    node.kill();
    assert_eq!(place.json(&["verify", "a"])["ok"], true);
}

#[test]
fn the_history_says_what_was_asked_and_what_became_of_it() {
    let place = Place::new();
    place.found("a");
    let node = place.serve("a", &["--history", "history.jsonl"]);
    node.json(&place, &["state", "--create"]);
    let enrolled = node.json(&place, &["agent", "enrol", "ada"]);
    node.fails(&place, 3, &["release", "nothing", "--as", "ada"]);
    assert_eq!(node.stop(), 0);
    let history = std::fs::read_to_string(place.path("history.jsonl")).unwrap();
    let lines: Vec<serde_json::Value> = history
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |event: &str| {
        lines
            .iter()
            .filter(|line| line["event"] == event)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        (of("invoked").len(), of("failed").len()),
        (3, 1),
        "{history}"
    );
    let ok = of("ok")
        .into_iter()
        .find(|line| line["record"] == enrolled["record"])
        .unwrap();
    assert!(ok["stamp"].is_string() && ok["cursor"].is_string() && ok["node"].is_string());
}
