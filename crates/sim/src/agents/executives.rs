//! A second executive, and the two that end each other: at once, mostly on two sides of a cut, so that
//! neither knows of the other's fence; and a root that ends one of them below what it has fenced.

use unisono_model::{AgentId, ClusterId, FenceTarget};

use super::rights::{self, Handed, Rights};
use super::rotation::Times;
use crate::chance::Chance;

const SECOND: u64 = 1_000_000_000;
/// Which agent is the second executive.
const SECOND_EXECUTIVE: usize = 1;
/// An agent that has its token from the second executive.
const ITS_WORKER: usize = 5;

/// In so many percent of the seeds there are two, who end each other sooner or later. True if so.
pub fn draw(
    percent: u64,
    seed: u64,
    cluster: ClusterId,
    all: &mut [Rights],
    times: &Times,
) -> bool {
    let mut chance = Chance::new(seed, "second executive", 0);
    let agents = all.len() - 1;
    if agents < 4 || !chance.percent(percent) {
        return false;
    }
    let name = |number: usize| {
        let key = rights::key(seed, number as u64);
        AgentId(key.verifying_key().to_bytes())
    };
    let link = rights::executive(cluster, name(agents), name(SECOND_EXECUTIVE));
    let link = link.sign(&rights::root_key(seed, agents));
    all[SECOND_EXECUTIVE] = Rights::executive(&link);
    if ITS_WORKER + 1 < agents {
        let handed = Handed {
            cluster,
            life_ns: 10 * times.end,
            number: ITS_WORKER,
            name: &name,
        };
        let next = rights::worker(&handed, SECOND_EXECUTIVE, link.id());
        let next = next.sign(&rights::key(seed, SECOND_EXECUTIVE as u64));
        all[ITS_WORKER].hand(vec![link.clone(), next]);
    }
    let cut = chance.pick(&times.cuts).copied();
    let cut = cut.filter(|at| *at > 20 * SECOND && chance.percent(80));
    let anywhen = chance.between(30 * SECOND, times.end.max(31 * SECOND));
    let from = cut.map_or(anywhen, |cut| cut + SECOND);
    // One of them ends the other with all that it has handed on; not both, or hardly anybody would work.
    let through = FenceTarget::Link(link.id());
    let key = FenceTarget::Key(name(SECOND_EXECUTIVE));
    let target = if chance.percent(50) { through } else { key };
    let (one_at, other_at) = (from, from + chance.below(6 * SECOND));
    all[0].fences.push((one_at, target));
    all[SECOND_EXECUTIVE]
        .fences
        .push((other_at, FenceTarget::Key(name(0))));
    if chance.percent(60) {
        // Some of what it says is void in the end: the other one's fence, or both.
        let ended = [0, SECOND_EXECUTIVE][chance.below(2) as usize];
        let at = other_at + chance.between(10 * SECOND, 60 * SECOND);
        let root = &mut all[agents];
        root.fences.push((at, FenceTarget::Key(name(ended))));
    }
    true
}
