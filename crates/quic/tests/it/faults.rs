//! Partitions and delays made on demand.

use std::time::{Duration, Instant};

use unisono_quic::{Class, Config, Direction, Loss};

use crate::world::{Node, eventually, founder, member, quick};

#[tokio::test]
async fn a_cut_is_felt_as_silence_and_traffic_resumes_within_seconds_of_the_heal() {
    let root = founder(1);
    let mut north = Node::start(&root, quick());
    let mut south = Node::start(&member(&root, "south"), quick());
    north.knows(&south);
    south.knows(&north);
    north.send(&south, Class::Push, b"before");
    south.frame(Class::Push, b"before").await;

    north
        .transport
        .faults()
        .unwrap()
        .block(south.id(), Direction::Both);
    assert_eq!(north.lost().await, Loss::Silent);
    assert_eq!(south.lost().await, Loss::Silent);
    // Dials are swallowed too, from both sides.
    north.send(&south, Class::Push, b"into the void");
    south.send(&north, Class::Push, b"into the void");
    assert!(matches!(north.lost().await, Loss::Unreachable(_)));
    assert!(matches!(south.lost().await, Loss::Unreachable(_)));

    north.transport.faults().unwrap().unblock(south.id());
    let healed = Instant::now();
    north.reaches(&mut south).await;
    assert!(
        healed.elapsed() < Duration::from_secs(6),
        "it took {:?}",
        healed.elapsed()
    );
}

#[tokio::test]
async fn a_short_cut_loses_nothing_on_streams() {
    let root = founder(1);
    let mut north = Node::start(
        &root,
        Config {
            fault_injection: true,
            ..Config::default()
        },
    );
    let mut south = Node::start(&member(&root, "south"), Config::default());
    north.knows(&south);
    north.send(&south, Class::Push, b"before");
    south.frame(Class::Push, b"before").await;
    let faults = north.transport.faults().unwrap();
    faults.block(south.id(), Direction::Out);
    north.send(&south, Class::Push, b"during");
    north.send(&south, Class::Membership, b"lost, as datagrams may be");
    let during = south.frame(Class::Push, b"during");
    assert!(
        tokio::time::timeout(Duration::from_secs(1), during)
            .await
            .is_err()
    );
    faults.unblock(south.id());
    south.frame(Class::Push, b"during").await;
    south.send(&north, Class::Repair, b"and back");
    north.frame(Class::Repair, b"and back").await;
}

#[tokio::test]
async fn a_node_cut_off_before_it_was_ever_met_cannot_get_in() {
    let root = founder(1);
    let north = Node::start(&root, quick());
    let mut south = Node::start(&member(&root, "south"), quick());
    north
        .transport
        .faults()
        .unwrap()
        .block(south.id(), Direction::Both);
    south.knows(&north);
    south.send(&north, Class::Push, b"hello");
    assert!(matches!(south.lost().await, Loss::Unreachable(_)));
    assert!(north.transport.peers().is_empty());
}

#[tokio::test]
async fn an_added_delay_shows_in_the_round_trip() {
    let root = founder(1);
    let north = Node::start(&root, quick());
    let mut south = Node::start(&member(&root, "south"), quick());
    north.knows(&south);
    let delay = Duration::from_millis(80);
    north.transport.faults().unwrap().delay(south.id(), delay);
    let sent = Instant::now();
    north.send(&south, Class::Push, b"slowly");
    south.frame(Class::Push, b"slowly").await;
    assert!(
        sent.elapsed() >= delay * 2,
        "handshake and frame each take the delay"
    );
    assert!(north.transport.rtt(south.id()).unwrap() >= delay);
    north.transport.faults().unwrap().clear();
    let sent = Instant::now();
    north.send(&south, Class::Push, b"quickly");
    south.frame(Class::Push, b"quickly").await;
    assert!(sent.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn without_the_flag_there_are_no_faults_to_inject() {
    let node = Node::start(&founder(1), Config::default());
    assert!(node.transport.faults().is_none());
}

/// Behind a real network with 120 ms a round trip a cut of five seconds ended, and six more passed until
/// the nodes spoke: QUIC's own probes come the later the longer nobody has answered.
#[tokio::test]
async fn beside_a_connection_that_fell_silent_another_one_is_tried() {
    let root = founder(1);
    let patient = Config {
        keep_alive: Duration::from_millis(100),
        silence: Duration::from_millis(500),
        idle_timeout: Duration::from_secs(3600),
        fault_injection: true,
        ..Config::default()
    };
    let north = Node::start(&root, patient.clone());
    let mut south = Node::start(&member(&root, "south"), patient);
    north.knows(&south);
    south.knows(&north);
    north.send(&south, Class::Push, b"before");
    south.frame(Class::Push, b"before").await;

    let faults = north.transport.faults().unwrap();
    faults.block(south.id(), Direction::Both);
    let tried = || {
        let peers = north.transport.peers();
        peers
            .iter()
            .any(|peer| peer.counters.connections.dials_failed > 0)
    };
    eventually("a dial that is swallowed, too", tried).await;
    assert!(
        north.transport.rtt(south.id()).is_some(),
        "the old one stands"
    );
    faults.unblock(south.id());
    // Whichever of the two is heard first.
    north.reaches(&mut south).await;
}
