//! The orchestra's course: its iteration and its settings.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{Action, Place, Setting, Stamp};

use super::conflict::Strategies;
use super::fact::Fact;
use super::view::Phase;
use crate::sabotage::Sabotage;

/// The fold over iterations and settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// For each iteration that was ended, every place at which that was said. The lowest counts.
    advances: BTreeMap<u32, BTreeSet<Place>>,
    settings: BTreeMap<Setting, BTreeMap<Place, u64>>,
    /// Planted fault: what came last about conflicts counts, whatever its stamp.
    #[serde(skip)]
    arrived: BTreeMap<Setting, u64>,
}

/// Which iterations belong to which phase (ORCHESTRA-1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PhaseMap {
    /// The last iteration of DESIGN.
    pub design_ends: u64,
    /// The last iteration of EXECUTION.
    pub execution_ends: u64,
}

impl Default for PhaseMap {
    fn default() -> Self {
        Self {
            design_ends: default(Setting::DesignEnds),
            execution_ends: default(Setting::ExecutionEnds),
        }
    }
}

impl PhaseMap {
    /// What settings say.
    pub fn of(settings: impl Fn(Setting) -> Option<u64>) -> Self {
        let said = |setting| settings(setting).unwrap_or_else(|| default(setting));
        Self {
            design_ends: said(Setting::DesignEnds),
            execution_ends: said(Setting::ExecutionEnds),
        }
    }

    /// The phase of an iteration. Where DESIGN ends behind EXECUTION, there is none of that.
    pub fn phase(self, iteration: u32) -> Phase {
        let iteration = u64::from(iteration);
        if iteration <= self.design_ends {
            Phase::Design
        } else if iteration <= self.execution_ends {
            Phase::Execution
        } else {
            Phase::Reflection
        }
    }
}

/// An iteration, and when it began.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// Which.
    pub iteration: u32,
    /// Since when.
    pub began: Stamp,
}

impl Now {
    /// Whether what was said at a place is of this iteration. A record bears whatever its agent
    /// signed: what bears a later iteration than there was belongs to the one in which it was said,
    /// or it would stand until that one came.
    pub fn has(&self, place: &Place, iteration: u32) -> bool {
        iteration >= self.iteration && place.stamp >= self.began
    }
}

impl Course {
    /// The iteration as of a stamp, and when it began.
    pub fn now(&self, at: Stamp) -> Now {
        let iteration = self.iteration(at);
        Now {
            iteration,
            began: self.began(iteration).unwrap_or(Stamp::MIN),
        }
    }

    /// Takes in a record.
    pub fn insert(&mut self, fact: &Fact, sabotage: Sabotage) {
        match &fact.body.action {
            Action::Advance { from } => {
                self.advances.entry(*from).or_default().insert(fact.place);
            }
            Action::Settings(changes) => {
                for (setting, value) in changes {
                    if sabotage.strategy_by_arrival && setting.is_conflict() {
                        self.arrived.insert(*setting, *value);
                    }
                    self.settings
                        .entry(*setting)
                        .or_default()
                        .insert(fact.place, *value);
                }
            }
            _ => {}
        }
    }

    /// Takes a record out again.
    pub fn retract(&mut self, place: Place, action: &Action) {
        match action {
            Action::Advance { from } => {
                if let Some(places) = self.advances.get_mut(from) {
                    places.remove(&place);
                }
            }
            Action::Settings(changes) => {
                for (setting, _) in changes {
                    if let Some(values) = self.settings.get_mut(setting) {
                        values.remove(&place);
                    }
                }
            }
            _ => {}
        }
    }

    /// The iteration as of a stamp: the longest run of ended iterations from 1, and one.
    pub fn iteration(&self, at: Stamp) -> u32 {
        let mut iteration = 1;
        while self
            .advances
            .get(&iteration)
            .is_some_and(|places| places.first().is_some_and(|place| place.stamp <= at))
        {
            iteration += 1;
        }
        iteration
    }

    /// When an iteration began, where it is not the first: when the last of those before it had
    /// ended.
    pub fn began(&self, iteration: u32) -> Option<Stamp> {
        let ended = (1..iteration).map(|before| self.advances.get(&before)?.first());
        let ended: Option<Vec<&Place>> = ended.collect();
        ended?.into_iter().map(|place| place.stamp).max()
    }

    /// What the orchestra is about in an iteration.
    pub fn phase(&self, iteration: u32, at: Stamp) -> Phase {
        let map = PhaseMap {
            design_ends: self.setting(Setting::DesignEnds, at),
            execution_ends: self.setting(Setting::ExecutionEnds, at),
        };
        map.phase(iteration)
    }

    /// A setting as of a stamp: the latest value, or the default.
    pub fn setting(&self, setting: Setting, at: Stamp) -> u64 {
        let set = self.settings.get(&setting);
        let last = set.and_then(|values| values.range(..=Place::end_of(at)).next_back());
        last.map_or_else(|| default(setting), |(_, value)| *value)
    }

    /// What is done about values that were written at once, as of a stamp.
    pub fn strategies(&self, at: Stamp) -> Strategies {
        Strategies::new(|setting| match self.arrived.get(&setting) {
            Some(planted) => *planted,
            None => self.setting(setting, at),
        })
    }

    /// All settings as of a stamp.
    pub fn settings(&self, at: Stamp) -> BTreeMap<Setting, u64> {
        ALL.iter()
            .map(|setting| (*setting, self.setting(*setting, at)))
            .collect()
    }

    /// Drops what can no longer be the answer to anything above the frontier.
    pub fn prune(&mut self, frontier: Stamp) {
        let edge = Place::end_of(frontier);
        for values in self.settings.values_mut() {
            if let Some(last) = values.range(..=edge).next_back().map(|(place, _)| *place) {
                *values = values.split_off(&last);
            }
        }
        for places in self.advances.values_mut() {
            if let Some(first) = places.first().copied()
                && first <= edge
            {
                *places = BTreeSet::from([first]);
            }
        }
    }
}

const ALL: [Setting; 27] = [
    Setting::PresenceStaleMs,
    Setting::IntentLifetimeMs,
    Setting::NeedLifetimeMs,
    Setting::ClaimLeaseMs,
    Setting::EmitPerMinuteMax,
    Setting::ExecutionEnds,
    Setting::IterationLast,
    Setting::RemoveSilentAfterMs,
    Setting::NeedPatienceMs,
    Setting::CollisionPermille,
    Setting::TitleConflict,
    Setting::DescriptionConflict,
    Setting::StatusConflict,
    Setting::PriorityConflict,
    Setting::AssigneeConflict,
    Setting::LabelsConflict,
    Setting::LinkConflict,
    Setting::AdvanceNeedsResolved,
    Setting::ContextStaleMs,
    Setting::Run,
    Setting::DesignEnds,
    Setting::Reading,
    Setting::VaryTimingMs,
    Setting::VaryRatePpm,
    Setting::VaryAt,
    Setting::VaryBeats,
    Setting::VaryResourcesPpm,
];

fn default(setting: Setting) -> u64 {
    match setting {
        Setting::PresenceStaleMs => 10 * 60_000,
        Setting::IntentLifetimeMs => 3_600_000,
        Setting::NeedLifetimeMs => 24 * 3_600_000,
        Setting::ClaimLeaseMs => 30 * 60_000,
        Setting::EmitPerMinuteMax => 600,
        Setting::DesignEnds | Setting::VaryBeats => 1,
        Setting::ExecutionEnds => 8,
        Setting::IterationLast => 10,
        Setting::RemoveSilentAfterMs => 0,
        Setting::NeedPatienceMs | Setting::ContextStaleMs => 10 * 60_000,
        Setting::CollisionPermille => 250,
        Setting::TitleConflict
        | Setting::DescriptionConflict
        | Setting::StatusConflict
        | Setting::PriorityConflict
        | Setting::AssigneeConflict
        | Setting::LabelsConflict
        | Setting::LinkConflict
        | Setting::AdvanceNeedsResolved
        | Setting::Run
        | Setting::Reading
        | Setting::VaryTimingMs
        | Setting::VaryRatePpm
        | Setting::VaryAt
        | Setting::VaryResourcesPpm => 0,
    }
}
