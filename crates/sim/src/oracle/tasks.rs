//! The tasks, naively: for each field, the values that nothing replaced.

use std::collections::{BTreeMap, BTreeSet};

use unisono_model::{Action, Digest, Field, FieldValue, Place, Relation};

use super::conflict::{Shown, shown, strategy};
use super::logs::Fact;

/// A task.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Task {
    /// Per field, the records whose values stand, in order.
    pub heads: BTreeMap<Field, Vec<(Place, FieldValue)>>,
    /// Per field, what is shown of these.
    pub shown: BTreeMap<Field, Shown>,
    /// How many remarks were made.
    pub remarks: usize,
    /// The latest change.
    pub changed: Place,
    /// Tasks that it must not be said to wait for, since that would close a circle.
    pub circular: BTreeSet<String>,
}

/// All tasks.
pub fn tasks(facts: &[&Fact]) -> BTreeMap<String, Task> {
    let mut all: BTreeMap<String, Task> = BTreeMap::new();
    let mut replaced: BTreeSet<(String, Field, Digest)> = BTreeSet::new();
    for fact in facts {
        let Action::Task(change) = &fact.body.action else {
            continue;
        };
        let task = all.entry(change.task.clone()).or_default();
        task.changed = task.changed.max(fact.place);
        for field in &change.fields {
            if matches!(field.value, FieldValue::Remark(_)) {
                task.remarks += 1;
                continue;
            }
            let name = field.value.field();
            for gone in &field.replaces {
                replaced.insert((change.task.clone(), name.clone(), *gone));
            }
            task.heads
                .entry(name)
                .or_default()
                .push((fact.place, field.value.clone()));
        }
    }
    for (name, task) in &mut all {
        for (field, values) in &mut task.heads {
            values.retain(|(place, _)| {
                !replaced.contains(&(name.clone(), field.clone(), place.record))
            });
            values.sort_by_key(|(place, _)| *place);
        }
        task.heads.retain(|_, values| !values.is_empty());
        let each = task.heads.iter();
        task.shown = each
            .map(|(field, values)| (field.clone(), shown(values, strategy(facts, field))))
            .collect();
    }
    find_circles(&mut all);
    all
}

/// Takes the standing `Blocks` links in their order and leaves out each that leads back.
fn find_circles(all: &mut BTreeMap<String, Task>) {
    let mut links: Vec<(Place, String, String)> = Vec::new();
    for (name, task) in all.iter() {
        for (field, shown) in &task.shown {
            if let Field::Link(on, Relation::Blocks) = field
                && matches!(shown.value, FieldValue::Link { stands: true, .. })
            {
                links.push((shown.place, name.clone(), on.clone()));
            }
        }
    }
    links.sort();
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    for (_, from, on) in links {
        if leads(&taken, &on, &from) {
            if let Some(task) = all.get_mut(&from) {
                task.circular.insert(on);
            }
        } else {
            taken.insert((from, on));
        }
    }
}

fn leads(links: &BTreeSet<(String, String)>, from: &str, to: &str) -> bool {
    let mut reached: BTreeSet<&str> = BTreeSet::from([from]);
    loop {
        let more: Vec<&str> = links
            .iter()
            .filter(|(a, b)| reached.contains(a.as_str()) && !reached.contains(b.as_str()))
            .map(|(_, b)| b.as_str())
            .collect();
        if more.is_empty() {
            return reached.contains(to);
        }
        reached.extend(more);
    }
}
