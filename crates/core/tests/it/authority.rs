//! Which authority signs certificates: a root says so, in the cluster's own orchestra, and of several
//! words the same one counts for everybody.

use ed25519_dalek::SigningKey;
use unisono_core::node::Node;
use unisono_model::wire::Blob;
use unisono_model::{Action, AuthorityId, Code, Succession, SuccessionWord};

use crate::expulsion::Operator;
use crate::loopback::{CLUSTER, Loop, root_key};

const FIRST: AuthorityId = AuthorityId([1; 32]);

fn said(key: &SigningKey, number: u32, next: u8, former: AuthorityId) -> Succession {
    let next = AuthorityId([next; 32]);
    Succession {
        word: SuccessionWord::sign(key, CLUSTER, number, next, former, 60_000),
        certificate: Blob(vec![0x30, 0x00]),
    }
}

fn succeed(succession: &Succession) -> Action {
    Action::Succeed(Box::new(succession.clone()))
}

fn three() -> Loop {
    let mut world = Loop::new(3);
    world.open(0);
    world.run_ms(15_000);
    world
}

fn shown(world: &Loop) -> Vec<Option<SuccessionWord>> {
    world.nodes.iter().map(Node::authority).collect()
}

#[test]
fn only_a_root_says_which_authority_signs() {
    let mut world = three();
    let key = root_key();
    let one = said(&key, 1, 5, FIRST);
    let mut stranger = Operator::new(&mut world, SigningKey::from_bytes(&[77; 32]), 0);
    let refused = stranger
        .act(&mut world, succeed(&one))
        .expect_err("refused");
    assert_eq!(refused.code, Code::NotAllowed);
    let mut root = Operator::new(&mut world, key.clone(), 0);
    // The word in it has to be the root's, too: it goes on without its record.
    let other = said(&SigningKey::from_bytes(&[77; 32]), 1, 5, FIRST);
    let refused = root.act(&mut world, succeed(&other)).expect_err("refused");
    assert_eq!(refused.code, Code::BadSignature);
    assert_eq!(shown(&world), [None; 3]);

    root.act(&mut world, succeed(&one)).expect("said");
    world.run_ms(10_000);
    assert_eq!(shown(&world), [Some(one.word); 3]);
    // Once is enough, and what stands on another one than the one that signs comes too late.
    let refused = root.act(&mut world, succeed(&one)).expect_err("refused");
    assert_eq!(refused.code, Code::AuthorityTaken);
    let late = said(&key, 2, 6, FIRST);
    let refused = root.act(&mut world, succeed(&late)).expect_err("refused");
    assert_eq!(refused.code, Code::AuthorityTaken);
    let next = said(&key, 2, 6, one.word.authority);
    root.act(&mut world, succeed(&next)).expect("said");
    world.run_ms(10_000);
    assert_eq!(shown(&world), [Some(next.word); 3]);
}

#[test]
fn of_two_changes_on_two_sides_of_a_cut_one_counts_for_everybody() {
    let mut world = three();
    let key = root_key();
    let mut here = Operator::new(&mut world, key.clone(), 0);
    let mut there = Operator::new(&mut world, key.clone(), 2);
    world.run_ms(2_000);
    world.cut = vec![(0, 2), (1, 2), (2, 0), (2, 1)];
    let (low, high) = (said(&key, 1, 5, FIRST), said(&key, 1, 9, FIRST));
    here.act(&mut world, succeed(&high)).expect("said");
    world.run_ms(2_000);
    there.act(&mut world, succeed(&low)).expect("said");
    world.run_ms(2_000);
    let apart = [Some(high.word), Some(high.word), Some(low.word)];
    assert_eq!(shown(&world), apart);
    world.cut.clear();
    world.run_ms(30_000);
    assert_eq!(shown(&world), [Some(high.word); 3]);
}

#[test]
fn the_driver_is_told_of_each_word_once_in_each_process_with_a_checkpoint_and_without() {
    let mut world = three();
    let key = root_key();
    let mut root = Operator::new(&mut world, key.clone(), 0);
    let one = said(&key, 1, 5, FIRST);
    root.act(&mut world, succeed(&one)).expect("said");
    world.run_ms(10_000);
    world.told.sort_by_key(|(index, _)| *index);
    let all = [0, 1, 2].map(|index| (index, one.clone()));
    assert_eq!(world.told, all);
    for save in [false, true] {
        if save {
            world.save(1);
        } else {
            world.memories[1].blobs.clear();
        }
        world.told.clear();
        world.restart(1);
        world.run_ms(10_000);
        assert_eq!(world.told, [(1, one.clone())], "saved: {save}");
        assert_eq!(shown(&world), [Some(one.word); 3]);
    }
}
