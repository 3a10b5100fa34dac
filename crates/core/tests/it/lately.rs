//! What an agent touched last is told when it wakes up: each thing once, the latest first, the same
//! in any order of arrival, pruned or not, as of any moment.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use unisono_core::orchestra::Folds;
use unisono_core::orchestra::brief::BriefPart;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::lately::limits::TOUCHED_MAX;
use unisono_model::{
    Action, AgentId, FieldChange, FieldValue, Mark, Place, Relation, SignalKind, Stamp, TaskChange,
    TaskStatus,
};

use crate::folds::digest;
use crate::interference::{
    LATER, claim, claim_rules, enrolments, fact, folded, read, rules, shuffled, signal,
};

fn task(name: &str, values: Vec<FieldValue>) -> Action {
    let field = |value| FieldChange {
        value,
        replaces: Vec::new(),
    };
    Action::Task(TaskChange {
        task: name.into(),
        fields: values.into_iter().map(field).collect(),
        evidence: None,
    })
}

fn mark(about: &str, text: &str) -> Action {
    Action::Mark(Mark {
        about: about.into(),
        text: text.into(),
        reasoning: String::new(),
        tags: Vec::new(),
        evidence: Vec::new(),
    })
}

fn lately(folds: &Folds, name: &str, at_ms: u64, since: Option<Stamp>) -> Vec<String> {
    let brief = read(folds, at_ms, |reading| reading.gather(name, since));
    let own = brief.lines.into_iter();
    own.filter(|line| line.part == BriefPart::Lately)
        .map(|line| line.text)
        .collect()
}

/// The brief of an agent of a real fleet told 5 to 14 % of the tasks to which it turned next, and
/// its own last lines twice as much: the brief did not say what its agent had touched.
#[test]
fn a_brief_tells_what_its_agent_touched_last() {
    let mut facts = enrolments(2);
    let made = |title: &str| {
        vec![
            FieldValue::Created("bug".into()),
            FieldValue::Title(title.into()),
        ]
    };
    facts.push(fact(10, 1, 2_000, task("t-1", made("the first"))));
    facts.push(fact(11, 1, 3_000, task("t-2", made("the second"))));
    facts.push(fact(12, 2, 4_000, task("t-3", made("of somebody else"))));
    facts.push(fact(
        13,
        1,
        5_000,
        signal(SignalKind::Intent, "parser", "a faster one", LATER),
    ));
    let closed = vec![FieldValue::Status(TaskStatus::Closed)];
    facts.push(fact(14, 1, 6_000, task("t-1", closed)));
    facts.push(fact(15, 1, 7_000, mark("release", "notes are written")));
    facts.push(fact(16, 1, 8_000, claim("src/held.rs")));
    let linked = vec![FieldValue::Link {
        on: "t-3".into(),
        relation: Relation::Related,
        stands: true,
    }];
    facts.push(fact(17, 1, 9_000, task("t-2", linked)));
    let folds = folded(&facts);
    let told = lately(&folds, "a1", 10_000, None);
    let expected = [
        "t-3: of somebody else",
        "t-2: the second",
        "release: notes are written",
        "t-1: the first [closed]",
        "parser: a faster one",
    ];
    assert_eq!(told, expected, "what is held is told elsewhere");
    let earlier = lately(&folds, "a1", 5_500, None);
    let expected = ["parser: a faster one", "t-2: the second", "t-1: the first"];
    assert_eq!(earlier, expected, "as of a moment");
    let since = lately(&folds, "a1", 10_000, Some(Stamp::from_ms(6_500)));
    let expected = [
        "t-3: of somebody else",
        "t-2: the second",
        "src/held.rs: claimed",
        "release: notes are written",
    ];
    assert_eq!(since, expected, "what is new since a moment");
}

/// An agent that touches more than anybody reads costs no more memory, and is told the latest.
#[test]
fn what_is_remembered_of_an_agent_is_bounded() {
    let mut folds = folded(&enrolments(1));
    let before = folds.weight();
    for n in 0..20_000_u64 {
        let name = format!("topic-{:05}", n % 5_000);
        folds.insert(fact(100 + n, 1, 2_000 + n, mark(&name, "")), &rules());
    }
    folds.prune(Stamp::from_ms(30_000), &claim_rules());
    let more = folds.weight() - before;
    assert!(more < 20_000 / 8 + 1_000, "{more} values are kept");
    let told = lately(&folds, "a1", 30_000, None);
    let expected: Vec<String> = (0..TOUCHED_MAX)
        .map(|n| format!("topic-{:05}", 4_999 - n))
        .collect();
    assert_eq!(told, expected);
}

fn build(steps: &[(u8, u8, u8, u8)]) -> Vec<Fact> {
    let mut facts = enrolments(3);
    let mut at_ms = 2_000;
    for (index, (agent, kind, subject, gap)) in steps.iter().enumerate() {
        at_ms += u64::from(*gap % 4) * 50;
        let name = format!("n{}", subject % 90);
        let action = match kind % 5 {
            0 => signal(SignalKind::Intent, &name, "words", LATER),
            1 => mark(&name, "done"),
            2 => task(&name, vec![FieldValue::Remark(format!("remark {subject}"))]),
            3 => {
                let on = format!("n{}", subject / 3);
                let relation = Relation::Related;
                let stands = true;
                task(
                    &name,
                    vec![FieldValue::Link {
                        on,
                        relation,
                        stands,
                    }],
                )
            }
            _ => claim(&name),
        };
        facts.push(fact(index as u64 + 10, agent % 3 + 1, at_ms, action));
    }
    facts
}

/// What one agent touched as of a moment, naively.
fn naive(facts: &[Fact], agent: u8, at_ms: u64) -> Vec<(Place, String)> {
    let mut last: BTreeMap<String, Place> = BTreeMap::new();
    let own = facts.iter().filter(|one| {
        one.agent == AgentId([agent; 32]) && one.place.stamp <= Stamp::from_ms(at_ms)
    });
    for one in own {
        let mut names = BTreeSet::new();
        match &one.body.action {
            Action::Signal(signal) => drop(names.insert(signal.topic.clone())),
            Action::Mark(mark) => drop(names.insert(mark.about.clone())),
            Action::Claim { topic, .. } => drop(names.insert(topic.clone())),
            Action::Task(change) => {
                names.insert(change.task.clone());
                for field in &change.fields {
                    if let FieldValue::Link { on, .. } = &field.value {
                        names.insert(on.clone());
                    }
                }
            }
            _ => {}
        }
        for name in names {
            let place = last.entry(name).or_insert(one.place);
            *place = (*place).max(one.place);
        }
    }
    let mut told: Vec<(Place, String)> = last.into_iter().map(|(name, at)| (at, name)).collect();
    told.sort_unstable_by(|one, other| other.cmp(one));
    told.truncate(TOUCHED_MAX);
    told
}

fn shown(folds: &Folds, agent: u8, at_ms: u64) -> Vec<(Place, String)> {
    let since = Some(Stamp::MIN);
    let brief = read(folds, at_ms, |reading| {
        reading.gather(&format!("a{agent}"), since)
    });
    let own = brief.lines.into_iter();
    own.filter(|line| line.part == BriefPart::Lately)
        .map(|line| {
            let stamp = line.since;
            let record = line.record.expect("it comes from a record");
            let name = line.text.split(':').next().unwrap_or_default();
            (Place { stamp, record }, name.to_owned())
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_and_any_pruning_remember_the_same(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>(), any::<u8>()), 1..320),
        frontier in 1_500_u64..30_000,
        late in any::<prop::sample::Index>(),
        order in any::<u64>(),
    ) {
        let facts = build(&steps);
        let whole = folded(shuffled(&facts, order));
        // One record from below comes after the pruning.
        let late = late.index(facts.len());
        let edge = Stamp::from_ms(frontier);
        let mut pruned = Folds::default();
        let below = |index: usize, one: &Fact| index != late && one.place.stamp <= edge;
        for (index, one) in facts.iter().enumerate() {
            if below(index, one) {
                pruned.insert(one.clone(), &rules());
            }
        }
        pruned.prune(edge, &claim_rules());
        for (index, one) in facts.iter().enumerate() {
            if !below(index, one) {
                pruned.insert(one.clone(), &rules());
            }
        }
        if pruned.needs_refold().is_some() {
            pruned = folded(&facts);
        }
        let last = facts.last().map_or(0, |one| one.place.stamp.as_ms());
        for at_ms in [last / 2 + 1_000, last, last + 5_000] {
            for agent in 1..=3 {
                let truth = naive(&facts, agent, at_ms);
                prop_assert_eq!(&shown(&whole, agent, at_ms), &truth);
                if at_ms >= frontier {
                    prop_assert_eq!(&shown(&pruned, agent, at_ms), &truth);
                }
            }
            let at = Stamp::from_ms(at_ms);
            prop_assert_eq!(digest(&whole, at), digest(&folded(&facts), at));
        }
    }
}
