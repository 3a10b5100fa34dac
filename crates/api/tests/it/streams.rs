//! Following and dumping: from any point, over any node, never less than everything.

use std::time::Duration;

use tokio::time::timeout;
use unisono_api::client::{Client, Config};
use unisono_model::{Action, AgentId, Code, Rejection};

use crate::fake::{Fake, World, body_of, orchestra};
use crate::web::{get, request};

const ADA: AgentId = AgentId([3; 32]);
const EVENTS: &str = "/v1/orchestras/opus/events";

/// Adds records that end iterations: number and bundle of each.
fn add(node: &Fake, records: &[(u32, u64)]) {
    let mut world = node.world.lock().unwrap();
    for &(from, bundle) in records {
        world.add(
            node.log,
            ADA,
            bundle,
            &body_of(Action::Advance { from }, None),
        );
    }
}

fn number(action: &unisono_api::dto::ActionShown) -> u32 {
    match action {
        unisono_api::dto::ActionShown::Advance(body) => body.from,
        other => panic!("{other:?} was never added"),
    }
}

/// Once somebody follows: a machine with much else to do takes its time to let them in.
async fn somebody_follows(node: &Fake) {
    let followed = async {
        while node.published.receiver_count() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), followed)
        .await
        .expect("a follower");
}

fn client(nodes: &[&Fake]) -> Client {
    Client::offline(Config::new(
        nodes.iter().map(|node| node.address.to_string()),
    ))
    .unwrap()
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_left_on_another_node() {
    let world = World::shared();
    let (one, two) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    add(&one, &[(1, 1), (2, 2)]);
    add(&two, &[(3, 1)]);
    let mut events = client(&[&one]).follow("opus", None);
    assert_eq!(number(&events.next().await.unwrap().record.action), 1);
    let second = events.next().await.unwrap();
    assert_eq!(number(&second.record.action), 2);
    let mut elsewhere = client(&[&two]).follow("opus", Some(second.cursor));
    let third = elsewhere.next().await.unwrap();
    assert_eq!(number(&third.record.action), 3);
    add(&one, &[(4, 3)]);
    one.published.send(orchestra()).unwrap();
    two.published.send(orchestra()).unwrap();
    let fourth = timeout(Duration::from_secs(2), elsewhere.next())
        .await
        .expect("woken")
        .unwrap();
    assert_eq!(number(&fourth.record.action), 4);
}

#[tokio::test]
async fn half_a_bundle_is_seen_again_rather_than_missed() {
    let node = Fake::start(1, &World::shared()).await;
    add(&node, &[(1, 1), (2, 2), (3, 2), (4, 3)]);
    let mut events = client(&[&node]).follow("opus", None);
    let mut cursors = Vec::new();
    for expected in 1..=4 {
        let followed = events.next().await.unwrap();
        assert_eq!(number(&followed.record.action), expected);
        cursors.push(followed.cursor);
    }
    assert_eq!(
        cursors[0], cursors[1],
        "inside a bundle the cursor stays before it"
    );
    assert!(cursors[2].covers(&cursors[1]) && cursors[2] != cursors[1]);
    let mut resumed = client(&[&node]).follow("opus", Some(cursors[1].clone()));
    assert_eq!(number(&resumed.next().await.unwrap().record.action), 2);
}

#[tokio::test]
async fn a_follower_survives_the_fall_of_its_node() {
    let world = World::shared();
    let (one, two) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    add(&one, &[(1, 1)]);
    let mut events = client(&[&one, &two]).follow("opus", None);
    assert_eq!(number(&events.next().await.unwrap().record.action), 1);
    one.die().await;
    add(&two, &[(2, 1)]);
    let next = timeout(Duration::from_secs(5), events.next())
        .await
        .expect("two answers");
    assert_eq!(number(&next.unwrap().record.action), 2, "and nothing twice");
}

#[tokio::test]
async fn what_a_browser_sends_by_itself_is_understood() {
    let node = Fake::start(1, &World::shared()).await;
    add(&node, &[(1, 1)]);
    let here = node.world.lock().unwrap().cursor().to_text();
    add(&node, &[(2, 2)]);
    let path = format!("{EVENTS}?after=now");
    let header = format!("Last-Event-ID: {here}");
    let (to, header) = (node.address, header.clone());
    let stream = tokio::spawn(async move { request(to, "GET", &path, &[&header], b"").await });
    somebody_follows(&node).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    node.stop.send_replace(true);
    let seen = timeout(Duration::from_secs(3), stream)
        .await
        .expect("ends with the node")
        .unwrap();
    assert_eq!(seen.header("content-type"), Some("text/event-stream"));
    assert!(seen.header("unisono-cursor").is_some());
    assert!(seen.body.contains("event: record\nid: "), "{}", seen.body);
    assert_eq!(
        seen.body.matches("\ndata: ").count(),
        1,
        "only what came after: {}",
        seen.body
    );
}

#[tokio::test]
async fn a_stream_from_now_on_leaves_the_past_alone() {
    let node = Fake::start(1, &World::shared()).await;
    add(&node, &[(1, 1)]);
    let mut events = client(&[&node]).follow_new("opus");
    let waiting = tokio::spawn(async move { events.next().await });
    somebody_follows(&node).await;
    add(&node, &[(2, 2)]);
    node.published.send(orchestra()).unwrap();
    let followed = timeout(Duration::from_secs(2), waiting)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(number(&followed.record.action), 2);
}

#[tokio::test]
async fn a_dump_has_everything_page_by_page() {
    let node = Fake::start(1, &World::shared()).await;
    let records: Vec<_> = (1..=700).map(|n| (n, u64::from(n))).collect();
    add(&node, &records);
    let mut dump = client(&[&node]).dump("opus", None).await.unwrap();
    let mut seen = 0;
    while let Some(record) = dump.next().await.unwrap() {
        seen += 1;
        assert_eq!(number(&record.action), seen);
    }
    assert_eq!(seen, 700);
    let seen = get(node.address, "/v1/orchestras/opus/dump?after=bad!").await;
    assert_eq!(
        (seen.status, seen.json()["code"].as_str()),
        (400, Some("cursor_invalid"))
    );
}

#[tokio::test]
async fn a_dump_that_ends_before_a_hole_says_what_is_lost() {
    let node = Fake::start(1, &World::shared()).await;
    let lost = Rejection::new(Code::Corrupt, "bundles 3-4 are lost").hint("restore");
    node.world.lock().unwrap().lost = Some(lost);
    let refused = client(&[&node]).dump("opus", None).await.map(|_| ());
    let refused = refused.expect_err("nothing to send: refused at once");
    assert!(refused.is_code(Code::Corrupt), "{refused}");
    add(&node, &[(1, 1), (2, 2)]);
    let mut dump = client(&[&node]).dump("opus", None).await.unwrap();
    for expected in 1..=2 {
        let record = dump.next().await.unwrap().expect("what there is");
        assert_eq!(number(&record.action), expected);
    }
    let error = dump.next().await.expect_err("half is not the whole");
    let problem = error.problem().expect("the node's own words");
    assert_eq!(problem.status, 422, "a failed verification");
    assert_eq!(
        (problem.detail.as_str(), problem.hint.as_str()),
        ("bundles 3-4 are lost", "restore")
    );
    assert!(dump.next().await.is_err(), "and the connection breaks");
}
