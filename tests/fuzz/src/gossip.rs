//! Messages of the membership protocol: datagrams of members, read by foca behind our door.

use unisono_core::membership::{Advice, Identity, Membership};
use unisono_model::{Incarnation, NodeId};

use crate::Seed;

fn life(number: u8) -> Identity {
    Identity {
        node: NodeId([number; 32]),
        incarnation: Incarnation {
            started_ms: 1_800_000_000_000,
            nonce: u64::from(number),
        },
        renewals: 0,
        region: "ada".into(),
    }
}

/// Whether it makes one of two members say or notice anything; their alarms ring for ten seconds
/// after.
pub(crate) fn feed(bytes: &[u8]) -> bool {
    let mut heard = false;
    for number in [1, 2] {
        let mut member = Membership::new(life(number), 7);
        let mut out = Vec::new();
        member.on_message(0, bytes, &mut out);
        heard |= !out.is_empty();
        for second in 1..=10 {
            member.on_tick(second * 1_000_000_000, &mut out);
        }
    }
    heard
}

/// An announcement, and the answer to one.
pub(crate) fn seeds() -> Vec<Seed> {
    let (mut one, mut other) = (Membership::new(life(1), 7), Membership::new(life(2), 8));
    let said = |out: &mut Vec<Advice>| {
        let messages = out.drain(..).filter_map(|advice| match advice {
            Advice::Send { message, .. } => Some(message),
            Advice::Up(_) | Advice::Down(_) => None,
        });
        messages.collect::<Vec<_>>()
    };
    let mut out = Vec::new();
    other.announce(0, life(1), &mut out);
    let announcement = said(&mut out).remove(0);
    one.on_message(0, &announcement, &mut out);
    let feed = said(&mut out).remove(0);
    vec![("announcement", announcement), ("feed", feed)]
}
