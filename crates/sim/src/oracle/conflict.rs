//! What a field shows that several wrote at once, naively: by the last setting of that field.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Field, FieldValue, Place, Setting, TaskStatus, limits};

use super::interference::setting;
use super::logs::Fact;

/// What a field shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shown {
    /// Whose value it is, or who has the first part in it.
    pub place: Place,
    /// The value.
    pub value: FieldValue,
    /// Whether nobody is asked.
    pub decided: bool,
}

/// The number of a field's strategy by the facts up to a moment: 0 asks.
pub(super) fn strategy(facts: &[&Fact], field: &Field) -> u64 {
    let wanted = match field {
        Field::Title => Setting::TitleConflict,
        Field::Description => Setting::DescriptionConflict,
        Field::Status => Setting::StatusConflict,
        Field::Priority => Setting::PriorityConflict,
        Field::Assignee => Setting::AssigneeConflict,
        Field::Labels => Setting::LabelsConflict,
        Field::Link(..) => Setting::LinkConflict,
        Field::Created | Field::Remark => return 0,
    };
    setting(facts, wanted, 0)
}

/// What is shown of values that stand, in order.
pub(super) fn shown(values: &[(Place, FieldValue)], strategy: u64) -> Shown {
    let one = |(place, value): &(Place, FieldValue), decided| Shown {
        place: *place,
        value: value.clone(),
        decided,
    };
    let (first, last) = (&values[0], &values[values.len() - 1]);
    if values.iter().all(|(_, value)| *value == first.1) {
        return one(first, true);
    }
    match strategy {
        1 => one(first, true),
        2 => one(last, true),
        3 => merged(values).unwrap_or_else(|| one(first, false)),
        _ => one(first, false),
    }
}

fn merged(values: &[(Place, FieldValue)]) -> Option<Shown> {
    if values.len() > limits::REPLACES_MAX {
        return None;
    }
    let mut place = values[0].0;
    let all = values.iter().map(|(_, value)| value);
    let value = match &values[0].1 {
        FieldValue::Title(_) => {
            let mut texts: Vec<String> = all.map(text).filter(|text| !text.is_empty()).collect();
            let mut known = BTreeSet::new();
            texts.retain(|text| known.insert(text.clone()));
            FieldValue::Title(fits(texts.join(" / "))?)
        }
        FieldValue::Description(_) => FieldValue::Description(fits(laid_over(all.map(text))?)?),
        FieldValue::Labels(_) => {
            let mut told: Vec<String> = Vec::new();
            for value in all {
                if let FieldValue::Labels(labels) = value {
                    told.extend(labels.clone());
                }
            }
            let mut known = BTreeSet::new();
            told.retain(|label| known.insert(label.clone()));
            if told.len() > limits::TAGS_MAX {
                return None;
            }
            FieldValue::Labels(told)
        }
        FieldValue::Priority(_) => {
            let mut priorities: Vec<u8> = all.filter_map(priority).collect();
            priorities.sort_unstable();
            FieldValue::Priority(*priorities.first()?)
        }
        FieldValue::Status(_) => {
            let said: Vec<&FieldValue> = all.collect();
            let order = [
                TaskStatus::Blocked,
                TaskStatus::InProgress,
                TaskStatus::Open,
                TaskStatus::Deferred,
                TaskStatus::Closed,
                TaskStatus::Deleted,
            ];
            let mut order = order.into_iter().map(FieldValue::Status);
            order.find(|status| said.contains(&status))?
        }
        FieldValue::Link { .. } => {
            let sets = |value: &FieldValue| matches!(value, FieldValue::Link { stands: true, .. });
            let set = values.iter().find(|(_, value)| sets(value));
            let (at, value) = set.unwrap_or(&values[0]);
            place = *at;
            value.clone()
        }
        FieldValue::Assignee(_) | FieldValue::Created(_) | FieldValue::Remark(_) => return None,
    };
    Some(Shown {
        place,
        value,
        decided: true,
    })
}

/// Each text over what the ones before come to; nothing where too many of their lines differ.
fn laid_over(texts: impl Iterator<Item = String>) -> Option<String> {
    let texts: Vec<String> = texts.filter(|text| !text.is_empty()).collect();
    let mut told: Vec<&str> = Vec::new();
    let mut pairs = 0;
    for text in &texts {
        let own: Vec<&str> = text.split('\n').collect();
        pairs += apart(&told, &own);
        told = both(&told, &own);
    }
    (pairs <= 64 * 1_024).then(|| told.join("\n"))
}

/// How many pairs of lines of two texts can differ, but for their equal beginnings and ends.
fn apart(one: &[&str], other: &[&str]) -> usize {
    let (mut one, mut other) = (one.to_vec(), other.to_vec());
    for _ in 0..2 {
        while !one.is_empty() && !other.is_empty() && one[0] == other[0] {
            one.remove(0);
            other.remove(0);
        }
        one.reverse();
        other.reverse();
    }
    one.len() * other.len()
}

/// The shortest text in which both stand: lines that both come to are taken for both; else the first
/// goes on, unless fewer lines are shared behind its line than behind the other's.
fn both<'a>(one: &[&'a str], other: &[&'a str]) -> Vec<&'a str> {
    let mut known = BTreeMap::new();
    let (mut left, mut right) = (one, other);
    let mut told = Vec::new();
    while let ([mine, ones @ ..], [theirs, others @ ..]) = (left, right) {
        if mine == theirs {
            told.push(*mine);
            (left, right) = (ones, others);
        } else if shared(ones, right, &mut known) >= shared(left, others, &mut known) {
            told.push(*mine);
            left = ones;
        } else {
            told.push(*theirs);
            right = others;
        }
    }
    told.extend(left);
    told.extend(right);
    told
}

/// How many lines of two texts can be shared in their order, and for which ends it is known.
fn shared(one: &[&str], other: &[&str], known: &mut BTreeMap<(usize, usize), usize>) -> usize {
    let ([mine, ones @ ..], [theirs, others @ ..]) = (one, other) else {
        return 0;
    };
    if let Some(most) = known.get(&(one.len(), other.len())) {
        return *most;
    }
    let most = if mine == theirs {
        shared(ones, others, known) + 1
    } else {
        shared(ones, other, known).max(shared(one, others, known))
    };
    known.insert((one.len(), other.len()), most);
    most
}

fn text(value: &FieldValue) -> String {
    match value {
        FieldValue::Title(text) | FieldValue::Description(text) => text.clone(),
        _ => String::new(),
    }
}

fn priority(value: &FieldValue) -> Option<u8> {
    match value {
        FieldValue::Priority(priority) => Some(*priority),
        _ => None,
    }
}

fn fits(text: String) -> Option<String> {
    (text.len() <= limits::TEXT_BYTES_MAX).then_some(text)
}
