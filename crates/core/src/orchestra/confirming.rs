//! Whether a change of the tempo has been followed: at its end it is looked at who plays the new beat, and it is
//! confirmed, or said by whom not (TIME-10).
//!
//! It is read from the actions that were told, as of a stamp, as what goes wrong is: nobody has to announce it.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::{AgentId, Curve, Tempo};

use super::read::Reading;
use super::score::TempoView;
use super::together::Play;
use crate::ensemble::TempoMap;
use crate::ensemble::limits::{
    CHANGE_BEATS, CHANGE_BEFORE_NS, CHANGE_NS_MIN, CHANGE_SHOWN_NS, FOLLOWS_ACTIONS_MAX,
    FOLLOWS_ACTIONS_MIN, MEAN_MS, ON_BEAT_NS,
};

/// The last change of the tempo map that stands.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct ChangeView {
    /// When it begins by the cluster's clock (ns since the Unix epoch).
    pub from_ns: u64,
    /// When the new rate is reached; for a step that is when it begins.
    pub until_ns: u64,
    /// The rate before it, millionths of a beat a minute.
    pub from_ubpm: u64,
    /// The rate after it.
    pub to_ubpm: u64,
    /// By when it has to show who follows: sixteen beats after its end, ten seconds at least.
    pub decided_ns: u64,
    /// Where it stands.
    pub stage: ChangeStage,
    /// Who played the beat in the minute before it, or plays it since, in order of keys. Nobody before its end.
    pub players: Vec<FollowerView>,
}

/// Where a change of the tempo stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum ChangeStage {
    /// It has not begun.
    Announced,
    /// The rate changes.
    UnderWay,
    /// It is over, and somebody has not told of enough actions yet.
    Awaited,
    /// All players follow.
    Confirmed,
    /// Not all do.
    Unconfirmed,
    /// Nobody has told of the beat, neither before nor since.
    Unheard,
}

/// A player, and whether it follows a change of the tempo.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct FollowerView {
    /// Who.
    pub agent: AgentId,
    /// Its name.
    pub name: String,
    /// Whether it does.
    pub follows: Follows,
}

/// Whether a player follows a change of the tempo, by its first actions since.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum Follows {
    /// It plays the new beat, as punctually as the old one.
    Yes,
    /// It has told of fewer than two actions.
    Silent,
    /// More than one in four of its actions were meant for no beat of the new tempo.
    OffBeat,
    /// It plays the new beat, and is later by so much (ns) than it was: earlier where less than nothing.
    Later(i64),
}

impl Reading<'_> {
    /// The tempo that stands, with what became of its last change in the ten minutes after it.
    pub fn tempo_told(&self) -> TempoView {
        let mut view = self.beat();
        view.change = self.change(&view.tempo);
        view
    }

    /// The tempo that stands, and how far agents may vary from it: without a look at who follows, which
    /// costs as much as everybody's actions.
    pub fn beat(&self) -> TempoView {
        let mut view = self.tempo();
        view.bounds = self.bounds();
        view
    }

    fn change(&self, tempo: &Tempo) -> Option<ChangeView> {
        let now_ns = self.at.as_ns();
        let [.., before, after] = &tempo.segments[..] else {
            return None;
        };
        let until_ns = after.starts_ns;
        let from_ns = match before.curve {
            Curve::Steady => until_ns,
            Curve::Linear { .. } | Curve::Exponential { .. } => before.starts_ns,
        };
        if before.rate_ubpm == after.rate_ubpm || now_ns > until_ns.saturating_add(CHANGE_SHOWN_NS)
        {
            return None;
        }
        let map = TempoMap::new(tempo.clone()).ok()?;
        let beat = map.position(until_ns).beat;
        let beats_ns = map
            .time(beat.saturating_add(CHANGE_BEATS))
            .unwrap_or(until_ns);
        let mut change = ChangeView {
            from_ns,
            until_ns,
            from_ubpm: before.rate_ubpm,
            to_ubpm: after.rate_ubpm,
            decided_ns: beats_ns.max(until_ns.saturating_add(CHANGE_NS_MIN)),
            stage: ChangeStage::UnderWay,
            players: Vec::new(),
        };
        if now_ns < from_ns {
            change.stage = ChangeStage::Announced;
        } else if now_ns >= until_ns {
            change.players = self.followers(&change, &map);
            change.stage = change.judged(now_ns);
        }
        Some(change)
    }

    fn followers(&self, change: &ChangeView, map: &TempoMap) -> Vec<FollowerView> {
        let plays: BTreeMap<AgentId, Vec<Play>> = self.folds.together.plays.kept(self.at);
        let each = plays.into_iter().filter_map(|(agent, plays)| {
            let follows = change.follows(&plays, map)?;
            let name = self.name_of(&agent);
            Some(FollowerView {
                agent,
                name,
                follows,
            })
        });
        each.collect()
    }
}

impl ChangeView {
    fn judged(&self, now_ns: u64) -> ChangeStage {
        let all = self.players.iter().all(|one| one.follows == Follows::Yes);
        match (self.players.is_empty(), all) {
            (false, true) => ChangeStage::Confirmed,
            _ if now_ns < self.decided_ns => ChangeStage::Awaited,
            (true, _) => ChangeStage::Unheard,
            (false, false) => ChangeStage::Unconfirmed,
        }
    }

    /// Whether somebody follows by these actions; none: it plays no beat. What a cue asked for is no beat.
    fn follows(&self, plays: &[Play], map: &TempoMap) -> Option<Follows> {
        let within = |from_ns: u64, until_ns: u64| {
            let played = plays.iter().map(|play| &play.played);
            let of_beat = played.filter(move |one| {
                one.cue.is_none() && (from_ns..until_ns).contains(&one.target_ns)
            });
            let mut told: Vec<(u64, i64)> =
                of_beat.map(|one| (one.target_ns, one.late_ns)).collect();
            told.sort_unstable();
            told
        };
        let mut before = within(self.from_ns.saturating_sub(CHANGE_BEFORE_NS), self.from_ns);
        before.retain(|(target_ns, _)| is_on_beat(map, *target_ns));
        let mut since = within(self.until_ns, self.decided_ns);
        since.truncate(FOLLOWS_ACTIONS_MAX);
        let told = since.len();
        since.retain(|(target_ns, _)| is_on_beat(map, *target_ns));
        let on_beat = 4 * since.len() >= 3 * told;
        let played = before.len() >= FOLLOWS_ACTIONS_MIN;
        if told < FOLLOWS_ACTIONS_MIN {
            return played.then_some(Follows::Silent);
        }
        if !on_beat {
            return played.then_some(Follows::OffBeat);
        }
        let later_ns = median_ns(&since).saturating_sub(median_ns(&before));
        let off_ms = later_ns.unsigned_abs() as f64 / 1e6;
        Some(if off_ms < MEAN_MS.0 {
            Follows::Yes
        } else {
            Follows::Later(later_ns)
        })
    }
}

fn is_on_beat(map: &TempoMap, target_ns: u64) -> bool {
    let beat = map.position(target_ns).beat;
    let near = |beat: i64| {
        let at_ns = map.time(beat);
        at_ns.is_some_and(|at_ns| at_ns.abs_diff(target_ns) <= ON_BEAT_NS)
    };
    near(beat) || near(beat.saturating_add(1))
}

/// The middle of what actions were late by (ns); nothing of none.
fn median_ns(told: &[(u64, i64)]) -> i64 {
    let mut late: Vec<i64> = told.iter().map(|(_, late_ns)| *late_ns).collect();
    late.sort_unstable();
    late.get(late.len() / 2).copied().unwrap_or_default()
}
