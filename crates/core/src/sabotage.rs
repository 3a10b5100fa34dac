//! Planted faults: each breaks one rule on purpose, so that the checkers can be shown to see it.
//! All off in a real node; only the simulator and the demo switch one on.

macro_rules! switches {
    ($($name:ident,)*) => {
        /// Which rules to break.
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        #[allow(missing_docs, reason = "each name says what is done wrong")]
        pub struct Sabotage {
            $(pub $name: bool,)*
            /// What the node's clock shows (ms), for the one fault that judges by it: no rule that is
            /// kept knows of it.
            pub local_ms: u64,
        }

        impl Sabotage {
            /// Every rule holds.
            pub const NONE: Self = Self { $($name: false,)* local_ms: 0 };

            /// What breaks the rules of both.
            #[must_use]
            pub fn and(self, other: Self) -> Self {
                Self {
                    $($name: self.$name | other.$name,)*
                    local_ms: self.local_ms.max(other.local_ms),
                }
            }
        }
    };
}

switches! {
    acknowledge_before_sync,
    claims_by_arrival,
    join_not_retried,
    cursor_ignored,
    expiry_ignored,
    fork_accepted,
    key_forgotten,
    checkpoint_kept,
    gaps_not_repaired,
    fences_ignored,
    fences_at_the_edge_alone,
    signatures_at_the_edge_alone,
    unknown_chains_kept,
    fences_of_ended_by_arrival,
    rotation_by_arrival,
    authority_by_arrival,
    old_key_accepted,
    root_above_its_end,
    root_by_arrival,
    former_root_issues,
    token_expiry_ignored,
    token_expiry_by_local_clock,
    paths_by_prefix,
    narrowing_skipped,
    renewal_beyond_its_end,
    renewal_survives_fence,
    policy_after_apply,
    interference_by_arrival,
    glob_by_prefix,
    resolution_last,
    patience_ignored,
    arrivals_doubled,
    response_by_arrival,
    supersession_by_arrival,
    outcomes_doubled,
    rollback_by_arrival,
    rollback_of_rollback_ignored,
    need_met_by_own_offer,
    glob_only_downward,
    overlap_won_by_later,
    collision_won_by_later,
    strategy_by_arrival,
    lately_by_arrival,
    winner_yields,
    closed_at_hand,
    seen_by_arrival,
    ghosts_admitted,
    removed_readmitted,
    poison_within_half_a_second,
    heads_witnessed_unheld,
    invite_by_arrival,
    outdone_leaves_at_once,
    invite_use_unsigned,
}

impl Sabotage {
    /// The same, at a time of the node's clock (ms).
    #[must_use]
    pub fn at(mut self, local_ms: u64) -> Self {
        if self.token_expiry_by_local_clock {
            self.local_ms = local_ms;
        }
        self
    }
}
