//! What agents may vary by on purpose, and when that is likely: told apart from what goes wrong (TIME-11).
//!
//! An action is *expected* where variation is likely, within the bounds, of somebody who had come back from the
//! time before. What is expected adds nothing to the sums of [`judge_within`](super::judge_within), and neither to
//! the thresholds; everything else does, as if there were no bounds.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use unisono_model::Setting;

use super::habit::Habit;
use super::limits::{
    JUDGE_LEARNS, VARY_BACK_SIGMAS, VARY_LEARNS_MIN, VARY_OFF_SIGMAS, VARY_RATE_INTERVALS,
    VARY_REST_ACTIONS, VARY_SURE_ACTIONS, VARY_SURE_SIGMAS, VARY_TOLD_ACTIONS,
};
use super::tempo::{Stress, TempoMap};
use super::watch::median;

/// How agents may vary on purpose: all know it, since it stands in the orchestra's settings.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// How far from its target an action may be (ms).
    pub timing_ms: Option<u32>,
    /// By how much of the tempo's rate an agent may act faster or slower (millionths).
    pub rate_ppm: Option<u32>,
    /// By how much more than what is allotted to it an agent may use (millionths of that), whenever.
    pub resources_ppm: Option<u32>,
    /// From which beats on actions may be off.
    pub at: Stress,
    /// For how many beats.
    pub beats: u16,
}

/// Bounds, and the beats at which they hold.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    bounds: Bounds,
    map: &'a TempoMap,
    fault: Option<VariationFault>,
}

/// Faults that are planted to see whether they are found; none in the product.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VariationFault {
    /// How far somebody is off does not matter.
    BoundsIgnored,
    /// Variation is likely at every beat.
    LikelyIgnored,
    /// Nobody has to come back.
    ReturnIgnored,
}

/// Whether what somebody is off by is meant.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub enum Variation {
    /// It is not off.
    #[default]
    Steady,
    /// Within the bounds, where that is likely, and it comes back.
    Varying,
    /// Further than the bounds.
    OutOfBounds,
    /// Within the bounds, and still off where it should have come back.
    NotReturning,
    /// Within the bounds, where no variation is likely.
    NoPattern,
}

/// How somebody has varied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Varied {
    /// Whether it does: steady, or varying.
    pub variation: Variation,
    /// How many of its latest 64 actions were off and expected.
    pub actions: u32,
    /// The furthest that one of these was from its target (ns); early where less than nothing.
    pub most_ns: i64,
    /// What actions that count neither as late nor as early were meant for (ns since the Unix epoch).
    pub expected_ns: BTreeSet<u64>,
}

impl Bounds {
    /// What settings say. None: nothing may vary, or what was set is no bound.
    pub fn of(setting: impl Fn(Setting) -> u64) -> Option<Self> {
        let bound = |one: Setting| {
            let within = one.varies_within()?;
            within.contains(&setting(one)).then(|| setting(one))
        };
        let limit = |one: Setting| u32::try_from(bound(one)?).ok().filter(|most| *most > 0);
        let bounds = Self {
            timing_ms: limit(Setting::VaryTimingMs),
            rate_ppm: limit(Setting::VaryRatePpm),
            resources_ppm: limit(Setting::VaryResourcesPpm),
            at: match bound(Setting::VaryAt)? {
                0 => Stress::Beat,
                1 => Stress::Point,
                _ => Stress::Major,
            },
            beats: bound(Setting::VaryBeats)? as u16,
        };
        (bounds.moves() || bounds.resources_ppm.is_some()).then_some(bounds)
    }

    /// Whether actions may be off.
    pub fn moves(&self) -> bool {
        self.timing_ms.is_some() || self.rate_ppm.is_some()
    }

    /// Whether it is likely at a beat that actions are off.
    pub fn is_likely(&self, map: &TempoMap, beat: i64) -> bool {
        self.moves() && beat.rem_euclid(self.every(map)) < i64::from(self.beats)
    }

    /// Beats from one at which variation begins to be likely to the next.
    fn every(&self, map: &TempoMap) -> i64 {
        i64::from(match self.at {
            Stress::Beat => 1,
            Stress::Point => map.tempo().point_every,
            Stress::Major => map.tempo().major_every,
        })
    }
}

impl<'a> Expected<'a> {
    /// Bounds over the beats of a map.
    pub fn new(bounds: Bounds, map: &'a TempoMap) -> Self {
        Self {
            bounds,
            map,
            fault: None,
        }
    }

    /// The same with a fault.
    pub fn with_fault(mut self, fault: Option<VariationFault>) -> Self {
        self.fault = fault;
        self
    }

    fn has(&self, fault: VariationFault) -> bool {
        self.fault == Some(fault)
    }

    /// Whether there are beats at which nobody may be off.
    fn rests(&self) -> bool {
        i64::from(self.bounds.beats) < self.bounds.every(self.map)
    }

    /// The beat of a time. A time just before a beat is meant for it: programs that speak JSON may round.
    fn beat(&self, target_ns: u64) -> i64 {
        let at_ns = target_ns.saturating_add(super::limits::ON_BEAT_NS);
        self.map.position(at_ns).beat
    }

    fn is_likely(&self, beat: i64) -> bool {
        self.has(VariationFault::LikelyIgnored) || self.bounds.is_likely(self.map, beat)
    }

    /// How late somebody is as a rule, by the first actions at which it was not to vary. Nothing where there are
    /// too few actions.
    pub(super) fn habit(&self, latest: &[(u64, i64)]) -> Option<Habit> {
        let first = latest.get(..JUDGE_LEARNS)?;
        let calm = first
            .iter()
            .filter(|(target_ns, _)| !self.bounds.is_likely(self.map, self.beat(*target_ns)));
        let calm: Vec<f64> = calm.map(|(_, late_ns)| *late_ns as f64).collect();
        if calm.len() >= VARY_LEARNS_MIN {
            return Habit::of(&calm);
        }
        let all: Vec<f64> = first.iter().map(|(_, late_ns)| *late_ns as f64).collect();
        Habit::of(&all)
    }

    /// Each action of somebody, with what of it was not expected.
    pub(super) fn course(&self, latest: &[(u64, i64)], habit: Option<Habit>) -> Course {
        let off = |late_ns: i64| {
            habit.map_or(0.0, |habit| {
                habit.off(late_ns as f64).beyond_ns() / habit.sigma
            })
        };
        let each = latest.iter().map(|(target_ns, late_ns)| {
            let beat = self.beat(*target_ns);
            Seen {
                target_ns: *target_ns,
                late_ns: *late_ns,
                beat,
                likely: self.is_likely(beat),
                sigmas: off(*late_ns),
                variation: Variation::Steady,
                counts: Counts::Whole,
            }
        });
        let mut course = Course(each.collect());
        for index in 0..course.0.len() {
            let beyond = self.beyond(&course.0, index);
            let within = self.has(VariationFault::BoundsIgnored) || beyond == Counts::Nothing;
            let likely = course.0[index].likely;
            let back = self.has(VariationFault::ReturnIgnored) || self.is_back(&course.0, index);
            let seen = &course.0[index];
            let variation = if seen.sigmas.abs() <= VARY_OFF_SIGMAS {
                Variation::Steady
            } else if within && likely && back {
                Variation::Varying
            } else if !within {
                Variation::OutOfBounds
            } else if likely || course.goes_on(index) {
                Variation::NotReturning
            } else {
                Variation::NoPattern
            };
            let counts = match (likely && back, within) {
                (true, true) => Counts::Nothing,
                (true, false) => beyond,
                (false, _) => Counts::Whole,
            };
            let seen = &mut course.0[index];
            (seen.counts, seen.variation) = (counts, variation);
        }
        course
    }

    /// What of an action is beyond the bounds of time and of rate. Where there is neither, all is.
    fn beyond(&self, course: &[Seen], index: usize) -> Counts {
        let Bounds {
            timing_ms,
            rate_ppm,
            ..
        } = self.bounds;
        let seen = &course[index];
        if let Some(most_ppm) = rate_ppm {
            // What is faster or slower over the latest intervals is what actions became later by in them.
            let before = &course[index.saturating_sub(VARY_RATE_INTERVALS)];
            let span_ns = seen.target_ns.saturating_sub(before.target_ns) as f64;
            let later_ns = (seen.late_ns as f64 - before.late_ns as f64).abs();
            if later_ns * 1e6 > span_ns * f64::from(most_ppm) {
                return Counts::Whole;
            }
        }
        let Some(most_ms) = timing_ms else {
            return rate_ppm.map_or(Counts::Whole, |_| Counts::Nothing);
        };
        let most_ns = i64::from(most_ms) * 1_000_000;
        if (-most_ns..=most_ns).contains(&seen.late_ns) {
            return Counts::Nothing;
        }
        Counts::Beyond(seen.late_ns.saturating_sub(most_ns * seen.late_ns.signum()))
    }

    /// Whether somebody had come back before it began to vary.
    fn is_back(&self, course: &[Seen], index: usize) -> bool {
        if self.rests() {
            let before = course[..index].iter().rev();
            let rests = before.filter(|seen| !self.bounds.is_likely(self.map, seen.beat));
            let off = median(rests.take(VARY_REST_ACTIONS).map(|seen| seen.sigmas));
            return off.is_none_or(|sigmas| sigmas.abs() < VARY_BACK_SIGMAS);
        }
        // It may begin at any beat: then no more than so many of twice as many may be off.
        let most = usize::from(self.bounds.beats) + 1;
        let from = course[index].beat - 2 * (i64::from(self.bounds.beats) + 1);
        let lately = course[..=index].iter().rev();
        let off = lately
            .take_while(|seen| seen.beat > from)
            .filter(|seen| seen.sigmas.abs() > VARY_OFF_SIGMAS);
        off.count() <= most
    }
}

/// What of an action counts as late or early.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Counts {
    /// Nothing: it was as expected.
    Nothing,
    /// By how much it was beyond the bound of time (ns), where and when variation is likely: chance alone puts some
    /// actions a little beyond it.
    Beyond(i64),
    /// All that it was off its rule.
    Whole,
}

/// Somebody's actions.
#[derive(Clone, Debug, Default)]
pub(super) struct Course(Vec<Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    target_ns: u64,
    late_ns: i64,
    beat: i64,
    likely: bool,
    /// By how much it was off (sigmas); early where less than nothing.
    sigmas: f64,
    variation: Variation,
    counts: Counts,
}

impl Course {
    /// Whether an action where no variation is likely goes on being off as the latest were where it is.
    fn goes_on(&self, index: usize) -> bool {
        let before = &self.0[..index];
        let Some(last) = before.iter().rposition(|seen| seen.likely) else {
            return false;
        };
        let first = before[..last].iter().rposition(|seen| !seen.likely);
        let occasion = &before[first.map_or(0, |first| first + 1)..=last];
        let since = &self.0[last + 1..=index];
        let off = |some: &[Seen]| {
            let middle = median(some.iter().map(|seen| seen.sigmas));
            middle.is_some_and(|sigmas| sigmas.abs() > VARY_BACK_SIGMAS)
        };
        off(occasion) && off(since)
    }

    /// What of each action counts, in order.
    pub(super) fn counts(&self) -> impl Iterator<Item = Counts> {
        self.0.iter().map(|seen| seen.counts)
    }

    /// Of the actions since a time that were off and not expected: how many for each reason.
    pub(super) fn reasons(&self, since_ns: u64) -> impl Iterator<Item = Variation> {
        let since = self.0.iter().filter(move |seen| seen.target_ns >= since_ns);
        since
            .map(|seen| seen.variation)
            .filter(|variation| *variation > Variation::Varying)
    }

    /// How somebody has varied.
    pub(super) fn varied(&self) -> Varied {
        let latest = self.0.iter().rev().take(VARY_TOLD_ACTIONS);
        let varying = latest.filter(|seen| seen.variation == Variation::Varying);
        let mut varied = Varied::default();
        let mut sure = 0;
        for seen in varying {
            varied.actions += 1;
            sure += u32::from(seen.sigmas.abs() > VARY_SURE_SIGMAS);
            if seen.late_ns.unsigned_abs() > varied.most_ns.unsigned_abs() {
                varied.most_ns = seen.late_ns;
            }
        }
        if sure >= VARY_SURE_ACTIONS {
            varied.variation = Variation::Varying;
        }
        let expected = self.0.iter().filter(|seen| seen.counts == Counts::Nothing);
        varied.expected_ns = expected.map(|seen| seen.target_ns).collect();
        varied
    }
}

/// The reason that most actions bear; of as many, the first that is asked for. Nothing where none bears one.
pub(super) fn reason(reasons: impl Iterator<Item = Variation>) -> Option<Variation> {
    let mut counts = [0_u32; 3];
    let kinds = [
        Variation::OutOfBounds,
        Variation::NotReturning,
        Variation::NoPattern,
    ];
    for one in reasons {
        for (count, kind) in counts.iter_mut().zip(kinds) {
            *count += u32::from(kind == one);
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    let kind = counts.iter().position(|count| *count == most && most > 0);
    kind.map(|kind| kinds[kind])
}
