//! What a node has signed as its head binds it: a bundle may not bring a record from below. The
//! incident: carriage compared the heads of two bundles and not the first record of the second, so
//! that a lying node could put a claim below a head for which others had confirmed theirs.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::carriage::Carried as Admitted;
use unisono_core::context::StrictVerifier;
use unisono_core::node::{Input, Question};
use unisono_core::orchestra::view::View;
use unisono_core::replication::{Frame, LogState, NotNext};
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{Action, BundleHeader, Digest, OrchestraId, SignedBundle, Stamp};

use crate::loopback::{CLUSTER, Loop};

fn admitted(bytes: &[u8]) -> Admitted {
    Admitted::admit(bytes, CLUSTER, &mut StrictVerifier).expect("signed by its node")
}

/// The same bundle with its first record at another stamp, signed anew by its node.
fn restamped(bundle: &Admitted, first: Stamp, key: &SigningKey) -> Vec<u8> {
    let mut body = bundle.body().clone();
    body.records[0].stamp = first;
    let (sealed, digest) = body.seal();
    let header = BundleHeader {
        body: digest,
        ..*bundle.header()
    };
    let signature = Signature::from_bytes(key.sign(&header.digest().0).to_bytes());
    encode(&SignedBundle {
        header,
        signature,
        body: sealed,
    })
}

#[test]
fn a_bundle_with_a_record_below_the_head_before_it_carries_nothing() {
    let mut world = Loop::new(2);
    world.open(1);
    world.run_ms(2_000);
    world.enrol(1, "lin");
    world.run_ms(15_000);
    let (main, log) = (OrchestraId::of(CLUSTER, "main"), world.nodes[1].log());
    let ours = |world: &Loop| {
        let log = (main, log, 0)..=(main, log, u64::MAX);
        let bundles = world.memories[1].bundles.range(log);
        bundles.map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>()
    };
    let before = ours(&world).len();
    world.cut = vec![(0, 1)];
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    world.act(1, "lin", claim).expect("granted");
    let bundles = ours(&world);
    let honest = admitted(&bundles[before]);
    let head = admitted(&bundles[before - 1]).header().stamp;
    assert!(honest.lowest() > head, "the honest one rises");
    let forged = restamped(&honest, head, &SigningKey::from_bytes(&[2; 32]));

    let mut state = LogState::default();
    for bytes in &bundles[..before] {
        let carried = admitted(bytes);
        let (header, digest) = (*carried.header(), carried.digest());
        state.advance(&header, digest, carried.body(), &mut StrictVerifier);
    }
    let verdict = |bytes: &[u8]| {
        let carried = admitted(bytes);
        state.is_next(carried.header(), &carried.digest(), carried.lowest())
    };
    assert_eq!(verdict(&forged), Err(NotNext::Stamps));
    assert_eq!(verdict(&bundles[before]), Ok(()));

    let from = world.nodes[1].id();
    let place = (main, log, honest.header().seq);
    let bytes = push(forged);
    world.feed(0, Input::Received { from, bytes });
    world.run_ms(10);
    assert!(!world.memories[0].bundles.contains_key(&place));
    let bytes = push(bundles[before].clone());
    world.feed(0, Input::Received { from, bytes });
    world.run_ms(10);
    let held = world.memories[0].bundles.get(&place);
    assert!(held == Some(&bundles[before]), "the honest one is taken");
}

/// The incident (seed 385 of a campaign with copied nodes): each of two held another bundle as the last of a
/// log, and both had been started again. Neither had the header in memory that it would have shown the other,
/// and so they differed for ever.
#[test]
fn who_was_started_again_shows_what_it_holds_of_a_forked_log() {
    let mut world = Loop::new(3);
    world.open(1);
    world.run_ms(2_000);
    world.enrol(1, "lin");
    world.run_ms(15_000);
    let (main, log, id) = (
        OrchestraId::of(CLUSTER, "main"),
        world.nodes[1].log(),
        world.nodes[1].id(),
    );
    world.cut = vec![(0, 1), (1, 2), (0, 2)];
    let claim = Action::Claim {
        topic: "x".into(),
        lease_ms: 30_000,
    };
    let held = |world: &Loop| {
        let own = (main, log, 0)..=(main, log, u64::MAX);
        world.memories[1].bundles.range(own).count() as u64
    };
    let next = (main, log, held(&world) + 1);
    world.act(1, "lin", claim).expect("granted");
    let honest = world.memories[1].bundles[&next].clone();
    let carried = admitted(&honest);
    let key = SigningKey::from_bytes(&[2; 32]);
    let other = restamped(&carried, Stamp(carried.lowest().0 - 1), &key);
    for (node, bundle) in [(0, honest), (2, other)] {
        let (from, bytes) = (id, push(bundle));
        world.feed(node, Input::Received { from, bytes });
        world.run_ms(10);
        assert!(world.memories[node].bundles.contains_key(&next));
        world.save(node);
        world.restart(node);
    }
    let differ = |world: &mut Loop| vector(world, 0) != vector(world, 2);
    assert!(differ(&mut world));
    world.cut = vec![(0, 1), (1, 2)];
    world.connect(0, 2, true);
    world.run_ms(30_000);
    assert!(!differ(&mut world), "both have the proof");
}

fn vector(world: &mut Loop, node: usize) -> Digest {
    match world.view(node, Question::Hash) {
        Ok(View::Hash(hash)) => hash.vector,
        other => panic!("no hash: {other:?}"),
    }
}

fn push(bundle: Vec<u8>) -> Vec<u8> {
    encode(&Frame::Push {
        relay: false,
        bundles: vec![Blob(bundle)],
    })
}
