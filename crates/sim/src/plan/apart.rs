//! Faults that are drawn apart from the others: one more kind of them shifts no other.

use super::trust::{name_roots, succeed};
use super::{CALM_NS, Directions, Fault, MS, SECOND, SIGNED_MS};
use crate::chance::Chance;
use crate::scenario::Scenario;

/// A newcomer is cut off when it knocks, for so long that nobody answers its calls and what it kept
/// for them is dropped.
fn cut_newcomer(chance: &mut Chance, nodes: usize) -> [(u64, Fault); 2] {
    let host = chance.between(1, nodes as u64 - 1) as usize;
    let until = chance.between(8_000, 20_000) * MS;
    let others = (0..nodes).filter(|other| *other != host);
    let cut: Directions = others
        .flat_map(|other| [(host, other), (other, host)])
        .collect();
    [(0, Fault::Cut(cut.clone())), (until, Fault::Mend(cut))]
}

/// All of them.
pub(super) fn drawn_apart(
    scenario: &Scenario,
    seed: u64,
    liar: Option<usize>,
) -> Vec<(u64, Fault)> {
    let (mix, nodes) = (&scenario.faults, scenario.nodes);
    let end = scenario.safety_s * SECOND;
    let mut faults = Vec::new();
    if nodes <= 2 {
        return faults;
    }
    let mut knocking = Chance::new(seed, "knocking", 0);
    if knocking.percent(mix.cut_newcomers) {
        faults.extend(cut_newcomer(&mut knocking, nodes));
    }
    let mut setting = Chance::new(seed, "clock set", 0);
    if setting.percent(mix.hour_steps) {
        faults.extend(hour_step(&mut setting, nodes, end));
    }
    if liar.is_some() {
        let mut outsiders = Chance::new(seed, "outsiders", 0);
        for fault in [Fault::Ghost, Fault::Flood, Fault::Ghost, Fault::Flood] {
            let at = outsiders.between(CALM_NS, end.saturating_sub(20 * SECOND).max(CALM_NS));
            faults.push((at, fault));
        }
    }
    let mut removing = Chance::new(seed, "removing", 0);
    if nodes >= 4 && liar.is_none() && removing.percent(mix.byzantine) {
        faults.extend(remove(&mut removing, nodes, end));
    }
    let carriers: Vec<usize> = (0..nodes)
        .filter(|host| Some(*host) != liar && !has_to_do_with_removal(&faults, *host))
        .collect();
    let mut succeeding = Chance::new(seed, "authorities", 0);
    if !carriers.is_empty() && succeeding.percent(mix.rights) {
        faults.extend(succeed(&mut succeeding, &carriers, end));
    }
    let mut naming = Chance::new(seed, "roots", 0);
    if !carriers.is_empty() && naming.percent(mix.rights / 3) {
        faults.extend(name_roots(&mut naming, &carriers, end));
    }
    let mut leaving = Chance::new(seed, "leaving", 0);
    if leaving.percent(mix.leaves) {
        let (host, at, leave) = leave(&mut leaving, nodes, end);
        if liar != Some(host) {
            faults.push((at, leave));
        }
    }
    faults
}

/// Whether the root says at this member, or of it, that somebody goes: what it says there has a place
/// in a chain that another word would take.
fn has_to_do_with_removal(faults: &[(u64, Fault)], host: usize) -> bool {
    let mut faults = faults.iter();
    faults.any(|(_, fault)| match fault {
        Fault::Remove { host: gone, by } => host == *gone || host == *by,
        _ => false,
    })
}

/// A member is removed, and comes back as a new life with the disk of the day before.
fn remove(chance: &mut Chance, nodes: usize, end: u64) -> [(u64, Fault); 3] {
    let host = chance.below(nodes as u64) as usize;
    let by = (host + chance.between(1, nodes as u64 - 1) as usize) % nodes;
    let until = end.saturating_sub(80 * SECOND).max(CALM_NS + SECOND);
    let at = chance.between(CALM_NS + SECOND, until);
    let image = chance.between(CALM_NS, at);
    let back = at + chance.log_between(2_000, 60_000) * MS;
    let down_ns = chance.log_between(1_000, 20_000) * MS;
    [
        (image, Fault::Image { host }),
        (at, Fault::Remove { host, by }),
        (back, Fault::Rollback { host, down_ns }),
    ]
}

fn leave(chance: &mut Chance, nodes: usize, end: u64) -> (usize, u64, Fault) {
    let host = chance.below(nodes as u64) as usize;
    let until = end.saturating_sub(60 * SECOND).max(CALM_NS);
    let at = chance.between(CALM_NS, until);
    let away_ns = chance.log_between(1_000, 60_000) * MS;
    let away_ns = chance.percent(50).then_some(away_ns);
    (host, at, Fault::Leave { host, away_ns })
}

/// Somebody sets a wall clock by an hour or more, and back before long.
fn hour_step(chance: &mut Chance, nodes: usize, end: u64) -> [(u64, Fault); 2] {
    let host = chance.below(nodes as u64) as usize;
    let at = chance.between(CALM_NS, end.saturating_sub(60 * SECOND).max(CALM_NS));
    let size = chance.log_between(3_600_000, 48 * 3_600_000).cast_signed() * SIGNED_MS;
    let by_ns = if chance.percent(70) { size } else { -size };
    let back = at + chance.log_between(50, 40_000) * MS;
    let step = |by_ns| Fault::Step { host, by_ns };
    [(at, step(by_ns)), (back, step(-by_ns))]
}
