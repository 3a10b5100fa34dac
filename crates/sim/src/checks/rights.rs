//! I7: no view derives from an action that its token did not allow, and none leaves out one that it
//! did.

use std::collections::BTreeSet;

use unisono_core::orchestra::trust::VOIDED_KEPT_MAX;
use unisono_core::orchestra::view::TrustView;
use unisono_model::{Place, Stamp};

/// Whether the records that a node calls void are those that their tokens did not allow.
pub fn check(shown: &TrustView, void: &BTreeSet<Place>, at: Stamp) -> Result<(), String> {
    let shown: BTreeSet<Place> = shown.voided.iter().map(|one| one.place).collect();
    let wanted: BTreeSet<Place> = void.range(..=Place::end_of(at)).copied().collect();
    if let Some(place) = wanted.difference(&shown).next()
        && shown.len() < VOIDED_KEPT_MAX
    {
        return Err(format!("{place:?} counts, and its token did not allow it"));
    }
    match shown.difference(&wanted).next() {
        Some(place) => Err(format!("{place:?} is void, and its token allowed it")),
        None => Ok(()),
    }
}
