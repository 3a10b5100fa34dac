//! Models of event sources: when the next event comes, how sure that is, and whether to prepare for
//! it or to wait.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::limits::{
    BURST_FACTOR, CALIBRATION_BINS, CALIBRATION_PRIOR, CONFIDENCE_MIN, EVIDENCE_MORE,
    INTERVALS_MAX, INTERVALS_MIN, PATTERN_FORGETS,
};

/// How a source behaves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pattern {
    /// One interval, with some spread.
    Periodic,
    /// Two intervals in turn.
    Alternating,
    /// Short intervals, and after some of them a long one.
    Bursty,
}

/// What is foretold of the next event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Foretold {
    /// When it comes (ns).
    pub at_ns: u64,
    /// With which probability it comes within the tolerance of that time, calibrated.
    pub confidence: f64,
    /// The same before calibration.
    pub stated: f64,
    /// By which pattern.
    pub pattern: Pattern,
}

/// What to do about the next event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Plan {
    /// Begin to prepare at a time (ns).
    Prepare {
        /// When.
        from_ns: u64,
    },
    /// Wait until it comes: nothing sure enough is known.
    React,
}

/// What an event was to its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Came {
    /// It is not after the one before: nothing was learnt from it.
    OutOfOrder,
    /// Nothing was foretold of it.
    Unforetold,
    /// It was foretold.
    Foretold {
        /// What was foretold of it.
        foretold: Foretold,
        /// How long after that time it came (ns); negative: before.
        off_ns: i64,
        /// Whether that lies within the tolerance.
        came_true: bool,
    },
}

/// The intervals that a source is known by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Intervals {
    /// How many of them there are: the latest.
    pub count: usize,
    /// Their mean (ns).
    pub mean_ns: f64,
    /// By how much they differ from it, one standard deviation (ns); none of a single one.
    pub spread_ns: Option<f64>,
}

/// How often what was stated with some confidence came true.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reliability {
    bins: [(f64, f64); CALIBRATION_BINS],
}

/// One source.
#[derive(Clone, Debug)]
pub struct EventSource {
    tolerance_ns: f64,
    last_ns: Option<u64>,
    intervals: VecDeque<f64>,
    /// How well each pattern has foretold, in nats, forgetting.
    evidence: [f64; 3],
    reliability: Reliability,
    foretold: Option<Foretold>,
}

const PATTERNS: [Pattern; 3] = [Pattern::Periodic, Pattern::Alternating, Pattern::Bursty];

/// An interval that a pattern foretells: branches, each with probability, mean and deviation (ns).
type Branches = Vec<(f64, f64, f64)>;

impl Reliability {
    /// The share that came true of what was stated with about this confidence.
    pub fn calibrated(&self, stated: f64) -> f64 {
        let (came_true, all) = self.bins[bin(stated)];
        (came_true + CALIBRATION_PRIOR * stated) / (all + CALIBRATION_PRIOR)
    }

    /// Something that was stated with a confidence came true, or not.
    pub fn note(&mut self, stated: f64, came_true: bool) {
        let (hits, all) = &mut self.bins[bin(stated)];
        *hits += if came_true { 1.0 } else { 0.0 };
        *all += 1.0;
    }

    /// The curve: per bin the stated middle, the share that came true, and how many.
    pub fn curve(&self) -> impl Iterator<Item = (f64, f64, f64)> {
        let middle = |index: usize| (index as f64 + 0.5) / CALIBRATION_BINS as f64;
        let bins = self.bins.iter().enumerate();
        bins.map(move |(index, (hits, all))| (middle(index), hits / all.max(1.0), *all))
    }
}

fn bin(stated: f64) -> usize {
    let scaled = stated.clamp(0.0, 1.0) * CALIBRATION_BINS as f64;
    (scaled as usize).min(CALIBRATION_BINS - 1)
}

impl EventSource {
    /// A source of which nothing is known. An event is foretold if it comes within the tolerance
    /// (ns) of its time.
    pub fn new(tolerance_ns: u64) -> Self {
        Self {
            tolerance_ns: tolerance_ns.max(1) as f64,
            last_ns: None,
            intervals: VecDeque::new(),
            evidence: [0.0; 3],
            reliability: Reliability::default(),
            foretold: None,
        }
    }

    /// An event came at a time (ns). One that is not after the last says nothing.
    pub fn came(&mut self, at_ns: u64) -> Came {
        let Some(last_ns) = self.last_ns else {
            self.last_ns = Some(at_ns);
            return Came::Unforetold;
        };
        if at_ns <= last_ns {
            return Came::OutOfOrder;
        }
        let came = self.foretold.map_or(Came::Unforetold, |foretold| {
            let came_true = at_ns.abs_diff(foretold.at_ns) as f64 <= self.tolerance_ns;
            self.reliability.note(foretold.stated, came_true);
            Came::Foretold {
                foretold,
                off_ns: at_ns.wrapping_sub(foretold.at_ns).cast_signed(),
                came_true,
            }
        });
        let interval = (at_ns - last_ns) as f64;
        if self.intervals.len() >= INTERVALS_MIN {
            for (evidence, pattern) in self.evidence.iter_mut().zip(PATTERNS) {
                let nats = libm::log(density(&branches(&self.intervals, pattern), interval));
                *evidence = PATTERN_FORGETS * *evidence + nats;
            }
        }
        if self.intervals.len() == INTERVALS_MAX {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        self.last_ns = Some(at_ns);
        self.foretold = self.foretell();
        came
    }

    /// When the next event comes; none while too little is known.
    pub fn next(&self) -> Option<Foretold> {
        self.foretold
    }

    /// Whether to prepare for it, where preparing takes so long (ns).
    pub fn plan(&self, preparation_ns: u64) -> Plan {
        match self.foretold {
            Some(foretold) if foretold.confidence >= CONFIDENCE_MIN => Plan::Prepare {
                from_ns: foretold.at_ns.saturating_sub(preparation_ns),
            },
            _ => Plan::React,
        }
    }

    /// Whether what is foretold has not come within the tolerance by a time (ns): it does not come true
    /// any more.
    pub fn is_overdue(&self, now_ns: u64) -> bool {
        self.foretold.is_some_and(|foretold| {
            now_ns.saturating_sub(foretold.at_ns) as f64 > self.tolerance_ns
        })
    }

    /// The intervals that it is known by; none before the second event.
    pub fn intervals(&self) -> Option<Intervals> {
        let count = self.intervals.len();
        if count == 0 {
            return None;
        }
        let mean_ns = self.intervals.iter().sum::<f64>() / count as f64;
        let square = |one: &f64| (one - mean_ns) * (one - mean_ns);
        let squares: f64 = self.intervals.iter().map(square).sum();
        let spread_ns = (count > 1).then(|| libm::sqrt(squares / (count - 1) as f64));
        Some(Intervals {
            count,
            mean_ns,
            spread_ns,
        })
    }

    /// How often what was stated came true.
    pub fn reliability(&self) -> &Reliability {
        &self.reliability
    }

    fn foretell(&self) -> Option<Foretold> {
        if self.intervals.len() < INTERVALS_MIN {
            return None;
        }
        // Of patterns that foretell alike the simplest is believed.
        let better = |best: usize, other: usize| {
            let more = self.evidence[other] > self.evidence[best] + EVIDENCE_MORE;
            if more { other } else { best }
        };
        let best = (1..PATTERNS.len()).fold(0, better);
        let pattern = PATTERNS[best];
        let branches = branches(&self.intervals, pattern);
        let likeliest = branches
            .iter()
            .max_by(|one, other| one.0.total_cmp(&other.0))?;
        let interval = likeliest.1;
        let near = |(share, mean, sigma): &(f64, f64, f64)| {
            let within = |edge: f64| normal((edge - mean) / sigma);
            share * (within(interval + self.tolerance_ns) - within(interval - self.tolerance_ns))
        };
        let stated: f64 = branches.iter().map(near).sum();
        let at_ns = self
            .last_ns?
            .saturating_add(libm::round(interval.max(1.0)) as u64);
        Some(Foretold {
            at_ns,
            confidence: self.reliability.calibrated(stated),
            stated,
            pattern,
        })
    }
}

fn branches(intervals: &VecDeque<f64>, pattern: Pattern) -> Branches {
    match pattern {
        Pattern::Periodic => {
            let (mean, sigma) = spread(intervals.iter().copied());
            alloc::vec![(1.0, mean, sigma)]
        }
        Pattern::Alternating => {
            // The next one is like the one before the last.
            let next = intervals.len() % 2;
            let alike = intervals
                .iter()
                .enumerate()
                .filter(|(index, _)| index % 2 == next);
            let (mean, sigma) = spread(alike.map(|(_, interval)| *interval));
            alloc::vec![(1.0, mean, sigma)]
        }
        Pattern::Bursty => bursts(intervals),
    }
}

/// Intervals are short or long by the middle of their range (geometric); bursts are as long as those
/// before were.
fn bursts(intervals: &VecDeque<f64>) -> Branches {
    let least = intervals.iter().copied().fold(f64::INFINITY, f64::min);
    let most = intervals.iter().copied().fold(0.0, f64::max);
    if most < BURST_FACTOR * least {
        return branches(intervals, Pattern::Periodic);
    }
    let middle = libm::sqrt(least * most);
    let short = spread(intervals.iter().copied().filter(|one| *one < middle));
    let long = spread(intervals.iter().copied().filter(|one| *one >= middle));
    let (mut run, mut first) = (0_u32, true);
    let mut lengths: Vec<u32> = Vec::new();
    for interval in intervals {
        if *interval < middle {
            run += 1;
            continue;
        }
        // The first burst may have begun before anybody looked.
        if !first {
            lengths.push(run);
        }
        (run, first) = (0, false);
    }
    let as_long = lengths.iter().filter(|length| **length >= run).count() as f64;
    let just_so = lengths.iter().filter(|length| **length == run).count() as f64;
    let ends = (just_so + 0.5) / (as_long + 1.0);
    alloc::vec![(1.0 - ends, short.0, short.1), (ends, long.0, long.1)]
}

/// Mean, and the deviation of the next one from it.
fn spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let (count, sum) = values
        .clone()
        .fold((0.0, 0.0), |(count, sum), one| (count + 1.0, sum + one));
    if count == 0.0 {
        return (1.0, 1e18);
    }
    let mean = sum / count;
    let squares: f64 = values.map(|one| (one - mean) * (one - mean)).sum();
    // One value says nothing of its spread: half of itself is feared.
    let prior = 0.25 * mean * mean;
    let variance = if count < 2.0 {
        prior
    } else {
        squares / (count - 1.0)
    };
    (
        mean,
        libm::sqrt(variance * (1.0 + 1.0 / count)).max(1e-4 * mean + 1.0),
    )
}

fn density(branches: &Branches, interval: f64) -> f64 {
    let one = |(share, mean, sigma): &(f64, f64, f64)| {
        let off = (interval - mean) / sigma;
        share * libm::exp(-0.5 * off * off) / (sigma * 2.506_628_274_631_000_5)
    };
    // What no branch foretells is still possible.
    branches.iter().map(one).sum::<f64>() + 1e-15
}

/// The share of a normal law below so many deviations.
fn normal(deviations: f64) -> f64 {
    0.5 * libm::erfc(-deviations * core::f64::consts::FRAC_1_SQRT_2)
}
