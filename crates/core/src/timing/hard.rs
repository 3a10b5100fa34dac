//! What is certain: the intersection of all that probes have proven, widened as clocks may drift.

use super::limits;
use super::probe::Probe;

/// Bounds on cluster time minus local time that hold whatever the paths do: an answer cannot arrive
/// before its question was read (Marzullo and Owicki, 1983, for one source over time).
#[allow(clippy::struct_field_names, reason = "units stand last")]
#[derive(Clone, Copy, Debug)]
pub(super) struct Hard {
    least_ns: i64,
    most_ns: i64,
    at_ns: i64,
}

impl Hard {
    pub(super) fn new(probe: &Probe) -> Self {
        let at_ns = probe.received_ns();
        let trip_ns = at_ns - probe.sent_ns();
        Self {
            least_ns: probe.offset_ns_min().saturating_sub(probe.unsure_ns()),
            most_ns: (probe.offset_ns_max() + drift_ns(trip_ns)).saturating_add(probe.unsure_ns()),
            at_ns,
        }
    }

    /// The bounds at another time: least, most (ns).
    pub(super) fn at(&self, local_ns: i64) -> (i64, i64) {
        let drift_ns = drift_ns(local_ns.saturating_sub(self.at_ns).saturating_abs());
        let least_ns = self.least_ns.saturating_sub(drift_ns);
        (least_ns, self.most_ns.saturating_add(drift_ns))
    }

    /// By how much a probe lies outside (ns); zero where it does not.
    pub(super) fn outside_ns(&self, probe: &Probe) -> i64 {
        let new = Self::new(probe);
        let (least_ns, most_ns) = self.at(new.at_ns);
        let above_ns = new.least_ns.saturating_sub(most_ns);
        above_ns.max(least_ns.saturating_sub(new.most_ns)).max(0)
    }

    /// The intersection with what a probe proves, which must not lie outside.
    pub(super) fn narrow(&mut self, probe: &Probe) {
        let new = Self::new(probe);
        let (least_ns, most_ns) = self.at(new.at_ns);
        *self = Self {
            least_ns: least_ns.max(new.least_ns),
            most_ns: most_ns.min(new.most_ns),
            at_ns: new.at_ns,
        };
    }

    /// Either bound gives way.
    pub(super) fn widen(&mut self, by_ns: i64) {
        self.least_ns = self.least_ns.saturating_sub(by_ns);
        self.most_ns = self.most_ns.saturating_add(by_ns);
    }
}

/// Both clocks may run wrong by the limit, in opposite directions. Rounded up.
fn drift_ns(elapsed_ns: i64) -> i64 {
    let drift = i128::from(elapsed_ns) * i128::from(2 * limits::RATE_PPB_MAX) / 1_000_000_000;
    i64::try_from(drift).map_or(i64::MAX, |drift| drift.saturating_add(1))
}
