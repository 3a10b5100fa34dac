//! What is known of an agent: how long it takes, how surely, and how much notice it needs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::limits::{
    OUTCOMES_FEW, PROFILE_HALF_LIFE_NS, PROFILE_SAMPLES_MAX, RELIABLE_SHARE_MIN, RESPONSE_NS_PRIOR,
    RESPONSES_FEW,
};

/// One agent's profile. Younger samples weigh more.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// When it was, and how long it took (ns).
    responses: VecDeque<(u64, u64)>,
    /// The same, where something was to be prepared.
    preparations: VecDeque<(u64, u64)>,
    /// Outcomes: when, and whether it acted.
    outcomes: VecDeque<(u64, bool)>,
    /// When it was back after a failure, and how long that took (ns).
    recoveries: VecDeque<(u64, u64)>,
    /// Since when it fails (ns), if its latest outcome was a failure.
    fails_since_ns: Option<u64>,
}

impl Profile {
    /// It acted, and took so long (ns), at a time (ns).
    pub fn responded(&mut self, at_ns: u64, took_ns: u64) {
        self.took(at_ns, took_ns, false);
        self.acted(at_ns);
    }

    /// It took so long (ns), at a time (ns), and had something to prepare or not.
    pub fn took(&mut self, at_ns: u64, took_ns: u64, prepared: bool) {
        let samples = if prepared {
            &mut self.preparations
        } else {
            &mut self.responses
        };
        keep(samples, (at_ns, took_ns));
    }

    /// It acted in time, at a time (ns).
    pub fn acted(&mut self, at_ns: u64) {
        keep(&mut self.outcomes, (at_ns, true));
        self.back(at_ns);
    }

    /// It did not act by a time (ns).
    pub fn failed(&mut self, at_ns: u64) {
        self.fails_since_ns.get_or_insert(at_ns);
        keep(&mut self.outcomes, (at_ns, false));
    }

    /// It is there again after it has failed, at a time (ns).
    pub fn back(&mut self, at_ns: u64) {
        if let Some(since_ns) = self.fails_since_ns.take() {
            keep(
                &mut self.recoveries,
                (at_ns, at_ns.saturating_sub(since_ns)),
            );
        }
    }

    /// Mean and one standard deviation of how long it takes (ns), as of a time (ns).
    pub fn response_ns(&self, now_ns: u64) -> (f64, f64) {
        spread_ns(&self.responses, now_ns).unwrap_or((RESPONSE_NS_PRIOR, RESPONSE_NS_PRIOR))
    }

    /// Within how long (ns) it acts in half of all cases, as of a time (ns).
    pub fn median_ns(&self, now_ns: u64) -> f64 {
        sampled_ns(&self.responses, 0.5, now_ns).unwrap_or(RESPONSE_NS_PRIOR)
    }

    /// Within how long (ns) it acts in such a share of cases. Beyond what the samples can show, as
    /// far as their spread says, with what few samples leave open.
    pub fn quantile_ns(&self, share: f64, now_ns: u64) -> f64 {
        told_ns(&self.responses, share, now_ns).unwrap_or(4.0 * RESPONSE_NS_PRIOR)
    }

    /// By how much longer (ns) it takes in such a share of cases where it has to prepare something. Nothing
    /// as long as little is known of the one or of the other.
    pub fn preparation_ns(&self, share: f64, now_ns: u64) -> f64 {
        if self.responses.len() < RESPONSES_FEW || self.preparations.len() < RESPONSES_FEW {
            return 0.0;
        }
        let prepares_ns = told_ns(&self.preparations, share, now_ns).unwrap_or_default();
        (prepares_ns - self.quantile_ns(share, now_ns)).max(0.0)
    }

    /// Within how long (ns) it is back after a failure in half of all cases; nothing where it has not failed
    /// and come back yet.
    pub fn recovery_ns(&self, now_ns: u64) -> Option<f64> {
        sampled_ns(&self.recoveries, 0.5, now_ns)
    }

    /// In how long (ns) it is back, if its latest outcome was a failure and it is known to come back: nothing
    /// where that should have been already.
    pub fn back_in_ns(&self, now_ns: u64) -> f64 {
        let (Some(since_ns), Some(recovery_ns)) = (self.fails_since_ns, self.recovery_ns(now_ns))
        else {
            return 0.0;
        };
        (recovery_ns - now_ns.saturating_sub(since_ns) as f64).max(0.0)
    }

    /// In which share of cases it acts at all: one in two where nothing is known. What is older than its
    /// latest outcome weighs less, by how much older; however long ago that was, it is all that is known.
    pub fn reliability(&self) -> f64 {
        let latest_ns = self.outcomes.iter().map(|(at_ns, _)| *at_ns).max();
        let (mut acted, mut all) = (1.0, 2.0);
        for (at_ns, ended_well) in &self.outcomes {
            let weight = aged(*at_ns, latest_ns.unwrap_or(*at_ns));
            all += weight;
            acted += if *ended_well { weight } else { 0.0 };
        }
        acted / all
    }

    /// Whether enough is known of it to rely on it.
    pub fn is_reliable(&self) -> bool {
        self.outcomes.len() >= OUTCOMES_FEW && !self.is_unreliable()
    }

    /// Whether it is known to fail so often that it is to be given redundancy (TIME-17).
    pub fn is_unreliable(&self) -> bool {
        self.outcomes.len() >= OUTCOMES_FEW && self.reliability() < RELIABLE_SHARE_MIN
    }
}

fn keep<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == PROFILE_SAMPLES_MAX {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// Mean and one standard deviation (ns); nothing without samples.
fn spread_ns(samples: &VecDeque<(u64, u64)>, now_ns: u64) -> Option<(f64, f64)> {
    let (mut weights, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (at_ns, took_ns) in samples {
        let (weight, took) = (aged(*at_ns, now_ns), *took_ns as f64);
        weights += weight;
        sum += weight * took;
        squares += weight * took * took;
    }
    if weights <= 0.0 {
        return None;
    }
    let mean = sum / weights;
    Some((mean, libm::sqrt((squares / weights - mean * mean).max(0.0))))
}

/// What a share of the cases does not exceed (ns), with what few samples leave open; nothing without samples.
fn told_ns(samples: &VecDeque<(u64, u64)>, share: f64, now_ns: u64) -> Option<f64> {
    let share = share.clamp(0.0, 0.999_999);
    let (mean, spread) = spread_ns(samples, now_ns)?;
    let count = samples.len() as f64;
    let open = libm::sqrt(1.0 + 1.0 / count) * (1.0 + 2.0 / count);
    let told = mean + normal_quantile(share) * spread * open;
    Some(told.max(sampled_ns(samples, share, now_ns)?))
}

/// The same of the samples alone.
fn sampled_ns(samples: &VecDeque<(u64, u64)>, share: f64, now_ns: u64) -> Option<f64> {
    let mut sorted: Vec<(u64, f64)> = samples
        .iter()
        .map(|(at_ns, took_ns)| (*took_ns, aged(*at_ns, now_ns)))
        .collect();
    sorted.sort_unstable_by_key(|(took_ns, _)| *took_ns);
    let all: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let mut below = 0.0;
    for (took_ns, weight) in &sorted {
        below += weight;
        if below >= share * all {
            return Some(*took_ns as f64);
        }
    }
    sorted.last().map(|(took_ns, _)| *took_ns as f64)
}

/// After so many half-lives a sample weighs no less.
const HALVINGS_MAX: f64 = 64.0;

/// Half the weight after each half-life.
fn aged(at_ns: u64, now_ns: u64) -> f64 {
    let halvings = now_ns.saturating_sub(at_ns) as f64 / PROFILE_HALF_LIFE_NS;
    // However old all samples are, they weigh something, or months later nothing would be known.
    libm::exp2(-halvings.min(HALVINGS_MAX))
}

/// Beyond how many deviations a normal value lies below with such a probability (Acklam, 2003; off
/// by at most 1.2e-9 of its value).
pub(super) fn normal_quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -54.476_098_798_224_06,
        161.585_836_858_040_9,
        -155.698_979_859_886_6,
        66.801_311_887_719_72,
        -13.280_681_552_885_72,
    ];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    let chain =
        |factors: &[f64], at: f64| factors.iter().fold(0.0, |sum, factor| sum * at + factor);
    let share = share.clamp(1e-12, 1.0 - 1e-12);
    if (0.02425..=0.97575).contains(&share) {
        let middle = share - 0.5;
        let square = middle * middle;
        return chain(&A, square) * middle / (chain(&B, square) * square + 1.0);
    }
    let (tail, sign) = if share < 0.5 {
        (share, 1.0)
    } else {
        (1.0 - share, -1.0)
    };
    let far = libm::sqrt(-2.0 * libm::log(tail));
    sign * chain(&C, far) / (chain(&D, far) * far + 1.0)
}
