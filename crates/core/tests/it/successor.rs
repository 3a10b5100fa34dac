//! An agent that goes on with another key, at nodes: what its edge lets pass and refuses, and what
//! another node makes of the same records.

use ed25519_dalek::SigningKey;
use unisono_core::node::{Answer, Promise, Question, Work, held_key};
use unisono_core::orchestra::trust::limits;
use unisono_core::orchestra::view::{
    AgentView, ClaimView, ClaimsWanted, SessionView, TrustView, View,
};
use unisono_model::wire::encode;
use unisono_model::{
    Action, AgentId, AgentKind, Code, Digest, Enrol, Held, IdempotencyKey, OrchestraId, Presence,
    RECORD_VERSION, RecordBody, RecordPlace, Rejection, Rotation, Setting, Signal, SignalKind,
    SignedRecord, Status, Urgency,
};

use crate::loopback::{CLUSTER, Loop};

fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

fn name(number: u8) -> AgentId {
    AgentId(key(number).verifying_key().to_bytes())
}

fn main() -> OrchestraId {
    OrchestraId::of(CLUSTER, "main")
}

fn agent_of(key: &SigningKey) -> AgentId {
    AgentId(key.verifying_key().to_bytes())
}

fn session(world: &mut Loop, at: usize, number: u8) -> SessionView {
    session_of(world, at, name(number))
}

fn session_of(world: &mut Loop, at: usize, key: AgentId) -> SessionView {
    match world.view(at, Question::Session(key)) {
        Ok(View::Session(session)) => session,
        other => panic!("no session: {other:?}"),
    }
}

/// Has whoever holds a key do something at a node.
fn keyed(
    world: &mut Loop,
    (at, number): (usize, u8),
    action: Action,
    request: Option<IdempotencyKey>,
) -> Result<Answer, Rejection> {
    signed(world, (at, &key(number)), action, request)
}

fn signed(
    world: &mut Loop,
    (at, key): (usize, &SigningKey),
    action: Action,
    request: Option<IdempotencyKey>,
) -> Result<Answer, Rejection> {
    let session = session_of(world, at, agent_of(key));
    let body = RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: world.now_ns / 1_000_000,
        iteration: 1,
        key: request,
        predecessors: session.predecessors,
        token: None,
        action,
    };
    let place = RecordPlace {
        cluster: CLUSTER,
        orchestra: main(),
        chain: session.chain,
        seq: session.next_seq,
        prev: session.prev,
    };
    let record = SignedRecord::sign(key, &place, &body);
    let work = Work::Record(encode(&record));
    let ticket = world.submit(at, "main", work, Promise::default());
    world.run_ms(5);
    world.reply(ticket).expect("an answer")
}

fn does(world: &mut Loop, who: (usize, u8), action: Action) -> Result<Answer, Rejection> {
    keyed(world, who, action, None)
}

fn refused(world: &mut Loop, who: (usize, u8), action: Action) -> Code {
    let rejection = does(world, who, action).expect_err("refused");
    assert!(!rejection.hint.is_empty(), "{rejection}");
    rejection.code
}

fn enrol(name: &str) -> Action {
    Action::Enrol(Enrol {
        name: name.into(),
        role: "builder".into(),
        kind: AgentKind::Ai,
        tier: None,
    })
}

fn rotate(former: u8, next: u8) -> Action {
    let rotation = Rotation::sign(&key(next), CLUSTER, main(), name(former), "ivy");
    Action::Rotate(rotation.into())
}

fn presence(intent: &str) -> Action {
    Action::Presence(Presence {
        status: Status::Active,
        intent: intent.into(),
        focus: String::new(),
    })
}

fn need() -> Action {
    Action::Signal(Signal {
        kind: SignalKind::Need,
        topic: "index".into(),
        urgency: Urgency::Low,
        text: String::new(),
        lifetime_ms: 60_000,
        evidence: None,
    })
}

fn claim() -> Action {
    Action::Claim {
        topic: "door".into(),
        lease_ms: 30_000,
    }
}

fn holder(world: &mut Loop, at: usize) -> ClaimView {
    match world.view(at, Question::Claims(ClaimsWanted::default())) {
        Ok(View::Claims(mut claims)) => claims.remove(0),
        other => panic!("no claims: {other:?}"),
    }
}

fn agents(world: &mut Loop, at: usize) -> Vec<AgentView> {
    match world.view(at, Question::Agents) {
        Ok(View::Agents(agents)) => agents.into_iter().filter(|one| one.name == "ivy").collect(),
        other => panic!("no agents: {other:?}"),
    }
}

fn trust(world: &mut Loop, at: usize) -> TrustView {
    match world.view(at, Question::Trust) {
        Ok(View::Trust(trust)) => trust,
        other => panic!("no trust: {other:?}"),
    }
}

fn two() -> Loop {
    let mut world = Loop::new(2);
    world.open(0);
    world.run_ms(2_000);
    does(&mut world, (0, 51), enrol("ivy")).expect("enrolled");
    world
}

#[test]
fn an_agent_is_the_same_one_with_its_next_key_wherever_it_goes_on() {
    let mut world = two();
    does(&mut world, (0, 51), claim()).expect("claimed");
    does(&mut world, (0, 51), rotate(51, 52)).expect("rotated");
    world.run_ms(2_000);
    let known = session(&mut world, 1, 52);
    assert!(known.enrolled);
    assert_eq!(known.succeeds, [name(51)]);
    assert_eq!(session(&mut world, 1, 51).given_up_for, Some(name(52)));
    let held = holder(&mut world, 1);
    assert_eq!(held.agent, name(51), "an agent is known by its first key");
    let renew = Action::Renew {
        topic: "door".into(),
        claim: held.claim.record,
        lease_ms: 60_000,
    };
    does(&mut world, (1, 52), renew).expect("renewed elsewhere, with the next key");
    assert!(holder(&mut world, 1).until > held.until);
    does(&mut world, (1, 52), presence("goes on")).expect("present");
    does(&mut world, (1, 52), rotate(52, 53)).expect("rotated again");
    world.run_ms(2_000);
    for at in [0, 1] {
        let shown = agents(&mut world, at);
        assert_eq!(shown.len(), 1, "one agent");
        assert_eq!((shown[0].agent, shown[0].key), (name(51), name(53)));
        let rotations = trust(&mut world, at).rotations;
        let keys = rotations.iter().map(|one| (one.former, one.next));
        let wanted = [(name(51), name(52)), (name(52), name(53))];
        assert_eq!(keys.collect::<Vec<_>>(), wanted);
        assert!(rotations.iter().all(|one| one.agent == name(51)));
    }
    let release = Action::Release {
        topic: "door".into(),
        claim: held.claim.record,
    };
    does(&mut world, (0, 53), release).expect("given back with the third");
}

/// Takes an agent whose key the first node holds to the one that follows from the second node's key, as
/// whoever has both nodes' keys can.
pub(crate) fn hand_over(world: &mut Loop, agent: &str) {
    let [former, next] = [1, 2].map(|secret| held_key(&[secret; 32], main(), agent));
    assert_eq!(agent_of(&former), world.nodes[0].held_agent(main(), agent));
    let rotation = Rotation::sign(&next, CLUSTER, main(), agent_of(&former), agent);
    let rotate = Action::Rotate(rotation.into());
    signed(world, (0, &former), rotate, None).expect("rotated");
    world.run_ms(2_000);
}

#[test]
fn an_agent_whose_key_a_node_held_goes_on_where_its_next_key_follows_from() {
    let mut world = two();
    let kim = world.nodes[0].held_agent(main(), "kim");
    world.enrol(0, "kim");
    world.act(0, "kim", claim()).expect("claimed");
    hand_over(&mut world, "kim");
    let stays = world.act(0, "kim", presence("stays"));
    assert_eq!(stays.expect_err("refused").code, Code::KeyRotated);
    // By its name, as ever: the claim is the agent's, whichever key it was made with.
    let renew = Action::Renew {
        topic: "door".into(),
        claim: Digest::default(),
        lease_ms: 60_000,
    };
    world.act(1, "kim", renew).expect("its own claim");
    let again = world.act(1, "kim", claim()).expect_err("refused");
    assert!(again.hint.contains("yours already"), "{again}");
    let settings = Action::Settings(vec![(Setting::EmitPerMinuteMax, 1)]);
    world.act(1, "kim", settings).expect("set");
    world.act(1, "kim", need()).expect("emitted");
    let more = world.act(1, "kim", need()).expect_err("refused");
    assert_eq!(more.code, Code::RateLimited);
    world.run_ms(2_000);
    for at in [0, 1] {
        assert_eq!(holder(&mut world, at).agent, kim, "under its first key");
    }
}

#[test]
fn the_edge_refuses_what_no_replica_would_count_and_says_what_to_do() {
    let mut world = two();
    does(&mut world, (0, 61), enrol("bob")).expect("enrolled");
    assert_eq!(refused(&mut world, (0, 51), rotate(51, 61)), Code::KeyTaken);
    assert_eq!(refused(&mut world, (0, 51), rotate(51, 51)), Code::KeyTaken);
    let other = Rotation::sign(&key(52), CLUSTER, main(), name(51), "bob");
    let other = Action::Rotate(other.into());
    assert_eq!(refused(&mut world, (0, 51), other), Code::Malformed);
    let unproven = Rotation::sign(&key(52), CLUSTER, main(), name(61), "ivy");
    let unproven = Action::Rotate(unproven.into());
    assert_eq!(refused(&mut world, (0, 51), unproven), Code::BadSignature);
    assert_eq!(
        refused(&mut world, (0, 54), rotate(54, 55)),
        Code::AgentUnknown
    );
    // One that the node holds has no next one.
    world.enrol(0, "kim");
    let held = world.act(0, "kim", rotate(51, 52)).expect_err("refused");
    assert_eq!(held.code, Code::NotHeld);
    assert!(held.hint.contains("--key-file"), "{held}");
    assert_eq!(agents(&mut world, 0)[0].key, name(51), "nothing changed");

    does(&mut world, (0, 51), rotate(51, 52)).expect("rotated");
    assert_eq!(
        refused(&mut world, (0, 51), presence("old")),
        Code::KeyRotated
    );
    assert_eq!(
        refused(&mut world, (0, 51), rotate(51, 53)),
        Code::KeyRotated
    );
    assert_eq!(refused(&mut world, (0, 51), enrol("ivy")), Code::KeyRotated);
    assert_eq!(refused(&mut world, (0, 52), rotate(52, 51)), Code::KeyTaken);
}

#[test]
fn the_edge_refuses_one_rotation_too_many_by_its_rule() {
    let mut world = two();
    let most = limits::ROTATIONS_OF_AGENT_MAX as u8;
    let first = 100;
    does(&mut world, (0, 51), rotate(51, first)).expect("rotated");
    for former in first..first + most - 1 {
        does(&mut world, (0, former), rotate(former, former + 1)).expect("rotated");
    }
    let last = first + most - 1;
    let limit = does(&mut world, (0, last), rotate(last, last + 1)).expect_err("refused");
    assert_eq!(limit.code, Code::RotationLimit);
    assert!(limit.detail.contains("64 times at most"), "{limit}");
    assert!(!limit.hint.is_empty());
    does(&mut world, (0, last), presence("works on")).expect("with the key that it has");
    assert_eq!(agents(&mut world, 0)[0].key, name(last), "nothing changed");
}

/// The answer to the rotation was lost, and it is asked for again.
#[test]
fn a_rotation_that_is_repeated_is_done_once() {
    let mut world = two();
    let request = Some(IdempotencyKey([7; 16]));
    let first = keyed(&mut world, (0, 51), rotate(51, 52), request).expect("rotated");
    let again = keyed(&mut world, (0, 51), rotate(51, 52), request).expect("answered");
    let record = |answer: Answer| match answer.body {
        unisono_core::node::AnswerBody::Recorded(recorded) => recorded.place,
        other => panic!("no record: {other:?}"),
    };
    assert_eq!(record(first), record(again));
}

#[test]
fn a_next_key_has_no_share_of_a_minute_of_its_own() {
    let mut world = two();
    let settings = Action::Settings(vec![(Setting::EmitPerMinuteMax, 1)]);
    does(&mut world, (0, 51), settings).expect("set");
    does(&mut world, (0, 51), need()).expect("emitted");
    does(&mut world, (0, 51), rotate(51, 52)).expect("rotated");
    assert_eq!(refused(&mut world, (0, 52), need()), Code::RateLimited);
}

/// On the other side of a cut somebody goes on with the key of before: it counts there until the
/// rotation comes, and then what was signed above that is void on both sides.
#[test]
fn what_the_former_key_did_beyond_a_cut_is_void_when_the_rotation_arrives() {
    let mut world = two();
    world.run_ms(2_000);
    world.cut = vec![(0, 1)];
    does(&mut world, (0, 51), rotate(51, 52)).expect("rotated");
    world.run_ms(20);
    does(&mut world, (1, 51), claim()).expect("it counts where the rotation is not known");
    does(&mut world, (1, 51), rotate(51, 53)).expect("and so does this");
    does(&mut world, (1, 53), presence("a thief"))
        .expect("it counts until the first rotation comes");
    world.cut.clear();
    world.run_ms(20_000);
    for at in [0, 1] {
        let trust = trust(&mut world, at);
        let rules: Vec<&str> = trust.voided.iter().map(|one| one.rule.as_str()).collect();
        assert_eq!(rules, ["key_rotated"; 2], "at {at}");
        assert!(matches!(
            world.view(at, Question::Claims(ClaimsWanted::default())),
            Ok(View::Claims(claims)) if claims.is_empty()
        ));
        let shown = agents(&mut world, at);
        assert_eq!(shown[0].key, name(52));
        assert_eq!(session(&mut world, at, 53).succeeds, []);
    }
}
