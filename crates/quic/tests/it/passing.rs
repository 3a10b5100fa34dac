//! An invite is honoured by any member: one that cannot sign passes the join on to one that can.

use std::sync::Arc;
use std::time::Duration;

use unisono_quic::{
    Class, Config,
    identity::Credentials,
    join::{Invite, join},
};

use crate::joining::{Host, Invites, code, joiner, try_join};
use crate::world::{Node, eventually, member, now_ms};

/// A member that cannot sign, and knows no address of one that can; connected to the host.
async fn connected(host: &mut Host, place: &str) -> Node {
    let node = Node::start(&member(&host.credentials, place), Config::default());
    node.transport.serve_joins(Arc::new(Invites::default()));
    node.knows(&host.node);
    node.send(&host.node, Class::Push, b"here I am");
    assert_eq!(host.node.frame(Class::Push, b"here I am").await, node.id());
    node
}

/// The invite of a host, at the door of another node alone.
fn at(invite: &Invite, node: &Node) -> Invite {
    let mut invite = invite.clone();
    invite.addresses = vec![node.addr().to_string()];
    invite
}

#[tokio::test]
async fn a_member_that_cannot_sign_passes_a_join_on_to_one_that_can() {
    let mut host = Host::start();
    let other = connected(&mut host, "east").await;
    let invite = at(&host.invite(), &other);
    let joined = try_join(&invite).await.expect("let in");
    assert_eq!(joined.members, b"the members");
    assert!(joined.credentials.authority().is_none());
    // It speaks with the one as with the other.
    let newcomer = Node::start(&joined.credentials, Config::default());
    for known in [&mut host.node] {
        newcomer.knows(known);
        newcomer.send(known, Class::Push, b"me too");
        assert_eq!(known.frame(Class::Push, b"me too").await, newcomer.id());
    }
    assert_eq!(host.node.transport.endpoint_counters().joins_admitted, 1);
}

#[tokio::test]
async fn an_invite_that_is_passed_on_counts_once_whichever_members_it_is_shown_to() {
    let mut host = Host::start();
    let east = connected(&mut host, "east").await;
    let west = connected(&mut host, "west").await;
    let invite = host.invite();
    let (one, two) = (at(&invite, &east), at(&invite, &west));
    let (first, second) = tokio::join!(try_join(&one), try_join(&two));
    let (let_in, refused): (Vec<_>, Vec<_>) = [first, second].into_iter().partition(Result::is_ok);
    assert_eq!((let_in.len(), refused.len()), (1, 1));
    for failure in refused {
        assert_eq!(code(failure), "invite_used");
    }
    // The same node comes again, at another door: its first answer may have been lost.
    let invite = host.invite();
    let who = joiner();
    let node = |credentials: Credentials| credentials.node();
    let first = join(&at(&invite, &east), &who, now_ms())
        .await
        .expect("let in");
    let again = join(&at(&invite, &west), &who, now_ms())
        .await
        .expect("again");
    assert_eq!(node(first.credentials), node(again.credentials));
    assert_eq!(code(try_join(&at(&invite, &west)).await), "invite_used");
}

#[tokio::test]
async fn what_the_signer_refuses_is_told_as_it_is_and_where_none_is_reached_that_is_told() {
    let mut host = Host::start();
    let other = connected(&mut host, "east").await;
    assert_eq!(
        code(try_join(&at(&host.draft(), &other)).await),
        "invite_unknown"
    );
    host.node.transport.close().await;
    eventually("the loss", || other.transport.connected().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let refused = try_join(&at(&host.invite(), &other))
        .await
        .expect_err("nobody signs");
    assert_eq!(refused.code(), "not_an_issuer");
    assert!(
        refused.to_string().contains("reaches no node that can"),
        "{refused}"
    );
}
