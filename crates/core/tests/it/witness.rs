//! Members bear witness of how far the logs of others have come: of what they have held for a while,
//! by the others' own signatures, and only when something was said.

use unisono_core::context::{StrictVerifier, Verifier};
use unisono_core::node::limits::{WITNESS_EVERY_MS, WITNESSES};
use unisono_model::{Action, BundleHeader, NodeId, OrchestraId, wire::Signature};

use crate::loopback::{CLUSTER, Loop};

type Head = (BundleHeader, Signature);

fn main_id() -> OrchestraId {
    OrchestraId::of(CLUSTER, "main")
}

/// Who has borne witness of what, by all logs that node 0 holds.
fn witnessed(world: &Loop) -> Vec<(NodeId, Head)> {
    let home = world.nodes[0].cluster_orchestra();
    let mut all = Vec::new();
    for ((orchestra, log, _), bytes) in &world.memories[0].bundles {
        let (bundle, body) = unisono_model::SignedBundle::decode(bytes).expect("on disk");
        assert_eq!(
            (bundle.header.orchestra, bundle.header.log),
            (*orchestra, *log)
        );
        for record in body.records.iter().filter(|_| *orchestra == home) {
            let read = unisono_model::RecordBody::decode(&record.body.0).expect("a record");
            if let Action::Witness(witness) = read.action {
                all.extend(witness.heads.into_iter().map(|head| (log.node, head)));
            }
        }
    }
    all
}

/// Three minutes: a look that finds what has moved, one that says it, and the way to the others.
const TOLD_AFTER_MS: u64 = 3 * WITNESS_EVERY_MS;

#[test]
fn others_bear_witness_of_what_a_node_has_said_and_the_quiet_stays_quiet() {
    let mut world = Loop::new(4);
    world.open(0);
    world.run_ms(15_000);
    // Whoever bears witness first introduces itself, which is something that was said.
    world.run_ms(2 * TOLD_AFTER_MS);
    let before = witnessed(&world).len();
    world.run_ms(TOLD_AFTER_MS);
    assert_eq!(
        witnessed(&world).len(),
        before,
        "nothing was said meanwhile"
    );
    let known = witnessed(&world);
    world.enrol(1, "ada");
    let writer = world.nodes[1].log();
    let seq = world.memories[0]
        .bundles
        .keys()
        .filter(|(_, log, _)| *log == writer);
    let seq = seq.filter(|(id, ..)| *id == main_id()).count() as u64;
    world.run_ms(WITNESS_EVERY_MS / 2);
    assert_eq!(
        witnessed(&world).len(),
        before,
        "it was not held for a while yet"
    );
    world.run_ms(TOLD_AFTER_MS);
    let mut said = witnessed(&world);
    said.retain(|one| !known.contains(one));
    let of_it: Vec<&(NodeId, Head)> = said
        .iter()
        .filter(|(_, (header, _))| (header.log, header.orchestra) == (writer, main_id()))
        .collect();
    assert_eq!(of_it.len(), WITNESSES, "{said:?}");
    for (by, (header, signature)) in of_it {
        assert_ne!(*by, writer.node, "nobody bears witness of itself");
        assert!(header.seq >= seq.max(1));
        let digest = header.digest();
        assert!(StrictVerifier.verify(&writer.node.0, &digest, signature));
        let key = (header.orchestra, header.log, header.seq);
        let held = unisono_model::SignedBundle::decode(&world.memories[0].bundles[&key]);
        assert_eq!(held.expect("on disk").0.header, *header);
    }
    let all = witnessed(&world).len();
    world.run_ms(TOLD_AFTER_MS);
    assert_eq!(witnessed(&world).len(), all, "once is enough");
}

#[test]
fn nobody_but_a_node_bears_witness() {
    let mut world = Loop::new(1);
    world.open(0);
    world.enrol(0, "ada");
    let header = unisono_model::SignedBundle::decode(
        world.memories[0]
            .bundles
            .values()
            .next()
            .expect("something was written"),
    );
    let (bundle, _) = header.expect("a bundle");
    let heads = vec![(bundle.header, bundle.signature)];
    let witness = Action::Witness(unisono_model::Witness { heads });
    let refused = world.act(0, "ada", witness).expect_err("refused");
    assert_eq!(refused.code, unisono_model::Code::NotMember);
}
