//! Who is turned away, and what cannot be sent.

use std::time::Duration;

use unisono_quic::{Class, Config, Loss, SendError, limits};

use crate::world::{Node, eventually, founder, member, raw_connection, within};

#[tokio::test]
async fn what_cannot_be_sent_is_refused_at_once_and_says_why() {
    let root = founder(1);
    let node = Node::start(&root, Config::default());
    let other = member(&root, "south").node();
    let send = |to, class, bytes: usize| node.transport.send(to, None, class, vec![0; bytes]);
    assert_eq!(send(other, Class::Push, 1), Err(SendError::NoAddress));
    assert_eq!(send(node.id(), Class::Push, 1), Err(SendError::ToMyself));
    let max = limits::DATAGRAM_BYTES_MAX;
    let too_large = SendError::TooLarge {
        bytes: max + 1,
        max,
    };
    assert_eq!(send(other, Class::Membership, max + 1), Err(too_large));
    let max = limits::FRAME_BYTES_MAX;
    let too_large = SendError::TooLarge {
        bytes: max + 1,
        max,
    };
    assert_eq!(send(other, Class::Repair, max + 1), Err(too_large));
    node.transport.exclude(other);
    assert_eq!(send(other, Class::Push, 1), Err(SendError::Excluded));
    node.transport.close().await;
    node.transport.readmit(other);
    assert_eq!(send(other, Class::Push, 1), Err(SendError::Closed));
}

#[tokio::test]
async fn an_excluded_node_is_turned_away_with_its_valid_certificate() {
    let root = founder(1);
    let north = Node::start(&root, Config::default());
    let credentials = member(&root, "south");
    let mut south = Node::start(&credentials, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"before");
    south.connected().await;
    north.transport.exclude(south.id());
    assert_eq!(south.lost().await, Loss::Excluded);
    south.send(&north, Class::Push, b"again");
    assert_eq!(south.lost().await, Loss::Excluded);
    assert!(north.transport.endpoint_counters().excluded_refused >= 1);
    north.transport.readmit(south.id());
    south.send(&north, Class::Push, b"welcome back");
    south.connected().await;
}

#[tokio::test]
async fn a_node_of_another_cluster_and_a_stranger_are_refused() {
    let root = founder(1);
    let mut north = Node::start(&root, Config::default());
    let mut foreigner = Node::start(&founder(2), Config::default());
    foreigner.knows(&north);
    foreigner.send(&north, Class::Push, b"hello");
    assert!(matches!(foreigner.lost().await, Loss::Unreachable(_)));

    // One that does not mind our certificate, shows its own, and gets no further.
    let cousin = founder(2);
    let trusting = raw_connection(
        Some(&cousin),
        root.authority_certificate(),
        &north,
        b"unisono/1",
    );
    if let Ok((_endpoint, connection)) = trusting.await {
        within("the refusal", connection.closed()).await;
    }
    // One without a certificate may finish the handshake, for the sake of joiners, and is closed.
    let bare = raw_connection(None, root.authority_certificate(), &north, b"unisono/1").await;
    let (_endpoint, connection) = bare.unwrap();
    within("the refusal", connection.closed()).await;
    // Another protocol ends in the handshake.
    let other = raw_connection(Some(&root), root.authority_certificate(), &north, b"h3").await;
    assert!(other.is_err());

    eventually("the counters", || {
        let counters = north.transport.endpoint_counters();
        counters.handshakes_failed >= 2 && counters.strangers_refused >= 1
    })
    .await;
    assert!(north.transport.peers().is_empty());
    let quiet = tokio::time::timeout(Duration::from_millis(200), north.events.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test]
async fn another_node_at_the_address_is_not_taken_for_the_wanted_one() {
    let root = founder(1);
    let mut north = Node::start(&root, Config::default());
    let south = Node::start(&member(&root, "south"), Config::default());
    let wanted = member(&root, "south").node();
    north
        .transport
        .send(wanted, Some(south.addr()), Class::Push, b"psst".to_vec())
        .unwrap();
    assert!(matches!(north.lost().await, Loss::Unreachable(_)));
    assert!(
        !north
            .transport
            .peers()
            .iter()
            .any(|peer| peer.connection.is_some())
    );
}
