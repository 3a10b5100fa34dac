//! Numbers of a law, from a seeded stream.

use crate::chance::Chance;

/// Draws numbers of a law.
#[derive(Clone, Debug)]
pub(crate) struct Draw(Chance);

impl Draw {
    pub(crate) fn new(seed: u64, purpose: &str, owner: u64) -> Self {
        Self(Chance::new(seed, purpose, owner))
    }

    /// Between nothing and one, neither included.
    pub(crate) fn uniform(&mut self) -> f64 {
        let bits = self.0.raw().next_u64() >> 11;
        (bits as f64 + 0.5) / (1_u64 << 53) as f64
    }

    /// One or minus one.
    pub(crate) fn sign(&mut self) -> f64 {
        if self.uniform() < 0.5 { 1.0 } else { -1.0 }
    }

    /// Exponential with mean one.
    pub(crate) fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Normal with mean nothing and deviation one (Box and Muller, 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }
}
