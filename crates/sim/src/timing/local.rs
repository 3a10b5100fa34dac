//! A machine's steady clock whose error is known: offset, frequency, temperature, random walk.

use super::draw::Draw;
use super::worlds::{ClockLaw, Sways};
use crate::clock::EPOCH_NS;

/// How long the machine runs when the world begins, by its own clock, ns.
pub(super) const UPTIME_NS: i64 = 86_400_000_000_000;
/// Between two values of the frequency, s.
const STEP_S: f64 = 0.1;

/// A clock over true time.
#[derive(Clone, Debug)]
pub(super) struct LocalClock {
    offset_ns: f64,
    /// Error gathered up to each step, ns, and the frequency's error within it, ns per s.
    steps: Vec<(f64, f64)>,
}

impl LocalClock {
    pub(super) fn new(seed: u64, owner: u64, law: &ClockLaw, seconds: f64) -> Self {
        let mut draw = Draw::new(seed, "timing clock", owner);
        let offset_ns = law.offset_ns * draw.sign();
        let crystal = law.crystal_ppb * draw.sign();
        let mut sway = Sway::new(law, &mut draw);
        let mut walk = 0.0;
        let mut gathered = 0.0;
        let count = (seconds / STEP_S) as usize + 100;
        let steps = (0..count).map(|step| {
            let at_s = step as f64 * STEP_S;
            let rate = crystal + sway.ppb(at_s, law, &mut draw) + walk;
            let before = gathered;
            gathered += rate * STEP_S;
            walk += law.walk_ppb * libm::sqrt(STEP_S) * draw.normal();
            (before, rate)
        });
        Self {
            offset_ns,
            steps: steps.collect(),
        }
    }

    /// What it shows at a true time (ns since the world began).
    pub(super) fn local_ns(&self, true_ns: i64) -> u64 {
        let error = self.error_ns(true_ns);
        (UPTIME_NS + true_ns + libm::round(error) as i64).max(1) as u64
    }

    fn error_ns(&self, true_ns: i64) -> f64 {
        let at_s = true_ns as f64 / 1e9;
        let step = ((at_s / STEP_S).max(0.0) as usize).min(self.steps.len() - 1);
        let (before, rate) = self.steps[step];
        self.offset_ns + before + rate * (at_s - step as f64 * STEP_S)
    }
}

/// What the temperature does to the frequency.
#[derive(Clone, Copy, Debug)]
struct Sway {
    phase: f64,
    /// Where it goes to, and where it is, of what it sways by.
    target: f64,
    now: f64,
    switches_at_s: f64,
}

impl Sway {
    fn new(law: &ClockLaw, draw: &mut Draw) -> Self {
        let phase = core::f64::consts::TAU * draw.uniform();
        let target = match law.sways {
            Sways::Sine => 0.0,
            Sways::Switched => draw.sign(),
        };
        Self {
            phase,
            target,
            now: target,
            switches_at_s: 0.0,
        }
    }

    /// What it adds to the frequency (ppb); asked in the order of time, once a step.
    fn ppb(&mut self, at_s: f64, law: &ClockLaw, draw: &mut Draw) -> f64 {
        let share = match law.sways {
            Sways::Sine => libm::sin(core::f64::consts::TAU * at_s / law.sway_s + self.phase),
            Sways::Switched => {
                while at_s >= self.switches_at_s {
                    self.target = -self.target;
                    self.switches_at_s += 0.5 * law.sway_s * draw.exponential();
                }
                let follows_s = law.sway_s / 12.0;
                self.now += (self.target - self.now) * (STEP_S / follows_s).min(1.0);
                self.now
            }
        };
        law.sway_ppb * share
    }
}

/// The cluster's time at a true time (ns since the world began).
pub(super) fn cluster_ns(true_ns: i64) -> u64 {
    EPOCH_NS.saturating_add_signed(true_ns)
}
