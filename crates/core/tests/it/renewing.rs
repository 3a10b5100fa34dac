//! Tokens that were renewed, as replicas judge them: work goes on under one whose first time is over,
//! in any order of arrival; what ends a link ends it; and a node renews for whoever may have it.

use unisono_core::node::{Promise, Question, Work};
use unisono_core::orchestra::view::{RenewedView, TokenView, TrustView, View};
use unisono_model::capability::{LINK_VERSION, Link, Operations, Rights, Scope, Tier, Token};
use unisono_model::wire::{Blob, encode};
use unisono_model::{
    Action, AgentId, ChainId, Code, Digest, FenceTarget, Held, OrchestraId, Presence,
    RECORD_VERSION, RecordBody, RecordPlace, Rejection, Rotation, SignedRecord, Status,
};

use crate::capability::renewed::{RENEWER, by_root, delegation, renewal, renewed};
use crate::capability::{CLUSTER, HOUR_MS, NOW_MS, chain, key, links, name};
use crate::loopback::{CLUSTER as LOOP_CLUSTER, Loop, root_key};
use crate::successor::hand_over;
use crate::trust::{
    History, Shown, enrol, executive, folded, id_of, implementer, orchestra, present, root,
    rules_of,
};

fn story() -> Token {
    chain(links(), &[1, 2])
}

/// The implementer's token, renewed at half of its hour for another one.
fn longer() -> Token {
    renewed(story(), |_| {})
}

/// After the first hour, within the second one, as [`History::work`] counts.
const AFTER_MS: u64 = HOUR_MS + 1_000;

/// The same whatever comes in whichever order.
fn in_any_order(history: &History) -> Shown {
    let mut wanted = folded(&history.facts);
    wanted.voided.sort();
    let mut orders = vec![history.facts.iter().rev().cloned().collect::<Vec<_>>()];
    for index in 0..history.facts.len() {
        let mut late = history.facts.clone();
        let fact = late.remove(index);
        late.push(fact);
        orders.push(late);
    }
    for facts in orders {
        let mut shown = folded(&facts);
        shown.voided.sort();
        assert_eq!(
            (shown.valid, shown.void, shown.pending, &shown.voided),
            (wanted.valid, wanted.void, wanted.pending, &wanted.voided)
        );
    }
    wanted
}

fn with_renewal() -> History {
    let mut history = History::with_rights();
    history.add(root(), 1, NOW_MS + 1_600, None, Action::Guard);
    history.work(implementer(), 2, 0, Some(id_of(2)));
    let bytes = longer().encode();
    history.add(
        implementer(),
        2,
        NOW_MS + HOUR_MS / 2,
        None,
        present(&bytes),
    );
    history
}

#[test]
fn work_goes_on_under_a_renewed_token_and_ends_with_it() {
    let mut history = with_renewal();
    history.work(implementer(), 2, AFTER_MS, Some(longer().id()));
    history.work(implementer(), 3, AFTER_MS + 1, Some(longer().id()));
    let shown = in_any_order(&history);
    assert_eq!((shown.void, shown.pending), (0, 0));
    // Under the first one no longer, nor after the renewed one's end, nor before it begins.
    history.work(implementer(), 2, AFTER_MS + 2, Some(id_of(2)));
    history.work(implementer(), 2, AFTER_MS + HOUR_MS, Some(longer().id()));
    history.work(implementer(), 3, 0, Some(longer().id()));
    assert_eq!(rules_of(&in_any_order(&history)), ["token_time"; 3]);
}

#[test]
fn a_renewed_token_is_worth_nothing_to_anybody_else() {
    let mut history = with_renewal();
    history.work(executive(), 1, AFTER_MS, Some(longer().id()));
    let bytes = longer().encode();
    history.add(executive(), 1, NOW_MS + AFTER_MS, None, present(&bytes));
    assert_eq!(rules_of(&in_any_order(&history)), ["token_binding"; 2]);
}

/// The fence was made on the other side of a cut, while here the token was renewed.
#[test]
fn a_fence_of_any_link_ends_what_was_renewed_whichever_came_first() {
    let first = chain(links()[..1].to_vec(), &[1]).id();
    let (renewal, by) = (longer().id(), by_root().id());
    let targets = [
        FenceTarget::Link(id_of(2)),
        FenceTarget::Link(first),
        FenceTarget::Link(renewal),
        FenceTarget::Link(by),
        FenceTarget::Key(name(&key(RENEWER))),
        FenceTarget::Key(implementer()),
    ];
    for target in targets {
        let mut history = with_renewal();
        history.work(implementer(), 2, AFTER_MS, Some(longer().id()));
        history.work(implementer(), 2, AFTER_MS + 1, Some(longer().id()));
        // Up to the first of the two.
        let keep = [(implementer(), 2, 5)];
        history.fence(root(), HOUR_MS / 4, target, &keep);
        let shown = in_any_order(&history);
        assert_eq!(rules_of(&shown), ["token_fenced"], "{target:?}");
    }
}

#[test]
fn a_renewal_without_leave_is_laid_down_nowhere() {
    let mut alone = delegation(9);
    alone.issuer = name(&key(9));
    let forged = chain(vec![alone], &[9]);
    let mut beyond = renewal(&story(), &by_root());
    beyond.from_ms = NOW_MS + 24 * HOUR_MS - HOUR_MS / 2;
    beyond.expires_ms = NOW_MS + 24 * HOUR_MS + 1;
    let mut wider = renewal(&story(), &by_root());
    wider.may = Some(Rights::all());
    let unfounded = renewal(&story(), &forged);
    for bad in [beyond, wider, unfounded] {
        let mut token = story();
        token.links.push(bad.sign(&key(RENEWER)));
        let mut history = History::with_rights();
        let bytes = token.encode();
        history.add(
            implementer(),
            2,
            NOW_MS + HOUR_MS / 2,
            None,
            present(&bytes),
        );
        history.work(implementer(), 2, AFTER_MS, Some(token.id()));
        let shown = in_any_order(&history);
        assert_eq!(rules_of(&shown), ["token_invalid"]);
        assert_eq!(shown.pending, 1);
    }
}

/// Whoever has a key that its agent has given up could let somebody renew, dated back.
#[test]
fn what_a_former_key_has_delegated_renews_no_more() {
    let mut links = links();
    links[0]
        .grant
        .as_mut()
        .expect("a grant")
        .tiers
        .push(Tier::renewer());
    let by_boss = chain(vec![links[0].clone(), delegation(2)], &[1, 2]);
    let plain = chain(links, &[1, 2]);
    let mut token = plain.clone();
    token
        .links
        .push(renewal(&plain, &by_boss).sign(&key(RENEWER)));
    let mut history = History::with_rights();
    let next = Rotation::sign(&key(30), CLUSTER, orchestra(), executive(), "boss");
    let at_ms = NOW_MS + HOUR_MS / 2;
    history.add(executive(), 1, at_ms, None, Action::Rotate(next.into()));
    history.add(implementer(), 2, at_ms - 1, None, present(&token.encode()));
    assert_eq!(in_any_order(&history).void, 0, "below the rotation");
    history.add(implementer(), 2, at_ms + 1, None, present(&token.encode()));
    assert_eq!(rules_of(&in_any_order(&history)), ["key_rotated"]);
}

// ---- a node ----------------------------------------------------------------------------------------

const LIFE_MS: u64 = 60_000;
const ACTIONS_MAX: u16 = 5;

fn presence() -> Action {
    Action::Presence(Presence {
        status: Status::Active,
        intent: "works".into(),
        focus: String::new(),
    })
}

fn main() -> OrchestraId {
    OrchestraId::of(LOOP_CLUSTER, "main")
}

fn now_ms(world: &Loop) -> u64 {
    world.now_ns / 1_000_000
}

/// A root's token for an agent, for a minute, that may be renewed for ten; or for a node, that lets it
/// renew.
fn given(world: &Loop, to: AgentId, tier: Tier) -> Token {
    let begins_ms = now_ms(world);
    let may = Rights {
        operations: Operations::READ.and(Operations::COORDINATE),
        write: Scope::Project("main".into()),
        actions_per_minute_max: ACTIONS_MAX,
        ..Rights::none()
    };
    let link = Link {
        version: LINK_VERSION,
        cluster: LOOP_CLUSTER,
        issuer: name(&root_key()),
        audience: to,
        parent: Digest::default(),
        nonce: [1; 16],
        epoch: 0,
        not_before_ms: begins_ms,
        expires_ms: begins_ms + LIFE_MS,
        renew_until_ms: begins_ms + 10 * LIFE_MS,
        may,
        tier,
        grant: None,
        depth_left: 0,
    };
    let link = if link.tier.is_renewer() {
        Link {
            expires_ms: begins_ms + 100 * LIFE_MS,
            renew_until_ms: 0,
            may: Rights::none(),
            ..link
        }
    } else {
        link
    };
    Token {
        links: vec![link.sign(&root_key())],
    }
}

/// The root guards the orchestra: from then on every action needs a token.
fn guard(world: &mut Loop) {
    let (mut seq, mut prev) = (0, Digest::default());
    for action in [enrol("root", None), Action::Guard] {
        seq += 1;
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: now_ms(world),
            iteration: 1,
            key: None,
            predecessors: Vec::new(),
            token: None,
            action,
        };
        let place = RecordPlace {
            cluster: LOOP_CLUSTER,
            orchestra: main(),
            chain: ChainId {
                agent: name(&root_key()),
                log: world.nodes[0].log(),
            },
            seq,
            prev,
        };
        let record = SignedRecord::sign(&root_key(), &place, &body);
        prev = place.digest(&record.body.0);
        let work = Work::Record(encode(&record));
        let ticket = world.submit(0, "main", work, Promise::default());
        world.run_ms(5);
        world.reply(ticket).expect("an answer").expect("recorded");
    }
}

fn trust(world: &mut Loop, at: usize) -> TrustView {
    match world.view(at, Question::Trust) {
        Ok(View::Trust(trust)) => trust,
        other => panic!("no trust: {other:?}"),
    }
}

fn ask(world: &mut Loop, at: usize, token: &Token) -> Result<RenewedView, Rejection> {
    let (token, may) = (token.encode(), None);
    match world.view(at, Question::Renewed { token, may })? {
        View::Renewed(renewed) => Ok(renewed),
        other => panic!("no token: {other:?}"),
    }
}

fn entrusted() -> (Loop, Token) {
    let mut world = Loop::new(2);
    world.open(0);
    let node = AgentId(world.nodes[0].id().0);
    let delegation = given(&world, node, Tier::renewer());
    let taken = world.nodes[0].entrust(delegation.encode());
    taken.expect("a delegation for this node");
    assert!(world.nodes[1].entrust(delegation.encode()).is_err());
    let tier = Some(Tier::Implementation);
    world.act(0, "kim", enrol("kim", tier)).expect("enrolled");
    let kim = world.nodes[0].held_agent(main(), "kim");
    let token = given(&world, kim, Tier::Implementation);
    (world, token)
}

#[test]
fn a_node_renews_what_may_be_renewed_and_says_why_it_does_not() {
    let (mut world, token) = entrusted();
    let elsewhere = ask(&mut world, 1, &token).expect_err("no delegation");
    assert_eq!(elsewhere.code, Code::NotRenewable);
    assert!(elsewhere.hint.contains("renewer.token"), "{elsewhere}");
    world.run_ms(20_000);
    let first = ask(&mut world, 0, &token).expect("renewed");
    assert!(first.expires_ms > now_ms(&world) + LIFE_MS / 2);
    assert!(first.expires_ms <= now_ms(&world) + LIFE_MS);
    // The renewed one is renewed as well, and is no longer than it.
    world.run_ms(20_000);
    let (renewed, _) = Token::decode(&first.token).expect("a token");
    let second = ask(&mut world, 0, &renewed).expect("renewed again");
    assert!(second.expires_ms > first.expires_ms);
    assert_eq!(second.token.len(), first.token.len());
    // Whoever comes after its end gets a new one from its issuer.
    world.run_ms(2 * LIFE_MS);
    for over in [&token, &renewed] {
        let late = ask(&mut world, 0, over).expect_err("over");
        assert_eq!(late.code, Code::TokenTime);
        assert!(!late.hint.is_empty());
    }
}

/// Whoever has its token renewed over and over had a share of each minute for each, and filled the
/// memory of every node with them.
#[test]
fn renewing_brings_no_second_share_of_a_minute_and_no_flood() {
    let (mut world, token) = entrusted();
    let present = |token: &Token| Action::Present(Blob(token.encode()));
    guard(&mut world);
    world.act(0, "kim", present(&token)).expect("laid down");
    let to_next_minute = 60_000 - now_ms(&world) % 60_000;
    world.run_ms(to_next_minute.min(30_000));
    let first = ask(&mut world, 0, &token).expect("renewed");
    let (first, _) = Token::decode(&first.token).expect("a token");
    world.act(0, "kim", present(&first)).expect("laid down");
    for _ in 0..ACTIONS_MAX {
        world.act(0, "kim", presence()).expect("within its share");
    }
    let refused = world.act(0, "kim", presence()).expect_err("one too many");
    assert_eq!(refused.code, Code::TokenRate, "under either of its tokens");
    for again in [&token, &first] {
        let refused = ask(&mut world, 0, again).expect_err("a moment ago");
        assert_eq!(refused.code, Code::NotRenewable);
        assert!(refused.retry_after_ms.is_some());
    }
    world.run_ms(12_000);
    ask(&mut world, 0, &first).expect("an eighth of its life later");
}

#[test]
fn a_token_is_renewed_until_its_last_time_and_no_longer() {
    let (mut world, token) = entrusted();
    let last_ms = now_ms(&world) + 10 * LIFE_MS;
    let mut latest = token;
    let refused = loop {
        // Asked at half of a life, the last one would be over just as it is asked for again.
        world.run_ms(LIFE_MS / 4);
        match ask(&mut world, 0, &latest) {
            Ok(renewed) => {
                assert!(renewed.expires_ms <= last_ms);
                latest = Token::decode(&renewed.token).expect("a token").0;
            }
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code, Code::NotRenewable);
    assert!(now_ms(&world) > last_ms - LIFE_MS, "{refused}");
    assert!(refused.detail.contains(&last_ms.to_string()), "{refused}");
}

#[test]
fn agents_whose_keys_a_node_holds_have_their_tokens_renewed_without_asking() {
    let (mut world, _) = entrusted();
    let kim = world.nodes[0].held_agent(main(), "kim");
    let token = given(&world, kim, Tier::Implementation);
    let last_ms = now_ms(&world) + 10 * LIFE_MS;
    let present = Action::Present(Blob(token.encode()));
    world.act(0, "kim", present).expect("laid down");
    world.run_ms(5 * LIFE_MS);
    for at in [0, 1] {
        let tokens = trust(&mut world, at).tokens;
        let newest = tokens.iter().map(|token| token.expires_ms).max();
        let now_ms = now_ms(&world);
        assert!(newest.is_some_and(|end| end > now_ms && end <= last_ms));
        // At half of a life that is dated back by ten seconds, looked at every five.
        assert!(
            (10..=16).contains(&tokens.len()),
            "{} in five lives",
            tokens.len()
        );
        let renewed = tokens.iter().filter(|one| one.renewed_by.is_some());
        assert_eq!(renewed.count() + 1, tokens.len());
    }
    // And not beyond.
    world.run_ms(6 * LIFE_MS);
    let tokens = trust(&mut world, 0).tokens;
    assert_eq!(
        tokens.iter().map(|token| token.expires_ms).max(),
        Some(last_ms)
    );
}

/// The token is for the key that the agent had before, and for those that took its place.
#[test]
fn an_agent_that_another_node_held_has_its_token_renewed_by_the_one_that_holds_its_next_key() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    let delegation = given(&world, AgentId(world.nodes[1].id().0), Tier::renewer());
    let taken = world.nodes[1].entrust(delegation.encode());
    taken.expect("a delegation for this node");
    let tier = Some(Tier::Implementation);
    world.act(0, "kim", enrol("kim", tier)).expect("enrolled");
    let kim = world.nodes[0].held_agent(main(), "kim");
    let token = given(&world, kim, Tier::Implementation);
    let present = Action::Present(Blob(token.encode()));
    world.act(0, "kim", present).expect("laid down");
    world.run_ms(LIFE_MS);
    let by_nobody = |one: &TokenView| one.renewed_by.is_none();
    assert!(trust(&mut world, 0).tokens.iter().all(by_nobody));
    let token = given(&world, kim, Tier::Implementation);
    let present = Action::Present(Blob(token.encode()));
    world.act(0, "kim", present).expect("laid down");
    hand_over(&mut world, "kim");
    world.run_ms(2 * LIFE_MS);
    for at in [0, 1] {
        let tokens = trust(&mut world, at).tokens;
        assert!(!tokens.iter().all(by_nobody), "{tokens:?}");
    }
}
