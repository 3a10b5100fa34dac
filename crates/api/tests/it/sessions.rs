//! Who reads: said by a header, judged by the node, renewed by the client; and what it costs to ask too
//! often. The fake node judges a session by its time alone: who may is tested where rights are.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;
use unisono_api::client::{AgentKey, Client, Config, ReadAs, ReadKey};
use unisono_api::server::{Pace, Rates};
use unisono_core::node::Reader;
use unisono_model::{Action, AgentId, ClusterId, Code, Digest, OrchestraId, Rejection};

use crate::fake::{CLUSTER, Fake, World, body_of, orchestra};
use crate::web::{Seen, request};

const STATE: &str = "/v1/orchestras/opus/state";

/// Whether somebody is told, by what they say of themselves alone.
pub(crate) fn admitted(reader: &Reader, orchestra: OrchestraId) -> Result<(), Rejection> {
    match reader {
        Reader::Own | Reader::Held(_) => Ok(()),
        Reader::Stranger => {
            Err(Rejection::new(Code::SessionNeeded, "who reads?").hint("send a session"))
        }
        Reader::Refused(rejection) => Err(rejection.clone()),
        Reader::Session(examined) => examined.counts(orchestra, now_ms()),
    }
}

async fn closed() -> Fake {
    let node = Fake::start(1, &World::shared()).await;
    node.closed.store(true, Relaxed);
    node
}

fn key(n: u8) -> ReadKey {
    ReadKey {
        key: AgentKey::from_seed([n; 32]),
        token: None,
        cluster: None,
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis() as u64
}

/// A session of key 3, made so long ago, good for a minute.
fn session(cluster: ClusterId, ago_ms: u64) -> String {
    let from_ms = now_ms() - ago_ms;
    let life = Duration::from_secs(60);
    let text = key(3).session(cluster, Some(orchestra()), from_ms, life);
    text.unwrap()
}

async fn get_as(node: &Fake, path: &str, headers: &[&str]) -> Seen {
    request(node.address, "GET", path, headers, b"").await
}

async fn code(node: &Fake, headers: &[&str]) -> String {
    let seen = get_as(node, STATE, headers).await;
    if seen.status == 200 {
        return "ok".to_owned();
    }
    assert_eq!(seen.status, 403, "{}", seen.body);
    assert_eq!(
        seen.header("unisono-cluster"),
        Some(CLUSTER.to_string().as_str())
    );
    assert!(seen.header("unisono-now-ms").is_some());
    let problem = seen.json();
    assert_eq!(problem["changed"], false);
    assert!(!problem["hint"].as_str().unwrap().is_empty());
    problem["code"].as_str().unwrap().to_owned()
}

fn header(text: &str) -> String {
    format!("Unisono-Session: {text}")
}

#[tokio::test]
async fn a_request_says_who_reads_and_what_is_no_session_is_told_apart() {
    let node = closed().await;
    assert_eq!(code(&node, &[]).await, "session_needed");
    let good = session(CLUSTER, 0);
    assert_eq!(code(&node, &[&header(&good)]).await, "ok");
    assert_eq!(code(&node, &[&header(&good)]).await, "ok", "remembered");
    let over = header(&session(CLUSTER, 60_000));
    assert_eq!(code(&node, &[&over]).await, "session_ended");
    let foreign = header(&session(ClusterId([8; 16]), 0));
    assert_eq!(code(&node, &[&foreign]).await, "session_invalid");
    let cut = header(&good[..good.len() - 2]);
    assert_eq!(code(&node, &[&cut]).await, "session_invalid");
    let flipped = good.replacen(
        &good[40..41],
        if &good[40..41] == "A" { "B" } else { "A" },
        1,
    );
    assert_eq!(code(&node, &[&header(&flipped)]).await, "session_invalid");
    for text in ["", "unises1.", "unicap1.AAAA", "unises2.AAAA"] {
        assert_eq!(
            code(&node, &[&header(text)]).await,
            "session_invalid",
            "{text}"
        );
    }
    let long = header(&format!("unises1.{}", "A".repeat(5_000)));
    assert_eq!(code(&node, &[&long]).await, "session_invalid");
    let both = [header(&good), "Unisono-As: ada".to_owned()];
    assert_eq!(code(&node, &[&both[0], &both[1]]).await, "session_invalid");
    let held = get_as(&node, STATE, &["Unisono-As: ada"]).await;
    assert_eq!(
        (held.status, held.header("unisono-held")),
        (200, Some("node"))
    );
    let readers = node.readers.lock().unwrap();
    assert!(matches!(readers.last(), Some(Reader::Held(name)) if name == "ada"));
}

#[tokio::test]
async fn what_is_no_session_does_not_matter_where_nobody_asks_for_one() {
    let node = Fake::start(1, &World::shared()).await;
    for text in [
        "unises1.AAAA",
        &session(CLUSTER, 60_000),
        &session(CLUSTER, 0),
    ] {
        assert_eq!(get_as(&node, STATE, &[&header(text)]).await.status, 200);
    }
}

#[tokio::test]
async fn a_key_that_reads_too_often_waits_and_others_do_not() {
    let rates = Rates {
        key: Pace { per_s: 1, burst: 3 },
        ..Rates::default()
    };
    let node = Fake::start_at(1, &World::shared(), None, 64, rates).await;
    node.closed.store(true, Relaxed);
    let own = header(&session(CLUSTER, 0));
    for _ in 0..3 {
        assert_eq!(get_as(&node, STATE, &[&own]).await.status, 200);
    }
    // By another session of the same key, too.
    let again = header(&session(CLUSTER, 0));
    let waits = get_as(&node, STATE, &[&again]).await;
    assert_eq!(waits.status, 429, "{}", waits.body);
    assert_eq!(waits.json()["code"], "rate_limited");
    let other = key(4).session(CLUSTER, None, now_ms(), Duration::from_secs(60));
    let other = header(&other.unwrap());
    assert_eq!(get_as(&node, STATE, &[&other]).await.status, 200);
}

fn client(node: &Fake, life: Duration) -> Client {
    let client = Client::offline(Config::new([node.address.to_string()])).unwrap();
    client.reading_as(ReadAs::signing(|| Ok(key(3))).lasting(life))
}

fn sessions_seen(node: &Fake) -> Vec<[u8; 16]> {
    let readers = node.readers.lock().unwrap();
    let nonces = readers.iter().filter_map(|reader| match reader {
        Reader::Session(examined) => Some(examined.session().nonce),
        _ => None,
    });
    let mut nonces: Vec<[u8; 16]> = nonces.collect();
    nonces.dedup();
    nonces
}

#[tokio::test]
async fn a_client_says_who_reads_once_it_is_asked_and_signs_anew_before_the_end() {
    let node = Fake::start(1, &World::shared()).await;
    let client = client(&node, Duration::from_millis(800));
    client.state("opus").await.unwrap();
    assert!(sessions_seen(&node).is_empty(), "nobody has asked");
    node.closed.store(true, Relaxed);
    client.state("opus").await.unwrap();
    client.state("opus").await.unwrap();
    let first = sessions_seen(&node);
    assert_eq!(first.len(), 1, "one session for many reads");
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.state("opus").await.unwrap();
    assert_eq!(sessions_seen(&node).len(), 2, "another one after its end");
    let plain = Client::offline(Config::new([node.address.to_string()])).unwrap();
    let refused = plain.state("opus").await.unwrap_err();
    assert_eq!(refused.problem().unwrap().code, "session_needed");
}

#[tokio::test]
async fn a_stream_ends_with_its_session_and_the_client_goes_on_where_it_was() {
    let node = closed().await;
    let add = |from: u32| {
        let body = body_of(Action::Advance { from }, None);
        let mut world = node.world.lock().unwrap();
        world.add(node.log, AgentId([3; 32]), u64::from(from), &body);
    };
    add(1);
    let own = header(
        &key(3)
            .session(CLUSTER, None, now_ms(), Duration::from_secs(2))
            .unwrap(),
    );
    let path = "/v1/orchestras/opus/events";
    let own = [own.as_str()];
    let raw = get_as(&node, path, &own);
    let followed = async {
        let mut events = client(&node, Duration::from_secs(2)).follow("opus", None);
        let mut records: Vec<Digest> = vec![events.next().await.unwrap().record.record];
        tokio::time::sleep(Duration::from_secs(3)).await;
        add(2);
        node.published.send(orchestra()).unwrap();
        records.push(events.next().await.unwrap().record.record);
        records
    };
    let both = async { tokio::join!(raw, followed) };
    let (raw, records) = timeout(Duration::from_secs(30), both).await.unwrap();
    let (first, last) = raw.body.split_once("event: problem").expect(&raw.body);
    assert!(first.contains(&records[0].to_string()), "{}", raw.body);
    assert!(last.contains("session_ended"), "{}", raw.body);
    assert!(
        !raw.body.contains(&records[1].to_string()),
        "not after its end"
    );
    assert!(sessions_seen(&node).len() >= 3);
}
