//! One player whose response moves: it steps, drifts, swings, or is far off once in a while. How soon that is
//! corrected, and what it costs.

use unisono_core::ensemble::{CorrectionFault, Corrector, Loop, Rule};

use super::loops::Judged;
use crate::timing::draw::Draw;

/// Actions of a run, from which on the response moves, and from which on that counts as settled.
const ACTIONS: usize = 400;
const MOVES_AT: usize = 200;
const SETTLED: usize = 240;
/// So many actions after it has begun to move are looked at by themselves.
const FIRST: usize = 20;
/// What stays in the beginning, and one sigma of chance, ns.
const STAYS_NS: f64 = 40e6;
const CHANCE_NS: f64 = 2e6;
/// One action of so many is far off, by so much (ns).
const SINGLE_EVERY: usize = 25;
const SINGLE_NS: f64 = 60e6;

/// How a response moves, in sigmas of one action (2 ms).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moves {
    /// Not at all.
    Still,
    /// By so much at once.
    Step(f64),
    /// By so much with every action.
    Drift(f64),
    /// Up and down by so much, in so many actions.
    Swing(f64, f64),
    /// One action of twenty-five is late by 60 ms, and no other.
    Singles,
}

/// What came of it: mean of the absolute error, over that of chance alone. What is far off alone does not
/// count where it stands; what it does to the actions after it does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Followed {
    /// Before it moves, from the hundredth action on.
    pub before: f64,
    /// The first twenty actions.
    pub first: f64,
    /// From the fortieth on.
    pub after: f64,
}

impl Moves {
    /// What there is, as the table calls it.
    pub const ALL: [(&'static str, Self); 8] = [
        ("still", Self::Still),
        ("step 30 sigma", Self::Step(30.0)),
        ("step 2 sigma", Self::Step(2.0)),
        ("step 1 sigma", Self::Step(1.0)),
        ("drift 0.1 sigma", Self::Drift(0.1)),
        ("drift 1 sigma", Self::Drift(1.0)),
        ("swing 10 sigma", Self::Swing(10.0, 100.0)),
        ("singles 30 sigma", Self::Singles),
    ];

    /// What the action takes beside chance, and by how much it is far off alone (ns).
    fn takes_ns(self, action: usize) -> (f64, f64) {
        let since = action as f64 - MOVES_AT as f64;
        let moved = match self {
            Self::Still | Self::Singles => 0.0,
            Self::Step(sigmas) => sigmas * f64::from(u8::from(since >= 0.0)),
            Self::Drift(sigmas) => sigmas * since.max(0.0),
            Self::Swing(sigmas, actions) => {
                let turn = 2.0 * core::f64::consts::PI * since.max(0.0) / actions;
                sigmas * libm::sin(turn)
            }
        };
        let far = self == Self::Singles && action % SINGLE_EVERY == SINGLE_EVERY - 1;
        let single_ns = if far { SINGLE_NS } else { 0.0 };
        (STAYS_NS + CHANCE_NS * moved, single_ns)
    }
}

/// One seed: a player against the beat, whose errors are known so many actions late.
pub fn follow(
    seed: u64,
    moves: Moves,
    delay: u32,
    (rule, adaptive): (Rule, bool),
    fault: Option<CorrectionFault>,
) -> Followed {
    let mut draw = Draw::new(seed, "ensemble moving", u64::from(delay));
    let around = Loop { players: 1, delay };
    let corrector = Corrector::new(rule, around).ok();
    let corrector = corrector.map(|one| if adaptive { one.adaptive() } else { one });
    let mut corrector = corrector.map(|one| one.with_fault(fault));
    let mut errors = Vec::with_capacity(ACTIONS);
    let mut sums = [(0.0, 0.0); 3];
    for action in 0..ACTIONS {
        let moved_ns = corrector
            .as_mut()
            .map_or(0.0, |one| one.correction_ns(action as u64));
        let chance_ns = CHANCE_NS * draw.normal();
        let (takes_ns, single_ns) = moves.takes_ns(action);
        let error_ns = takes_ns + chance_ns + moved_ns;
        errors.push(error_ns + single_ns);
        if let (Some(known), Some(corrector)) = (action.checked_sub(delay as usize), &mut corrector)
        {
            corrector.was_late(known as u64, errors[known]);
        }
        let spans = [
            (100..MOVES_AT).contains(&action),
            (MOVES_AT..MOVES_AT + FIRST).contains(&action),
            action >= SETTLED,
        ];
        for ((off, chance), _) in sums.iter_mut().zip(spans).filter(|(_, within)| *within) {
            *off += error_ns.abs();
            *chance += chance_ns.abs();
        }
    }
    let [before, first, after] = sums.map(|(off, chance)| off / chance);
    Followed {
        before,
        first,
        after,
    }
}

/// Whether the default rule follows what moves, and does not follow what is far off once, on one seed. With a
/// fault planted, it should not.
pub fn judge_following(seed: u64, fault: Option<CorrectionFault>) -> Judged {
    let mut draw = Draw::new(seed, "ensemble following", 0);
    let delay = (draw.uniform() * 8.0) as u32;
    // How much more than chance is left in the end: what was seen of 100 seeds at the worst (1.16), and half
    // as much again for luck. Where nothing is followed, 1.5 and more are left of each.
    let promised = [
        (Moves::Still, 1.25),
        (Moves::Step(30.0), 1.3),
        (Moves::Step(2.0), 1.3),
        (Moves::Drift(0.1), 1.3),
        (Moves::Singles, 1.25),
    ];
    let broken = promised.into_iter().find_map(|(moves, most)| {
        let left = follow(seed, moves, delay, (Rule::Kalman, true), fault).after;
        // What is no number is not below it either.
        (left.is_nan() || left > most).then(|| {
            format!("{moves:?}, feedback {delay} actions late: {left:.2} times what chance does")
        })
    });
    Judged { violation: broken }
}
