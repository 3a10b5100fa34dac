//! The hard interval contains the truth; the estimate finds it; jumps are survived.

use proptest::prelude::*;
use unisono_core::timing::{ClusterClock, Fault, Memory, News, OffsetFilter, ProbeError, Sync};

use super::{MS, Machine, SECOND, cluster_ns, rates, regular, synced, trips};

proptest! {
    #[test]
    fn the_hard_interval_contains_the_truth(rate_ppb in rates(), trips in trips()) {
        let machine = Machine::new(rate_ppb);
        let mut clock = ClusterClock::default();
        let mut at_ns = 0;
        for (gap_ns, question_ns, answer_ns) in trips {
            at_ns += gap_ns + question_ns + answer_ns;
            let sent_ns = at_ns - question_ns - answer_ns;
            let taken = clock.push(&machine.probe(sent_ns, question_ns, answer_ns));
            prop_assert!(taken.is_ok(), "{taken:?}");
            for later_ns in [0, gap_ns / 2, 600 * SECOND] {
                let estimate = clock.filter().estimate(machine.local_ns(at_ns + later_ns));
                let estimate = estimate.expect("a probe was taken");
                let local = i128::from(machine.local_ns(at_ns + later_ns));
                let truth = i128::from(cluster_ns(at_ns + later_ns)) - local;
                prop_assert!(i128::from(estimate.least_ns) <= truth);
                prop_assert!(truth <= i128::from(estimate.most_ns));
                prop_assert!(estimate.deviation_ns.is_finite() && estimate.deviation_ns > 0.0);
            }
            if let Some(reading) = clock.now(machine.local_ns(at_ns)) {
                let truth = cluster_ns(at_ns);
                prop_assert!(reading.hard.contains(truth), "{reading:?} without {truth}");
                prop_assert!(reading.likely.contains(reading.estimate_ns));
            }
        }
    }

    #[test]
    fn a_copy_of_each_probe_changes_nothing(rate_ppb in rates(), trips in trips()) {
        let machine = Machine::new(rate_ppb);
        let (mut once, mut twice) = (OffsetFilter::new(), OffsetFilter::new());
        let mut at_ns = 0;
        for (gap_ns, question_ns, answer_ns) in trips {
            at_ns += gap_ns + question_ns + answer_ns;
            let sent_ns = at_ns - question_ns - answer_ns;
            let probe = machine.probe(sent_ns, question_ns, answer_ns);
            prop_assert_eq!(once.push(&probe), twice.push(&probe));
            prop_assert_eq!(twice.push(&probe), Err(ProbeError::Repeated));
            let local_ns = machine.local_ns(at_ns);
            prop_assert_eq!(once.estimate(local_ns), twice.estimate(local_ns));
        }
    }
}

#[test]
fn offset_and_frequency_are_found_together() {
    let machine = Machine::new(-37_000);
    let filter = synced(&machine, 600);
    let at_ns = 121 * SECOND;
    let local_ns = machine.local_ns(at_ns);
    let estimate = filter.estimate(local_ns).expect("synced");
    let truth = cluster_ns(at_ns).cast_signed() - local_ns.cast_signed();
    let error_ns = (estimate.offset_ns - truth).unsigned_abs();
    assert!(error_ns < 300_000, "{error_ns} ns off");
    assert!(
        (estimate.rate_ppb - 37_000.0).abs() < 4_000.0,
        "{estimate:?}"
    );
    assert!((estimate.floor_ns - 80e6).abs() < 2e6, "{estimate:?}");
}

#[test]
fn a_holdover_carries_on_and_widens() {
    let machine = Machine::new(50_000);
    let filter = synced(&machine, 3_000);
    let mut clock = ClusterClock::default().with_filter(filter);
    clock.push(&regular(&machine, 3_000)).expect("taken");
    let mut before = 0.0;
    for minutes in 1..=10 {
        let at_ns = (600 + 60 * minutes) * SECOND;
        let reading = clock.now(machine.local_ns(at_ns)).expect("synced");
        assert_eq!(reading.sync, Sync::Holdover);
        assert!(reading.deviation_ns > before, "{reading:?}");
        before = reading.deviation_ns;
        assert!(reading.likely.contains(cluster_ns(at_ns)), "{reading:?}");
        let error_ns = reading.estimate_ns.abs_diff(cluster_ns(at_ns));
        assert!(error_ns < MS / 2, "{error_ns} ns off after {minutes} min");
    }
}

#[test]
fn a_frozen_holdover_is_told_from_an_honest_one() {
    let machine = Machine::new(50_000);
    let honest = synced(&machine, 600);
    let frozen = honest.clone().with_fault(Some(Fault::HoldoverFrozen));
    let at = |seconds: u64| machine.local_ns(seconds * SECOND);
    let widens = |filter: &OffsetFilter| {
        let deviation = |seconds| filter.estimate(at(seconds)).expect("synced").deviation_ns;
        deviation(1_200) > 2.0 * deviation(121)
    };
    assert!(widens(&honest) && !widens(&frozen));
}

#[test]
fn a_jump_is_believed_when_a_few_probes_agree_and_not_before() {
    for jumped_ns in [10_000_000_000, -3_000_000_000] {
        let mut machine = Machine::new(20_000);
        let mut filter = synced(&machine, 300);
        machine.jumped_ns = jumped_ns;
        let mut news = Vec::new();
        for number in 300..330 {
            let local_ns = machine.local_ns(number * 200 * MS);
            let before = filter.estimate(local_ns);
            let told = filter.push(&regular(&machine, number));
            if matches!(told, Err(ProbeError::Contradicts { .. })) {
                assert_eq!(filter.estimate(local_ns), before);
            }
            news.push(told);
        }
        assert!(
            news[..2]
                .iter()
                .all(|one| matches!(one, Err(ProbeError::Contradicts { .. })))
        );
        let Ok(News::Jumped { by_ns }) = news[2] else {
            panic!("no jump: {:?}", news[2]);
        };
        assert!((by_ns + jumped_ns).abs() < 30_000_000, "{by_ns}");
        let local_ns = machine.local_ns(66 * SECOND);
        let estimate = filter.estimate(local_ns).expect("synced");
        let truth = cluster_ns(66 * SECOND).cast_signed() - local_ns.cast_signed();
        assert!(
            (estimate.offset_ns - truth).abs() < 2_000_000,
            "{estimate:?} for {truth}"
        );
        assert!(
            (estimate.rate_ppb + 20_000.0).abs() < 30_000.0,
            "the rate is kept: {estimate:?}"
        );
    }
}

#[test]
fn a_longer_route_is_learnt() {
    let machine = Machine::new(0);
    let mut filter = synced(&machine, 600);
    let mut changed = 0;
    for number in 600..1_200 {
        let (question, answer) = (number * 7 % 20, number * 13 % 20);
        let at_ns = number * 200 * MS;
        let probe = machine.probe(at_ns, (70 + question) * MS, (70 + answer) * MS);
        let news = filter
            .push(&probe)
            .expect("a longer way is no contradiction");
        changed += u64::from(news == News::RouteChanged);
    }
    let local_ns = machine.local_ns(241 * SECOND);
    let estimate = filter.estimate(local_ns).expect("synced");
    assert!(changed > 0);
    assert!((estimate.floor_ns - 140e6).abs() < 5e6, "{estimate:?}");
    let truth = cluster_ns(241 * SECOND).cast_signed() - local_ns.cast_signed();
    assert!(
        (estimate.offset_ns - truth).abs() < 500_000,
        "{estimate:?} for {truth}"
    );
}

#[test]
fn what_is_remembered_shortens_the_start() {
    let machine = Machine::new(45_000);
    let memory = synced(&machine, 3_000).memory();
    let json = serde_json::to_string(&memory).expect("plain figures");
    let memory: Memory = serde_json::from_str(&json).expect("as written");
    let error_after = |mut filter: OffsetFilter| {
        for number in 0..8 {
            filter.push(&regular(&machine, number)).expect("taken");
        }
        let local_ns = machine.local_ns(60 * SECOND);
        let truth = cluster_ns(60 * SECOND).cast_signed() - local_ns.cast_signed();
        (filter.estimate(local_ns).expect("heard").offset_ns - truth).abs()
    };
    let fresh = error_after(OffsetFilter::new());
    let remembered = error_after(OffsetFilter::remembering(memory).expect("sound"));
    assert!(remembered * 2 < fresh, "{remembered} and {fresh} ns off");
}
