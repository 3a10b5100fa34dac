//! What happened at least once: a campaign in which one of these never happened has tested less
//! than it says.

use std::collections::BTreeMap;

/// How often each thing happened in a run.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters(BTreeMap<&'static str, u64>);

/// What must happen at least once in a campaign of ordinary seeds.
pub const SOMETIMES: &[&str] = &[
    "acknowledged",
    "acknowledged by the outdone",
    "acknowledged in a partition",
    "advances by the logs",
    "answer final",
    "answers to joiners lost",
    "authority changed by the root",
    "back-dated bundle refused",
    "bundle in another's name sent",
    "calls unanswered",
    "claim confirmed",
    "claim contested",
    "claim provisional in a partition",
    "clock stepped",
    "collisions decided by a claim",
    "collisions found",
    "colluded",
    "colluded and void",
    "crash",
    "crash in a write",
    "decisions by the logs",
    "disk full refused",
    "executives ended each other",
    "failover repeat",
    "false invites held by the logs",
    "false invites sent",
    "false uses sent",
    "fences by the logs",
    "fences void by the logs",
    "flood sent",
    "forged held by the logs",
    "forged sent",
    "fork found",
    "frames kept for a connection",
    "frames lost",
    "future stamp written",
    "gap repaired",
    "ghost sent",
    "invite uses by the logs",
    "invites by the logs",
    "invites that let in two",
    "joined by an invite",
    "joiners asked again",
    "joiners turned away",
    "late record below a checkpoint",
    "left and came back",
    "left for good",
    "line acknowledged",
    "member removed",
    "member returned",
    "needs unanswered",
    "node restarted itself",
    "outdone came back",
    "outdone left",
    "outdone lost power while it left",
    "overlaps found",
    "partition",
    "pause",
    "refold",
    "removed by the root",
    "renewals by the logs",
    "repeat answered by key",
    "replayed",
    "resolutions by the logs",
    "restart with damage",
    "restart with torn tail",
    "rollback to an old image",
    "rollbacks by the logs",
    "roots named",
    "seen by the logs",
    "signals across by the logs",
    "slow peer refused",
    "sync failed",
    "task conflict shown",
    "task cycle shown",
    "tokens void by the logs",
    "void by a fence",
    "void by a rotation",
    "withheld",
    "words judged",
];

impl Counters {
    /// Once more.
    pub fn add(&mut self, what: &'static str) {
        self.add_many(what, 1);
    }

    /// So often more.
    pub fn add_many(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    /// How often.
    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Takes another run's counts over.
    pub fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add_many(what, *times);
        }
    }

    /// All of them, those of [`SOMETIMES`] also where they are zero.
    pub fn all(&self) -> BTreeMap<&'static str, u64> {
        let mut all: BTreeMap<&'static str, u64> =
            SOMETIMES.iter().map(|what| (*what, 0)).collect();
        all.extend(&self.0);
        all
    }

    /// Those of [`SOMETIMES`] that never happened.
    pub fn never(&self) -> Vec<&'static str> {
        SOMETIMES
            .iter()
            .copied()
            .filter(|what| self.of(what) == 0)
            .collect()
    }
}
