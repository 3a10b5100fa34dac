//! Views of the cluster and what they do to claims. The stories in the middle are those in which
//! the simulator, or reasoning about it, found confirmed claims lost while removals were votes
//! against single members.

use proptest::prelude::*;
use unisono_core::orchestra::FoldRules;
use unisono_core::orchestra::claims::{Claims, Rules, TopicState};
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::members::{Members, leaves_out};
use unisono_core::replication::{Cursor, Logs};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, Admit, ClusterId, Digest, Incarnation, Leave, LogId, NodeId, Stamp, ViewVote,
};

use crate::facts;

const LEASE_MS_MAX: u64 = 10_000;

fn life(node: u8, nonce: u64) -> LogId {
    LogId {
        node: NodeId([node; 32]),
        incarnation: Incarnation {
            started_ms: nonce,
            nonce,
        },
    }
}

fn fact(log: LogId, agent: u8, at_ms: u64, action: Action) -> Fact {
    let record = Digest::of("test", &[&log.node.0, &at_ms.to_le_bytes(), &[agent]]);
    facts::fact(record, (log, 1), agent, at_ms, action)
}

fn admit(by: LogId, whom: LogId, at_ms: u64) -> Fact {
    let admit = Admit {
        node: whom.node,
        incarnation: whom.incarnation,
        region: "r".into(),
        name: "n".into(),
        address: String::new(),
    };
    fact(by, by.node.0[0], at_ms, Action::Admit(admit))
}

fn view(base: Digest, members: &[LogId], removed: &[LogId]) -> ViewVote {
    ViewVote {
        base,
        members: members.iter().map(|life| life.node).collect(),
        removed: removed.to_vec(),
    }
}

fn vote(by: LogId, at_ms: u64, vote: &ViewVote) -> Fact {
    fact(by, by.node.0[0], at_ms, Action::VoteView(vote.clone()))
}

/// The first node has founded the cluster.
fn rules() -> FoldRules {
    FoldRules {
        cluster: ClusterId::default(),
        root: None,
        recovery: None,
        authority: None,
        founder: life(1, 1).node,
        lease_ms_max: LEASE_MS_MAX,
        sabotage: Sabotage::default(),
    }
}

fn members(facts: &[Fact]) -> Members {
    let mut members = Members::default();
    for fact in facts {
        members.insert(fact, &rules());
    }
    members
}

/// Five members, all in the first view, installed at 2,005 ms.
fn five() -> (Vec<Fact>, Vec<LogId>, ViewVote) {
    let all: Vec<LogId> = (1..=5).map(|node| life(node, 1)).collect();
    let mut facts = Vec::new();
    for (index, member) in all.iter().enumerate() {
        facts.push(admit(all[0], *member, 1_000 + index as u64));
    }
    let first = view(ViewVote::GENESIS, &all, &[]);
    for (index, member) in all.iter().enumerate() {
        facts.push(vote(*member, 2_001 + index as u64, &first));
    }
    (facts, all, first)
}

fn topic(claims: &Claims, members: &Members, at_ms: u64) -> TopicState {
    let rules = Rules {
        standing: members,
        lease_ms_max: LEASE_MS_MAX,
        expiry_ignored: false,
    };
    claims.read("t", Stamp::from_ms(at_ms), &rules)
}

fn claim(log: LogId, agent: u8, at_ms: u64) -> Fact {
    let action = Action::Claim {
        topic: "t".into(),
        lease_ms: LEASE_MS_MAX,
    };
    fact(log, agent, at_ms, action)
}

#[test]
fn a_view_needs_all_whom_it_lists_and_most_of_the_one_before() {
    let (mut facts, all, first) = five();
    let second = view(first.id(), &all[..3], &all[3..]);
    facts.push(vote(all[0], 5_000, &second));
    facts.push(vote(all[1], 5_001, &second));
    assert_eq!(members(&facts).views().installed().len(), 1);
    facts.push(vote(all[2], 5_002, &second));
    let now = members(&facts);
    assert_eq!(now.views().installed().len(), 2);
    let removal = now
        .removal_of(&all[4].node, all[4].incarnation)
        .expect("left out");
    assert_eq!(removal.cut, Stamp::from_ms(5_002));
    assert!(now.removal_of(&all[2].node, all[2].incarnation).is_none());
    // Two of three would be most of the second, but were not enough for the first.
    let (mut facts, all, first) = five();
    let few = view(first.id(), &all[..2], &all[2..]);
    facts.push(vote(all[0], 5_000, &few));
    facts.push(vote(all[1], 5_001, &few));
    assert_eq!(members(&facts).views().installed().len(), 1);
}

#[test]
fn the_founder_alone_cannot_be_outvoted_by_those_it_admitted() {
    let all: Vec<LogId> = (1..=4).map(|node| life(node, 1)).collect();
    let mut facts: Vec<Fact> = (0..4)
        .map(|n| admit(all[0], all[n], 1_000 + n as u64))
        .collect();
    let coup = view(ViewVote::GENESIS, &all[1..], &all[..1]);
    for member in &all[1..] {
        facts.push(vote(*member, 2_000, &coup));
    }
    assert!(members(&facts).views().installed().is_empty());
}

/// Seed 619: the member whose clock was an hour behind began a new life, and its admission stood
/// below all others. It was taken for the founder, the view that had been installed was none any
/// more, and a claim that had been confirmed beyond its fence lost to one from before it.
#[test]
fn an_admission_from_long_ago_undoes_no_view() {
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    facts.extend(all[..4].iter().map(|member| vote(*member, 5_000, &four)));
    let before = members(&facts).views().installed().to_vec();
    assert_eq!(before.len(), 2);
    facts.push(admit(life(5, 2), life(5, 2), 10));
    assert_eq!(members(&facts).views().installed(), before);
}

/// Five leaves out 4 and 5 by the votes of 1, 2 and 3; nobody of these knows that 4 had voted
/// before to leave out 5 alone, so that this view was installed too.
#[test]
fn the_late_vote_of_somebody_voted_out_adds_a_view_and_moves_none() {
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    for (index, member) in all[..3].iter().enumerate() {
        facts.push(vote(*member, 5_000 + index as u64, &four));
    }
    let three = view(first.id(), &all[..3], &all[3..]);
    for (index, member) in all[..3].iter().enumerate() {
        facts.push(vote(*member, 9_000 + index as u64, &three));
    }
    let mut claims = Claims::default();
    claims.insert(&claim(all[0], 7, 19_100));
    let before = members(&facts);
    let held = topic(&claims, &before, 19_200).holding.expect("held");
    facts.push(vote(all[3], 5_500, &four));
    // What the late view lets in from before the later fence ends at that fence.
    claims.insert(&claim(all[1], 8, 18_000));
    let after = members(&facts);
    assert_eq!(after.views().installed().len(), 3);
    let cut = |members: &Members, of: usize| {
        members
            .removal_of(&all[of].node, all[of].incarnation)
            .map(|removal| removal.cut.as_ms())
    };
    assert_eq!(
        (cut(&before, 3), cut(&before, 4)),
        (Some(9_002), Some(9_002))
    );
    assert_eq!((cut(&after, 3), cut(&after, 4)), (Some(9_002), Some(5_500)));
    assert_eq!(topic(&claims, &after, 19_200).holding, Some(held));
    assert!(
        before
            .footing()
            .parts_from(after.footing())
            .expect("other views")
            <= Stamp::from_ms(5_500)
    );
}

/// Seed 11: the side that goes on had a claim that lost to one of the silent side, and renewed it
/// for ever. Its release came late and made the whole chain of renewals good, under a claim that
/// was confirmed meanwhile.
#[test]
fn a_release_from_the_silent_side_revives_nothing_beyond_the_fence() {
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    for member in &all[..4] {
        facts.push(vote(*member, 5_000, &four));
    }
    let members = members(&facts);
    let mut claims = Claims::default();
    let theirs = claim(all[4], 5, 3_000);
    let ours = claim(all[0], 6, 3_500);
    claims.insert(&theirs);
    claims.insert(&ours);
    for at_ms in [8_000, 14_000, 20_000] {
        let renew = Action::Renew {
            topic: "t".into(),
            claim: ours.place.record,
            lease_ms: LEASE_MS_MAX,
        };
        claims.insert(&fact(all[0], 6, at_ms, renew));
    }
    let next = claim(all[1], 7, 15_500);
    claims.insert(&next);
    let holder = |claims: &Claims| topic(claims, &members, 16_000).holding.expect("held").claim;
    assert_eq!(holder(&claims), next.place);
    let release = Action::Release {
        topic: "t".into(),
        claim: theirs.place.record,
    };
    claims.insert(&fact(all[4], 5, 3_001, release));
    assert_eq!(holder(&claims), next.place);
    assert_eq!(
        topic(&claims, &members, 14_000)
            .holding
            .expect("held")
            .claim,
        ours.place
    );
}

#[test]
fn whoever_the_silent_side_admitted_is_late_and_whoever_the_other_side_admits_is_not() {
    let (mut facts, all, first) = five();
    let theirs = life(6, 1);
    let theirs_in_turn = life(7, 1);
    facts.push(admit(all[4], theirs, 3_000));
    facts.push(admit(theirs, theirs_in_turn, 3_100));
    // 5 comes back by its own word, and then properly.
    facts.push(admit(life(5, 2), life(5, 2), 4_000));
    let four = view(first.id(), &all[..4], &all[4..]);
    for (index, member) in all[..4].iter().enumerate() {
        facts.push(vote(*member, 5_000 + index as u64, &four));
    }
    // 1 has voted already, and the last vote is still to come.
    let ours = life(8, 1);
    facts.push(admit(all[0], ours, 5_001));
    facts.push(admit(all[1], life(5, 3), 6_000));
    let members = members(&facts);
    let counts = |life: LogId| members.is_member(&life.node, life.incarnation);
    for late in [theirs, theirs_in_turn, all[4], life(5, 2)] {
        assert!(!counts(late), "{late:?}");
    }
    for good in [all[0], ours, life(5, 3)] {
        assert!(counts(good), "{good:?}");
    }
    let terms = members.terms(&all[4].node);
    assert_eq!(terms.len(), 1, "back before its removal took effect");
    assert_eq!(terms[0].until, None);
}

/// Seeds 116 and 664: 5 came back by its own word while a view without it was undecided, and was
/// voted into the next one, under which its vote left out somebody else.
#[test]
fn whoever_was_voted_out_counts_again_only_when_admitted_from_inside() {
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    // The votes of 3 and 4 are still on their way.
    facts.push(vote(all[0], 5_000, &four));
    facts.push(vote(all[1], 5_001, &four));
    let back = life(5, 2);
    facts.push(admit(back, back, 6_000));
    let stays = |facts: &[Fact]| {
        let members = members(facts);
        let (_, cast) = members
            .views()
            .votes()
            .find(|(vote, _)| vote.id() == four.id())
            .expect("two votes");
        !leaves_out(&members.staying(&four, cast), &back)
    };
    assert!(!stays(&facts), "by its own word");
    facts.push(admit(all[2], back, 6_001));
    assert!(!stays(&facts), "by somebody who may not have voted yet");
    facts.push(admit(all[0], back, 4_999));
    assert!(!stays(&facts), "by somebody who voted later");
    facts.push(admit(all[1], back, 6_002));
    assert!(stays(&facts));
}

/// Who returned was admitted by all whom it knew, and those who return together by one another: to
/// find out who stays by trying all paths took longer than the universe has.
#[test]
fn many_who_admitted_each_other_are_left_out_at_once() {
    let all: Vec<LogId> = (1..=40).map(|node| life(node, 1)).collect();
    let mut facts: Vec<Fact> = Vec::new();
    for by in &all {
        facts.extend(all.iter().map(|whom| admit(*by, *whom, 1_000)));
    }
    let first = view(ViewVote::GENESIS, &all, &[]);
    let second = view(first.id(), &all[..21], &all[21..]);
    facts.extend(all.iter().map(|member| vote(*member, 2_000, &first)));
    facts.extend(all[..21].iter().map(|member| vote(*member, 3_000, &second)));
    let mut members = Members::default();
    for fact in &facts {
        members.insert(fact, &rules());
    }
    let left_out = |life: &LogId| members.removal_of(&life.node, life.incarnation).is_some();
    assert!(all[21..].iter().all(left_out));
    assert!(!all[..21].iter().any(left_out));
}

#[test]
fn between_a_removal_and_a_return_nobody_waits() {
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    for member in &all[..4] {
        facts.push(vote(*member, 5_000, &four));
    }
    facts.push(admit(all[1], life(5, 2), 40_000));
    let terms = members(&facts).terms(&all[4].node);
    let spans: Vec<(u64, Option<u64>)> = terms
        .iter()
        .map(|term| (term.since.as_ms(), term.until.map(Stamp::as_ms)))
        .collect();
    assert_eq!(spans, [(1_004, Some(15_000)), (40_000, None)]);
}

/// Seed 201: an answer showed less of a log than its asker had seen, because the log had forked
/// meanwhile and was cut before that.
#[test]
fn a_forked_log_has_been_seen_to_its_end() {
    let log = life(1, 1);
    let mut logs = Logs::default();
    logs.entry(log).seq = 9;
    let seen = logs.cursor();
    logs.entry(log).seq = 4;
    assert!(!logs.cursor().covers(&seen));
    logs.entry(log).cut = Some(5);
    assert!(logs.cursor().covers(&seen));
    assert_eq!(
        Cursor::from_text(&logs.cursor().to_text()),
        Some(logs.cursor())
    );
    logs.entry(log).seq = 3;
    assert!(
        !logs.cursor().covers(&seen),
        "what counts of it is not all here"
    );
}

/// The vote of a fresh key, on a base that never was, against a life that never was, ended all lives
/// of its node for ever.
#[test]
fn only_members_that_are_asked_end_a_life_and_only_one_that_was_admitted() {
    let (mut facts, all, first) = five();
    let ghost = life(9, 1);
    let end_of_time = LogId {
        node: all[0].node,
        incarnation: Incarnation {
            started_ms: u64::MAX,
            nonce: u64::MAX,
        },
    };
    let against = |facts: &[Fact]| members(facts).voted_out_by(all[0]);
    for base in [
        ViewVote::GENESIS,
        first.id(),
        Digest::of("test", &[b"never"]),
    ] {
        facts.push(vote(ghost, 6_000, &view(base, &[ghost], &[all[0]])));
        facts.push(admit(ghost, ghost, 6_001));
    }
    let rest = &all[1..];
    facts.push(vote(all[1], 6_002, &view(first.id(), rest, &[end_of_time])));
    let never = Digest::of("test", &[b"never"]);
    facts.push(vote(all[1], 6_003, &view(never, rest, &all[..1])));
    facts.push(vote(all[1], 6_004, &view(first.id(), &all[2..], &all[..1])));
    assert!(against(&facts).is_empty());
    // One word of one who is asked is enough: it can never vote that life in again.
    let two = view(first.id(), rest, &all[..1]);
    facts.push(vote(all[1], 6_005, &two));
    assert_eq!(
        against(&facts).into_iter().collect::<Vec<_>>(),
        [all[1].node]
    );
    // Who was left out itself, or left, says nothing about those who stay.
    let (mut facts, all, first) = five();
    let four = view(first.id(), &all[..4], &all[4..]);
    facts.extend(all[..4].iter().map(|member| vote(*member, 7_000, &four)));
    facts.push(vote(all[4], 7_001, &view(first.id(), &all[1..], &all[..1])));
    assert!(members(&facts).voted_out_by(all[0]).is_empty());
}

/// Before the first view nobody asked who had written an admission, so that whoever had a certificate
/// was waited for by everybody.
#[test]
fn admissions_count_from_the_founder_on_in_any_order() {
    let (founder, second, third) = (life(1, 1), life(2, 1), life(3, 1));
    let (ghost, crony) = (life(8, 1), life(9, 1));
    let facts = [
        admit(ghost, ghost, 900),
        admit(ghost, crony, 901),
        admit(crony, ghost, 902),
        admit(second, third, 2_000),
        admit(third, life(3, 2), 2_001),
        // A member that starts again says so itself.
        admit(life(2, 2), life(2, 2), 2_002),
        admit(founder, second, 1_500),
        admit(founder, founder, 1_000),
    ];
    let names = |members: &Members| {
        let all = members.all(Stamp::MAX).into_iter();
        all.map(|one| (one.admit.node, one.admit.incarnation))
            .collect::<Vec<_>>()
    };
    let wanted: Vec<_> = [founder, life(2, 2), life(3, 2)]
        .iter()
        .map(|life| (life.node, life.incarnation))
        .collect();
    for turn in 0..facts.len() {
        let mut turned = facts.clone();
        turned.rotate_left(turn);
        assert_eq!(names(&members(&turned)), wanted);
        turned.reverse();
        assert_eq!(names(&members(&turned)), wanted);
    }
    // Whom a member admits after all is one, and whom that one had admitted.
    let mut facts = facts.to_vec();
    facts.push(admit(third, crony, 3_000));
    let members = members(&facts);
    for late in [ghost, crony] {
        assert!(members.is_member(&late.node, late.incarnation));
        assert!(!members.terms(&late.node).is_empty());
    }
}

/// Records of a cluster in which anybody may vote for anything.
fn anything() -> impl Strategy<Value = Vec<Fact>> {
    let step = (0_u8..3, 1_u8..9, 1_u8..6, 0_u8..32, 0_usize..4);
    prop::collection::vec(step, 0..40).prop_map(|steps| {
        let (mut facts, all, first) = five();
        let mut bases = vec![ViewVote::GENESIS, first.id()];
        for (index, (kind, by, whom, mask, base)) in steps.into_iter().enumerate() {
            let at_ms = 3_000 + index as u64;
            if kind == 0 {
                facts.push(admit(life(by, 1), life(whom + 3, 2), at_ms));
                continue;
            }
            let (stay, go): (Vec<LogId>, Vec<LogId>) = all
                .iter()
                .partition(|life| mask >> (life.node.0[0] - 1) & 1 == 1);
            let next = view(bases[base % bases.len()], &stay, &go);
            if kind == 1 {
                facts.extend(stay.iter().map(|voter| vote(*voter, at_ms, &next)));
            } else {
                facts.push(vote(life(by, 1), at_ms, &next));
            }
            bases.push(next.id());
        }
        facts
    })
}

proptest! {
    #[test]
    fn views_do_not_depend_on_the_order_and_only_add_up(
        facts in anything(),
        seed in any::<u64>(),
        kept in any::<u64>(),
    ) {
        let whole = members(&facts);
        let mut shuffled = facts.clone();
        let mut state = seed | 1;
        for index in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            shuffled.swap(index, (state >> 33) as usize % (index + 1));
        }
        let again = members(&shuffled);
        prop_assert_eq!(whole.footing(), again.footing());
        let all = |members: &Members| format!("{:?}", members.all(Stamp::MAX));
        prop_assert_eq!(all(&whole), all(&again));
        prop_assert_eq!(whole.views().installed(), again.views().installed());
        // Whoever knows less knows fewer views, of the same stamps.
        let votes_dropped: Vec<Fact> = facts
            .iter()
            .enumerate()
            .filter(|(index, fact)| {
                !matches!(fact.body.action, Action::VoteView(_)) || kept >> (index % 64) & 1 == 1
            })
            .map(|(_, fact)| fact.clone())
            .collect();
        let part = members(&votes_dropped);
        for view in part.views().installed() {
            prop_assert!(whole.views().installed().iter().any(|one| one.id == view.id && one.at <= view.at));
        }
    }
}

fn leave(by: LogId, at_ms: u64, staying: &[LogId]) -> Fact {
    let leave = Leave {
        ends: Vec::new(),
        staying: staying.to_vec(),
        last: true,
    };
    fact(by, by.node.0[0], at_ms, Action::Leave(leave))
}

/// Of two who were most of three, one left later. To count without it took the view back that they
/// had agreed on, and a life that had been left out was a member again (seed 109).
#[test]
fn a_view_stands_whoever_leaves_later() {
    let (mut facts, all, first) = five();
    let three = view(first.id(), &all[..3], &all[3..]);
    let two = view(three.id(), &all[..2], &all[2..3]);
    for (at_ms, who) in [(5_000, 0), (5_001, 1), (5_002, 2)] {
        facts.push(vote(all[who], at_ms, &three));
    }
    for (at_ms, who) in [(6_000, 0), (6_001, 1)] {
        facts.push(vote(all[who], at_ms, &two));
    }
    let mut left = all.clone();
    for who in [1, 2, 4, 0, 3] {
        left.retain(|life| *life != all[who]);
        facts.push(leave(all[who], 7_000 + who as u64, &left));
        assert_eq!(members(&facts).views().installed().len(), 3, "{who} left");
    }
}

/// What would not have been most of the view before is, once those are gone who were missing; and
/// those to whom a founder left the cluster can do without it.
#[test]
fn those_who_stay_can_agree_without_those_who_left() {
    let (mut facts, all, first) = five();
    let two = view(first.id(), &all[..2], &all[2..3]);
    facts.push(vote(all[0], 9_000, &two));
    facts.push(vote(all[1], 9_001, &two));
    facts.push(leave(all[3], 8_000, &[all[0], all[1], all[2], all[4]]));
    assert_eq!(members(&facts).views().installed().len(), 1, "2 of 4");
    facts.push(leave(all[4], 8_001, &all[..3]));
    assert_eq!(members(&facts).views().installed().len(), 2, "2 of 3");

    let mut facts: Vec<Fact> = (0..3)
        .map(|n| admit(all[0], all[n], 1_000 + n as u64))
        .collect();
    let heirs = view(ViewVote::GENESIS, &all[1..3], &[]);
    facts.push(vote(all[1], 5_000, &heirs));
    facts.push(vote(all[2], 5_001, &heirs));
    assert!(members(&facts).views().installed().is_empty());
    facts.push(leave(all[0], 4_000, &all[1..3]));
    assert_eq!(members(&facts).views().installed().len(), 1);
    // Whatever the order in which it is heard.
    facts.reverse();
    assert_eq!(members(&facts).views().installed().len(), 1);
}
