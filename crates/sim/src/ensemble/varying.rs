//! What agents do on purpose within bounds that all know, and what only looks like it: how often the first is taken
//! for trouble, and how soon the second is told, with the right reason.

use unisono_core::ensemble::{
    Bounds, Expected, Failure, Stress, TempoMap, Variation, VariationFault, judge, judge_within,
};

use super::judged::{HELD, SIGMA_NS, Weather, honest};
use super::loops::Judged;
use crate::timing::draw::Draw;

/// Agents that play.
const PLAYERS: usize = 12;
/// Who varies.
const ONE: usize = 7;
/// The bound of time: what varies by four sigmas is beyond it one time in forty.
const BOUND_MS: u32 = 60;
/// Beats before anybody varies: two major synchronisations.
const CALM: usize = 128;
/// In which share of beats whoever is off at random is so.
const RANDOM_SHARE: f64 = 0.5;

/// What somebody does who is late on purpose, or as if it were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Does {
    /// It is late where that is likely, within the bounds, and then back.
    Varies,
    /// The same, beyond the bounds.
    GoesBeyond,
    /// It is late from where that is likely on, within the bounds, and never back.
    StaysAway,
    /// It is late within the bounds, at beats that nobody knows before.
    AtRandom,
}

/// Where and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// From which beats on variation is likely.
    pub at: Stress,
    /// For how many.
    pub beats: u16,
    /// By how many sigmas it is late.
    pub sigmas: f64,
    /// How everybody is late besides.
    pub weather: Weather,
}

/// What was said of one seed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// Beats at which something was told of whoever varies, while it did as it may.
    pub blamed_beats: usize,
    /// The same if nobody had said what may vary.
    pub unheard_beats: usize,
    /// Beats at which something was told of anybody else.
    pub others_beats: usize,
    /// Beats that were looked at while it did as it may.
    pub beats: usize,
    /// Whether it was said in the end of these that it varies.
    pub varies: bool,
    /// After how many beats it was told what it did then, if it was.
    pub found_after: Option<usize>,
    /// With which reason then.
    pub reason: Option<Variation>,
}

/// One seed: calm beats, so many at which somebody varies as it may, then so many at which it does something else.
pub fn vary(
    seed: u64,
    plan: Plan,
    (meant, then): (usize, usize),
    does: Does,
    fault: Option<VariationFault>,
) -> Told {
    let mut draw = Draw::new(seed, "ensemble varying", 0);
    let map = TempoMap::default();
    let bounds = Bounds {
        timing_ms: Some(BOUND_MS),
        rate_ppm: None,
        resources_ppm: None,
        at: plan.at,
        beats: plan.beats,
    };
    let expected = Expected::new(bounds, &map).with_fault(fault);
    let own: Vec<f64> = (0..PLAYERS).map(|_| 2e6 * draw.normal()).collect();
    let mut held: Vec<Vec<(u64, i64)>> = vec![Vec::new(); PLAYERS];
    let mut course = Course::new(plan);
    let mut told = Told::default();
    // The first that is looked at is a major synchronisation, long after 1970.
    for beat in 0..CALM + meant + then {
        let since = beat.checked_sub(CALM + meant);
        let number = 64 * 1_000 + (beat as u64).cast_signed();
        let at_ns = map.time(number).unwrap_or_default();
        let off = match since {
            _ if beat < CALM => 0.0,
            Some(_) => course.off(does, number, &mut draw),
            None => course.off(Does::Varies, number, &mut draw),
        };
        for (player, latest) in held.iter_mut().enumerate() {
            let off = if player == ONE { off } else { 0.0 };
            let late_ns = honest(plan.weather, own[player], &mut draw) + SIGMA_NS * off;
            if latest.len() == HELD {
                latest.remove(0);
            }
            latest.push((at_ns, late_ns as i64));
        }
        if beat < CALM {
            continue;
        }
        let judgement = judge_within(&held, Some(&expected));
        let blamed = |of: &dyn Fn(usize) -> bool| {
            let mut each = judgement.found.iter();
            each.any(|judged| of(concerned(&judged.failure)))
        };
        let critical = judgement.beyond[ONE].is_some();
        if let Some(since) = since {
            if blamed(&|player| player == ONE) || critical {
                told.found_after.get_or_insert(since + 1);
                told.reason.get_or_insert(judgement.varied[ONE].variation);
            }
            continue;
        }
        told.beats += 1;
        told.blamed_beats += usize::from(blamed(&|player| player == ONE) || critical);
        told.others_beats += usize::from(blamed(&|player| player != ONE));
        let unheard = judge(&held);
        let mut unheard = unheard.iter().map(|judged| concerned(&judged.failure));
        told.unheard_beats += usize::from(unheard.any(|player| player == ONE));
        told.varies = judgement.varied[ONE].variation == Variation::Varying;
    }
    told
}

/// Of whom something is told; of all and of groups nobody's.
fn concerned(failure: &Failure) -> usize {
    match failure {
        Failure::Rushing { player } | Failure::Dragging { player } => *player,
        Failure::Drift { .. } | Failure::Split { .. } => PLAYERS,
    }
}

/// By how much somebody is off, beat after beat.
struct Course {
    plan: Plan,
    /// Until which beat it is off, where it may begin to be at any.
    until: i64,
    away: bool,
}

impl Course {
    fn new(plan: Plan) -> Self {
        Self {
            plan,
            until: i64::MIN,
            away: false,
        }
    }

    /// By how many sigmas.
    fn off(&mut self, does: Does, beat: i64, draw: &mut Draw) -> f64 {
        let Plan {
            at, beats, sigmas, ..
        } = self.plan;
        let beats = i64::from(beats);
        let chance = draw.uniform();
        let begins = match at {
            Stress::Point => beat % 4 == 0,
            Stress::Major => beat % 64 == 0,
            // Seldom enough that it is back for three times as long as it was off.
            Stress::Beat => beat >= self.until + 3 * beats && chance < 0.2,
        };
        if begins {
            self.until = beat + beats;
            self.away |= does == Does::StaysAway;
        }
        let on = match does {
            Does::Varies | Does::GoesBeyond => beat < self.until,
            Does::StaysAway => self.away,
            Does::AtRandom => chance < RANDOM_SHARE,
        };
        match (on, does) {
            (false, _) => 0.0,
            (true, Does::GoesBeyond) => sigmas + f64::from(BOUND_MS) * 1e6 / SIGMA_NS,
            (true, _) => sigmas,
        }
    }
}

/// Whether on one seed whoever varies as it may is left in peace, and whoever does not is told of in time. With a
/// fault planted, it should not be so.
pub fn judge_variation(seed: u64, fault: Option<VariationFault>) -> Judged {
    let mut draw = Draw::new(seed, "ensemble variation", 0);
    // What is beyond the bounds for one beat of four adds up slowly, and where variation may begin at any beat there
    // is none that nobody expects: neither is promised.
    let plans: [(Stress, u16, &[Does]); 2] = [
        (
            Stress::Point,
            2,
            &[Does::GoesBeyond, Does::StaysAway, Does::AtRandom],
        ),
        (Stress::Beat, 3, &[Does::StaysAway]),
    ];
    let (at, beats, opposites) = plans[usize::from(draw.uniform() < 0.5)];
    let plan = Plan {
        at,
        beats,
        sigmas: 4.0,
        weather: Weather::Even,
    };
    let broken = opposites.iter().find_map(|does| {
        let told = vary(seed, plan, (64, 96), *does, fault);
        if 4 * told.blamed_beats > told.beats {
            return Some(format!(
                "{plan:?}: it varied as it may, and was blamed at {} of {} beats",
                told.blamed_beats, told.beats
            ));
        }
        let late = told.found_after.is_none();
        late.then(|| format!("{plan:?}, {does:?}: not told within 96 beats"))
    });
    Judged { violation: broken }
}
