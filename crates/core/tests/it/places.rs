//! Places of chains: of two records that a key has signed for one place the first in the log stands,
//! at the edge and on every replica; what leaves a gap, or was signed for another log, is inert. The
//! incident: the edge turned a second record away, and nobody was told that its key had signed both.

use ed25519_dalek::{Signer as _, SigningKey};
use unisono_core::carriage::Carried as Admitted;
use unisono_core::context::{StrictVerifier, Verifier as _};
use unisono_core::node::{Input, Promise, Question, Work};
use unisono_core::orchestra::view::{ClaimsWanted, SessionView, View};
use unisono_core::replication::{Frame, LogState};
use unisono_model::wire::{Blob, Signature, encode};
use unisono_model::{
    Action, AgentId, AgentKind, BundleHeader, Carried, Code, Digest, Enrol, Held, Incident,
    OrchestraId, Presence, RECORD_VERSION, RecordBody, RecordPlace, Rejection, SignedBundle,
    SignedRecord, Status, record_of_evidence,
};

use crate::loopback::{CLUSTER, Loop};

fn key() -> SigningKey {
    SigningKey::from_bytes(&[0x51; 32])
}

fn ivy() -> AgentId {
    AgentId(key().verifying_key().to_bytes())
}

fn main() -> OrchestraId {
    OrchestraId::of(CLUSTER, "main")
}

fn claim(topic: &str) -> Action {
    Action::Claim {
        topic: topic.into(),
        lease_ms: 30_000,
    }
}

fn enrol() -> Action {
    Action::Enrol(Enrol {
        name: "ivy".into(),
        role: "builder".into(),
        kind: AgentKind::Ai,
        tier: None,
    })
}

fn session(world: &mut Loop, at: usize) -> SessionView {
    match world.view(at, Question::Session(ivy())) {
        Ok(View::Session(session)) => session,
        other => panic!("no session: {other:?}"),
    }
}

fn body(world: &Loop, action: Action) -> RecordBody {
    RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: world.now_ns / 1_000_000,
        iteration: 1,
        key: None,
        predecessors: Vec::new(),
        token: None,
        action,
    }
}

/// The next place of the chain at a node.
fn next_place(world: &mut Loop, at: usize) -> RecordPlace {
    let session = session(world, at);
    RecordPlace {
        cluster: CLUSTER,
        orchestra: main(),
        chain: session.chain,
        seq: session.next_seq,
        prev: session.prev,
    }
}

fn signed(world: &Loop, place: &RecordPlace, action: Action) -> SignedRecord {
    SignedRecord::sign(&key(), place, &body(world, action))
}

fn send(world: &mut Loop, at: usize, record: &SignedRecord) -> Result<(), Rejection> {
    let work = Work::Record(encode(record));
    let ticket = world.submit(at, "main", work, Promise::default());
    world.run_ms(1_100);
    world.reply(ticket).expect("an answer").map(drop)
}

fn does(world: &mut Loop, at: usize, action: Action) -> SignedRecord {
    let place = next_place(world, at);
    let record = signed(world, &place, action);
    send(world, at, &record).expect("taken");
    record
}

fn incidents(world: &mut Loop, at: usize) -> Vec<Incident> {
    match world.view(at, Question::Trust) {
        Ok(View::Trust(trust)) => trust
            .incidents
            .into_iter()
            .map(|one| one.incident)
            .collect(),
        other => panic!("no trust: {other:?}"),
    }
}

fn topics(world: &mut Loop, at: usize) -> Vec<String> {
    match world.view(at, Question::Claims(ClaimsWanted::default())) {
        Ok(View::Claims(claims)) => claims.into_iter().map(|one| one.topic).collect(),
        other => panic!("no claims: {other:?}"),
    }
}

fn at_the_edge() -> Loop {
    let mut world = Loop::new(1);
    world.open(0);
    world.run_ms(1_500);
    does(&mut world, 0, enrol());
    world
}

/// An agent that races with itself signs two: its library does so whenever two processes have one key.
/// Who has signed a second one a minute later is told on, with the record itself.
#[test]
fn a_second_record_for_a_place_is_refused_and_told_with_the_record_that_proves_it() {
    let mut world = at_the_edge();
    let place = next_place(&mut world, 0);
    let first = does(&mut world, 0, claim("door"));
    let second = signed(&world, &place, claim("attic"));
    let refused = |world: &mut Loop, record: &SignedRecord| {
        let rejection = send(world, 0, record).expect_err("refused");
        assert_eq!(rejection.code, Code::ChainOrder);
        rejection.incident
    };
    assert_eq!(
        refused(&mut world, &second),
        None,
        "a race is nobody's misdeed"
    );
    does(&mut world, 0, claim("cellar"));
    world.run_ms(61_000);
    // Copies of what stands are anybody's, and a gap proves nothing.
    assert_eq!(refused(&mut world, &first), None);
    let ahead = RecordPlace {
        seq: place.seq + 7,
        ..place
    };
    let ahead = signed(&world, &ahead, claim("attic"));
    assert_eq!(refused(&mut world, &ahead), None);
    assert_eq!(incidents(&mut world, 0), []);

    let told = refused(&mut world, &second);
    assert!(told.is_some(), "it names the record that tells of it");
    let incident = incidents(&mut world, 0).remove(0);
    assert_eq!(
        (incident.agent, incident.rule.as_str()),
        (ivy(), "chain_order")
    );
    assert_eq!(incident.deed, "claim");
    let (words, evidence) = incident.said();
    let digest = |record: &SignedRecord| record.place(CLUSTER, main()).digest(&record.body.0);
    let (stands, other) = (digest(&first).to_string(), digest(&second).to_string());
    assert!(words.contains(&stands) && words.contains(&other), "{words}");
    let proof = record_of_evidence(evidence.expect("it fits")).expect("a record");
    assert_eq!(proof, second);
    assert_eq!(
        (proof.agent, proof.log, proof.seq),
        (first.agent, first.log, first.seq)
    );
    for record in [&first, &proof] {
        let digest = digest(record);
        assert!(StrictVerifier.verify(&ivy().0, &digest, &record.signature));
    }
    does(&mut world, 0, claim("roof"));
    assert_eq!(topics(&mut world, 0), ["roof"], "it ends nobody");
}

/// Another node's log, an earlier life's of this one, a place that is not the next.
#[test]
fn what_was_signed_for_another_place_is_refused_by_its_name() {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    does(&mut world, 0, enrol());
    world.run_ms(10_000);
    let (here, there) = (next_place(&mut world, 0), next_place(&mut world, 1));
    let refused = |world: &mut Loop, place: &RecordPlace| {
        let record = signed(world, place, claim("door"));
        send(world, 0, &record).expect_err("refused").code
    };
    assert_eq!(refused(&mut world, &there), Code::WrongLog);
    for seq in [0, 1, here.seq + 1, u64::MAX] {
        let place = RecordPlace { seq, ..here };
        assert_eq!(refused(&mut world, &place), Code::ChainOrder, "{seq}");
    }
    let place = RecordPlace {
        prev: Digest([7; 32]),
        ..here
    };
    assert_eq!(refused(&mut world, &place), Code::ChainOrder);
    world.restart(0);
    world.run_ms(10_000);
    assert_eq!(refused(&mut world, &here), Code::WrongLog);
    assert_eq!(topics(&mut world, 0), Vec::<String>::new());
}

/// A record with more in it is named; the sentence stays within its limit.
#[test]
fn a_second_record_that_finds_no_room_is_named() {
    let mut world = at_the_edge();
    let place = next_place(&mut world, 0);
    does(&mut world, 0, claim("door"));
    world.run_ms(61_000);
    let long = Action::Presence(Presence {
        status: Status::Active,
        intent: "on it ".repeat(60).trim().into(),
        focus: String::new(),
    });
    let record = signed(&world, &place, long);
    let rejection = send(&mut world, 0, &record).expect_err("refused");
    assert_eq!(rejection.code, Code::ChainOrder);
    let incident = incidents(&mut world, 0).remove(0);
    let (words, evidence) = incident.said();
    let digest = place.digest(&record.body.0).to_string();
    assert!(
        evidence.is_none() && words.contains(&digest),
        "{incident:?}"
    );
}

/// What the agent has signed, as a node puts it into its log.
fn carried(place: &RecordPlace, like: &Carried, body: &RecordBody) -> Carried {
    let record = SignedRecord::sign(&key(), place, body);
    Carried {
        seq: record.seq,
        prev: record.prev,
        body: record.body,
        signature: record.signature,
        ..like.clone()
    }
}

/// The liar's bundle with other records in it, one stamp after the other, signed anew.
fn forged(honest: &Admitted, records: Vec<Carried>) -> Vec<u8> {
    let mut body = honest.body().clone();
    let mut stamp = body.records[0].stamp;
    body.records = records;
    for record in &mut body.records {
        record.stamp = stamp;
        stamp = stamp.next();
    }
    let (sealed, digest) = body.seal();
    let header = BundleHeader {
        body: digest,
        stamp: honest.header().stamp.max(stamp),
        ..*honest.header()
    };
    let liar = SigningKey::from_bytes(&[2; 32]);
    let signature = Signature::from_bytes(liar.sign(&header.digest().0).to_bytes());
    encode(&SignedBundle {
        header,
        signature,
        body: sealed,
    })
}

fn admitted(bytes: &[u8]) -> Admitted {
    Admitted::admit(bytes, CLUSTER, &mut StrictVerifier).expect("signed by its node")
}

/// Three nodes, the second of which lies; what it has written, and where the chain was before its last
/// bundle.
fn with_a_liar() -> (Loop, Vec<Vec<u8>>, RecordPlace) {
    let mut world = Loop::new(3);
    world.open(1);
    world.run_ms(2_000);
    does(&mut world, 1, enrol());
    world.run_ms(15_000);
    world.cut = vec![(0, 1), (1, 2)];
    let place = next_place(&mut world, 1);
    let log = place.chain.log;
    let ours = (main(), log, 0)..=(main(), log, u64::MAX);
    let before = world.memories[1].bundles.range(ours.clone()).count();
    does(&mut world, 1, claim("door"));
    let bundles: Vec<Vec<u8>> = {
        let held = world.memories[1].bundles.range(ours);
        held.map(|(_, bytes)| bytes.clone()).collect()
    };
    let upto = bundles[..=before].to_vec();
    (world, upto, place)
}

#[test]
fn of_two_records_at_one_place_the_first_in_the_log_stands_on_every_replica() {
    let (mut world, mut bundles, place) = with_a_liar();
    let honest = admitted(&bundles.pop().expect("the claim"));
    let door = honest.body().records[0].clone();
    let attic = carried(&place, &door, &body(&world, claim("attic")));
    let behind = RecordPlace {
        seq: place.seq + 1,
        prev: place.digest(&door.body.0),
        ..place
    };
    let cellar = carried(&behind, &door, &body(&world, claim("cellar")));
    let lie = forged(&honest, vec![door, attic, cellar]);
    let from = world.nodes[1].id();
    for replica in [0, 2] {
        let bytes = encode(&Frame::Push {
            relay: false,
            bundles: vec![Blob(lie.clone())],
        });
        world.feed(replica, Input::Received { from, bytes });
    }
    world.run_ms(2_000);
    for replica in [0, 2] {
        assert_eq!(topics(&mut world, replica), ["cellar", "door"], "{replica}");
    }
}

/// What a log says of records, by their signatures and chains alone: the first of two stands whichever
/// it is; behind a gap nothing counts, and nothing that was signed for another place or another log.
#[test]
fn a_log_carries_nothing_at_a_place_but_what_was_signed_for_it_and_came_first() {
    let (mut world, bundles, place) = with_a_liar();
    let (honest, before) = bundles.split_last().expect("the claim");
    let honest = admitted(honest);
    let door = honest.body().records[0].clone();
    let say = |place: &RecordPlace, topic: &str| carried(place, &door, &body(&world, claim(topic)));
    let after = |seq: u64, record: &Carried| RecordPlace {
        seq: place.seq + seq,
        prev: place.digest(&record.body.0),
        ..place
    };
    let gap = say(&after(2, &door), "roof");
    let next = say(&after(1, &door), "cellar");
    let mut elsewhere = place;
    elsewhere.chain.log = world.nodes[0].log();
    let early = RecordPlace {
        seq: 1,
        prev: Digest::default(),
        ..place
    };
    let cases = [
        (vec![door.clone(), say(&place, "attic")], vec![true, false]),
        (vec![say(&place, "attic"), door.clone()], vec![true, false]),
        (
            vec![door.clone(), gap.clone(), next.clone()],
            vec![true, false, false],
        ),
        (vec![gap, door.clone()], vec![false, false]),
        (vec![say(&elsewhere, "attic"), next], vec![false, false]),
        (vec![say(&early, "attic"), door.clone()], vec![false, true]),
    ];
    for (number, (records, good)) in cases.into_iter().enumerate() {
        let mut state = LogState::default();
        let mut take = |bytes: &[u8]| {
            let bundle = admitted(bytes);
            let (header, digest) = (*bundle.header(), bundle.digest());
            state.advance(&header, digest, bundle.body(), &mut StrictVerifier)
        };
        for bytes in before {
            take(bytes);
        }
        let placed = take(&forged(&honest, records));
        let found: Vec<bool> = placed.iter().map(|one| one.good).collect();
        assert_eq!(found, good, "case {number}");
    }
    assert_eq!(session(&mut world, 1).next_seq, place.seq + 1);
}
