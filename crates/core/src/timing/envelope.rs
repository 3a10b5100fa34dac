//! The two-sided envelope: what edges of one-way delay say about a clock, under one law of wander.
//!
//! A question that arrived says that cluster time minus local time was at the most so much, an
//! answer that it was at least so much; half the path's floor lies between each and the truth, and
//! queueing, which is exponential enough near its minimum. Each such edge cuts the normal belief: it
//! is moved and narrowed to the moments of the exact product (assumed-density filtering; Opper,
//! 1998), and the held edges are then cut anew in the light of the later ones (expectation
//! propagation; Minka, 2001). For exponential queueing the edge of n probes is known to 1/n, where
//! any mean is known to 1/sqrt(n): that is what a filter of round trips or of means gives away.

use alloc::collections::VecDeque;

use super::gaussian::{DRIFT, FLOOR, Gaussian, OFFSET, Projection, RATE, Vector};
use super::limits;
use super::normal::{hazard, log_upper_tail};
use super::wander::Wander;

/// Which bound an edge is: what the question says, or what the answer says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Side {
    /// The offset is at the most this (the question's way).
    Question,
    /// The offset is at least this (the answer's way).
    Answer,
}

impl Side {
    fn sign(self) -> f64 {
        match self {
            Self::Question => -1.0,
            Self::Answer => 1.0,
        }
    }
}

/// One bound of one probe: `sign * offset - floor` was at least `least_ns` at `at_s`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) at_s: f64,
    pub(super) side: Side,
    pub(super) least_ns: f64,
}

impl Edge {
    /// A bound on the offset itself, relative to the filter's anchor.
    pub(super) fn new(at_s: f64, side: Side, offset_ns: f64) -> Self {
        let least_ns = side.sign() * offset_ns;
        Self {
            at_s,
            side,
            least_ns,
        }
    }
}

/// Mean queueing (ns) in each direction, as it is taken for the likelihood.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queues {
    pub(super) question_ns: f64,
    pub(super) answer_ns: f64,
}

impl Queues {
    fn of(&self, side: Side) -> f64 {
        match side {
            Side::Question => self.question_ns,
            Side::Answer => self.answer_ns,
        }
    }
}

/// A held edge and what it says in the belief at present: a precision and a shift along its
/// direction.
#[derive(Clone, Copy, Debug)]
struct Site {
    edge: Edge,
    precision: f64,
    shift: f64,
}

/// How a new edge stood to what was believed before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Innovation {
    /// Logarithm of how likely it was.
    pub(super) evidence: f64,
    /// By how many sigma the belief lay beyond the edge; negative inside.
    pub(super) sigmas: f64,
    /// The sigma of the belief along the edge, ns.
    pub(super) sigma_ns: f64,
}

/// The belief under one law of wander.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) belief: Gaussian,
    pub(super) at_s: f64,
    pub(super) wander: Wander,
    sites: VecDeque<Site>,
}

impl Envelope {
    pub(super) fn new(belief: Gaussian, at_s: f64, wander: Wander) -> Self {
        Self {
            belief,
            at_s,
            wander,
            sites: VecDeque::new(),
        }
    }

    /// Carries the belief to a later time.
    pub(super) fn advance(&mut self, to_s: f64) {
        self.belief.advance(to_s - self.at_s, &self.wander);
        self.at_s = self.at_s.max(to_s);
        let deviation = libm::sqrt(self.belief.covariance[OFFSET][OFFSET]);
        while let Some(oldest) = self.sites.front() {
            let astray = self.wander.astray_ns(self.at_s - oldest.edge.at_s);
            if astray <= limits::EDGE_WANDER_SHARE * deviation {
                break;
            }
            self.sites.pop_front();
        }
    }

    /// By how many sigma the belief lies beyond an edge, which must not be: positive is a
    /// contradiction. With it, by how much (ns).
    pub(super) fn beyond(&self, edge: &Edge) -> (f64, f64) {
        let seen = self.belief.project(&self.direction(edge));
        let by_ns = edge.least_ns - seen.mean;
        (by_ns / libm::sqrt(seen.variance), by_ns)
    }

    /// How far inside its edge the belief lies (ns): the queueing that the edge saw.
    pub(super) fn excess_ns(&self, edge: &Edge) -> f64 {
        -self.beyond(edge).1
    }

    /// Cuts the belief at a new edge.
    pub(super) fn cut(&mut self, edge: Edge, queues: &Queues) -> Innovation {
        let seen = self.belief.project(&self.direction(&edge));
        let sigma_ns = libm::sqrt(seen.variance);
        let sigmas = (edge.least_ns - seen.mean) / sigma_ns;
        let mut site = Site {
            edge,
            precision: 0.0,
            shift: 0.0,
        };
        let evidence = self
            .settle(&mut site, queues, 1.0)
            .map_or(0.0, |cut| cut.evidence());
        while self.sites.len() >= limits::EDGES_MAX {
            self.sites.pop_front();
        }
        self.sites.push_back(site);
        Innovation {
            evidence,
            sigmas,
            sigma_ns,
        }
    }

    /// Cuts the held edges anew, the latest first.
    pub(super) fn refine(&mut self, queues: &Queues) {
        let early = self.sites.len() < limits::EDGES_EARLY;
        let rounds = if early { limits::REFINEMENTS_EARLY } else { 1 };
        for _ in 0..rounds {
            for place in (0..self.sites.len()).rev() {
                let mut site = self.sites[place];
                self.settle(&mut site, queues, limits::REFINEMENT_SHARE);
                self.sites[place] = site;
            }
        }
    }

    /// An edge of a probe with half a round trip of `half_ns` contradicts by so much (ns), and nobody
    /// knows whether the offset, the floor, or what was believed all along is wrong. All of them give
    /// way: the frequency by what so large an error over the time of learning may have taught it, and
    /// the floor by as much as its own deviation leaves open, unless the probe undercuts it.
    pub(super) fn loosen(&mut self, by_ns: f64, half_ns: f64) {
        let (shortest_s, longest_s) = limits::LEARNING_S;
        let rate_ppb = by_ns / self.at_s.clamp(shortest_s, longest_s);
        let rate_ppb = rate_ppb.min(limits::RATE_PPB_PRIOR);
        self.belief.covariance[RATE][RATE] += rate_ppb * rate_ppb;
        let sigma = libm::sqrt(self.belief.covariance[FLOOR][FLOOR].max(0.0));
        let undercut = half_ns < self.belief.mean[FLOOR] - 4.0 * sigma;
        let open_ns = limits::FLOOR_GIVES_SIGMAS * sigma;
        let floor_ns = if undercut { by_ns } else { by_ns.min(open_ns) };
        self.belief.covariance[FLOOR][FLOOR] += floor_ns * floor_ns;
        self.displace(by_ns);
    }

    /// After a silence: the offset may have strayed by so much (ns), and the frequency (ppb).
    pub(super) fn stray(&mut self, offset_ns: f64, rate_ppb: f64) {
        self.belief.covariance[OFFSET][OFFSET] += offset_ns * offset_ns;
        self.belief.covariance[RATE][RATE] += rate_ppb * rate_ppb;
        self.sites.clear();
    }

    /// The floor has changed by about so much (ns), and the offset has not.
    pub(super) fn lengthen(&mut self, by_ns: f64) {
        self.belief.covariance[FLOOR][FLOOR] += by_ns * by_ns;
        self.sites.clear();
    }

    /// The offset has changed by about so much (ns), and nothing else has.
    pub(super) fn displace(&mut self, by_ns: f64) {
        self.belief.covariance[OFFSET][OFFSET] += by_ns * by_ns;
        self.sites.clear();
    }

    fn direction(&self, edge: &Edge) -> Vector {
        let age = self.at_s - edge.at_s;
        let sign = edge.side.sign();
        let mut direction = [0.0; 4];
        direction[OFFSET] = sign;
        direction[RATE] = -sign * age;
        direction[DRIFT] = 0.5 * sign * age * age;
        direction[FLOOR] = -1.0;
        direction
    }

    /// Takes a site out of the belief, cuts what remains exactly, and puts back what that says, as
    /// far as `share`. Returns the cut; nothing where the rest of the belief would have no spread.
    fn settle(&mut self, site: &mut Site, queues: &Queues, share: f64) -> Option<Cut> {
        let seen = self.belief.project(&self.direction(&site.edge));
        let rest_precision = 1.0 / seen.variance - site.precision;
        let sound = seen.variance > 0.0 && rest_precision > 1e-3 / seen.variance;
        if !sound {
            return None;
        }
        let rest = 1.0 / rest_precision;
        let rest_mean = rest * (seen.mean / seen.variance - site.shift);
        let queue_ns = queues.of(site.edge.side);
        // Beyond a few times the mean the tail is taken for a power law: what stands in a queue says
        // little about the edge, however often.
        let excess_ns = rest_mean - site.edge.least_ns;
        let queue_ns = queue_ns.max(excess_ns / limits::TAIL_EXPONENT);
        let cut = Cut::new(rest_mean, rest, site.edge.least_ns, queue_ns)?;
        let precision = (1.0 / cut.variance - rest_precision).max(0.0);
        let shift = cut.mean / cut.variance - rest_mean * rest_precision;
        let more_precision = share * (precision - site.precision);
        let more_shift = share * (shift - site.shift);
        // Most edges lie far from the belief and say again what they said before.
        let still = more_precision.abs() * seen.variance < 1e-9
            && more_shift * more_shift * seen.variance < 1e-12;
        if !still {
            self.add(&seen, more_precision, more_shift)?;
            site.precision += more_precision;
            site.shift += more_shift;
        }
        Some(cut)
    }

    fn add(&mut self, seen: &Projection, precision: f64, shift: f64) -> Option<()> {
        let scale = 1.0 + precision * seen.variance;
        let sound = scale > 0.05 && shift.is_finite();
        if !sound {
            return None;
        }
        let mean_by = (shift - precision * seen.mean) / scale;
        self.belief.absorb(seen, mean_by, precision / scale);
        Some(())
    }
}

/// A normal belief cut by an exponential edge, and its moments.
struct Cut {
    mean: f64,
    variance: f64,
    z: f64,
    tilt: f64,
    queue_ns: f64,
}

impl Cut {
    /// The belief `mean`, `variance` of a value that lies an exponential `queue_ns` above `least`.
    fn new(mean: f64, variance: f64, least: f64, queue_ns: f64) -> Option<Self> {
        let soft = limits::EDGE_SOFTNESS * queue_ns;
        let spread = variance + soft * soft;
        let sigma = libm::sqrt(spread);
        // Where the value is believed to be less likely the further it lies above the edge, the
        // whole belief moves down by this; the edge then cuts it.
        let tilted = mean - spread / queue_ns;
        let z = (least - tilted) / sigma;
        let push = hazard(z);
        let narrowing = push * (push - z);
        let cut_mean = mean + variance / spread * (tilted + sigma * push - mean);
        let cut_variance = variance - variance * variance / spread * narrowing;
        let sound = cut_mean.is_finite() && cut_variance.is_finite();
        sound.then_some(Self {
            mean: cut_mean,
            variance: cut_variance.max(1e-6 * variance),
            z,
            tilt: (least - mean) / queue_ns + spread / (2.0 * queue_ns * queue_ns),
            queue_ns,
        })
    }

    /// Logarithm of how likely the edge was.
    fn evidence(&self) -> f64 {
        let evidence = log_upper_tail(self.z) + self.tilt - libm::log(self.queue_ns);
        if evidence.is_finite() { evidence } else { 0.0 }
    }
}
