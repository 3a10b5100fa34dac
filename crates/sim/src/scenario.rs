//! What a run is made of, as data: sizes, times, how likely each class of faults is, and which rule
//! is broken on purpose.

use serde::{Deserialize, Serialize};
use unisono_core::sabotage::Sabotage;

use crate::plan::Fault;

/// A kind of run. A scenario and a seed make one run.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// How many nodes.
    pub nodes: usize,
    /// In how many regions at most.
    pub regions: usize,
    /// How many agents.
    pub agents: usize,
    /// How long everything may go wrong (virtual s).
    pub safety_s: u64,
    /// How many actions must be acknowledged meanwhile, beside one crash and, where there are
    /// several nodes, one partition. Faults go on for up to as long again until there were; a run
    /// that stays smaller fails. 0: as many as come.
    pub actions_min: u64,
    /// How long the cluster may take to agree after the last fault has healed (virtual s).
    pub liveness_s: u64,
    /// How long an agent waits on average between its answers and its next action (virtual ms).
    pub think_ms: u64,
    /// Every how many seconds replicas are compared while faults go on (virtual s).
    pub checkpoint_s: u64,
    /// The longest lease (ms): short, so that removals can take effect within a run.
    pub lease_ms_max: u64,
    /// How likely each class of faults is.
    pub faults: Mix,
    /// Exactly these timed faults (ns) instead of those drawn from the seed: what is left of a
    /// failing seed's list when it is shortened.
    pub only: Option<Vec<(u64, Fault)>>,
    /// The rule that is broken on purpose, by name; see [`Planted::ALL`].
    pub sabotage: Option<String>,
}

/// The probability, in percent, that a class of faults is on in a seed. How often its faults then
/// happen is drawn from the seed, too.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mix {
    /// Lossy, duplicating, reordering links.
    pub loss: u64,
    /// Rare delays of seconds.
    pub long_delays: u64,
    /// Partitions beyond the one that every seed has.
    pub partitions: u64,
    /// Links that come and go.
    pub flapping: u64,
    /// Crashes beyond the one that every seed has.
    pub crashes: u64,
    /// Machines that stand still for a while.
    pub pauses: u64,
    /// Syncs that fail.
    pub sync_failures: u64,
    /// Disks that are full for a while.
    pub full_disks: u64,
    /// Disks that come back with an old image.
    pub rollbacks: u64,
    /// Bits that change on a disk.
    pub bit_flips: u64,
    /// Slow disks.
    pub slow_disks: u64,
    /// Clocks that drift.
    pub drift: u64,
    /// Clocks that are set forwards or backwards.
    pub steps: u64,
    /// A clock that is set by an hour or more, for a while.
    pub hour_steps: u64,
    /// One clock that is an hour off.
    pub hour_off: u64,
    /// Agents that lie.
    pub dishonest: u64,
    /// Agents that act under tokens, in an orchestra that is guarded at some time.
    pub rights: u64,
    /// One node that lies.
    pub byzantine: u64,
    /// One node that lies, where agents act under tokens and none does already.
    pub byzantine_under_rights: u64,
    /// Where a node lies: whether it forges, keeps back, says again and colludes as well.
    pub deceits: u64,
    /// Where agents act under tokens: a second executive, and the two end each other.
    pub second_executives: u64,
    /// Where agents act under tokens: some name none until they are told of the guard.
    pub bare: u64,
    /// Members that are silent for long are voted out.
    pub removal: u64,
    /// A machine that is cut off when it knocks for the first time, for longer than the transport
    /// keeps what nobody answers: that knock is lost, and it is the only way in.
    pub cut_newcomers: u64,
    /// A member that leaves of its own accord, for a while or for good.
    pub leaves: u64,
    /// Machines that join late, by invites: now and then two by one, on two sides of a cut.
    pub invites: u64,
    /// Seeds with exactly one partition and one crash, and nothing else of these.
    pub calm: u64,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            name: "ordinary".into(),
            nodes: 5,
            regions: 3,
            agents: 8,
            safety_s: 600,
            actions_min: 300,
            liveness_s: 180,
            think_ms: 5_000,
            checkpoint_s: 10,
            lease_ms_max: 20_000,
            faults: Mix::default(),
            only: None,
            sabotage: None,
        }
    }
}

impl Default for Mix {
    fn default() -> Self {
        Self {
            loss: 50,
            long_delays: 50,
            partitions: 50,
            flapping: 50,
            crashes: 50,
            pauses: 50,
            sync_failures: 25,
            full_disks: 25,
            rollbacks: 25,
            bit_flips: 25,
            slow_disks: 25,
            drift: 50,
            steps: 30,
            hour_steps: 10,
            hour_off: 10,
            dishonest: 50,
            rights: 40,
            byzantine: 10,
            byzantine_under_rights: 25,
            deceits: 100,
            second_executives: 50,
            bare: 33,
            removal: 30,
            cut_newcomers: 10,
            leaves: 25,
            invites: 25,
            calm: 0,
        }
    }
}

impl Mix {
    /// No faults at all beyond clocks that are a little off.
    pub fn none() -> Self {
        Self {
            loss: 0,
            long_delays: 0,
            partitions: 0,
            flapping: 0,
            crashes: 0,
            pauses: 0,
            sync_failures: 0,
            full_disks: 0,
            rollbacks: 0,
            bit_flips: 0,
            slow_disks: 0,
            drift: 0,
            steps: 0,
            hour_steps: 0,
            hour_off: 0,
            dishonest: 0,
            rights: 0,
            byzantine: 0,
            byzantine_under_rights: 0,
            deceits: 0,
            second_executives: 0,
            bare: 0,
            removal: 0,
            cut_newcomers: 0,
            leaves: 0,
            invites: 0,
            calm: 0,
        }
    }
}

/// A fault that is planted into the node or into the world, and the invariants by which it may be
/// found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Planted {
    /// Its name.
    pub name: &'static str,
    /// The invariants that it breaks.
    pub breaks: &'static [&'static str],
}

impl Planted {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "acknowledge-before-fsync",
            breaks: &["I2"],
        },
        Self {
            name: "log-continued-after-crash",
            breaks: &["I3", "I2", "I5"],
        },
        Self {
            name: "claim-order-by-arrival",
            breaks: &["I8", "I1"],
        },
        Self {
            name: "join-not-retried",
            breaks: &["I12"],
        },
        Self {
            name: "cursor-ignored",
            breaks: &["session"],
        },
        Self {
            name: "expiry-ignored",
            breaks: &["I1"],
        },
        Self {
            name: "fork-accepted",
            breaks: &["I3", "I1"],
        },
        Self {
            name: "key-forgotten",
            breaks: &["I1"],
        },
        Self {
            name: "checkpoint-kept",
            breaks: &["I1", "I8"],
        },
        Self {
            name: "gaps-not-repaired",
            breaks: &["I1", "I2"],
        },
        Self {
            name: "fences-ignored",
            breaks: &["I7"],
        },
        Self {
            name: "fences-at-the-edge-alone",
            breaks: &["I7"],
        },
        Self {
            name: "token-expiry-ignored",
            breaks: &["I7"],
        },
        Self {
            name: "token-expiry-by-local-clock",
            breaks: &["I7"],
        },
        Self {
            name: "plain-verify",
            breaks: &["I1"],
        },
        Self {
            name: "paths-by-prefix",
            breaks: &["I7"],
        },
        Self {
            name: "narrowing-skipped",
            breaks: &["I7"],
        },
        Self {
            name: "policy-after-apply",
            breaks: &["I1"],
        },
        Self {
            name: "interference-by-arrival",
            breaks: &["I14", "I1"],
        },
        Self {
            name: "glob-by-prefix",
            breaks: &["I14"],
        },
        Self {
            name: "resolution-last",
            breaks: &["I14"],
        },
        Self {
            name: "patience-ignored",
            breaks: &["I1"],
        },
        Self {
            name: "arrivals-doubled",
            breaks: &["I1"],
        },
        Self {
            name: "response-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "supersession-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "outcomes-doubled",
            breaks: &["I1"],
        },
        Self {
            name: "removed-readmitted",
            breaks: &["I1", "I2", "I9"],
        },
        Self {
            name: "ghosts-admitted",
            breaks: &["I1", "I2", "I9"],
        },
        Self {
            name: "rollback-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "rollback-of-rollback-ignored",
            breaks: &["I1"],
        },
        Self {
            name: "need-met-by-own-offer",
            breaks: &["I14"],
        },
        Self {
            name: "glob-only-downward",
            breaks: &["I14"],
        },
        Self {
            name: "overlap-won-by-later",
            breaks: &["I14"],
        },
        Self {
            name: "collision-won-by-later",
            breaks: &["I14"],
        },
        Self {
            name: "poison-within-half-a-second",
            breaks: &["I5"],
        },
        Self {
            name: "strategy-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "lately-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "winner-yields",
            breaks: &["I1"],
        },
        Self {
            name: "closed-at-hand",
            breaks: &["I1"],
        },
        Self {
            name: "seen-by-arrival",
            breaks: &["I1"],
        },
        Self {
            name: "rotation-by-arrival",
            breaks: &["I1", "I7"],
        },
        Self {
            name: "old-key-accepted",
            breaks: &["I7"],
        },
        Self {
            name: "authority-by-arrival",
            breaks: &["I7"],
        },
        Self {
            name: "renewal-beyond-its-end",
            breaks: &["I7"],
        },
        Self {
            name: "renewal-survives-fence",
            breaks: &["I7"],
        },
        Self {
            name: "heads-witnessed-unheld",
            breaks: &["I3"],
        },
        Self {
            name: "root-above-its-end",
            breaks: &["I7"],
        },
        Self {
            name: "root-by-arrival",
            breaks: &["I1", "I7"],
        },
        Self {
            name: "former-root-issues",
            breaks: &["I7"],
        },
        Self {
            name: "signatures-at-the-edge-alone",
            breaks: &["I3"],
        },
        Self {
            name: "unknown-chains-kept",
            breaks: &["I7"],
        },
        Self {
            name: "fences-of-ended-by-arrival",
            breaks: &["I7", "I1"],
        },
        Self {
            name: "invite-by-arrival",
            breaks: &["I9"],
        },
        Self {
            name: "outdone-leaves-at-once",
            breaks: &["I2", "I9"],
        },
        Self {
            name: "invite-use-unsigned",
            breaks: &["I9"],
        },
    ];

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|planted| planted.name == name)
    }
}

impl Scenario {
    /// The switches inside the node that the sabotage turns.
    pub fn switches(&self) -> Sabotage {
        let name = self.sabotage.as_deref().unwrap_or_default();
        Sabotage {
            acknowledge_before_sync: name == "acknowledge-before-fsync",
            claims_by_arrival: name == "claim-order-by-arrival",
            join_not_retried: name == "join-not-retried",
            cursor_ignored: name == "cursor-ignored",
            expiry_ignored: name == "expiry-ignored",
            fork_accepted: name == "fork-accepted",
            key_forgotten: name == "key-forgotten",
            checkpoint_kept: name == "checkpoint-kept",
            gaps_not_repaired: name == "gaps-not-repaired",
            fences_ignored: name == "fences-ignored",
            fences_at_the_edge_alone: name == "fences-at-the-edge-alone",
            token_expiry_ignored: name == "token-expiry-ignored",
            token_expiry_by_local_clock: name == "token-expiry-by-local-clock",
            paths_by_prefix: name == "paths-by-prefix",
            narrowing_skipped: name == "narrowing-skipped",
            policy_after_apply: name == "policy-after-apply",
            interference_by_arrival: name == "interference-by-arrival",
            glob_by_prefix: name == "glob-by-prefix",
            resolution_last: name == "resolution-last",
            patience_ignored: name == "patience-ignored",
            arrivals_doubled: name == "arrivals-doubled",
            response_by_arrival: name == "response-by-arrival",
            supersession_by_arrival: name == "supersession-by-arrival",
            outcomes_doubled: name == "outcomes-doubled",
            ghosts_admitted: name == "ghosts-admitted",
            removed_readmitted: name == "removed-readmitted",
            rollback_by_arrival: name == "rollback-by-arrival",
            rollback_of_rollback_ignored: name == "rollback-of-rollback-ignored",
            need_met_by_own_offer: name == "need-met-by-own-offer",
            glob_only_downward: name == "glob-only-downward",
            overlap_won_by_later: name == "overlap-won-by-later",
            collision_won_by_later: name == "collision-won-by-later",
            poison_within_half_a_second: name == "poison-within-half-a-second",
            strategy_by_arrival: name == "strategy-by-arrival",
            lately_by_arrival: name == "lately-by-arrival",
            winner_yields: name == "winner-yields",
            closed_at_hand: name == "closed-at-hand",
            seen_by_arrival: name == "seen-by-arrival",
            rotation_by_arrival: name == "rotation-by-arrival",
            authority_by_arrival: name == "authority-by-arrival",
            old_key_accepted: name == "old-key-accepted",
            renewal_beyond_its_end: name == "renewal-beyond-its-end",
            root_above_its_end: name == "root-above-its-end",
            root_by_arrival: name == "root-by-arrival",
            former_root_issues: name == "former-root-issues",
            signatures_at_the_edge_alone: name == "signatures-at-the-edge-alone",
            unknown_chains_kept: name == "unknown-chains-kept",
            fences_of_ended_by_arrival: name == "fences-of-ended-by-arrival",
            renewal_survives_fence: name == "renewal-survives-fence",
            heads_witnessed_unheld: name == "heads-witnessed-unheld",
            invite_by_arrival: name == "invite-by-arrival",
            outdone_leaves_at_once: name == "outdone-leaves-at-once",
            invite_use_unsigned: name == "invite-use-unsigned",
            local_ms: 0,
        }
    }

    /// Whether signatures are checked by `verify`, not by `verify_strict`: a fault of the driver's,
    /// not of the node's.
    pub fn verifies_plainly(&self) -> bool {
        self.sabotage.as_deref() == Some("plain-verify")
    }

    /// Whether a restart goes on with the log of the life before: a fault of the driver's, not of the
    /// node's.
    pub fn continues_logs(&self) -> bool {
        self.sabotage.as_deref() == Some("log-continued-after-crash")
    }
}
