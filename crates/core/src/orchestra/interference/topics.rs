//! Topics that may be held, and which of them are globs over others.
//!
//! A glob stands under the names before its first wild one. Whatever it overlaps begins with these,
//! or they begin with what that begins with; so of two that overlap, one is found on the way from
//! the root to the other.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Stamp};

use super::limits::{GLOBS_PER_PLACE_MAX, OWN_TOPICS_MAX, UNDER_GLOB_MAX};
use super::pattern::Pattern;
use crate::orchestra::fact::Fact;

/// The topics that anybody may hold, and some that nobody holds any more: who holds what is for the
/// fold over claims to say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Topics {
    /// Until when the latest lease asked for would last.
    live: BTreeMap<String, Stamp>,
    /// Globs by the names before their first wild one.
    globs: BTreeMap<String, BTreeSet<String>>,
    /// Who ever claimed what of these.
    by_agent: BTreeMap<AgentId, BTreeSet<String>>,
}

impl Topics {
    /// Takes in a claim or a renewal.
    pub fn insert(&mut self, fact: &Fact) {
        let (topic, lease_ms) = match &fact.body.action {
            Action::Claim { topic, lease_ms } => (topic, lease_ms),
            Action::Renew {
                topic, lease_ms, ..
            } => (topic, lease_ms),
            _ => return,
        };
        let until = fact.place.stamp.plus_ms(*lease_ms);
        if let Some(known) = self.live.get_mut(topic) {
            *known = (*known).max(until);
        } else {
            self.live.insert(topic.clone(), until);
            let pattern = Pattern::of(topic);
            if pattern.is_glob() {
                let place = self.globs.entry(pattern.beginning()).or_default();
                place.insert(topic.clone());
            }
        }
        let own = self.by_agent.entry(fact.agent).or_default();
        own.insert(topic.clone());
    }

    /// Topics that may be held at a stamp.
    pub fn live(&self, at: Stamp) -> impl Iterator<Item = &str> {
        let live = self.live.iter().filter(move |(_, until)| **until >= at);
        live.map(|(topic, _)| topic.as_str())
    }

    /// Those that an agent has claimed and that `counts` is true of, at most [`OWN_TOPICS_MAX`], by
    /// name. What it has claimed and given back takes no room.
    pub fn of(&self, agent: &AgentId, at: Stamp, counts: &dyn Fn(&str) -> bool) -> Vec<&str> {
        let own = self.by_agent.get(agent).into_iter().flatten();
        let live = |topic: &&String| self.live.get(*topic).is_some_and(|until| *until >= at);
        own.filter(live)
            .map(String::as_str)
            .filter(|topic| counts(topic))
            .take(OWN_TOPICS_MAX)
            .collect()
    }

    /// Those in the directory of a path, at most [`UNDER_GLOB_MAX`], by name.
    pub fn beside(&self, path: &str, at: Stamp) -> Vec<&str> {
        let Some((directory, _)) = path.trim_end_matches('/').rsplit_once('/') else {
            return Vec::new();
        };
        let directory = alloc::format!("{directory}/");
        let below = self.live.range(directory.clone()..);
        below
            .take_while(|(topic, _)| topic.starts_with(&directory))
            .filter(|(topic, until)| **until >= at && topic.as_str() != path)
            .take(UNDER_GLOB_MAX)
            .map(|(topic, _)| topic.as_str())
            .collect()
    }

    /// Begins to look for globs over topics, where `ask` says which topics are held.
    pub fn walk<'a, 'f>(&'a self, ask: &'f dyn Fn(&str) -> bool) -> Walk<'a, 'f> {
        Walk {
            topics: self,
            ask,
            held: BTreeMap::new(),
            globs: BTreeMap::new(),
        }
    }

    /// Drops what nobody can hold any more at the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let before = self.live.len();
        self.live.retain(|_, until| *until >= frontier);
        if self.live.len() == before {
            return;
        }
        let live = &self.live;
        for topics in self.globs.values_mut() {
            topics.retain(|topic| live.contains_key(topic));
        }
        self.globs.retain(|_, topics| !topics.is_empty());
        self.by_agent.retain(|_, topics| {
            topics.retain(|topic| live.contains_key(topic));
            !topics.is_empty()
        });
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.live.len()
    }
}

/// What one read has found out about topics: each is asked for once, however many others it may
/// have to do with.
pub struct Walk<'a, 'f> {
    topics: &'a Topics,
    ask: &'f dyn Fn(&str) -> bool,
    held: BTreeMap<&'a str, bool>,
    globs: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Walk<'a, '_> {
    /// The globs over a topic, of those that are held: of two globs that stand under the same names,
    /// the second finds the first.
    pub fn over(&mut self, topic: &str) -> Vec<&'a str> {
        let pattern = Pattern::of(topic);
        let own = pattern.beginning();
        let mut found = Vec::new();
        for place in pattern.beginnings() {
            let alone = place == own && pattern.is_glob();
            for glob in self.held_globs(&place) {
                if (!alone || *glob < topic)
                    && *glob != topic
                    && Pattern::of(glob).overlaps(&pattern)
                {
                    found.push(*glob);
                }
            }
        }
        found
    }

    fn is_held(&mut self, topic: &'a str) -> bool {
        let ask = self.ask;
        *self.held.entry(topic).or_insert_with(|| ask(topic))
    }

    fn held_globs(&mut self, place: &str) -> &[&'a str] {
        let Some((place, all)) = self.topics.globs.get_key_value(place) else {
            return &[];
        };
        if !self.globs.contains_key(place.as_str()) {
            let mut held = Vec::new();
            for glob in all {
                if held.len() < GLOBS_PER_PLACE_MAX && self.is_held(glob) {
                    held.push(glob.as_str());
                }
            }
            self.globs.insert(place, held);
        }
        self.globs.get(place.as_str()).map_or(&[], Vec::as_slice)
    }

    /// The topics that a glob is over, of those that are held: those that find it by
    /// [`Walk::over`], as far as they are among the first [`UNDER_GLOB_MAX`] by name.
    pub fn under(&mut self, glob: &str) -> Vec<&'a str> {
        let pattern = Pattern::of(glob);
        if !pattern.is_glob() {
            return Vec::new();
        }
        let beginning = pattern.beginning();
        if !self.held_globs(&beginning).contains(&glob) {
            return Vec::new();
        }
        let topics = self.topics;
        let below = topics.live.range(beginning.clone()..);
        let below = below.take_while(|(topic, _)| topic.starts_with(&beginning));
        below
            .map(|(topic, _)| topic.as_str())
            .filter(|topic| self.is_held(topic))
            .take(UNDER_GLOB_MAX)
            .filter(|topic| {
                let other = Pattern::of(topic);
                let finds = !other.is_glob() || other.beginning() != beginning || glob < *topic;
                finds && *topic != glob && pattern.overlaps(&other)
            })
            .collect()
    }
}
