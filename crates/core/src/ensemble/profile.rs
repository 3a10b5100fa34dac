//! What is known of an agent: how long it takes, how surely, and how much notice it needs.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::limits::{PROFILE_HALF_LIFE_NS, PROFILE_SAMPLES_MAX, RESPONSE_NS_PRIOR};

/// One agent's profile. Younger samples weigh more.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// When it was, and how long it took (ns).
    responses: VecDeque<(u64, u64)>,
    /// Outcomes: when, and whether it acted.
    outcomes: VecDeque<(u64, bool)>,
    /// How long it prepares (ns).
    pub preparation_ns: u64,
    /// How long it takes to be back after a failure (ns).
    pub recovery_ns: u64,
}

impl Profile {
    /// It acted, and took so long (ns), at a time (ns).
    pub fn responded(&mut self, at_ns: u64, took_ns: u64) {
        if self.responses.len() == PROFILE_SAMPLES_MAX {
            self.responses.pop_front();
        }
        self.responses.push_back((at_ns, took_ns));
        self.ended(at_ns, true);
    }

    /// It did not act at a time (ns).
    pub fn failed(&mut self, at_ns: u64) {
        self.ended(at_ns, false);
    }

    fn ended(&mut self, at_ns: u64, acted: bool) {
        if self.outcomes.len() == PROFILE_SAMPLES_MAX {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((at_ns, acted));
    }

    /// Mean and one standard deviation of how long it takes (ns), as of a time (ns).
    pub fn response_ns(&self, now_ns: u64) -> (f64, f64) {
        let (mut weights, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for (at_ns, took_ns) in &self.responses {
            let (weight, took) = (aged(*at_ns, now_ns), *took_ns as f64);
            weights += weight;
            sum += weight * took;
            squares += weight * took * took;
        }
        if weights <= 0.0 {
            return (RESPONSE_NS_PRIOR, RESPONSE_NS_PRIOR);
        }
        let mean = sum / weights;
        (mean, libm::sqrt((squares / weights - mean * mean).max(0.0)))
    }

    /// Within how long (ns) it acts in half of all cases, as of a time (ns).
    pub fn median_ns(&self, now_ns: u64) -> f64 {
        if self.responses.is_empty() {
            RESPONSE_NS_PRIOR
        } else {
            self.sampled_ns(0.5, now_ns)
        }
    }

    /// Within how long (ns) it acts in such a share of cases. Beyond what the samples can show, as
    /// far as their spread says, with what few samples leave open.
    pub fn quantile_ns(&self, share: f64, now_ns: u64) -> f64 {
        let share = share.clamp(0.0, 0.999_999);
        let (mean, spread) = self.response_ns(now_ns);
        let count = self.responses.len() as f64;
        if count < 1.0 {
            return 4.0 * mean;
        }
        let open = libm::sqrt(1.0 + 1.0 / count) * (1.0 + 2.0 / count);
        let told = mean + normal_quantile(share) * spread * open;
        told.max(self.sampled_ns(share, now_ns))
    }

    fn sampled_ns(&self, share: f64, now_ns: u64) -> f64 {
        let mut sorted: Vec<(u64, f64)> = self
            .responses
            .iter()
            .map(|(at_ns, took_ns)| (*took_ns, aged(*at_ns, now_ns)))
            .collect();
        sorted.sort_unstable_by_key(|(took_ns, _)| *took_ns);
        let all: f64 = sorted.iter().map(|(_, weight)| weight).sum();
        let mut below = 0.0;
        for (took_ns, weight) in &sorted {
            below += weight;
            if below >= share * all {
                return *took_ns as f64;
            }
        }
        sorted.last().map_or(0.0, |(took_ns, _)| *took_ns as f64)
    }

    /// In which share of cases it acts at all, as of a time (ns): one in two where nothing is known.
    pub fn reliability(&self, now_ns: u64) -> f64 {
        let (mut acted, mut all) = (1.0, 2.0);
        for (at_ns, ended_well) in &self.outcomes {
            let weight = aged(*at_ns, now_ns);
            all += weight;
            acted += if *ended_well { weight } else { 0.0 };
        }
        acted / all
    }
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
