//! The laws of what an orchestra learns: any order, any repetition, pruned or not, the same view;
//! what is superseded binds no more; each agent has one voice about a remedy.

use std::collections::BTreeMap;

use proptest::prelude::*;
use unisono_core::orchestra::brief::BriefPart;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::lessons::error::ErrorForm;
use unisono_core::orchestra::lessons::limits::DECISIONS_KEPT_MAX;
use unisono_core::orchestra::view::{DecisionView, DecisionsWanted, FixMatch, Tally};
use unisono_core::orchestra::{Folds, Refold};
use unisono_core::sabotage::Sabotage;
use unisono_model::{
    Action, Code, Decide, DecideKind, Digest, IdempotencyKey, Importance, Outcome, Remedy, Stamp,
    wire,
};

use crate::folds::{claim_rules, digest};
use crate::interference::{LATER, enrolments, fact, folded, read, rules, shuffled};
use crate::loopback::Loop;

fn decide(topic: &str, kind: DecideKind, importance: Importance, supersedes: &[&Fact]) -> Action {
    let mut supersedes: Vec<Digest> = supersedes.iter().map(|fact| fact.place.record).collect();
    supersedes.sort_unstable();
    supersedes.dedup();
    Action::Decide(Box::new(Decide {
        kind,
        topic: topic.into(),
        question: String::new(),
        text: format!("as {topic} is"),
        reason: String::new(),
        importance,
        confidence_permille: 900,
        rejected: Vec::new(),
        supersedes,
    }))
}

fn remedy(error: &str) -> Action {
    Action::Remedy(Box::new(Remedy {
        form: 1,
        error: ErrorForm::of(error).text(),
        text: "do this".into(),
        cause: String::new(),
        files: Vec::new(),
    }))
}

fn outcome(remedy: &Fact, helped: bool) -> Action {
    Action::Outcome(Outcome {
        remedy: remedy.place.record,
        helped,
        text: String::new(),
    })
}

fn decisions(folds: &Folds, at_ms: u64, all: bool) -> Vec<DecisionView> {
    let wanted = DecisionsWanted {
        all,
        limit: usize::MAX,
        ..DecisionsWanted::default()
    };
    read(folds, at_ms, |reading| reading.decisions(&wanted))
}

fn tally(folds: &Folds, at_ms: u64) -> Tally {
    read(folds, at_ms, |reading| reading.remedies(1)[0].tally)
}

/// What agents learn, in numbers; some of it names what is later, or no lesson at all.
fn build(steps: &[(u8, u8, u8, u16)]) -> Vec<Fact> {
    let mut facts = enrolments(4);
    let mut at_ms = 2_000;
    for (index, (agent, kind, subject, gap)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap);
        let pick = |salt: usize| &facts[(index * 7 + salt * 3 + 1) % facts.len()];
        let importance = [Importance::Low, Importance::High][usize::from(subject % 2)];
        let topic = format!("t{}", subject % 3);
        let action = match kind % 6 {
            0 => decide(&topic, DecideKind::Decision, importance, &[]),
            1 => decide(&topic, DecideKind::DeadEnd, importance, &[pick(1)]),
            2 => decide(
                &topic,
                DecideKind::Decision,
                importance,
                &[pick(2), pick(3)],
            ),
            3 => remedy(&topic),
            _ => outcome(pick(usize::from(*subject)), subject % 4 < 2),
        };
        // Stamps are not in the order of numbers: what is named may be later.
        let stamp_ms = if subject % 7 == 0 { at_ms - 600 } else { at_ms };
        let mut made = fact(index as u64 + 10, agent % 4 + 1, stamp_ms, action);
        if subject % 3 == 0 {
            // Whoever asks for the same again does so under the same key.
            let words = Digest::of("key", &[&wire::encode(&made.body.action)]);
            let key = words.0[..16].try_into().expect("half of a digest");
            made.body.key = Some(IdempotencyKey(key));
        }
        facts.push(made);
    }
    facts
}

fn steps() -> impl Strategy<Value = Vec<(u8, u8, u8, u16)>> {
    prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), 0_u16..900), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_order_and_any_repetition_teach_the_same(steps in steps(), order in any::<u64>()) {
        let facts = build(&steps);
        let straight = folded(facts.iter());
        let other = folded(shuffled(&facts, order));
        for at_ms in [3_000, 12_000, LATER] {
            let at = Stamp::from_ms(at_ms);
            prop_assert_eq!(digest(&straight, at), digest(&other, at));
        }
    }

    #[test]
    fn pruning_forgets_nothing_that_can_still_be_told(
        steps in steps(),
        frontier in 1_000_u64..40_000,
    ) {
        let facts = build(&steps);
        let edge = Stamp::from_ms(frontier);
        let (below, above): (Vec<&Fact>, Vec<&Fact>) =
            facts.iter().partition(|fact| fact.place.stamp <= edge);
        let mut pruned = folded(below.into_iter());
        pruned.prune(edge, &claim_rules());
        for fact in above {
            pruned.insert(fact.clone(), &rules());
        }
        let whole = folded(facts.iter());
        if pruned.needs_refold().is_none() {
            for at in [edge, Stamp::from_ms(frontier + 700), Stamp::from_ms(LATER)] {
                prop_assert_eq!(digest(&whole, at), digest(&pruned, at));
            }
        }
    }

    #[test]
    fn a_lesson_from_below_a_checkpoint_is_folded_again(
        steps in steps(),
        late in any::<prop::sample::Index>(),
    ) {
        let facts = build(&steps);
        let late = late.index(facts.len());
        let mut pruned = folded(facts.iter().enumerate().filter(|(i, _)| *i != late).map(|(_, f)| f));
        pruned.prune(Stamp::from_ms(LATER - 1), &claim_rules());
        pruned.insert(facts[late].clone(), &rules());
        let again = match pruned.needs_refold() {
            Some(Refold::Everything) => folded(facts.iter()),
            Some(Refold::Topics(_)) | None => pruned,
        };
        let at = Stamp::from_ms(LATER);
        prop_assert_eq!(digest(&folded(facts.iter()), at), digest(&again, at));
    }
}

#[test]
fn a_superseded_decision_binds_until_then_and_not_after() {
    let mut facts = enrolments(4);
    let first = fact(
        10,
        1,
        2_000,
        decide("db", DecideKind::Decision, Importance::High, &[]),
    );
    let second = fact(
        11,
        2,
        3_000,
        decide("db", DecideKind::Decision, Importance::Low, &[&first]),
    );
    let dead = fact(
        12,
        2,
        3_500,
        decide("mmap", DecideKind::DeadEnd, Importance::Normal, &[]),
    );
    facts.extend([first.clone(), second.clone(), dead.clone()]);
    let folds = folded(facts.iter());
    let records = |at_ms, all| -> Vec<Digest> {
        let views = decisions(&folds, at_ms, all);
        views.iter().map(|view| view.place.record).collect()
    };
    assert_eq!(records(2_500, false), [first.place.record]);
    assert_eq!(
        records(4_000, false),
        [dead.place.record, second.place.record]
    );
    let all = decisions(&folds, 4_000, true);
    assert_eq!(all[0].place, first.place);
    assert_eq!(all[0].superseded_by, [second.place]);
    let brief = read(&folds, 4_000, |reading| reading.brief("a1", 900, None));
    let told: Vec<(BriefPart, &str)> = brief
        .lines
        .iter()
        .map(|line| (line.part, line.text.as_str()))
        .filter(|(part, _)| !matches!(part, BriefPart::You | BriefPart::Lately))
        .collect();
    assert_eq!(
        told,
        [
            (BriefPart::Decisions, "db: as db is"),
            (BriefPart::DeadEnds, "mmap: as mmap is"),
        ]
    );
}

#[test]
fn what_stands_before_a_decision_takes_no_place_of_it() {
    let mut facts = enrolments(4);
    let later = fact(
        10,
        1,
        5_000,
        decide("db", DecideKind::Decision, Importance::High, &[]),
    );
    let before = fact(
        11,
        2,
        3_000,
        decide("db", DecideKind::Decision, Importance::High, &[&later]),
    );
    facts.extend([later.clone(), before.clone()]);
    assert_eq!(decisions(&folded(facts.iter()), LATER, false).len(), 2);
}

#[test]
fn two_that_took_one_place_without_knowing_of_each_other_are_both_shown() {
    let mut facts = enrolments(4);
    let first = fact(
        10,
        1,
        2_000,
        decide("db", DecideKind::Decision, Importance::High, &[]),
    );
    let left = fact(
        11,
        2,
        3_000,
        decide("db", DecideKind::Decision, Importance::High, &[&first]),
    );
    let right = fact(
        12,
        3,
        3_001,
        decide("db", DecideKind::Decision, Importance::High, &[&first]),
    );
    facts.extend([first, left.clone(), right.clone()]);
    let folds = folded(facts.iter());
    assert_eq!(decisions(&folds, LATER, false).len(), 2);
    let all = decisions(&folds, LATER, true);
    let old = all.iter().find(|view| !view.superseded_by.is_empty());
    assert_eq!(
        old.expect("it is there").superseded_by,
        [left.place, right.place]
    );
}

/// What is found by words, in floats and by looking through all texts.
fn naive(facts: &[Fact], words: &[&str]) -> Vec<(Digest, f64)> {
    let texts: Vec<(Digest, Vec<String>)> = facts
        .iter()
        .filter_map(|fact| match &fact.body.action {
            Action::Decide(one) => {
                let text = format!("{} {}", one.topic, one.text);
                let words = text.split(' ').map(str::to_owned).collect();
                Some((fact.place.record, words))
            }
            _ => None,
        })
        .collect();
    let documents = texts.len() as f64;
    let average = texts.iter().map(|(_, text)| text.len()).sum::<usize>() as f64 / documents;
    let holding = |word: &str| {
        let has = |text: &[String]| text.iter().any(|one| one == word);
        texts.iter().filter(|(_, text)| has(text)).count() as f64
    };
    let score = |text: &[String]| {
        let each = words.iter().map(|word| {
            let count = text.iter().filter(|one| one == word).count() as f64;
            let n = holding(word);
            let rarity = (1.0 + (documents - n + 0.5) / (n + 0.5)).log2();
            let norm = 0.3 + 0.9 * text.len() as f64 / average;
            rarity * count * 2.2 / (count + norm)
        });
        each.sum::<f64>()
    };
    let scored = texts.iter().map(|(record, text)| (*record, score(text)));
    scored.filter(|(_, score)| *score > 0.0).collect()
}

proptest! {
    /// An index that follows from the texts answers what looking through them would: in any order of
    /// arrival, pruned or not, and after a restart.
    #[test]
    fn what_is_found_by_words_is_what_looking_through_all_would_find(
        steps in prop::collection::vec((0..6_usize, 0..6_usize, 0..6_usize, 1..9_usize), 1..40),
        seed in any::<u64>(),
    ) {
        let known = ["log", "index", "mmap", "file", "segment", "tears"];
        let mut facts = enrolments(2);
        for (number, (topic, first, second, often)) in steps.iter().enumerate() {
            let mut action = decide(known[*topic], DecideKind::Decision, Importance::Normal, &[]);
            let Action::Decide(one) = &mut action else { unreachable!() };
            let text = vec![known[*first]; *often].join(" ");
            one.text = format!("{text} {}", known[*second]);
            facts.push(fact(10 + number as u64, 1, 2_000 + number as u64, action));
        }
        let wanted = DecisionsWanted {
            search: Some("Mmap, log".into()),
            limit: usize::MAX,
            ..DecisionsWanted::default()
        };
        let search = |folds: &Folds| read(folds, LATER, |reading| reading.decisions(&wanted));
        let found = search(&folded(&facts));
        prop_assert_eq!(&found, &search(&folded(shuffled(&facts, seed))));
        let mut pruned = folded(&facts);
        pruned.prune(Stamp::from_ms(2_020), &claim_rules());
        prop_assert_eq!(&found, &search(&pruned));
        let mut again: Folds = wire::decode(&wire::encode(&pruned), usize::MAX).expect("its own bytes");
        again.restored(&rules(), Stamp::from_ms(LATER));
        prop_assert_eq!(&found, &search(&again));
        let naive: BTreeMap<Digest, f64> = naive(&facts, &["mmap", "log"]).into_iter().collect();
        prop_assert_eq!(found.len(), naive.len());
        for pair in found.windows(2) {
            let [first, second] = [0, 1].map(|at| naive[&pair[at].place.record]);
            prop_assert!(first >= second * 0.99, "{first} before {second}");
        }
    }
}

#[test]
fn a_flood_of_trifles_pushes_out_nothing_that_matters() {
    let mut facts = enrolments(4);
    facts.push(fact(
        9,
        1,
        1_500,
        decide("key", DecideKind::Decision, Importance::Critical, &[]),
    ));
    let flood = DECISIONS_KEPT_MAX as u64 + 50;
    for number in 0..flood {
        let trifle = decide("t", DecideKind::Decision, Importance::Low, &[]);
        facts.push(fact(10 + number, 2, 2_000 + number, trifle));
    }
    let whole = folded(facts.iter());
    let found = decisions(&whole, LATER, false);
    assert_eq!(found.len(), DECISIONS_KEPT_MAX + 1);
    assert_eq!(found[0].decide.topic, "key");
    // The same where the past was dropped half-way.
    let edge = Stamp::from_ms(2_000 + flood - 30);
    let mut pruned = folded(facts.iter().filter(|fact| fact.place.stamp <= edge));
    pruned.prune(edge, &claim_rules());
    let weight = pruned.weight();
    for fact in facts.iter().filter(|fact| fact.place.stamp > edge) {
        pruned.insert(fact.clone(), &rules());
    }
    assert!(weight < whole.weight());
    assert_eq!(found, decisions(&pruned, LATER, false));
}

#[test]
fn each_agent_has_one_voice_and_the_author_praises_nothing() {
    let mut facts = enrolments(4);
    let made = fact(10, 1, 2_000, remedy("e"));
    facts.push(made.clone());
    let said = [
        (1, 2_100, true),
        (2, 2_200, true),
        (2, 2_300, true),
        (3, 2_400, false),
    ];
    for (number, (agent, at_ms, helped)) in said.into_iter().enumerate() {
        facts.push(fact(
            20 + number as u64,
            agent,
            at_ms,
            outcome(&made, helped),
        ));
    }
    let folds = folded(facts.iter());
    let (helped, failed) = (1, 1);
    assert_eq!(tally(&folds, LATER), Tally { helped, failed });
    assert_eq!(tally(&folds, LATER).trust_permille(), 500);
    // Whoever changes its mind is heard with its latest word; the author may say that it failed.
    facts.push(fact(30, 3, 2_500, outcome(&made, true)));
    facts.push(fact(31, 1, 2_600, outcome(&made, false)));
    let (helped, failed) = (2, 1);
    assert_eq!(
        tally(&folded(facts.iter()), LATER),
        Tally { helped, failed }
    );
    // The planted fault counts every word.
    let mut rules = rules();
    rules.sabotage = Sabotage {
        outcomes_doubled: true,
        ..Sabotage::default()
    };
    let mut broken = Folds::default();
    for fact in &facts {
        broken.insert(fact.clone(), &rules);
    }
    assert_ne!(tally(&broken, LATER), Tally { helped, failed });
}

#[test]
fn the_most_promising_fix_comes_first_also_after_a_checkpoint() {
    let mut facts = enrolments(4);
    let texts = [
        "error[E0382]: borrow of moved value: `queue`",
        "error[E0382]: borrow of moved value: `index`",
        "error[E0382]: borrow of a moved value, partially: `index`",
        "ValueError: no room",
    ];
    for (number, text) in texts.into_iter().enumerate() {
        facts.push(fact(
            10 + number as u64,
            1,
            2_000 + number as u64,
            remedy(text),
        ));
    }
    facts.push(fact(20, 2, 3_000, outcome(&facts[5].clone(), false)));
    let folds = folded(facts.iter());
    let told = |folds: &Folds, limit| {
        let view = read(folds, LATER, |reading| {
            reading.fixes("error[E0382]: borrow of moved value: `queue`", limit)
        });
        let fixes = view.fixes.into_iter();
        fixes
            .map(|fix| (fix.remedy.place, fix.how, fix.confidence_permille))
            .collect::<Vec<_>>()
    };
    let all = told(&folds, usize::MAX);
    // A new one is trusted by half, one that has failed once by a third.
    assert_eq!(all[0], (facts[4].place, FixMatch::Same, 500));
    let kind = (facts[5].place, FixMatch::Kind, 266);
    assert!(all.contains(&kind), "{all:?}");
    assert!(
        all.iter().any(|(_, how, _)| *how == FixMatch::Alike),
        "{all:?}"
    );
    assert!(all.is_sorted_by(|one, next| one.2 >= next.2), "{all:?}");
    assert!(!all.iter().any(|(place, ..)| *place == facts[7].place));
    assert_eq!(told(&folds, 1), all[..1]);
    let mut again: Folds = wire::decode(&wire::encode(&folds), usize::MAX).expect("it was encoded");
    again.restored(&rules(), Stamp::from_ms(LATER));
    assert_eq!(told(&again, usize::MAX), all);
}

#[test]
fn decisions_are_found_by_their_words() {
    let mut facts = enrolments(4);
    for (number, topic) in ["the log", "the index", "one log, and another log"]
        .into_iter()
        .enumerate()
    {
        let decide = decide(topic, DecideKind::Decision, Importance::Normal, &[]);
        facts.push(fact(10 + number as u64, 1, 2_000 + number as u64, decide));
    }
    let folds = folded(facts.iter());
    let found = |words: &str| {
        let wanted = DecisionsWanted {
            search: Some(words.into()),
            limit: 10,
            ..DecisionsWanted::default()
        };
        let views = read(&folds, LATER, |reading| reading.decisions(&wanted));
        views.iter().map(|view| view.place).collect::<Vec<_>>()
    };
    assert_eq!(found("LOG"), [facts[6].place, facts[4].place]);
    assert_eq!(found("index"), [facts[5].place]);
    assert!(found("nothing at all").is_empty());
}

#[test]
fn what_names_nothing_that_is_there_is_refused() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let nothing = fact(1, 1, 1, remedy("ValueError: no room"));
    let mut refused = |action: Action| match world.act(0, "ada", action) {
        Ok(answer) => panic!("{answer:?}"),
        Err(rejection) => rejection.code,
    };
    let unknown = decide("db", DecideKind::Decision, Importance::Low, &[&nothing]);
    assert_eq!(refused(unknown), Code::DecisionUnknown);
    assert_eq!(refused(outcome(&nothing, true)), Code::RemedyUnknown);
    // Neither a text that is not its own form nor a form of another version is found by anybody.
    let Action::Remedy(good) = remedy("ValueError: no room") else {
        panic!("a remedy")
    };
    let mut other = good.clone();
    other.error = "ValueError: no room".into();
    assert_eq!(refused(Action::Remedy(other)), Code::Malformed);
    let mut other = good.clone();
    other.form = 2;
    assert_eq!(refused(Action::Remedy(other)), Code::Malformed);
    let record =
        |answer: Result<unisono_core::node::Answer, _>| match answer.expect("it is taken").body {
            unisono_core::node::AnswerBody::Recorded(done) => done.place.record,
            other => panic!("{other:?}"),
        };
    let remedy = record(world.act(0, "ada", Action::Remedy(good)));
    let helped = Outcome {
        remedy,
        helped: true,
        text: String::new(),
    };
    record(world.act(0, "ada", Action::Outcome(helped)));
    let first = record(world.act(
        0,
        "ada",
        decide("db", DecideKind::Decision, Importance::Low, &[]),
    ));
    let supersede = || {
        let mut action = decide("db", DecideKind::Decision, Importance::Low, &[]);
        if let Action::Decide(decide) = &mut action {
            decide.supersedes.push(first);
        }
        action
    };
    record(world.act(0, "ada", supersede()));
    let again = world
        .act(0, "ada", supersede())
        .expect_err("it is superseded");
    assert_eq!(again.code, Code::DecisionSuperseded);
}
