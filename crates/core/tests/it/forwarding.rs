//! Between regions one node forwards and one is forwarded to; when either dies or is cut off, the
//! next takes over.

use std::collections::BTreeMap;

use unisono_core::node::Question;
use unisono_core::orchestra::view::{ClaimsWanted, View};
use unisono_model::Action;

use crate::loopback::Loop;

/// Two regions of three, everybody connected.
fn two_regions() -> Loop {
    let mut world = Loop::in_regions(vec!["east", "east", "east", "west", "west", "west"]);
    for one in 0..6 {
        for other in one + 1..6 {
            world.connect(one, other, true);
        }
    }
    world.open(0);
    world.run_ms(2_000);
    world.enrol(0, "ada");
    world.run_ms(1_000);
    world.relayed.clear();
    world
}

fn claim(world: &mut Loop, index: usize, topic: &str) {
    let action = Action::Claim {
        topic: topic.into(),
        lease_ms: 30_000,
    };
    world.act(index, "ada", action).expect("granted");
}

/// Between whom bundles went from the east to the west, each pair once.
fn ways(world: &Loop) -> Vec<(usize, usize)> {
    let mut ways: Vec<(usize, usize)> = world
        .relayed
        .iter()
        .filter(|(from, ..)| *from < 3)
        .map(|(from, to, _)| (*from, *to))
        .collect();
    ways.sort_unstable();
    ways.dedup();
    ways
}

fn shows(world: &mut Loop, index: usize, wanted: &str) -> bool {
    match world.view(index, Question::Claims(ClaimsWanted::default())) {
        Ok(View::Claims(claims)) => claims.iter().any(|claim| claim.topic == wanted),
        other => panic!("no claims: {other:?}"),
    }
}

#[test]
fn a_bundle_crosses_between_regions_once() {
    let mut world = two_regions();
    for number in 0..5 {
        claim(&mut world, 0, &format!("topic {number}"));
        world.run_ms(300);
    }
    let mut times: BTreeMap<&[u8], u32> = BTreeMap::new();
    for (_, _, bundle) in &world.relayed {
        *times.entry(bundle).or_default() += 1;
    }
    assert!(times.len() >= 5, "the claims at least: {}", times.len());
    assert!(times.values().all(|times| *times == 1), "no bundle twice");
    assert_eq!(ways(&world).len(), 1, "one forwarder, one receiver");
}

#[test]
fn the_next_forwards_as_soon_as_the_forwarder_is_known_to_be_gone() {
    for at_the_sending_end in [true, false] {
        let mut world = two_regions();
        claim(&mut world, 0, "before");
        world.run_ms(300);
        let (sender, receiver) = ways(&world)[0];
        let gone = if at_the_sending_end { sender } else { receiver };
        for other in (0..6).filter(|other| *other != gone) {
            world.cut.push((gone, other));
            world.connect(gone, other, false);
        }
        world.relayed.clear();
        let writer = (0..3).find(|node| *node != gone).expect("two are left");
        if writer != 0 {
            world.enrol(writer, "bob");
        }
        let agent = if writer == 0 { "ada" } else { "bob" };
        let west: Vec<usize> = (3..6).filter(|node| *node != gone).collect();
        world.run_ms(300);
        world.relayed.clear();
        let action = Action::Claim {
            topic: "after".into(),
            lease_ms: 30_000,
        };
        world.act(writer, agent, action).expect("granted");
        world.run_ms(20);
        let crossed = ways(&world);
        assert_eq!(crossed.len(), 1, "{crossed:?}");
        let (sends, takes) = crossed[0];
        assert!(sends != gone && takes != gone, "{crossed:?} without {gone}");
        for node in west {
            assert!(shows(&mut world, node, "after"), "node {node}");
        }
    }
}
