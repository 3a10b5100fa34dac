//! The faults of a failing seed are shortened to those that the failure needs.

use unisono_sim::{Fault, Scenario, run, shrink};

fn planted(name: &str) -> Scenario {
    Scenario {
        safety_s: 60,
        actions_min: 0,
        think_ms: 2_000,
        sabotage: Some(name.into()),
        ..Scenario::default()
    }
}

#[test]
fn a_failure_that_needs_no_fault_is_left_with_none() {
    let scenario = planted("expiry-ignored");
    let failed = run(&scenario, 1);
    assert_eq!(failed.verdicts[0].invariant, "I1");
    assert!(!failed.faults.is_empty());
    let shrunk = shrink(&scenario, &failed, 20);
    let left = shrunk.left.expect("it fails with any faults");
    assert_eq!(left.only, Some(Vec::new()));
    assert_eq!(shrunk.before, failed.faults.len());
}

/// Before, this was told as "0 of N faults are left", like a failure that needs none.
#[test]
fn a_failure_that_does_not_come_again_is_not_called_shortened() {
    let scenario = planted("expiry-ignored");
    let mut failed = run(&scenario, 1);
    failed.verdicts[0].invariant = "I2".into();
    let shrunk = shrink(&scenario, &failed, 20);
    assert_eq!((shrunk.left, shrunk.runs), (None, 1));
}

/// What is shortened is what a seed violated first. Seed 122 lost an acknowledged record too, but
/// first a bundle came twice, which an early acknowledgement does with no fault at all.
#[test]
fn a_failure_that_needs_a_crash_keeps_one_and_fails_again() {
    let scenario = planted("acknowledge-before-fsync");
    let failed = (0..200)
        .map(|seed| run(&scenario, seed))
        .find(|outcome| {
            outcome
                .verdicts
                .first()
                .is_some_and(|v| v.invariant == "I2")
        })
        .unwrap();
    let shrunk = shrink(&scenario, &failed, 60);
    let shorter = shrunk.left.expect("it fails by its faults");
    let left = shorter.only.clone().unwrap();
    assert!(left.len() < failed.faults.len(), "{left:?}");
    let loses_power = |fault: &Fault| {
        matches!(
            fault,
            Fault::Crash { .. } | Fault::Rollback { .. } | Fault::Flip { .. }
        )
    };
    assert!(left.iter().any(|(_, fault)| loses_power(fault)), "{left:?}");
    assert!(!run(&shorter, failed.seed).is_ok());
}

#[test]
fn a_shortened_list_is_data() {
    let scenario = Scenario {
        only: Some(run(&planted("expiry-ignored"), 2).faults),
        ..Scenario::default()
    };
    let text = serde_json::to_string(&scenario).unwrap();
    assert_eq!(serde_json::from_str::<Scenario>(&text).unwrap(), scenario);
}
