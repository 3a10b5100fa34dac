//! What the timing plane hears.

use unisono_core::election::Epoch;
use unisono_core::timekeeper::{Answer, Frame};
use unisono_model::NodeId;

use crate::Seed;

pub(crate) fn timing_frame(bytes: &[u8]) -> bool {
    let Ok(frame) = Frame::decode(bytes) else {
        return false;
    };
    assert_eq!(
        frame.encode(),
        bytes,
        "accepted bytes are the canonical ones"
    );
    true
}

/// A question, and an answer to it.
pub(crate) fn timing_frames() -> Vec<Seed> {
    let question = Frame::Question { nonce: 1 << 40 };
    let answer = Frame::Answer(Answer {
        nonce: 1 << 40,
        received_ns: 1_800_000_000_000_000_000,
        sent_ns: 1_800_000_000_000_012_345,
        source: Some(NodeId([3; 32])),
        hard_ns: 40_000_000,
        deviation_ns: 36_000,
        of: Epoch::default(),
        line: Epoch::default(),
        epoch: Epoch::default(),
    });
    vec![("question", question.encode()), ("answer", answer.encode())]
}
