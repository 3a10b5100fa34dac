//! Whether the deviation that is told is the deviation that is: judged by the misses.

use super::envelope::Innovation;
use super::limits;

/// Mean of the cube of the positive half of a normal variable, over three.
const MISS_EXPECTED: f64 = 0.266;
/// A single probe counts for no more than this many squared sigmas: a change of path is not news
/// about the deviation.
const MISS_MAX: f64 = 25.0;

/// Counts by how much new edges lie beyond what was believed. If the belief has the sigma that it
/// says and queueing the mean q, the squares of the misses (in sigmas) sum up to 0.266 sigma / q
/// per edge; if it is k times as wide in truth, to k³ times as much. So k is the cube root of the
/// quotient. This is an innovation test (Mehra, 1970) for edges instead of means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calibration {
    missed: f64,
    expected: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self {
            missed: limits::CALIBRATION_PRIOR,
            expected: limits::CALIBRATION_PRIOR,
        }
    }
}

impl Calibration {
    /// Takes note of a new edge, under mean queueing as measured.
    pub(super) fn saw(&mut self, new: &Innovation, queue_ns: f64) {
        let miss = new.sigmas.max(0.0);
        let kept = limits::CALIBRATION_MEMORY;
        let prior = (1.0 - kept) * limits::CALIBRATION_PRIOR;
        let expected = MISS_EXPECTED * (new.sigma_ns / queue_ns).min(1.0);
        self.missed = kept * self.missed + prior + (miss * miss).min(MISS_MAX);
        self.expected = kept * self.expected + prior + expected;
    }

    /// By what the deviation is to be widened; never below one.
    pub(super) fn factor(&self) -> f64 {
        libm::cbrt(self.missed / self.expected).clamp(1.0, limits::CALIBRATION_MAX)
    }
}
