//! Another root of rights: from which time on, by the stamps of records and in any order of arrival;
//! what the former one has signed; and how the word comes into every orchestra.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use proptest::prelude::*;
use unisono_core::node::{Node, Question};
use unisono_core::orchestra::view::{TrustView, View};

use unisono_model::{Action, AgentId, Code, FenceTarget, Place, RootWord};

use crate::capability::{CLUSTER, NOW_MS, chain, key, links, name};
use crate::expulsion::Operator;
use crate::loopback::{CLUSTER as LOOP_CLUSTER, Loop, recovery_key, root_key};
use crate::rotation::in_any_order;
use crate::trust::{
    History, enrol, executive, folded, id_of, implementer, present, root, rules_of,
};

/// The numbers of the keys that become roots.
const NEXT: u8 = 40;

fn at(ms: u64) -> u64 {
    NOW_MS + 2_000 + ms
}

/// The word of the key that names roots: here that of the founding, since there is no recovery key.
fn named(number: u32, next: u8, from_ms: u64) -> Action {
    let former = if number == 1 {
        root()
    } else {
        name(&key(NEXT))
    };
    let word = RootWord::sign((&key(1), &key(next)), CLUSTER, number, former, from_ms);
    Action::Root(Box::new(word))
}

fn guard(history: &mut History, by: AgentId, at_ms: u64) {
    history.add(by, 1, at_ms, None, Action::Guard);
}

#[test]
fn a_root_stands_from_its_time_on_wherever_its_word_is_carried() {
    let mut history = History::with_rights();
    let next = name(&key(NEXT));
    history.add(next, 1, at(0), None, enrol("next", None));
    guard(&mut history, root(), at(99));
    guard(&mut history, root(), at(100));
    guard(&mut history, next, at(99));
    guard(&mut history, next, at(101));
    // By whomever, and long after it counts.
    history.add(implementer(), 3, at(9_000), None, named(1, NEXT, at(100)));
    let shown = in_any_order(&history);
    let void: Vec<(u64, &str)> = shown
        .voided
        .iter()
        .map(|(place, rule)| (place.stamp.as_ms(), rule.as_str()))
        .collect();
    assert_eq!(void, [(at(99), "root_rotated"), (at(100), "root_rotated")]);
}

#[test]
fn a_word_counts_though_the_record_that_carries_it_does_not() {
    let mut history = History::with_rights();
    // By nobody who is enrolled, and by whom a root has ended.
    history.add(name(&key(77)), 3, at(50), None, named(1, NEXT, at(100)));
    guard(&mut history, root(), at(101));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["root_rotated"]);
    assert_eq!(shown.pending, 1);
}

#[test]
fn nobody_but_the_key_that_names_roots_names_one_and_none_without_its_consent() {
    let mut history = History::with_rights();
    let (boss, next) = (key(2), key(NEXT));
    let by_another = RootWord::sign((&boss, &next), CLUSTER, 1, root(), at(0));
    let mut without = RootWord::sign((&key(1), &next), CLUSTER, 1, root(), at(0));
    without.consent = without.signature;
    let mut moved = RootWord::sign((&key(1), &next), CLUSTER, 1, root(), at(10));
    moved.from_ms = at(0);
    for word in [by_another, without, moved] {
        history.add(executive(), 1, at(5), None, Action::Root(Box::new(word)));
    }
    guard(&mut history, root(), at(20));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["bad_signature"; 3]);
}

/// A thief who has the key of a root that was could not even with a time of its own choice.
#[test]
fn a_former_root_names_nobody_where_another_key_does() {
    let mut rules = crate::trust::rules();
    rules.recovery = Some(name(&key(50)));
    let mut history = History::with_rights();
    let by_recovery = RootWord::sign((&key(50), &key(NEXT)), CLUSTER, 1, root(), at(100));
    let by_thief = RootWord::sign((&key(1), &key(99)), CLUSTER, 2, root(), at(0));
    history.add(
        executive(),
        1,
        at(5),
        None,
        Action::Root(Box::new(by_recovery)),
    );
    history.add(
        executive(),
        1,
        at(6),
        None,
        Action::Root(Box::new(by_thief)),
    );
    guard(&mut history, root(), at(200));
    guard(&mut history, name(&key(99)), at(201));
    let shown = crate::trust::folded_under(&history.facts, &rules);
    let mut rules = rules_of(&shown);
    rules.sort_unstable();
    assert_eq!(rules, ["bad_signature", "root_rotated"]);
    assert_eq!(shown.pending, 1, "a stranger");
}

#[test]
fn what_a_former_root_has_issued_counts_if_it_was_laid_down_in_its_time() {
    let mut history = History::with_rights();
    history.add(executive(), 1, at(1), None, named(1, NEXT, at(100)));
    // The executive hands on after the change what it had before, and to whoever comes later.
    let mut more = links();
    more[1].nonce = [77; 16];
    let later = chain(more, &[1, 2]);
    history.add(implementer(), 2, at(200), None, present(&later.encode()));
    history.work(implementer(), 2, 300, Some(later.id()));
    history.work(implementer(), 2, 301, Some(id_of(2)));
    // What the former root signs now bears any date, and lay nowhere.
    let mut forged = links();
    forged[0].nonce = [66; 16];
    let forged = chain(forged[..1].to_vec(), &[1]);
    history.add(executive(), 1, at(400), None, present(&forged.encode()));
    history.fence(executive(), 500, FenceTarget::Key(name(&key(9))), &[]);
    let shown = in_any_order(&history);
    assert_eq!((shown.void, shown.pending), (0, 1), "{shown:?}");
    // It is laid down by a node that lies, or had been off: below the change.
    history.add(executive(), 4, at(90), None, present(&forged.encode()));
    let shown = in_any_order(&history);
    assert_eq!((shown.void, shown.pending), (0, 0));
}

#[test]
fn what_the_next_root_has_issued_counts_from_its_time_on() {
    let next = |nonce: u8| {
        let mut first = links();
        first[0].issuer = name(&key(NEXT));
        first[0].nonce = [nonce; 16];
        chain(first[..1].to_vec(), &[NEXT])
    };
    let mut history = History::with_rights();
    history.add(executive(), 1, at(1), None, named(1, NEXT, at(100)));
    history.add(executive(), 1, at(50), None, present(&next(1).encode()));
    history.add(executive(), 1, at(150), None, present(&next(2).encode()));
    history.work(executive(), 1, 200, Some(next(2).id()));
    history.work(executive(), 1, 201, Some(next(1).id()));
    let shown = in_any_order(&history);
    assert_eq!((shown.void, shown.pending), (0, 2));
}

#[test]
fn a_word_that_names_an_earlier_time_takes_back_what_a_thief_has_done_since() {
    let mut history = History::with_rights();
    history.work(implementer(), 2, 50, Some(id_of(2)));
    history.fence(root(), 100, FenceTarget::Key(implementer()), &[]);
    let theirs = folded(&history.facts);
    assert_eq!(
        rules_of(&theirs).len(),
        3,
        "the thief has ended everything of ivy's"
    );
    history.add(executive(), 1, at(5_000), None, named(1, NEXT, at(90)));
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["root_rotated"], "and nothing else");
}

#[test]
fn of_several_words_for_one_number_the_same_one_counts_in_any_order() {
    let mut history = History::with_rights();
    let keys = [name(&key(NEXT)), name(&key(NEXT + 1))];
    for (index, _) in keys.iter().enumerate() {
        history.add(
            executive(),
            1 + index as u8,
            at(10),
            None,
            named(1, NEXT + index as u8, at(100)),
        );
    }
    for key in keys {
        history.add(key, 3, at(1), None, enrol("next", None));
        guard(&mut history, key, at(200));
    }
    let shown = in_any_order(&history);
    assert_eq!(rules_of(&shown), ["not_allowed"], "it is nobody's key");
    // The same word, said again for an earlier time.
    let winner = if keys[0] > keys[1] { NEXT } else { NEXT + 1 };
    guard(&mut history, name(&key(winner)), at(80));
    history.add(executive(), 1, at(300), None, named(1, winner, at(70)));
    assert_eq!(rules_of(&in_any_order(&history)), ["not_allowed"]);
}

/// What a history of words and deeds should come to, looked at by time at once.
fn root_at(words: &[(u32, u8, u64)], at_ms: u64) -> AgentId {
    let mut by_number: BTreeMap<u32, (AgentId, std::cmp::Reverse<u64>)> = BTreeMap::new();
    for (number, next, from_ms) in words {
        let rank = (name(&key(*next)), std::cmp::Reverse(*from_ms));
        let known = by_number.entry(*number).or_insert(rank);
        *known = rank.max(*known);
    }
    let mut words = by_number.into_values().rev();
    let begun = words.find(|(_, from)| from.0 <= at_ms);
    begun.map_or_else(root, |(next, _)| next)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn words_in_any_order_give_one_root_for_each_time(
        words in proptest::collection::vec((1_u32..4, NEXT..NEXT + 4, 0_u64..400), 0..6),
        deeds in proptest::collection::vec((0_u8..5, 0_u64..500), 1..12),
        order in any::<u64>(),
    ) {
        let mut history = History::with_rights();
        for (index, (number, next, from)) in words.iter().enumerate() {
            let carried = at(index as u64 * 40);
            history.add(executive(), 1, carried, None, named(*number, *next, at(*from)));
        }
        let keys: Vec<AgentId> = (0..4).map(|n| name(&key(NEXT + n))).chain([root()]).collect();
        for one in &keys[..4] {
            history.add(*one, 1, NOW_MS + 1_500, None, enrol("next", None));
        }
        let words: Vec<_> = words.iter().map(|(n, k, from)| (*n, *k, at(*from))).collect();
        let mut wanted = Vec::new();
        for (who, when) in &deeds {
            let who = keys[usize::from(*who)];
            // A fence of nobody's key: only a root makes one without a token.
            let target = FenceTarget::Key(name(&key(99)));
            history.fence(who, *when, target, &[]);
            if root_at(&words, at(*when)) != who {
                wanted.push(history.facts[history.facts.len() - 1].place);
            }
        }
        wanted.sort_unstable();
        let mut facts = history.facts.clone();
        let mut seed = order;
        for index in (1..facts.len()).rev() {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            facts.swap(index, (seed >> 33) as usize % (index + 1));
        }
        for facts in [history.facts, facts] {
            let mut void: Vec<Place> = folded(&facts).voided.into_iter().map(|(place, _)| place).collect();
            void.sort_unstable();
            prop_assert_eq!(&void, &wanted);
        }
    }
}

fn next_word(number: u32, next: &SigningKey, former: AgentId, from_ms: u64) -> Action {
    let word = RootWord::sign(
        (&recovery_key(), next),
        LOOP_CLUSTER,
        number,
        former,
        from_ms,
    );
    Action::Root(Box::new(word))
}

fn trust(world: &mut Loop, index: usize) -> TrustView {
    match world.view(index, Question::Trust) {
        Ok(View::Trust(trust)) => trust,
        other => panic!("no rights: {other:?}"),
    }
}

/// Nodes lay the word down in every orchestra by themselves; until then an orchestra would go by the
/// former root for ever, since verdicts rest on its own records alone.
#[test]
fn the_word_comes_into_every_orchestra_and_the_edge_goes_by_it() {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(15_000);
    let former = AgentId(root_key().verifying_key().to_bytes());
    let next = SigningKey::from_bytes(&[0x77; 32]);
    let mut one = Operator::new(&mut world, root_key(), 0);
    let now_ms = world.now_ns / 1_000_000;
    let by_thief = RootWord::sign((&root_key(), &next), LOOP_CLUSTER, 1, former, now_ms);
    let refused = one.act(&mut world, Action::Root(Box::new(by_thief)));
    assert_eq!(
        refused.expect_err("by the root itself").code,
        Code::BadSignature
    );
    one.act(&mut world, next_word(1, &next, former, now_ms))
        .expect("named");
    let again = SigningKey::from_bytes(&[0x78; 32]);
    let refused = one.act(&mut world, next_word(1, &again, former, now_ms));
    assert_eq!(refused.expect_err("another one is").code, Code::RootTaken);
    let refused = one
        .act(&mut world, Action::Guard)
        .expect_err("it was the root");
    assert_eq!(refused.code, Code::RootRotated);
    world.run_ms(30_000);
    for index in 0..3 {
        let roots = trust(&mut world, index).roots;
        let numbers: Vec<u32> = roots.iter().map(|one| one.word.number).collect();
        assert_eq!(
            numbers,
            [1],
            "node {index} in the orchestra that is worked in"
        );
        assert_eq!(world.nodes[index].root_words().len(), 1);
    }
    let laid = world
        .nodes
        .iter()
        .map(Node::root_words)
        .next()
        .expect("a node");
    assert_eq!(laid[0].root, AgentId(next.verifying_key().to_bytes()));
    let mut two = Operator::new(&mut world, next, 1);
    two.act(&mut world, Action::Guard).expect("it is the root");
}
