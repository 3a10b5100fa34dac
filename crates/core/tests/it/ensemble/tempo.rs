//! The tempo map: exact, monotone, and nothing but a map.

use proptest::prelude::*;
use unisono_core::ensemble::{Change, Stress, TempoError, TempoMap};
use unisono_model::{Curve, Tempo, TempoSegment};

const START_NS: u64 = 1_800_000_000_000_000_000;

fn steady(starts_ns: u64, lasts_ns: Option<u64>, rate_ubpm: u64) -> TempoSegment {
    TempoSegment {
        starts_ns,
        lasts_ns,
        rate_ubpm,
        curve: Curve::Steady,
    }
}

fn tempo(segments: Vec<TempoSegment>) -> Tempo {
    Tempo {
        beat: 0,
        part: 0,
        segments,
        point_every: 4,
        major_every: 64,
    }
}

/// Segments of such lengths (ms), rates and curves, one after the other.
fn built(beat: u64, steps: &[(u64, u64, u8)]) -> TempoMap {
    let mut starts_ns = START_NS;
    let mut segments = Vec::new();
    for (index, (lasts_ms, rate_ubpm, kind)) in steps.iter().enumerate() {
        let to_ubpm = steps.get(index + 1).map_or(60_000_000, |next| next.1);
        let lasts_ns = lasts_ms * 1_000_000;
        segments.push(TempoSegment {
            curve: match kind % 3 {
                0 => Curve::Steady,
                1 => Curve::Linear { to_ubpm },
                _ => Curve::Exponential { to_ubpm },
            },
            ..steady(starts_ns, Some(lasts_ns), *rate_ubpm)
        });
        starts_ns += lasts_ns;
    }
    segments.push(steady(starts_ns, None, 60_000_000));
    TempoMap::new(Tempo {
        beat,
        ..tempo(segments)
    })
    .expect("segments one after the other are a map")
}

fn steps() -> impl Strategy<Value = Vec<(u64, u64, u8)>> {
    prop::collection::vec(
        (1_u64..90_000, 100_000_u64..=6_000_000_000, any::<u8>()),
        0..12,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_beat_is_found_again_at_its_time_and_not_before(
        steps in steps(), first in 0_u64..1_000_000, ahead in -2_000_i64..200_000,
    ) {
        let map = built(first, &steps);
        let beat = first.cast_signed() + ahead;
        if let Some(at_ns) = map.time(beat) {
            prop_assert_eq!(map.position(at_ns).beat, beat);
            prop_assert!(map.position(at_ns - 1).beat < beat, "a nanosecond before it is not there");
        }
    }

    #[test]
    fn later_is_never_an_earlier_beat(steps in steps(), at in 0_u64..1_000_000_000_000, on in 0_u64..2_000_000_000) {
        let map = built(7, &steps);
        let from_ns = START_NS - 500_000_000_000 + at;
        prop_assert!(map.position(from_ns) <= map.position(from_ns + on));
        let next = map.next(from_ns, 1).expect("the beat goes on");
        prop_assert!(next.at_ns > from_ns);
        prop_assert_eq!(next.number, map.position(from_ns).beat + 1);
    }

    #[test]
    fn a_change_keeps_what_was_before_it_and_reaches_its_rate(
        steps in steps(), now in 0_u64..800_000, lead in 0_u64..100_000, over in 0_u64..60_000,
        to_ubpm in 100_000_u64..=6_000_000_000, exponential in any::<bool>(),
    ) {
        let map = built(3, &steps);
        let now_ns = START_NS + now * 1_000_000;
        let at_ns = now_ns + lead * 1_000_000;
        let over_ns = over * 1_000_000;
        let change = Change { at_ns, to_ubpm, over_ns, exponential };
        match map.changed(now_ns, change) {
            Ok(tempo) => {
                let changed = TempoMap::new(tempo).expect("a change makes a map");
                for at_ns in [now_ns, now_ns + (at_ns - now_ns) / 2, at_ns] {
                    prop_assert_eq!(map.position(at_ns), changed.position(at_ns));
                }
                prop_assert_eq!(changed.rate_ubpm(at_ns + over_ns), to_ubpm);
                if let Some(from_ns) = map.parts_from(&changed, now_ns) {
                    prop_assert!(from_ns >= at_ns, "{} before {}", from_ns, at_ns);
                }
            }
            Err(TempoError::CurveUnderWay { ends_ns }) => prop_assert!(ends_ns > at_ns),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}

#[test]
fn nobody_has_to_set_a_tempo() {
    let map = TempoMap::default();
    assert_eq!(map.time(0), Some(0));
    assert_eq!(map.time(4_000), Some(2_000_000_000_000));
    let next = map.next(1_999_999_999_999, 1).expect("a beat");
    assert_eq!((next.number, next.stress), (4_000, Stress::Point));
    assert_eq!(map.next(0, 64).expect("a beat").stress, Stress::Major);
    assert_eq!(map.time(-1), None, "before 1970 nobody plays");
    assert_eq!(map.time(i64::MAX), None);
}

#[test]
fn a_doubling_follows_its_curve() {
    let lasts_ns = 10_000_000_000;
    let curve = |exponential: bool| {
        let to_ubpm = 120_000_000;
        let bent = TempoSegment {
            curve: if exponential {
                Curve::Exponential { to_ubpm }
            } else {
                Curve::Linear { to_ubpm }
            },
            ..steady(START_NS, Some(lasts_ns), 60_000_000)
        };
        let rest = steady(START_NS + lasts_ns, None, to_ubpm);
        TempoMap::new(tempo(vec![bent, rest])).expect("a map")
    };
    // Ten seconds from one beat a second to two: 15 in a straight line, 10/ln 2 by equal factors.
    let parts = |map: &TempoMap| {
        let position = map.position(START_NS + lasts_ns);
        position.beat as f64 + position.part as f64 / unisono_model::PARTS_PER_BEAT as f64
    };
    assert!((parts(&curve(false)) - 15.0).abs() < 1e-9);
    let told = 10.0 / std::f64::consts::LN_2;
    assert!(
        (parts(&curve(true)) / told - 1.0).abs() < 2e-5,
        "{}",
        parts(&curve(true))
    );
    let half = curve(true).rate_ubpm(START_NS + lasts_ns / 2);
    assert!(half.abs_diff(84_852_813) < 10, "{half}");
}

#[test]
fn what_is_no_map_is_refused_by_name() {
    let second = 1_000_000_000;
    let good = steady(START_NS, None, 60_000_000);
    let first = |lasts_ns: Option<u64>| steady(START_NS, lasts_ns, 60_000_000);
    let then = |after_ns: u64| steady(START_NS.saturating_add(after_ns), None, 60_000_000);
    let bent = |lasts_ns: Option<u64>, to_ubpm: u64| TempoSegment {
        curve: Curve::Linear { to_ubpm },
        ..first(lasts_ns)
    };
    let cases: Vec<(&str, Vec<TempoSegment>)> = vec![
        ("without segments", vec![]),
        ("overlap", vec![first(Some(2 * second)), then(second)]),
        ("gap", vec![first(Some(second)), then(2 * second)]),
        ("without end overlaps", vec![first(None), then(second)]),
        ("steady and without end", vec![first(Some(second))]),
        ("steady and without end", vec![bent(None, 1_000_000)]),
        ("rate of zero", vec![steady(START_NS, None, 0)]),
        ("rate of zero", vec![bent(Some(second), 0), then(second)]),
        ("rate of the tempo", vec![steady(START_NS, None, 99_999)]),
        ("rate of the tempo", vec![steady(START_NS, None, u64::MAX)]),
        ("no length", vec![first(Some(0)), then(0)]),
        (
            "length of a curve",
            vec![bent(Some(u64::MAX), 1_000_000), then(u64::MAX)],
        ),
        (
            "start of a segment",
            vec![steady(u64::MAX, None, 60_000_000)],
        ),
        ("segments of the tempo map", vec![good; 65]),
    ];
    for (rule, segments) in cases {
        let told = TempoMap::new(tempo(segments)).expect_err(rule).to_string();
        assert!(told.contains(rule), "{rule}: {told}");
    }
    let never = Tempo {
        point_every: 0,
        ..tempo(vec![good])
    };
    assert!(TempoMap::new(never).is_err());
    let far = Tempo {
        beat: u64::MAX,
        ..tempo(vec![good])
    };
    assert!(TempoMap::new(far).is_err());
    let past = Change {
        at_ns: START_NS,
        to_ubpm: 60_000_000,
        over_ns: 0,
        exponential: false,
    };
    let told = TempoMap::default().changed(START_NS + 5, past);
    assert_eq!(told, Err(TempoError::Past { past_ns: 5 }));
}
