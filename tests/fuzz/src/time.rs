//! What the timing plane hears.

use unisono_core::election::Epoch;
use unisono_core::timekeeper::{Answer, Differences, Frame, Measured};
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

/// A question, an answer to it, and what a leader has measured.
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
        correction_ns: -20_000_000,
    });
    let differences = Frame::Differences(Differences {
        line: Epoch::default(),
        measured: vec![Measured {
            node: NodeId([4; 32]),
            by_ns: -19_900_000,
            deviation_ns: 140_000,
        }],
    });
    vec![
        ("question", question.encode()),
        ("answer", answer.encode()),
        ("differences", differences.encode()),
    ]
}
