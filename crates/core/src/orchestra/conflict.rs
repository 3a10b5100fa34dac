//! What a task's field shows when several wrote it at once: that is a setting of the field, and all
//! values stay listed with their authors until a change replaces them.
//!
//! | strategy | shows | settled |
//! |---|---|---|
//! | ask | the first writer's value | no: the authors are told, until one of them writes again |
//! | first | the first writer's value | yes |
//! | last | the last writer's value | yes |
//! | merge | all of them as one | yes, if a record could say it; else as ask, with the reason |
//!
//! First and last are by (stamp, digest), so that equal records give equal values in any order of
//! arrival. Nothing is written: a view of an earlier moment goes by the settings of that moment.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Field, FieldValue, Place, Setting, TaskStatus, check, limits};

mod lines;

/// What is done about values of one field that were written at once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Strategy {
    /// The first writer's value is shown, and its authors are asked.
    #[default]
    Ask,
    /// The first writer's value counts.
    First,
    /// The last writer's value counts.
    Last,
    /// All values become one.
    Merge,
}

impl Strategy {
    /// The strategy of a setting's number; asking is what is safe for numbers that nobody knows.
    pub fn of_number(number: u64) -> Self {
        match number {
            1 => Self::First,
            2 => Self::Last,
            3 => Self::Merge,
            _ => Self::Ask,
        }
    }

    /// The highest number that means something.
    pub const NUMBER_MAX: u64 = 3;
}

/// The strategies of all fields as of a stamp.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Strategies {
    title: Strategy,
    description: Strategy,
    status: Strategy,
    priority: Strategy,
    assignee: Strategy,
    labels: Strategy,
    link: Strategy,
}

impl Strategies {
    /// What the settings say.
    pub fn new(number: impl Fn(Setting) -> u64) -> Self {
        let of = |setting| Strategy::of_number(number(setting));
        Self {
            title: of(Setting::TitleConflict),
            description: of(Setting::DescriptionConflict),
            status: of(Setting::StatusConflict),
            priority: of(Setting::PriorityConflict),
            assignee: of(Setting::AssigneeConflict),
            labels: of(Setting::LabelsConflict),
            link: of(Setting::LinkConflict),
        }
    }

    /// The strategy of a field.
    pub fn of(&self, field: &Field) -> Strategy {
        match field {
            Field::Title => self.title,
            Field::Description => self.description,
            Field::Status => self.status,
            Field::Priority => self.priority,
            Field::Assignee => self.assignee,
            Field::Labels => self.labels,
            Field::Link(..) => self.link,
            // What a task is of is said when it is made; remarks stand side by side.
            Field::Created | Field::Remark => Strategy::Ask,
        }
    }
}

/// What a field shows.
#[derive(Clone, Debug)]
pub struct Settled<'a> {
    /// The record whose value it is; of what was merged, the first that has part in it.
    pub place: Place,
    /// The value.
    pub value: Cow<'a, FieldValue>,
    /// Whether the strategy has decided, so that nobody is asked.
    pub decided: bool,
    /// Why a merge was not possible, if one was wanted.
    pub fell_back: Option<&'static str>,
}

/// What a field shows of the values that stand, in order; nothing where none does.
pub fn settle<'a>(heads: &[(Place, &'a FieldValue)], strategy: Strategy) -> Option<Settled<'a>> {
    let (first, last) = (heads.first()?, heads.last()?);
    let plain = |(place, value): &(Place, &'a FieldValue), decided| Settled {
        place: *place,
        value: Cow::Borrowed(*value),
        decided,
        fell_back: None,
    };
    if heads.iter().all(|(_, value)| *value == first.1) {
        // Who writes the same at once agrees.
        return Some(plain(first, true));
    }
    Some(match strategy {
        Strategy::Ask => plain(first, false),
        Strategy::First => plain(first, true),
        Strategy::Last => plain(last, true),
        Strategy::Merge => match merge(heads) {
            Ok((place, value)) => Settled {
                place,
                value: Cow::Owned(value),
                decided: true,
                fell_back: None,
            },
            Err(why) => Settled {
                fell_back: Some(why),
                ..plain(first, false)
            },
        },
    })
}

/// All values as one, held to the limits of a record.
fn merge(heads: &[(Place, &FieldValue)]) -> Result<(Place, FieldValue), &'static str> {
    if heads.len() > limits::REPLACES_MAX {
        // As many as one change can replace: nobody who lies makes everybody merge without end.
        return Err("they are more than one change could replace");
    }
    let values = || heads.iter().map(|(_, value)| *value);
    let first = heads.first().ok_or("nothing stands")?;
    let mut place = first.0;
    let merged = match first.1 {
        FieldValue::Title(_) => FieldValue::Title(joined(values(), " / ")),
        FieldValue::Description(_) => FieldValue::Description(lines::merged(values().map(words))?),
        FieldValue::Labels(_) => FieldValue::Labels(labels(values())),
        FieldValue::Priority(_) => {
            let named = values().filter_map(|value| match value {
                FieldValue::Priority(priority) => Some(*priority),
                _ => None,
            });
            FieldValue::Priority(named.min().ok_or("nothing stands")?)
        }
        FieldValue::Status(_) => {
            let named = values().filter_map(|value| match value {
                FieldValue::Status(status) => Some(*status),
                _ => None,
            });
            let least = named.min_by_key(|status| how_far(*status));
            FieldValue::Status(least.ok_or("nothing stands")?)
        }
        FieldValue::Link { .. } => {
            // A relation that anybody sets stands: it is easier to lift one than to miss one.
            let sets = |value: &FieldValue| matches!(value, FieldValue::Link { stands: true, .. });
            let set = heads.iter().find(|(_, value)| sets(value));
            let (at, value) = set.unwrap_or(first);
            place = *at;
            (*value).clone()
        }
        FieldValue::Assignee(_) => return Err("two agents cannot become one"),
        FieldValue::Created(_) | FieldValue::Remark(_) => return Err("this field is not merged"),
    };
    match check::value(&merged) {
        Ok(()) => Ok((place, merged)),
        Err(_) => Err("together they are more than a record may say"),
    }
}

/// How far a task has come: of two, the one that leaves more to do is the safe one.
fn how_far(status: TaskStatus) -> u8 {
    match status {
        TaskStatus::Blocked => 0,
        TaskStatus::InProgress => 1,
        TaskStatus::Open => 2,
        TaskStatus::Deferred => 3,
        TaskStatus::Closed => 4,
        TaskStatus::Deleted => 5,
    }
}

fn words(value: &FieldValue) -> &str {
    match value {
        FieldValue::Title(words) | FieldValue::Description(words) => words,
        _ => "",
    }
}

/// Each text once, in order.
fn joined<'a>(values: impl Iterator<Item = &'a FieldValue>, between: &str) -> String {
    let mut told: Vec<&str> = Vec::new();
    for text in values.map(words) {
        if !text.is_empty() && !told.contains(&text) {
            told.push(text);
        }
    }
    told.join(between)
}

/// Each label once, in order.
fn labels<'a>(values: impl Iterator<Item = &'a FieldValue>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for value in values {
        let FieldValue::Labels(labels) = value else {
            continue;
        };
        for label in labels {
            if !told.contains(label) {
                told.push(label.clone());
            }
        }
    }
    told
}
