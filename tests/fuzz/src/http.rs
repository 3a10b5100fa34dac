//! What clients send over HTTP, from the body's bytes to the action that a record would bear.

use unisono_api::dto::ActionBody;
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
