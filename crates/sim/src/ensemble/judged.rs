//! What a node says of agents that play together, action by action: what is provoked and how soon it is told,
//! and what is told though nothing is wrong.

use std::collections::BTreeSet;

use unisono_core::ensemble::{Failure, judge};

use super::watched::Provoked;
use crate::timing::draw::Draw;

/// Agents that play.
pub const PLAYERS: usize = 12;
/// Who is in trouble, if one is.
const ONE: usize = 7;
/// Who is astray in a split: the first so many.
const ASTRAY: usize = 4;
/// One sigma of an action, ns.
pub(super) const SIGMA_NS: f64 = 10e6;
/// How many actions of each agent a node holds.
pub(super) const HELD: usize = 128;
/// From beat to beat, ns.
const BEAT_NS: u64 = 500_000_000;

/// How honest agents are late.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weather {
    /// By a normal law of 10 ms, each about a rule of its own.
    Even,
    /// As threads on a machine that has other work: 0.13 ms in the middle, and one of twenty wake-ups late by
    /// 30 ms on average.
    Busy,
}

/// What was said of one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heeded {
    /// After how many beats it was told what was provoked, if it was.
    pub found_after: Option<usize>,
    /// How often something began to be told that was not so: of one agent, of all, of groups.
    pub false_alarms: [usize; 3],
    /// Beats at which it could have been, each of all agents.
    pub beats: usize,
    /// Beats at which something that was not so was told.
    pub false_beats: usize,
}

/// One seed: so many calm beats, then so many with trouble.
pub fn heed(
    seed: u64,
    weather: Weather,
    provoked: Provoked,
    calm: usize,
    trouble: usize,
) -> Heeded {
    let mut draw = Draw::new(seed, "ensemble judge", 0);
    let own: Vec<f64> = (0..PLAYERS).map(|_| 2e6 * draw.normal()).collect();
    let mut held: Vec<Vec<(u64, i64)>> = vec![Vec::new(); PLAYERS];
    let mut heeded = Heeded::default();
    let mut told: BTreeSet<(usize, usize)> = BTreeSet::new();
    for beat in 0..calm + trouble {
        let since = beat.checked_sub(calm);
        for (player, latest) in held.iter_mut().enumerate() {
            let off = since.map_or(0.0, |since| off(provoked, player, since));
            let late_ns = honest(weather, own[player], &mut draw);
            if latest.len() == HELD {
                latest.remove(0);
            }
            latest.push((beat_ns(beat), (late_ns + SIGMA_NS * off) as i64));
        }
        let mut now = BTreeSet::new();
        let mut wrong = false;
        for judged in judge(&held) {
            match since.filter(|_| is(provoked, &judged.failure)) {
                Some(since) => {
                    heeded.found_after.get_or_insert(since + 1);
                }
                None if since.is_none() || provoked == Provoked::Nothing => {
                    let name = name(&judged.failure);
                    wrong = true;
                    if !told.contains(&name) {
                        heeded.false_alarms[name.0] += 1;
                    }
                    now.insert(name);
                }
                None => {}
            }
        }
        told = now;
        heeded.beats += usize::from(since.is_none() || provoked == Provoked::Nothing);
        heeded.false_beats += usize::from(wrong);
    }
    heeded
}

/// When a beat comes, ns.
pub(super) fn beat_ns(beat: usize) -> u64 {
    1_000_000_000 + beat as u64 * BEAT_NS
}

/// How late an honest agent is whose rule is so (ns).
pub(super) fn honest(weather: Weather, own_ns: f64, draw: &mut Draw) -> f64 {
    match weather {
        Weather::Even => own_ns + SIGMA_NS * draw.normal(),
        Weather::Busy => wakes_late(draw),
    }
}

fn wakes_late(draw: &mut Draw) -> f64 {
    let wakes_ns = 0.13e6 * libm::exp(0.25 * draw.normal());
    if draw.uniform() < 0.05 {
        return wakes_ns + 30e6 * draw.exponential();
    }
    wakes_ns
}

/// By how many sigmas a player is off, so many beats after it began.
pub(super) fn off(provoked: Provoked, player: usize, since: usize) -> f64 {
    match provoked {
        Provoked::Rushing(sigmas) if player == ONE => -sigmas,
        Provoked::Dragging(sigmas) if player == ONE => sigmas,
        Provoked::Drift(sigmas) => sigmas * (since + 1) as f64,
        Provoked::Split(sigmas) if player < ASTRAY => sigmas,
        _ => 0.0,
    }
}

/// Whether a failure is what was provoked.
fn is(provoked: Provoked, failure: &Failure) -> bool {
    match (provoked, failure) {
        (Provoked::Rushing(_), Failure::Rushing { player })
        | (Provoked::Dragging(_), Failure::Dragging { player }) => *player == ONE,
        (Provoked::Drift(_), Failure::Drift { .. }) => true,
        (Provoked::Split(_), Failure::Split { astray, .. }) => astray.iter().copied().eq(0..ASTRAY),
        _ => false,
    }
}

fn name(failure: &Failure) -> (usize, usize) {
    match failure {
        Failure::Rushing { player } | Failure::Dragging { player } => (0, *player),
        Failure::Drift { .. } => (1, 0),
        Failure::Split { .. } => (2, 0),
    }
}
