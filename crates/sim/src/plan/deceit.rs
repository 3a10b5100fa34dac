//! What the lying node does beside speaking with two tongues: it forges, keeps back, replays, and works
//! together with an agent whose key it has.

use super::{CALM_NS, Fault, MS, SECOND};
use crate::chance::Chance;
use crate::scenario::Scenario;

/// How often it forges, keeps back and replays in a seed.
const EACH: usize = 2;
/// How long the accomplice has worked at least before its end is known (ns).
const WORKED_NS: u64 = 24 * SECOND;

/// How a lying node and an agent work together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Collusion {
    /// When the executive fences the agent (virtual ns): in a partition, mostly.
    pub fenced_at: u64,
    /// Whether it fences the agent's token; else its key.
    pub by_link: bool,
    /// Whether the two date back what they write afterwards, below the fence. Not where a root is named:
    /// what a root has signed goes by stamps, and those of a new life begin anywhere
    /// (`docs/threat-model.md`, "Known holes").
    pub dates_back: bool,
}

/// A liar where agents act under tokens, beyond those that there are anywhere.
pub(super) fn liar_under_rights(scenario: &Scenario, seed: u64, rights: bool) -> Option<usize> {
    let mut chance = Chance::new(seed, "liar under rights", 0);
    let lies = chance.percent(scenario.faults.byzantine_under_rights);
    let nodes = scenario.nodes as u64;
    (rights && nodes >= 4 && lies).then(|| chance.between(1, nodes - 1) as usize)
}

/// Whether and how it works together with an agent.
pub(super) fn collude(
    scenario: &Scenario,
    seed: u64,
    faults: &[(u64, Fault)],
) -> Option<Collusion> {
    let end = scenario.safety_s * SECOND;
    let mut chance = Chance::new(seed, "collusion", 0);
    if !chance.percent(75) || scenario.agents < 5 {
        return None;
    }
    let within = WORKED_NS..end.saturating_sub(60 * SECOND);
    let cuts = faults.iter().filter_map(|(at, fault)| {
        let fenced_at = at + SECOND;
        let cut = matches!(fault, Fault::Cut(_)) && within.contains(&fenced_at);
        cut.then_some(fenced_at)
    });
    let cuts: Vec<u64> = cuts.collect();
    let cut = chance.pick(&cuts).copied();
    let anywhen = chance.between(WORKED_NS, within.end.max(WORKED_NS));
    let names = faults
        .iter()
        .any(|(_, fault)| matches!(fault, Fault::NameRoot { .. }));
    Some(Collusion {
        fenced_at: cut.filter(|_| chance.percent(80)).unwrap_or(anywhen),
        by_link: chance.percent(50),
        dates_back: chance.percent(50) && !names,
    })
}

/// When the lying node forges, keeps back, replays and colludes.
pub(super) fn deceive(
    scenario: &Scenario,
    seed: u64,
    collusion: Option<&Collusion>,
) -> Vec<(u64, Fault)> {
    let until = (scenario.safety_s * SECOND).saturating_sub(20 * SECOND);
    let until = until.max(CALM_NS);
    let mut chance = Chance::new(seed, "deceit", 0);
    let mut faults = Vec::new();
    for _ in 0..EACH {
        // Not before anybody has signed anything.
        let at = chance.between(2 * CALM_NS, until.max(2 * CALM_NS));
        faults.push((at, Fault::Forge));
        let for_ns = chance.log_between(2_000, 60_000) * MS;
        faults.push((chance.between(CALM_NS, until), Fault::Withhold { for_ns }));
        faults.push((
            chance.between(2 * CALM_NS, until.max(2 * CALM_NS)),
            Fault::Replay,
        ));
    }
    if let Some(collusion) = collusion {
        // Once while the agent may still write, so that its fence has something to keep; and then when
        // more and more members know of its end.
        let before = collusion.fenced_at.saturating_sub(6 * SECOND);
        faults.push((before, Fault::Collude));
        let mut at = collusion.fenced_at + chance.log_between(8_000, 16_000) * MS;
        for _ in 0..4 {
            faults.push((at, Fault::Collude));
            at += chance.log_between(2_000, 40_000) * MS;
        }
    }
    faults
}
