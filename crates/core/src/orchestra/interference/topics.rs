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

    /// Those that an agent has claimed, at most [`OWN_TOPICS_MAX`], by name.
    pub fn of(&self, agent: &AgentId, at: Stamp) -> impl Iterator<Item = &str> {
        let own = self.by_agent.get(agent).into_iter().flatten();
        let live = move |topic: &&String| self.live.get(*topic).is_some_and(|until| *until >= at);
        own.filter(live).map(String::as_str).take(OWN_TOPICS_MAX)
    }

    /// Those in the directory of a path, at most [`UNDER_GLOB_MAX`], by name.
    pub fn beside(&self, path: &str, at: Stamp) -> Vec<&str> {
        let Some((directory, _)) = path.trim_end_matches('/').rsplit_once('/') else {
            return Vec::new();
        };
        let below = self.live.range(String::from(directory)..);
        below
            .take_while(|(topic, _)| topic.starts_with(directory))
            .take(UNDER_GLOB_MAX)
            .filter(|(topic, until)| {
                let rest = topic[directory.len()..].strip_prefix('/');
                **until >= at && rest.is_some() && topic.as_str() != path
            })
            .map(|(topic, _)| topic.as_str())
            .collect()
    }

    /// The globs over a topic, of those that are held: of two globs that stand under the same names,
    /// the second finds the first.
    pub fn over<'a>(&'a self, topic: &'a str, held: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
        let pattern = Pattern::of(topic);
        let own = pattern.beginning();
        let mut found = Vec::new();
        for place in pattern.beginnings() {
            let alone = place == own && pattern.is_glob();
            for glob in self.held_globs(&place, held) {
                if (!alone || glob < topic) && glob != topic && Pattern::of(glob).overlaps(&pattern)
                {
                    found.push(glob);
                }
            }
        }
        found
    }

    fn held_globs<'a>(&'a self, place: &str, held: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
        let globs = self.globs.get(place).into_iter().flatten();
        let globs = globs.map(String::as_str).filter(|glob| held(glob));
        globs.take(GLOBS_PER_PLACE_MAX).collect()
    }

    /// The topics that a glob is over, of those that are held: those that find it by
    /// [`Topics::over`], as far as they are among the first [`UNDER_GLOB_MAX`] by name.
    pub fn under<'a>(&'a self, glob: &str, held: &dyn Fn(&str) -> bool) -> Vec<&'a str> {
        let pattern = Pattern::of(glob);
        if !pattern.is_glob() {
            return Vec::new();
        }
        let beginning = pattern.beginning();
        if !self.held_globs(&beginning, held).contains(&glob) {
            return Vec::new();
        }
        let below = self.live.range(beginning.clone()..);
        let below = below.take_while(|(topic, _)| topic.starts_with(&beginning));
        below
            .map(|(topic, _)| topic.as_str())
            .filter(|topic| held(topic))
            .take(UNDER_GLOB_MAX)
            .filter(|topic| {
                let other = Pattern::of(topic);
                let finds = !other.is_glob() || other.beginning() != beginning || glob < *topic;
                finds && *topic != glob && pattern.overlaps(&other)
            })
            .collect()
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
