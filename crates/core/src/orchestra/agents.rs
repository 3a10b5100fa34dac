//! Who is enrolled, how they are, and what they have proved: enrolments, presences, marks.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Bound;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, AgentId, Digest, Enrol, Held, Mark, Place, Presence, Seen, Stamp};

use super::fact::{Carrier, Fact};
use crate::sabotage::Sabotage;

/// Marks that are kept in memory for reading; older ones are in the log.
pub const MARKS_KEPT_MAX: usize = 256;
/// Marks of each agent that are kept to tell it what it did: the latest.
pub const OWN_MARKS_MAX: usize = 8;
/// Marks that bind everybody and are kept to be told: the latest.
pub const PINNED_MAX: usize = 128;
/// The tags that make a mark bind everybody, as it did before decisions were an action of their own.
pub const PINNING_TAGS: [&str; 3] = ["pinned", "decision", "dead-end"];

/// The fold over all agents.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Agents {
    by_key: BTreeMap<AgentId, Agent>,
    recent_marks: BTreeMap<Place, Witnessed>,
    /// The highest mark that was dropped from `recent_marks`.
    marks_from: Option<Place>,
    /// Marks that bind everybody.
    pinned: BTreeMap<Place, Witnessed>,
    /// The beginnings of all marks' names: what evidence can be.
    marked: BTreeSet<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Agent {
    enrolments: BTreeMap<Place, (Enrol, Held)>,
    presences: BTreeMap<Place, Presence>,
    /// What it said that it has seen.
    seen: BTreeMap<Place, Seen>,
    /// Its records, with the iteration that each bears.
    actions: BTreeMap<Place, u32>,
    /// Those of them that came from another orchestra.
    visits: BTreeSet<Place>,
    /// Marks by iteration: those above the last pruning by place, those below by number.
    marks: BTreeMap<u32, Marks>,
    /// Its latest marks: what it did.
    own_marks: BTreeMap<Place, Witnessed>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Marks {
    settled: u64,
    recent: BTreeSet<Place>,
}

/// A mark with its origin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Witnessed {
    /// By whom.
    pub agent: AgentId,
    /// In which iteration.
    pub iteration: u32,
    /// The mark.
    pub mark: Mark,
    /// Where it is carried.
    pub carrier: Carrier,
}

/// An agent as of a stamp.
#[derive(Clone, Debug)]
pub struct AgentState<'a> {
    /// Its enrolment.
    pub enrol: &'a Enrol,
    /// Who holds its key.
    pub held: Held,
    /// When it enrolled.
    pub since: Place,
    /// Its latest presence.
    pub presence: Option<&'a Presence>,
    /// What it said last that it has seen, and where; nothing yet.
    pub seen: Option<(Place, &'a Seen)>,
    /// Whether its latest record comes from another orchestra, where it is at work.
    pub visits: bool,
    /// Its latest record.
    pub last_action: Stamp,
    /// The iteration that this bears.
    pub iteration: u32,
}

impl Agents {
    /// Takes in a record, of any kind: every record is a sign of life.
    pub fn insert(&mut self, fact: &Fact, sabotage: Sabotage) {
        let agent = self.by_key.entry(fact.agent).or_default();
        agent.actions.insert(fact.place, fact.body.iteration);
        match &fact.body.action {
            Action::Across(across) if across.incoming => {
                agent.visits.insert(fact.place);
            }
            Action::Enrol(enrol) => {
                agent
                    .enrolments
                    .insert(fact.place, (enrol.clone(), fact.body.held));
            }
            Action::Presence(presence) => {
                agent.presences.insert(fact.place, presence.clone());
            }
            Action::Seen(seen) => {
                let last = agent.seen.last_key_value();
                if sabotage.seen_by_arrival && last.is_some_and(|(last, _)| fact.place < *last) {
                    // Planted: what came last stands, whatever its stamp.
                    agent.seen.clear();
                }
                agent.seen.insert(fact.place, seen.clone());
            }
            Action::Mark(mark) => {
                self.marked.insert(beginning(&fact.place.record));
                let iteration = fact.body.iteration;
                agent
                    .marks
                    .entry(iteration)
                    .or_default()
                    .recent
                    .insert(fact.place);
                let witnessed = Witnessed {
                    agent: fact.agent,
                    iteration,
                    mark: mark.clone(),
                    carrier: fact.carrier(),
                };
                if pins(mark) {
                    self.pinned.insert(fact.place, witnessed.clone());
                }
                agent.own_marks.insert(fact.place, witnessed.clone());
                if self.marks_from.is_none_or(|from| fact.place > from) {
                    self.recent_marks.insert(fact.place, witnessed);
                }
            }
            _ => {}
        }
    }

    /// Takes a record out again.
    pub fn retract(&mut self, id: AgentId, place: Place, action: &Action) {
        let Some(agent) = self.by_key.get_mut(&id) else {
            return;
        };
        agent.actions.remove(&place);
        agent.visits.remove(&place);
        match action {
            Action::Enrol(_) => drop(agent.enrolments.remove(&place)),
            Action::Presence(_) => drop(agent.presences.remove(&place)),
            Action::Seen(_) => drop(agent.seen.remove(&place)),
            Action::Mark(_) => {
                self.marked.remove(&beginning(&place.record));
                self.recent_marks.remove(&place);
                self.pinned.remove(&place);
                agent.own_marks.remove(&place);
                for marks in agent.marks.values_mut() {
                    marks.recent.remove(&place);
                }
            }
            _ => {}
        }
    }

    /// How many records came after a stamp.
    pub fn actions_after(&self, at: Stamp) -> u64 {
        let later = (Bound::Excluded(Place::end_of(at)), Bound::Unbounded);
        let each = self.by_key.values();
        each.map(|agent| agent.actions.range(later).count() as u64)
            .sum()
    }

    /// Whether a record is a mark that counts, however old. Two of 2⁶⁴ names begin alike.
    pub fn is_mark(&self, record: &Digest) -> bool {
        self.marked.contains(&beginning(record))
    }

    /// Whether any enrolment of this agent is held.
    pub fn is_enrolled(&self, agent: &AgentId) -> bool {
        self.by_key
            .get(agent)
            .is_some_and(|agent| !agent.enrolments.is_empty())
    }

    /// An agent as of a stamp.
    pub fn read(&self, id: &AgentId, at: Stamp) -> Option<AgentState<'_>> {
        let agent = self.by_key.get(id)?;
        let seen = Place::end_of(at);
        let (since, (enrol, held)) = agent.enrolments.range(..=seen).next()?;
        let (last, iteration) = agent.actions.range(..=seen).next_back()?;
        Some(AgentState {
            enrol,
            held: *held,
            since: *since,
            presence: agent
                .presences
                .range(..=seen)
                .next_back()
                .map(|(_, presence)| presence),
            seen: latest_of(&agent.seen, &seen),
            visits: agent.visits.contains(last),
            last_action: last.stamp,
            iteration: *iteration,
        })
    }

    /// All agents enrolled at a stamp.
    pub fn all(&self, at: Stamp) -> impl Iterator<Item = (AgentId, AgentState<'_>)> {
        self.by_key
            .keys()
            .filter_map(move |id| Some((*id, self.read(id, at)?)))
    }

    /// Somebody of this name as of a stamp. Names are unique only by custom.
    pub fn named(&self, name: &str, at: Stamp) -> Option<(AgentId, AgentState<'_>)> {
        self.all(at).find(|(_, state)| state.enrol.name == name)
    }

    /// The agent's name, or the beginning of its key.
    pub fn name(&self, id: &AgentId) -> alloc::string::String {
        match self
            .by_key
            .get(id)
            .and_then(|agent| agent.enrolments.values().next())
        {
            Some((enrol, _)) => enrol.name.clone(),
            None => alloc::format!("{id:?}"),
        }
    }

    /// Marks of an agent in an iteration.
    pub fn marks_in(&self, id: &AgentId, iteration: u32, at: Stamp) -> u64 {
        let marks = self
            .by_key
            .get(id)
            .and_then(|agent| agent.marks.get(&iteration));
        marks.map_or(0, |marks| marks.count(at))
    }

    /// All marks.
    pub fn marks_count(&self, at: Stamp) -> u64 {
        self.by_key
            .values()
            .flat_map(|a| a.marks.values())
            .map(|marks| marks.count(at))
            .sum()
    }

    /// The latest marks, newest first.
    pub fn marks(&self, at: Stamp) -> impl Iterator<Item = (Place, &Witnessed)> {
        self.recent_marks
            .range(..=Place::end_of(at))
            .rev()
            .map(|(place, mark)| (*place, mark))
    }

    /// The latest marks of one agent, newest first, at most [`OWN_MARKS_MAX`].
    pub fn marks_of(&self, id: &AgentId, at: Stamp) -> impl Iterator<Item = (Place, &Witnessed)> {
        let agent = self.by_key.get(id).into_iter();
        agent.flat_map(move |agent| latest(&agent.own_marks, at, OWN_MARKS_MAX))
    }

    /// The marks that bind everybody, newest first, at most [`PINNED_MAX`].
    pub fn pinned(&self, at: Stamp) -> impl Iterator<Item = (Place, &Witnessed)> {
        latest(&self.pinned, at, PINNED_MAX)
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        for agent in self.by_key.values_mut() {
            let last = agent.actions.range(..=edge).next_back();
            if let Some(last) = last.map(|(place, _)| *place) {
                agent.actions = agent.actions.split_off(&last);
                agent.visits = agent.visits.split_off(&last);
            }
            keep_latest(&mut agent.own_marks, &edge, OWN_MARKS_MAX);
            let last = agent
                .presences
                .range(..=edge)
                .next_back()
                .map(|(place, _)| *place);
            if let Some(last) = last {
                agent.presences = agent.presences.split_off(&last);
            }
            let last = latest_of(&agent.seen, &edge).map(|(place, _)| place);
            if let Some(last) = last {
                agent.seen = agent.seen.split_off(&last);
            }
            for marks in agent.marks.values_mut() {
                let later = marks.recent.split_off(&edge);
                marks.settled += marks.recent.len() as u64;
                marks.recent = later;
            }
        }
        keep_latest(&mut self.pinned, &edge, PINNED_MAX);
        while self.recent_marks.len() > MARKS_KEPT_MAX {
            match self.recent_marks.first_key_value() {
                Some((first, _)) if *first <= edge => {
                    self.marks_from = Some(*first);
                    self.recent_marks.pop_first();
                }
                _ => break,
            }
        }
    }

    /// Values kept in memory.
    pub fn weight(&self) -> usize {
        self.recent_marks.len()
            + self.pinned.len()
            + self.marked.len() / 8
            + self
                .by_key
                .values()
                .map(|a| a.actions.len() + a.presences.len() + a.own_marks.len() + a.seen.len())
                .sum::<usize>()
    }
}

fn beginning(record: &Digest) -> u64 {
    let (first, _) = record.0.split_at(8);
    u64::from_le_bytes(first.try_into().expect("a digest is longer than that"))
}

/// Whether a mark binds everybody.
pub fn pins(mark: &Mark) -> bool {
    let mut tags = mark.tags.iter();
    tags.any(|tag| PINNING_TAGS.contains(&tag.as_str()))
}

fn latest_of<'a, T>(all: &'a BTreeMap<Place, T>, edge: &Place) -> Option<(Place, &'a T)> {
    let last = all.range(..=*edge).next_back();
    last.map(|(place, one)| (*place, one))
}

fn latest(
    marks: &BTreeMap<Place, Witnessed>,
    at: Stamp,
    most: usize,
) -> impl Iterator<Item = (Place, &Witnessed)> {
    let seen = marks.range(..=Place::end_of(at)).rev().take(most);
    seen.map(|(place, mark)| (*place, mark))
}

/// Of what is at or below the edge, keeps the latest: nothing older can be among the latest again.
fn keep_latest(marks: &mut BTreeMap<Place, Witnessed>, edge: &Place, most: usize) {
    let settled = marks.range(..=*edge).rev();
    if let Some(first) = settled.map(|(place, _)| *place).nth(most - 1) {
        *marks = marks.split_off(&first);
    }
}

impl Marks {
    fn count(&self, at: Stamp) -> u64 {
        self.settled + self.recent.range(..=Place::end_of(at)).count() as u64
    }
}
