//! What comes next of a source of events: learnt from records, told over HTTP, and followed over nodes that
//! come and go.

use unisono_api::client::{Client, Config, EventsOf};
use unisono_api::dto::{EventKindWord, PatternWord, PlanWord};
use unisono_model::{Action, AgentId, LogId, Mark, Presence, Signal, SignalKind, Status, Urgency};

use crate::fake::{Fake, World, body_of, orchestra};
use crate::web::get;

const OPUS: &str = "/v1/orchestras/opus/foretold";

fn signal(topic: &str) -> Action {
    Action::Signal(Signal {
        kind: SignalKind::Need,
        topic: topic.to_owned(),
        urgency: Urgency::Normal,
        text: String::new(),
        lifetime_ms: 1,
        evidence: None,
    })
}

fn mark(about: &str) -> Action {
    Action::Mark(Mark {
        about: about.to_owned(),
        text: "done".to_owned(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

fn presence() -> Action {
    Action::Presence(Presence {
        status: Status::Active,
        intent: String::new(),
        focus: String::new(),
    })
}

/// Adds records of one agent, one a millisecond.
fn add(node: &Fake, log: LogId, actions: impl IntoIterator<Item = Action>) {
    let mut world = node.world.lock().unwrap();
    for action in actions {
        let held = world.records.iter().filter(|record| record.log == log);
        let bundle = held.count() as u64 + 1;
        world.add(log, AgentId([1; 32]), bundle, &body_of(action, None));
    }
}

/// A signal every four milliseconds, and marks between.
fn fours(times: usize) -> Vec<Action> {
    let four = [signal("build"), mark("docs"), mark("docs"), mark("tests")];
    four.iter().cycle().take(4 * times).cloned().collect()
}

/// Asks the first of them as long as it is there.
fn client(nodes: &[&Fake]) -> Client {
    let nodes = nodes.iter().map(|node| node.address.to_string());
    Client::offline(Config::new(nodes)).unwrap()
}

fn build() -> EventsOf {
    EventsOf {
        topic: Some("build".to_owned()),
        within_ms: Some(1.0),
        prepare_ms: Some(2),
        ..EventsOf::default()
    }
}

#[tokio::test]
async fn a_source_is_learnt_from_its_own_records_alone() {
    let node = Fake::start(1, &World::shared()).await;
    add(&node, node.log, fours(20));
    add(&node, node.log, [signal("build")]);
    let client = client(&[&node]);
    let told = client.foretold("opus", &build()).await.unwrap().body;
    assert_eq!((told.events, told.looked_at, told.since), (21, 81, None));
    assert_eq!((told.mean_ms, told.spread_ms), (Some(4.0), Some(0.0)));
    let next = told.next.unwrap();
    assert_eq!(next.pattern, PatternWord::Periodic);
    let last = told.last.unwrap();
    let after_ns = next.at_ns.0 - last.stamp.as_ns();
    assert!(after_ns.abs_diff(4_000_000) < 1_000, "{after_ns}");
    assert!(next.confidence > 0.9, "{next:?}");
    assert_eq!(told.plan, PlanWord::Prepare);
    assert_eq!(told.prepare_at_ns.unwrap().0, next.at_ns.0 - 2_000_000);
    let cases: u64 = told.reliability.iter().map(|bin| bin.cases).sum();
    assert_eq!(cases, 12, "what was foretold after nine events and came");
    assert!((told.reliability[0].came_true - 1.0).abs() < 1e-9);

    // Marks of the same agent, about two things, are other sources.
    let marks = EventsOf {
        kind: Some(EventKindWord::Mark),
        ..EventsOf::default()
    };
    assert_eq!(
        client.foretold("opus", &marks).await.unwrap().body.events,
        60
    );
    let tests = EventsOf {
        topic: Some("tests".to_owned()),
        agent: Some(AgentId([1; 32]).to_string()),
        ..EventsOf::default()
    };
    assert_eq!(
        client.foretold("opus", &tests).await.unwrap().body.events,
        20
    );
    let none = EventsOf {
        agent: Some("nobody".to_owned()),
        ..EventsOf::default()
    };
    let told = client.foretold("opus", &none).await.unwrap().body;
    assert_eq!(
        (told.events, told.next, told.plan),
        (0, None, PlanWord::React)
    );
}

#[tokio::test]
async fn only_as_many_of_the_latest_records_are_looked_at_as_are_asked_for_and_none_between_is_left_out()
 {
    let node = Fake::start(1, &World::shared()).await;
    let other = LogId {
        node: unisono_model::NodeId([9; 32]),
        ..node.log
    };
    // The other log is short and old, then both are written, one much more than the other.
    add(&node, other, fours(10));
    for _ in 0..20 {
        add(&node, node.log, fours(10));
        add(
            &node,
            other,
            [signal("build"), presence(), presence(), presence()],
        );
    }
    let client = client(&[&node]);
    let few = EventsOf {
        from: Some(300),
        ..build()
    };
    let told = client.foretold("opus", &few).await.unwrap().body;
    let since = told.since.unwrap();
    assert!((300..700).contains(&told.looked_at), "{}", told.looked_at);
    // What is told is told of all that was done since then, in either log.
    let held = {
        let world = node.world.lock().unwrap();
        let is_one = |action: &Action| *action == signal("build");
        let since = |at: &unisono_model::Place| at.stamp >= since.stamp;
        let all = world.records.iter();
        all.filter(|record| is_one(&record.action) && since(&record.place))
            .count() as u64
    };
    assert_eq!(told.events, held);
    assert!(held > 50, "{held}");
    assert_eq!(told.mean_ms, Some(4.0));
    let all = client.foretold("opus", &build()).await.unwrap().body;
    assert_eq!((all.events, all.since), (230, None));
}

#[tokio::test]
async fn each_event_is_told_with_what_was_foretold_of_it_and_once_over_nodes_that_come_and_go() {
    let world = World::shared();
    let (first, second) = (Fake::start(1, &world).await, Fake::start(2, &world).await);
    let log = first.log;
    add(&first, log, fours(15));
    let mut foretelling = client(&[&first, &second]).foreteller("opus", &build());
    let told = foretelling.next().await.unwrap();
    assert_eq!((told.events, told.came), (15, None));
    let foretold = told.next.unwrap();
    add(&first, log, fours(1));
    let _ = first.published.send(orchestra());
    let told = foretelling.next().await.unwrap();
    let came = told.came.unwrap();
    let off_ms = came.off_ms.unwrap();
    assert_eq!(
        (came.foretold, came.came_true),
        (Some(foretold), Some(true))
    );
    assert!(off_ms.abs() < 0.01, "{off_ms}");
    assert_eq!(told.events, 16);

    // The node goes; what comes meanwhile is told by the other one, and what was told is not.
    let told = came.record;
    first.die().await;
    add(&second, log, fours(2));
    let one = foretelling.next().await.unwrap().came.unwrap();
    let two = foretelling.next().await.unwrap().came.unwrap();
    assert!(one.record != told && one.at.stamp < two.at.stamp);
    assert_eq!(one.at.stamp.as_ms() - came.at.stamp.as_ms(), 4);
    add(&second, log, fours(1));
    let _ = second.published.send(orchestra());
    let three = foretelling.next().await.unwrap().came.unwrap();
    assert_eq!(three.at.stamp.as_ms() - two.at.stamp.as_ms(), 4);
}

#[tokio::test]
async fn what_has_not_come_in_time_is_told_as_overdue_and_nothing_is_foretold_until_it_does() {
    let node = Fake::start(1, &World::shared()).await;
    add(&node, node.log, fours(15));
    let client = client(&[&node]);
    let mut foretelling = client.foreteller("opus", &build());
    assert!(foretelling.next().await.unwrap().next.is_some());
    // Something else is done, ten milliseconds long.
    add(&node, node.log, std::iter::repeat_with(presence).take(10));
    let _ = node.published.send(orchestra());
    let told = foretelling.next().await.unwrap();
    assert_eq!((&told.next, &told.came, told.in_ms), (&None, &None, None));
    assert!(told.overdue.is_some(), "{told:?}");
    assert_eq!((told.plan, told.prepare_at_ns), (PlanWord::React, None));
    add(&node, node.log, [signal("build")]);
    let _ = node.published.send(orchestra());
    let told = foretelling.next().await.unwrap();
    assert_eq!(told.came.unwrap().came_true, Some(false));
    assert!(told.next.is_some() && told.overdue.is_none());
}

#[tokio::test]
async fn what_is_no_source_and_no_tolerance_is_refused() {
    let node = Fake::start(1, &World::shared()).await;
    let all = [
        ("", "name what is to be foretold"),
        ("?within_ms=5", "name what is to be foretold"),
        ("?agent=ada&within_ms=NaN", "from 0.001 to 86400000"),
        ("?agent=ada&within_ms=inf", "from 0.001 to 86400000"),
        ("?agent=ada&within_ms=0", "from 0.001 to 86400000"),
        ("?agent=ada&within_ms=-3", "from 0.001 to 86400000"),
        ("?agent=ada&within_ms=1e12", "from 0.001 to 86400000"),
        ("?agent=ada&within_ms=", "from 0.001 to 86400000"),
        ("?agent=ada&prepare_ms=-1", "from 0 to 86400000"),
        ("?agent=ada&prepare_ms=86400001", "from 0 to 86400000"),
        ("?agent=ada&from=0", "from 1 to 16384"),
        ("?agent=ada&from=16385", "from 1 to 16384"),
        ("?kind=conquer", "conquer"),
        ("?agent=", "agent"),
        ("?topic=a%0Ab", "topic"),
        ("?agent=ada&agent=eve", "twice"),
        ("?agent=ada&tolerance=3", "unknown query field"),
    ];
    for (query, words) in all {
        for path in ["", "/stream"] {
            let seen = get(node.address, &format!("{OPUS}{path}{query}")).await;
            assert_eq!(seen.status, 400, "{path}{query}: {}", seen.body);
            let problem = seen.json();
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(words), "{path}{query}: {detail}");
            assert_eq!(problem["changed"], false);
        }
    }
    let seen = get(
        node.address,
        &format!("{OPUS}?agent=ada&as_of=2026-01-01T00:00:00Z"),
    )
    .await;
    assert_eq!(seen.json()["code"], "too_old", "{}", seen.body);
}
