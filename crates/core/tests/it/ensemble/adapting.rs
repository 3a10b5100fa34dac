//! What gains do on swings, drift and single large errors, by each rule, and what the default rule follows.

use proptest::prelude::*;
use unisono_core::ensemble::{CorrectionFault, Corrector, Gains, Loop, Rule};

const MS: f64 = 1e6;

/// Chance of so much, from a fixed course that has no pattern: normal enough (the sum of twelve).
struct Chance(u64);

impl Chance {
    fn uniform(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// A run: what each action was late by, and the corrector in the end.
struct Run {
    late_ns: Vec<f64>,
    gains: Vec<Gains>,
}

impl Run {
    /// One player against the beat, whose work takes so long (ns) with each action.
    fn new(rule: Rule, adaptive: bool, delay: u32, takes_ns: impl Fn(usize) -> f64) -> Self {
        Self::faulty(rule, adaptive, delay, None, takes_ns)
    }

    fn faulty(
        rule: Rule,
        adaptive: bool,
        delay: u32,
        fault: Option<CorrectionFault>,
        takes_ns: impl Fn(usize) -> f64,
    ) -> Self {
        let around = Loop { players: 1, delay };
        let corrector = Corrector::new(rule, around).expect("a rule that holds");
        let corrector = corrector.with_fault(fault);
        let mut corrector = if adaptive {
            corrector.adaptive()
        } else {
            corrector
        };
        let mut run = Self {
            late_ns: Vec::new(),
            gains: Vec::new(),
        };
        for action in 0..600 {
            let late_ns = takes_ns(action) + corrector.correction_ns(action as u64);
            run.late_ns.push(late_ns);
            if let Some(known) = action.checked_sub(delay as usize) {
                corrector.was_late(known as u64, run.late_ns[known]);
            }
            run.gains.push(corrector.gains());
        }
        run
    }

    /// Mean of the absolute error over some actions (ns).
    fn off_ns(&self, actions: std::ops::Range<usize>) -> f64 {
        let count = actions.len() as f64;
        let off = self.late_ns[actions].iter().map(|late_ns| late_ns.abs());
        off.sum::<f64>() / count
    }

    fn last(&self) -> Gains {
        *self.gains.last().expect("there were actions")
    }
}

/// So much chance for each of 600 actions (ns).
fn chances(sigma_ns: f64) -> Vec<f64> {
    let mut chance = Chance(7);
    (0..600).map(|_| sigma_ns * chance.normal()).collect()
}

#[test]
fn gains_shrink_where_errors_swing_and_only_there() {
    let chance = chances(2.0 * MS);
    // One action late, the next early by as much.
    let swings = |action: usize| {
        chance[action]
            + if action.is_multiple_of(2) {
                8.0 * MS
            } else {
                -8.0 * MS
            }
    };
    let seed = Run::new(Rule::Seed, true, 0, swings).last();
    assert!(seed.phase < 0.15 && seed.period < 0.06, "{seed:?}");
    assert_eq!(Run::new(Rule::Seed, false, 0, swings).last(), Gains::SEED);
    // A gain of one makes chance swing by itself: less of it leaves less of that.
    let even = |action: usize| 40.0 * MS + chance[action];
    let (adapts, stands) = [true, false]
        .map(|adaptive| Run::new(Rule::Best, adaptive, 0, even))
        .into();
    assert!(adapts.last().phase < 0.8, "{:?}", adapts.last());
    assert!((stands.last().phase - 1.0).abs() < 1e-9);
    let off_ns = |run: &Run| run.off_ns(300..600);
    assert!(
        off_ns(&adapts) < 0.92 * off_ns(&stands),
        "{} against {}",
        off_ns(&adapts),
        off_ns(&stands)
    );
    // What is steady at a quarter stays about where it is.
    let seed = Run::new(Rule::Seed, true, 0, even).last();
    assert!((0.2..0.35).contains(&seed.phase), "{seed:?}");
}

#[test]
fn the_gain_of_the_period_grows_while_there_is_drift_and_the_drift_is_corrected() {
    let chance = chances(2.0 * MS);
    let drifts = |action: usize| chance[action] + 2.0 * MS * action as f64;
    for rule in [Rule::Seed, Rule::Best] {
        let stands = Run::new(rule, false, 2, drifts);
        let run = Run::new(rule, true, 2, drifts);
        let begun = stands.last().period;
        assert!(
            run.last().period > 1.05 * begun,
            "{rule:?}: {:?}",
            run.last()
        );
        let around = Loop {
            players: 1,
            delay: 2,
        };
        assert!(around.check(run.last()).is_ok(), "{rule:?}: never beyond");
        let off_ns = run.off_ns(300..600);
        assert!(off_ns < 4.0 * MS, "{rule:?}: {off_ns}");
    }
    // Without drift it stays as it is: chance is none.
    let even = Run::new(Rule::Seed, true, 2, |action| 40.0 * MS + chance[action]);
    assert!(
        even.last().period <= 1.4 * Gains::SEED.period,
        "{:?}",
        even.last()
    );
}

#[test]
fn the_gain_of_the_phase_grows_by_a_twentieth_on_a_single_large_error_and_never_beyond_its_bound() {
    let chance = chances(2.0 * MS);
    let one = |action: usize| chance[action] + if action == 50 { 60.0 * MS } else { 0.0 };
    let run = Run::new(Rule::Seed, true, 0, one);
    let grown = run.gains[50].phase / run.gains[49].phase;
    assert!((grown - 1.05).abs() < 1e-9, "{grown}");
    for delay in [0, 3, 5] {
        for rule in [Rule::Seed, Rule::Best] {
            let often = |action: usize| {
                if action % 7 == 6 {
                    60.0 * MS
                } else {
                    chance[action]
                }
            };
            let run = Run::new(rule, true, delay, often);
            let bound = Loop { players: 1, delay }.phase_bound();
            // A quarter may be closer to it from the beginning.
            let begun = run.gains[0].phase;
            let most = run.gains.iter().map(|gains| gains.phase);
            let most = most.fold(0.0, f64::max);
            assert!(
                most <= begun.max(0.8 * bound) + 1e-12,
                "{rule:?} {delay}: {most} of {bound}"
            );
            let last = run
                .late_ns
                .iter()
                .fold(0.0_f64, |most, late| most.max(late.abs()));
            assert!(last < 250.0 * MS, "{rule:?} {delay}: {last}");
        }
    }
}

#[test]
fn a_step_is_followed_after_two_actions_and_what_is_far_off_alone_is_not_followed() {
    let chance = chances(2.0 * MS);
    for delay in [0, 1, 3, 6, 12] {
        let known = delay as usize;
        let steps =
            |action: usize| chance[action] + if action < 200 { 40.0 * MS } else { 100.0 * MS };
        let run = Run::new(Rule::Kalman, true, delay, steps);
        let late = run.off_ns(200..202 + known);
        assert!(late > 50.0 * MS, "it cannot be known before: {late}");
        let next = run.off_ns(202 + known..212 + known);
        assert!(next < 3.0 * MS, "{delay}: {next}");
        let stands = Run::new(Rule::Kalman, false, delay, steps);
        assert!(
            stands.off_ns(210..240) > 20.0 * MS,
            "gains that stand follow nothing soon"
        );
        // Now and then one that is far off, on either side, and after them what was before.
        let far = |action: usize| match action % 20 {
            19 => 60.0 * MS,
            9 => -60.0 * MS,
            _ => 0.0,
        };
        let run = Run::new(Rule::Kalman, true, delay, |action| {
            40.0 * MS + chance[action] + far(action)
        });
        let others = (100..600).filter(|action| far(*action).abs() < 1.0);
        let worst = others
            .map(|action| run.late_ns[action].abs())
            .fold(0.0, f64::max);
        assert!(worst < 10.0 * MS, "{delay}: {worst}");
    }
}

#[test]
fn drift_and_swings_are_followed_and_calm_costs_next_to_nothing() {
    let chance = chances(2.0 * MS);
    let floor_ns = |actions: std::ops::Range<usize>| {
        let count = actions.len() as f64;
        chance[actions].iter().map(|one| one.abs()).sum::<f64>() / count
    };
    let over = |adaptive, moves: &dyn Fn(f64) -> f64| {
        let since = |action: usize| (action as f64 - 200.0).max(0.0);
        let takes = |action: usize| 40.0 * MS + chance[action] + moves(since(action));
        let run = Run::new(Rule::Kalman, adaptive, 0, takes);
        run.off_ns(240..600) / floor_ns(240..600)
    };
    let drifts = |since: f64| 0.2 * MS * since;
    let swings = |since: f64| 20.0 * MS * (since / 16.0).sin();
    assert!(over(true, &drifts) < 1.1, "{}", over(true, &drifts));
    assert!(over(false, &drifts) > 5.0, "{}", over(false, &drifts));
    assert!(over(true, &swings) < 1.6, "{}", over(true, &swings));
    assert!(over(false, &swings) > 5.0, "{}", over(false, &swings));
    let still = |_: f64| 0.0;
    assert!(over(true, &still) < 1.02, "{}", over(true, &still));
}

#[test]
fn a_corrector_that_is_deaf_to_steps_or_follows_singles_shows() {
    let chance = chances(2.0 * MS);
    let steps = |action: usize| chance[action] + if action < 200 { 40.0 * MS } else { 100.0 * MS };
    let deaf = Some(CorrectionFault::DeafToSteps);
    let run = Run::faulty(Rule::Kalman, true, 0, deaf, steps);
    assert!(run.off_ns(300..600) > 20.0 * MS, "{}", run.off_ns(300..600));
    let far = |action: usize| chance[action] + if action % 20 == 19 { 60.0 * MS } else { 0.0 };
    let follows = Some(CorrectionFault::FollowsSingles);
    let run = Run::faulty(Rule::Kalman, true, 0, follows, far);
    let after = (100..600).filter(|action| action % 20 == 0);
    let after_ns = after
        .map(|action| run.late_ns[action].abs())
        .fold(0.0, f64::max);
    assert!(after_ns > 50.0 * MS, "{after_ns}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn nothing_that_is_seen_makes_corrections_more_than_what_was_seen(
        seen in prop::collection::vec(prop_oneof![
            4 => -1e8_f64..1e8,
            1 => -1e13_f64..1e13,
            1 => any::<f64>(),
        ], 1..200),
        delay in 0_u32..5,
    ) {
        let around = Loop { players: 1, delay };
        let mut corrector = Corrector::new(Rule::Kalman, around).expect("its own gains").adaptive();
        let mut most = 1.0_f64;
        for (action, takes_ns) in seen.iter().enumerate() {
            let moved_ns = corrector.correction_ns(action as u64);
            prop_assert!(moved_ns.is_finite());
            // The level lies within what was seen, its rate may lead a few steps of that further.
            prop_assert!(moved_ns.abs() <= 20.0 * most, "{moved_ns} after {most}");
            let late_ns = takes_ns + moved_ns;
            if late_ns.is_finite() && late_ns.abs() <= 86_400e9 {
                most = most.max(takes_ns.abs());
            }
            corrector.was_late(action as u64, late_ns);
            let gains = corrector.gains();
            prop_assert!((0.0..=1.0).contains(&gains.phase), "{gains:?}");
        }
    }
}
