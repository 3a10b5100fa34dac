//! Planted faults: each breaks one rule on purpose, so that the checkers can be shown to see it.
//! All off in a real node; only the simulator and the demo switch one on.

/// Which rules to break.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[allow(missing_docs, reason = "each name says what is done wrong")]
pub struct Sabotage {
    pub acknowledge_before_sync: bool,
    pub claims_by_arrival: bool,
    pub join_not_retried: bool,
    pub cursor_ignored: bool,
    pub expiry_ignored: bool,
    pub fork_accepted: bool,
    pub key_forgotten: bool,
    pub checkpoint_kept: bool,
    pub gaps_not_repaired: bool,
    pub fences_ignored: bool,
    pub token_expiry_ignored: bool,
    pub paths_by_prefix: bool,
    pub narrowing_skipped: bool,
    pub policy_after_apply: bool,
    pub interference_by_arrival: bool,
    pub glob_by_prefix: bool,
    pub resolution_last: bool,
    pub patience_ignored: bool,
    pub arrivals_doubled: bool,
    pub supersession_by_arrival: bool,
    pub outcomes_doubled: bool,
    pub ghosts_admitted: bool,
    pub removed_readmitted: bool,
}
