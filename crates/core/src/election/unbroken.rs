//! How long another leader has been heard without a gap.

use super::limits;

/// Since when, and until when, another leader's claims were heard. Of one that was cut off meanwhile
/// nothing could be measured: whoever then counted from the first time would decide on the spot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unbroken {
    since_ns: u64,
    last_ns: u64,
}

impl Unbroken {
    /// Counts a claim that is heard now; says for how long they have come without a gap, ns.
    pub(super) fn hear(heard: &mut Option<Self>, now_ns: u64) -> u64 {
        let fresh = |one: &Self| now_ns.saturating_sub(one.last_ns) <= limits::FOLLOWER_NS;
        let since_ns = heard.filter(fresh).map_or(now_ns, |one| one.since_ns);
        *heard = Some(Self {
            since_ns,
            last_ns: now_ns,
        });
        now_ns.saturating_sub(since_ns)
    }
}
