//! The cluster's time as a node tells it: an interval, an estimate that never runs backwards.

use super::estimate::Estimate;
use super::filter::{News, OffsetFilter, ProbeError};
use super::jump::Jump;
use super::limits;
use super::memory::{Memory, MemoryError};
use super::probe::Probe;

/// From when to when, both included, ns of cluster time.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interval {
    /// The beginning.
    pub earliest_ns: u64,
    /// The end.
    pub latest_ns: u64,
}

impl Interval {
    /// Whether a time lies in it.
    pub fn contains(&self, time_ns: u64) -> bool {
        self.earliest_ns <= time_ns && time_ns <= self.latest_ns
    }
}

/// How a node stands to the cluster's time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Sync {
    /// Probes arrive, and the deviation is small; or this node leads.
    Synchronised,
    /// No probe for a while: the frequency that was learnt carries the time on, and the interval
    /// widens.
    Holdover,
    /// The deviation is beyond what anybody should act on, or the told time still lies far from the
    /// best guess.
    FreeRunning,
}

/// What time it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The best guess, ns since the Unix epoch; from one reading to the next it never falls.
    pub estimate_ns: u64,
    /// Contains the cluster's time whatever the paths do, as long as clocks drift within the limit.
    pub hard: Interval,
    /// Three sigma to both sides, what unequal ways are feared to hide, and what other sources say;
    /// contains it in at least 99.7 of 100 cases, unless the ways differ by more than was feared.
    pub likely: Interval,
    /// One sigma (ns), under ways that are as long there as back.
    pub deviation_ns: f64,
    /// Under which leadership.
    pub epoch: u64,
    /// How far it can be trusted.
    pub sync: Sync,
}

impl Reading {
    /// How far the likely interval reaches from the estimate (ns): three sigma, what unequal ways may
    /// hide, and what is still being put right.
    pub fn reach_ns(&self) -> u64 {
        let before_ns = self.estimate_ns.saturating_sub(self.likely.earliest_ns);
        before_ns.max(self.likely.latest_ns.saturating_sub(self.estimate_ns))
    }
}

/// What is added to what a filter believes, because more is known than its probes can show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shift {
    /// Half of what the way back takes longer than the way there, ns: known by configuration.
    pub path_ns: i64,
    /// What all leaders' measurements of one another say beside, ns: of this node's way to the leader,
    /// or of the way of whom it follows.
    pub correction_ns: i64,
    /// One sigma of that, ns.
    pub deviation_ns: f64,
    /// By how much the two ways may differ beyond what is added, ns, where somebody has stated it;
    /// else [`limits::ASYMMETRY_SHARE`] of the shortest round trip.
    pub bound_ns: Option<u64>,
    /// By how much the likely interval reaches further, to each side, to hold what others tell, ns.
    pub apart_ns: u64,
}

impl Shift {
    /// By how much unequal ways may have moved what a filter believes, unseen, ns. Nobody's ways can
    /// differ by more than the whole round trip.
    pub(crate) fn feared_ns(&self, estimate: &Estimate) -> u64 {
        let trip_ns = estimate.floor_ns.max(0.0);
        let stated_ns = self.bound_ns.map(|bound_ns| bound_ns as f64);
        let differ_ns = stated_ns.unwrap_or(limits::ASYMMETRY_SHARE * trip_ns);
        let hidden_ns = libm::ceil(differ_ns.min(trip_ns) / 2.0) as u64;
        hidden_ns.saturating_add(estimate.standing_ns)
    }
}

/// What a node answers to whoever asks it the time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// The best guess, ns of cluster time.
    pub estimate_ns: u64,
    /// The same by this node's own way to the leader alone: it does not move when a correction does,
    /// so others can measure it.
    pub direct_ns: u64,
    /// How well both are known.
    pub upstream: Upstream,
    /// What unequal ways may hide beside that, ns.
    pub feared_ns: u64,
}

impl Known {
    /// What has to be added to the direct guess, ns.
    pub fn correction_ns(&self) -> i64 {
        signed(self.estimate_ns).saturating_sub(signed(self.direct_ns))
    }
}

/// How well somebody knows the time that it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Upstream {
    /// Half its hard interval, ns.
    pub hard_ns: u64,
    /// Its deviation, ns.
    pub deviation_ns: f64,
}

/// What a clock goes by at a moment.
#[derive(Clone, Copy, Debug)]
struct Believed {
    /// With what is to be added, inside what is certain.
    estimate: Estimate,
    /// The offset without the correction, ns.
    direct_ns: i64,
    /// One sigma of all that, ns.
    deviation_ns: f64,
    /// What may be hidden beside it, ns: by unequal ways, or if others are right.
    feared_ns: u64,
}

/// Where the told time stood, and how it goes on from there.
#[derive(Clone, Copy, Debug)]
struct Segment {
    local_ns: i64,
    cluster_ns: i64,
    rate_ppb: f64,
    /// What is still to be put right, ns, and how fast, ppb.
    slew_ns: i64,
    slew_ppb: i64,
}

/// A node's view of the cluster's time. The machine's clock is read by others and never touched.
#[derive(Clone, Debug, Default)]
pub struct ClusterClock {
    filter: OffsetFilter,
    shift: Shift,
    /// What was believed of the leader before, until the new one is known well enough.
    former: Option<(OffsetFilter, Shift)>,
    segment: Option<Segment>,
    first_heard_ns: u64,
    leading: bool,
    may_leap: bool,
    epoch: u64,
    wake_up_ns: u64,
    upstream_ns: f64,
    told_ns: u64,
    told_local_ns: u64,
    told_earliest_ns: u64,
}

/// The time is told from so many probes on, or so long after the first (ns): the very first guess is
/// off by half of what queued, and would have to be put right at two in a hundred.
const SETTLED: (u64, u64) = (4, 1_000_000_000);

impl ClusterClock {
    /// A clock that follows whoever answers its probes, with what an earlier life remembers.
    ///
    /// # Errors
    /// [`MemoryError`] where the memory is damaged.
    pub fn following(epoch: u64, memory: Memory) -> Result<Self, MemoryError> {
        Ok(Self {
            filter: OffsetFilter::remembering(memory)?,
            epoch,
            ..Self::default()
        })
    }

    /// The clock of the first leader: cluster time is what its wall clock says now (ns), and from
    /// then on what its steady clock counts.
    pub fn founding(epoch: u64, local_ns: u64, wall_ns: u64) -> Self {
        let segment = Segment {
            local_ns: signed(local_ns),
            cluster_ns: signed(wall_ns),
            rate_ppb: 0.0,
            slew_ns: 0,
            slew_ppb: 0,
        };
        Self {
            segment: Some(segment),
            leading: true,
            epoch,
            ..Self::default()
        }
    }

    /// Uses this filter, which may carry a planted fault.
    pub fn with_filter(mut self, filter: OffsetFilter) -> Self {
        self.filter = filter;
        self
    }

    /// States by how much questions and answers may wait unequally before the clock is read, halved
    /// (ns). It is added to the likely interval, beside what the ways themselves may hide.
    pub fn set_wake_up_ns(&mut self, wake_up_ns: u64) {
        self.wake_up_ns = wake_up_ns;
    }

    /// States what is to be added to what the probes say, from now on: the told time goes there by
    /// running faster or slower, and what is certain stays as it is.
    pub fn set_shift(&mut self, shift: Shift) {
        if shift.deviation_ns >= 0.0 && shift.deviation_ns.is_finite() {
            self.shift = shift;
        }
    }

    /// What is added now.
    pub fn shift(&self) -> Shift {
        self.shift
    }

    /// States how well the leader knows the time itself: its deviation, ns. What it knows for certain
    /// comes with each probe ([`Probe::unsure_by`]).
    pub fn set_upstream(&mut self, deviation_ns: f64) {
        if deviation_ns >= 0.0 && deviation_ns.is_finite() {
            self.upstream_ns = deviation_ns;
        }
    }

    /// This node leads from now on. It continues the time that it told, at the rate that it learnt:
    /// a change of leader is no step. Nothing changes where it never heard a time, or the epoch is
    /// not newer; says whether it leads.
    pub fn lead(&mut self, epoch: u64, local_ns: u64) -> bool {
        let Some(segment) = self.segment.filter(|_| epoch > self.epoch) else {
            return false;
        };
        self.segment = Some(segment.carried_to(signed(local_ns)));
        self.leading = true;
        self.epoch = epoch;
        true
    }

    /// So much time (ns) has passed that the steady clock did not count, and no leader is there to say
    /// so: the machine slept. Does nothing unless this node leads.
    pub fn pass(&mut self, slept_ns: u64) {
        if let Some(segment) = self.segment.as_mut().filter(|_| self.leading) {
            segment.cluster_ns = segment.cluster_ns.saturating_add(signed(slept_ns));
        }
    }

    /// Another node leads from now on, over another path, of which an earlier life may remember
    /// something. The rate is kept where that says nothing, the old epoch's probes are not; what was
    /// believed carries the time on until a few of the new leader's have come. Says whether the epoch
    /// was newer.
    pub fn follow(&mut self, epoch: u64, memory: Memory) -> bool {
        let memory = Memory {
            rate: memory.rate.or(self.filter.memory().rate),
            path: memory.path,
        };
        // It was finite when it was learnt; a filter that knows nothing is the worst case.
        let filter = OffsetFilter::remembering(memory).unwrap_or_default();
        self.go_over(epoch, filter, Shift::default())
    }

    /// The same, where the new leader was measured before: this filter goes on. What it has proven is
    /// about the time before, which the new leader goes on with as well as it knew it. `shift` is what
    /// had to be added to what it was measured to show.
    pub fn follow_known(
        &mut self,
        epoch: u64,
        mut filter: OffsetFilter,
        shift: Shift,
        knew: Upstream,
    ) -> bool {
        filter.widen(knew.hard_ns);
        let newer = self.go_over(epoch, filter, shift);
        if newer {
            self.set_upstream(knew.deviation_ns);
        }
        newer
    }

    fn go_over(&mut self, epoch: u64, filter: OffsetFilter, shift: Shift) -> bool {
        if epoch <= self.epoch {
            return false;
        }
        let before = core::mem::replace(&mut self.filter, filter);
        let shifted = core::mem::replace(&mut self.shift, shift);
        let led = core::mem::take(&mut self.leading);
        // A resigned leader's filter speaks of somebody before it, and of a path long gone.
        if led {
            self.former = None;
        } else if before.taken() > 0 && self.former.is_none() {
            self.former = Some((before, shifted));
        }
        if self.filter.taken() >= SETTLED.0 {
            self.former = None;
        }
        if self.former.is_none() {
            // What was proven of another leader's time says nothing about this one's.
            self.told_earliest_ns = 0;
        }
        self.epoch = epoch;
        true
    }

    /// Whether this node leads.
    pub fn is_leading(&self) -> bool {
        self.leading
    }

    /// Whether what is told stands on the leader that is followed now, and not on one before it.
    pub fn is_settled(&self) -> bool {
        self.leading || (self.former.is_none() && self.filter.taken() > 0)
    }

    /// What this node answers to whoever asks it the time at a local time (ns): its best guess, without
    /// what it still puts right by running faster or slower, and how well it knows it. Nothing before
    /// a leader was heard. A leader knows its own time exactly.
    pub fn answer(&self, local_ns: u64) -> Option<Known> {
        let local = signed(local_ns);
        if self.leading {
            let told = unsigned(self.segment?.at(local)).max(self.told_ns);
            return Some(Known {
                estimate_ns: told,
                direct_ns: told,
                upstream: Upstream::default(),
                feared_ns: 0,
            });
        }
        self.segment?;
        let Believed {
            estimate,
            direct_ns,
            deviation_ns,
            feared_ns,
        } = self.believed(local_ns)?;
        let reach = |from_ns: i64, to_ns: i64| from_ns.saturating_sub(to_ns).unsigned_abs();
        // Around either guess: whoever measures this node looks at the direct one.
        let half_ns = [estimate.offset_ns, direct_ns].map(|guess_ns| {
            reach(guess_ns, estimate.least_ns).max(reach(guess_ns, estimate.most_ns))
        });
        Some(Known {
            estimate_ns: unsigned(local.saturating_add(estimate.offset_ns)),
            direct_ns: unsigned(local.saturating_add(direct_ns)),
            upstream: Upstream {
                hard_ns: half_ns[0].max(half_ns[1]),
                deviation_ns,
            },
            feared_ns,
        })
    }

    /// What is believed at a local time (ns).
    fn believed(&self, local_ns: u64) -> Option<Believed> {
        let now = (&self.filter, self.shift);
        let (filter, shift) = self.former.as_ref().map_or(now, |(one, by)| (one, *by));
        let mut estimate = filter.estimate(local_ns)?;
        let direct_ns = estimate.inside(estimate.offset_ns.saturating_add(shift.path_ns));
        estimate.offset_ns = estimate.inside(direct_ns.saturating_add(shift.correction_ns));
        let own_ns = libm::hypot(estimate.deviation_ns, shift.deviation_ns);
        let deviation_ns = libm::hypot(own_ns, self.upstream_ns);
        let beside_ns = self.wake_up_ns.saturating_add(shift.apart_ns);
        let feared_ns = shift.feared_ns(&estimate).saturating_add(beside_ns);
        Some(Believed {
            estimate,
            direct_ns,
            deviation_ns,
            feared_ns,
        })
    }

    /// By how much cluster time runs faster than the local clock, as it is told now, ppb; what is
    /// being put right is not in it.
    pub fn rate_ppb(&self) -> f64 {
        self.segment.map_or(0.0, |segment| segment.rate_ppb)
    }

    /// Takes a probe of the leader.
    ///
    /// # Errors
    /// [`ProbeError`] where it is a copy, late, or contradicts what is certain.
    pub fn push(&mut self, probe: &Probe) -> Result<News, ProbeError> {
        let news = self.filter.push(probe)?;
        let local_ns = probe.received_local_ns();
        if self.filter.taken() == 1 {
            self.first_heard_ns = local_ns;
        }
        let since_ns = local_ns.saturating_sub(self.first_heard_ns);
        let settled = self.filter.taken() >= SETTLED.0 || since_ns >= SETTLED.1;
        if settled && self.former.take().is_some() {
            self.told_earliest_ns = 0;
        }
        if matches!(news, News::Jumped { .. }) {
            self.may_leap = true;
            self.told_local_ns = 0;
            // What was proven before the jump was proven of another clock.
            self.told_earliest_ns = 0;
        }
        // A probe may be handed over late: what was told since then is told.
        let local_ns = local_ns.max(self.told_local_ns);
        // Until it is settled what was believed before carries the time on.
        if let Some(believed) = self.believed(local_ns).filter(|_| settled) {
            self.steer(signed(local_ns), &believed.estimate);
        }
        Ok(news)
    }

    /// The machine's clocks have parted. The smaller advance is believed for the moment, what is
    /// certain widens by the rest, and the next probes decide.
    pub fn noticed(&mut self, jump: Jump) {
        self.filter.doubt(jump.ahead_ns);
        self.may_leap = true;
        if let Some(segment) = self.segment.as_mut().filter(|_| jump.ahead_ns > 0) {
            segment.local_ns = segment.local_ns.saturating_add(jump.ahead_ns);
        }
    }

    /// What time it is, at a local time (ns). Nothing before a leader was heard.
    pub fn now(&mut self, local_ns: u64) -> Option<Reading> {
        let local = signed(local_ns);
        let told = unsigned(self.segment?.at(local));
        self.told_ns = self.told_ns.max(told);
        self.told_local_ns = self.told_local_ns.max(local_ns);
        let estimate_ns = self.told_ns;
        if self.leading {
            return Some(self.own_reading(estimate_ns, 0, Sync::Synchronised));
        }
        let Some(believed) = self.believed(local_ns) else {
            // It led, and has not heard its successor yet.
            let apart_ns = limits::DEVIATION_NS_MAX as u64;
            return Some(self.own_reading(estimate_ns, apart_ns, Sync::FreeRunning));
        };
        let (estimate, deviation_ns) = (believed.estimate, believed.deviation_ns);
        let target = unsigned(local.saturating_add(estimate.offset_ns));
        let reach_ns = (libm::ceil(3.0 * deviation_ns) as u64).saturating_add(believed.feared_ns);
        // While an error is put right the told time lies beside the best guess: both are inside.
        let likely = Interval {
            earliest_ns: target.saturating_sub(reach_ns).min(estimate_ns),
            latest_ns: target.saturating_add(reach_ns).max(estimate_ns),
        };
        let bound = |offset_ns: i64| unsigned(local.saturating_add(offset_ns));
        let (earliest_ns, latest_ns) = (bound(estimate.least_ns), bound(estimate.most_ns));
        // Time that has been proven to have come does not become unproven, except by a jump.
        self.told_earliest_ns = self.told_earliest_ns.max(earliest_ns).min(latest_ns);
        let hard = Interval {
            earliest_ns: self.told_earliest_ns.min(estimate_ns),
            latest_ns: latest_ns.max(estimate_ns),
        };
        Some(Reading {
            estimate_ns,
            hard,
            likely: within(likely, hard, estimate_ns),
            deviation_ns,
            epoch: self.epoch,
            sync: if target.abs_diff(estimate_ns) > limits::TOLD_APART_NS_MAX {
                Sync::FreeRunning
            } else {
                self.sync(local_ns, deviation_ns)
            },
        })
    }

    /// What the next process should know.
    pub fn memory(&self) -> Memory {
        self.filter.memory()
    }

    /// What the filter believes, without the told time's obligations.
    pub fn filter(&self) -> &OffsetFilter {
        &self.filter
    }

    /// The time that this node told as a leader, give or take so much (ns).
    fn own_reading(&self, estimate_ns: u64, apart_ns: u64, sync: Sync) -> Reading {
        let around = Interval {
            earliest_ns: estimate_ns.saturating_sub(apart_ns),
            latest_ns: estimate_ns.saturating_add(apart_ns),
        };
        Reading {
            estimate_ns,
            hard: around,
            likely: around,
            deviation_ns: apart_ns as f64,
            epoch: self.epoch,
            sync,
        }
    }

    fn sync(&self, local_ns: u64, deviation_ns: f64) -> Sync {
        let former = self.former.as_ref().map(|(filter, _)| filter);
        let filter = former.unwrap_or(&self.filter);
        let heard_ns = filter.heard_ns().unwrap_or(0);
        let silent_ns = signed(local_ns.saturating_sub(heard_ns));
        if deviation_ns > limits::DEVIATION_NS_MAX {
            Sync::FreeRunning
        } else if silent_ns > limits::HOLDOVER_AFTER_NS {
            Sync::Holdover
        } else {
            Sync::Synchronised
        }
    }

    /// Lets the told time go towards the estimate: at its rate, and two in a hundred faster or slower
    /// until the error is put right. Only after a jump of the machine's clock may it leap, forward.
    fn steer(&mut self, local_ns: i64, estimate: &Estimate) {
        let rate_max = limits::RATE_PPB_MAX as f64 * 2.0;
        let rate_ppb = estimate.rate_ppb.clamp(-rate_max, rate_max);
        let target_ns = local_ns.saturating_add(estimate.offset_ns);
        let before_ns = self.segment.map(|segment| segment.at(local_ns));
        let start_ns = before_ns.map_or(target_ns, |told| told.max(signed(self.told_ns)));
        let leaps = self.may_leap && target_ns > start_ns;
        let cluster_ns = if leaps { target_ns } else { start_ns };
        self.may_leap = false;
        let slew_ns = target_ns.saturating_sub(cluster_ns);
        let wanted = i128::from(slew_ns) * 1_000_000_000 / i128::from(limits::SLEW_WITHIN_NS);
        // The rate itself is part of what the cap allows.
        let cap = i128::from(limits::SLEW_PPB_MAX - 2 * limits::RATE_PPB_MAX);
        self.segment = Some(Segment {
            local_ns,
            cluster_ns,
            rate_ppb,
            slew_ns,
            slew_ppb: wanted.clamp(-cap, cap) as i64,
        });
    }
}

impl Segment {
    /// The told time at a local time (ns).
    fn at(&self, local_ns: i64) -> i64 {
        let elapsed = local_ns.saturating_sub(self.local_ns).max(0);
        let rated = libm::floor(elapsed as f64 * self.rate_ppb / 1e9) as i64;
        let slewed = i128::from(elapsed) * i128::from(self.slew_ppb) / 1_000_000_000;
        let slewed = slewed.clamp(
            i128::from(self.slew_ns.min(0)),
            i128::from(self.slew_ns.max(0)),
        ) as i64;
        self.cluster_ns
            .saturating_add(elapsed)
            .saturating_add(rated)
            .saturating_add(slewed)
    }

    /// The same course from a later time on, with nothing left to put right.
    fn carried_to(&self, local_ns: i64) -> Self {
        Self {
            local_ns,
            cluster_ns: self.at(local_ns),
            rate_ppb: self.rate_ppb,
            slew_ns: 0,
            slew_ppb: 0,
        }
    }
}

/// What is likely lies in what is certain, and contains the estimate.
fn within(likely: Interval, hard: Interval, estimate_ns: u64) -> Interval {
    Interval {
        earliest_ns: likely.earliest_ns.max(hard.earliest_ns).min(estimate_ns),
        latest_ns: likely.latest_ns.min(hard.latest_ns).max(estimate_ns),
    }
}

fn signed(time_ns: u64) -> i64 {
    i64::try_from(time_ns).unwrap_or(i64::MAX)
}

fn unsigned(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or(0)
}
