//! What a node's own way to the cluster's time is held against, where too few leaders are there to fit
//! all ways: the stretch of time that most of those whom it measures agree on.
//!
//! Each one measured tells a time, and how far that may be off; the way to it may hide a little more.
//! So each gives a stretch that should hold the cluster's time. Where most of three or more share one
//! and the node's own does not reach it, its own way is wrong, and the time goes there. Of two nobody
//! can tell which is wrong: the interval then holds what both say.

use alloc::vec::Vec;

use unisono_model::NodeId;

use super::source::Source;
use super::{Fault, Timekeeper, limits};
use crate::election::Role;
use crate::timing::{Estimate, Interval, intersect};

/// What one of those measured says of the cluster's time, ns: the guess, and from when to when it is
/// likely.
#[derive(Clone, Copy, Debug)]
struct Opinion {
    guess_ns: u64,
    /// Three sigma of how it was measured alone.
    measured_ns: u64,
    likely: Interval,
}

/// What follows from all opinions, the node's own first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// Most hold this node's own way for possible, or there is nobody to ask.
    Agreed,
    /// Most agree on a stretch that its own way does not reach.
    Outvoted(Interval),
    /// Nobody can tell who is wrong, and somebody is: all guesses together.
    Apart(Interval),
}

impl Timekeeper {
    /// Holds the node's own way against what others tell, and takes note of what follows.
    pub(super) fn hold_against_others(&mut self, now_ns: u64) {
        let Some(followed) = self.followed.filter(|_| !self.clock.is_leading()) else {
            return;
        };
        let Some(own) = self.own_opinion(now_ns, followed) else {
            return;
        };
        let mut opinions = Vec::from([own]);
        opinions.extend(self.opinions_of_others(now_ns, followed));
        // Nobody to ask: what was found stays, the ways are as they were.
        let ignored = [Some(Fault::MajorityIgnored), Some(Fault::MeshIgnored)];
        if opinions.len() < 2 || ignored.contains(&self.config.fault) {
            return;
        }
        let verdict = verdict(&opinions);
        let (corrects, holds) = match verdict {
            Verdict::Agreed if opinions.len() == 2 => (None, None),
            Verdict::Agreed => (Some(0).filter(|_| self.mesh.voted), None),
            Verdict::Outvoted(agreed) => {
                let half_ns = (agreed.latest_ns - agreed.earliest_ns) / 2;
                let middle_ns = agreed.earliest_ns.saturating_add(half_ns);
                let by_ns = middle_ns
                    .cast_signed()
                    .saturating_sub(own.guess_ns.cast_signed());
                self.mesh.voted = true;
                (Some(by_ns), Some(agreed))
            }
            Verdict::Apart(all) => (None, Some(all)),
        };
        self.counters.disagreements += u64::from(holds.is_some());
        if let Some(wanted_ns) = corrects {
            self.mesh.approach(wanted_ns);
            self.mesh.deviation_ns = 0.0;
        }
        self.mesh.apart_ns = holds.map_or(0, |holds| self.lacks_ns(&own, &holds));
        let shift = self.shift_to(followed);
        self.clock.set_shift(shift);
    }

    /// What this node's own way says, without what others have corrected of it.
    fn own_opinion(&self, now_ns: u64, followed: NodeId) -> Option<Opinion> {
        let estimate = self.clock.filter().estimate(now_ns);
        let estimate = estimate.filter(|_| self.clock.is_settled())?;
        let source = self.sources.get(&followed)?;
        let heard_ns = self.clock.filter().heard_ns()?;
        let fresh = now_ns.saturating_sub(heard_ns) <= limits::SOUND_FOR_NS;
        let known = self.clock.filter().taken() >= limits::PROBES_KNOWN;
        (fresh && known).then(|| self.opinion(now_ns, followed, source, &estimate))
    }

    /// What everybody else says who was measured well and lately, tells this line of time, and does not
    /// have it from this node.
    fn opinions_of_others(&self, now_ns: u64, followed: NodeId) -> Vec<Opinion> {
        // Whoever has its time from whom this one follows is wrong when that is: no witness of it. The
        // cluster's leader is never wrong, and then it is a witness of the way.
        let leads = self.election.leader() == Some(followed);
        let me = Some(self.config.node);
        let others = self.sources.iter().filter(|(node, source)| {
            let same = source.line.is_some() && source.line == self.told_line;
            let apart = source.from != me && (leads || source.from != Some(followed));
            **node != followed && same && apart && source.odd == 0
        });
        let known = others.filter(|(_, source)| source.filter.taken() >= limits::PROBES_KNOWN);
        let opinions = known.filter_map(|(node, source)| {
            let estimate = source.sound(now_ns)?;
            Some(self.opinion(now_ns, *node, source, &estimate))
        });
        opinions.take(limits::OTHERS_MAX).collect()
    }

    fn opinion(&self, now_ns: u64, node: NodeId, source: &Source, estimate: &Estimate) -> Opinion {
        let told_ns = self
            .path_to(&node)
            .saturating_add(source.correction_ns)
            .saturating_add(estimate.offset_ns);
        let measured_ns = super::whole(3.0 * estimate.deviation_ns);
        let hidden_ns = self.way_to(&node).feared_ns(estimate);
        let way_ns = measured_ns
            .saturating_add(hidden_ns)
            .saturating_add(limits::WAKE_UP_NS);
        // The way here and the way by which it has its time do not conspire.
        let theirs_ns = 3.0 * source.deviation_ns as f64;
        let reach_ns = super::whole(libm::hypot(way_ns as f64, theirs_ns));
        let guess_ns = now_ns.saturating_add_signed(told_ns);
        Opinion {
            guess_ns,
            measured_ns,
            likely: Interval {
                earliest_ns: guess_ns.saturating_sub(reach_ns),
                latest_ns: guess_ns.saturating_add(reach_ns),
            },
        }
    }

    /// What the told interval lacks to each side so that it holds all of another one (ns).
    fn lacks_ns(&self, own: &Opinion, holds: &Interval) -> u64 {
        let told_ns = own.guess_ns.saturating_add_signed(self.own_correction_ns());
        let reach_ns = own.likely.latest_ns.saturating_sub(own.guess_ns);
        let before_ns = told_ns.saturating_sub(holds.earliest_ns);
        let after_ns = holds.latest_ns.saturating_sub(told_ns);
        before_ns.max(after_ns).saturating_sub(reach_ns)
    }

    /// What others have corrected of this node's own way, ns.
    pub(super) fn own_correction_ns(&self) -> i64 {
        // Of the mesh only whoever follows the cluster's leader itself knows: by a way of its own.
        let own = self.mesh.voted || self.role() == Role::RegionLeader;
        if own { self.mesh.correction_ns } else { 0 }
    }
}

fn verdict(opinions: &[Opinion]) -> Verdict {
    let likely: Vec<Interval> = opinions.iter().map(|one| one.likely).collect();
    let own = likely.first().copied().unwrap_or_default();
    match intersect(&likely) {
        Some(agreed) if !agreed.agreeing.contains(&0) => Verdict::Outvoted(agreed.interval),
        Some(_) if likely.len() > 2 => Verdict::Agreed,
        // Of two that meet somewhere either may be right: each says where it thinks that the time is.
        _ if opinions.iter().all(|one| own.contains(one.guess_ns)) => Verdict::Agreed,
        _ => {
            let low = |one: &Opinion| one.guess_ns.saturating_sub(one.measured_ns);
            let high = |one: &Opinion| one.guess_ns.saturating_add(one.measured_ns);
            Verdict::Apart(Interval {
                earliest_ns: opinions.iter().map(low).min().unwrap_or_default(),
                latest_ns: opinions.iter().map(high).max().unwrap_or_default(),
            })
        }
    }
}
