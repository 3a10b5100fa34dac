//! One node whose clock is measured: what was asked, what came back, when to ask again.

use unisono_model::NodeId;

use super::{Answer, limits};
use crate::election::Epoch;
use crate::timing::{Estimate, Memory, News, OffsetFilter, Probe, ProbeError, ProbeLedger};

/// A node that is asked the time.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) ledger: ProbeLedger,
    /// What its answers say of its clock. Whom the node follows is measured by the told clock's own
    /// filter instead.
    pub(super) filter: OffsetFilter,
    /// What its answers said before it told another line of time. No change of leader is a step, so
    /// this says what is to be expected until the new measurement does.
    pub(super) former: Option<OffsetFilter>,
    pub(super) asks_at_ns: u64,
    pub(super) burst: u32,
    /// When a burst was last begun because nothing sound was known.
    hurried_ns: Option<u64>,
    /// Whose time it told last, and on which line that lies.
    pub(super) of: Option<Epoch>,
    pub(super) line: Option<Epoch>,
    /// From whom it has it.
    pub(super) from: Option<NodeId>,
    /// When its time and this node's were last found to agree, local ns.
    pub(super) agreed_ns: Option<u64>,
    /// Since when its answers are odd, and how many there were in a row.
    pub(super) odd_since_ns: Option<u64>,
    pub(super) odd: u32,
    /// When its measurement last gave way to an odd answer: what it expects since says nothing about
    /// which of the two clocks has moved.
    pub(super) gave_way_ns: Option<u64>,
    /// When an answer of it was last as expected.
    pub(super) even_ns: Option<u64>,
    /// Since when it has gone on as it does, as far as was seen from here: what is measured of it anew
    /// says nothing about the time before.
    on_course_since_ns: Option<u64>,
    pub(super) round_trip_ns: Option<u64>,
    /// What it adds to its direct time when it tells it, ns.
    pub(super) correction_ns: i64,
    /// One sigma of what it tells, as it says, ns.
    pub(super) deviation_ns: u64,
    pub(super) heard_ns: Option<u64>,
    pub(super) probes: u64,
}

impl Source {
    pub(super) fn new(now_ns: u64, burst: u32, memory: Memory) -> Self {
        Self {
            ledger: ProbeLedger::default(),
            filter: OffsetFilter::remembering(memory).unwrap_or_default(),
            former: None,
            asks_at_ns: now_ns,
            burst,
            hurried_ns: None,
            of: None,
            line: None,
            from: None,
            agreed_ns: None,
            odd_since_ns: None,
            odd: 0,
            gave_way_ns: None,
            even_ns: None,
            on_course_since_ns: None,
            round_trip_ns: None,
            correction_ns: 0,
            deviation_ns: 0,
            heard_ns: None,
            probes: 0,
        }
    }

    /// Whether a question is due; counts it, and sets when the next one is.
    pub(super) fn asks(&mut self, now_ns: u64, every_ns: u64) -> bool {
        if now_ns < self.asks_at_ns {
            return false;
        }
        let after_ns = if self.burst > 0 {
            limits::ASK_BURST_NS
        } else {
            every_ns
        };
        self.burst = self.burst.saturating_sub(1);
        self.asks_at_ns = now_ns.saturating_add(after_ns);
        true
    }

    /// Asks soon and often, if nothing sound is known of it: four answers at the pace of every day take
    /// longer than two leaders wait for one another.
    pub(super) fn hurry(&mut self, now_ns: u64) {
        let paced = |at_ns: u64| now_ns.saturating_sub(at_ns) < limits::ASK_OTHERS_NS;
        if self.burst > 0 || self.hurried_ns.is_some_and(paced) || self.sound(now_ns).is_some() {
            return;
        }
        self.hurried_ns = Some(now_ns);
        self.burst = limits::BURST_OTHERS;
        self.asks_at_ns = now_ns;
    }

    /// It tells another line of time from now on: what was measured of the old one is over. The rate
    /// is the clock's and the floor is the path's, and both are as they were.
    pub(super) fn restart(&mut self) {
        // It was possible when it was learnt; a filter that knows nothing is the worst case.
        let fresh = OffsetFilter::remembering(self.filter.memory()).unwrap_or_default();
        let before = core::mem::replace(&mut self.filter, fresh);
        if before.taken() >= limits::PROBES_KNOWN {
            self.former = Some(before);
        } else if self.former.is_none() {
            self.on_course_since_ns = None;
        }
    }

    /// Takes a probe of a node that is not followed, and notes whether it was as expected.
    pub(super) fn take(&mut self, probe: &Probe, now_ns: u64) -> Result<News, ProbeError> {
        if self.filter.taken() >= limits::PROBES_KNOWN
            && self.former.take().is_some()
            && self.odd > 0
        {
            self.gave_way(now_ns);
        }
        let expects = self.former.as_ref().unwrap_or(&self.filter);
        self.note(is_odd(expects, probe), now_ns);
        let pushed = self.filter.push(probe);
        if let Ok(news) = &pushed {
            self.pushed(news, now_ns);
        }
        pushed
    }

    /// Notes what a measurement of it made of an answer.
    pub(super) fn pushed(&mut self, news: &News, now_ns: u64) {
        let gave_way = matches!(news, News::Jumped { .. } | News::RouteChanged);
        if gave_way && self.odd > 0 {
            self.gave_way(now_ns);
        }
        self.on_course_since_ns.get_or_insert(now_ns);
    }

    fn gave_way(&mut self, now_ns: u64) {
        self.gave_way_ns = Some(now_ns);
        self.on_course_since_ns = Some(now_ns);
    }

    /// It is measured from the beginning.
    pub(super) fn anew(&mut self) {
        self.odd = 0;
        self.odd_since_ns = None;
        self.on_course_since_ns = None;
    }

    /// When it was last as expected; before its first answer of which something could be expected, when
    /// that measurement began.
    pub(super) fn expected_ns(&self) -> Option<u64> {
        self.even_ns.or(self.on_course_since_ns)
    }

    /// Whether it bears witness that this node's own clock has gone on, from a time to another (ns): it
    /// was as expected at both, by one measurement.
    pub(super) fn went_on(&self, from_ns: u64, to_ns: u64) -> bool {
        let since = self
            .on_course_since_ns
            .is_some_and(|at_ns| at_ns <= from_ns);
        since && self.even_ns.is_some_and(|at_ns| at_ns >= to_ns) && !self.has_moved(to_ns)
    }

    /// Notes whether an answer was as expected; where nothing was to be expected, nothing.
    pub(super) fn note(&mut self, odd: Option<bool>, now_ns: u64) {
        match odd {
            Some(true) => {
                self.odd_since_ns.get_or_insert(now_ns);
                self.odd += 1;
            }
            Some(false) => {
                self.odd_since_ns = None;
                self.odd = 0;
                self.even_ns = Some(now_ns);
            }
            None => {}
        }
    }

    /// Whether it has left its course, as seen from here, since then or shortly before (ns).
    pub(super) fn has_moved(&self, since_ns: u64) -> bool {
        let lately = |at_ns: u64| at_ns.saturating_add(limits::SOUND_FOR_NS) >= since_ns;
        self.odd_since_ns.is_some_and(lately) || self.gave_way_ns.is_some_and(lately)
    }

    /// Takes over what it adds to its direct time: all at once where that is the first word, or its time
    /// another line, else no faster than an honest node changes it. Its direct time alone is looked at
    /// for lies.
    pub(super) fn correct(&mut self, answer: &Answer, changed: bool) {
        let step_ns = answer.correction_ns.saturating_sub(self.correction_ns);
        let first = changed || self.probes == 0;
        let most_ns = if first {
            i64::MAX
        } else {
            limits::MESH_STEP_NS
        };
        self.correction_ns = self
            .correction_ns
            .saturating_add(step_ns.clamp(-most_ns, most_ns));
        self.deviation_ns = answer.deviation_ns;
    }

    /// What it shows, as far as it was measured well enough and lately.
    pub(super) fn sound(&self, now_ns: u64) -> Option<Estimate> {
        let heard_ns = self.filter.heard_ns()?;
        let fresh = now_ns.saturating_sub(heard_ns) <= limits::SOUND_FOR_NS;
        let enough = self.filter.taken() >= limits::PROBES_SOUND;
        self.filter.estimate(now_ns).filter(|_| fresh && enough)
    }
}

/// Whether an answer is not to be expected of a clock that is known so well: its middle lies further
/// from the estimate than its round trip differs from the shortest one, halved. Neither queueing nor
/// a longer or a shorter way does that, whichever direction they change; a clock that jumps does.
/// Nothing where the clock is not known well enough: whoever was never measured is no witness.
pub(super) fn is_odd(filter: &OffsetFilter, probe: &Probe) -> Option<bool> {
    let local_ns = probe.received_local_ns();
    let known = filter.taken() >= limits::PROBES_KNOWN;
    let estimate = filter.estimate(local_ns).filter(|_| known)?;
    let off_ns = (probe.offset_ns() as f64 - estimate.offset_ns as f64).abs();
    let path_ns = (probe.round_trip_ns() as f64 - estimate.floor_ns).abs() / 2.0;
    let sigmas_ns = limits::ODD_SIGMAS * estimate.deviation_ns + limits::ODD_NS_MIN;
    Some(off_ns > path_ns + sigmas_ns)
}

/// Where a clock of this estimate stands, widened by so much (ns).
pub(super) fn around(now_ns: u64, estimate: &Estimate, by_ns: u64) -> crate::timing::Interval {
    let at = |offset_ns: i64| now_ns.saturating_add_signed(offset_ns);
    crate::timing::Interval {
        earliest_ns: at(estimate.least_ns).saturating_sub(by_ns),
        latest_ns: at(estimate.most_ns).saturating_add(by_ns),
    }
}
