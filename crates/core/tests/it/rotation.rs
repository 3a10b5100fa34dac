//! An agent that goes on with another key: one agent, whichever key has signed, in any order of
//! arrival; and what the former key signs afterwards is void.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::trust::limits;
use unisono_model::capability::Tier;
use unisono_model::{
    Action, AgentId, ChainId, Digest, FenceTarget, Held, OrchestraId, Place, Rotation,
};

use crate::capability::{CLUSTER, NOW_MS, chain, key, links, name};
use crate::trust::{
    History, enrol, executive, folded, id_of, implementer, orchestra, present, root, rules_of,
    token_of,
};

/// The numbers of the keys that the story's agents go on with.
const NEXT: u8 = 20;

fn rotation(former: AgentId, next: u8) -> Rotation {
    Rotation::sign(&key(next), CLUSTER, orchestra(), former, "ivy")
}

fn rotate(former: AgentId, next: u8) -> Action {
    Action::Rotate(rotation(former, next).into())
}

fn at(ms: u64) -> u64 {
    NOW_MS + 2_000 + ms
}

fn next(number: u8) -> AgentId {
    name(&key(number))
}

/// Whatever comes in whichever order: forward, backward, and each record as the last.
pub(crate) fn in_any_order(history: &History) -> crate::trust::Shown {
    let mut wanted = folded(&history.facts);
    wanted.voided.sort();
    let mut reversed = history.facts.clone();
    reversed.reverse();
    let mut orders = vec![reversed];
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

#[test]
fn the_next_key_acts_under_the_tokens_of_the_one_before() {
    let mut history = History::with_rights();
    history.add(root(), 1, NOW_MS + 1_600, None, Action::Guard);
    history.work(implementer(), 2, 0, Some(id_of(2)));
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(next(NEXT), 3, 20, Some(id_of(2)));
    history.add(next(NEXT), 3, at(21), None, present(&token_of(2)));
    let shown = in_any_order(&history);
    assert_eq!((shown.valid, shown.void, shown.pending), (10, 0, 0));
}

#[test]
fn what_the_former_key_signs_afterwards_is_void_wherever_it_was_carried() {
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(implementer(), 2, 5, None);
    history.work(implementer(), 4, 11, Some(id_of(2)));
    history.add(
        implementer(),
        4,
        at(12),
        None,
        enrol("ivy", Some(Tier::Executive)),
    );
    history.add(implementer(), 4, at(13), None, present(&token_of(2)));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["key_rotated"; 3]);
    assert_eq!(shown.valid, 7, "what was signed before stays");
}

#[test]
fn of_two_rotations_of_one_key_the_lower_place_stands_on_both_sides_of_a_partition() {
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.add(
        implementer(),
        4,
        at(11),
        None,
        rotate(implementer(), NEXT + 1),
    );
    history.work(next(NEXT), 2, 20, Some(id_of(2)));
    history.work(next(NEXT + 1), 4, 20, Some(id_of(2)));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["key_rotated"]);
    assert_eq!((shown.valid, shown.pending), (7, 1), "a stranger's");
}

#[test]
fn keys_follow_each_other_and_none_comes_back() {
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.add(next(NEXT), 2, at(20), None, rotate(next(NEXT), NEXT + 1));
    history.work(next(NEXT + 1), 3, 30, Some(id_of(2)));
    // Back to the first, and to a key that somebody enrolled.
    history.add(next(NEXT + 1), 3, at(40), None, rotate(next(NEXT + 1), 3));
    history.add(next(NEXT + 1), 3, at(41), None, rotate(next(NEXT + 1), 2));
    let own = rotate(next(NEXT + 1), NEXT + 1);
    history.add(next(NEXT + 1), 3, at(42), None, own);
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["key_taken"; 3]);
    assert_eq!(shown.valid, 8);
}

/// A node that lies can write what an edge refuses: a chain of rotations without end cost every verdict
/// on the last key a walk along all of it.
#[test]
fn an_agent_goes_on_as_often_as_it_may_whatever_arrives_in_whichever_order() {
    let most = limits::ROTATIONS_OF_AGENT_MAX as u64;
    let keys: Vec<_> = (0..=most + 1)
        .map(|number| {
            let mut seed = [77; 32];
            seed[..8].copy_from_slice(&number.to_le_bytes());
            ed25519_dalek::SigningKey::from_bytes(&seed)
        })
        .collect();
    let mut history = History::with_rights();
    let mut former = implementer();
    for (step, next) in (0..).zip(&keys[1..]) {
        let rotation = Rotation::sign(next, CLUSTER, orchestra(), former, "ivy");
        history.add(former, 2, at(step), None, Action::Rotate(rotation.into()));
        former = name(next);
    }
    let (last, beyond) = (name(&keys[most as usize]), former);
    history.work(last, 2, 5_000, Some(id_of(2)));
    history.work(beyond, 2, 5_001, Some(id_of(2)));
    let mut reversed = history.facts.clone();
    reversed.reverse();
    let mut late = history.facts.clone();
    let enrols =
        |fact: &Fact| fact.agent == implementer() && matches!(fact.body.action, Action::Enrol(_));
    let enrolment = late.iter().position(enrols).expect("an enrolment");
    let enrolment = late.remove(enrolment);
    late.push(enrolment);
    for facts in [&history.facts, &reversed, &late] {
        let shown = folded(facts);
        assert_eq!(rules_of(&shown), ["rotation_limit"]);
        assert_eq!(shown.pending, 1, "whoever came after is a stranger");
    }
}

#[test]
fn of_the_rotations_of_one_key_the_lowest_are_looked_at() {
    let most = limits::ROTATIONS_NAMING_KEY_MAX as u64;
    let mut history = History::with_rights();
    // None of these counts: the key is somebody's.
    for step in 0..most {
        history.add(implementer(), 2, at(step), None, rotate(implementer(), 2));
    }
    let good = rotate(implementer(), NEXT);
    history.add(implementer(), 2, at(most), None, good.clone());
    let shown = in_any_order(&history);
    let mut wanted = vec!["key_taken"; most as usize];
    wanted.push("rotation_limit");
    assert_eq!(rules_of(&shown), wanted);
    // One less below it, and it counts.
    history.facts.remove(6);
    let shown = folded(&history.facts);
    assert_eq!(rules_of(&shown), vec!["key_taken"; most as usize - 1]);
}

/// The key was enrolled beyond a cut, and that is heard of when the rotation has counted.
#[test]
fn a_key_that_was_enrolled_below_a_rotation_is_none_to_go_on_with() {
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(implementer(), 2, 30, Some(id_of(2)));
    history.add(next(NEXT), 4, at(5), None, enrol("other", None));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["key_taken"]);
    assert_eq!(shown.valid, 7, "the agent goes on with the key that it has");
}

/// An agent that came to another node with its next key enrolled there, since that node had not heard
/// of the rotation: it is the agent's word about itself once more.
#[test]
fn a_key_that_enrols_above_the_rotation_to_it_is_the_agents() {
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    let tier = Some(Tier::Implementation);
    history.add(next(NEXT), 4, at(20), None, enrol("ivy", tier));
    history.work(next(NEXT), 4, 30, Some(id_of(2)));
    let shown = in_any_order(&history);
    assert_eq!((shown.void, shown.pending), (0, 0));
    let other = enrol("ivy", Some(Tier::Validation));
    history.add(next(NEXT), 4, at(40), None, other);
    assert_eq!(rules_of(&in_any_order(&history)), ["token_binding"]);
}

#[test]
fn a_rotation_needs_both_signatures_for_this_place() {
    let good = rotation(implementer(), NEXT);
    let elsewhere = Rotation::sign(
        &key(NEXT),
        CLUSTER,
        OrchestraId::of(CLUSTER, "beta"),
        implementer(),
        "ivy",
    );
    let anothers = Rotation::sign(&key(NEXT), CLUSTER, orchestra(), executive(), "ivy");
    let renamed = Rotation {
        name: "boss".into(),
        ..good.clone()
    };
    let unproven = Rotation {
        next: next(NEXT + 1),
        ..good
    };
    for (step, bad) in (0..).zip([elsewhere, anothers, renamed, unproven]) {
        let mut history = History::with_rights();
        let action = Action::Rotate(bad.into());
        history.add(implementer(), 2, at(step), None, action);
        assert_eq!(rules_of(&in_any_order(&history)), ["bad_signature"]);
    }
}

#[test]
fn neither_a_root_nor_a_node_nor_a_key_that_a_node_holds_goes_on_so() {
    let node = key(9);
    let mut history = History::with_rights();
    history.add(root(), 1, at(0), None, rotate(root(), NEXT));
    history.add(implementer(), 2, at(1), None, rotate(implementer(), 1));
    history.add(implementer(), 2, at(2), None, rotate(implementer(), NEXT));
    history.facts[7].body.held = Held::Node;
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["not_allowed"; 3]);
    let mut history = History::default();
    let log = unisono_model::LogId {
        node: unisono_model::NodeId(name(&node).0),
        ..unisono_model::LogId::default()
    };
    history.add(name(&node), 4, at(0), None, enrol("n4", None));
    history.add(name(&node), 4, at(1), None, rotate(name(&node), NEXT));
    for fact in &mut history.facts {
        fact.log = log;
    }
    assert_eq!(rules_of(&in_any_order(&history)), ["not_allowed"]);
}

/// A thief rotates: the executive's fence of the key that was stolen ends the one that it went to.
#[test]
fn a_fence_that_cuts_a_rotation_off_reaches_the_next_key() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 0, Some(id_of(2)));
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.add(next(NEXT), 3, at(11), None, rotate(next(NEXT), NEXT + 1));
    history.work(next(NEXT + 1), 3, 20, Some(id_of(2)));
    // Up to the work, and not to the rotation behind it.
    let keep = [(implementer(), 2, 3)];
    history.fence(executive(), 30, FenceTarget::Key(implementer()), &keep);
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["token_fenced"]);
    // A fence that keeps the rotation ends the former key alone.
    let mut history = History::with_rights();
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(next(NEXT), 3, 20, Some(id_of(2)));
    let keep = [(implementer(), 2, 3)];
    history.fence(executive(), 30, FenceTarget::Key(implementer()), &keep);
    assert_eq!(in_any_order(&history).void, 0);
}

/// Whoever is fenced off would only have to go on with another key.
#[test]
fn nobody_escapes_a_fence_by_a_rotation() {
    let mut history = History::with_rights();
    let keep = [(implementer(), 2, 2)];
    history.fence(executive(), 0, FenceTarget::Key(implementer()), &keep);
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(next(NEXT), 3, 20, Some(id_of(2)));
    assert_eq!(rules_of(&in_any_order(&history)), ["token_fenced"]);
    // A root's fence takes the rotation itself: the next key is nobody's then.
    let mut history = History::with_rights();
    history.fence(root(), 0, FenceTarget::Key(implementer()), &keep);
    history.add(implementer(), 2, at(10), None, rotate(implementer(), NEXT));
    history.work(next(NEXT), 3, 20, Some(id_of(2)));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["token_fenced"]);
    assert_eq!(shown.pending, 1);
}

/// A key that leaked could sign links that bear any date.
#[test]
fn what_a_former_key_has_issued_is_laid_down_no_more() {
    let mut history = History::with_rights();
    history.add(executive(), 1, at(10), None, {
        let next = key(NEXT);
        let proof = Rotation::sign(&next, CLUSTER, orchestra(), executive(), "boss");
        Action::Rotate(proof.into())
    });
    let mut more = links();
    more[1].nonce = [77; 16];
    let later = chain(more, &[1, 2]);
    history.add(implementer(), 2, at(20), None, present(&later.encode()));
    history.work(implementer(), 2, 30, Some(id_of(2)));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["key_rotated"]);
    assert_eq!(shown.valid, 7, "what was laid down before stays good");
}

/// What a history of some keys should come to, looked at by place at once.
struct Wanted {
    valid: BTreeSet<Place>,
    void: BTreeSet<Place>,
}

fn kept(fence: &Fact, fact: &Fact) -> bool {
    let Action::Fence(says) = &fence.body.action else {
        return true;
    };
    let own = ChainId {
        agent: fact.agent,
        log: fact.log,
    };
    let cut = says.keep.iter().find(|cut| cut.chain == own);
    fact.seq <= cut.map_or(0, |cut| cut.seq)
}

fn fences(facts: &[Fact], by: AgentId, of: AgentId) -> impl Iterator<Item = &Fact> {
    facts.iter().filter(move |fact| {
        let target = match &fact.body.action {
            Action::Fence(fence) => Some(fence.target),
            _ => None,
        };
        fact.agent == by && target == Some(FenceTarget::Key(of))
    })
}

fn reference(facts: &[Fact]) -> Wanted {
    let mut known: BTreeMap<AgentId, Place> = BTreeMap::new();
    let mut away: BTreeMap<AgentId, Place> = BTreeMap::new();
    let mut from: BTreeMap<AgentId, &Fact> = BTreeMap::new();
    let (mut valid, mut void) = (BTreeSet::new(), BTreeSet::new());
    let mut in_order: Vec<&Fact> = facts.iter().collect();
    in_order.sort_by_key(|fact| fact.place);
    let is_ground = |fact: &Fact| matches!(fact.body.action, Action::Enrol(_) | Action::Rotate(_));
    for fact in in_order.iter().filter(|fact| is_ground(fact)) {
        let (agent, place) = (fact.agent, fact.place);
        if fences(facts, root(), agent).any(|fence| !kept(fence, fact))
            || away.get(&agent).is_some_and(|away| *away < place)
        {
            void.insert(place);
            continue;
        }
        if let Action::Rotate(rotation) = &fact.body.action {
            if !known.contains_key(&agent) {
                continue;
            }
            if rotation.next == agent || known.contains_key(&rotation.next) {
                void.insert(place);
                continue;
            }
            known.insert(rotation.next, place);
            from.insert(rotation.next, fact);
            away.insert(agent, place);
        } else {
            known.entry(agent).or_insert(place);
        }
        valid.insert(place);
    }
    for fact in facts.iter().filter(|fact| !is_ground(fact)) {
        let (agent, place) = (fact.agent, fact.place);
        let own = [root(), executive()].contains(&agent);
        let mut cut = fences(facts, root(), agent).any(|fence| !kept(fence, fact))
            || fences(facts, executive(), agent).any(|fence| !kept(fence, fact));
        let mut turn = from.get(&agent);
        while let Some(rotated) = turn {
            let mut of_former = fences(facts, executive(), rotated.agent);
            cut |= of_former.any(|fence| !kept(fence, rotated) && !kept(fence, fact));
            turn = from.get(&rotated.agent);
        }
        if own {
            valid.insert(place);
        } else if cut || away.get(&agent).is_some_and(|away| *away < place) {
            void.insert(place);
        } else if known.contains_key(&agent) {
            valid.insert(place);
        }
    }
    Wanted { valid, void }
}

fn history(steps: &[(u8, u8, u8, u16)]) -> Vec<Fact> {
    let mut history = History::default();
    history.add(root(), 1, NOW_MS + 1_000, None, enrol("root", None));
    let tier = Some(Tier::Executive);
    history.add(executive(), 1, NOW_MS + 1_001, None, enrol("boss", tier));
    history.add(executive(), 1, NOW_MS + 1_002, None, present(&token_of(1)));
    for (kind, who, other, at_ms) in steps {
        let (who, other) = (NEXT + who % 5, NEXT + other % 5);
        let (agent, node, at_ms) = (next(who), who % 3 + 2, u64::from(*at_ms));
        let keep = [
            (agent, node, u64::from(other % 5)),
            (next(other), other % 3 + 2, 2),
        ];
        let keep = &keep[..usize::from(kind % 2) + usize::from(who != other && kind % 3 > 0)];
        let target = FenceTarget::Key(agent);
        match kind % 10 {
            0..=2 => history.add(agent, node, at(at_ms), None, rotate(agent, other)),
            3 | 4 => history.add(agent, node, at(at_ms), None, enrol("ivy", None)),
            5 => history.fence(executive(), at_ms, target, keep),
            6 if kind % 4 == 0 => history.fence(root(), at_ms, target, keep),
            7 => history.work(agent, 7, at_ms, None),
            _ => history.work(agent, node, at_ms, None),
        }
    }
    history.facts
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Rotations, enrolments and fences of five keys that want each other's places.
    #[test]
    fn any_order_gives_the_verdicts_of_the_whole_set(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..200), 1..40),
        order in any::<u64>(),
    ) {
        let facts = history(&steps);
        let wanted = reference(&facts);
        let shuffled = crate::facts::shuffled(&facts, order);
        for facts in [facts, shuffled] {
            let shown = folded(&facts);
            let void: BTreeSet<Place> = shown.voided.iter().map(|(place, _)| *place).collect();
            prop_assert_eq!(&void, &wanted.void);
            prop_assert_eq!(shown.valid, wanted.valid.len() as u64);
            prop_assert_eq!(shown.valid + shown.void + shown.pending, facts.len() as u64);
        }
    }
}

#[test]
fn a_rotation_that_is_not_plain_is_malformed() {
    let good = rotation(implementer(), NEXT);
    for name in ["", " ", "a\nb", &"x".repeat(257)] {
        let bad = Rotation {
            name: name.into(),
            ..good.clone()
        };
        let action = Action::Rotate(bad.into());
        assert!(unisono_model::check::action(&action).is_err(), "{name:?}");
    }
    let digest =
        |name: &str| Rotation::proof(CLUSTER, orchestra(), implementer(), next(NEXT), name);
    assert_ne!(digest("ivy"), digest("eve"));
    assert_ne!(digest("ivy"), Digest::default());
}
