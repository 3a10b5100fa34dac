//! The ensemble in worlds with a known truth: what is promised, and what gets worse when something is
//! taken away.

use unisono_core::ensemble::{CorrectionFault, Gains, Pattern, Rule, UsageFault, VariationFault};
use unisono_sim::ensemble::{
    Counts, Heard, Hears, Heeds, Moves, Music, Noise, Path, Provoked, Scheme, Setup, Weather,
    coupled, fed_back, follow, hear, heed, judge_correction, judge_following, judge_usage,
    judge_variation, meeting, play, recover, watch,
};

/// How many seeds a fault may take to be found.
const SEEDS: u64 = 300;

fn mean_ms(errors_ns: &[f64]) -> f64 {
    errors_ns.iter().map(|one| one.abs()).sum::<f64>() / errors_ns.len().max(1) as f64 / 1e6
}

fn armed(music: Music, scheme: Scheme) -> Setup {
    Setup {
        path: Path::Lan,
        music,
        noise: Noise::Before,
        scheme,
        rule: None,
    }
}

#[test]
fn armed_agents_meet_within_what_a_wake_up_costs_at_any_tempo() {
    let steady = play(1, &armed(Music::Steady, Scheme::Armed));
    assert!(
        mean_ms(&steady.settled_ns) < 0.15,
        "{}",
        mean_ms(&steady.settled_ns)
    );
    assert!(mean_ms(&steady.first_ns) < 0.15, "the first action too");
    for music in [Music::Rubato, Music::Step] {
        let changed = play(1, &armed(music, Scheme::Armed));
        let over = mean_ms(&changed.settled_ns) / mean_ms(&steady.settled_ns);
        assert!(over < 1.05, "{music:?}: {over}");
    }
}

#[test]
fn without_lead_or_map_it_gets_worse() {
    let good = mean_ms(&play(2, &armed(Music::Rubato, Scheme::Armed)).settled_ns);
    for scheme in [Scheme::ArmedLate, Scheme::Reactive, Scheme::Follower] {
        let bad = mean_ms(&play(2, &armed(Music::Rubato, scheme)).settled_ns);
        assert!(bad > 50.0 * good, "{scheme:?}: {bad} against {good}");
    }
}

#[test]
fn chance_after_the_release_is_all_that_is_left() {
    let by = |rule: Option<Rule>| {
        let setup = Setup {
            noise: Noise::After,
            rule,
            ..armed(Music::Steady, Scheme::Armed)
        };
        let played = play(3, &setup);
        mean_ms(&played.settled_ns) / mean_ms(&played.chance_ns)
    };
    let (nothing, seed, kalman) = (by(None), by(Some(Rule::Seed)), by(Some(Rule::Kalman)));
    assert!(kalman < 1.02, "{kalman}");
    assert!(seed > 1.05 && nothing > 2.0, "{seed} {nothing}");
}

#[test]
fn the_quarter_falls_apart_where_the_product_does_not() {
    let late = fed_back(4, 6, Err(Gains::SEED), None).above_chance;
    let many = coupled(4, 50, Some(0.25), None).above_chance;
    assert!(late > 2.0 && many.is_infinite(), "{late} {many}");
    assert!(fed_back(4, 6, Ok(Rule::Best), None).above_chance < 1.2);
    assert!(fed_back(4, 6, Ok(Rule::Kalman), None).above_chance < 1.2);
    assert!(coupled(4, 50, None, None).above_chance < 1.5);
}

#[test]
fn who_hears_by_how_much_the_others_correct_holds_though_nobody_knows_how_many_they_are() {
    for players in [8, 16] {
        for seed in 0..3 {
            // An ensemble that has grown fourfold corrects four times as much as it has to.
            let alone = meeting(seed, players, Counts::Fourth, Hears::Never);
            let met = meeting(seed, players, Counts::Fourth, Hears::Always);
            let left = [alone, met].map(|one| one.left.above_chance);
            assert!(
                left[0] > 100.0 && left[1] < 1.7,
                "{players} {seed}: {left:?}"
            );
            // Where each guesses, gains come to be alike.
            let alone = meeting(seed, players, Counts::Guess, Hears::Never);
            let met = meeting(seed, players, Counts::Guess, Hears::Always);
            let apart = [alone, met].map(|one| one.apart);
            assert!(
                apart[1] < 1.6 && apart[1] < apart[0],
                "{players} {seed}: {apart:?}"
            );
            assert!((met.all - 1.0).abs() < 0.2, "{players} {seed}: {}", met.all);
        }
    }
}

#[test]
fn who_hears_the_others_over_the_wire_holds_too_and_gains_come_to_be_alike() {
    for players in [4, 8] {
        for seed in 0..3 {
            // Two seconds at two beats in a second.
            let wire = Hears::Every(4);
            for counts in [Counts::Fourth, Counts::Guess, Counts::Heard] {
                let met = meeting(seed, players, counts, wire);
                let left = met.left.above_chance;
                assert!(left < 1.7, "{counts:?} {players} {seed}: {left}");
                assert!(met.apart < 1.7, "{counts:?} {players} {seed}: {met:?}");
            }
            // Who comes later corrects less, and stays so where nobody hears of it.
            let deaf = meeting(seed, players, Counts::Heard, Hears::Never);
            assert!(deaf.apart > 2.0, "{players} {seed}: {deaf:?}");
        }
    }
}

#[test]
fn corrections_hold_what_they_promise_and_planted_faults_are_found() {
    for seed in 0..100 {
        let judged = judge_correction(seed, None);
        assert_eq!(judged.violation, None, "seed {seed}");
    }
    // Stale errors taken for fresh ones overshoot on the way and settle all the same, which this judge
    // does not look at: that of what moves does.
    let fault = Some(CorrectionFault::GainNotShared);
    let found = (0..SEEDS).find(|seed| judge_correction(*seed, fault).violation.is_some());
    assert!(found.is_some(), "it was not found in {SEEDS} seeds");
}

#[test]
fn what_moves_is_followed_and_what_is_far_off_alone_is_not_and_faults_are_found() {
    for seed in 0..100 {
        let judged = judge_following(seed, None);
        assert_eq!(judged.violation, None, "seed {seed}");
    }
    for fault in [
        CorrectionFault::DeafToSteps,
        CorrectionFault::FollowsSingles,
        CorrectionFault::StaleTakenForFresh,
    ] {
        let found = (0..SEEDS).find(|seed| judge_following(*seed, Some(fault)).violation.is_some());
        assert!(found.is_some(), "{fault:?} was not found in {SEEDS} seeds");
    }
}

#[test]
fn what_varies_as_it_may_is_left_in_peace_and_what_does_not_is_told_and_faults_are_found() {
    for seed in 0..20 {
        let judged = judge_variation(seed, None);
        assert_eq!(judged.violation, None, "seed {seed}");
    }
    for fault in [
        VariationFault::BoundsIgnored,
        VariationFault::LikelyIgnored,
        VariationFault::ReturnIgnored,
    ] {
        let found = (0..SEEDS).find(|seed| judge_variation(*seed, Some(fault)).violation.is_some());
        assert!(found.is_some(), "{fault:?} was not found in {SEEDS} seeds");
    }
}

#[test]
fn who_uses_what_it_may_is_left_in_peace_and_who_stays_beyond_is_told_and_faults_are_found() {
    for seed in 0..100 {
        let judged = judge_usage(seed, None);
        assert_eq!(judged.violation, None, "seed {seed}");
    }
    for fault in [
        UsageFault::BoundIgnored,
        UsageFault::SinglesTell,
        UsageFault::NothingAddsUp,
    ] {
        let found = (0..SEEDS).find(|seed| judge_usage(*seed, Some(fault)).violation.is_some());
        assert!(found.is_some(), "{fault:?} was not found in {SEEDS} seeds");
    }
}

#[test]
fn each_rule_adapts_where_it_says_so() {
    let mean = |moves, rule, adaptive, of: &dyn Fn(unisono_sim::ensemble::Followed) -> f64| {
        let each = (0..20).map(|seed| of(follow(seed, moves, 0, (rule, adaptive), None)));
        each.sum::<f64>() / 20.0
    };
    let after = |moves, rule, adaptive| mean(moves, rule, adaptive, &|one| one.after);
    // A step of thirty sigmas: two actions late, eighteen as before.
    let first = mean(Moves::Step(30.0), Rule::Kalman, true, &|one| one.first);
    assert!(first < 6.0, "{first}");
    let calm = after(Moves::Still, Rule::Kalman, true);
    assert!(calm < 1.02, "{calm}");
    for (moves, most) in [
        (Moves::Step(30.0), 1.1),
        (Moves::Drift(0.1), 1.1),
        (Moves::Drift(1.0), 1.1),
        (Moves::Swing(10.0, 100.0), 1.7),
        (Moves::Singles, 1.05),
    ] {
        let (adapts, stands) = (
            after(moves, Rule::Kalman, true),
            after(moves, Rule::Kalman, false),
        );
        assert!(adapts < most, "{moves:?}: {adapts}");
        assert!(stands > 1.4, "{moves:?} with gains that stand: {stands}");
    }
    // A gain of one swings by chance alone, and comes down; the seed's period follows a drift sooner.
    let best = [true, false].map(|adaptive| after(Moves::Still, Rule::Best, adaptive));
    assert!(best[0] < 0.92 * best[1], "{best:?}");
    let seed = [true, false].map(|adaptive| after(Moves::Drift(1.0), Rule::Seed, adaptive));
    assert!(seed[0] < 0.75 * seed[1], "{seed:?}");
}

#[test]
fn what_is_told_and_asked_for_recovers_and_nothing_does_that_is_not_heeded() {
    for (provoked, within) in [
        (Provoked::Rushing(2.0), 140),
        (Provoked::Dragging(2.0), 140),
        (Provoked::Drift(0.1), 200),
        (Provoked::Split(3.0), 140),
    ] {
        for seed in 0..10 {
            let one = recover(seed, provoked, Heeds::Does);
            assert!(
                one.over_after.is_some_and(|beats| beats <= within),
                "{provoked:?} {seed}: {one:?}"
            );
            let ignored = recover(seed, provoked, Heeds::Ignores);
            assert!(ignored.cues > 0, "{provoked:?} {seed}: {ignored:?}");
            assert_eq!(ignored.kept_after, None, "{provoked:?} {seed}");
        }
    }
}

#[test]
fn what_goes_wrong_is_told_in_time() {
    let cases = [
        (Provoked::Dragging(2.0), 14),
        (Provoked::Rushing(2.0), 14),
        (Provoked::Drift(0.1), 20),
        (Provoked::Split(3.0), 6),
    ];
    for (provoked, within) in cases {
        for seed in 0..10 {
            let after = watch(seed, provoked).found_after;
            assert!(
                after.is_some_and(|beats| beats <= within),
                "{provoked:?} {seed}: {after:?}"
            );
        }
    }
    let calm: usize = (0..10)
        .map(|seed| watch(seed, Provoked::Nothing).false_alarms[2])
        .sum();
    assert!(
        calm <= 10,
        "a split in one of a thousand looks: {calm} of 1800"
    );
}

#[test]
fn a_node_tells_what_goes_wrong_in_time_and_is_seldom_wrong() {
    for (provoked, within) in [
        (Provoked::Dragging(2.0), 30),
        (Provoked::Rushing(2.0), 30),
        (Provoked::Drift(0.1), 20),
        (Provoked::Drift(0.5), 8),
        (Provoked::Split(3.0), 60),
        (Provoked::Split(5.0), 16),
    ] {
        for seed in 0..20 {
            let after = heed(seed, Weather::Even, provoked, 128, 60).found_after;
            assert!(
                after.is_some_and(|beats| beats <= within),
                "{provoked:?} {seed}: {after:?}"
            );
        }
    }
    // One sigma is what a level that was learnt from 48 actions is just sure of, and four of twelve two sigmas
    // away are hardly two groups: most are told within a minute of half-second beats, not all.
    for (provoked, least) in [
        (Provoked::Dragging(1.0), 14),
        (Provoked::Rushing(1.0), 14),
        (Provoked::Split(2.0), 8),
    ] {
        let found = (0..20).filter(|seed| {
            let heeded = heed(*seed, Weather::Even, provoked, 128, 60);
            heeded.found_after.is_some()
        });
        let found = found.count();
        assert!(found >= least, "{provoked:?}: {found} of 20");
    }
    for weather in [Weather::Even, Weather::Busy] {
        let calm = (0..10).map(|seed| heed(seed, weather, Provoked::Nothing, 500, 0));
        let wrong = calm.fold([0; 3], |sums, one| {
            std::array::from_fn(|kind| sums[kind] + one.false_alarms[kind])
        });
        // One agent in some 20,000 actions, groups in some 10,000 looks: three and a half are to be expected.
        assert!(wrong[0] <= 10, "{weather:?}: {wrong:?} in 60,000 actions");
        assert!(wrong[1] == 0 && wrong[2] <= 4, "{weather:?}: {wrong:?}");
    }
}

#[test]
fn confidence_is_what_comes_true() {
    let mut all = Heard::default();
    for pattern in [Pattern::Periodic, Pattern::Alternating, Pattern::Bursty] {
        for seed in 0..20 {
            all.add(&hear(seed, pattern));
        }
    }
    let off = Heard::miscalibration(&all.bins);
    assert!(off < 0.1, "{off}");
    assert!(all.sure_right as f64 > 0.75 * all.sure as f64, "{all:?}");
}
