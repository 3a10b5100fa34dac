//! I2: what was acknowledged survives at the promised level.

use std::collections::BTreeSet;

use unisono_model::Digest;

/// An acknowledged record, or line of a note.
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
    /// It is a line of a note.
    pub is_line: bool,
}

/// Remembers what was promised, and which disks went back in time.
#[derive(Clone, Debug, Default)]
pub struct Durability {
    promised: Vec<Promised>,
    /// Machine, time of the image, time of the return to it.
    rollbacks: Vec<(usize, u64, u64)>,
    /// Machine, start and end of lives whose edits were built upon what a fork or a removal took away.
    cut_off: Vec<(usize, u64, u64)>,
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

    /// How many records a machine has acknowledged.
    pub fn count_of(&self, host: usize) -> usize {
        let promised = self.promised.iter();
        promised.filter(|promised| promised.host == host).count()
    }

    /// How many records were acknowledged.
    pub fn count(&self) -> usize {
        self.promised.len()
    }

    /// Whether everything that was promised is among what is held, except what more disks have lost
    /// than the promise spoke of.
    pub fn check(&self, held: &BTreeSet<Digest>, liars: &[usize]) -> Result<(), String> {
        for promised in &self.promised {
            let excused = liars.contains(&promised.host) || self.was_cut_off(promised);
            if held.contains(&promised.record) || excused {
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

    /// A machine says that the edits of a life, from its start until now, were built upon what does
    /// not count any more: they are shown nowhere (`CHANGELOG.md`, "Known").
    pub fn edits_cut_off(&mut self, host: usize, since: u64, now: u64) {
        self.cut_off.push((host, since, now));
    }

    fn was_cut_off(&self, promised: &Promised) -> bool {
        let mut lives = self.cut_off.iter();
        promised.is_line
            && lives.any(|(host, since, until)| {
                *host == promised.host && (*since..=*until).contains(&promised.at)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seed 899: a line that was made upon what a copied node had written.
    #[test]
    fn only_lines_of_a_life_that_was_cut_off_may_be_gone() {
        let mut kept = Durability::default();
        kept.edits_cut_off(2, 100, 200);
        let promised = |host, at, is_line| Promised {
            record: Digest::default(),
            host,
            level: 1,
            at,
            is_line,
        };
        for (host, at, is_line, gone) in [
            (2, 150, true, true),
            (2, 50, true, false),
            (2, 201, true, false),
            (1, 150, true, false),
            (2, 150, false, false),
        ] {
            let mut one = kept.clone();
            one.promise(promised(host, at, is_line));
            assert_eq!(
                one.check(&BTreeSet::new(), &[]).is_ok(),
                gone,
                "{host} {at}"
            );
        }
    }
}
