//! How clocks wander, as a few laws between which the evidence decides.

use super::gaussian::{DRIFT, FLOOR, Matrix, OFFSET, RATE};

/// One law: a frequency that walks at random, and a change of frequency (temperature) that comes
/// and fades (an Ornstein-Uhlenbeck process).
#[derive(Clone, Copy, Debug)]
pub(super) struct Wander {
    /// Random walk of the frequency, ppb per root second.
    pub(super) walk_ppb: f64,
    /// Standard deviation of the frequency's change, ppb per second.
    pub(super) drift_ppb: f64,
    /// How long a change of frequency lasts, s.
    pub(super) fade_s: f64,
    /// Random walk of half the path's floor, ns per root second.
    pub(super) floor_ns: f64,
}

/// From a clock in a cellar to one beside a fan that starts and stops: random walk (ppb per root
/// second), change of frequency (ppb per second), how long it lasts (s).
pub(super) const LAWS: [(f64, f64, f64); 4] = [
    (1.0, 0.3, 300.0),
    (1.0, 1.5, 300.0),
    (3.0, 5.0, 200.0),
    (5.0, 12.0, 150.0),
];

impl Wander {
    pub(super) fn law((walk_ppb, drift_ppb, fade_s): (f64, f64, f64), floor_ns: f64) -> Self {
        Self {
            walk_ppb,
            drift_ppb,
            fade_s,
            floor_ns,
        }
    }

    /// Adds what `seconds` of wander do to a covariance.
    pub(super) fn roughen(&self, covariance: &mut Matrix, seconds: f64) {
        let (one, two, three) = (seconds, seconds * seconds, seconds * seconds * seconds);
        let walk = self.walk_ppb * self.walk_ppb;
        let drift = 2.0 * self.drift_ppb * self.drift_ppb / self.fade_s;
        covariance[OFFSET][OFFSET] += walk * three / 3.0 + drift * three * two / 20.0;
        covariance[OFFSET][RATE] += walk * two / 2.0 + drift * two * two / 8.0;
        covariance[RATE][OFFSET] = covariance[OFFSET][RATE];
        covariance[OFFSET][DRIFT] += drift * three / 6.0;
        covariance[DRIFT][OFFSET] = covariance[OFFSET][DRIFT];
        covariance[RATE][RATE] += walk * one + drift * three / 3.0;
        covariance[RATE][DRIFT] += drift * two / 2.0;
        covariance[DRIFT][RATE] = covariance[RATE][DRIFT];
        covariance[DRIFT][DRIFT] += drift * one;
        covariance[FLOOR][FLOOR] += self.floor_ns * self.floor_ns * one;
    }

    /// By how much (ns, one sigma) a clock leaves a parabola within `seconds`.
    pub(super) fn astray_ns(&self, seconds: f64) -> f64 {
        let three = seconds * seconds * seconds;
        let drift = 2.0 * self.drift_ppb * self.drift_ppb / self.fade_s;
        let walk = self.walk_ppb * self.walk_ppb * three / 3.0;
        libm::sqrt(walk + drift * three * seconds * seconds / 20.0)
    }
}
