//! Barriers: who hears of arrivals in whichever order finds the same opening.

use unisono_core::orchestra::together::Barriers;
use unisono_model::{AgentId, Arrival, Digest, Place, Stamp};

fn arrival(of: u16, lead_ms: u32, patience_ms: u64) -> Arrival {
    Arrival {
        barrier: "door".into(),
        of,
        lead_ms,
        patience_ms,
    }
}

fn place(at_ms: u64) -> Place {
    Place {
        stamp: Stamp::from_ms(at_ms),
        record: Digest::of("test", &[&at_ms.to_le_bytes()]),
    }
}

fn agent(number: u8) -> AgentId {
    AgentId([number; 32])
}

fn folded(arrivals: &[(u64, u8, Arrival)]) -> Barriers {
    let mut barriers = Barriers::default();
    for (at_ms, who, arrival) in arrivals {
        barriers.insert(place(*at_ms), agent(*who), arrival);
    }
    barriers
}

#[test]
fn it_opens_for_as_many_as_it_takes_the_longest_lead_after_the_last() {
    let each = [
        (1_000, 1, arrival(3, 900, 60_000)),
        (2_000, 2, arrival(3, 400, 60_000)),
        // Twice is once.
        (2_500, 2, arrival(3, 400, 60_000)),
        (3_000, 3, arrival(3, 100, 60_000)),
        (4_000, 4, arrival(3, 100, 60_000)),
    ];
    let mut turned = each.clone();
    turned.reverse();
    let (barriers, other) = (folded(&each), folded(&turned));
    let before = barriers.read(Stamp::from_ms(2_900));
    assert_eq!((before[0].waiting.len(), &before[0].opened), (2, &None));
    let at = Stamp::from_ms(5_000);
    assert_eq!(barriers.read(at), other.read(at));
    let after = &barriers.read(at)[0];
    let opening = after.opened.as_ref().expect("three waited");
    assert_eq!(opening.opens_ns, place(3_000).stamp.as_ns() + 900_000_000);
    let mut who: Vec<AgentId> = opening.agents.iter().map(|(agent, _)| *agent).collect();
    who.sort_unstable();
    assert_eq!(who, [agent(1), agent(2), agent(3)]);
    assert_eq!(
        after.waiting,
        [(agent(4), place(4_000))],
        "the next round has begun"
    );
}

#[test]
fn who_gives_up_is_not_counted_and_other_numbers_are_other_barriers() {
    let barriers = folded(&[
        (1_000, 1, arrival(2, 100, 500)),
        (2_000, 2, arrival(2, 100, 60_000)),
        (2_100, 3, arrival(3, 100, 60_000)),
    ]);
    let told = barriers.read(Stamp::from_ms(3_000));
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|one| one.opened.is_none() && one.waiting.len() == 1),
        "{told:?}"
    );
}

#[test]
fn an_earlier_arrival_that_comes_late_makes_it_open_earlier_and_pruning_keeps_what_counts() {
    let late = (1_500, 3, arrival(2, 100, 60_000));
    let known = [
        (1_000, 1, arrival(2, 100, 60_000)),
        (2_000, 2, arrival(2, 100, 60_000)),
    ];
    let at = Stamp::from_ms(2_500);
    let opens = |barriers: &Barriers| barriers.read(at)[0].opened.as_ref().map(|one| one.last);
    assert_eq!(opens(&folded(&known)), Some(place(2_000)));
    let mut all = known.to_vec();
    all.push(late);
    assert_eq!(opens(&folded(&all)), Some(place(1_500)));
    let mut pruned = folded(&all);
    pruned.prune(Stamp::from_ms(2_200));
    assert_eq!(pruned.read(at), folded(&all).read(at));
    assert_eq!(
        pruned.weight(),
        2,
        "the opening, and who came for the next round"
    );
    pruned.prune(Stamp::from_ms(2 * 3_600_000));
    assert_eq!(pruned.weight(), 0, "an hour later nothing is left");
}
