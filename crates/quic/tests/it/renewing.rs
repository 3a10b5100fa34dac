//! Certificates that live a week: renewed over the live connection, by whoever is still let in.

use std::{collections::HashSet, fs, os::unix::fs::PermissionsExt as _, sync::Arc, time::Duration};

use unisono_model::NodeId;
use unisono_quic::{
    Class, Config, Loss,
    identity::{Credentials, IdentityError, NodeKey},
    join::{Admission, Answer, JoinRequest, MayRenew, Refusal},
    limits,
    renew::{RenewalError, RenewalRefusal},
};

use crate::world::{
    Node, eventually, founder, member, now_ms, raw_connection, region, two_members, within,
};

const DAY_MS: u64 = 24 * 3_600_000;

/// Renews for everybody who is not listed.
#[derive(Debug, Default)]
struct Members {
    removed: HashSet<NodeId>,
}

impl Admission for Members {
    fn admit(&self, _request: JoinRequest) -> Answer<'_> {
        Box::pin(async { Err(Refusal::InviteUnknown) })
    }

    fn renews(&self, node: NodeId) -> MayRenew<'_> {
        let removed = self.removed.contains(&node);
        let why = "a root has removed it".to_owned();
        Box::pin(async move {
            if removed {
                return Err(RenewalRefusal::NotAMember { why });
            }
            Ok(())
        })
    }

    fn issuers(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A member whose certificate was made so long ago, for so long.
fn old_member(founder: &Credentials, age_ms: u64, life_ms: u64) -> Credentials {
    let key = NodeKey::generate();
    let authority = founder.authority().unwrap();
    let made_ms = now_ms() - age_ms;
    let certificate = authority
        .issue_for(key.id(), &region("south"), made_ms, life_ms)
        .unwrap();
    let root = authority.certificate().clone();
    Credentials::new(key, certificate, root, None, made_ms).unwrap()
}

fn signer(credentials: &Credentials, members: Members) -> Node {
    let node = Node::start(credentials, Config::default());
    node.transport.serve_joins(Arc::new(members));
    node
}

fn code(error: RenewalError) -> &'static str {
    error.code()
}

#[tokio::test]
async fn a_certificate_is_renewed_over_the_live_connection_which_stays() {
    let root = founder(1);
    let mut north = signer(&root, Members::default());
    let old = old_member(&root, 3 * DAY_MS, limits::NODE_CERTIFICATE_MS);
    let mut south = Node::start(&old, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"before");
    assert_eq!(north.connected().await.node, south.id());
    south.connected().await;

    let before = south.transport.certificate();
    let renewal = south.transport.renewed_by(north.id()).await.unwrap();
    let next = renewal.credentials;
    assert_eq!((next.node(), next.region()), (old.node(), old.region()));
    assert!(next.authority().is_none());
    assert!(next.validity().until_ms > before.until_ms + 2 * DAY_MS);
    assert!(
        renewal.clock_apart_ms.abs() < 5_000,
        "{}",
        renewal.clock_apart_ms
    );
    assert_eq!(
        south.transport.certificate(),
        before,
        "nothing is shown yet"
    );
    south.transport.show(next.clone()).unwrap();
    assert_eq!(south.transport.certificate(), next.validity());

    south.send(&north, Class::Push, b"after");
    assert_eq!(north.frame(Class::Push, b"after").await, south.id());
    let counters = north.transport.endpoint_counters();
    assert_eq!(
        (counters.renewals_signed, counters.renewals_refused),
        (1, 0)
    );
    assert_eq!(
        south
            .transport
            .counters(north.id())
            .unwrap()
            .connections
            .connected,
        1
    );
}

/// The peers must see the new certificate before the old one ends, and nobody must notice.
#[tokio::test]
async fn connections_are_made_anew_after_a_renewal_and_no_loss_is_told() {
    let root = founder(1);
    let quick = Config {
        certificate_life: Duration::from_secs(12),
        ..Config::default()
    };
    let mut north = Node::start(&root, quick.clone());
    north.transport.serve_joins(Arc::new(Members::default()));
    let mut south = Node::start(&old_member(&root, 0, 12_000), quick);
    south.knows(&north);
    south.send(&north, Class::Push, b"0");
    north.frame(Class::Push, b"0").await;
    for number in 1..=20u8 {
        if number % 10 == 5 {
            let renewal = south.transport.renewed_by(north.id()).await.unwrap();
            south.transport.show(renewal.credentials).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        south.send(&north, Class::Push, &[number]);
        north.send(&south, Class::Push, &[number]);
        let event = within("a frame", north.events.recv()).await.unwrap();
        assert!(
            matches!(&event, unisono_quic::Event::Frame { bytes, .. } if *bytes == [number]),
            "{number}: {event:?}"
        );
        south.frame(Class::Push, &[number]).await;
    }
    let made = south.transport.counters(north.id()).unwrap().connections;
    assert_eq!(made.connected, 3, "once at first, once after each renewal");
}

#[tokio::test]
async fn who_was_removed_who_cannot_sign_and_who_asks_for_another_are_told() {
    let root = founder(1);
    let (one, other) = two_members(&root);
    let removed = Members {
        removed: HashSet::from([one.node()]),
    };
    let north = signer(&root, removed);
    let one = Node::start(&one, Config::default());
    one.knows(&north);
    let refused = one.transport.renewed_by(north.id()).await.unwrap_err();
    assert!(refused.to_string().contains("a root has removed it"));
    assert_eq!(code(refused), "not_member");

    let plain = signer(&other, Members::default());
    one.knows(&plain);
    let refused = one.transport.renewed_by(plain.id()).await.unwrap_err();
    assert_eq!(code(refused), "not_an_issuer");

    let nowhere = one.transport.renewed_by(NodeId([7; 32])).await.unwrap_err();
    assert_eq!(code(nowhere), "unreachable");
    // Whom the transport turns away is not even heard.
    north.transport.exclude(one.id());
    let refused = one.transport.renewed_by(north.id()).await.unwrap_err();
    assert_eq!(code(refused), "not_member");
    assert!(north.transport.renewed_here().unwrap().is_ok());
    assert!(plain.transport.renewed_here().is_none());
    assert_eq!(north.transport.endpoint_counters().renewals_signed, 0);
}

/// What anybody with a certificate may write, as bytes: the answer's first two are its kind and, of a
/// refusal, which.
async fn answered(credentials: &Credentials, target: &Node, request: &[u8]) -> Vec<u8> {
    let root = credentials.authority_certificate();
    let raw = raw_connection(Some(credentials), root, target, b"unisono-renew/1").await;
    let (_endpoint, connection) = raw.unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    _ = send.write_all(request).await;
    _ = send.finish();
    receive.read_to_end(10_000).await.unwrap()
}

fn request(version: u8, cluster: u8, node: NodeId) -> Vec<u8> {
    let mut bytes = vec![version];
    bytes.extend([cluster; 16]);
    bytes.extend(node.0);
    bytes
}

#[tokio::test]
async fn m09_nobody_renews_for_another_node_and_forged_requests_are_refused() {
    let root = founder(1);
    let north = signer(&root, Members::default());
    let (one, other) = two_members(&root);
    let good = request(1, 1, one.node());
    assert_eq!(answered(&one, &north, &good).await[0], 0);
    for (forged, refusal) in [
        (request(1, 1, other.node()), 2),
        (request(1, 1, root.node()), 2),
        (request(1, 2, one.node()), 3),
        (Vec::new(), 6),
        ([good.clone(), vec![0]].concat(), 6),
        (vec![0; limits::RENEWAL_REQUEST_BYTES_MAX + 1], 6),
        (request(2, 1, one.node()), 7),
    ] {
        let answer = answered(&one, &north, &forged).await;
        assert_eq!(answer[..2], [1, refusal], "{forged:?}");
    }
    // Without a certificate, and with another cluster's, there is nothing to ask.
    let trusted = root.authority_certificate();
    let cousin = founder(2);
    for stranger in [None, Some(&cousin)] {
        let raw = raw_connection(stranger, trusted, &north, b"unisono-renew/1").await;
        if let Ok((_endpoint, connection)) = raw {
            within("the refusal", connection.closed()).await;
        }
    }
    assert_eq!(north.transport.endpoint_counters().renewals_signed, 1);
}

#[tokio::test]
async fn m12_a_flood_of_renewals_is_refused_and_others_are_served() {
    let root = founder(1);
    let north = signer(&root, Members::default());
    let (noisy, quiet) = two_members(&root);
    let noisy = Node::start(&noisy, Config::default());
    noisy.knows(&north);
    noisy.send(&north, Class::Push, b"hello");
    eventually("a connection", || !noisy.transport.connected().is_empty()).await;
    for _ in 0..limits::RENEWAL_REQUESTS_MAX {
        noisy.transport.renewed_by(north.id()).await.unwrap();
    }
    let refused = noisy.transport.renewed_by(north.id()).await.unwrap_err();
    assert_eq!(code(refused), "too_many_renewals");
    let quiet = Node::start(&quiet, Config::default());
    quiet.knows(&north);
    quiet.transport.renewed_by(north.id()).await.unwrap();
}

/// Connections on which nothing is asked are bounded, and whoever is connected is served all the same.
#[tokio::test]
async fn silent_renewals_are_bounded_and_hold_up_no_connected_node() {
    let root = founder(1);
    let north = signer(&root, Members::default());
    let (crowd, quiet) = two_members(&root);
    let quiet = Node::start(&quiet, Config::default());
    quiet.knows(&north);
    quiet.send(&north, Class::Push, b"hello");
    eventually("a connection", || !quiet.transport.connected().is_empty()).await;
    let trusted = root.authority_certificate();
    let mut silent = Vec::new();
    for _ in 0..limits::RENEWALS_MAX {
        let raw = raw_connection(Some(&crowd), trusted, &north, b"unisono-renew/1").await;
        silent.push(raw.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let raw = raw_connection(Some(&crowd), trusted, &north, b"unisono-renew/1").await;
    if let Ok((_endpoint, connection)) = raw {
        within("the refusal", connection.closed()).await;
    }
    assert_eq!(north.transport.endpoint_counters().renewals_refused, 1);
    quiet.transport.renewed_by(north.id()).await.unwrap();
}

#[tokio::test]
async fn a_node_that_was_off_for_a_month_renews_and_nothing_else() {
    let root = founder(1);
    let mut north = signer(&root, Members::default());
    let late = old_member(&root, 31 * DAY_MS, limits::NODE_CERTIFICATE_MS);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    late.save(&path).unwrap();
    let late = Credentials::load(&path, None).unwrap();
    assert!(late.validity().has_ended(now_ms()));

    let mut south = Node::start(&late, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"as if nothing were");
    let why = south.lost().await;
    let Loss::Unreachable(words) = &why else {
        panic!("{why:?}")
    };
    assert!(words.contains("your certificate has ended"), "{words}");
    assert_eq!(north.transport.endpoint_counters().ended_refused, 1);
    assert!(north.transport.peers().is_empty());

    let renewal = south.transport.renewed_by(north.id()).await.unwrap();
    renewal.credentials.save_certificate(&path).unwrap();
    south.transport.show(renewal.credentials).unwrap();
    south.send(&north, Class::Push, b"here again");
    assert_eq!(north.frame(Class::Push, b"here again").await, south.id());
    let mode = fs::metadata(path.join("node.crt")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3, "nothing is left");
    let loaded = Credentials::load(&path, None).unwrap();
    assert!(!loaded.validity().has_ended(now_ms()));
}

/// Where nobody signs, expiry must not end honest work: see decision 020.
#[tokio::test]
async fn where_nobody_signs_ended_certificates_are_taken_and_elsewhere_not() {
    let root = founder(1);
    let life_ms = limits::NODE_CERTIFICATE_MS;
    let ended = old_member(&root, 8 * DAY_MS, life_ms);
    let overdue = old_member(&root, 4 * DAY_MS, life_ms);
    let fresh = old_member(&root, DAY_MS, life_ms);
    let mut ended = Node::start(&ended, Config::default());
    let mut overdue = Node::start(&overdue, Config::default());
    let fresh = Node::start(&fresh, Config::default());
    for (from, to) in [(&ended, &overdue), (&ended, &fresh), (&fresh, &ended)] {
        from.knows(to);
    }
    ended.send(&overdue, Class::Push, b"you are cut off too");
    assert_eq!(
        overdue.frame(Class::Push, b"you are cut off too").await,
        ended.id()
    );
    ended.send(&fresh, Class::Push, b"you are not");
    assert!(matches!(ended.lost().await, Loss::Unreachable(_)));
    // Nor is it called by one with a fresh certificate.
    fresh.send(&ended, Class::Push, b"who are you");
    eventually("the refusal", || {
        let counters = fresh.transport.counters(ended.id());
        counters.is_some_and(|counters| counters.connections.dials_failed >= 1)
    })
    .await;
    assert!(fresh.transport.connected().is_empty());
}

/// The one that signs comes back at another address, which those with ended certificates cannot be
/// told of by anybody: both turned each other away for ever.
#[tokio::test]
async fn a_signer_that_calls_from_a_new_address_is_asked_there() {
    let root = founder(1);
    let north = signer(&root, Members::default());
    let ended = old_member(&root, 8 * DAY_MS, limits::NODE_CERTIFICATE_MS);
    let mut south = Node::start(&ended, Config::default());
    north.knows(&south);
    north.send(&south, Class::Push, b"do you live?");
    eventually("the refusal", || {
        let counters = north.transport.counters(south.id());
        counters.is_some_and(|counters| counters.connections.dials_failed >= 1)
    })
    .await;
    assert!(north.transport.connected().is_empty());
    let renewal = south.transport.renewed_by(north.id()).await.unwrap();
    south.transport.show(renewal.credentials).unwrap();
    north.send(&south, Class::Push, b"now you do");
    assert_eq!(south.frame(Class::Push, b"now you do").await, north.id());
}

/// Whoever was renewed leads others to who can sign, also when that one is no more where it was; but of
/// nodes of which nobody else has told, its word makes no peers.
#[tokio::test]
async fn a_member_that_cannot_sign_says_who_can_and_where() {
    let root = founder(1);
    let north = signer(&root, Members::default());
    let (fresh, east) = (member(&root, "east"), member(&root, "east"));
    let fresh = Node::start(&fresh, Config::default());
    let east = signer(&east, Members::default());
    fresh.knows(&east);
    let refused = fresh.transport.renewed_by(east.id()).await.unwrap_err();
    let issuers = Vec::new();
    let none = RenewalRefusal::NotAnIssuer { issuers };
    assert!(matches!(refused, RenewalError::Refused(told) if told == none));
    east.knows(&north);
    east.transport.renewed_by(north.id()).await.unwrap();
    let refused = fresh.transport.renewed_by(east.id()).await.unwrap_err();
    assert_eq!(code(refused), "not_an_issuer");
    assert_eq!(fresh.transport.peers().len(), 1, "the one that it knew");
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let gone = gone.local_addr().unwrap();
    fresh.transport.set_address(north.id(), &[gone]).unwrap();
    fresh.transport.renewed_by(east.id()).await.unwrap_err();
    fresh.transport.renewed_by(north.id()).await.unwrap();
}

#[tokio::test]
async fn m11_a_connection_ends_with_the_certificate_on_which_it_stands() {
    let root = founder(1);
    let mut north = signer(&root, Members::default());
    let brief = old_member(&root, 0, 2_000);
    let south = Node::start(&brief, Config::default());
    south.knows(&north);
    south.send(&north, Class::Push, b"for two seconds");
    north.frame(Class::Push, b"for two seconds").await;
    north.lost().await;
    assert_eq!(north.transport.endpoint_counters().ended_refused, 1);
    assert!(north.transport.connected().is_empty());
}

#[test]
fn a_certificate_of_another_node_cluster_or_region_renews_nothing() {
    let (root, cousin) = (founder(1), founder(2));
    let one = member(&root, "north");
    let authority = root.authority().unwrap();
    let now = now_ms();
    let issue = |authority: &unisono_quic::identity::ClusterAuthority, node, place| {
        authority.issue(node, &region(place), now).unwrap()
    };
    let refused = |certificate| one.renewed(certificate, now).unwrap_err();
    let other = issue(authority, root.node(), "north");
    assert!(matches!(refused(other), IdentityError::Mismatch { .. }));
    let moved = issue(authority, one.node(), "south");
    assert!(matches!(refused(moved), IdentityError::Mismatch { .. }));
    let foreign = issue(cousin.authority().unwrap(), one.node(), "north");
    assert!(matches!(refused(foreign), IdentityError::Certificate(_)));
    let good = issue(authority, one.node(), "north");
    assert!(one.renewed(good, now).is_ok());
}

/// A certificate that a signer with a wrong clock made is not used, and the clocks are named.
#[tokio::test]
async fn clocks_that_are_far_apart_are_told_as_such() {
    let root = founder(1);
    let one = member(&root, "north");
    let authority = root.authority().unwrap();
    for (made_ms, words) in [
        (now_ms() + 3 * DAY_MS, "this clock is behind"),
        (now_ms() - 30 * DAY_MS, "this clock is ahead"),
    ] {
        let certificate = authority.issue(one.node(), &region("north"), made_ms);
        let refused = one.renewed(certificate.unwrap(), now_ms()).unwrap_err();
        assert!(refused.to_string().contains(words), "{refused}");
    }
    let apart = RenewalError::Clock {
        apart_ms: (3 * DAY_MS).cast_signed(),
    };
    assert!(apart.to_string().contains("3 days apart"), "{apart}");
    assert_eq!(code(apart), "clock_apart");
}
