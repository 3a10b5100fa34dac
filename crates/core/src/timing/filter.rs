//! The filter of one path: from probes to offset, frequency and deviation.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use thiserror::Error;

use super::calibration::Calibration;
use super::envelope::{Edge, Envelope, Innovation, Side};
use super::estimate::Estimate;
use super::floor::RememberedFloor;
use super::gaussian::{DRIFT, FLOOR, Gaussian, OFFSET, RATE};
use super::hard::Hard;
use super::holdover::RateHistory;
use super::limits;
use super::memory::{Memory, MemoryError, PathMemory, RateMemory};
use super::path::Path;
use super::probe::Probe;
use super::wander::{LAWS, Wander};

/// Faults that can be planted, so that the judges can be shown to see them, and the negative
/// controls of the benchmark. None in a real node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The frequency is taken for zero.
    SlopeIgnored,
    /// The answers' edges are not looked at, only the questions'.
    AnswersIgnored,
    /// The deviation stays what it was at the last probe.
    HoldoverFrozen,
    /// What is certain stays what it was at the last probe, however the clocks drift.
    CertaintyKept,
}

/// What a probe brought besides a better estimate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum News {
    /// Nothing.
    Expected,
    /// The path has become longer or shorter.
    RouteChanged,
    /// One of the two clocks has jumped: cluster time minus local time by so much (ns).
    Jumped {
        /// By how much the offset changed.
        by_ns: i64,
    },
}

/// Why a probe was not taken. The estimate and its bounds are as they were.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ProbeError {
    /// It arrived before one that was taken already.
    #[error("it arrived {by_ns} ns before the one that was taken last")]
    OutOfOrder {
        /// By how much.
        by_ns: i64,
    },
    /// It left when another left that was taken: a copy.
    #[error("a probe that left at the same time was taken already")]
    Repeated,
    /// It lies outside what is certain: somebody lies, or a clock has jumped. A few that agree are
    /// believed, one is not.
    #[error("it lies {by_ns} ns outside what is certain")]
    Contradicts {
        /// By how much.
        by_ns: i64,
    },
}

/// The belief under one law of wander and how well that law has foretold.
#[derive(Clone, Debug)]
struct Hypothesis {
    envelope: Envelope,
    evidence: f64,
}

/// Everything that needs a first probe.
#[derive(Clone, Debug)]
struct Running {
    /// The local time from which seconds are counted, and the offset from which ns are.
    origin_ns: i64,
    anchor_ns: i64,
    hypotheses: Vec<Hypothesis>,
    path: Path,
    floor: Option<RememberedFloor>,
    hard: Hard,
    history: RateHistory,
    received_ns: i64,
    sent_ns: VecDeque<i64>,
    taken: u64,
}

/// Estimates the offset to one leader from probes.
#[derive(Clone, Debug, Default)]
pub struct OffsetFilter {
    running: Option<Running>,
    calibration: Calibration,
    memory: Memory,
    suspects: Vec<Probe>,
    fault: Option<Fault>,
}

impl OffsetFilter {
    /// A filter that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A filter that remembers an earlier life: the rate with what temperature may have done since,
    /// and the path's floor, so that congestion at the start is seen as what it is.
    ///
    /// # Errors
    /// [`MemoryError`] where the memory is damaged.
    pub fn remembering(memory: Memory) -> Result<Self, MemoryError> {
        memory.check()?;
        Ok(Self {
            memory,
            ..Self::default()
        })
    }

    /// Plants a fault.
    pub fn with_fault(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault;
        self
    }

    /// Takes a probe.
    ///
    /// # Errors
    /// [`ProbeError`] where it is a copy, too late, or contradicts what is certain.
    pub fn push(&mut self, probe: &Probe) -> Result<News, ProbeError> {
        let Some(running) = &mut self.running else {
            let mut running = Running::new(probe, &self.memory, self.fault);
            running.take(probe, &mut self.calibration, self.fault);
            self.running = Some(running);
            return Ok(News::Expected);
        };
        if running.sent_ns.contains(&probe.sent_ns()) {
            return Err(ProbeError::Repeated);
        }
        // First what contradicts: after a clock was set back its probes come early, and are right.
        let outside_ns = running.hard.outside_ns(probe);
        if outside_ns > 0 {
            return self.suspect(probe, outside_ns);
        }
        let by_ns = running.received_ns - probe.received_ns();
        if by_ns > 0 {
            return Err(ProbeError::OutOfOrder { by_ns });
        }
        self.suspects.clear();
        Ok(running.take(probe, &mut self.calibration, self.fault))
    }

    /// What is believed at a local time (ns). Nothing before the first probe.
    pub fn estimate(&self, local_ns: u64) -> Option<Estimate> {
        let running = self.running.as_ref()?;
        let local_ns = i64::try_from(local_ns).unwrap_or(i64::MAX);
        Some(running.estimate(local_ns, &self.calibration, self.fault))
    }

    /// When the last probe that was taken arrived, by the local clock (ns).
    pub fn heard_ns(&self) -> Option<u64> {
        let running = self.running.as_ref()?;
        Some(running.received_ns.unsigned_abs())
    }

    /// How many probes were taken.
    pub fn taken(&self) -> u64 {
        self.running.as_ref().map_or(0, |running| running.taken)
    }

    /// Something may have moved one of the clocks by up to so much (ns). What is certain widens, and
    /// the next probes decide.
    pub fn doubt(&mut self, by_ns: i64) {
        if let Some(running) = &mut self.running {
            running.hard.widen(by_ns.saturating_abs());
            for hypothesis in &mut running.hypotheses {
                hypothesis.envelope.displace(by_ns as f64);
            }
        }
    }

    /// What is certain is certain to so much less (ns); what is believed stays.
    pub fn widen(&mut self, by_ns: u64) {
        if let Some(running) = &mut self.running {
            running.hard.widen(i64::try_from(by_ns).unwrap_or(i64::MAX));
        }
    }

    /// What the next process should know.
    pub fn memory(&self) -> Memory {
        let Some(running) = &self.running else {
            return self.memory;
        };
        let belief = running.best().envelope.belief;
        let sigma = |state: usize| libm::sqrt(belief.covariance[state][state].max(0.0));
        let (question_ns, answer_ns) = running.path.measured_ns();
        Memory {
            rate: Some(RateMemory {
                rate_ppb: belief.mean[RATE],
                deviation_ppb: sigma(RATE),
            }),
            path: Some(PathMemory {
                floor_ns: belief.mean[FLOOR].max(0.0),
                floor_deviation_ns: sigma(FLOOR),
                question_ns,
                answer_ns,
            }),
        }
    }

    /// Keeps a probe that contradicts; believes it once a few in a row agree with one another.
    fn suspect(&mut self, probe: &Probe, by_ns: i64) -> Result<News, ProbeError> {
        let copy = |known: &Probe| known.sent_ns() == probe.sent_ns();
        if self.suspects.iter().any(copy) {
            return Err(ProbeError::Repeated);
        }
        let agrees = |known: &Probe| Hard::new(known).outside_ns(probe) == 0;
        self.suspects.retain(agrees);
        self.suspects.push(*probe);
        if self.suspects.len() < limits::JUMP_PROBES as usize {
            return Err(ProbeError::Contradicts { by_ns });
        }
        let suspects = core::mem::take(&mut self.suspects);
        let Some(running) = &mut self.running else {
            return Err(ProbeError::Contradicts { by_ns });
        };
        let by_ns = running.jump(&suspects);
        for suspect in &suspects {
            running.take(suspect, &mut self.calibration, self.fault);
        }
        Ok(News::Jumped { by_ns })
    }
}

impl Running {
    fn new(probe: &Probe, memory: &Memory, fault: Option<Fault>) -> Self {
        let half_ns = probe.round_trip_ns() as f64 / 2.0;
        // A remembered floor that the first probe undercuts was another path's.
        let path = memory.path.filter(|path| path.floor_ns <= half_ns);
        let belief = first_belief(half_ns, memory.rate, path);
        let floor_ns = limits::FLOOR_WANDER_SHARE * 2.0 * half_ns;
        let hypothesis = |law: &(f64, f64, f64)| {
            let mut wander = Wander::law(*law, floor_ns);
            let mut belief = belief;
            belief.covariance[DRIFT][DRIFT] = wander.drift_ppb * wander.drift_ppb;
            if fault == Some(Fault::SlopeIgnored) {
                wander.walk_ppb = 0.0;
                wander.drift_ppb = 0.0;
                belief.covariance[DRIFT][DRIFT] = 0.0;
                belief.covariance[RATE][RATE] = 0.0;
            }
            Hypothesis {
                envelope: Envelope::new(belief, 0.0, wander),
                evidence: 0.0,
            }
        };
        let queue_ns = limits::QUEUE_SHARE_PRIOR * 2.0 * half_ns;
        let (question_ns, answer_ns, probes) = path.map_or((queue_ns, queue_ns, 0.0), |path| {
            (path.question_ns, path.answer_ns, 20.0)
        });
        Self {
            origin_ns: probe.received_ns(),
            anchor_ns: middle(probe),
            hypotheses: LAWS.iter().map(hypothesis).collect(),
            path: Path::new(question_ns, answer_ns, probes),
            floor: path.map(|path| RememberedFloor::new(&path, probe)),
            hard: Hard::new(probe),
            history: RateHistory::default(),
            received_ns: probe.received_ns(),
            sent_ns: VecDeque::new(),
            taken: 0,
        }
    }

    fn take(&mut self, probe: &Probe, calibration: &mut Calibration, fault: Option<Fault>) -> News {
        self.received_ns = self.received_ns.max(probe.received_ns());
        self.taken += 1;
        self.hard.narrow(probe);
        if let Some(floor) = &mut self.floor {
            floor.saw(probe);
        }
        if self.sent_ns.len() >= limits::PROBES_PENDING_MAX {
            self.sent_ns.pop_front();
        }
        self.sent_ns.push_back(probe.sent_ns());
        let edges = self.edges(probe);
        let at_s = self.seconds(probe.received_ns());
        for hypothesis in &mut self.hypotheses {
            let elapsed_s = (at_s - hypothesis.envelope.at_s).max(0.0);
            hypothesis.evidence *= libm::exp(-elapsed_s / limits::EVIDENCE_MEMORY_S);
            hypothesis.envelope.advance(at_s);
            if RateHistory::is_silence(elapsed_s) {
                let strayed_ns = self.history.astray_ns(elapsed_s);
                let changed_ppb = self.history.changed_ppb(elapsed_s);
                hypothesis.envelope.stray(strayed_ns, changed_ppb);
            }
        }
        let changed = self.notice(probe.round_trip_ns() as f64 / 2.0, &edges);
        let longer_by_ns = self.path.longer_by_ns();
        if let Some(by_ns) = longer_by_ns {
            for hypothesis in &mut self.hypotheses {
                hypothesis.envelope.lengthen(by_ns);
            }
        }
        self.cut(&edges, calibration, fault);
        let [question_ns, answer_ns] = edges.map(|edge| self.best().envelope.excess_ns(&edge));
        self.path.saw(question_ns, answer_ns);
        let belief = &self.best().envelope.belief;
        let (rate_ppb, variance) = (belief.mean[RATE], belief.covariance[RATE][RATE]);
        self.history.note(at_s, rate_ppb, variance);
        if changed || longer_by_ns.is_some() {
            News::RouteChanged
        } else {
            News::Expected
        }
    }

    /// Cuts every hypothesis at the edges and weighs it by how likely it found them.
    fn cut(&mut self, edges: &[Edge; 2], calibration: &mut Calibration, fault: Option<Fault>) {
        let queues = self.path.queues();
        let (question_ns, answer_ns) = self.path.measured_ns();
        let best = self.best_place();
        for (place, hypothesis) in self.hypotheses.iter_mut().enumerate() {
            let mut met = |edge: &Edge, queue_ns: f64| {
                let new: Innovation = hypothesis.envelope.cut(*edge, &queues);
                hypothesis.evidence += new.evidence;
                if place == best {
                    calibration.saw(&new, queue_ns);
                }
            };
            met(&edges[0], question_ns);
            if fault != Some(Fault::AnswersIgnored) {
                met(&edges[1], answer_ns);
            }
        }
        let likeliest = self.best().evidence;
        for hypothesis in &mut self.hypotheses {
            // A law that explains nothing is kept roughly, in case it will.
            if hypothesis.evidence > likeliest - limits::EVIDENCE_REFINED {
                hypothesis.envelope.refine(&queues);
            }
        }
    }

    /// A belief that an edge contradicts beyond chance is loosened before it is cut, or it would
    /// break instead of bend. Says whether the best one was.
    fn notice(&mut self, half_ns: f64, edges: &[Edge; 2]) -> bool {
        let best = self.best_place();
        let mut changed = false;
        for (place, hypothesis) in self.hypotheses.iter_mut().enumerate() {
            let envelope = &mut hypothesis.envelope;
            let [question, answer] = edges.map(|edge| envelope.beyond(&edge));
            if question.0.max(answer.0) <= limits::SURPRISE_SIGMAS {
                continue;
            }
            envelope.loosen(question.1.max(answer.1), half_ns);
            changed |= place == best;
        }
        changed
    }

    /// Starts anew from probes that agree with one another and not with what was certain. The
    /// frequency and the path are kept. Returns by how much the offset moved.
    fn jump(&mut self, suspects: &[Probe]) -> i64 {
        let Some((first, rest)) = suspects.split_first() else {
            return 0;
        };
        self.hard = Hard::new(first);
        for probe in rest {
            self.hard.narrow(probe);
        }
        // Seconds go on where the local clock went back.
        let latest_s = self.best().envelope.at_s;
        if self.seconds(first.received_ns()) < latest_s {
            let counted_ns = (latest_s * 1e9) as i64;
            self.origin_ns = first.received_ns().saturating_sub(counted_ns);
        }
        self.received_ns = first.received_ns();
        let at_s = self.seconds(first.received_ns());
        let mut before_ns = 0.0;
        for (place, hypothesis) in self.hypotheses.iter_mut().enumerate() {
            hypothesis.envelope.advance(at_s);
            if place == 0 {
                before_ns = hypothesis.envelope.belief.mean[OFFSET];
            }
            hypothesis.envelope.belief.mean[OFFSET] = 0.0;
            hypothesis.envelope.displace(first.round_trip_ns() as f64);
        }
        let old_ns = self.anchor_ns.saturating_add(before_ns as i64);
        self.anchor_ns = middle(first);
        self.anchor_ns.saturating_sub(old_ns)
    }

    fn estimate(&self, local_ns: i64, calibration: &Calibration, fault: Option<Fault>) -> Estimate {
        let ahead_s = self.seconds(local_ns) - self.best().envelope.at_s;
        let beliefs: Vec<(Gaussian, f64)> = self
            .hypotheses
            .iter()
            .map(|hypothesis| {
                let mut belief = hypothesis.envelope.belief;
                let before = belief.covariance;
                belief.advance(ahead_s, &hypothesis.envelope.wander);
                if ahead_s < 0.0 {
                    belief.mean[OFFSET] += ahead_s * belief.mean[RATE];
                }
                if fault == Some(Fault::HoldoverFrozen) {
                    belief.covariance = before;
                }
                (belief, hypothesis.evidence)
            })
            .collect();
        let even = Mixture::new(&beliefs, 1.0);
        let wary = Mixture::new(&beliefs, limits::DEVIATION_TEMPER);
        let factor = limits::DEVIATION_MARGIN * calibration.factor();
        let soft_ns = self.path.soft_ns();
        let frozen = fault == Some(Fault::HoldoverFrozen);
        let astray_ns = self.history.astray_ns(if frozen { 0.0 } else { ahead_s });
        let variance = wary.variance_around(&beliefs, OFFSET, even.mean[OFFSET])
            + soft_ns * soft_ns
            + astray_ns * astray_ns
            + limits::ASYMMETRY_NS_MIN * limits::ASYMMETRY_NS_MIN;
        let rate_variance = wary.variance_around(&beliefs, RATE, even.mean[RATE]);
        let kept = fault == Some(Fault::CertaintyKept);
        let (least_ns, most_ns) = self.hard.at(if kept { self.received_ns } else { local_ns });
        let floor = self.floor.as_ref();
        let standing_ns = floor.map_or(0, |floor| floor.hidden_ns(local_ns));
        let offset_ns = self.anchor_ns.saturating_add(even.mean[OFFSET] as i64);
        let offset_ns = offset_ns.clamp(least_ns, most_ns.max(least_ns));
        // Nobody is further off than what is certain: a belief that breaks must not say so.
        let below_ns = offset_ns.saturating_sub(least_ns);
        let reach_ns = most_ns.saturating_sub(offset_ns).max(below_ns).max(1);
        Estimate {
            offset_ns,
            rate_ppb: even.mean[RATE],
            deviation_ns: (factor * libm::sqrt(variance)).min(reach_ns as f64),
            rate_deviation_ppb: factor * libm::sqrt(rate_variance),
            floor_ns: 2.0 * even.mean[FLOOR].max(0.0),
            standing_ns: standing_ns.unsigned_abs(),
            least_ns,
            most_ns,
        }
    }

    fn best(&self) -> &Hypothesis {
        &self.hypotheses[self.best_place()]
    }

    fn best_place(&self) -> usize {
        let by_evidence = |a: &(usize, &Hypothesis), b: &(usize, &Hypothesis)| {
            a.1.evidence.total_cmp(&b.1.evidence)
        };
        let best = self.hypotheses.iter().enumerate().max_by(by_evidence);
        best.map_or(0, |(place, _)| place)
    }

    fn edges(&self, probe: &Probe) -> [Edge; 2] {
        let (sent_s, received_s) = (
            self.seconds(probe.sent_ns()),
            self.seconds(probe.received_ns()),
        );
        let most_ns = (probe.offset_ns_max() - self.anchor_ns) as f64;
        let least_ns = (probe.offset_ns_min() - self.anchor_ns) as f64;
        [
            Edge::new(sent_s, Side::Question, most_ns),
            Edge::new(received_s, Side::Answer, least_ns),
        ]
    }

    fn seconds(&self, local_ns: i64) -> f64 {
        local_ns.saturating_sub(self.origin_ns) as f64 / 1e9
    }
}

/// Several beliefs as one.
struct Mixture {
    mean: [f64; 4],
    weights: Vec<f64>,
}

impl Mixture {
    fn new(beliefs: &[(Gaussian, f64)], temper: f64) -> Self {
        let best = beliefs
            .iter()
            .map(|(_, evidence)| *evidence)
            .fold(f64::NEG_INFINITY, f64::max);
        let mut weights: Vec<f64> = beliefs
            .iter()
            .map(|(_, evidence)| libm::exp(temper * (evidence - best)))
            .collect();
        let sum: f64 = weights.iter().sum();
        let mut mean = [0.0; 4];
        for (weight, (belief, _)) in weights.iter_mut().zip(beliefs) {
            *weight /= sum;
            for (mean, value) in mean.iter_mut().zip(belief.mean) {
                *mean += *weight * value;
            }
        }
        Self { mean, weights }
    }

    /// The mean square distance of a state from `centre`.
    fn variance_around(&self, beliefs: &[(Gaussian, f64)], state: usize, centre: f64) -> f64 {
        let spread = |(weight, (belief, _)): (&f64, &(Gaussian, f64))| {
            let away = belief.mean[state] - centre;
            weight * (belief.covariance[state][state].max(0.0) + away * away)
        };
        self.weights.iter().zip(beliefs).map(spread).sum()
    }
}

/// What is believed before the first probe, the offset relative to the middle of that probe.
fn first_belief(half_ns: f64, rate: Option<RateMemory>, path: Option<PathMemory>) -> Gaussian {
    let (share, share_sigma) = limits::FLOOR_SHARE_PRIOR;
    let floor_ns = path.map_or(2.0 * share * half_ns, |path| path.floor_ns);
    let floor_sigma = path.map_or(2.0 * share_sigma * half_ns, |path| {
        path.floor_deviation_ns.max(0.002 * path.floor_ns)
    });
    let rate_sigma = rate.map_or(limits::RATE_PPB_PRIOR, |rate| {
        libm::hypot(rate.deviation_ppb, limits::RATE_PPB_RESTART)
    });
    let mut belief = Gaussian::default();
    belief.mean[FLOOR] = floor_ns;
    belief.mean[RATE] = rate.map_or(0.0, |rate| rate.rate_ppb);
    belief.covariance[OFFSET][OFFSET] = 0.25 * half_ns * half_ns;
    belief.covariance[RATE][RATE] = rate_sigma * rate_sigma;
    belief.covariance[FLOOR][FLOOR] = floor_sigma * floor_sigma;
    belief
}

/// The offset that a probe suggests if both ways took equally long.
fn middle(probe: &Probe) -> i64 {
    let (least, most) = (probe.offset_ns_min(), probe.offset_ns_max());
    least + (most - least) / 2
}
