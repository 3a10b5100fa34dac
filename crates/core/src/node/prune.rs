//! What memory is for: how much of the settled past stays readable without the logs.
//!
//! ```text
//!   settled ───────────► frontier ──────► now
//!   [ base ][ readable: 2 minutes, 32,768 records here, 65,536 on the whole node ]
//! ```
//!
//! Views are pruned up to the stability frontier at the most: below it nothing can come any more
//! that would change them. What is pruned is read from the logs.

use alloc::vec::Vec;

use unisono_model::{OrchestraId, Stamp};

use super::{Node, limits};
use crate::context::Context;

impl Node {
    /// Up to where the views of an orchestra may be pruned: what everybody is past, and what is
    /// read from the logs because it is old or because too much has come since.
    fn prunable(&self, context: &Context<'_>, orchestra: OrchestraId) -> Stamp {
        let past = self.past(context, orchestra);
        self.horizon(orchestra).frontier().min(past)
    }

    /// Up to where nobody needs to look at the past, settled or not.
    fn past(&self, context: &Context<'_>, orchestra: OrchestraId) -> Stamp {
        let now = self.now(context);
        let old = Stamp::from_ms(now.as_ms().saturating_sub(self.config.readable_ms));
        let space = self.spaces.get(&orchestra);
        old.max(space.map_or(Stamp::MIN, |space| space.folds.crowded_from()))
    }

    /// Prunes the views of orchestras in which nothing happens any more, where no checkpoint will,
    /// and of more where all orchestras together keep too much.
    pub(super) fn prune_quiet(&mut self, context: &Context<'_>) {
        let changed = self.spaces.values().filter(|space| {
            // Cheap first: the horizon is asked for only where anything is left to prune.
            !space.refolding && space.folds.is_all_below(self.past(context, space.id))
        });
        let changed: Vec<OrchestraId> = changed.map(|space| space.id).collect();
        for orchestra in changed {
            let frontier = self.prunable(context, orchestra);
            let space = self.spaces.get(&orchestra);
            if space.is_some_and(|space| space.folds.is_all_below(frontier)) {
                self.prune(context, orchestra);
            }
        }
        for orchestra in self.crowding() {
            let frontier = self.horizon(orchestra).frontier();
            self.prune_to(orchestra, frontier);
        }
    }

    /// The orchestras whose readable past has to go because that of all together is too much.
    fn crowding(&self) -> Vec<OrchestraId> {
        let spaces = self.spaces.values();
        let steady = spaces.filter(|space| !space.refolding);
        let readable = steady.map(|space| {
            let (quiet_since, records) = space.folds.readable();
            (quiet_since, records, space.id)
        });
        longest_quiet(readable.collect())
    }

    /// Prunes what is settled and too far back.
    pub(super) fn prune(&mut self, context: &Context<'_>, orchestra: OrchestraId) {
        let frontier = self.prunable(context, orchestra);
        self.prune_to(orchestra, frontier);
    }

    fn prune_to(&mut self, orchestra: OrchestraId, frontier: Stamp) {
        self.stand_on_members();
        // The rules borrow the cluster's folds; the folds that are pruned are taken out meanwhile.
        let Some(space) = self.spaces.get_mut(&orchestra) else {
            return;
        };
        let mut folds = core::mem::take(&mut space.folds);
        if orchestra == self.cluster {
            let members = core::mem::take(&mut folds.members);
            let rules = crate::orchestra::claims::Rules {
                standing: &members,
                lease_ms_max: self.config.lease_ms_max,
                expiry_ignored: false,
            };
            folds.prune(frontier, &rules);
            folds.members = members;
        } else if let Some(rules) = self.claim_rules() {
            folds.prune(frontier, &rules);
        }
        if let Some(space) = self.spaces.get_mut(&orchestra) {
            space.folds = folds;
        }
    }
}

/// Of orchestras with the stamp of their last record and the number that is readable: those that
/// are pruned so that what is left has room, longest quiet first.
fn longest_quiet(mut orchestras: Vec<(Stamp, u64, OrchestraId)>) -> Vec<OrchestraId> {
    let mut readable: u64 = orchestras.iter().map(|(_, records, _)| records).sum();
    if readable <= limits::READABLE_RECORDS_ALL_MAX {
        return Vec::new();
    }
    orchestras.retain(|(_, records, _)| *records > 0);
    orchestras.sort_unstable();
    let mut chosen = Vec::new();
    for (_, records, orchestra) in orchestras {
        // Some room is made, so that the next record does not ask for it again.
        if readable <= limits::READABLE_RECORDS_ALL_MAX / 4 * 3 {
            break;
        }
        readable -= records;
        chosen.push(orchestra);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: u64 = limits::READABLE_RECORDS_ALL_MAX;

    fn orchestra(n: u8) -> OrchestraId {
        OrchestraId([n; 16])
    }

    /// A hundred orchestras that had been worked on within two minutes kept 209,000 records
    /// readable, 1 KB each: every one was within its own bound, and nothing bounded them all.
    #[test]
    fn what_has_been_quiet_longest_goes_until_there_is_room() {
        let eighth = MOST / 8;
        let nine = (0..9).map(|n| (Stamp(100 - u64::from(n)), eighth, orchestra(n)));
        let chosen = longest_quiet(nine.collect());
        // Nine eighths are too many by three where six are to be left.
        assert_eq!(chosen, [orchestra(8), orchestra(7), orchestra(6)]);
    }

    #[test]
    fn nothing_goes_while_all_have_room_and_the_empty_never() {
        let full = Vec::from([(Stamp(1), MOST, orchestra(1)), (Stamp(0), 0, orchestra(2))]);
        assert!(longest_quiet(full).is_empty());
        let more = Vec::from([
            (Stamp(1), MOST + 1, orchestra(1)),
            (Stamp(0), 0, orchestra(2)),
        ]);
        assert_eq!(longest_quiet(more), [orchestra(1)]);
    }
}
