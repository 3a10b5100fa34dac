//! What claims are folded under: views, and the lives that these may have left out.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use unisono_model::{Digest, LogId, Stamp};

/// Something that claims are folded under.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
pub enum Ground {
    /// A view that holds.
    View(Digest),
    /// A life that a view may have left out.
    Life(LogId),
}

/// What claims were folded under: from when on each ground counts, and since when it does not.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Footing(pub(super) BTreeMap<Ground, (Stamp, Option<Stamp>)>);

impl Footing {
    /// From which stamp on two footings come to different ends, if they do.
    pub fn parts_from(&self, other: &Self) -> Option<Stamp> {
        let one_sided = |one: &Self, two: &Self| {
            let new = one
                .0
                .iter()
                .filter(|(ground, span)| two.0.get(ground) != Some(span));
            new.map(|(_, (since, until))| until.map_or(*since, |until| until.min(*since)))
                .min()
        };
        one_sided(self, other)
            .into_iter()
            .chain(one_sided(other, self))
            .min()
    }
}
