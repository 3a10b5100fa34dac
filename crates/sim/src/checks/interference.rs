//! I14: every interference is found exactly once, under the same name on every replica, its
//! resolution is the first by stamp, and it is decided for the side that the rule names.

use std::collections::BTreeMap;

use unisono_core::orchestra::view::InterferencesView;

use crate::oracle::{Meeting, Told};

/// Whether what a node shows is what comparing every pair finds.
pub fn check(shown: &InterferencesView, truth: &Told) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for one in &shown.interferences {
        let resolution = one.resolution.as_ref().map(|known| known.place.record);
        let winner = one.decided_for.as_ref();
        let mut sides = one.sides.iter();
        let wins = winner.and_then(|name| sides.find(|side| side.name == *name));
        let meeting = Meeting {
            kind: one.kind,
            sides: one
                .sides
                .iter()
                .map(|side| (side.place, side.agent))
                .collect(),
            resolution,
            wins: wins.map(|side| side.place.record),
        };
        if seen.insert(one.id, meeting).is_some() {
            return Err(format!("{} is found twice", one.id));
        }
    }
    for (id, said) in truth {
        match seen.get(id) {
            None => return Err(format!("{id}, {said:?} by the logs, is not found")),
            Some(shown) if shown != said => {
                return Err(format!("{id} is shown as {shown:?}, by the logs {said:?}"));
            }
            Some(_) => {}
        }
    }
    match seen.iter().find(|(id, _)| !truth.contains_key(id)) {
        Some((id, shown)) => Err(format!("{id}, {shown:?}, is found where nothing is")),
        None => Ok(()),
    }
}
