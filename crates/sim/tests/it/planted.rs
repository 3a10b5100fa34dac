//! Each planted fault is found, by the judge of the invariant that it breaks. These tests run many
//! seeds: `cargo test --profile ci -p unisono-sim -- --ignored planted`.

use unisono_sim::{Planted, Scenario, find};

/// How many seeds a fault may take to be found.
const SEEDS: u64 = 300;

fn is_found(name: &str) {
    let planted = Planted::named(name).unwrap();
    let scenario = Scenario {
        sabotage: Some(name.into()),
        ..Scenario::default()
    };
    let found = find(&scenario, 0..SEEDS, planted.breaks);
    assert!(found.is_some(), "{name} was not found in {SEEDS} seeds");
}

macro_rules! planted {
    ($($test:ident $name:literal,)*) => {
        $(#[test]
        #[ignore = "runs many seeds"]
        fn $test() {
            is_found($name);
        })*

        #[test]
        fn every_planted_fault_has_a_test_and_a_switch() {
            let tested = [$($name),*];
            let known: Vec<&str> = Planted::ALL.iter().map(|planted| planted.name).collect();
            assert_eq!(tested.as_slice(), known.as_slice());
            for name in tested {
                let scenario = Scenario { sabotage: Some(name.into()), ..Scenario::default() };
                let none = Scenario::default();
                let switched = scenario.switches() != none.switches();
                let driven = scenario.continues_logs() || scenario.verifies_plainly();
                assert!(switched || driven, "{name} changes nothing");
            }
        }
    };
}

planted! {
    planted_acknowledge_before_fsync "acknowledge-before-fsync",
    planted_log_continued_after_crash "log-continued-after-crash",
    planted_claim_order_by_arrival "claim-order-by-arrival",
    planted_join_not_retried "join-not-retried",
    planted_cursor_ignored "cursor-ignored",
    planted_expiry_ignored "expiry-ignored",
    planted_fork_accepted "fork-accepted",
    planted_key_forgotten "key-forgotten",
    planted_checkpoint_kept "checkpoint-kept",
    planted_gaps_not_repaired "gaps-not-repaired",
    planted_fences_ignored "fences-ignored",
    planted_fences_at_the_edge_alone "fences-at-the-edge-alone",
    planted_token_expiry_ignored "token-expiry-ignored",
    planted_token_expiry_by_local_clock "token-expiry-by-local-clock",
    planted_plain_verify "plain-verify",
    planted_paths_by_prefix "paths-by-prefix",
    planted_narrowing_skipped "narrowing-skipped",
    planted_policy_after_apply "policy-after-apply",
    planted_interference_by_arrival "interference-by-arrival",
    planted_glob_by_prefix "glob-by-prefix",
    planted_resolution_last "resolution-last",
    planted_patience_ignored "patience-ignored",
    planted_arrivals_doubled "arrivals-doubled",
    planted_response_by_arrival "response-by-arrival",
    planted_supersession_by_arrival "supersession-by-arrival",
    planted_outcomes_doubled "outcomes-doubled",
    planted_removed_readmitted "removed-readmitted",
    planted_ghosts_admitted "ghosts-admitted",
    planted_rollback_by_arrival "rollback-by-arrival",
    planted_rollback_of_rollback_ignored "rollback-of-rollback-ignored",
    planted_need_met_by_own_offer "need-met-by-own-offer",
    planted_glob_only_downward "glob-only-downward",
    planted_overlap_won_by_later "overlap-won-by-later",
    planted_collision_won_by_later "collision-won-by-later",
    planted_poison_within_half_a_second "poison-within-half-a-second",
    planted_strategy_by_arrival "strategy-by-arrival",
    planted_lately_by_arrival "lately-by-arrival",
    planted_winner_yields "winner-yields",
    planted_closed_at_hand "closed-at-hand",
    planted_seen_by_arrival "seen-by-arrival",
    planted_rotation_by_arrival "rotation-by-arrival",
    planted_old_key_accepted "old-key-accepted",
    planted_authority_by_arrival "authority-by-arrival",
    planted_renewal_beyond_its_end "renewal-beyond-its-end",
    planted_renewal_survives_fence "renewal-survives-fence",
    planted_heads_witnessed_unheld "heads-witnessed-unheld",
    planted_root_above_its_end "root-above-its-end",
    planted_root_by_arrival "root-by-arrival",
    planted_former_root_issues "former-root-issues",
    planted_signatures_at_the_edge_alone "signatures-at-the-edge-alone",
    planted_unknown_chains_kept "unknown-chains-kept",
    planted_fences_of_ended_by_arrival "fences-of-ended-by-arrival",
    planted_invite_by_arrival "invite-by-arrival",
    planted_outdone_leaves_at_once "outdone-leaves-at-once",
    planted_invite_use_unsigned "invite-use-unsigned",
}
