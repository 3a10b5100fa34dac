//! Fact documents: replicas agree, contradictions are refused, nothing is lost over a restart.

use unisono_document::{
    Actor, ChangePlan, DocumentId, FactDocument, Key, Kind, LoadError, Poisoned, Refusal,
    WriteError, limits,
};
use unisono_model::{ChainId, Digest, OrchestraId};

use crate::world::{Dice, append, key, node, score};

fn three_nodes_write(rounds: usize, seed: u64) -> (Vec<ChangePlan>, Vec<FactDocument>) {
    let mut dice = Dice::new(seed);
    let mut documents: Vec<_> = (0..3).map(|_| FactDocument::new(score())).collect();
    let mut plans: Vec<ChangePlan> = Vec::new();
    let mut seen = [0usize; 3];
    for round in 0..rounds {
        let writer = dice.below(3);
        if dice.below(2) == 0 {
            documents[writer].apply(&plans[seen[writer]..]).unwrap();
            seen[writer] = plans.len();
        }
        let names: Vec<_> = (0..=dice.below(3))
            .map(|n| format!("{writer}/{round}.{n}"))
            .collect();
        let actor = node(&score(), u8::try_from(writer).unwrap());
        plans.push(append(&mut documents[writer], actor, &names));
    }
    for document in &mut documents {
        document.apply(&plans).unwrap();
    }
    (plans, documents)
}

fn contents(document: &mut FactDocument) -> Vec<(Key, Vec<u8>)> {
    document.iter().map(Result::unwrap).collect()
}

#[test]
fn two_nodes_build_the_identical_change() {
    let mut here = FactDocument::new(score());
    let mut there = FactDocument::new(score());
    assert_eq!(here.heads(), there.heads());
    let actor = node(&score(), 1);
    let entries: [(Key, &[u8]); 2] = [(key("a/1"), b"one"), (key("b/1"), b"two")];
    let appended = here.append(&actor, &entries).unwrap();
    let plan = ChangePlan {
        actor,
        seq: appended.seq,
        dependencies: appended.dependencies,
        entries: entries
            .iter()
            .map(|(key, value)| (key.clone(), value.to_vec()))
            .collect(),
    };
    let applied = there.apply(&[plan]).unwrap();
    assert_eq!(applied.applied[0].hash, appended.hash);
    assert_eq!(there.heads(), vec![appended.hash]);
    assert_eq!(here.heads(), there.heads());
    assert_eq!(
        there.get(&key("a/1")).unwrap().as_deref(),
        Some(b"one".as_slice())
    );
    assert_eq!(there.get(&key("c/1")).unwrap(), None);
    assert_eq!(there.entries(), 2);
}

#[test]
fn the_bytes_of_a_change_never_change() {
    // A hash that moves would part new replicas from old ones: this one is for keeps.
    let mut document = FactDocument::new(score());
    let genesis = document.heads();
    let appended = document
        .append(&Actor([9; 16]), &[(key("k/1"), b"v")])
        .unwrap();
    assert_eq!(appended.dependencies, genesis);
    assert_eq!(
        [genesis[0].to_string(), appended.hash.to_string()],
        [
            "513b4a4a359bfe299b4e38a717806221416c46450dab0deac37ba11e6e534170",
            "bc5b91f76999511b63b37e5576642e801a339e81e948029f8591f15dd4c241bd",
        ],
    );
}

#[test]
fn any_order_and_repetition_of_delivery_ends_in_the_same_document() {
    let (plans, mut documents) = three_nodes_write(120, 1);
    let whole = contents(&mut documents[0]);
    for document in &mut documents[1..] {
        assert_eq!(contents(document), whole);
    }
    assert!(
        documents
            .windows(2)
            .all(|two| two[0].heads() == two[1].heads())
    );
    for seed in 2..12 {
        let mut dice = Dice::new(seed);
        let mut delivery: Vec<_> = plans.iter().chain(&plans[..40]).cloned().collect();
        dice.shuffle(&mut delivery);
        let mut late = FactDocument::new(score());
        let mut rest = delivery.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + dice.below(30)));
            assert_eq!(late.apply(now).unwrap().refused, []);
            rest = later;
        }
        assert_eq!(late.heads(), documents[0].heads());
        assert_eq!(contents(&mut late), whole);
        assert_eq!(late.figures().held, 0);
    }
}

#[test]
fn a_saved_document_loads_and_goes_on() {
    let (plans, mut documents) = three_nodes_write(150, 3);
    let mut loaded = FactDocument::new(score());
    loaded.apply(&plans[..70]).unwrap();
    for cut in [80, 150] {
        let saved = loaded.save().unwrap();
        loaded = FactDocument::load(score(), &saved, &loaded.heads()).unwrap();
        loaded.apply(&plans[..cut]).unwrap();
    }
    assert_eq!(loaded.heads(), documents[0].heads());
    assert_eq!(contents(&mut loaded), contents(&mut documents[0]));
    let (left, right) = (loaded.figures(), documents[0].figures());
    assert_eq!(
        (left.entries, left.value_bytes),
        (right.entries, right.value_bytes)
    );
    // The local writer goes on where it was.
    let mut other = FactDocument::new(score());
    other.apply(&plans).unwrap();
    let plan = append(&mut loaded, node(&score(), 1), &["1/after".to_owned()]);
    assert_eq!(other.apply(&[plan]).unwrap().applied.len(), 1);
    assert_eq!(other.heads(), loaded.heads());
    // Warming a loaded document for its first write leaves nothing behind.
    let saved = loaded.save().unwrap();
    let mut again = FactDocument::load(score(), &saved, &loaded.heads()).unwrap();
    let one = append(&mut loaded, node(&score(), 1), &["1/last".to_owned()]);
    let two = append(&mut again, node(&score(), 1), &["1/last".to_owned()]);
    assert_eq!(one, two);
    assert_eq!(again.save().unwrap(), loaded.save().unwrap());
}

#[test]
fn damaged_or_foreign_saves_are_not_loaded() {
    let (_, mut documents) = three_nodes_write(20, 4);
    let (saved, heads) = (documents[0].save().unwrap(), documents[0].heads());
    for at in 0..saved.len() {
        let mut damaged = saved.clone();
        damaged[at] ^= 1 << (at % 8);
        let loaded = FactDocument::load(score(), &damaged, &heads);
        assert_eq!(loaded.err(), Some(LoadError::Damaged), "byte {at}");
    }
    for end in [0, 1, 8, 40, 56, saved.len() - 1] {
        let loaded = FactDocument::load(score(), &saved[..end], &heads);
        assert_eq!(loaded.err(), Some(LoadError::Damaged), "{end} bytes");
    }
    let other = DocumentId { part: 1, ..score() };
    assert_eq!(
        FactDocument::load(other, &saved, &heads).err(),
        Some(LoadError::Damaged)
    );
    let elsewhere = FactDocument::load(score(), &saved, &[Digest::default()]);
    assert_eq!(elsewhere.err(), Some(LoadError::OtherHeads));
}

#[test]
fn contradictions_are_refused_and_leave_no_trace() {
    let mut writer = FactDocument::new(score());
    let actor = node(&score(), 1);
    let first = append(&mut writer, actor, &["a/1".to_owned()]);
    let second = append(&mut writer, actor, &["a/2".to_owned()]);
    let third = append(&mut writer, actor, &["a/3".to_owned()]);
    let mut document = FactDocument::new(score());
    document.apply(&[first.clone(), second.clone()]).unwrap();
    let genesis = FactDocument::new(score()).heads();
    let big = vec![0; limits::ENTRY_BYTES_MAX + 1];
    let many = |count: usize| {
        (0..count)
            .map(|n| (key(&format!("m/{n}")), vec![]))
            .collect()
    };
    let heavy: Vec<_> = (0..65)
        .map(|n| (key(&format!("h/{n}")), vec![0; limits::ENTRY_BYTES_MAX]))
        .collect();
    let with = |change: &dyn Fn(&mut ChangePlan)| {
        let mut plan = third.clone();
        change(&mut plan);
        plan
    };
    let cases: Vec<(ChangePlan, Refusal)> = vec![
        (
            with(&|plan| plan.seq = 4),
            Refusal::Sequence {
                expected: 3,
                found: 4,
            },
        ),
        (with(&|plan| plan.seq = 0), Refusal::TooLarge("counter")),
        (
            with(&|plan| plan.seq = u64::MAX),
            Refusal::TooLarge("counter"),
        ),
        (with(&|plan| plan.seq = 2), Refusal::Forked),
        (with(&|plan| plan.seq = 1), Refusal::Forked),
        (with(&|plan| plan.actor = Actor([0; 16])), Refusal::Actor),
        (
            with(&|plan| plan.dependencies = vec![]),
            Refusal::Dependencies,
        ),
        (
            with(&|plan| plan.dependencies.clone_from(&genesis)),
            Refusal::Dependencies,
        ),
        (
            with(&|plan| plan.dependencies.push(plan.dependencies[0])),
            Refusal::Dependencies,
        ),
        (
            with(&|plan| plan.dependencies = vec![Digest([1; 32]); 513]),
            Refusal::TooLarge("dependencies"),
        ),
        (with(&|plan| plan.entries = vec![]), Refusal::Empty),
        (
            with(&|plan| plan.entries = many(1025)),
            Refusal::TooLarge("entries"),
        ),
        (
            with(&|plan| plan.entries[0].1.clone_from(&big)),
            Refusal::TooLarge("bytes of an entry"),
        ),
        (
            with(&|plan| plan.entries.clone_from(&heavy)),
            Refusal::TooLarge("bytes of a change"),
        ),
        (
            with(&|plan| plan.entries.push(plan.entries[0].clone())),
            Refusal::KeyTwice,
        ),
        (
            with(&|plan| plan.entries[0].0 = key("a/1")),
            Refusal::KeyTwice,
        ),
    ];
    let before = (
        document.heads(),
        contents(&mut document),
        document.figures(),
    );
    for (plan, refusal) in cases {
        let applied = document.apply(std::slice::from_ref(&plan)).unwrap();
        assert_eq!(applied.refused, [(plan.actor, plan.seq, refusal)]);
        assert_eq!(
            (
                document.heads(),
                contents(&mut document),
                document.figures()
            ),
            before
        );
    }
    // Between two refused ones the honest change still enters, and a repeated key is seen within
    // one batch too.
    let mut fourth = append(&mut writer, actor, &["a/4".to_owned()]);
    fourth.entries[0].0 = key("a/3");
    let wrong = with(&|plan| plan.seq = 9);
    let applied = document
        .apply(&[wrong.clone(), third.clone(), wrong, fourth])
        .unwrap();
    assert_eq!((applied.applied.len(), applied.refused.len()), (1, 3));
    assert_eq!(applied.refused[2].2, Refusal::KeyTwice);
    assert_eq!(document.entries(), 3);
    // Nor does it take a reader in between for that, as `contents` was above.
    let mut fifth = append(&mut writer, actor, &["a/5".to_owned()]);
    fifth.seq = 4;
    fifth.dependencies.clone_from(&document.heads());
    fifth.entries[0].0 = key("a/3");
    let applied = document.apply(std::slice::from_ref(&fifth)).unwrap();
    assert_eq!(applied.refused, [(actor, 4, Refusal::KeyTwice)]);
    let saved = document.save().unwrap();
    FactDocument::load(score(), &saved, &document.heads()).unwrap();
}

#[test]
fn a_local_append_refuses_what_a_remote_one_would() {
    let mut document = FactDocument::new(score());
    let actor = node(&score(), 1);
    let value: &[u8] = b"v";
    document.append(&actor, &[(key("a/1"), value)]).unwrap();
    let heads = document.heads();
    let refused = |result| matches!(result, Err(WriteError::Refused(_)));
    assert!(refused(document.append(&actor, &[]).map(drop)));
    assert!(refused(
        document.append(&actor, &[(key("a/1"), value)]).map(drop)
    ));
    let twice = [(key("a/2"), value), (key("a/2"), value)];
    assert!(refused(document.append(&actor, &twice).map(drop)));
    assert_eq!(document.heads(), heads);
    assert!(Key::new("").is_err() && Key::new("a b").is_err() && Key::new("ü").is_err());
    assert!(Key::new(&"k".repeat(129)).is_err() && Key::new(&"k".repeat(128)).is_ok());
}

#[test]
fn two_actors_on_one_key_leave_both_values_whatever_the_order() {
    let mut left = FactDocument::new(score());
    let mut right = FactDocument::new(score());
    let one = append(&mut left, node(&score(), 1), &["shared".to_owned()]);
    let two = append(&mut right, node(&score(), 2), &["shared".to_owned()]);
    left.apply(&[two]).unwrap();
    right.apply(&[one]).unwrap();
    assert_eq!(left.heads(), right.heads());
    assert_eq!(
        left.get(&key("shared")).unwrap(),
        right.get(&key("shared")).unwrap()
    );
    assert_eq!(left.get_all(&key("shared")).unwrap().len(), 2);
    assert_eq!(
        left.get_all(&key("shared")).unwrap(),
        right.get_all(&key("shared")).unwrap()
    );
}

#[test]
fn a_flood_of_changes_without_a_past_is_bounded_and_honest_ones_still_find_room() {
    let mut document = FactDocument::new(score());
    let flood = |n: u8, seq: u64| ChangePlan {
        actor: node(&score(), n),
        seq,
        dependencies: vec![Digest([n; 32])],
        entries: vec![(key(&format!("{n}/{seq}")), vec![0; 1000])],
    };
    for n in 10..30 {
        let plans: Vec<_> = (2..500).map(|seq| flood(n, seq)).collect();
        document.apply(&plans).unwrap();
        assert!(document.figures().held <= limits::HELD_MAX);
        assert!(document.figures().held_bytes <= limits::HELD_BYTES_MAX);
    }
    let mut writer = FactDocument::new(score());
    let plans: Vec<_> = (0..50)
        .map(|n| append(&mut writer, node(&score(), 1), &[format!("a/{n}")]))
        .collect();
    for plan in plans.iter().rev() {
        document.apply(std::slice::from_ref(plan)).unwrap();
    }
    assert_eq!(document.heads(), writer.heads());
    let heavy = |seq| ChangePlan {
        entries: (0..60)
            .map(|n| (key(&format!("h{seq}/{n}")), vec![0; 60_000]))
            .collect(),
        ..flood(40, seq)
    };
    let applied = document.apply(&[heavy(2), heavy(3), heavy(4)]).unwrap();
    assert_eq!(applied.held, 2);
    assert!(matches!(applied.refused[0].2, Refusal::BufferFull(_)));
    let saved = document.save().unwrap();
    let loaded = FactDocument::load(score(), &saved, &document.heads()).unwrap();
    assert_eq!(loaded.figures().held, 0);
}

#[test]
fn a_local_change_names_no_more_heads_than_a_change_may() {
    let mut document = FactDocument::new(score());
    let mut plans = Vec::new();
    for n in 0..700u16 {
        let mut alone = FactDocument::new(score());
        let mut actor = Actor([1; 16]);
        actor.0[..2].copy_from_slice(&(n + 1).to_be_bytes());
        plans.push(append(&mut alone, actor, &[format!("{n}/1")]));
    }
    document.apply(&plans).unwrap();
    assert_eq!(document.heads().len(), 700);
    let mut other = FactDocument::new(score());
    other.apply(&plans).unwrap();
    for n in 0..3 {
        let plan = append(&mut document, node(&score(), 1), &[format!("own/{n}")]);
        assert!(plan.dependencies.len() <= limits::DEPENDENCIES_MAX);
        assert_eq!(other.apply(&[plan]).unwrap().applied.len(), 1);
    }
    assert_eq!(other.heads(), document.heads());
    assert_eq!(other.heads().len(), 1);
}

#[test]
fn names_are_distinct_and_read_back() {
    let kinds = [
        Kind::Score,
        Kind::Movement(0),
        Kind::Movement(1),
        Kind::Living,
    ];
    let mut forms = std::collections::BTreeSet::new();
    for kind in kinds {
        for part in [0, 1] {
            let id = DocumentId {
                orchestra: OrchestraId([1; 16]),
                kind,
                part,
            };
            assert_eq!(DocumentId::from_bytes(&id.to_bytes()), Some(id));
            assert!(forms.insert(id.to_bytes().to_vec()));
            assert!(forms.insert(node(&id, 1).0.to_vec()));
        }
    }
    assert_eq!(DocumentId::from_bytes(&[9; 25]), None);
    assert_eq!(
        score().to_string(),
        format!("{}/score.0", OrchestraId([7; 16]))
    );
    assert!(
        node(&score(), 1) < node(&score(), 2),
        "later lives sort last"
    );
    assert_ne!(
        Key::record(&ChainId::default(), 1),
        Key::record(&ChainId::default(), 2)
    );
}

#[test]
fn what_broke_takes_nothing_more_and_says_so() {
    let mut document = FactDocument::new(score());
    append(&mut document, node(&score(), 1), &["a".to_owned()]);
    document.break_unnoticed();
    assert_eq!(document.save(), Err(Poisoned));
    let entries: [(Key, &[u8]); 1] = [(key("b"), b"of an actor that wrote nothing before")];
    let appended = document.append(&node(&score(), 2), &entries);
    assert_eq!(appended, Err(WriteError::Poisoned(Poisoned)));
    assert_eq!(document.apply(&[]), Err(Poisoned));
}
