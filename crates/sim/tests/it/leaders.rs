//! Timing leaders in trouble: I4 and I6 hold, and planted faults break them.

use unisono_core::election;
use unisono_core::timekeeper::Fault;
use unisono_sim::timing::{Trouble, judge_leaders, judge_trouble};

/// How many seeds a planted fault may take.
const SEEDS: u64 = 40;

#[test]
fn every_trouble_is_survived() {
    for seed in (0..25).chain([110, 1_103, 1_446]) {
        let found = judge_leaders(seed, None);
        assert!(found.violations.is_empty(), "{found:?}");
    }
}

/// Seeds in which witnesses were missing, or two that had found each other to lie never gave way.
#[test]
fn a_liar_is_found_by_whoever_was_known_before_it_lied() {
    for seed in [50, 106, 136, 169, 231] {
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
