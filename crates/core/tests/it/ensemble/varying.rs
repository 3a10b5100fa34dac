//! What agents vary by on purpose, within bounds that stand in the settings: it is told as such and is no trouble,
//! and what goes beyond, stays away or has no pattern is, with that as its reason.

use proptest::prelude::*;
use unisono_core::ensemble::{Bounds, Expected, Stress, TempoMap, Variation, judge, judge_within};
use unisono_core::orchestra::Folds;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::horizon::Horizon;
use unisono_core::orchestra::view::{FailureKind, PlayersView};
use unisono_model::{Action, Setting};

use super::judging::{beat_ms, played, reading};
use crate::folds::{fact, folded};

/// Beats before anybody varies.
const CALM: u64 = 60;
const MS: i64 = 1_000_000;

/// 60 ms, for four beats of these tests (each is four of the tempo where nobody has set one) from each major
/// synchronisation on.
fn bounds() -> Fact {
    let settings = vec![
        (Setting::VaryTimingMs, 60),
        (Setting::VaryAt, 2),
        (Setting::VaryBeats, 16),
    ];
    fact(90, 1, 50_000, Action::Settings(settings))
}

/// Whether variation is likely: a major synchronisation is every sixteenth of these beats.
fn likely(beat: u64) -> bool {
    (beat_ms(beat) / 500) % 64 < 16
}

fn view(facts: &[Fact], with: bool, beats: u64) -> PlayersView {
    let bounds = with.then(bounds);
    let folds: Folds = folded(facts.iter().chain(&bounds));
    reading(&folds, beats, &Horizon::default()).ensemble()
}

/// What is told first of agent 3 after the calm, within so many beats, and how the agent is said to vary then.
fn first(beats: u64, wrong: impl Fn(u64) -> i64) -> Option<(u64, FailureKind, Option<Variation>)> {
    let facts = played(CALM + beats, |agent, beat| {
        if agent == 3 && beat >= CALM {
            wrong(beat)
        } else {
            0
        }
    });
    (1..=beats).find_map(|since| {
        let told = view(&facts, true, CALM + since);
        let found = told.findings.first()?;
        assert_eq!(told.findings.len(), 1, "{:?}", told.findings);
        assert_eq!(found.agents[0].0.0, [3; 32]);
        let player = told.players.iter().find(|one| one.agent.0 == [3; 32])?;
        let said = player.variation.expect("bounds stand").variation;
        assert_eq!(Some(said), found.reason, "player and finding say the same");
        Some((since, found.kind, found.reason))
    })
}

#[test]
fn what_varies_as_it_may_is_told_as_such_and_is_no_trouble_which_it_is_without_bounds() {
    let meant = |agent: u8, beat: u64| {
        let on = agent == 3 && beat >= CALM && likely(beat);
        i64::from(on) * 50 * MS
    };
    let facts = played(CALM + 60, meant);
    let mut blamed = 0;
    for since in 1..=60 {
        let told = view(&facts, true, CALM + since);
        assert_eq!(told.findings, [], "after {since} beats");
        blamed += view(&facts, false, CALM + since).findings.len();
    }
    let told = view(&facts, true, CALM + 60);
    for player in &told.players {
        let varies = player.variation.expect("bounds stand");
        if player.agent.0 == [3; 32] {
            assert_eq!(varies.variation, Variation::Varying);
            assert!((13..=17).contains(&varies.actions), "{varies:?}");
            assert!((50 * MS..52 * MS).contains(&varies.most_ns), "{varies:?}");
        } else {
            assert_eq!((varies.variation, varies.actions), (Variation::Steady, 0));
        }
    }
    let unheard = view(&facts, false, CALM + 60);
    assert!(unheard.players.iter().all(|one| one.variation.is_none()));
    assert!(
        blamed > 0,
        "four in a row are no chance to whoever knows no bounds"
    );
}

#[test]
fn what_is_beyond_the_bounds_stays_away_or_has_no_pattern_is_told_with_that_as_its_reason() {
    let beyond = |beat: u64| i64::from(likely(beat)) * 110 * MS;
    let (after, kind, reason) = first(40, beyond).expect("it is found");
    assert_eq!(
        (kind, reason),
        (FailureKind::Dragging, Some(Variation::OutOfBounds))
    );
    assert!(after <= 24, "{after}");
    let begins = (CALM..CALM + 20).find(|beat| likely(*beat) && !likely(beat - 1));
    let begins = begins.expect("every sixteenth");
    let stays = |beat: u64| i64::from(beat >= begins) * 50 * MS;
    let (after, kind, reason) = first(40, stays).expect("it is found");
    assert_eq!(
        (kind, reason),
        (FailureKind::Dragging, Some(Variation::NotReturning))
    );
    assert!((4..=10).contains(&(after + CALM - begins)), "{after}");
    let nowhere = |beat: u64| -i64::from(!likely(beat) && beat % 4 < 3) * 40 * MS;
    let (after, kind, reason) = first(40, nowhere).expect("it is found");
    assert_eq!(
        (kind, reason),
        (FailureKind::Rushing, Some(Variation::NoPattern))
    );
    assert!(after <= 12, "{after}");
}

#[test]
fn bounds_of_the_rate_hold_over_four_actions() {
    // Two seconds from action to action: 50 ms in four of them are 6,250 millionths.
    let told = |most_ppm: u32| {
        let map = TempoMap::default();
        let bounds = Bounds {
            timing_ms: None,
            rate_ppm: Some(most_ppm),
            resources_ppm: None,
            at: Stress::Major,
            beats: 16,
        };
        let late = |beat: u64| i64::from(beat >= CALM && likely(beat)) * 50 * MS;
        let latest = (0..CALM + 40).map(|beat| (beat_ms(beat) * 1_000_000, late(beat)));
        let told = judge_within(&[latest.collect()], Some(&Expected::new(bounds, &map)));
        (told.found.len(), told.varied[0].variation)
    };
    assert_eq!(told(6_500), (0, Variation::Varying));
    assert_eq!(told(6_000), (1, Variation::OutOfBounds));
}

#[test]
fn what_was_set_counts_from_then_on_and_what_is_no_bound_is_none() {
    let facts = played(4, |_, _| 0);
    let with = |changes: Vec<(Setting, u64)>| {
        let set = [bounds(), fact(91, 1, 60_000, Action::Settings(changes))];
        let folds = folded(facts.iter().chain(&set));
        let horizon = Horizon::default();
        let reading = reading(&folds, 4, &horizon);
        (reading.bounds(), reading.tempo_told().bounds)
    };
    let stands = with(vec![]).0.expect("it was set");
    assert_eq!(
        (stands.timing_ms, stands.at, stands.beats),
        (Some(60), Stress::Major, 16)
    );
    let changed = with(vec![(Setting::VaryTimingMs, 70)]);
    assert_eq!(changed.0.and_then(|one| one.timing_ms), Some(70));
    assert_eq!(changed.0, changed.1, "it is told with the tempo");
    for (setting, value) in [
        (Setting::VaryTimingMs, 0),
        (Setting::VaryTimingMs, 60_001),
        (Setting::VaryAt, 3),
        (Setting::VaryBeats, 0),
        (Setting::VaryBeats, 65),
        (Setting::VaryTimingMs, u64::MAX),
    ] {
        assert_eq!(with(vec![(setting, value)]).0, None, "{setting:?} {value}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn what_is_within_the_bounds_where_that_is_likely_is_never_told(
        late_ms in proptest::collection::vec(-59_i64..=59, 80),
        at in 1_u64..=2,
    ) {
        let map = TempoMap::default();
        let settings = |setting| match setting {
            Setting::VaryTimingMs => 60,
            Setting::VaryAt => at,
            Setting::VaryBeats => 1,
            _ => 0,
        };
        let bounds = Bounds::of(settings).expect("these are bounds");
        let expected = Expected::new(bounds, &map);
        let is_likely = |beat: u64| bounds.is_likely(&map, beat.cast_signed());
        let latest: Vec<(u64, i64)> = (6_400..6_560_u64)
            .map(|beat| {
                let late = late_ms[beat as usize % 80] * i64::from(is_likely(beat));
                (beat * 500_000_000, late * MS)
            })
            .collect();
        let told = judge_within(core::slice::from_ref(&latest), Some(&expected));
        prop_assert_eq!(told.found, vec![]);
        prop_assert_eq!(&told.beyond, &vec![None]);
        let likely = (6_400..6_560_u64).filter(|beat| is_likely(*beat)).count();
        let set_aside = told.varied[0].expected_ns.len();
        prop_assert_eq!(set_aside, likely);
    }

    #[test]
    fn without_bounds_on_time_everything_is_told_as_without_any(
        late_ms in proptest::collection::vec(-150_i64..=150, 3 * 90),
        drift_us in -3_000_i64..=3_000,
    ) {
        let map = TempoMap::default();
        let players: Vec<Vec<(u64, i64)>> = (0..3)
            .map(|player| {
                (0..90_u64)
                    .map(|beat| {
                        let chance = late_ms[player * 90 + beat as usize] * MS / 10;
                        let drift = drift_us * 1_000 * beat.cast_signed();
                        (1_000_000_000 + beat * 500_000_000, chance + drift)
                    })
                    .collect()
            })
            .collect();
        let bounds = Bounds {
            timing_ms: None,
            rate_ppm: None,
            resources_ppm: Some(200_000),
            at: Stress::Beat,
            beats: 1,
        };
        let with = judge_within(&players, Some(&Expected::new(bounds, &map)));
        let told = with.found.into_iter().map(|mut judged| {
            judged.reason = None;
            judged
        });
        prop_assert_eq!(told.collect::<Vec<_>>(), judge(&players));
    }
}
