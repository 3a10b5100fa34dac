//! What is not the one canonical form of a value within its limits is refused, whatever it is.

use proptest::prelude::*;
use unisono_model::wire::{self, Malformed};
use unisono_model::{
    Action, BundleBody, Digest, Held, Incarnation, LogEnd, RECORD_VERSION, RecordBody,
    SignedBundle, SignedRecord, limits,
};

use crate::golden;

#[test]
fn every_flipped_bit_of_a_bundle_is_noticed() {
    let bundle = golden::bundle();
    let bytes = wire::encode(&bundle);
    let digest = bundle.header.digest();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        // Either the bytes are no bundle, or they are one of another name or signature.
        if let Ok((other, _)) = SignedBundle::decode(&bytes) {
            let same = other.header.digest() == digest && other.signature == bundle.signature;
            assert!(!same, "bit {bit} changed nothing that is signed");
        }
    }
}

#[test]
fn every_truncation_of_a_bundle_is_refused() {
    let bytes = wire::encode(&golden::bundle());
    for length in 0..bytes.len() {
        assert!(
            SignedBundle::decode(&bytes[..length]).is_err(),
            "{length} bytes are no bundle"
        );
    }
}

#[test]
fn an_overlong_number_is_not_canonical() {
    let (_, record) = golden::record();
    let bytes = wire::encode(&record);
    let at = 32 + 32;
    let mut overlong = bytes[..at].to_vec();
    // The life's start in milliseconds is a varint: its last byte again with a useless zero.
    let end = at
        + bytes[at..]
            .iter()
            .position(|byte| byte & 0x80 == 0)
            .expect("a varint ends");
    overlong.extend_from_slice(&bytes[at..end]);
    overlong.push(bytes[end] | 0x80);
    overlong.push(0);
    overlong.extend_from_slice(&bytes[end + 1..]);
    let decoded = wire::decode::<SignedRecord>(&overlong, 100_000);
    assert_eq!(decoded, Err(Malformed::NotCanonical));
}

#[test]
fn closed_logs_stand_in_the_first_bundle_only() {
    let mut bundle = golden::bundle();
    let mut body: BundleBody = bundle.open().expect("good");
    body.closes = vec![LogEnd {
        incarnation: Incarnation::default(),
        seq: 9,
    }];
    let (bytes, digest) = body.seal();
    bundle.body = bytes;
    bundle.header.body = digest;
    assert!(bundle.open().is_ok());
    bundle.header.seq = 2;
    assert_eq!(bundle.open(), Err(Malformed::Limit("closed logs")));
}

fn body(action: Action) -> RecordBody {
    RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: 0,
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token: None,
        action,
    }
}

#[test]
fn names_cannot_disguise_themselves() {
    let claim = |topic: &str| {
        body(Action::Claim {
            topic: topic.into(),
            lease_ms: 1_000,
        })
        .check()
    };
    assert!(claim("src/auth/**").is_ok());
    for bad in ["", "   "] {
        assert_eq!(claim(bad), Err(Malformed::Empty("topic")), "{bad:?}");
    }
    for found in ['\n', '\u{202e}', '\u{200b}', '\u{feff}'] {
        let disguised = Malformed::Disguised {
            what: "topic",
            found,
        };
        assert_eq!(claim(&format!("a{found}b")), Err(disguised));
    }
    assert!(claim(&"x".repeat(limits::NAME_BYTES_MAX)).is_ok());
    assert!(claim(&"x".repeat(limits::NAME_BYTES_MAX + 1)).is_err());
}

#[test]
fn an_iteration_out_of_range_is_refused() {
    assert!(body(Action::Advance { from: 0 }).check().is_err());
    assert!(
        body(Action::Advance {
            from: limits::ITERATION_MAX
        })
        .check()
        .is_err()
    );
    assert!(body(Action::Advance { from: 1 }).check().is_ok());
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = SignedBundle::decode(&bytes);
        let _ = RecordBody::decode(&bytes);
        let _ = wire::decode::<SignedRecord>(&bytes, 100_000);
    }

    #[test]
    fn what_decodes_is_what_was_encoded(words in prop::collection::vec("[a-z]{1,9}", 1..9), prev in any::<[u8; 32]>()) {
        let release = Action::Release { topic: words.concat(), claim: Digest(prev) };
        let bytes = wire::encode(&body(release.clone()));
        prop_assert_eq!(RecordBody::decode(&bytes).map(|body| body.action), Ok(release));
    }
}
