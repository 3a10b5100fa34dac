//! Timing leaders in trouble: I4 and I6 hold, and planted faults break them.

use unisono_core::election;
use unisono_core::timekeeper::Fault;
use unisono_sim::timing::{Regions, Trouble, judge_leaders, judge_regions, judge_trouble};

/// How many seeds a planted fault may take.
const SEEDS: u64 = 40;

#[test]
fn every_trouble_is_survived() {
    let (mut looks, mut likely) = (0, 0);
    for seed in (0..25).chain([110, 1_103, 1_446]) {
        let found = judge_leaders(seed, None);
        assert!(found.violations.is_empty(), "{found:?}");
        if found.trouble != "Congestion" {
            looks += found.looks;
            likely += found.likely;
        }
    }
    assert!(likely * 1_000 >= looks * 990, "{likely} of {looks}");
}

/// A queue that stands from the first probe on moves clocks and nobody sees it; leaders, epochs and what is
/// certain do not mind, and what is likely is right again when it is gone.
#[test]
fn congestion_at_the_start_is_survived() {
    for seed in 0..6 {
        let found = judge_trouble(seed, Trouble::Congestion, None);
        assert!(found.violations.is_empty(), "{found:?}");
    }
}

/// Seeds in which witnesses were missing, two that had found each other to lie never gave way, or one
/// took over that was not ready.
#[test]
fn a_liar_is_found_by_whoever_was_known_before_it_lied() {
    for seed in [50, 106, 136, 169, 231, 434] {
        let found = judge_trouble(seed, Trouble::Liar, None);
        assert!(found.violations.is_empty(), "{found:?}");
    }
}

#[test]
fn the_same_seed_has_the_same_leaders() {
    assert_eq!(judge_leaders(3, None), judge_leaders(3, None));
}

fn is_found(trouble: Trouble, fault: Fault, invariant: &str) {
    let finds = |seed: u64| {
        let found = judge_trouble(seed, trouble, Some(fault));
        found
            .violations
            .iter()
            .any(|one| one.starts_with(invariant))
    };
    assert!(
        (0..SEEDS).any(finds),
        "{fault:?} was not found in {SEEDS} seeds"
    );
}

#[test]
fn a_leader_that_sleeps_and_goes_on_leading_is_found() {
    let fault = Fault::Election(election::Fault::EpochIgnored);
    is_found(Trouble::Pause, fault, "I4");
}

#[test]
fn a_lead_without_hysteresis_is_found() {
    let fault = Fault::Election(election::Fault::HysteresisOff);
    is_found(Trouble::Flapping, fault, "I4");
}

#[test]
fn a_leader_that_begins_a_time_of_its_own_is_found() {
    is_found(Trouble::Crash, Fault::TimelineRestarted, "I6");
}

#[test]
fn a_liar_that_is_believed_is_found() {
    is_found(Trouble::Liar, Fault::LiarsBelieved, "I6");
}

/// The way from one region to the cluster's leader takes forty ms longer than back: by that way alone
/// the region is 20 ms off, and no interval shows it. Five leaders see it.
#[test]
fn five_leaders_see_through_a_link_that_is_20_ms_off() {
    let mean_ms = |found: &[f64]| found.iter().sum::<f64>() / found.len() as f64;
    let found = judge_regions(1, Regions::FIVE);
    let looks = found.behind_ms.len() + found.others_ms.len();
    assert!(looks > 1_000 && mean_ms(&found.behind_ms) < 1.0);
    assert!(mean_ms(&found.others_ms) < 0.2);
    assert_eq!(found.hard, looks);
}

/// Nobody can tell among fewer, but for whoever is told.
#[test]
fn a_way_that_is_known_to_be_uneven_is_put_right() {
    let four = Regions {
        regions: 4,
        told: true,
        ..Regions::FIVE
    };
    let found = judge_regions(1, four);
    assert!(found.behind_ms.iter().all(|ms| *ms < 1.0));
}

/// Of three regions each has its own way to the leader, and one other's: nobody can tell which is wrong,
/// and the interval holds what both say.
#[test]
fn of_two_that_differ_the_interval_holds_both() {
    let three = Regions {
        regions: 3,
        ..Regions::FIVE
    };
    let found = judge_regions(20_000, three);
    assert!(found.violation().is_none(), "{:?}", found.violation());
    let alone = Regions {
        fault: Some(Fault::MajorityIgnored),
        ..three
    };
    let told = judge_regions(20_000, alone).violation();
    assert!(told.is_some_and(|one| one.starts_with("I6: the likely")));
}

/// From three on most agree, and whoever is behind the bad way goes where they are.
#[test]
fn of_three_the_one_that_is_off_is_outvoted() {
    let four = Regions {
        regions: 4,
        ..Regions::FIVE
    };
    let found = judge_regions(20_001, four);
    assert!(found.violation().is_none(), "{:?}", found.violation());
    assert!(found.behind_ms.iter().sum::<f64>() < 5.0 * found.behind_ms.len() as f64);
    assert!(found.others_ms.iter().all(|ms| *ms < 1.0));
    let lied_to = Regions {
        bad_ms: 0.0,
        lie_ms: 50.0,
        ..four
    };
    for regions in [
        lied_to,
        Regions {
            regions: 3,
            ..lied_to
        },
    ] {
        let found = judge_regions(20_001, regions);
        assert!(found.violation().is_none(), "{:?}", found.violation());
        let mut all_ms = found.behind_ms.iter().chain(&found.others_ms);
        assert!(all_ms.all(|ms| *ms < 1.0), "a lie of 50 ms moved somebody");
    }
    let alone = Regions {
        fault: Some(Fault::MajorityIgnored),
        ..four
    };
    let found = judge_regions(20_001, alone);
    assert!(found.violation().is_some());
    assert!(found.behind_ms.iter().all(|ms| *ms > 15.0));
}

#[test]
fn leaders_that_correct_nothing_or_twice_are_found() {
    for fault in [Fault::MeshIgnored, Fault::CorrectionTwice] {
        let regions = Regions {
            fault: Some(fault),
            ..Regions::FIVE
        };
        let found = judge_regions(1, regions);
        assert!(found.behind_ms.iter().any(|ms| *ms > 5.0), "{fault:?}");
        let told = found.violation();
        assert!(told.is_some_and(|one| one.starts_with("I6")), "{fault:?}");
    }
}

/// What a node sends grows with its region and with the number of regions, not with the cluster.
#[test]
fn a_member_sends_no_more_in_a_larger_cluster() {
    let sent = |regions| {
        let cluster = Regions {
            regions,
            bad_ms: 0.0,
            seconds: 75,
            ..Regions::FIVE
        };
        let found = judge_regions(1, cluster);
        let members = &found.sent[2];
        assert!(!members.is_empty());
        members.iter().sum::<f64>() / members.len() as f64
    };
    assert!(sent(12) < 1.1 * sent(3));
}
