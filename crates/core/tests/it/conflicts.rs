//! What a field shows that several wrote at once: by the setting of that field as of the moment, the
//! same in any order of arrival; all values stay listed with their authors; and what cannot be merged
//! falls back to asking.

use proptest::prelude::*;
use unisono_core::node::Question;
use unisono_core::orchestra::conflict::Strategy;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::view::{BriefPart, ConflictView, DriftKind, TaskView, View};
use unisono_model::{
    Action, Code, FieldChange, FieldValue, Relation, Setting, Stamp, TaskChange, TaskStatus, limits,
};

use crate::folds::digest;
use crate::interference::{enrolments, fact, folded, read, shuffled};
use crate::loopback::Loop;

const FIELDS: [Setting; 7] = [
    Setting::TitleConflict,
    Setting::DescriptionConflict,
    Setting::StatusConflict,
    Setting::PriorityConflict,
    Setting::AssigneeConflict,
    Setting::LabelsConflict,
    Setting::LinkConflict,
];

fn write(value: FieldValue) -> Action {
    Action::Task(TaskChange {
        task: "t".into(),
        fields: vec![FieldChange {
            value,
            replaces: Vec::new(),
        }],
        evidence: None,
    })
}

fn set(setting: Setting, number: u64) -> Action {
    Action::Settings(vec![(setting, number)])
}

fn task(folds: &unisono_core::orchestra::Folds, at_ms: u64) -> TaskView {
    read(folds, at_ms, |reading| reading.task("t")).expect("it is there")
}

/// Two agents, cut off from each other, each write a value; then somebody says what is to be done.
fn written(first: FieldValue, second: FieldValue, then: Option<(Setting, u64)>) -> Vec<Fact> {
    let mut facts = enrolments(2);
    facts.push(fact(10, 1, 2_000, write(FieldValue::Created("bug".into()))));
    facts.push(fact(11, 1, 3_000, write(first)));
    facts.push(fact(12, 2, 4_000, write(second)));
    facts.extend(then.map(|(setting, number)| fact(13, 1, 5_000, set(setting, number))));
    facts
}

fn shown(first: FieldValue, second: FieldValue, setting: Setting, number: u64) -> TaskView {
    let facts = written(first, second, Some((setting, number)));
    task(&folded(&facts), 9_000)
}

fn split(view: &TaskView) -> &ConflictView {
    assert_eq!(
        view.conflicts.len(),
        1,
        "what stands side by side is listed"
    );
    let split = &view.conflicts[0];
    assert_eq!(split.values.len(), 2);
    let authors: Vec<u8> = split
        .values
        .iter()
        .map(|(_, agent, _)| agent.0[0])
        .collect();
    assert_eq!(authors, [1, 2], "each value with its author, in order");
    split
}

fn title(words: &str) -> FieldValue {
    FieldValue::Title(words.into())
}

#[test]
fn each_strategy_shows_what_it_says() {
    let titles = [
        (0, "one", false),
        (1, "one", true),
        (2, "two", true),
        (3, "one / two", true),
        (77, "one", false),
    ];
    for (number, words, decided) in titles {
        let view = shown(title("one"), title("two"), Setting::TitleConflict, number);
        assert_eq!(view.title, words, "strategy {number}");
        let split = split(&view);
        assert_eq!(split.decided, decided, "strategy {number}");
        assert_eq!(split.strategy, Strategy::of_number(number));
        assert_eq!(
            view.heads
                .iter()
                .filter(|(_, heads)| heads.len() == 2)
                .count(),
            1
        );
    }
}

#[test]
fn a_merge_keeps_what_each_has_said() {
    let merged = |one, other, setting| shown(one, other, setting, 3);
    let words = |text: &str| FieldValue::Description(text.into());
    let view = merged(
        words("goal\n\nnotes\n\nend"),
        words("goal\nmore"),
        Setting::DescriptionConflict,
    );
    assert_eq!(view.description, "goal\n\nnotes\n\nend\nmore");
    let code = "fn a() {\n    x();\n}\n\nfn b() {\n    y();\n}\n";
    let other = "fn a() {\n    x();\n}\n\nfn c() {\n    z();\n    z();\n}\n";
    let view = merged(words(code), words(other), Setting::DescriptionConflict);
    assert_eq!(
        view.description,
        "fn a() {\n    x();\n}\n\nfn b() {\n    y();\nfn c() {\n    z();\n    z();\n}\n",
    );
    let view = merged(
        words("a"),
        words("b\n\nb\n\nb"),
        Setting::DescriptionConflict,
    );
    assert_eq!(view.description, "a\nb\n\nb\n\nb");
    let view = merged(words(""), words("\nb"), Setting::DescriptionConflict);
    assert_eq!(view.description, "\nb", "what is empty has no part in it");
    let labels = |labels: &[&str]| FieldValue::Labels(labels.iter().map(|l| (*l).into()).collect());
    let view = merged(
        labels(&["a", "b"]),
        labels(&["b", "c"]),
        Setting::LabelsConflict,
    );
    assert_eq!(view.labels, ["a", "b", "c"]);
    let view = merged(
        FieldValue::Priority(3),
        FieldValue::Priority(1),
        Setting::PriorityConflict,
    );
    assert_eq!(view.priority, Some(1), "the more urgent");
    let view = merged(
        FieldValue::Status(TaskStatus::Closed),
        FieldValue::Status(TaskStatus::InProgress),
        Setting::StatusConflict,
    );
    assert_eq!(
        view.status,
        Some(TaskStatus::InProgress),
        "what leaves more to do"
    );
    let link = |stands| FieldValue::Link {
        on: "other".into(),
        relation: Relation::Blocks,
        stands,
    };
    let view = merged(link(false), link(true), Setting::LinkConflict);
    assert_eq!(
        view.blocked_by,
        ["other"],
        "a relation that anybody sets stands"
    );
}

/// What a record could not say is not shown either: the first writer's value is, the reason is told,
/// and the writers are asked.
#[test]
fn a_merge_that_is_no_value_falls_back_to_asking() {
    let many = |from: usize| {
        let labels = (from..from + limits::TAGS_MAX - 2).map(|n| format!("label-{n}"));
        FieldValue::Labels(labels.collect())
    };
    let long = |letter: &str| title(&letter.repeat(limits::TEXT_BYTES_MAX - 1));
    let lines = |word: &str| {
        let lines: Vec<String> = (0..300).map(|n| format!("{word}{n}")).collect();
        FieldValue::Description(lines.join("\n"))
    };
    let name = |who: &str| FieldValue::Assignee(who.into());
    let cases = [
        (many(0), many(100), Setting::LabelsConflict),
        (long("a"), long("b"), Setting::TitleConflict),
        (lines("a"), lines("b"), Setting::DescriptionConflict),
        (name("a1"), name("a2"), Setting::AssigneeConflict),
    ];
    for (first, second, setting) in cases {
        let facts = written(first.clone(), second, Some((setting, 3)));
        let folds = folded(&facts);
        let view = task(&folds, 9_000);
        let split = split(&view);
        assert!(!split.decided && split.fell_back.is_some(), "{split:?}");
        match first {
            FieldValue::Labels(labels) => assert_eq!(view.labels, labels),
            FieldValue::Title(title) => assert_eq!(view.title, title),
            FieldValue::Description(words) => assert_eq!(view.description, words),
            FieldValue::Assignee(who) => assert_eq!(view.assignee, who),
            other => panic!("{other:?}"),
        }
        let drift = read(&folds, 9_000, |reading| reading.coherence().drift);
        let apart = |one: &&unisono_core::orchestra::view::DriftView| {
            one.kind == DriftKind::ContextDivergence
        };
        assert_eq!(
            drift.iter().filter(apart).count(),
            1,
            "the writers are told"
        );
    }
}

/// Of many lines only those that differ are held against each other.
#[test]
fn long_texts_that_differ_in_little_are_merged() {
    let text = |own: &str| {
        let lines: Vec<String> = (0..2_000).map(|n| format!("{n}")).collect();
        let (one, other) = lines.split_at(1_000);
        let all = [one.join("\n"), own.to_owned(), other.join("\n")];
        all.join("\n")
    };
    let words = |own: &str| FieldValue::Description(text(own));
    let view = shown(
        words("one"),
        words("two\ntwo"),
        Setting::DescriptionConflict,
        3,
    );
    assert!(split(&view).decided);
    assert_eq!(view.description, text("one\ntwo\ntwo"));
}

/// Values beyond what one change could replace are not merged: whoever lies makes nobody busy.
#[test]
fn more_values_than_a_change_replaces_are_not_merged() {
    let mut facts = written(title("a"), title("b"), Some((Setting::TitleConflict, 3)));
    for number in 0..200 {
        facts.push(fact(
            100 + number,
            2,
            5_000 + number,
            write(title(&format!("{number}"))),
        ));
    }
    let view = task(&folded(&facts), 90_000);
    assert_eq!(view.title, "a");
    assert!(view.conflicts[0].fell_back.is_some());
}

#[test]
fn what_a_strategy_has_decided_is_no_drift_and_asks_nobody() {
    for (number, drifts) in [(0, 1), (1, 0), (2, 0), (3, 0)] {
        let mut facts = written(title("one"), title("two"), None);
        facts.push(fact(13, 1, 4_500, write(FieldValue::Assignee("a1".into()))));
        facts.push(fact(14, 1, 5_000, set(Setting::TitleConflict, number)));
        let folds = folded(&facts);
        let (drift, brief) = read(&folds, 9_000, |reading| {
            (reading.coherence().drift, reading.gather("a1", None))
        });
        let apart = drift
            .iter()
            .filter(|one| one.kind == DriftKind::ContextDivergence);
        assert_eq!(apart.count(), drifts, "strategy {number}");
        let asked = brief
            .lines
            .iter()
            .filter(|line| line.part == BriefPart::Blockers);
        assert_eq!(asked.count(), drifts, "strategy {number}");
    }
}

/// A view of before goes by the strategy of before, and a later change replaces all values.
#[test]
fn a_strategy_counts_from_its_stamp_on() {
    let mut facts = written(
        title("one"),
        title("two"),
        Some((Setting::TitleConflict, 2)),
    );
    let heads = vec![facts[3].place.record, facts[4].place.record];
    let replace = Action::Task(TaskChange {
        task: "t".into(),
        fields: vec![FieldChange {
            value: title("agreed"),
            replaces: heads,
        }],
        evidence: None,
    });
    facts.push(fact(14, 1, 7_000, replace));
    let folds = folded(&facts);
    assert_eq!(task(&folds, 4_500).title, "one");
    assert_eq!(task(&folds, 6_000).title, "two");
    let view = task(&folds, 8_000);
    assert_eq!(view.title, "agreed");
    assert!(view.conflicts.is_empty());
}

#[test]
fn a_strategy_that_nobody_knows_is_refused() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    for setting in FIELDS {
        let refused = world.act(0, "ada", set(setting, 4)).expect_err("unknown");
        assert_eq!(refused.code, Code::Malformed);
        assert!(
            refused.detail.contains("nothing changed"),
            "{}",
            refused.detail
        );
    }
    world
        .act(0, "ada", set(Setting::TitleConflict, 3))
        .expect("set");
    let Ok(View::Settings(settings)) = world.view(0, Question::Settings) else {
        panic!("no settings");
    };
    assert_eq!(settings[&Setting::TitleConflict], 3);
    assert_eq!(settings[&Setting::LabelsConflict], 0);
}

fn value(kind: u8, number: u8) -> FieldValue {
    match kind % 7 {
        0 => title(&format!("title {}", number % 4)),
        1 => {
            let lines = ["same", "", "same", "line"];
            let lines = (0..6).map(|n| lines[usize::from(number >> n) % 4]);
            FieldValue::Description(lines.collect::<Vec<_>>().join("\n"))
        }
        2 => FieldValue::Status(
            [
                TaskStatus::Open,
                TaskStatus::Blocked,
                TaskStatus::Closed,
                TaskStatus::Deleted,
            ][usize::from(number % 4)],
        ),
        3 => FieldValue::Priority(number % 5),
        4 => FieldValue::Assignee(format!("a{}", number % 4)),
        5 => FieldValue::Labels(vec![format!("l{}", number % 5), "l".into()]),
        _ => FieldValue::Link {
            on: "other".into(),
            relation: Relation::Blocks,
            stands: !number.is_multiple_of(2),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_order_of_values_and_strategies_shows_the_same(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..40),
        order in any::<u64>(),
    ) {
        let mut facts = enrolments(4);
        facts.push(fact(9, 1, 1_500, write(FieldValue::Created("bug".into()))));
        for (index, (agent, kind, number)) in steps.iter().enumerate() {
            let action = if kind % 5 == 0 {
                set(FIELDS[usize::from(number % 7)], u64::from(number / 7 % 5))
            } else {
                write(value(kind / 5, *number))
            };
            let at_ms = 2_000 + index as u64 * 10;
            facts.push(fact(index as u64 + 10, agent % 4 + 1, at_ms, action));
        }
        let (straight, other) = (folded(&facts), folded(shuffled(&facts, order)));
        for at_ms in [2_050, 2_200, 9_000] {
            prop_assert_eq!(task(&straight, at_ms), task(&other, at_ms));
            let at = Stamp::from_ms(at_ms);
            prop_assert_eq!(digest(&straight, at), digest(&other, at));
        }
    }

    /// Repeated and blank lines were lost: only lines that no earlier text had were appended.
    #[test]
    fn each_description_stands_whole_in_what_they_are_merged_into(
        texts in prop::collection::vec("([ab]?\n){0,9}[abc]?", 2..6),
    ) {
        let mut facts = enrolments(2);
        facts.push(fact(9, 1, 1_500, write(FieldValue::Created("bug".into()))));
        facts.push(fact(10, 1, 1_600, set(Setting::DescriptionConflict, 3)));
        for (text, number) in texts.iter().zip(11..) {
            let value = FieldValue::Description(text.clone());
            facts.push(fact(number, 1, 2_000 + number, write(value)));
        }
        let view = task(&folded(&facts), 9_000);
        for text in texts.iter().filter(|text| !text.is_empty()) {
            let mut told = view.description.split('\n');
            let whole = text.split('\n').all(|line| told.any(|one| one == line));
            prop_assert!(whole, "{:?} in {:?}", text, view.description);
        }
        let most: usize = texts.iter().map(|text| text.split('\n').count()).sum();
        prop_assert!(view.description.split('\n').count() <= most);
        prop_assert!(view.conflicts.iter().all(|split| split.decided));
    }
}
