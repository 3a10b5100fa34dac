//! Correction alone: several players, late feedback, the seed's gains and the product's.

use unisono_core::ensemble::{CorrectionFault, Corrector, Gains, Loop, Rule};

use crate::timing::draw::Draw;

/// Actions of a run, and from which on errors count.
const ACTIONS: usize = 400;
const SETTLED: usize = 100;
/// What stays, and what is chance, ns.
const STAYS_NS: f64 = 40e6;
const CHANCE_NS: f64 = 10e6;
/// An error beyond this is divergence, ns.
const DIVERGED_NS: f64 = 1e15;
/// What is left of a player's errors, over chance, where corrections do what they promise.
const ALONE_MAX: f64 = 1.15;
/// The same of players who correct towards one another at the best gain: each adds the chance of the
/// action before to its own, the root of two, and a quarter for one seed's luck.
const COUPLED_MAX: f64 = 1.25 * std::f64::consts::SQRT_2;

/// Errors after the first hundred actions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Mean of the absolute error, over that of chance alone; infinite where it diverged.
    pub above_chance: f64,
}

/// What players who correct towards one another take to be their number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Counts {
    /// A fourth of it: the ensemble has grown since.
    Fourth,
    /// Each something else, from 0.6 of it to twice as many.
    Guess,
    /// As whoever performs counts: one comes after the other and counts those who are there before it, and later
    /// those whom it hears.
    Heard,
}

/// When players hear by how much the others correct.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Hears {
    /// Never.
    Never,
    /// With every action, as it is.
    Always,
    /// As performers do over the wire: each tells it when it has moved by more than a tenth and so many actions
    /// have passed since it was told last, and each hears what was told an action before or earlier once in as many.
    Every(usize),
}

/// What came of players who do not know how many they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Met {
    /// Their errors.
    pub left: Spread,
    /// How much of an error all correct together in the end.
    pub all: f64,
    /// How many times as much whoever corrects most does as whoever corrects least.
    pub apart: f64,
}

/// What a judge said of one seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// What was broken.
    pub violation: Option<String>,
}

/// One player against the beat, whose errors are known so many actions late: the product's rule, or
/// gains as they are, however unstable.
pub fn fed_back(
    seed: u64,
    delay: u32,
    by: Result<Rule, Gains>,
    fault: Option<CorrectionFault>,
) -> Spread {
    let mut draw = Draw::new(seed, "ensemble loop", u64::from(delay));
    let around = Loop { players: 1, delay };
    let stays_ns = STAYS_NS * draw.normal();
    let mut ours = by.ok().and_then(|rule| Corrector::new(rule, around).ok());
    // As whoever performs corrects: with gains that adapt.
    ours = ours.map(|corrector| corrector.adaptive().with_fault(fault));
    let gains = by.err().unwrap_or(Gains::SEED);
    let mut plain = Plain::default();
    let mut errors = Vec::with_capacity(ACTIONS);
    let (mut off, mut chance) = (0.0, 0.0);
    for action in 0..ACTIONS {
        let moved_ns = match &mut ours {
            Some(corrector) => corrector.correction_ns(action as u64),
            None => plain.moved_ns(),
        };
        let chance_ns = CHANCE_NS * draw.normal();
        errors.push(stays_ns + chance_ns + moved_ns);
        if let Some(known) = action.checked_sub(delay as usize) {
            match &mut ours {
                Some(corrector) => corrector.was_late(known as u64, errors[known]),
                None => plain.was_late(errors[known], gains),
            }
        }
        if action >= SETTLED {
            off += errors[action].abs();
            chance += chance_ns.abs();
        }
    }
    Spread::of(off, chance)
}

/// Players who correct towards one another alone, each pair by such a gain; none: the product's.
pub fn coupled(
    seed: u64,
    players: u32,
    gain: Option<f64>,
    fault: Option<CorrectionFault>,
) -> Spread {
    let mut draw = Draw::new(seed, "ensemble coupled", u64::from(players));
    let at = (0..players).map(|_| STAYS_NS * draw.normal()).collect();
    let around = Loop { players, delay: 0 };
    let ours = |_| Corrector::new(Rule::Best, around).map(|one| one.adaptive().with_fault(fault));
    let mut correctors: Vec<Corrector> = (0..players).filter_map(|one| ours(one).ok()).collect();
    let mut words = Words::new(&correctors, Hears::Never, false);
    together(&mut draw, at, gain, &mut correctors, &mut words)
}

/// Players who correct towards one another and do not know how many they are, and hear by how much the others
/// correct.
pub fn meeting(seed: u64, players: u32, counts: Counts, hears: Hears) -> Met {
    let mut draw = Draw::new(seed, "ensemble meeting", u64::from(players));
    let at = (0..players).map(|_| STAYS_NS * draw.normal()).collect();
    let ours = |place| {
        let players = match counts {
            Counts::Heard => place + 1,
            Counts::Fourth => players / 4,
            Counts::Guess => libm::round(f64::from(players) * (0.6 + 1.4 * draw.uniform())) as u32,
        };
        let around = Loop {
            players: players.max(1),
            delay: 0,
        };
        Corrector::new(Rule::Best, around).map(Corrector::adaptive)
    };
    let mut correctors: Vec<Corrector> = (0..players).map(ours).filter_map(Result::ok).collect();
    let mut words = Words::new(&correctors, hears, counts == Counts::Heard);
    let left = together(&mut draw, at, None, &mut correctors, &mut words);
    let gains = correctors.iter().map(|one| one.gains().phase);
    Met {
        left,
        all: gains.clone().sum(),
        apart: gains.clone().fold(0.0, f64::max) / gains.fold(f64::INFINITY, f64::min),
    }
}

/// A run of players who are off by so much in the beginning (ns).
fn together(
    draw: &mut Draw,
    mut at: Vec<f64>,
    gain: Option<f64>,
    correctors: &mut [Corrector],
    words: &mut Words,
) -> Spread {
    let players = at.len() as f64;
    let (mut off, mut chance) = (0.0, 0.0);
    for action in 0..ACTIONS {
        let noise: Vec<f64> = at.iter().map(|_| CHANCE_NS * draw.normal()).collect();
        let shown: Vec<f64> = at
            .iter()
            .zip(&noise)
            .map(|(at, noise)| at + noise)
            .collect();
        let sum: f64 = shown.iter().sum();
        let noise_mean = noise.iter().sum::<f64>() / players;
        for (place, at) in at.iter_mut().enumerate() {
            // How late it was against each of the others, all together.
            let against = players * shown[place] - sum;
            match (gain, correctors.get_mut(place)) {
                (None, Some(corrector)) => {
                    let before = corrector.correction_ns(action as u64);
                    corrector.was_late(action as u64, against);
                    let after = corrector.correction_ns(action as u64 + ACTIONS as u64);
                    *at += after - before;
                }
                _ => *at -= gain.unwrap_or_default() * against,
            }
            if action >= SETTLED {
                off += (against / players).abs();
                chance += (noise[place] - noise_mean).abs();
            }
        }
        words.go_round(action, correctors);
    }
    Spread::of(off, chance)
}

/// What players have told of their gains, and when they hear it.
struct Words {
    hears: Hears,
    /// Whether they count one another by it.
    counts: bool,
    told: Vec<Gains>,
    told_at: Vec<usize>,
    /// What was told an action before.
    before: Vec<Gains>,
}

impl Words {
    fn new(correctors: &[Corrector], hears: Hears, counts: bool) -> Self {
        let told: Vec<Gains> = correctors.iter().map(Corrector::gains).collect();
        Self {
            hears,
            counts,
            told_at: vec![0; told.len()],
            before: told.clone(),
            told,
        }
    }

    /// After an action: each hears the gains of all others before anybody changes its own.
    fn go_round(&mut self, action: usize, correctors: &mut [Corrector]) {
        let every = match self.hears {
            Hears::Never => return,
            Hears::Always => 1,
            Hears::Every(actions) => actions.max(1),
        };
        if self.hears == Hears::Always {
            self.before = correctors.iter().map(Corrector::gains).collect();
        }
        for (place, corrector) in correctors.iter_mut().enumerate() {
            // They have begun at different times.
            if !(action + 1 + place).is_multiple_of(every) {
                continue;
            }
            if self.counts && corrector.among(self.before.len() as u32) {
                continue;
            }
            let mut partners: Vec<f64> = self.before.iter().map(|one| one.phase).collect();
            partners.remove(place);
            corrector.meet(&partners);
        }
        self.before.clone_from(&self.told);
        for (place, corrector) in correctors.iter().enumerate() {
            let gains = corrector.gains();
            let due = action >= self.told_at[place] + every;
            if due && gains.have_moved(self.told[place]) {
                (self.told[place], self.told_at[place]) = (gains, action);
            }
        }
    }
}

/// Whether corrections hold what they promise on one seed: little more than chance is left, however
/// many play and however late they know. With a fault planted, they should not.
pub fn judge_correction(seed: u64, fault: Option<CorrectionFault>) -> Judged {
    let mut draw = Draw::new(seed, "ensemble judge", 0);
    let delay = (draw.uniform() * 8.0) as u32;
    let players = 2 + (draw.uniform() * 49.0) as u32;
    let alone = fed_back(seed, delay, Ok(Rule::Kalman), fault);
    let all = coupled(seed, players, None, fault);
    let promised = [
        (
            alone,
            ALONE_MAX,
            format!("alone, feedback {delay} actions late"),
        ),
        (all, COUPLED_MAX, format!("{players} players")),
    ];
    let mut promised = promised.into_iter();
    let found = promised.find(|(spread, most, _)| spread.above_chance > *most);
    Judged {
        violation: found.map(|(spread, _, what)| {
            format!("{what}: {:.2} times what chance does", spread.above_chance)
        }),
    }
}

impl Spread {
    fn of(off: f64, chance: f64) -> Self {
        let above_chance = off / chance;
        let diverged = !above_chance.is_finite() || off > DIVERGED_NS * ACTIONS as f64;
        Self {
            above_chance: if diverged {
                f64::INFINITY
            } else {
                above_chance
            },
        }
    }
}

/// Gains as they are, without any of the product's care.
#[derive(Debug, Default)]
struct Plain {
    offset_ns: f64,
    rate_ns: f64,
    epoch: (u32, f64),
}

impl Plain {
    fn moved_ns(&mut self) -> f64 {
        self.offset_ns += self.rate_ns;
        self.offset_ns
    }

    fn was_late(&mut self, late_ns: f64, gains: Gains) {
        self.offset_ns -= gains.phase * late_ns;
        self.epoch = (self.epoch.0 + 1, self.epoch.1 + late_ns);
        if self.epoch.0 == 10 {
            self.rate_ns -= gains.period * self.epoch.1 / 100.0;
            self.epoch = (0, 0.0);
        }
    }
}
