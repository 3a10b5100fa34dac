//! The only source of chance: one stream per purpose and owner, each derived from the seed by
//! hashing, so that one more node, agent or draw shifts nobody else's luck.

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use unisono_model::Digest;

/// A seeded stream of numbers.
#[derive(Clone, Debug)]
pub struct Chance(ChaCha8Rng);

impl Chance {
    /// The stream of one purpose of one owner (a node, an agent, a link) under a seed.
    pub fn new(seed: u64, purpose: &str, owner: u64) -> Self {
        let key = Digest::of(
            "unisono/sim-chance/v1",
            &[
                &seed.to_le_bytes(),
                &owner.to_le_bytes(),
                purpose.as_bytes(),
            ],
        );
        Self(ChaCha8Rng::from_seed(key.0))
    }

    /// A number below `bound`; zero where the bound is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of a plain remainder is far below anything that a simulation could show.
        if bound == 0 {
            0
        } else {
            self.0.next_u64() % bound
        }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// A number from `low` to `high`, every order of magnitude as likely as the next.
    pub fn log_between(&mut self, low: u64, high: u64) -> u64 {
        let low = low.max(1);
        let doublings = (high / low).max(1).ilog2() + 1;
        let base = low << self.below(u64::from(doublings));
        self.between(base, base * 2).min(high)
    }

    /// A number from `-most` to `most`.
    pub fn signed(&mut self, most: u64) -> i64 {
        self.between(0, 2 * most).cast_signed() - most.cast_signed()
    }

    /// True in `ppm` of a million draws.
    pub fn per_million(&mut self, ppm: u64) -> bool {
        self.below(1_000_000) < ppm
    }

    /// True in `percent` of a hundred draws.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A wait around `mean`: between nothing and twice as long.
    pub fn around(&mut self, mean: u64) -> u64 {
        self.below(mean.saturating_mul(2).saturating_add(1))
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    /// 16 random bytes.
    pub fn bytes16(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Some random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// The stream as the core wants it.
    pub fn raw(&mut self) -> &mut dyn RngCore {
        &mut self.0
    }
}
