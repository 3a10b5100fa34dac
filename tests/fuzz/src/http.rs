//! What clients send over HTTP, from the body's bytes to the action that a record would bear.

use std::fmt::Debug;

use serde::{Serialize, de::DeserializeOwned};
use unisono_api::dto::{
    ActionBody, EnrolBody, LeaveBody, MeasureBody, NoteTextBody, OpenBody, RecordEvent, RenewalBody,
};
use unisono_model::check;

use crate::Seed;

/// The lease or lifetime that is filled in where the body names none (ms).
const FILLING_MS: u64 = 60_000;

/// Whether a record may bear it.
pub(crate) fn action(bytes: &[u8]) -> bool {
    let Ok(body) = serde_json::from_slice::<ActionBody>(bytes) else {
        return false;
    };
    let again = serde_json::to_vec(&body).expect("what was read can be written");
    let again = serde_json::from_slice::<ActionBody>(&again);
    assert_eq!(again.ok(), Some(body.clone()), "a body survives its text");
    let _ = (body.missing(), body.claimed_topic());
    check::action(&body.into_action(FILLING_MS)).is_ok()
}

/// The bodies that are no actions: each reader takes what it takes, and what one takes survives.
pub(crate) fn body(bytes: &[u8]) -> bool {
    [
        survives::<OpenBody>,
        survives::<EnrolBody>,
        survives::<LeaveBody>,
        survives::<RenewalBody>,
        survives::<MeasureBody>,
        survives::<NoteTextBody>,
    ]
    .into_iter()
    .filter(|takes| takes(bytes))
    .count()
        > 0
}

fn survives<T>(bytes: &[u8]) -> bool
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let Ok(body) = serde_json::from_slice::<T>(bytes) else {
        return false;
    };
    let again = serde_json::to_vec(&body).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&again).ok(), Some(body));
    true
}

/// One of each.
pub(crate) fn bodies() -> Vec<Seed> {
    let texts: [Seed; 5] = [
        ("open", br#"{"name":"night"}"#.into()),
        (
            "enrol",
            br#"{"name":"ada","role":"lead","kind":"human","tier":"executive"}"#.into(),
        ),
        (
            "leave",
            br#"{"at_ms":1800000000000,"hand_to":2,"signature":"AAAA"}"#.into(),
        ),
        (
            "measure",
            br#"{"path":"src/a.rs","text":"fn a() {}\n"}"#.into(),
        ),
        ("note", br#"{"text":"what is to be done"}"#.into()),
    ];
    texts.to_vec()
}

/// A line of a dump, as a client and `verify` read it.
pub(crate) fn dump_line(bytes: &[u8]) -> bool {
    survives::<RecordEvent>(bytes)
}

/// What a node writes of a claim.
pub(crate) fn dump_lines() -> Vec<Seed> {
    let digest = "01".repeat(32);
    let line = format!(
        r#"{{"record":"{digest}","stamp":{{"stamp":"67eb1f2a00000000","time":"2026-11-21T12:58:08.357Z"}},"agent":"{digest}","name":"ada","seq":3,"log":{{"node":"{digest}","incarnation":{{"started_ms":1800000000000,"nonce":"00000000000000aa"}}}},"bundle":2,"held":"agent","agent_ms":5,"iteration":1,"key":null,"token":null,"verdict":"valid","action":{{"do":"claim","topic":"index","lease_ms":60000}}}}"#
    );
    vec![("claim", line.into_bytes())]
}

/// One of several kinds.
pub(crate) fn actions() -> Vec<Seed> {
    let texts: [Seed; 10] = [
        ("claim", br#"{"do":"claim","topic":"src/auth/**","lease_ms":60000}"#.into()),
        ("emit", br#"{"do":"emit","kind":"need","topic":"index","urgency":"blocking","text":"it is gone"}"#.into()),
        ("mark", br#"{"do":"mark","about":"index","text":"done","reasoning":"it was due","tags":["a"],"evidence":[]}"#.into()),
        ("presence", br#"{"do":"presence","status":"active","intent":"write","focus":"index"}"#.into()),
        ("across", br#"{"do":"emit","kind":"need","topic":"index","to_orchestra":"b"}"#.into()),
        ("seen", br#"{"do":"seen","cursor":""}"#.into()),
        ("rotate", br#"{"do":"rotate","next":"0303030303030303030303030303030303030303030303030303030303030303","name":"ada","signature":"05050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505"}"#.into()),
        ("succeed", br#"{"do":"succeed","number":1,"authority":"0404040404040404040404040404040404040404040404040404040404040404","former":"0303030303030303030303030303030303030303030303030303030303030303","former_until_ms":60000,"signature":"05050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505","certificate":"MAA="}"#.into()),
        ("root", br#"{"do":"root","number":1,"root":"0404040404040404040404040404040404040404040404040404040404040404","former":"0303030303030303030303030303030303030303030303030303030303030303","from_ms":60000,"signature":"05050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505","consent":"05050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505050505"}"#.into()),
        ("advance", br#"{"do":"advance","from":1}"#.into()),
    ];
    texts.to_vec()
}
