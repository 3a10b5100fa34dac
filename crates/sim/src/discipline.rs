//! What a machine's timing plane says of the time, drawn apart from everything else: in half of the
//! seeds every machine has one. It knows the cluster's time some moments after a start, to a
//! millisecond or three, and says so; one in twelve is wrong by far more than it says, as behind a
//! path whose two ways differ.

use unisono_core::timing::ahead_max_ns;

use crate::chance::Chance;
use crate::clock::EPOCH_NS;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// A machine's knowledge of the cluster's time, which here is the true one.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_field_names, reason = "units stand last")]
pub struct Discipline {
    /// How long after a start nothing is known (ns).
    settles_ns: u64,
    /// How far the told time is off (ns).
    error_ns: i64,
    /// How far it is said to be off at the most (ns).
    unsure_ns: u64,
}

/// The most that any plane here says that it may be off (ns).
const UNSURE_NS_MAX: u64 = 3 * MS;

impl Discipline {
    /// That of a machine under a seed.
    pub fn drawn(seed: u64, index: usize) -> Option<Self> {
        if !Chance::new(seed, "discipline", 0).percent(50) {
            return None;
        }
        let mut chance = Chance::new(seed, "discipline", index as u64 + 1);
        let unsure_ns = MS + chance.below(UNSURE_NS_MAX - MS);
        let most_ns = if chance.below(12) == 0 {
            400 * MS
        } else {
            unsure_ns
        };
        let error_ns = chance.below(2 * most_ns).cast_signed() - most_ns.cast_signed();
        let settles_ns = 200 * MS + chance.below(1_500 * MS);
        Some(Self {
            settles_ns,
            error_ns,
            unsure_ns,
        })
    }

    /// What time it is and how far that may be off (ns), if it is known, at a true time of a process
    /// that began at another (ns).
    pub fn read(&self, now: u64, began_at: u64) -> Option<(u64, u64)> {
        let known = now.saturating_sub(began_at) >= self.settles_ns;
        let time_ns = (EPOCH_NS + now).saturating_add_signed(self.error_ns);
        known.then_some((time_ns, self.unsure_ns))
    }

    /// How far other nodes' bundles may move the stamps of a node ahead of this time (ns).
    pub fn dragged_ns_max(&self) -> u64 {
        ahead_max_ns(Some(self.unsure_ns), Some(UNSURE_NS_MAX)) + US
    }
}
