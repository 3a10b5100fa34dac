//! I2: what was acknowledged survives at the promised level.

use std::collections::BTreeSet;

use unisono_model::Digest;

/// An acknowledged record.
#[derive(Clone, Debug)]
pub struct Promised {
    /// Its name.
    pub record: Digest,
    /// The machine that promised.
    pub host: usize,
    /// On how many disks it was said to be.
    pub level: u16,
    /// When (virtual ns).
    pub at: u64,
}

/// Remembers what was promised, and which disks went back in time.
#[derive(Clone, Debug, Default)]
pub struct Durability {
    promised: Vec<Promised>,
    /// Machine, time of the image, time of the return to it.
    rollbacks: Vec<(usize, u64, u64)>,
    /// Times and machines of failed syncs: what was on that disk only may be gone.
    losses: Vec<(usize, u64)>,
}

impl Durability {
    /// A node has acknowledged a record.
    pub fn promise(&mut self, promised: Promised) {
        self.promised.push(promised);
    }

    /// A disk went back to an image.
    pub fn rolled_back(&mut self, host: usize, image_at: u64, now: u64) {
        self.rollbacks.push((host, image_at, now));
    }

    /// How many records were acknowledged.
    pub fn count(&self) -> usize {
        self.promised.len()
    }

    /// Whether everything that was promised is among what is held, except what more disks have lost
    /// than the promise spoke of.
    pub fn check(&self, held: &BTreeSet<Digest>, liars: &[usize]) -> Result<(), String> {
        for promised in &self.promised {
            if held.contains(&promised.record) || liars.contains(&promised.host) {
                continue;
            }
            let lost: BTreeSet<usize> = self
                .rollbacks
                .iter()
                .filter(|(_, image, now)| *image < promised.at && promised.at < *now)
                .map(|(host, _, _)| *host)
                .collect();
            let budget = lost.len() >= usize::from(promised.level);
            let at_home = promised.level <= 1 && !lost.contains(&promised.host);
            if !budget || at_home {
                return Err(format!(
                    "record {} was acknowledged by machine {} at {} ns on {} disks and is gone",
                    promised.record, promised.host, promised.at, promised.level
                ));
            }
        }
        Ok(())
    }

    /// A sync has failed on a machine.
    pub fn sync_failed(&mut self, host: usize, now: u64) {
        self.losses.push((host, now));
    }
}
