//! Several sources: the majority's stretch of time, and the mesh of leaders.

use proptest::prelude::*;
use unisono_core::timing::{Difference, Interval, MeshError, intersect, reconcile};

fn around(middle: u64, half: u64) -> Interval {
    Interval {
        earliest_ns: middle.saturating_sub(half),
        latest_ns: middle.saturating_add(half),
    }
}

proptest! {
    #[test]
    fn a_minority_of_liars_cannot_move_the_majority_off_the_truth(
        truth in 1_000_000_u64..2_000_000,
        honest in prop::collection::vec((0_u64..500, 500_u64..2_000), 2..6),
        lies in prop::collection::vec((any::<u64>(), 0_u64..1_000_000), 0..5),
    ) {
        let liars = lies.len().min(honest.len() - 1);
        let mut sources: Vec<Interval> = honest
            .iter()
            .map(|(off, half)| around(truth - 250 + off, *half))
            .collect();
        sources.extend(lies[..liars].iter().map(|(middle, half)| around(*middle, *half)));
        let found = intersect(&sources).expect("the honest are the majority");
        prop_assert!(found.agreeing.len() > liars);
        // Each stretch that a majority shares lies inside an honest interval, within its width.
        prop_assert!(found.interval.earliest_ns >= truth - 4_000);
        prop_assert!(found.interval.latest_ns <= truth + 4_000);
        if liars == 0 {
            prop_assert!(found.interval.contains(truth));
        }
    }

    #[test]
    fn five_leaders_see_through_one_bad_link(
        offsets in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 4),
        noise in prop::collection::vec(-100_000_i64..100_000, 10),
        bad in 0_usize..10,
        off_ns in prop_oneof![Just(20_000_000_i64), Just(-20_000_000), Just(500_000_000)],
    ) {
        let all: Vec<i64> = std::iter::once(0).chain(offsets).collect();
        let mut differences = Vec::new();
        for from in 0..5 {
            for to in from + 1..5 {
                let place = differences.len();
                let wrong = if place == bad { off_ns } else { 0 };
                differences.push(Difference {
                    from,
                    to,
                    by_ns: all[to] - all[from] + noise[place] + wrong,
                    deviation_ns: 100_000.0,
                });
            }
        }
        let found = reconcile(5, &differences).expect("connected");
        for (found, truth) in found.iter().zip(&all) {
            prop_assert!((found - truth).abs() < 500_000, "{found} for {truth}");
        }
    }
}

#[test]
fn nobody_agrees_where_no_majority_does() {
    let apart = [around(1_000, 10), around(2_000, 10), around(3_000, 10)];
    assert_eq!(intersect(&apart), None);
    assert_eq!(intersect(&[]), None);
    let backwards = Interval {
        earliest_ns: 9,
        latest_ns: 1,
    };
    assert_eq!(intersect(&[backwards]), None);
    let touching = intersect(&[around(1_000, 10), around(1_020, 10)]).expect("they touch");
    assert_eq!(touching.interval, around(1_010, 0));
    assert_eq!(touching.agreeing, [0, 1]);
}

#[test]
fn a_malformed_mesh_is_refused() {
    let link = |from, to, deviation_ns| Difference {
        from,
        to,
        by_ns: 5,
        deviation_ns,
    };
    assert_eq!(reconcile(0, &[]), Err(MeshError::Leaders { leaders: 0 }));
    assert_eq!(reconcile(65, &[]), Err(MeshError::Leaders { leaders: 65 }));
    for bad in [
        link(0, 0, 1.0),
        link(0, 2, 1.0),
        link(0, 1, 0.0),
        link(0, 1, f64::NAN),
    ] {
        assert_eq!(reconcile(2, &[bad]), Err(MeshError::Malformed { place: 0 }));
    }
    assert_eq!(
        reconcile(3, &[link(0, 1, 1.0)]),
        Err(MeshError::Apart { leader: 2 })
    );
    assert_eq!(reconcile(1, &[]), Ok(vec![0]));
    assert_eq!(reconcile(2, &[link(1, 0, 1.0)]), Ok(vec![0, -5]));
}
