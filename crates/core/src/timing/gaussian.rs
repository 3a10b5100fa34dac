//! A normal belief about one clock and one path, carried through time and cut by edges.

use super::wander::Wander;

/// Offset (ns), frequency (ns per s), its change (ns per s²), half the path's floor (ns).
pub(super) const STATES: usize = 4;
pub(super) const OFFSET: usize = 0;
pub(super) const RATE: usize = 1;
pub(super) const DRIFT: usize = 2;
pub(super) const FLOOR: usize = 3;

pub(super) type Vector = [f64; STATES];
pub(super) type Matrix = [[f64; STATES]; STATES];

/// Mean and covariance.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaussian {
    pub(super) mean: Vector,
    pub(super) covariance: Matrix,
}

/// A belief seen along one direction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Projection {
    pub(super) mean: f64,
    pub(super) variance: f64,
    /// Covariance of each state with what is seen.
    along: Vector,
}

impl Gaussian {
    /// Carries the belief `seconds` ahead under a law of wander.
    pub(super) fn advance(&mut self, seconds: f64, wander: &Wander) {
        // The noise of a step is taken as if the frequency's change did not fade within it.
        let longest = 0.25 * wander.fade_s;
        let mut left = seconds;
        while left > 0.0 {
            let step = left.min(longest);
            left -= step;
            self.step(step, wander);
        }
    }

    fn step(&mut self, seconds: f64, wander: &Wander) {
        let move_by = transition(seconds, wander.fade_s);
        self.mean = core::array::from_fn(|row| dot(&move_by[row], &self.mean));
        // The covariance is symmetric: its rows are its columns.
        let half: Matrix = core::array::from_fn(|row| {
            core::array::from_fn(|column| dot(&move_by[row], &self.covariance[column]))
        });
        self.covariance = core::array::from_fn(|row| {
            core::array::from_fn(|column| dot(&half[row], &move_by[column]))
        });
        wander.roughen(&mut self.covariance, seconds);
    }

    /// The belief along `direction`.
    pub(super) fn project(&self, direction: &Vector) -> Projection {
        let along: Vector = core::array::from_fn(|row| dot(&self.covariance[row], direction));
        Projection {
            mean: dot(direction, &self.mean),
            variance: dot(direction, &along),
            along,
        }
    }

    /// Moves the mean by `shift` and the covariance by `-shrink` along what was projected.
    pub(super) fn absorb(&mut self, seen: &Projection, shift: f64, shrink: f64) {
        for row in 0..STATES {
            self.mean[row] += seen.along[row] * shift;
            for column in 0..STATES {
                self.covariance[row][column] -= seen.along[row] * seen.along[column] * shrink;
            }
        }
    }
}

/// Frequency integrates its change, offset integrates frequency; the change itself fades.
fn transition(seconds: f64, fade_s: f64) -> Matrix {
    let kept = libm::exp(-seconds / fade_s);
    let into_rate = fade_s * (1.0 - kept);
    let into_offset = fade_s * (seconds - into_rate);
    [
        [1.0, seconds, into_offset, 0.0],
        [0.0, 1.0, into_rate, 0.0],
        [0.0, 0.0, kept, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
