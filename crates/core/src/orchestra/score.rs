//! What is played together, as people see it: the tempo, barriers, and how punctual everybody is.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Place, Tempo};

use super::confirming::ChangeView;
use super::cueing::CueView;
use super::judging::VariationView;
use super::read::{Hash, Reading};
use super::together::Play;
use crate::ensemble::limits::{MINUTE_NS, MINUTES_SHOWN_MAX};
use crate::ensemble::{Bounds, Punctuality, TempoMap};

/// The tempo that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct TempoView {
    /// The map.
    pub tempo: Tempo,
    /// Where it was set and by whom; nobody: it is what is played where nobody has.
    pub set: Option<(Place, AgentId, String)>,
    /// Its last change, where that is asked for and the change is not long over.
    pub change: Option<ChangeView>,
    /// How agents may vary on purpose, where that is asked for and they may. A setting: no part of the digest by
    /// which replicas compare.
    #[serde(skip)]
    pub bounds: Option<Bounds>,
}

impl Default for TempoView {
    /// What is played where nobody has set one.
    fn default() -> Self {
        Self {
            tempo: TempoMap::default().tempo().clone(),
            set: None,
            change: None,
            bounds: None,
        }
    }
}

/// A barrier at which somebody waits, or that opened not long ago.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct BarrierView {
    /// Its name.
    pub barrier: String,
    /// How many it takes.
    pub of: u16,
    /// Who waits: agent, name, arrival.
    pub waiting: Vec<(AgentId, String, Place)>,
    /// What it opened last.
    pub opened: Option<OpeningView>,
}

/// A barrier that opened.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct OpeningView {
    /// The arrival that completed it.
    pub last: Place,
    /// When it opens by the cluster's clock (ns since the Unix epoch).
    pub opens_ns: u64,
    /// For whom: agent, name, latest arrival.
    pub agents: Vec<(AgentId, String, Place)>,
    /// Whether no arrival can come any more that would make it another time.
    pub settled: bool,
}

/// How punctual an agent is.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayerView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// How its latest actions were.
    pub punctuality: Punctuality,
    /// Three sigma of its clock at the last one (ns).
    pub unsure_ns: u64,
    /// The same of each of its latest minutes in which it acted: when it began (ns since the Unix epoch),
    /// the oldest first.
    pub minutes: Vec<(u64, Punctuality)>,
    /// How it varies on purpose; nothing where nothing may vary, or it has not played within the last hour.
    pub variation: Option<VariationView>,
}

impl PlayerView {
    /// Its health by the actions that were not expected to be off.
    pub(super) fn health_without(&mut self, expected_ns: &BTreeSet<u64>, told: &[(u64, i64)]) {
        let counts = |from_ns: u64, until_ns: u64| {
            let some = told
                .iter()
                .filter(move |(target_ns, _)| (from_ns..until_ns).contains(target_ns));
            let some = some.filter(|(target_ns, _)| !expected_ns.contains(target_ns));
            Punctuality::of(some.copied())
        };
        let whole = counts(0, u64::MAX);
        (self.punctuality.health, self.punctuality.critical) = (whole.health, whole.critical);
        for (from_ns, minute) in &mut self.minutes {
            let some = counts(*from_ns, from_ns.saturating_add(MINUTE_NS));
            (minute.health, minute.critical) = (some.health, some.critical);
        }
    }
}

impl Reading<'_> {
    /// The tempo that stands.
    pub fn tempo(&self) -> TempoView {
        match self.folds.together.tempi.read(self.at) {
            Some((place, agent, tempo)) => TempoView {
                tempo: tempo.clone(),
                set: Some((place, agent, self.name_of(&agent))),
                change: None,
                bounds: None,
            },
            None => TempoView::default(),
        }
    }

    /// Barriers at which somebody waits, or that opened not long ago.
    pub fn barriers(&self) -> Vec<BarrierView> {
        let all = self.folds.together.barriers.read(self.at).into_iter();
        all.map(|one| BarrierView {
            barrier: one.name.into(),
            of: one.of,
            waiting: one
                .waiting
                .into_iter()
                .map(|(agent, place)| (agent, self.name_of(&agent), place))
                .collect(),
            opened: one.opened.map(|opening| OpeningView {
                last: opening.last,
                opens_ns: opening.opens_ns,
                settled: self.horizon.settled(opening.last.stamp),
                agents: opening
                    .agents
                    .into_iter()
                    .map(|(agent, place)| (agent, self.name_of(&agent), place))
                    .collect(),
            }),
        })
        .collect()
    }

    /// How punctual everybody is who told of an action.
    pub fn players(&self) -> Vec<PlayerView> {
        let plays = self.folds.together.plays.read(self.at);
        let each = plays.into_iter().map(|(agent, latest)| PlayerView {
            agent,
            name: self.name_of(&agent),
            punctuality: Punctuality::of(latest.iter().map(error)),
            unsure_ns: latest.last().map_or(0, |play| play.played.unsure_ns),
            minutes: minutes(&latest),
            variation: None,
        });
        each.collect()
    }

    /// The actions that it is told of how punctual an agent was.
    pub(super) fn told_of(&self, agent: &AgentId) -> Vec<(u64, i64)> {
        let latest = self.folds.together.plays.of(agent, self.at);
        latest.iter().map(error).collect()
    }

    /// All of it, without what depends on how far this node knows.
    pub(super) fn add_together(&self, hash: &mut Hash) {
        hash.add(&self.tempo());
        for one in self.folds.together.barriers.read(self.at) {
            let opened = one.opened.map(|one| (one.last, one.opens_ns, one.agents));
            hash.add(&(one.name, one.of, one.waiting, opened));
        }
        for view in self.cues() {
            // What is proposed is arithmetic in floats over the responses below.
            hash.add(&CueView {
                notice: None,
                ..view
            });
        }
        hash.add(&self.folds.together.cues.responses(self.at, None));
        for (agent, latest) in self.folds.together.plays.read(self.at) {
            hash.add(&(agent, latest));
        }
        for told in self.folds.together.uses.read(self.at) {
            hash.add(&told);
        }
        for told in self.folds.together.performers.read(self.at) {
            hash.add(&told);
        }
    }

    pub(super) fn name_of(&self, agent: &AgentId) -> String {
        self.folds.name_of(agent)
    }
}

/// The latest minutes, by the times that actions were meant for.
fn minutes(latest: &[Play]) -> Vec<(u64, Punctuality)> {
    let mut minutes: BTreeMap<u64, Vec<(u64, i64)>> = BTreeMap::new();
    for play in latest {
        let from_ns = play.played.target_ns / MINUTE_NS * MINUTE_NS;
        minutes.entry(from_ns).or_default().push(error(play));
    }
    while minutes.len() > MINUTES_SHOWN_MAX {
        minutes.pop_first();
    }
    minutes
        .into_iter()
        .map(|(from_ns, errors)| (from_ns, Punctuality::of(errors.into_iter())))
        .collect()
}

fn error(play: &Play) -> (u64, i64) {
    (play.played.target_ns, play.played.late_ns)
}
