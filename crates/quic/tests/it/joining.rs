//! Joining with one string, and all the ways in which it is refused.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use unisono_model::{ClusterId, NodeId};
use unisono_quic::{
    Class, Config,
    identity::{Credentials, Fingerprint, NodeKey},
    join::{
        Admission, Answer, Invite, InviteError, InviteId, JoinError, JoinRequest, Joined, Joiner,
        Refusal, join,
    },
    limits,
};

use crate::world::{Node, founder, member, now_ms, raw_connection, region};

/// A rule that knows its invites, each for one node and until its time.
#[derive(Debug, Default)]
pub(crate) struct Invites {
    open: Mutex<HashMap<InviteId, (u64, Option<NodeId>)>>,
    pub(crate) issuers: Vec<String>,
}

impl Invites {
    fn add(&self, invite: &Invite, expires_ms: u64) {
        self.open
            .lock()
            .unwrap()
            .insert(invite.id(), (expires_ms, None));
    }
}

impl Admission for Invites {
    fn admit(&self, request: JoinRequest) -> Answer<'_> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            let mut open = self.open.lock().unwrap();
            let (expires_ms, user) = open
                .get_mut(&request.invite)
                .ok_or(Refusal::InviteUnknown)?;
            if now_ms() >= *expires_ms {
                return Err(Refusal::InviteExpired);
            }
            if *user.get_or_insert(request.node) != request.node {
                return Err(Refusal::InviteUsed);
            }
            Ok(b"the members".to_vec())
        })
    }

    fn issuers(&self) -> Vec<String> {
        self.issuers.clone()
    }
}

pub(crate) struct Host {
    pub(crate) node: Node,
    pub(crate) credentials: Credentials,
    invites: Arc<Invites>,
}

impl Host {
    pub(crate) fn start() -> Self {
        let credentials = founder(1);
        let node = Node::start(&credentials, Config::default());
        let invites = Arc::new(Invites::default());
        node.transport.serve_joins(invites.clone());
        Self {
            node,
            credentials,
            invites,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.node.addr().to_string()
    }

    pub(crate) fn draft(&self) -> Invite {
        let authority = self.credentials.authority_certificate().fingerprint();
        let cluster = self.credentials.cluster();
        Invite::new(cluster, authority, vec![self.address()], now_ms() + 60_000).unwrap()
    }

    pub(crate) fn invite(&self) -> Invite {
        let invite = self.draft();
        self.invites.add(&invite, invite.expires_ms);
        invite
    }
}

pub(crate) fn joiner() -> Joiner {
    let addresses = vec!["127.0.0.1:7400".to_owned()];
    Joiner {
        key: NodeKey::generate(),
        region: region("south"),
        addresses,
    }
}

pub(crate) async fn try_join(invite: &Invite) -> Result<Joined, JoinError> {
    join(invite, &joiner(), now_ms()).await
}

pub(crate) fn code(result: Result<Joined, JoinError>) -> &'static str {
    result.expect_err("the join must fail").code()
}

#[tokio::test]
async fn a_joiner_with_the_right_string_gets_in_and_speaks() {
    let mut host = Host::start();
    let text = host.invite().to_text();
    let invite: Invite = text.parse().unwrap();
    let joined = try_join(&invite).await.unwrap();
    assert_eq!(joined.members, b"the members");
    assert_eq!(joined.credentials.region(), &region("south"));
    assert!(
        joined.credentials.authority().is_none(),
        "the authority's key stays where it is"
    );

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    joined.credentials.save(&path).unwrap();
    let credentials = Credentials::load(&path, Some(host.credentials.cluster())).unwrap();
    let newcomer = Node::start(&credentials, Config::default());
    newcomer.knows(&host.node);
    newcomer.send(&host.node, Class::Push, b"here I am");
    assert_eq!(host.node.connected().await.region, region("south"));
    assert_eq!(
        host.node.frame(Class::Push, b"here I am").await,
        newcomer.id()
    );
    assert_eq!(host.node.transport.endpoint_counters().joins_admitted, 1);
}

#[tokio::test]
async fn an_invite_counts_once_and_again_for_the_node_that_used_it() {
    let host = Host::start();
    let invite = host.invite();
    let first = joiner();
    join(&invite, &first, now_ms()).await.unwrap();
    assert_eq!(code(try_join(&invite).await), "invite_used");
    // The answer may have been lost on the way: the same node asks again.
    join(&invite, &first, now_ms()).await.unwrap();
}

#[tokio::test]
async fn every_refusal_has_its_own_code() {
    let host = Host::start();
    assert_eq!(code(try_join(&host.draft()).await), "invite_unknown");

    let mut expired = host.invite();
    expired.expires_ms = now_ms() - 1;
    assert_eq!(code(try_join(&expired).await), "invite_expired");
    // This machine's clock is behind: the cluster decides.
    let invite = host.draft();
    host.invites.add(&invite, now_ms() - 1);
    assert_eq!(code(try_join(&invite).await), "invite_expired");

    let mut pinned = host.invite();
    pinned.authority = Fingerprint([9; 32]);
    assert_eq!(code(try_join(&pinned).await), "wrong_authority");
    let mut elsewhere = host.invite();
    elsewhere.cluster = ClusterId([8; 16]);
    assert_eq!(code(try_join(&elsewhere).await), "other_cluster");

    let mut nowhere = host.invite();
    let gone = Node::start(&member(&host.credentials, "east"), Config::default());
    nowhere.addresses = vec![gone.addr().to_string()];
    gone.transport.close().await;
    drop(gone);
    assert_eq!(code(try_join(&nowhere).await), "unreachable");
}

/// Somebody in between has a cluster of its own and the right address. It learns nothing.
#[tokio::test]
async fn a_server_of_another_authority_is_told_nothing() {
    let host = Host::start();
    let impostor = Host::start();
    let mut invite = host.invite();
    invite.addresses = vec![impostor.address()];
    assert_eq!(code(try_join(&invite).await), "wrong_authority");
    let counters = impostor.node.transport.endpoint_counters();
    assert_eq!((counters.joins_admitted, counters.joins_refused), (0, 0));
}

#[tokio::test]
async fn a_node_without_the_authority_sends_the_joiner_on() {
    let host = Host::start();
    let other = Node::start(&member(&host.credentials, "east"), Config::default());
    let refer = Invites {
        issuers: vec![host.address()],
        ..Invites::default()
    };
    other.transport.serve_joins(Arc::new(refer));
    let mut invite = host.invite();
    invite.addresses = vec![other.addr().to_string()];
    try_join(&invite).await.unwrap();

    let lost = Node::start(&member(&host.credentials, "west"), Config::default());
    let mut invite = host.invite();
    invite.addresses = vec![lost.addr().to_string()];
    assert_eq!(code(try_join(&invite).await), "not_ready");
    lost.transport.serve_joins(Arc::new(Invites::default()));
    assert_eq!(code(try_join(&invite).await), "not_an_issuer");
    // The next address of the invite is tried.
    invite.addresses.push(host.address());
    try_join(&invite).await.unwrap();
}

#[tokio::test]
async fn wrong_proofs_are_limited_and_then_refused_unread() {
    let host = Host::start();
    for _ in 0..limits::PROOF_FAILURES_MAX {
        assert_eq!(code(try_join(&host.draft()).await), "invite_unknown");
    }
    assert_eq!(code(try_join(&host.invite()).await), "too_many_failures");
}

/// A request recorded on one connection, or made up, proves nothing on another.
#[tokio::test]
async fn garbage_and_a_request_without_proofs_are_refused() {
    let host = Host::start();
    for bytes in [
        Vec::new(),
        vec![0xff; 100],
        vec![0; limits::JOIN_REQUEST_BYTES_MAX + 1],
    ] {
        let root = host.credentials.authority_certificate();
        let (_endpoint, connection) = raw_connection(None, root, &host.node, b"unisono-join/1")
            .await
            .unwrap();
        let (mut send, mut receive) = connection.open_bi().await.unwrap();
        _ = send.write_all(&bytes).await;
        _ = send.finish();
        let answer = receive.read_to_end(1000).await.unwrap();
        // The second variant of the answer, and the tenth of the refusals.
        assert_eq!(answer[..2], [1, 8]);
    }
    assert_eq!(host.node.transport.endpoint_counters().joins_refused, 3);
}

#[tokio::test]
async fn half_open_joins_are_bounded_and_end() {
    let host = Host::start();
    let root = host.credentials.authority_certificate();
    let mut idle = Vec::new();
    for _ in 0..limits::JOINS_MAX {
        idle.push(
            raw_connection(None, root, &host.node, b"unisono-join/1")
                .await
                .unwrap(),
        );
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(code(try_join(&host.invite()).await), "not_ready");
    for (_, connection) in &idle {
        connection.close(quinn::VarInt::from_u32(0), b"");
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    try_join(&host.invite()).await.unwrap();
}

#[test]
fn a_text_that_is_not_an_invite_says_what_it_is() {
    let authority = Fingerprint([3; 32]);
    let addresses = vec!["node-1.example:7400".to_owned(), "[::1]:7400".to_owned()];
    let invite = Invite::new(ClusterId([1; 16]), authority, addresses, 1_000).unwrap();
    let text = invite.to_text();
    assert!(text.starts_with("unisono1."));
    assert_eq!(text.parse(), Ok(invite.clone()));
    assert_eq!(
        format!("  {} \n", text.to_uppercase()).parse(),
        Ok(invite.clone())
    );
    assert_eq!(
        format!("{}\n  {}", &text[..40], &text[40..]).parse(),
        Ok(invite.clone())
    );

    for foreign in [
        "",
        "hello",
        "unisono",
        "unisono.abc",
        "https://example.org/unisono1.abc",
    ] {
        assert_eq!(
            foreign.parse::<Invite>(),
            Err(InviteError::NotAnInvite),
            "{foreign}"
        );
    }
    let newer = text.replacen("unisono1", "unisono2", 1);
    assert_eq!(
        newer.parse::<Invite>(),
        Err(InviteError::WrongVersion { found: 2 })
    );
    for position in "unisono1.".len()..text.len() {
        let mut typed: Vec<u8> = text.bytes().collect();
        typed[position] = if typed[position] == b'a' { b'b' } else { b'a' };
        let typed = String::from_utf8(typed).unwrap();
        assert_eq!(
            typed.parse::<Invite>(),
            Err(InviteError::Typo),
            "{position}"
        );
        assert_eq!(
            text[..position].parse::<Invite>(),
            Err(InviteError::Typo),
            "{position}"
        );
    }
    assert_eq!(invite.check_time(999), Ok(()));
    assert_eq!(
        invite.check_time(1_500),
        Err(InviteError::Expired { ago_ms: 500 })
    );
    assert!(!format!("{invite:?}").contains("secret"));
}

#[test]
fn an_invite_needs_addresses_that_can_be_dialled() {
    let make = |addresses: &[&str]| {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        Invite::new(ClusterId([1; 16]), Fingerprint([3; 32]), addresses, 1)
    };
    for bad in [
        &[][..],
        &["host"],
        &[":1"],
        &["host:port"],
        &["a b:1"],
        &["h:99999"],
        &["h:1"; 9],
    ] {
        assert!(
            matches!(make(bad), Err(InviteError::Address { .. })),
            "{bad:?}"
        );
    }
    assert!(make(&["h:1"; 8]).is_ok());
}

#[tokio::test]
async fn the_joiners_own_addresses_are_checked_first() {
    let host = Host::start();
    let mut wrong = joiner();
    wrong.addresses = vec!["nowhere".to_owned()];
    assert_eq!(
        join(&host.invite(), &wrong, now_ms())
            .await
            .unwrap_err()
            .code(),
        "bad_address"
    );
}
