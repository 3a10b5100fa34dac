//! What each agent touched last: the tasks, topics, decisions and files that its records name, each
//! once, by the latest record that does.
//!
//! The newest by stamp wins, whatever came first. Of what no record can come before any more only
//! the latest are kept: whatever is pushed out of these by then cannot be among them again.

pub mod limits;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, FieldValue, Place, Reviewed, Stamp};

use super::fact::Fact;
use crate::sabotage::Sabotage;
use limits::{TOUCHED_MAX, WORDS_CHARS_MAX};

/// The fold over what agents touch.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Lately {
    by_agent: BTreeMap<AgentId, Touches>,
}

/// What one agent touched, with what it said there in short.
type Touches = BTreeMap<(Place, String), String>;

/// One thing that an agent touched.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Touch<'a> {
    /// The latest record that names it.
    pub place: Place,
    /// Its name: a task's, a topic, a path.
    pub name: &'a str,
    /// What the record says, in short; may be empty.
    pub words: &'a str,
}

impl Lately {
    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact, sabotage: Sabotage) {
        let (names, words) = touched(&fact.body.action);
        for name in names {
            let own = self.by_agent.entry(fact.agent).or_default();
            let last = own.last_key_value().map(|((place, _), _)| *place);
            if sabotage.lately_by_arrival && last.is_some_and(|last| fact.place < last) {
                // Planted: what comes late is not what it touched last, whoever it pushes out.
                continue;
            }
            let words = words.chars().take(WORDS_CHARS_MAX).collect();
            own.insert((fact.place, name.into()), words);
        }
    }

    /// Takes a record out again.
    pub fn retract(&mut self, agent: AgentId, place: Place, action: &Action) {
        let Some(own) = self.by_agent.get_mut(&agent) else {
            return;
        };
        for name in touched(action).0 {
            own.remove(&(place, name.into()));
        }
    }

    /// What an agent touched as of a stamp, each thing once, the latest first, at most
    /// [`TOUCHED_MAX`].
    pub fn of(&self, agent: &AgentId, at: Stamp) -> impl Iterator<Item = Touch<'_>> {
        let own = self.by_agent.get(agent).into_iter();
        let seen = (Place::end_of(at), String::new());
        own.flat_map(move |own| latest(own.range(..=seen.clone()).rev()))
            .take(TOUCHED_MAX)
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = (Place::end_of(frontier), String::new());
        for own in self.by_agent.values_mut() {
            if own.len() <= TOUCHED_MAX {
                continue;
            }
            let mut later = own.split_off(&edge);
            let kept = latest(own.iter().rev()).take(TOUCHED_MAX);
            later.extend(kept.map(|touch| {
                let key = (touch.place, String::from(touch.name));
                (key, String::from(touch.words))
            }));
            *own = later;
        }
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.by_agent.values().map(BTreeMap::len).sum()
    }
}

/// Each name once, by its first in this order.
fn latest<'a>(
    touches: impl Iterator<Item = (&'a (Place, String), &'a String)>,
) -> impl Iterator<Item = Touch<'a>> {
    let mut told = BTreeSet::new();
    touches.filter_map(move |((place, name), words)| {
        told.insert(name.as_str()).then_some(Touch {
            place: *place,
            name,
            words,
        })
    })
}

/// What a record touches, and what it says there. A link is about both of its tasks.
fn touched(action: &Action) -> (BTreeSet<&str>, &str) {
    let mut names = BTreeSet::new();
    let (name, words) = match action {
        Action::Signal(signal) => (signal.topic.as_str(), signal.text.as_str()),
        Action::Across(across) => (across.signal.topic.as_str(), across.signal.text.as_str()),
        Action::Claim { topic, .. } | Action::Renew { topic, .. } => (topic.as_str(), "claimed"),
        Action::Release { topic, .. } => (topic.as_str(), "given back"),
        Action::Mark(mark) => (mark.about.as_str(), mark.text.as_str()),
        Action::Task(change) => {
            names.extend(change.fields.iter().filter_map(|field| match &field.value {
                FieldValue::Link { on, .. } => Some(on.as_str()),
                _ => None,
            }));
            let remark = change.fields.iter().find_map(|field| match &field.value {
                FieldValue::Remark(text) => Some(text.as_str()),
                _ => None,
            });
            (change.task.as_str(), remark.unwrap_or_default())
        }
        Action::Decide(decide) => (decide.topic.as_str(), decide.text.as_str()),
        Action::Write(write) => match write.content {
            Some(_) => (write.path.as_str(), "written"),
            None => (write.path.as_str(), "removed"),
        },
        Action::Approve(approve) => match &approve.about {
            Reviewed::Path(name) | Reviewed::Task(name) => (name.as_str(), approve.reason.as_str()),
        },
        _ => ("", ""),
    };
    names.insert(name);
    names.remove("");
    (names, words)
}
