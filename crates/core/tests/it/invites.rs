//! Invites that every holder of the authority's key honours, and what comes of one that has let in two.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use unisono_core::node::{InviteSaid, Promise, Question, Work};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::limits::{INVITE_LATE_MS_MAX, INVITE_LIFE_MS_MAX};
use unisono_core::orchestra::members::Members;
use unisono_core::orchestra::view::{InviteView, MemberView, View};
use unisono_core::orchestra::{FoldRules, Folds};
use unisono_model::wire::{Blob, Signature};
use unisono_model::{
    Action, Admit, AgentKind, AuthorityId, Code, Digest, Enrol, Incarnation, InviteKey, InviteUse,
    InviteWord, Leave, LogId, NodeId, OrchestraId, Rejection, Succession, SuccessionWord,
};

use crate::facts::{fact, settled, shuffled};
use crate::loopback::{CLUSTER, Loop, authority_key, root_key};

const INVITE: InviteKey = InviteKey([5; 32]);
/// Later than anything in these stories (ms).
const LATER_MS: u64 = u64::MAX / 2;

fn id_of(key: &SigningKey) -> AuthorityId {
    AuthorityId(key.verifying_key().to_bytes())
}

fn made(key: &SigningKey, invite: InviteKey, expires_ms: u64) -> InviteWord {
    InviteWord::sign(key, CLUSTER, invite, expires_ms, NodeId([1; 32]))
}

fn used(key: &SigningKey, invite: InviteKey, node: NodeId, issuer: NodeId) -> InviteUse {
    InviteUse::sign(key, CLUSTER, invite, node, issuer)
}

mod folded;

fn say(world: &mut Loop, index: usize, said: InviteSaid) -> Result<(), Rejection> {
    let ticket = world.submit(index, "cluster", Work::OfInvite(said), Promise::default());
    world.run_ms(50);
    world.reply(ticket).expect("an answer").map(drop)
}

fn shown(world: &mut Loop, index: usize) -> InviteView {
    match world.view(index, Question::Invite(INVITE)) {
        Ok(View::Invite(invite)) => invite,
        other => panic!("no invite: {other:?}"),
    }
}

fn member(world: &mut Loop, index: usize, of: usize) -> MemberView {
    let of = world.nodes[of].id();
    match world.view(index, Question::Status) {
        Ok(View::Status(status)) => status
            .members
            .into_iter()
            .find(|member| member.node == of)
            .expect("a member"),
        other => panic!("no status: {other:?}"),
    }
}

#[test]
fn what_an_issuer_says_of_an_invite_every_node_knows_and_nobody_else_says_it() {
    let mut world = Loop::new(3);
    world.open(0);
    let key = authority_key();
    let ids = world.ids();
    let stranger = SigningKey::from_bytes(&[0x77; 32]);
    let forged = say(
        &mut world,
        2,
        InviteSaid::Made(made(&stranger, INVITE, LATER_MS)),
    );
    assert_eq!(forged.expect_err("refused").code, Code::NotAllowed);
    let lent = InviteWord {
        expires_ms: LATER_MS - 1,
        ..made(&key, INVITE, LATER_MS)
    };
    let forged = say(&mut world, 2, InviteSaid::Made(lent));
    assert_eq!(forged.expect_err("refused").code, Code::BadSignature);

    say(
        &mut world,
        0,
        InviteSaid::Made(made(&key, INVITE, LATER_MS)),
    )
    .expect("said");
    world.run_ms(10_000);
    for index in 0..3 {
        let invite = shown(&mut world, index);
        assert!(
            invite.expires_ms.is_some_and(|end| end < LATER_MS),
            "{invite:?}"
        );
        assert_eq!(invite.used_by, None);
    }
    say(
        &mut world,
        1,
        InviteSaid::Used(used(&key, INVITE, ids[2], ids[1])),
    )
    .expect("said");
    world.run_ms(10_000);
    for index in 0..3 {
        assert_eq!(shown(&mut world, index).used_by, Some(ids[2]));
    }
    let other = used(&key, INVITE, ids[1], ids[0]);
    let refused = say(&mut world, 0, InviteSaid::Used(other)).expect_err("refused");
    assert_eq!(refused.code, Code::NotAllowed, "it was used");
    world.save(1);
    world.restart(1);
    world.run_ms(2_000);
    assert_eq!(
        shown(&mut world, 1).used_by,
        Some(ids[2]),
        "after a start, too"
    );
}

#[test]
fn of_two_that_came_by_one_invite_one_leaves_with_all_it_wrote_handed_over() {
    let mut world = Loop::new(4);
    world.open(0);
    world.run_ms(2_000);
    let key = authority_key();
    let ids = world.ids();
    for (index, agent) in ["ada", "lin", "bob", "cyd"].iter().enumerate() {
        world.enrol(index, agent);
    }
    world.run_ms(10_000);
    let sides = [[0, 2], [1, 3]];
    let across = sides[0]
        .iter()
        .flat_map(|one| sides[1].map(|other| (*one, other)));
    world.cut = across
        .flat_map(|(one, other)| [(one, other), (other, one)])
        .collect();
    let uses = [
        used(&key, INVITE, ids[2], ids[0]),
        used(&key, INVITE, ids[3], ids[1]),
    ];
    for (index, word) in uses.iter().enumerate() {
        say(&mut world, index, InviteSaid::Used(*word)).expect("said");
    }
    let (stays, goes) = if uses[0].rank(CLUSTER) < uses[1].rank(CLUSTER) {
        (2, 3)
    } else {
        (3, 2)
    };
    world.run_ms(5_000);
    for index in [2, 3] {
        let agent = ["bob", "cyd"][index - 2];
        world.act(index, agent, task(agent)).expect("acknowledged");
    }
    world.cut.clear();
    world.run_ms(20_000);
    for index in 0..4 {
        assert!(member(&mut world, index, goes).outdone, "at {index}");
        assert!(!member(&mut world, index, stays).outdone, "at {index}");
        assert_eq!(shown(&mut world, index).used_by, Some(ids[stays]));
    }
    let agent = ["bob", "cyd"][goes - 2];
    let refused = world.act(goes, agent, task("more")).expect_err("refused");
    assert_eq!(refused.code, Code::NotMember);
    assert!(
        refused.detail.contains("has let in another node"),
        "{}",
        refused.detail
    );
    world
        .act(stays, ["bob", "cyd"][stays - 2], task("on"))
        .expect("it goes on");

    let promise = Promise {
        deadline_ms: 20_000,
        ..Promise::default()
    };
    let ticket = world.submit(goes, "cluster", Work::Leave { hand_to: 0 }, promise);
    world.run_ms(20_000);
    world.reply(ticket).expect("in time").expect("it has left");
    assert_eq!(
        world.excluded,
        [],
        "until others have its last word it is heard"
    );
    world.run_ms(40_000);
    let others: Vec<usize> = (0..4).filter(|index| *index != goes).collect();
    let mut excluded = world.excluded.clone();
    excluded.sort_unstable();
    let all: Vec<_> = others.iter().map(|index| (*index, ids[goes])).collect();
    assert_eq!(excluded, all);
    for index in others {
        for name in ["bob", "cyd", "on"] {
            let task = world.view(index, Question::Task(name.into()));
            assert!(matches!(task, Ok(View::Task(_))), "{name} at {index}");
        }
    }
    // Its next life stays out as well.
    world.restart(goes);
    world.run_ms(20_000);
    assert!(!member(&mut world, stays, goes).alive || member(&mut world, stays, goes).left);
    let refused = world.act(goes, agent, task("more")).expect_err("refused");
    assert_eq!(refused.code, Code::NotMember);
}

fn task(name: &str) -> Action {
    Action::Task(unisono_model::TaskChange {
        task: name.into(),
        fields: vec![unisono_model::FieldChange {
            value: unisono_model::FieldValue::Created("feature".into()),
            replaces: Vec::new(),
        }],
        evidence: None,
    })
}
