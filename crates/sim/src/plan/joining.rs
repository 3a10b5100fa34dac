//! Who joins by an invite: which machines wait for one, who holds the authority's key, and what comes
//! between them.

use super::{CALM_NS, Directions, Fault, MS, SECOND};
use crate::chance::Chance;
use crate::scenario::Scenario;

/// Most machines that join by an invite in a seed.
const NEWCOMERS_MAX: usize = 2;
/// How many machines hold the authority's key.
const ISSUERS: usize = 2;

/// Machines that are switched on once an invite has let them in, and what becomes of one that has to
/// leave again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Joining {
    /// Which.
    pub newcomers: Vec<usize>,
    /// The machines that hold the authority's key.
    pub issuers: Vec<usize>,
    /// How many of a hundred answers to a newcomer are lost.
    pub lost_percent: u64,
    /// How long after it has begun to leave an outdone machine loses power (ns), if it does.
    pub crash_after_ns: Option<u64>,
    /// How long after it has left it is switched on once more (ns), if it is.
    pub back_after_ns: Option<u64>,
}

/// Adds what happens around invites, in the seeds that have some.
pub(super) fn join(
    scenario: &Scenario,
    seed: u64,
    liar: Option<usize>,
    faults: &mut Vec<(u64, Fault)>,
) -> Option<Joining> {
    let mut chance = Chance::new(seed, "invites", 0);
    if scenario.nodes < 4 || !chance.percent(scenario.faults.invites) {
        return None;
    }
    let stay: Vec<usize> = (0..scenario.nodes)
        .filter(|host| Some(*host) != liar && !goes(faults, *host))
        .collect();
    // Others knock at the first two.
    let mut newcomers: Vec<usize> = stay.iter().copied().filter(|host| *host >= 2).collect();
    while newcomers.len() > NEWCOMERS_MAX.min(stay.len().saturating_sub(ISSUERS)) {
        newcomers.remove(chance.below(newcomers.len() as u64) as usize);
    }
    let mut issuers: Vec<usize> = stay
        .into_iter()
        .filter(|host| !newcomers.contains(host))
        .collect();
    while issuers.len() > ISSUERS {
        issuers.remove(chance.below(issuers.len() as u64) as usize);
    }
    if newcomers.is_empty() || issuers.len() < ISSUERS {
        return None;
    }
    if chance.percent(50) {
        issuers.reverse();
        newcomers.reverse();
    }
    let crash = chance.log_between(10, 3_000) * MS;
    let back = chance.log_between(2_000, 20_000) * MS;
    let joining = Joining {
        lost_percent: if chance.percent(50) { 40 } else { 0 },
        crash_after_ns: chance.percent(50).then_some(crash),
        back_after_ns: chance.percent(50).then_some(back),
        newcomers,
        issuers,
    };
    let end = scenario.safety_s * SECOND;
    let until = end.saturating_sub(120 * SECOND).max(CALM_NS + SECOND);
    let made = chance.between(CALM_NS, until);
    let by = joining.issuers[0];
    faults.push((made, Fault::Invite { by, invite: 0 }));
    faults.extend(match (joining.newcomers.as_slice(), chance.below(10)) {
        ([one, other], 2..=6) => {
            on_two_sides(&mut chance, scenario, &joining, made, [*one, *other])
        }
        ([one, other], 7..) => at_a_restored(&mut chance, scenario, &joining, made, [*one, *other]),
        _ => one_by_one(&mut chance, &joining, made),
    });
    if liar.is_some() {
        for _ in 0..3 {
            let at = made + chance.log_between(2_000, 60_000) * MS;
            faults.push((at, Fault::FalseInvites));
        }
    }
    Some(joining)
}

/// Whether a member leaves by wish, or has to do with a removal.
fn goes(faults: &[(u64, Fault)], host: usize) -> bool {
    let mut faults = faults.iter();
    faults.any(|(_, fault)| match fault {
        Fault::Remove { host: gone, by } => host == *gone || host == *by,
        Fault::Leave { host: gone, .. } => host == *gone,
        _ => false,
    })
}

/// Each by an invite of its own, or both by the same at two doors.
fn one_by_one(chance: &mut Chance, joining: &Joining, made: u64) -> Vec<(u64, Fault)> {
    let same = chance.percent(50);
    let mut faults = Vec::new();
    let mut at = made;
    for (index, host) in joining.newcomers.iter().copied().enumerate() {
        let door = joining.issuers[index % ISSUERS];
        let invite = if same { 0 } else { index as u8 };
        at += chance.log_between(20, 20_000) * MS;
        if invite > 0 {
            faults.push((at, Fault::Invite { by: door, invite }));
        }
        faults.push((
            at,
            Fault::Join {
                host,
                at: door,
                invite,
            },
        ));
    }
    faults
}

/// Both by one invite, at two issuers on two sides of a cut.
fn on_two_sides(
    chance: &mut Chance,
    scenario: &Scenario,
    joining: &Joining,
    made: u64,
    newcomers: [usize; 2],
) -> Vec<(u64, Fault)> {
    let at = made + chance.between(5_000, 20_000) * MS;
    let until = at + chance.log_between(10_000, 60_000) * MS;
    let sides: Vec<usize> = (0..scenario.nodes)
        .map(|host| {
            let drawn = chance.below(2) as usize;
            let fixed = [0, 1]
                .into_iter()
                .find(|side| newcomers[*side] == host || joining.issuers[*side] == host);
            fixed.unwrap_or(drawn)
        })
        .collect();
    let mut faults = between(&sides, at, until);
    for (host, door) in newcomers.into_iter().zip(&joining.issuers) {
        let at = at + chance.between(100, 3_000) * MS;
        faults.push((
            at,
            Fault::Join {
                host,
                at: *door,
                invite: 0,
            },
        ));
    }
    faults
}

/// The second one at an issuer that came back with the disk of before it let the first one in: behind
/// a cut, mostly, where nobody tells it.
fn at_a_restored(
    chance: &mut Chance,
    scenario: &Scenario,
    joining: &Joining,
    made: u64,
    [first, second]: [usize; 2],
) -> Vec<(u64, Fault)> {
    let door = joining.issuers[0];
    let imaged = made + chance.between(4_000, 8_000) * MS;
    let restored = imaged + chance.between(8_000, 30_000) * MS;
    let down_ns = chance.between(500, 2_000) * MS;
    let join = |host| Fault::Join {
        host,
        at: door,
        invite: 0,
    };
    let mut faults = vec![
        (imaged, Fault::Image { host: door }),
        (imaged + 100 * MS, join(first)),
        (
            restored,
            Fault::Rollback {
                host: door,
                down_ns,
            },
        ),
        (restored + down_ns, join(second)),
    ];
    if chance.percent(75) {
        let apart = |host: usize| usize::from(host == door || host == second);
        let sides: Vec<usize> = (0..scenario.nodes).map(apart).collect();
        let until = restored + chance.log_between(10_000, 40_000) * MS;
        faults.extend(between(&sides, restored, until));
    }
    faults
}

/// A cut between two sides, in both directions.
fn between(sides: &[usize], at: u64, until: u64) -> Vec<(u64, Fault)> {
    let hosts = 0..sides.len();
    let cut: Directions = hosts
        .clone()
        .flat_map(|one| hosts.clone().map(move |other| (one, other)))
        .filter(|(one, other)| sides[*one] != sides[*other])
        .collect();
    vec![(at, Fault::Cut(cut.clone())), (until, Fault::Mend(cut))]
}
