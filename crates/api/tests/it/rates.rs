//! How often one may ask: an address whatever it asks for, a key what it has signed, and nobody on the
//! account of another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use unisono_api::server::{Pace, Rates};
use unisono_model::{
    Action, AgentId, ChainId, Code, Digest, Held, OrchestraId, Presence, RECORD_VERSION,
    RecordBody, RecordPlace, Rejection, SignedRecord, Status, wire,
};

use crate::fake::{CLUSTER, Deed, Fake, World};
use crate::web::{Seen, get, request};

const FEW: Pace = Pace { per_s: 2, burst: 3 };
const MANY: Pace = Pace {
    per_s: 10_000,
    burst: 10_000,
};

async fn started(key: Pace, address: Pace) -> (Fake, Arc<Mutex<World>>) {
    let world = World::shared();
    let rates = Rates {
        key,
        address,
        holds_loopback: true,
    };
    (Fake::start_at(1, &world, None, 64, rates).await, world)
}

fn assert_waits(seen: &Seen, words: &str) -> Duration {
    assert_eq!(seen.status, 429, "{}", seen.body);
    let problem = seen.json();
    assert_eq!(problem["code"], "rate_limited");
    assert_eq!(problem["changed"], false);
    assert!(
        problem["detail"].as_str().unwrap().contains(words),
        "{problem}"
    );
    assert!(!problem["hint"].as_str().unwrap().is_empty());
    let seconds: u64 = seen.header("retry-after").unwrap().parse().unwrap();
    let wait_ms = problem["retry_after_ms"].as_u64().unwrap();
    assert!((1..=1_000 * seconds).contains(&wait_ms), "{problem}");
    Duration::from_millis(wait_ms)
}

/// The bytes of a presence in the chain of this key.
fn presence(node: &Fake, key: u8, seq: u64) -> Vec<u8> {
    let key = SigningKey::from_bytes(&[key; 32]);
    let place = RecordPlace {
        cluster: CLUSTER,
        orchestra: OrchestraId::of(CLUSTER, "opus"),
        chain: ChainId {
            agent: AgentId(key.verifying_key().to_bytes()),
            log: node.log,
        },
        seq,
        prev: Digest::default(),
    };
    let body = RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: seq,
        iteration: 1,
        key: None,
        predecessors: vec![],
        token: None,
        action: Action::Presence(Presence {
            status: Status::Active,
            intent: String::new(),
            focus: String::new(),
        }),
    };
    wire::encode(&SignedRecord::sign(&key, &place, &body))
}

async fn signed(node: &Fake, bytes: &[u8]) -> Seen {
    let kind = &["Content-Type: application/octet-stream"];
    let path = "/v1/orchestras/opus/records";
    request(node.address, "POST", path, kind, bytes).await
}

#[tokio::test]
async fn an_address_that_asks_too_often_waits_as_long_as_it_is_told() {
    let (node, _) = started(MANY, FEW).await;
    for _ in 0..3 {
        assert_eq!(
            get(node.address, "/v1/orchestras/opus/state").await.status,
            200
        );
    }
    let seen = get(node.address, "/v1/orchestras/opus/state").await;
    let wait = assert_waits(&seen, "127.0.0.1");
    assert_eq!(
        get(node.address, "/livez").await.status,
        200,
        "a probe is answered"
    );
    tokio::time::sleep(wait).await;
    assert_eq!(
        get(node.address, "/v1/orchestras/opus/state").await.status,
        200
    );
}

#[tokio::test]
async fn a_key_that_signs_too_often_waits_and_others_and_their_address_do_not() {
    let (node, world) = started(FEW, MANY).await;
    for seq in 1..=3 {
        assert_eq!(signed(&node, &presence(&node, 5, seq)).await.status, 201);
    }
    let wait = assert_waits(&signed(&node, &presence(&node, 5, 4)).await, "this key");
    assert_eq!(signed(&node, &presence(&node, 6, 1)).await.status, 201);
    assert_eq!(
        world.lock().unwrap().arrived.len(),
        4,
        "the node was not asked"
    );
    tokio::time::sleep(wait).await;
    assert_eq!(signed(&node, &presence(&node, 5, 4)).await.status, 201);
}

#[tokio::test]
async fn whoever_signs_pays_for_it_themselves_and_their_address_has_it_back() {
    let (node, _) = started(MANY, FEW).await;
    for seq in 1..=12 {
        assert_eq!(signed(&node, &presence(&node, 5, seq)).await.status, 201);
    }
}

#[tokio::test]
async fn what_others_send_in_the_name_of_a_key_is_not_on_its_account() {
    let (node, _) = started(FEW, MANY).await;
    let forged = Rejection::new(Code::BadSignature, "the agent's signature does not verify");
    let old = Rejection::new(Code::ChainOrder, "expected 2, got 1");
    for refused in [forged, old] {
        node.plan(std::iter::repeat_n(Deed::Refuse(refused.clone()), 6));
        for _ in 0..6 {
            let seen = signed(&node, &presence(&node, 5, 1)).await;
            assert_eq!(seen.json()["code"], refused.code.as_str());
        }
    }
    assert_eq!(signed(&node, &presence(&node, 5, 1)).await.status, 201);
    // What the node refuses its holder is.
    let denied = Rejection::new(Code::NotAllowed, "asked: write-plan");
    node.plan(std::iter::repeat_n(Deed::Refuse(denied), 2));
    for _ in 0..2 {
        assert_eq!(signed(&node, &presence(&node, 5, 2)).await.status, 403);
    }
    assert_waits(&signed(&node, &presence(&node, 5, 2)).await, "this key");
}
