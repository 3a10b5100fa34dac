//! Members that break the protocol: closed, counted, and nothing worse.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::net::UdpSocket;
use unisono_quic::{Class, Config, Event, Loss, limits};

use crate::world::{Node, eventually, founder, loopback, member, raw_connection, within};

/// Sends these bytes on a stream as a member would, and expects the connection to be closed for it.
async fn is_refused(what: &str, bytes: Vec<u8>) {
    let root = founder(1);
    let mut node = Node::start(&root, Config::default());
    let rogue = member(&root, "south");
    let (endpoint, connection) = raw_connection(
        Some(&rogue),
        root.authority_certificate(),
        &node,
        b"unisono/1",
    )
    .await
    .unwrap();
    let mut stream = connection.open_uni().await.unwrap();
    _ = stream.write_all(&bytes).await;
    _ = stream.finish();
    let closed = within(what, connection.closed()).await;
    let quinn::ConnectionError::ApplicationClosed(close) = closed else {
        panic!("{what}: {closed}")
    };
    assert_eq!(close.error_code, quinn::VarInt::from_u32(3), "{what}");
    assert!(matches!(node.lost().await, Loss::Violation(_)), "{what}");
    assert_eq!(node.transport.endpoint_counters().violations, 1, "{what}");
    let counters = node.transport.counters(rogue.node()).unwrap();
    assert_eq!(
        (
            counters.connections.violations,
            counters.push.received_frames
        ),
        (1, 0),
        "{what}"
    );
    drop(endpoint);
}

fn frame(codec: u8, length: usize, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![1];
    bytes.extend_from_slice(&(length as u32).to_be_bytes());
    bytes.push(codec);
    bytes.extend_from_slice(body);
    bytes
}

#[tokio::test]
async fn garbage_and_oversize_frames_close_the_connection() {
    is_refused("an unknown stream", vec![99, 1, 2, 3]).await;
    is_refused("a membership stream", vec![0, 0, 0, 0, 0, 0]).await;
    is_refused(
        "an oversize frame",
        frame(0, limits::FRAME_BYTES_MAX + 1, &[]),
    )
    .await;
    is_refused("a frame of 4 GiB", frame(0, u32::MAX as usize, &[])).await;
    is_refused("an unknown codec", frame(7, 4, b"body")).await;
    is_refused("a compressed frame without a length", frame(1, 3, b"abc")).await;
    is_refused("garbage as a compressed frame", frame(1, 64, &[0xff; 64])).await;
}

#[tokio::test]
async fn decompression_bombs_close_the_connection() {
    // One literal, then a match that repeats it as long as the length bytes say: 255 to 1.
    let mut bomb = vec![0x1f, 0, 1, 0];
    bomb.resize(32_000, 0xff);
    bomb.extend_from_slice(&[0, 0]);
    let claiming = |claimed: u32| {
        let mut body = claimed.to_be_bytes().to_vec();
        body.extend_from_slice(&bomb);
        frame(1, body.len(), &body)
    };
    is_refused("a bomb that says what it is", claiming(8_160_000)).await;
    is_refused("a bomb that claims little", claiming(1000)).await;
    is_refused("a bomb that claims 4 GiB", claiming(u32::MAX)).await;
}

#[tokio::test]
async fn a_frame_that_is_only_promised_costs_nothing_and_other_frames_pass() {
    let root = founder(1);
    let mut node = Node::start(&root, Config::default());
    let rogue = member(&root, "south");
    let (_endpoint, connection) = raw_connection(
        Some(&rogue),
        root.authority_certificate(),
        &node,
        b"unisono/1",
    )
    .await
    .unwrap();
    let mut promised = connection.open_uni().await.unwrap();
    promised
        .write_all(&frame(0, limits::FRAME_BYTES_MAX, b"and then nothing"))
        .await
        .unwrap();
    let mut honest = connection.open_uni().await.unwrap();
    honest.write_all(&frame(0, 5, b"whole")).await.unwrap();
    node.frame(Class::Push, b"whole").await;
    // An empty datagram and one of an unknown kind are passed over.
    connection.send_datagram(Vec::new().into()).unwrap();
    connection.send_datagram(vec![9, 9].into()).unwrap();
    connection.send_datagram(vec![0, 42].into()).unwrap();
    node.frame(Class::Membership, &[42]).await;
    eventually("the count", || {
        node.transport
            .counters(rogue.node())
            .unwrap()
            .membership
            .discarded
            == 2
    })
    .await;
}

#[tokio::test]
async fn no_more_streams_than_allowed_and_no_two_way_ones() {
    let root = founder(1);
    let mut node = Node::start(&root, Config::default());
    let rogue = member(&root, "south");
    let (_endpoint, connection) = raw_connection(
        Some(&rogue),
        root.authority_certificate(),
        &node,
        b"unisono/1",
    )
    .await
    .unwrap();
    node.connected().await;
    let mut streams = Vec::new();
    for _ in 0..limits::STREAMS_MAX {
        let mut stream = connection.open_uni().await.unwrap();
        stream.write_all(&[1]).await.unwrap();
        streams.push(stream);
    }
    let one_more = tokio::time::timeout(Duration::from_millis(300), connection.open_uni()).await;
    assert!(one_more.is_err());
}

#[tokio::test]
async fn a_flood_of_datagrams_is_bounded_and_counted() {
    let root = founder(1);
    let mut node = Node::start(&root, Config::default());
    let rogue = member(&root, "south");
    let (_endpoint, connection) = raw_connection(
        Some(&rogue),
        root.authority_certificate(),
        &node,
        b"unisono/1",
    )
    .await
    .unwrap();
    for _ in 0..5000 {
        connection
            .send_datagram_wait(vec![0; 1000].into())
            .await
            .unwrap();
    }
    let counted = || {
        let counters = node
            .transport
            .counters(rogue.node())
            .map(|all| all.membership);
        counters.map_or((0, 0), |counters| {
            (counters.received_frames, counters.discarded)
        })
    };
    let mut before = (0, 0);
    while counted() != before || before.1 == 0 {
        before = counted();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut taken = 0;
    while let Ok(Some(event)) =
        tokio::time::timeout(Duration::from_millis(200), node.events.recv()).await
    {
        taken += usize::from(matches!(event, Event::Frame { .. }));
    }
    assert!(
        taken <= limits::EVENTS_MAX + 1000,
        "{taken} datagrams were kept"
    );
}

/// A client's configuration that calls whoever answers; it never comes to the certificates.
#[cfg(target_os = "linux")]
fn strangers() -> quinn::ClientConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = vec![b"unisono/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    quinn::ClientConfig::new(Arc::new(crypto))
}

/// What comes next from this address.
#[cfg(target_os = "linux")]
async fn heard_from(socket: &UdpSocket, addr: std::net::SocketAddr) -> Vec<u8> {
    let mut packet = [0; 2048];
    loop {
        let received = within("a packet", socket.recv_from(&mut packet)).await;
        let (length, from) = received.unwrap();
        if from == addr {
            return packet[..length].to_vec();
        }
    }
}

/// Callers who each speak from an address of their own and hear nothing that is said to them:
/// their first packets are passed on, and what the node answers is counted, Retry and anything else.
#[cfg(target_os = "linux")]
async fn spoofed(node: &Node, callers: u8) -> (usize, usize) {
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let (mut retries, mut others) = (0, 0);
    let mut pending = Vec::new();
    for caller in 1..=callers {
        let own = Ipv4Addr::new(127, 0, 1, caller);
        let socket = UdpSocket::bind((own, 0)).await.unwrap();
        let through = socket.local_addr().unwrap();
        pending.push(
            endpoint
                .connect_with(strangers(), through, "x.node")
                .unwrap(),
        );
        let first = heard_from(&socket, endpoint.local_addr().unwrap()).await;
        socket.send_to(&first, node.addr()).await.unwrap();
        let answer = heard_from(&socket, node.addr()).await;
        // The type of a long header (RFC 9000, section 17.2): 3 is Retry.
        if (answer[0] >> 4) & 3 == 3 {
            retries += 1;
        } else {
            others += 1;
        }
    }
    (retries, others)
}

/// Half of the handshakes are for whoever comes; from then on an address has to be proved, which costs
/// the node nothing to ask for (RFC 9000, section 8.1.2). Who has a certificate still gets in.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a57_first_packets_from_addresses_that_are_made_up_take_half_of_the_handshakes() {
    let root = founder(1);
    let mut node = Node::start(&root, Config::default());
    let (retries, others) = spoofed(&node, 200).await;
    let half = limits::HANDSHAKES_MAX / 2;
    // A handshake that comes to nothing ends after a while and makes room for another.
    assert!(others >= half, "{others}");
    assert!(retries >= 1, "{retries} of {}", retries + others);
    let south = Node::start(&member(&root, "south"), Config::default());
    south.knows(&node);
    south.send(&node, Class::Push, b"in");
    node.frame(Class::Push, b"in").await;
    let refused = node.transport.endpoint_counters().overload_refused;
    assert!(refused >= retries as u64, "{refused} of {retries}");
}

/// A version that nobody speaks is answered with those that are (RFC 9000, section 6.1), and with
/// nothing where a packet is too short to be a first one.
#[tokio::test]
async fn a53_an_unknown_version_is_told_which_there_are() {
    let node = Node::start(&founder(1), Config::default());
    let socket = UdpSocket::bind(loopback()).await.unwrap();
    let mut packet = vec![0; 1200];
    packet[..7].copy_from_slice(&[0xc0, 0xba, 0xba, 0xba, 0xba, 8, 1]);
    packet[14] = 8;
    socket.send_to(&packet[..300], node.addr()).await.unwrap();
    let mut answer = [0; 2048];
    let silence = Duration::from_millis(200);
    let short = tokio::time::timeout(silence, socket.recv_from(&mut answer)).await;
    assert!(short.is_err(), "{short:?}");
    socket.send_to(&packet, node.addr()).await.unwrap();
    let (length, _) = within("an answer", socket.recv_from(&mut answer))
        .await
        .unwrap();
    assert_eq!(answer[1..5], [0; 4], "it is about versions");
    let known: Vec<&[u8]> = answer[23..length].chunks(4).collect();
    assert!(known.contains(&[0, 0, 0, 1].as_slice()), "{known:?}");
    assert_eq!(node.transport.endpoint_counters().handshakes_failed, 0);
}
