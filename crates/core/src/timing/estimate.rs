//! What a filter believes at a time.

/// An estimate of cluster time minus local time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Cluster time minus local time, ns.
    pub offset_ns: i64,
    /// By how much cluster time runs faster than the local clock, ppb.
    pub rate_ppb: f64,
    /// One sigma of the offset (ns), under a path that is as long there as back.
    pub deviation_ns: f64,
    /// One sigma of the rate, ppb.
    pub rate_deviation_ppb: f64,
    /// The shortest way there and back, ns. If all of it lay in one direction the offset would be off
    /// by half of this: nobody can tell from one path alone.
    pub floor_ns: f64,
    /// What a queue may hide that seems to stand on one of the ways, ns: what the shortest round trip takes
    /// longer than an earlier process remembers.
    pub standing_ns: u64,
    /// The offset was proven to be at least this, ns.
    pub least_ns: i64,
    /// The offset was proven to be at the most this, ns.
    pub most_ns: i64,
}

impl Estimate {
    /// The offset nearest to this one that was not proven to be wrong, ns.
    pub(super) fn inside(&self, offset_ns: i64) -> i64 {
        offset_ns.clamp(self.least_ns, self.most_ns.max(self.least_ns))
    }
}
