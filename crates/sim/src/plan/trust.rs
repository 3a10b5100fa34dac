//! When the root changes the authority, and when another root is put in its place.

use super::{CALM_NS, Fault, MS, SECOND};
use crate::chance::Chance;

/// The root changes the authority several times, mostly so soon after another that the second member
/// has not heard of the first word: so there are words with one number, and words that come late.
pub(super) fn succeed(chance: &mut Chance, carriers: &[usize], end: u64) -> Vec<(u64, Fault)> {
    let until = end.saturating_sub(20 * SECOND).max(CALM_NS + SECOND);
    let mut at = chance.between(CALM_NS, until);
    let mut faults = Vec::new();
    for authority in 1..=chance.between(2, 4) as u8 {
        let by = carriers[chance.below(carriers.len() as u64) as usize];
        faults.push((at, Fault::Succeed { by, authority }));
        at += chance.log_between(10, 20_000) * MS;
    }
    // The highest key does not come last.
    let turned = chance.below(faults.len() as u64) as usize;
    for (index, (_, fault)) in faults.iter_mut().enumerate() {
        if let Fault::Succeed { authority, .. } = fault {
            *authority = ((index + turned) % 4) as u8 + 1;
        }
    }
    faults
}

/// Other roots are named, mostly from now on, now and then from an earlier time; and so soon after
/// another that there are words with one number. Sometimes so late that hardly anything comes
/// afterwards that would make nodes fold everything again.
pub(super) fn name_roots(chance: &mut Chance, carriers: &[usize], end: u64) -> Vec<(u64, Fault)> {
    let until = end.saturating_sub(30 * SECOND).max(CALM_NS + SECOND);
    // Mostly while everybody is at work.
    let latest = if chance.percent(40) {
        until
    } else {
        until.min(90 * SECOND)
    };
    let mut at = chance.between(2 * CALM_NS, latest.max(2 * CALM_NS + SECOND));
    let mut faults = Vec::new();
    for root in 0..chance.between(1, 3) {
        let by = carriers[chance.below(carriers.len() as u64) as usize];
        // Not from before everybody's token lies in the logs, or nobody would work any more.
        let back_ms = (at.saturating_sub(2 * CALM_NS) / MS).clamp(1, 30_000);
        let from_ms = match chance.below(3) {
            0 => -chance.between(1, back_ms).cast_signed(),
            1 => chance.between(100, 5_000).cast_signed(),
            _ => 0,
        };
        faults.push((at, Fault::NameRoot { by, root, from_ms }));
        at += chance.log_between(10, 10_000) * MS;
    }
    faults
}
