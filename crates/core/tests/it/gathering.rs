//! Own work gathers while peers have not yet acknowledged what was written before: with sixteen
//! writers on three nodes, two records in a bundle made every replica sign, verify and sync twice
//! as often as five do.

use unisono_core::node::{Promise, Work};
use unisono_model::{Action, Presence, Status};

use crate::loopback::Loop;

fn two_nodes() -> Loop {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    for agent in ["ada", "bach", "clara"] {
        world.enrol(0, agent);
    }
    world.run_ms(2_000);
    world
}

fn write(world: &mut Loop, agent: &str, durable_on: u16) {
    let presence = Presence {
        status: Status::Active,
        intent: "to write".into(),
        focus: String::new(),
    };
    let work = Work::Act {
        agent: agent.into(),
        action: Action::Presence(presence),
        key: None,
    };
    let promise = Promise {
        durable_on,
        ..Promise::default()
    };
    world.submit(0, "main", work, promise);
}

/// How many bundles of the first node's log its disk has.
fn bundles(world: &Loop) -> usize {
    let log = world.nodes[0].log();
    let keys = world.memories[0].bundles.keys();
    let main = unisono_model::OrchestraId::of(crate::loopback::CLUSTER, "main");
    keys.filter(|(orchestra, of, _)| *of == log && *orchestra == main)
        .count()
}

#[test]
fn work_gathers_while_another_disk_is_waited_for_and_no_longer() {
    let mut world = two_nodes();
    world.cut = vec![(0, 1)];
    let before = bundles(&world);
    write(&mut world, "ada", 2);
    assert_eq!(bundles(&world), before + 1, "the first waits for nobody");
    write(&mut world, "bach", 2);
    write(&mut world, "clara", 2);
    assert_eq!(bundles(&world), before + 1, "the others gather");
    world.run_ms(4);
    assert_eq!(bundles(&world), before + 2, "and go together");
}

#[test]
fn work_that_no_other_disk_is_waited_for_is_written_at_once() {
    let mut world = two_nodes();
    world.cut = vec![(0, 1)];
    let before = bundles(&world);
    for (index, agent) in ["ada", "bach", "clara"].into_iter().enumerate() {
        write(&mut world, agent, 1);
        assert_eq!(bundles(&world), before + index + 1);
    }
}
