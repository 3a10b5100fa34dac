//! What leaders have measured of one another, put together: a way that is longer there than back shows
//! in the difference of two clocks, and the other leaders' ways around it tell which one it is.
//!
//! Every clock is taken as its own way to the cluster's leader shows it (its direct time), which no
//! correction moves: otherwise corrections would feed on one another.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use unisono_model::NodeId;

use super::{Differences, Fault, Frame, Measured, Outgoing, Timekeeper, limits};
use crate::election::{Epoch, Role};
use crate::timing::{Difference, Estimate, Interval, Shift, intersect, reconcile};

/// What was told and found.
#[derive(Clone, Debug, Default)]
pub(super) struct Mesh {
    told: BTreeMap<NodeId, (Differences, u64)>,
    /// What is added to this node's direct time, ns, and one sigma of that.
    pub(super) correction_ns: i64,
    pub(super) deviation_ns: f64,
    /// It was found by a majority, and not by a fit of all ways.
    pub(super) voted: bool,
    /// By how much the likely interval reaches further, to each side, to hold what others say, ns.
    pub(super) apart_ns: u64,
    solves_at_ns: u64,
    tells_at_ns: u64,
}

impl Mesh {
    /// Takes what another leader has measured.
    pub(super) fn hear(&mut self, from: NodeId, told: Differences, now_ns: u64) {
        self.told
            .retain(|_, (_, heard_ns)| now_ns.saturating_sub(*heard_ns) <= limits::MESH_FRESH_NS);
        if self.told.len() < limits::SOURCES_MAX || self.told.contains_key(&from) {
            self.told.insert(from, (told, now_ns));
        }
    }

    /// Another leader is followed: nothing is known of the way to it yet.
    pub(super) fn forget(&mut self) {
        self.correction_ns = 0;
        self.deviation_ns = 0.0;
        self.voted = false;
        self.apart_ns = 0;
    }

    /// Where a correction that a fit of all ways has found goes to (ns). Ways are as they are: near what is
    /// wanted, what still moves is how they were measured, and a mean is nearer. What is not wanted any more
    /// goes altogether.
    fn meant_ns(&self, wanted_ns: i64) -> i64 {
        let left_ns = wanted_ns.saturating_sub(self.correction_ns);
        let near = left_ns.unsigned_abs() < limits::MESH_NEAR_NS;
        if wanted_ns == 0 || self.correction_ns == 0 || !near {
            return wanted_ns;
        }
        self.correction_ns + left_ns / limits::MESH_SHARE
    }

    /// Lets the correction go towards what is wanted (ns), by one step.
    pub(super) fn approach(&mut self, wanted_ns: i64) {
        let most_ns = limits::CORRECTION_NS_MAX;
        let step_ns = wanted_ns.clamp(-most_ns, most_ns) - self.correction_ns;
        self.correction_ns += step_ns.clamp(-limits::MESH_STEP_NS, limits::MESH_STEP_NS);
        self.voted &= self.correction_ns != 0;
    }
}

/// A leader as a place in the fit.
struct Place {
    node: NodeId,
    /// Its direct time minus this node's, ns, and one sigma of that; nothing for this node itself.
    from_here: Option<(i64, f64)>,
    /// One sigma of what it knows of the leader by its own way, ns.
    own_ns: f64,
    /// Where the cluster's time is by what this node has measured of it.
    interval: Interval,
}

impl Timekeeper {
    /// Half of what the way back from a node takes longer than the way there, ns, where that is known.
    pub(super) fn path_to(&self, node: &NodeId) -> i64 {
        let region = self.peers.get(node).map(|known| known.peer.region);
        let by_ns = region.and_then(|region| self.asymmetries.get(&region));
        by_ns.map_or(0, |by_ns| -by_ns / 2)
    }

    /// What is to be added to what is measured of whom this node follows.
    pub(super) fn shift_to(&self, node: NodeId) -> Shift {
        let told = self.sources.get(&node);
        let told_ns = told.map_or(0, |source| source.correction_ns);
        // Only whoever follows the cluster's leader itself has measured it by a way of its own.
        let own = self.role() == Role::RegionLeader;
        Shift {
            correction_ns: told_ns.saturating_add(self.own_correction_ns()),
            deviation_ns: if own { self.mesh.deviation_ns } else { 0.0 },
            apart_ns: self.mesh.apart_ns,
            ..self.way_to(&node)
        }
    }

    /// What somebody has stated of the way to a node.
    pub(super) fn way_to(&self, node: &NodeId) -> Shift {
        let region = self.peers.get(node).map(|known| known.peer.region);
        Shift {
            path_ns: self.path_to(node),
            bound_ns: region.and_then(|region| self.bounds.get(&region).copied()),
            ..Shift::default()
        }
    }

    /// Tells the others who stand for the cluster what it has measured of them.
    pub(super) fn tell_differences(&mut self, now_ns: u64, out: &mut Vec<Outgoing>) {
        if now_ns < self.mesh.tells_at_ns || self.role() != Role::RegionLeader {
            return;
        }
        self.mesh.tells_at_ns = now_ns.saturating_add(limits::MESH_TELL_NS);
        let (Some(line), Some(leader)) = (self.told_line, self.followed) else {
            return;
        };
        let places = self.places(now_ns, leader, line);
        // Whoever leads and whoever asks are there as well.
        if places.len() + 1 < limits::MESH_LEADERS_MIN {
            return;
        }
        let others = places.iter().filter_map(|place| {
            let (by_ns, deviation_ns) = place.from_here?;
            Some(Measured {
                node: place.node,
                by_ns,
                deviation_ns: super::whole(deviation_ns),
            })
        });
        let measured: Vec<Measured> = others.take(limits::OTHERS_MAX).collect();
        let to: Vec<NodeId> = measured.iter().map(|one| one.node).collect();
        let bytes = Frame::Differences(Differences { line, measured }).encode();
        for to in to.into_iter().filter(|to| self.peers.contains_key(to)) {
            let bytes = bytes.clone();
            out.push(Outgoing { to, bytes });
        }
    }

    /// Puts together what is known of all ways, and corrects what this node's own says.
    pub(super) fn put_together(&mut self, now_ns: u64) {
        if now_ns < self.mesh.solves_at_ns {
            return;
        }
        self.mesh.solves_at_ns = now_ns.saturating_add(limits::MESH_SOLVE_NS);
        if !self.fit(now_ns) {
            self.hold_against_others(now_ns);
        }
    }

    /// Fits all ways, and corrects what this node's own says; not with too few leaders.
    fn fit(&mut self, now_ns: u64) -> bool {
        let follows = self.role() == Role::RegionLeader && !self.clock.is_leading();
        let followed = self.followed.filter(|_| follows && self.clock.is_settled());
        let (Some(leader), Some(line)) = (followed, self.told_line) else {
            return false;
        };
        let Some((off_ns, deviation_ns)) = self.off(now_ns, leader, line) else {
            // What was found stays: the ways are as they were, even if fewer leaders say so.
            return false;
        };
        if self.config.fault == Some(Fault::MeshIgnored) {
            return true;
        }
        let (begins_ns, ends_ns) = limits::MESH_OFF_NS;
        let corrects = self.mesh.correction_ns != 0;
        let from_ns = if corrects { ends_ns } else { begins_ns };
        let is_off = off_ns.unsigned_abs() > from_ns;
        let wanted_ns = if is_off { off_ns.saturating_neg() } else { 0 };
        self.mesh.approach(self.mesh.meant_ns(wanted_ns));
        self.mesh.voted = false;
        self.mesh.apart_ns = 0;
        let corrects = self.mesh.correction_ns != 0;
        let left_ns = wanted_ns.saturating_sub(self.mesh.correction_ns) as f64;
        let unsure_ns = libm::hypot(deviation_ns, left_ns);
        self.mesh.deviation_ns = if corrects { unsure_ns } else { 0.0 };
        let shift = self.shift_to(leader);
        self.clock.set_shift(shift);
        true
    }

    /// By how much this node's direct time is off the cluster's, by all ways together, and one sigma of
    /// that; nothing from too few leaders.
    fn off(&self, now_ns: u64, leader: NodeId, line: Epoch) -> Option<(i64, f64)> {
        let places = self.places(now_ns, leader, line);
        // Whoever lies beyond what its way allows is left out; most decide who that is.
        let intervals: Vec<Interval> = places.iter().map(|place| place.interval).collect();
        let agreed = intersect(&intervals)?;
        let sound = |at: &usize| agreed.agreeing.contains(at);
        let places: Vec<&Place> = (0..places.len())
            .filter(sound)
            .map(|at| &places[at])
            .collect();
        let me = self.config.node;
        let here = places.iter().position(|place| place.node == me)? + 1;
        // The cluster's leader is the first.
        if places.len() + 1 < limits::MESH_LEADERS_MIN {
            return None;
        }
        let mut links = Vec::new();
        let mut certainty = 0.0;
        for (at, place) in places.iter().enumerate() {
            links.push(link(0, at + 1, 0, place.own_ns));
            if let Some((by_ns, deviation_ns)) = place.from_here {
                links.push(link(here, at + 1, by_ns, deviation_ns));
            }
            let from_here = place.from_here.map_or(0.0, |(_, sigma_ns)| sigma_ns);
            let (way, own) = (bounded(from_here), bounded(place.own_ns));
            certainty += 1.0 / (way * way + own * own).max(1.0);
        }
        links.extend(self.links_of_others(&places, now_ns, line));
        let offsets = reconcile(places.len() + 1, &links).ok()?;
        Some((offsets[here], libm::sqrt(1.0 / certainty)))
    }

    /// What others told of the ways between them; of two who tell of one way the first.
    fn links_of_others(&self, places: &[&Place], now_ns: u64, line: Epoch) -> Vec<Difference> {
        let mut links: Vec<Difference> = Vec::new();
        for (from, place) in places.iter().enumerate() {
            let Some((told, heard_ns)) = self.mesh.told.get(&place.node) else {
                continue;
            };
            let fresh = now_ns.saturating_sub(*heard_ns) <= limits::MESH_FRESH_NS;
            if !fresh || told.line != line || place.node == self.config.node {
                continue;
            }
            for one in &told.measured {
                let to = places.iter().position(|place| place.node == one.node);
                let to = to.filter(|to| *to != from && one.node != self.config.node);
                let Some(to) = to else { continue };
                let ends = [(from + 1, to + 1), (to + 1, from + 1)];
                let known = |link: &Difference| ends.contains(&(link.from, link.to));
                let likely = one.by_ns.unsigned_abs() <= limits::CORRECTION_NS_MAX.unsigned_abs();
                if likely && !links.iter().any(known) {
                    let deviation_ns = one.deviation_ns as f64;
                    links.push(link(from + 1, to + 1, one.by_ns, deviation_ns));
                }
            }
        }
        links
    }

    /// This node and all others of this line whom it has measured well and lately, but for the leader.
    fn places(&self, now_ns: u64, leader: NodeId, line: Epoch) -> Vec<Place> {
        let own = self.clock.filter().estimate(now_ns);
        let Some(own) = own.filter(|_| self.clock.is_settled()) else {
            return Vec::new();
        };
        let path_ns = self.clock.shift().path_ns;
        let direct_ns = own.offset_ns.saturating_add(path_ns);
        let mut places = Vec::from([Place {
            node: self.config.node,
            from_here: None,
            own_ns: own.deviation_ns,
            interval: around(now_ns, &own),
        }]);
        for node in self.election.standing_for_the_cluster(now_ns) {
            let source = self.sources.get(&node).filter(|one| one.line == Some(line));
            let known = source.filter(|one| one.filter.taken() >= limits::PROBES_KNOWN);
            let estimate = known.and_then(|one| one.sound(now_ns));
            let (Some(source), Some(estimate)) = (known, estimate) else {
                continue;
            };
            if node == leader || node == self.config.node {
                continue;
            }
            let theirs_ns = estimate.offset_ns.saturating_add(self.path_to(&node));
            let by_ns = theirs_ns.saturating_sub(direct_ns);
            places.push(Place {
                node,
                from_here: Some((by_ns, libm::hypot(estimate.deviation_ns, own.deviation_ns))),
                own_ns: source.deviation_ns as f64,
                interval: around(now_ns, &estimate),
            });
        }
        places
    }
}

/// A link, with what is feared of every one.
fn link(from: usize, to: usize, by_ns: i64, deviation_ns: f64) -> Difference {
    Difference {
        from,
        to,
        by_ns,
        deviation_ns: libm::hypot(bounded(deviation_ns), limits::MESH_FEARED_NS),
    }
}

fn bounded(deviation_ns: f64) -> f64 {
    deviation_ns.min(limits::MESH_DEVIATION_NS_MAX)
}

fn around(now_ns: u64, estimate: &Estimate) -> Interval {
    super::source::around(now_ns, estimate, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    fn after(mut mesh: Mesh, wanted_ns: i64, times: usize) -> i64 {
        for _ in 0..times {
            mesh.approach(mesh.meant_ns(wanted_ns));
        }
        mesh.correction_ns
    }

    /// A share of what is left is nothing in the end: the last nanoseconds stayed, and with them everything
    /// that is done while a way is off.
    #[test]
    fn what_is_not_wanted_any_more_goes_altogether() {
        for correction_ns in [5 * MS, -5 * MS, 900_000, 3] {
            let mesh = Mesh {
                correction_ns,
                ..Mesh::default()
            };
            assert_eq!(after(mesh, 0, 8), 0, "from {correction_ns}");
        }
    }

    #[test]
    fn what_is_wanted_is_come_near_to_in_steps_and_then_by_a_mean() {
        let far = after(Mesh::default(), 20 * MS, 10);
        assert_eq!(far, 10 * limits::MESH_STEP_NS);
        let near = after(Mesh::default(), 20 * MS, 90);
        assert!((20 * MS - near).abs() < MS / 4, "{near}");
        // One measurement that is off moves it by a share of that.
        let mesh = Mesh {
            correction_ns: 20 * MS,
            ..Mesh::default()
        };
        assert_eq!(
            after(mesh, 22 * MS, 1),
            20 * MS + 2 * MS / limits::MESH_SHARE
        );
    }
}
