//! Tasks. Each field is a register: a change names the heads that it replaces, and heads that
//! nothing replaced are shown together (a multi-value register: Shapiro et al., "A comprehensive
//! study of convergent and commutative replicated data types", 2011, section 3.2.4).

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{
    Action, AgentId, Digest, Field, FieldValue, Place, Relation, Stamp, TaskChange, TaskStatus,
};

use super::conflict::{Settled, Strategies, settle};
use super::fact::Fact;
use super::view::{ConflictView, TaskView};

/// The fold over all tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tasks {
    by_name: BTreeMap<String, Task>,
    /// Who may have what: each assignee that a kept value names.
    by_assignee: BTreeMap<String, BTreeSet<String>>,
    /// Tasks that may be open, by each priority that they may have.
    may_be_open: BTreeSet<(u8, String)>,
    /// Tasks that may have a field with concurrent values.
    may_be_split: BTreeSet<String>,
}

/// The priority of a task that has none: after all others.
const NO_PRIORITY: u8 = u8::MAX;

/// As of when tasks are read, and what is done about values that were written at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct When {
    /// As of when.
    pub at: Stamp,
    /// By field.
    pub strategies: Strategies,
}

/// A field with concurrent values, and who wrote them.
#[derive(Clone, Debug)]
pub struct Split {
    /// The task.
    pub task: String,
    /// The field.
    pub field: Field,
    /// The values' records and authors, in order.
    pub heads: Vec<(Place, AgentId)>,
    /// Whether the field's strategy has decided which value counts.
    pub decided: bool,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Task {
    registers: BTreeMap<Field, Register>,
    remarks: BTreeSet<Place>,
    remarks_settled: u64,
    evidence: BTreeMap<Place, Digest>,
    changed: BTreeSet<Place>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Register {
    values: BTreeMap<Place, Version>,
    /// Replaced by a pruned value, and never seen: whoever arrives later with one of these names
    /// is no head.
    replaced: BTreeSet<Digest>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Version {
    agent: AgentId,
    value: FieldValue,
    replaces: Vec<Digest>,
}

impl Task {
    /// Whether any value that is kept says that it is open, or none says anything.
    fn may_be_open(&self) -> bool {
        let Some(status) = self.registers.get(&Field::Status) else {
            return true;
        };
        let mut values = status.values.values();
        values.len() == 0
            || values.any(|one| matches!(one.value, FieldValue::Status(TaskStatus::Open)))
    }

    /// Every priority that a kept value names, or that of none.
    fn priorities(&self) -> BTreeSet<u8> {
        let named = self.registers.get(&Field::Priority).into_iter();
        let values = named.flat_map(|register| register.values.values());
        let values = values.filter_map(|one| match one.value {
            FieldValue::Priority(priority) => Some(priority),
            _ => None,
        });
        values.chain([NO_PRIORITY]).collect()
    }
}

impl Register {
    /// Whether a version may stand beside another: it does not replace its neighbour in order, or
    /// is not replaced by the next.
    fn parts(&self, place: &Place, version: &Version) -> bool {
        use core::ops::Bound::{Excluded, Unbounded};
        let before = self.values.range(..*place).next_back();
        let after = self.values.range((Excluded(*place), Unbounded)).next();
        before.is_some_and(|(before, _)| !version.replaces.contains(&before.record))
            || after.is_some_and(|(_, after)| !after.replaces.contains(&place.record))
    }

    fn heads(&self, at: Stamp) -> Vec<(Place, &FieldValue)> {
        let heads = self.versions(at).into_iter();
        heads.map(|(place, one)| (place, &one.value)).collect()
    }

    /// What is shown of it.
    fn settled(&self, field: &Field, when: When) -> Option<Settled<'_>> {
        settle(&self.heads(when.at), when.strategies.of(field))
    }

    fn versions(&self, at: Stamp) -> Vec<(Place, &Version)> {
        let seen = || self.values.range(..=Place::end_of(at));
        if let (1, true) = (self.values.len(), self.replaced.is_empty()) {
            return seen().map(|(place, one)| (*place, one)).collect();
        }
        let replaced: BTreeSet<&Digest> = seen()
            .flat_map(|(_, version)| &version.replaces)
            .chain(&self.replaced)
            .collect();
        seen()
            .filter(|(place, _)| !replaced.contains(&place.record))
            .map(|(place, one)| (*place, one))
            .collect()
    }

    /// Drops settled values that a settled one replaced: they can never be heads again. A name is
    /// struck out wherever its value has been seen and dropped; so what is left in `replaced` are
    /// names that nobody here has seen, and memory does not grow with history.
    fn prune(&mut self, frontier: Stamp) {
        if self.values.len() < 2 && self.replaced.is_empty() {
            return;
        }
        let edge = Place::end_of(frontier);
        let mut gone = self.replaced.clone();
        for (_, version) in self.values.range(..=edge) {
            gone.extend(&version.replaces);
        }
        let mut dropped = BTreeSet::new();
        let mut orphaned: BTreeSet<Digest> = BTreeSet::new();
        self.values.retain(|place, version| {
            let drop = *place <= edge && gone.contains(&place.record);
            if drop {
                dropped.insert(place.record);
                orphaned.extend(&version.replaces);
            }
            !drop
        });
        self.replaced.extend(orphaned);
        self.replaced.retain(|name| !dropped.contains(name));
        for version in self.values.values_mut() {
            version.replaces.retain(|name| !dropped.contains(name));
        }
    }
}

impl Tasks {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact) {
        let Action::Task(change) = &fact.body.action else {
            return;
        };
        let task = self.by_name.entry(change.task.clone()).or_default();
        task.changed.insert(fact.place);
        if let Some(evidence) = change.evidence {
            task.evidence.insert(fact.place, evidence);
        }
        for field in &change.fields {
            if matches!(field.value, FieldValue::Remark(_)) {
                task.remarks.insert(fact.place);
                continue;
            }
            let register = task.registers.entry(field.value.field()).or_default();
            let version = Version {
                agent: fact.agent,
                value: field.value.clone(),
                replaces: field.replaces.clone(),
            };
            if register.parts(&fact.place, &version) {
                self.may_be_split.insert(change.task.clone());
            }
            register.values.insert(fact.place, version);
            if let FieldValue::Assignee(who) = &field.value
                && !who.is_empty()
            {
                let own = self.by_assignee.entry(who.clone()).or_default();
                own.insert(change.task.clone());
            }
        }
        if task.may_be_open() {
            let priorities = task.priorities().into_iter();
            let open = priorities.map(|priority| (priority, change.task.clone()));
            self.may_be_open.extend(open);
        }
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        let Action::Task(change) = action else { return };
        let Some(task) = self.by_name.get_mut(&change.task) else {
            return;
        };
        task.changed.remove(&place);
        task.evidence.remove(&place);
        task.remarks.remove(&place);
        for register in task.registers.values_mut() {
            register.values.remove(&place);
        }
        if task.changed.is_empty() {
            self.by_name.remove(&change.task);
        }
    }

    /// Whether the task was made at or before a stamp.
    pub fn exists(&self, name: &str, at: Stamp) -> bool {
        self.by_name.get(name).is_some_and(|task| {
            task.registers
                .get(&Field::Created)
                .is_some_and(|made| !made.heads(at).is_empty())
        })
    }

    /// Fills in, per field, what stands now, where a change names nothing that it replaces.
    pub fn fill_replaces(&self, change: &mut TaskChange, at: Stamp) {
        let Some(task) = self.by_name.get(&change.task) else {
            return;
        };
        for field in change
            .fields
            .iter_mut()
            .filter(|field| field.replaces.is_empty())
        {
            if let Some(register) = task.registers.get(&field.value.field()) {
                field.replaces = register
                    .heads(at)
                    .iter()
                    .map(|(place, _)| place.record)
                    .collect();
                field.replaces.truncate(unisono_model::limits::REPLACES_MAX);
            }
        }
    }

    /// The names of tasks after a name, in order.
    pub fn names_after<'a>(&'a self, after: Option<&'a str>) -> impl Iterator<Item = &'a str> {
        use core::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_name
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(name, _)| name.as_str())
    }

    /// Fields with concurrent values as of a stamp.
    pub fn splits(&self, when: When) -> Vec<Split> {
        let tasks = self.may_be_split.iter();
        let tasks = tasks.filter_map(|name| Some((name, self.by_name.get(name)?)));
        let registers = tasks.flat_map(|(name, task)| {
            let registers = task.registers.iter();
            registers.map(move |(field, register)| (name, field, register))
        });
        registers
            .filter_map(|(name, field, register)| {
                let heads = register.versions(when.at);
                let settled = register.settled(field, when);
                (heads.len() > 1).then(|| Split {
                    task: name.clone(),
                    field: field.clone(),
                    decided: settled.is_some_and(|one| one.decided),
                    heads: heads
                        .iter()
                        .map(|(place, one)| (*place, one.agent))
                        .collect(),
                })
            })
            .collect()
    }

    /// The tasks that an agent's name may be assigned to, by name.
    pub fn assigned<'a>(&'a self, who: &str) -> impl Iterator<Item = &'a str> {
        let own = self.by_assignee.get(who).into_iter().flatten();
        own.map(String::as_str)
    }

    /// Whether a task is an agent's as of a stamp, and is not over.
    pub fn is_for(&self, name: &str, who: &str, when: When) -> bool {
        let over = matches!(
            self.status(name, when),
            Some(TaskStatus::Closed | TaskStatus::Deleted)
        );
        let task = self.by_name.get(name);
        let assignee = task.and_then(|task| shown(task, &Field::Assignee, when));
        let assignee = assignee.as_ref().map(|one| &*one.value);
        !over && matches!(assignee, Some(FieldValue::Assignee(a)) if a == who)
    }

    /// Tasks that may be open with their possible priorities, most urgent first.
    pub fn may_be_open(&self) -> impl Iterator<Item = (u8, &str)> {
        let open = self.may_be_open.iter();
        open.map(|(priority, name)| (*priority, name.as_str()))
    }

    /// A task's status as of a stamp.
    pub fn status(&self, name: &str, when: When) -> Option<TaskStatus> {
        match &*shown(self.by_name.get(name)?, &Field::Status, when)?.value {
            FieldValue::Status(status) => Some(*status),
            _ => None,
        }
    }

    /// A task's title as of a stamp, if it has one.
    pub fn title(&self, name: &str, when: When) -> Option<String> {
        match shown(self.by_name.get(name)?, &Field::Title, when)?
            .value
            .into_owned()
        {
            FieldValue::Title(title) => Some(title),
            _ => None,
        }
    }

    /// A task's priority as of a stamp, if it has one.
    pub fn priority(&self, name: &str, when: When) -> Option<u8> {
        match &*shown(self.by_name.get(name)?, &Field::Priority, when)?.value {
            FieldValue::Priority(priority) => Some(*priority),
            _ => None,
        }
    }

    /// The last change of a task as of a stamp: its name says how the task stands.
    pub fn last_change(&self, name: &str, at: Stamp) -> Option<Place> {
        let changed = &self.by_name.get(name)?.changed;
        changed.range(..=Place::end_of(at)).next_back().copied()
    }

    /// A task as of a stamp; `circular` comes from [`Tasks::circular`].
    pub fn read(&self, name: &str, when: When, circular: &Circles) -> Option<TaskView> {
        let at = when.at;
        let task = self.by_name.get(name)?;
        let last = task.changed.range(..=Place::end_of(at)).next_back()?;
        let mut view = TaskView {
            task: name.to_string(),
            ..TaskView::default()
        };
        view.changed = Some(*last);
        let seen = Place::end_of(at);
        view.remarks = task.remarks_settled + task.remarks.range(..=seen).count() as u64;
        view.evidence = task
            .evidence
            .range(..=seen)
            .next_back()
            .map(|(_, mark)| *mark);
        for (field, register) in &task.registers {
            let heads = register.versions(at);
            let Some(settled) = register.settled(field, when) else {
                continue;
            };
            self.show(&mut view, name, &settled.value, when, circular);
            if heads.len() > 1 {
                let values = heads.iter();
                let values = values
                    .map(|(place, one)| (*place, one.agent, alloc::format!("{:?}", one.value)));
                view.conflicts.push(ConflictView {
                    field: alloc::format!("{field:?}"),
                    strategy: when.strategies.of(field),
                    decided: settled.decided,
                    fell_back: settled.fell_back.map(ToString::to_string),
                    values: values.collect(),
                });
            }
            let names = heads.iter().map(|(place, _)| place.record);
            view.heads.push((field.clone(), names.collect()));
        }
        Some(view)
    }

    fn show(&self, view: &mut TaskView, name: &str, value: &FieldValue, when: When, c: &Circles) {
        match value {
            FieldValue::Created(kind) => view.kind.clone_from(kind),
            FieldValue::Title(title) => view.title.clone_from(title),
            FieldValue::Description(words) => view.description.clone_from(words),
            FieldValue::Status(status) => view.status = Some(*status),
            FieldValue::Priority(priority) => view.priority = Some(*priority),
            FieldValue::Assignee(who) => view.assignee.clone_from(who),
            FieldValue::Labels(labels) => view.labels.clone_from(labels),
            FieldValue::Link {
                on,
                relation,
                stands: true,
            } => {
                let link = (on.clone(), *relation);
                if *relation != Relation::Blocks {
                    view.links.push(link);
                } else if c.contains(&(name.to_string(), on.clone())) {
                    view.circular.push(link);
                } else {
                    let ended = matches!(
                        self.status(on, when),
                        Some(TaskStatus::Closed | TaskStatus::Deleted)
                    );
                    if !ended {
                        view.blocked_by.push(on.clone());
                    }
                    view.links.push(link);
                }
            }
            FieldValue::Link { .. } | FieldValue::Remark(_) => {}
        }
    }

    /// The `Blocks` links that are left out because an earlier set of links already leads back:
    /// links are taken in order of (stamp, digest), and one that would close a circle is not.
    pub fn circular(&self, when: When) -> Circles {
        let mut links: Vec<(Place, &str, &str)> = Vec::new();
        for (name, task) in &self.by_name {
            for (field, register) in &task.registers {
                let Field::Link(on, Relation::Blocks) = field else {
                    continue;
                };
                let Some(settled) = register.settled(field, when) else {
                    continue;
                };
                if matches!(*settled.value, FieldValue::Link { stands: true, .. }) {
                    links.push((settled.place, name, on));
                }
            }
        }
        links.sort_unstable();
        let mut waits: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut circles = Circles::new();
        for (_, name, on) in links {
            if leads(&waits, on, name) {
                circles.insert((name.to_string(), on.to_string()));
            } else {
                waits.entry(name).or_default().push(on);
            }
        }
        circles
    }

    /// Tasks by status, and the number of fields with concurrent values.
    pub fn count(&self, when: When) -> (BTreeMap<TaskStatus, u64>, u64) {
        let mut counts = BTreeMap::new();
        let mut conflicts = 0;
        for (name, task) in &self.by_name {
            if let Some(status) = self.status(name, when) {
                *counts.entry(status).or_default() += 1;
            }
            let split = task
                .registers
                .values()
                .filter(|register| register.heads(when.at).len() > 1);
            conflicts += split.count() as u64;
        }
        (counts, conflicts)
    }

    /// Drops what a settled change replaced.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        for task in self.by_name.values_mut() {
            for register in task.registers.values_mut() {
                register.prune(frontier);
            }
            let later = task.remarks.split_off(&edge);
            task.remarks_settled += task.remarks.len() as u64;
            task.remarks = later;
            keep_last_settled(&mut task.changed, &edge);
            if let Some(last) = task
                .evidence
                .range(..=edge)
                .next_back()
                .map(|(place, _)| *place)
            {
                task.evidence.retain(|place, _| *place >= last);
            }
        }
        self.prune_indexes();
    }

    /// Strikes out what no kept value says any more.
    fn prune_indexes(&mut self) {
        let tasks = &self.by_name;
        self.by_assignee.retain(|who, own| {
            own.retain(|name| {
                let register = tasks
                    .get(name)
                    .and_then(|t| t.registers.get(&Field::Assignee));
                let mut values = register.into_iter().flat_map(|r| r.values.values());
                values.any(|one| matches!(&one.value, FieldValue::Assignee(a) if a == who))
            });
            !own.is_empty()
        });
        self.may_be_open.retain(|(priority, name)| {
            let task = tasks.get(name);
            task.is_some_and(|t| t.may_be_open() && t.priorities().contains(priority))
        });
        self.may_be_split.retain(|name| {
            let registers = tasks
                .get(name)
                .into_iter()
                .flat_map(|t| t.registers.values());
            registers
                .into_iter()
                .any(|register| register.values.len() > 1)
        });
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        let registers = self
            .by_name
            .values()
            .flat_map(|task| task.registers.values());
        registers.map(|register| register.values.len()).sum()
    }
}

/// Pairs of tasks (who waits, for whom) whose link is left out.
pub type Circles = BTreeSet<(String, String)>;

/// Of what is at or below the edge, only the last can still be the answer to anything.
pub(super) fn keep_last_settled(places: &mut BTreeSet<Place>, edge: &Place) {
    if let Some(last) = places.range(..=*edge).next_back().copied() {
        *places = places.split_off(&last);
    }
}

fn shown<'a>(task: &'a Task, field: &Field, when: When) -> Option<Settled<'a>> {
    task.registers.get(field)?.settled(field, when)
}

fn leads(waits: &BTreeMap<&str, Vec<&str>>, from: &str, to: &str) -> bool {
    let mut open = alloc::vec![from];
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if name == to {
            return true;
        }
        if seen.insert(name)
            && let Some(next) = waits.get(name)
        {
            open.extend(next);
        }
    }
    false
}
