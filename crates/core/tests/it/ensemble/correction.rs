//! Corrections: stable below their bounds, refused beyond, and better than the seed's.

use proptest::prelude::*;
use unisono_core::ensemble::{CorrectionFault, Corrector, GainError, Gains, Loop, Rule};

/// An error of one under a gain, seen so many actions late: what it peaks at in the end over what it
/// peaked at long before.
fn growth(gain: f64, delay: u32) -> f64 {
    let delay = delay as usize;
    let mut errors = vec![1.0_f64; delay + 1];
    for action in delay..3_000 {
        let next = errors[action] - gain * errors[action - delay];
        if next.abs() > 1e100 {
            return f64::INFINITY;
        }
        errors.push(next);
    }
    let peak = |from: usize| {
        let some = errors[from..from + 400].iter();
        some.fold(1e-200, |most, one| one.abs().max(most))
    };
    peak(2_500) / peak(1_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn errors_shrink_below_the_bound_and_grow_beyond(delay in 0_u32..12, players in 1_u32..60, share in 0.05_f64..0.97) {
        let around = Loop { players, delay };
        let gain = |share: f64| around.phase_bound() * share;
        let below = Gains { phase: gain(share), period: 0.0 };
        prop_assert!(around.check(below).is_ok());
        let whole = f64::from(players);
        prop_assert!(growth(gain(share) * whole, delay) <= 1.0, "{} at {}", share, delay);
        let beyond = Gains { phase: gain(1.0 / share), period: 0.0 };
        prop_assert!(growth(gain(1.0 / share) * whole, delay) > 1.0, "beyond the bound errors grow");
        let refused = matches!(around.check(beyond), Err(GainError::Phase { .. }));
        prop_assert!(refused);
    }

    #[test]
    fn no_number_is_too_strange(phase in any::<f64>(), period in any::<f64>(), late in any::<f64>(), action in any::<u64>()) {
        let around = Loop { players: 3, delay: 2 };
        let told = around.check(Gains { phase, period });
        prop_assert!(told.is_err() || (phase.is_finite() && period.is_finite() && phase >= 0.0));
        let mut corrector = Corrector::new(Rule::Kalman, around).expect("its own gains");
        corrector.correction_ns(action);
        corrector.was_late(action, late);
        corrector.was_late(action.wrapping_add(1), 1.0);
        if late.abs() < 1e12 || !late.is_finite() {
            prop_assert!(corrector.correction_ns(action.saturating_add(2)).is_finite());
        }
    }
}

#[test]
fn the_quarter_is_the_best_gain_of_four_and_too_much_for_eight() {
    let quartet = Loop {
        players: 4,
        delay: 0,
    };
    assert!((quartet.phase_best() - 0.25).abs() < 1e-12);
    assert!(quartet.check(Gains::SEED).is_ok());
    assert!(Corrector::new(Rule::Seed, quartet).is_ok());
    for (players, delay) in [(8, 0), (50, 0), (1, 6)] {
        let around = Loop { players, delay };
        assert!(Corrector::new(Rule::Seed, around).is_err(), "{around:?}");
        assert!(Corrector::new(Rule::Best, around).is_ok(), "{around:?}");
    }
    let bounds = [(5, 0.285), (6, 0.241)];
    for (delay, bound) in bounds {
        let told = Loop { players: 1, delay }.phase_bound();
        assert!((told - bound).abs() < 5e-4, "{delay}: {told}");
    }
    let best = [(0, 1.0), (1, 0.25), (2, 0.148), (3, 0.105), (6, 0.057)];
    for (delay, gain) in best {
        let told = Loop { players: 1, delay }.phase_best();
        assert!((told - gain).abs() < 6e-4, "{delay}: {told}");
    }
}

#[test]
fn a_period_gain_that_swings_is_refused() {
    let around = Loop {
        players: 1,
        delay: 0,
    };
    let wild = Gains {
        phase: 0.05,
        period: 40.0,
    };
    assert!(matches!(around.check(wild), Err(GainError::Period { .. })));
    assert!(around.check(around.best()).is_ok());
    let far = Loop {
        players: 0,
        delay: 0,
    };
    assert!(matches!(
        far.check(Gains::SEED),
        Err(GainError::Loop { .. })
    ));
    let late = Loop {
        players: 1,
        delay: 65,
    };
    assert!(matches!(
        late.check(Gains::SEED),
        Err(GainError::Loop { .. })
    ));
}

/// A constant lateness under a rule: what is left of it in the end.
fn after(rule: Rule, delay: u64, fault: Option<CorrectionFault>) -> f64 {
    let around = Loop {
        players: 1,
        delay: delay as u32,
    };
    let mut corrector = Corrector::new(rule, around)
        .expect("its own gains")
        .with_fault(fault);
    let mut errors = Vec::new();
    let mut most = 0.0_f64;
    for action in 0..300_u64 {
        // A little chance, so that there is a spread to learn.
        let chance = if action % 2 == 0 { 1e5 } else { -1e5 };
        errors.push(40e6 + chance + corrector.correction_ns(action));
        if let Some(known) = action.checked_sub(delay) {
            corrector.was_late(known, errors[known as usize]);
        }
        if action > 100 {
            most = most.max(errors[action as usize].abs());
        }
    }
    most
}

#[test]
fn what_stays_is_corrected_however_late_it_is_known() {
    for delay in [0, 1, 3, 6, 12] {
        for rule in [Rule::Best, Rule::Kalman] {
            let left = after(rule, delay, None);
            assert!(left < 1.5e6, "{rule:?} {delay}: {left}");
        }
    }
    let stale = after(Rule::Kalman, 6, Some(CorrectionFault::StaleTakenForFresh));
    assert!(
        stale > 2.5e6,
        "stale feedback taken for fresh shows: {stale}"
    );
}

#[test]
fn partners_come_to_similar_gains_and_nobody_dominates() {
    let around = Loop {
        players: 4,
        delay: 0,
    };
    let mut all: Vec<Corrector> = (0..4)
        .map(|_| {
            Corrector::new(Rule::Best, around)
                .expect("its own gains")
                .adaptive()
        })
        .collect();
    // One of them begins by correcting almost nothing: it met partners who corrected far too much.
    for _ in 0..20 {
        all[0].meet(&[0.49, 0.49, 0.49]);
    }
    assert!(all[0].gains().phase < 0.2, "{:?}", all[0].gains());
    for _ in 0..60 {
        let told: Vec<f64> = all.iter().map(|one| one.gains().phase).collect();
        for (place, one) in all.iter_mut().enumerate() {
            let mut partners = told.clone();
            partners.remove(place);
            one.meet(&partners);
        }
    }
    for one in &all {
        assert!((one.gains().phase - 0.25).abs() < 0.02, "{:?}", one.gains());
    }
}

#[test]
fn gains_are_shared_among_as_many_as_there_are_and_none_stays_beyond_its_bound() {
    let new = |rule, players| {
        let around = Loop { players, delay: 0 };
        Corrector::new(rule, around).expect("its own gains")
    };
    let mut best = new(Rule::Best, 1).adaptive();
    for (players, phase) in [(2, 0.5), (8, 0.125), (8, 0.125), (1, 1.0), (0, 1.0)] {
        best.among(players);
        assert!((best.gains().phase - phase).abs() < 1e-9, "{players}");
    }
    // What was adapted goes along.
    for _ in 0..50 {
        best.meet(&[0.4]);
    }
    let adapted = best.gains().phase;
    assert!((adapted - 0.6).abs() < 0.1, "{adapted}");
    best.among(2);
    assert!((best.gains().phase - adapted / 2.0).abs() < 1e-9);
    // The seed's hold up to seven, give way beyond, and come back.
    let mut seed = new(Rule::Seed, 1);
    for players in [2, 7, 8, 50, 4_096, 100_000, 7, 1] {
        seed.among(players);
        let around = Loop {
            players: players.min(4_096),
            delay: 0,
        };
        let gains = seed.gains();
        assert_eq!(gains == Gains::SEED, players <= 7, "{players}: {gains:?}");
        assert!(around.check(gains).is_ok(), "{players}: {gains:?}");
    }
}

#[test]
fn gains_have_moved_when_they_are_off_by_more_than_a_tenth() {
    let told = Gains {
        phase: 0.5,
        period: 0.0,
    };
    let with = |phase, period| Gains { phase, period }.have_moved(told);
    assert!(!with(0.5, 0.0) && !with(0.549, 0.0) && !with(0.451, 0.0));
    assert!(with(0.551, 0.0) && with(0.449, 0.0));
    // Of what is hardly anything a tenth is nothing to tell.
    assert!(!with(0.5, 0.000_9) && with(0.5, 0.001_1));
}
