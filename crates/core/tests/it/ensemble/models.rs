//! Profiles, notice, event sources, punctuality, and what is found to go wrong.

use unisono_core::ensemble::{
    Alarm, Came, Cause, Cusum, EventSource, Failure, Health, Lead, Notice, Pattern, Plan, Profile,
    Punctuality, Recovery, Together, Watch, window_ns,
};

const SECOND_NS: u64 = 1_000_000_000;

fn profile(took_ms: &[u64]) -> Profile {
    let mut profile = Profile::default();
    for (index, took) in took_ms.iter().enumerate() {
        profile.responded(index as u64 * SECOND_NS, took * 1_000_000);
    }
    profile
}

#[test]
fn the_slower_an_agent_the_more_notice_it_gets() {
    let now_ns = 20 * SECOND_NS;
    let floor = |took_ms: u64| {
        let steady = profile(&[took_ms; 10]);
        Lead::of(&steady, 0.5, 0.0, now_ns).floor_ns / 1e6
    };
    for (took_ms, factor) in [(50, 2.0), (99, 2.0), (250, 2.5), (1_000, 3.0), (3_000, 4.0)] {
        let told = floor(took_ms);
        assert!(
            (told - factor * took_ms as f64).abs() < 1e-6,
            "{took_ms}: {told}"
        );
    }
    let lead = Lead::of(&profile(&[150; 10]), 0.999, 40e6, now_ns);
    assert_eq!(lead.notice(lead.needed_ns), Notice::Enough);
    let Notice::Insufficient { short_ns } = lead.notice(200e6) else {
        panic!("200 ms are not enough for 375 ms and the way");
    };
    assert!((short_ns - 215e6).abs() < 1.0, "{short_ns}");
    let unknown = Lead::of(&Profile::default(), 0.999, 0.0, 0);
    assert!(
        unknown.needed_ns >= 1e9,
        "whoever is not known gets time: {unknown:?}"
    );
    let slow = profile(&[900; 10]);
    let quick = profile(&[20; 10]);
    let group = [&slow, &quick];
    let together = Lead::of_group(group.into_iter(), Together::Slowest, 0.0, now_ns);
    assert_eq!(together[0].to_bits(), together[1].to_bits());
    let cascade = Lead::of_group(group.into_iter(), Together::Cascade, 0.0, now_ns);
    assert!(
        cascade[0] > 10.0 * cascade[1],
        "the slowest is told first: {cascade:?}"
    );
}

#[test]
fn quantiles_follow_the_spread_and_the_young_samples() {
    let spread: Vec<u64> = (0..100).map(|index| 200 + index % 21 * 5).collect();
    let told = profile(&spread).quantile_ns(0.999, 100 * SECOND_NS);
    assert!((330e6..380e6).contains(&told), "{told}");
    let mut moved = profile(&[1_000; 60]);
    for index in 0..20 {
        // Ten hours later it has become quick.
        moved.responded((36_000 + index) * SECOND_NS, 100_000_000);
    }
    let (mean_ns, _) = moved.response_ns(36_020 * SECOND_NS);
    assert!(mean_ns < 110e6, "old samples weigh little: {mean_ns}");
    let mut failing = profile(&[100; 10]);
    assert!(failing.reliability() > 0.9);
    for index in 0..30 {
        failing.failed((11 + index) * SECOND_NS);
    }
    assert!(failing.reliability() < 0.3 && failing.is_unreliable());
}

#[test]
fn a_window_holds_the_share_it_is_for() {
    assert!(
        (window_ns(3.0, 4.0, 0.954_499_7) - 10.0).abs() < 1e-4,
        "two sigma of five"
    );
    assert!(window_ns(0.0, 0.0, 0.999).abs() < 1e-9);
    assert!(window_ns(1.0, 1.0, f64::NAN).is_nan() || window_ns(1.0, 1.0, f64::NAN) >= 0.0);
}

#[test]
fn sources_are_told_apart_and_low_confidence_waits() {
    let play = |intervals_ms: &[u64], times: usize| {
        let mut source = EventSource::new(20_000_000);
        let mut at_ns = SECOND_NS;
        for index in 0..times {
            source.came(at_ns);
            at_ns += intervals_ms[index % intervals_ms.len()] * 1_000_000;
        }
        (source, at_ns)
    };
    let cases: [(&[u64], Pattern); 3] = [
        (&[500, 503, 498, 501, 499, 502, 497], Pattern::Periodic),
        (&[300, 700], Pattern::Alternating),
        (&[100, 100, 100, 100, 2_000], Pattern::Bursty),
    ];
    for (intervals, pattern) in cases {
        let (source, next_ns) = play(intervals, 200);
        let foretold = source.next().expect("enough is known");
        assert_eq!(foretold.pattern, pattern);
        assert!(
            foretold.at_ns.abs_diff(next_ns) < 20_000_000,
            "{pattern:?}: {foretold:?}"
        );
        assert!(foretold.confidence > 0.8, "{pattern:?}: {foretold:?}");
        let Plan::Prepare { from_ns } = source.plan(50_000_000) else {
            panic!("{pattern:?} is sure enough to prepare for");
        };
        assert_eq!(from_ns, foretold.at_ns - 50_000_000);
    }
    let wild = [
        900, 80, 350, 1_700, 610, 40, 1_250, 205, 77, 1_410, 530, 999, 123,
    ];
    let (source, _) = play(&wild, 300);
    assert_eq!(source.plan(50_000_000), Plan::React, "{:?}", source.next());
    let (mut source, at_ns) = play(&[500], 3);
    assert_eq!((source.next(), source.plan(1)), (None, Plan::React));
    source.came(at_ns - SECOND_NS);
    assert_eq!(source.next(), None, "an event from the past says nothing");
}

#[test]
fn a_source_says_what_became_of_what_it_foretold_and_when_that_is_overdue() {
    let mut source = EventSource::new(20_000_000);
    assert_eq!(source.intervals(), None);
    let every = SECOND_NS / 2;
    for event in 1..=9 {
        assert_eq!(source.came(event * every), Came::Unforetold);
    }
    let known = source.intervals().expect("eight intervals");
    assert_eq!((known.count, known.spread_ns), (8, Some(0.0)));
    assert!((known.mean_ns - every as f64).abs() < 1e-3);
    let foretold = source.next().expect("enough is known");
    assert_eq!(foretold.at_ns, 10 * every);
    assert!(!source.is_overdue(foretold.at_ns + 20_000_000));
    assert!(source.is_overdue(foretold.at_ns + 20_000_001));
    assert_eq!(source.came(9 * every), Came::OutOfOrder);
    let came = |off_ns: i64, came_true| Came::Foretold {
        foretold,
        off_ns,
        came_true,
    };
    let early = source.clone().came(foretold.at_ns - 20_000_000);
    assert_eq!(early, came(-20_000_000, true));
    let late = source.came(foretold.at_ns + 20_000_001);
    assert_eq!(late, came(20_000_001, false));
    let cases: f64 = source.reliability().curve().map(|(.., cases)| cases).sum();
    assert!((cases - 1.0).abs() < 1e-9);
    assert_eq!(source.intervals().map(|known| known.count), Some(9));
}

#[test]
fn sums_find_shifts_and_let_chance_pass() {
    let mut cusum = Cusum::default();
    let found = (1..1_000).find(|_| cusum.push(1.0) == Some(Alarm::Late));
    assert_eq!(found, Some(21), "one sigma, without chance");
    let found = (1..1_000).find(|_| cusum.push(-2.0) == Some(Alarm::Early));
    assert_eq!(found, Some(7));
    assert!((0..10_000).all(|action| {
        cusum
            .push(if action % 2 == 0 { 1.0 } else { -1.0 })
            .is_none()
    }));
    assert_eq!(cusum.push(f64::NAN), None);
}

/// Errors of eight players: chance that is no chance, and what is wrong.
fn beats(
    watch: &mut Watch,
    from: usize,
    count: usize,
    wrong: impl Fn(usize, usize) -> f64,
) -> Vec<(usize, Failure)> {
    let mut found = Vec::new();
    for beat in from..from + count {
        let chance = |player: usize| ((beat * 31 + player * 17) * 7_919 % 1_000) as f64 * 2e4 - 1e7;
        let row: Vec<f64> = (0..8)
            .map(|player| chance(player) + wrong(player, beat - from))
            .collect();
        found.extend(
            watch
                .beat(&row)
                .into_iter()
                .map(|failure| (beat - from, failure)),
        );
    }
    found
}

#[test]
fn failures_are_told_with_cause_and_cure() {
    let calm = |watch: &mut Watch| {
        let told = beats(watch, 0, 80, |_, _| 0.0);
        assert!(told.is_empty(), "nothing is wrong yet: {told:?}");
    };
    let mut watch = Watch::new(8);
    calm(&mut watch);
    let told = beats(
        &mut watch,
        80,
        40,
        |player, _| if player == 3 { 2e7 } else { 0.0 },
    );
    let first = told
        .iter()
        .find(|(_, failure)| *failure == Failure::Dragging { player: 3 });
    assert!(first.is_some_and(|(after, _)| *after < 14), "{told:?}");
    let dragging = Failure::Dragging { player: 3 };
    assert_eq!(
        (dragging.cause(), dragging.recovery()),
        (Cause::Player, Recovery::MoreNotice)
    );
    let mut watch = Watch::new(8);
    calm(&mut watch);
    let told = beats(&mut watch, 80, 40, |_, since| since as f64 * 1e6);
    let drift = told
        .iter()
        .find(|(_, failure)| matches!(failure, Failure::Drift { .. }));
    assert!(
        drift.is_some_and(|(after, failure)| *after < 20 && failure.cause() == Cause::Beat),
        "{told:?}"
    );
    let mut watch = Watch::new(8);
    calm(&mut watch);
    let told = beats(
        &mut watch,
        80,
        10,
        |player, _| if player < 3 { 6e7 } else { 0.0 },
    );
    let split = told.iter().find_map(|(_, failure)| match failure {
        Failure::Split { astray, .. } => Some((astray.clone(), failure.recovery())),
        _ => None,
    });
    assert_eq!(split, Some((vec![0, 1, 2], Recovery::Barrier)), "{told:?}");
    assert!(
        watch.beat(&[1.0]).is_empty(),
        "another number of players says nothing"
    );
    assert!(watch.beat(&[f64::NAN; 8]).is_empty());
}

/// One player far off moved the mean, away from which all the others were then, who were told
/// to be early.
#[test]
fn one_player_far_off_blames_nobody_else() {
    let mut watch = Watch::new(8);
    let told = beats(&mut watch, 0, 80, |_, _| 0.0);
    assert!(told.is_empty(), "nothing is wrong yet: {told:?}");
    let off = |player, _| if player == 0 { 1.2e8 } else { 0.0 };
    let told = beats(&mut watch, 80, 40, off);
    let blamed: Vec<&Failure> = told
        .iter()
        .map(|(_, failure)| failure)
        .filter(|failure| failure.cause() == Cause::Player)
        .collect();
    assert!(!blamed.is_empty());
    let rightly = |failure: &&Failure| **failure == Failure::Dragging { player: 0 };
    assert!(blamed.iter().all(rightly), "{told:?}");
}

/// Whoever did not play turned the watch off for everybody.
#[test]
fn who_does_not_play_hides_nothing() {
    let mut watch = Watch::new(8);
    let silent = |player| if player == 7 { f64::NAN } else { 0.0 };
    let told = beats(&mut watch, 0, 80, |player, _| silent(player));
    assert!(told.is_empty(), "nothing is wrong yet: {told:?}");
    let split = |player, _| if player < 3 { 6e7 } else { silent(player) };
    let told = beats(&mut watch, 80, 10, split);
    let astray = told.iter().find_map(|(_, failure)| match failure {
        Failure::Split { astray, .. } => Some(astray.clone()),
        _ => None,
    });
    assert_eq!(astray, Some(vec![0, 1, 2]), "{told:?}");
}

#[test]
fn health_has_the_thresholds_of_the_seed() {
    let of = |late_ms: &[f64]| {
        let actions = late_ms.iter().enumerate();
        let actions = actions.map(|(index, late)| (index as u64 * SECOND_NS, (late * 1e6) as i64));
        Punctuality::of(actions)
    };
    assert_eq!(of(&[10.0, 11.0, 9.0, 10.0]).health, Health::Healthy);
    assert_eq!(of(&[40.0, 41.0, 39.0, 40.0]).health, Health::Warning);
    assert_eq!(
        of(&[-140.0, -141.0, -139.0, -140.0]).health,
        Health::Critical
    );
    assert_eq!(
        of(&[30.0, -30.0, 30.0, -30.0]).health,
        Health::Warning,
        "spread"
    );
    let drifting: Vec<f64> = (0..20).map(|second| f64::from(second) * 0.6).collect();
    let told = of(&drifting);
    assert!(
        (told.drift_ns_per_minute / 1e6 - 36.0).abs() < 0.5,
        "{told:?}"
    );
    assert_eq!(told.health, Health::Critical);
    let nobody = of(&[]);
    assert_eq!((nobody.actions, nobody.health), (0, Health::Healthy));
}
