//! What the transport reads: invites and joins before anybody is authenticated, frames after.

use unisono_model::{ClusterId, NodeId, wire};
use unisono_quic::identity::Fingerprint;
use unisono_quic::join::Invite;

use crate::Seed;

pub(crate) fn invite(bytes: &[u8]) -> bool {
    let Some(invite) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.parse::<Invite>().ok())
    else {
        return false;
    };
    let again = invite.to_text().parse::<Invite>();
    assert_eq!(
        again.map(|again| again.id()),
        Ok(invite.id()),
        "an invite survives its text"
    );
    true
}

/// An invite's secret is drawn at random, so the file in the corpus is another one than this.
pub(crate) fn invites() -> Vec<Seed> {
    let addresses = vec!["10.0.0.7:7322".to_owned()];
    let fresh = Invite::new(
        ClusterId([1; 16]),
        Fingerprint([2; 32]),
        addresses,
        u64::MAX,
    );
    let fresh = fresh.expect("a good address").to_text().into();
    vec![("fresh", fresh)]
}

/// A request with signatures that nobody made.
pub(crate) fn join_requests() -> Vec<Seed> {
    let (cluster, node) = (ClusterId([1; 16]), NodeId([2; 32]));
    let addresses = vec!["10.0.0.7:7322".to_owned()];
    let request = (
        1_u16,
        cluster,
        [3_u8; 32],
        node,
        "ada".to_owned(),
        addresses,
    );
    let proofs = (vec![4_u8; 64], vec![5_u8; 64]);
    let envelope = (wire::encode(&request), proofs.0, proofs.1);
    vec![("request", wire::encode(&envelope))]
}

pub(crate) fn wire_frame(bytes: &[u8]) -> bool {
    let Some(frame) = unisono_quic::from_wire(bytes) else {
        return false;
    };
    assert!(frame.len() <= unisono_quic::limits::FRAME_BYTES_MAX);
    let again = unisono_quic::from_wire(&unisono_quic::to_wire(&frame));
    assert_eq!(again, Some(frame), "a frame survives its wire form");
    true
}

/// One that is too short to be packed, and one that is packed.
pub(crate) fn wire_frames() -> Vec<Seed> {
    let long: Vec<u8> = b"unisono ".repeat(200);
    vec![
        ("plain", unisono_quic::to_wire(b"a short frame")),
        ("packed", unisono_quic::to_wire(&long)),
    ]
}
