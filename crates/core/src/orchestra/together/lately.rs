//! The latest of what somebody has told, by place: read as of a stamp, and all that is kept of it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::{Place, Stamp};

/// The latest words as of a stamp, so many at most, the oldest first.
pub(super) fn latest<T: Copy>(
    told: &BTreeMap<Place, T>,
    at: Stamp,
    most: usize,
) -> Vec<(Place, T)> {
    let latest = told.range(..=Place::end_of(at)).rev().take(most);
    let mut latest: Vec<(Place, T)> = latest.map(|(place, word)| (*place, *word)).collect();
    latest.reverse();
    latest
}

/// Keeps so many at the frontier, and what came after it: below it nothing new can appear.
pub(super) fn prune<T>(told: &mut BTreeMap<Place, T>, frontier: Stamp, most: usize) {
    let at_frontier = told.range(..=Place::end_of(frontier));
    let first = at_frontier.rev().nth(most - 1).map(|(place, _)| *place);
    if let Some(place) = first {
        *told = told.split_off(&place);
    }
}
