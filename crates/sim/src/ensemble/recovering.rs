//! What goes wrong, what is said of it, what is asked for, and what comes of it: the whole way round, with
//! agents that do what they are asked, or do not.

use std::collections::BTreeMap;

use unisono_core::ensemble::limits::MAJOR_EVERY_DEFAULT;
use unisono_core::ensemble::{Asks, Cure, Due, Failure, Judged, judge};

use super::judged::{HELD, PLAYERS, SIGMA_NS, beat_ns, off};
use super::watched::Provoked;
use crate::timing::draw::Draw;

/// Beats before anything goes wrong, at the least: the trouble begins anywhere between two major
/// synchronisations.
const CALM: usize = 128;
/// How long it is waited for, beats.
const TROUBLE: usize = 300;
/// How long it is looked at after it is over, beats.
const AFTER: usize = 100;
/// Who is off by no more sigmas keeps to the beat: an agent knows it by eight actions, which spread by a third of
/// one, and may have drifted meanwhile.
const KEEPS_SIGMAS: f64 = 1.5;
/// By how many of its latest actions an agent knows how late it is.
const LATELY: usize = 8;
/// After so many beats the next step is taken while something stands: 30 s at two beats a second.
const PATIENCE: usize = 60;
/// What is told again within so many beats goes on where it was.
const REMEMBERED: usize = 4 * PATIENCE;
/// Steps that are taken at the most.
const STEPS_MAX: u32 = 3;
/// Until those who are meant can be ready, beats: the four seconds of whom nobody knows, and twice as much
/// where they should have more notice.
const READY: usize = 8;

/// Whether agents do what they are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heeds {
    /// They do.
    Does,
    /// They do not: nothing may recover by itself.
    Ignores,
}

/// What came of one seed, in beats after the trouble began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recovered {
    /// When anything was told.
    pub found_after: Option<usize>,
    /// When everybody kept to the beat again after that, within one sigma and a half.
    pub kept_after: Option<usize>,
    /// When nothing was told any more, with everybody on the beat.
    pub over_after: Option<usize>,
    /// Cues that were given until then.
    pub cues: usize,
    /// What was told in the hundred beats after that.
    pub again: usize,
}

/// An agent's way: how late it is beside chance, by how much more with each beat (ns), and when it last did
/// what it was asked (beat).
#[derive(Clone, Copy, Debug, Default)]
struct Way {
    off_ns: f64,
    rate_ns: f64,
    acted: usize,
}

/// A cue that is to come.
struct Cue {
    at: usize,
    cure: Cure,
    of: Vec<usize>,
    off_ns: f64,
}

/// What is being done about something.
struct Course {
    given: u32,
    due: usize,
    /// Since when nothing is told of it any more.
    over: Option<usize>,
}

/// One seed: calm beats, then trouble, and whatever is given against it.
pub fn recover(seed: u64, provoked: Provoked, heeds: Heeds) -> Recovered {
    let mut draw = Draw::new(seed, "ensemble recovering", 0);
    let major = usize::from(MAJOR_EVERY_DEFAULT);
    let calm = CALM + (draw.uniform() * major as f64) as usize;
    let own: Vec<f64> = (0..PLAYERS).map(|_| 2e6 * draw.normal()).collect();
    let mut ways = vec![Way::default(); PLAYERS];
    let mut held: Vec<Vec<(u64, i64)>> = vec![Vec::new(); PLAYERS];
    let mut courses: BTreeMap<(usize, usize), Course> = BTreeMap::new();
    let mut cues: Vec<Cue> = Vec::new();
    let mut recovered = Recovered::default();
    for beat in 0..calm + TROUBLE {
        if beat == calm {
            strike(&mut ways, provoked);
        }
        cues.retain(|cue| {
            if cue.at == beat && heeds == Heeds::Does {
                follow(&mut ways, &held, cue, beat);
            }
            cue.at > beat
        });
        act(&mut ways, &own, &mut held, beat, &mut draw);
        let Some(since) = beat.checked_sub(calm) else {
            continue;
        };
        let told = judge(&held);
        if !told.is_empty() {
            recovered.found_after.get_or_insert(since + 1);
        }
        let mut begun = 0;
        for (known, course) in &mut courses {
            if told.iter().any(|judged| trouble(&judged.failure) == *known) {
                begun += usize::from(course.over.take().is_some());
            } else {
                course.over.get_or_insert(beat);
            }
        }
        courses.retain(|_, course| course.over.is_none_or(|over| beat < over + REMEMBERED));
        for judged in &told {
            let course = courses.entry(trouble(&judged.failure)).or_insert_with(|| {
                begun += 1;
                Course {
                    given: 0,
                    due: beat,
                    over: None,
                }
            });
            if beat >= course.due && course.given < STEPS_MAX {
                cues.push(cue(judged, course.given, beat, major));
                course.given += 1;
                course.due = beat + PATIENCE;
                recovered.cues += usize::from(recovered.over_after.is_none());
            }
        }
        if let Some(over) = recovered.over_after {
            recovered.again += begun;
            if since > over + AFTER {
                break;
            }
        } else if recovered.found_after.is_some() && keeps(&ways) {
            recovered.kept_after.get_or_insert(since + 1);
            recovered.over_after = told.is_empty().then_some(since + 1);
        }
    }
    recovered
}

/// A beat of everybody.
fn act(ways: &mut [Way], own: &[f64], held: &mut [Vec<(u64, i64)>], beat: usize, draw: &mut Draw) {
    for ((way, own_ns), latest) in ways.iter_mut().zip(own).zip(held) {
        way.off_ns += way.rate_ns;
        let late_ns = own_ns + SIGMA_NS * draw.normal() + way.off_ns;
        if latest.len() == HELD {
            latest.remove(0);
        }
        latest.push((beat_ns(beat), late_ns as i64));
    }
}

/// Whether everybody keeps to the beat, but for what eight actions do not tell of it.
fn keeps(ways: &[Way]) -> bool {
    ways.iter()
        .all(|way| way.rate_ns == 0.0 && way.off_ns.abs() <= KEEPS_SIGMAS * SIGMA_NS)
}

/// What, and of whom: two failures are one while both stay.
fn trouble(failure: &Failure) -> (usize, usize) {
    match failure {
        Failure::Rushing { player } => (0, *player),
        Failure::Dragging { player } => (1, *player),
        Failure::Drift { .. } => (2, 0),
        Failure::Split { .. } => (3, 0),
    }
}

fn strike(ways: &mut [Way], provoked: Provoked) {
    for (player, way) in ways.iter_mut().enumerate() {
        let off_ns = SIGMA_NS * off(provoked, player, 0);
        if matches!(provoked, Provoked::Drift(_)) {
            way.rate_ns = off_ns;
        } else {
            way.off_ns = off_ns;
        }
    }
}

fn cue(judged: &Judged, given: u32, beat: usize, major: usize) -> Cue {
    let cure = judged.failure.recovery().cure(given);
    let of = match &judged.failure {
        _ if cure.all => (0..PLAYERS).collect(),
        Failure::Rushing { player } | Failure::Dragging { player } => vec![*player],
        Failure::Drift { .. } => (0..PLAYERS).collect(),
        Failure::Split { astray, .. } => astray.clone(),
    };
    let at = match cure.due {
        Due::Soon => beat + READY,
        Due::Notice => beat + 2 * READY,
        Due::NextMajor => (beat / major + 1) * major,
    };
    Cue {
        at,
        cure,
        of,
        off_ns: judged.off_ns,
    }
}

/// What whoever is meant does on a cue, by what stands in it and what it knows of itself.
fn follow(ways: &mut [Way], held: &[Vec<(u64, i64)>], cue: &Cue, beat: usize) {
    for player in &cue.of {
        let way = &mut ways[*player];
        way.rate_ns = 0.0;
        // How late it was lately, since it last changed: what a cue says was so when it was given.
        let lately = held[*player]
            .iter()
            .rev()
            .take(LATELY.min(beat - way.acted));
        let count = lately.len();
        let sum: i64 = lately.map(|(_, late_ns)| late_ns).sum();
        let own_ns = sum as f64 / count.max(1) as f64;
        match cue.cure.asks {
            Asks::HoldRate | Asks::UseLess => continue,
            Asks::ActLater | Asks::PrepareEarlier => way.off_ns -= cue.off_ns,
            Asks::CorrectPeriod | Asks::KeepToOthers => way.off_ns -= own_ns,
            // The beat is one for all by the map.
            Asks::MeetAnew => way.off_ns = 0.0,
        }
        way.acted = beat;
    }
}
