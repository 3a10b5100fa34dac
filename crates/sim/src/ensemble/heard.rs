//! Event sources of three kinds, and how often what was foretold came true.

use unisono_core::ensemble::{EventSource, Pattern};

use crate::timing::draw::Draw;

/// Events of a run, and from which on they count.
const EVENTS: usize = 600;
const SETTLED: usize = 100;
/// Within what an event was foretold, ns.
const TOLERANCE_NS: u64 = 20_000_000;

/// What was foretold, and came true.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heard {
    /// Events that were foretold with enough confidence to prepare.
    pub sure: u64,
    /// Of these, how many came within the tolerance.
    pub sure_right: u64,
    /// All events that count.
    pub all: u64,
    /// Per tenth of confidence: how many were foretold so, how many came true, and the sum of what
    /// was stated.
    pub bins: [(u64, u64, f64); 10],
    /// The same before calibration.
    pub raw: [(u64, u64, f64); 10],
    /// How often the pattern was recognised.
    pub recognised: u64,
}

/// Listens to one source.
pub fn hear(seed: u64, pattern: Pattern) -> Heard {
    let mut draw = Draw::new(seed, "ensemble source", pattern as u64);
    let mut source = EventSource::new(TOLERANCE_NS);
    // From a source that keeps time to one that hardly does.
    let unsteady = 0.002 + 0.1 * draw.uniform();
    let mut now_ns = 1_000_000_000_u64;
    let mut heard = Heard::default();
    let mut run = 0_u32;
    for event in 0..EVENTS {
        let interval = match pattern {
            Pattern::Periodic => 500e6,
            Pattern::Alternating if event % 2 == 0 => 300e6,
            Pattern::Alternating => 700e6,
            Pattern::Bursty => {
                run = (run + 1) % if draw.uniform() < 0.9 { 5 } else { 4 };
                if run == 0 { 2_000e6 } else { 100e6 }
            }
        };
        let interval: f64 = (interval * (1.0 + unsteady * draw.normal())).max(1e6);
        let next_ns = now_ns + interval as u64;
        if let Some(foretold) = source.next().filter(|_| event >= SETTLED) {
            let right = foretold.at_ns.abs_diff(next_ns) <= TOLERANCE_NS;
            heard.note(foretold.confidence, foretold.stated, right);
            heard.recognised += u64::from(foretold.pattern == pattern);
            if let unisono_core::ensemble::Plan::Prepare { .. } = source.plan(50_000_000) {
                heard.sure += 1;
                heard.sure_right += u64::from(right);
            }
        }
        now_ns = next_ns;
        source.came(now_ns);
    }
    heard
}

impl Heard {
    fn note(&mut self, confidence: f64, stated: f64, right: bool) {
        self.all += 1;
        for (bins, said) in [(&mut self.bins, confidence), (&mut self.raw, stated)] {
            let bin = &mut bins[((said * 10.0) as usize).min(9)];
            bin.0 += 1;
            bin.1 += u64::from(right);
            bin.2 += said;
        }
    }

    /// Adds what another source showed.
    pub fn add(&mut self, other: &Self) {
        self.sure += other.sure;
        self.sure_right += other.sure_right;
        self.all += other.all;
        self.recognised += other.recognised;
        for (bins, others) in [(&mut self.bins, &other.bins), (&mut self.raw, &other.raw)] {
            for (bin, more) in bins.iter_mut().zip(others) {
                bin.0 += more.0;
                bin.1 += more.1;
                bin.2 += more.2;
            }
        }
    }

    /// By how much confidence and truth differ, on average over all that was foretold.
    pub fn miscalibration(bins: &[(u64, u64, f64); 10]) -> f64 {
        let all: u64 = bins.iter().map(|bin| bin.0).sum();
        let off = bins
            .iter()
            .map(|(_, right, said)| (*right as f64 - said).abs());
        off.sum::<f64>() / all.max(1) as f64
    }
}
