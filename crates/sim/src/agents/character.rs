//! How agents lie. Whatever a liar sends must be refused, or come to nothing.

use unisono_model::wire::{Blob, encode};
use unisono_model::{AgentId, SignedRecord};

use crate::chance::Chance;

/// How honest an agent is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Character {
    /// It does what it says.
    Honest,
    /// Now and then it sends what it must not.
    Liar,
    /// It signs two records for one place, and shows them to two copies of a lying node.
    Forker,
}

/// Makes something of a record that no node may take, and says whether a node must refuse it
/// whatever it has seen.
pub(super) fn twist(
    chance: &mut Chance,
    mut signed: SignedRecord,
    old: &[Vec<u8>],
    other: AgentId,
) -> (Vec<u8>, bool) {
    match chance.below(7) {
        0 => {
            let bit = chance.below(256) as usize;
            signed.signature.0[bit / 8] ^= 1 << (bit % 8);
        }
        1 => signed.seq += chance.between(1, 5),
        2 => signed.prev.0[0] ^= 1,
        3 => signed.agent = other,
        4 => signed.body = Blob(chance.bytes(80)),
        5 => {
            let length = if chance.percent(50) { 60_000 } else { 200 };
            return (chance.bytes(length), true);
        }
        // A replay is answered like the first time, or refused; it never counts twice.
        _ => {
            if let Some(bytes) = chance.pick(old) {
                return (bytes.clone(), false);
            }
            signed.seq = 0;
        }
    }
    (encode(&signed), true)
}
