//! Nodes that speak with each other: classes, dialling, slowness, restarts.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use unisono_quic::{Class, Config, Event, Loss, SendError, limits};

use crate::world::{Node, founder, member, noise, quick, region, two_members, within};

#[tokio::test]
async fn two_nodes_exchange_frames_of_every_class() {
    let root = founder(1);
    let mut north = Node::start(&root, Config::default());
    let mut south = Node::start(&member(&root, "south"), Config::default());
    north.knows(&south);
    for class in Class::ALL {
        north.send(&south, class, format!("{class:?} down").as_bytes());
    }
    let seen = within("the caller", south.connected()).await;
    assert_eq!((seen.node, seen.region), (north.id(), region("north")));
    assert_eq!(north.connected().await.region, region("south"));
    assert_eq!(
        one_of_each(&mut south).await,
        ["Membership down", "Push down", "Repair down"]
    );
    // The way back needs no address: the connection is there.
    for class in Class::ALL {
        south.send(&north, class, format!("{class:?} up").as_bytes());
    }
    assert_eq!(
        one_of_each(&mut north).await,
        ["Membership up", "Push up", "Repair up"]
    );
    assert!(north.transport.rtt(south.id()).is_some());
    let counters = north.transport.counters(south.id()).unwrap();
    assert_eq!(
        (counters.push.sent_frames, counters.push.received_frames),
        (1, 1)
    );
    assert_eq!(counters.connections.connected, 1);
    // Read first, the receiver's count is no more than what the sender's shows then.
    let received = south.transport.endpoint_counters();
    let sent = north.transport.endpoint_counters();
    assert!(received.received_packets >= 3, "{received:?}");
    assert!(sent.sent_packets >= received.received_packets, "{sent:?}");
    // A handshake with certificates of both sides is more than one packet holds.
    assert!(received.received_bytes > 1_200, "{received:?}");
    assert!(sent.sent_bytes >= received.received_bytes, "{sent:?}");
    assert_eq!(sent.timing_sent, 0);
}

/// Three frames, sorted: classes do not wait for each other.
async fn one_of_each(node: &mut Node) -> Vec<String> {
    let mut frames = Vec::new();
    while frames.len() < 3 {
        let event = node
            .until("a frame", |event| matches!(event, Event::Frame { .. }))
            .await;
        let Event::Frame { class, bytes, .. } = event else {
            panic!("{event:?}")
        };
        let text = String::from_utf8(bytes).unwrap();
        assert!(
            text.starts_with(&format!("{class:?} ")),
            "{text} came as {class:?}"
        );
        frames.push(text);
    }
    frames.sort();
    frames
}

#[tokio::test]
async fn frames_of_one_class_arrive_in_order_and_whole_whatever_their_size() {
    let root = founder(1);
    let north = Node::start(&root, Config::default());
    let mut south = Node::start(&member(&root, "south"), Config::default());
    north.knows(&south);
    let frames = [
        Vec::new(),
        noise(511),
        noise(513),
        vec![7; 3_000_000],
        noise(limits::FRAME_BYTES_MAX),
        vec![0; limits::FRAME_BYTES_MAX],
        b"last".to_vec(),
    ];
    for frame in &frames {
        let sent = || {
            north
                .transport
                .send(south.id(), None, Class::Push, frame.clone())
        };
        while sent() == Err(SendError::QueueFull) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    for frame in &frames {
        let event = south
            .until("a push", |event| matches!(event, Event::Frame { .. }))
            .await;
        let Event::Frame { bytes, .. } = event else {
            panic!("{event:?}")
        };
        assert!(
            bytes == *frame,
            "a frame of {} bytes came as {}",
            frame.len(),
            bytes.len()
        );
    }
    let largest = vec![1; limits::DATAGRAM_BYTES_MAX];
    north.send(&south, Class::Membership, &largest);
    south.frame(Class::Membership, &largest).await;
}

#[tokio::test]
async fn a_dial_from_both_sides_leaves_one_connection() {
    let root = founder(1);
    for _ in 0..5 {
        let (low, high) = two_members(&root);
        let mut low = Node::start(&low, Config::default());
        let mut high = Node::start(&high, Config::default());
        low.knows(&high);
        high.knows(&low);
        for count in 0..50u8 {
            low.send(&high, Class::Push, &[count]);
            high.send(&low, Class::Push, &[count]);
        }
        // All of them arrive; over the change of connection one may overtake another.
        for node in [&mut low, &mut high] {
            let mut missing: BTreeSet<u8> = (0..50).collect();
            while !missing.is_empty() {
                let event = node
                    .until("a push", |event| matches!(event, Event::Frame { .. }))
                    .await;
                let Event::Frame { bytes, .. } = event else {
                    panic!("{event:?}")
                };
                assert!(missing.remove(&bytes[0]), "twice {bytes:?}");
            }
        }
        tokio::time::sleep(limits::LINGER).await;
        low.send(&high, Class::Repair, b"still there");
        high.frame(Class::Repair, b"still there").await;
        let unbroken = |node: &Node, to: &Node| {
            let counters = node.transport.counters(to.id()).unwrap();
            counters.connections.connected <= 2 && counters.push.dropped == 0
        };
        assert!(unbroken(&low, &high) && unbroken(&high, &low));
    }
}

#[tokio::test]
async fn a_node_that_nobody_answers_is_told_as_lost_and_found_when_it_comes() {
    let root = founder(1);
    let mut north = Node::start(&root, quick());
    let credentials = member(&root, "south");
    let absent = Node::start(&credentials, quick());
    let (id, addr) = (absent.id(), absent.addr());
    absent.transport.close().await;
    drop(absent);
    north
        .transport
        .send(id, Some(addr), Class::Push, b"anyone".to_vec())
        .unwrap();
    assert!(matches!(north.lost().await, Loss::Unreachable(_)));
    assert_eq!(north.transport.counters(id).unwrap().push.dropped, 1);
    let mut south = rebind(&credentials, addr).await;
    north.send(&south, Class::Push, b"now");
    south.frame(Class::Push, b"now").await;
}

#[tokio::test]
async fn a_peer_that_restarts_at_its_address_is_reached_again_without_waiting_for_silence() {
    let root = founder(1);
    let mut north = Node::start(&root, Config::default());
    let credentials = member(&root, "south");
    let mut south = Node::start(&credentials, Config::default());
    let addr = south.addr();
    north.knows(&south);
    north.send(&south, Class::Push, b"one");
    south.frame(Class::Push, b"one").await;

    south.transport.close().await;
    drop(south);
    assert_eq!(north.lost().await, Loss::Left);

    let mut south = rebind(&credentials, addr).await;
    let restarted = Instant::now();
    north.send(&south, Class::Push, b"two");
    south.frame(Class::Push, b"two").await;
    assert!(restarted.elapsed() < Duration::from_secs(5));
}

/// A killed process says no goodbye. Its successor does not know the connection and says so with a
/// stateless reset, which the peer believes because the reset key follows from the node's key.
#[test]
fn a_peer_that_was_killed_and_restarted_is_recognised_by_its_reset() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (ours, theirs) = (runtime(), runtime());
    let root = founder(1);
    let credentials = member(&root, "south");
    let mut north = ours.block_on(async { Node::start(&root, Config::default()) });
    let mut south = theirs.block_on(async { Node::start(&credentials, Config::default()) });
    let addr = south.addr();
    north.knows(&south);
    ours.block_on(async { north.send(&south, Class::Push, b"one") });
    theirs.block_on(south.frame(Class::Push, b"one"));
    // The runtime goes first: no task is left that could send a closing packet.
    theirs.shutdown_background();
    std::thread::sleep(Duration::from_millis(300));
    drop(south);

    ours.block_on(async {
        let mut south = rebind(&credentials, addr).await;
        let since = Instant::now();
        assert_eq!(north.lost().await, Loss::Restarted);
        assert!(
            since.elapsed() < Duration::from_secs(5),
            "sooner than the idle timeout"
        );
        north.send(&south, Class::Push, b"two");
        south.frame(Class::Push, b"two").await;
    });
}

async fn rebind(
    credentials: &unisono_quic::identity::Credentials,
    addr: std::net::SocketAddr,
) -> Node {
    within("the address to be free", async {
        loop {
            let bound = unisono_quic::Endpoint::bind(credentials.clone(), addr, Config::default());
            if let Ok(unisono_quic::Endpoint {
                transport, events, ..
            }) = bound
            {
                return Node { transport, events };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
}

/// A peer that is connected and reads nothing: its driver hangs.
#[tokio::test]
async fn a_slow_reader_does_not_block_the_sender_who_is_told() {
    let root = founder(1);
    let config = Config {
        send_timeout: Duration::from_secs(1),
        ..Config::default()
    };
    let mut north = Node::start(&root, config);
    let slow = Node::start(&member(&root, "south"), Config::default());
    let mut brisk = Node::start(&member(&root, "east"), Config::default());
    north.knows(&slow);
    north.knows(&brisk);
    let frame = noise(256 * 1024);
    let mut longest = Duration::ZERO;
    let mut accepted = 0;
    let refused = within("the queue to fill", async {
        loop {
            let before = Instant::now();
            let sent = north
                .transport
                .send(slow.id(), None, Class::Push, frame.clone());
            longest = longest.max(before.elapsed());
            match sent {
                Ok(()) => accepted += 1,
                Err(refusal) if accepted > 200 => break refusal,
                Err(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(refused, SendError::QueueFull);
    assert!(
        longest < Duration::from_millis(500),
        "send took {longest:?}"
    );
    assert!(north.transport.counters(slow.id()).unwrap().push.refused > 0);
    let received = limits::RECEIVED_BYTES_MAX + limits::QUEUE_BYTES_MAX * 3;
    assert!(
        accepted * frame.len() < received,
        "the slow side took {accepted} frames"
    );

    north.send(&brisk, Class::Push, b"unhindered");
    brisk.frame(Class::Push, b"unhindered").await;
    let slow_id = slow.id();
    north
        .until("the slowness to be told", |event| {
            *event
                == Event::Slow {
                    node: slow_id,
                    class: Class::Push,
                }
        })
        .await;
    // Another class has its own stream, and the connection itself is alive.
    assert!(north.transport.rtt(slow.id()).is_some());
}

#[tokio::test]
async fn closing_ends_the_events_and_frees_the_address() {
    let root = founder(1);
    let credentials = member(&root, "south");
    let mut north = Node::start(&root, Config::default());
    let south = Node::start(&credentials, Config::default());
    let addr = south.addr();
    north.knows(&south);
    north.send(&south, Class::Push, b"hello");
    north.connected().await;
    let Node {
        transport,
        mut events,
    } = south;
    let clone = transport.clone();
    transport.close().await;
    drop((transport, clone));
    within("the end", async { while events.recv().await.is_some() {} }).await;
    assert_eq!(north.lost().await, Loss::Left);
    rebind(&credentials, addr).await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes() {
    let root = founder(1);
    let mut north = Node::start(&root, Config::default());
    let south = Node::start(&member(&root, "south"), Config::default());
    north.knows(&south);
    north.send(&south, Class::Push, b"hello");
    north.connected().await;
    let Node {
        transport,
        mut events,
    } = south;
    let clone = transport.clone();
    drop(transport);
    assert!(clone.rtt(north.id()).is_some());
    drop(clone);
    within("the end", async { while events.recv().await.is_some() {} }).await;
    assert_eq!(north.lost().await, Loss::Left);
}
