//! Sessions: which bytes are one, when it counts, and who may read by it.

#![allow(
    clippy::disallowed_methods,
    reason = "the vectors are files, for verifiers in other languages"
)]

use std::path::PathBuf;

use ed25519_dalek::{Signer, SigningKey};
use serde::{Deserialize, Serialize};
use unisono_core::context::StrictVerifier;
use unisono_core::orchestra::fact::Fact;
use unisono_core::orchestra::trust::{Trust, Verdict};
use unisono_core::session::examine;
use unisono_model::wire::{self, Blob, Signature};
use unisono_model::{
    AgentId, ClusterId, Digest, FenceTarget, OrchestraId, Place, ReadSession, SESSION_VERSION,
    SignedSession, Stamp, limits,
};

use crate::capability::{CLUSTER, HOUR_MS, NOW_MS, key, name};
use crate::trust::{History, enrol, executive, id_of, implementer, log, orchestra, root, rules};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
struct Vector {
    /// What is tried.
    name: String,
    /// The session (hexadecimal).
    session: String,
    /// When (ms since the Unix epoch).
    now_ms: u64,
    /// `ok`, or the rule that it breaks.
    verdict: String,
}

fn session() -> ReadSession {
    ReadSession {
        version: SESSION_VERSION,
        cluster: CLUSTER,
        orchestra: Some(orchestra()),
        agent: name(&key(3)),
        token: Some(id_of(2)),
        issued_ms: NOW_MS,
        ends_ms: NOW_MS + 600_000,
        nonce: [5; 16],
    }
}

fn verdict(bytes: &[u8], now_ms: u64) -> String {
    let examined = match examine(bytes, CLUSTER, &mut StrictVerifier) {
        Ok(examined) => examined,
        Err(invalid) => return invalid.code().to_owned(),
    };
    match examined.counts(orchestra(), now_ms) {
        Ok(()) => "ok".to_owned(),
        Err(rejection) => rejection.code.as_str().to_owned(),
    }
}

fn vector(what: &str, bytes: &[u8], now_ms: u64) -> Vector {
    use std::fmt::Write;
    let session = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    Vector {
        name: what.to_owned(),
        session,
        now_ms,
        verdict: verdict(bytes, now_ms),
    }
}

fn changed(what: &str, change: impl Fn(&mut ReadSession)) -> Vector {
    let mut session = session();
    change(&mut session);
    vector(what, &session.sign(&key(3)).encode(), NOW_MS)
}

/// Signed over other bytes than a session's name.
fn signed_over(what: &str, message: impl Fn(&[u8]) -> Vec<u8>, signer: &SigningKey) -> Vector {
    let body = wire::encode(&session());
    let signature = signer.sign(&message(&body));
    let signed = SignedSession {
        body: Blob(body),
        signature: Signature::from_bytes(signature.to_bytes()),
    };
    vector(what, &signed.encode(), NOW_MS)
}

fn vectors() -> Vec<Vector> {
    let good = session().sign(&key(3)).encode();
    let at = |what: &str, now_ms| vector(what, &good, now_ms);
    let ends = session().ends_ms;
    let ahead = limits::SESSION_AHEAD_MS_MAX;
    let mut all = vec![
        at("for one orchestra, under a token", NOW_MS),
        changed("for all orchestras", |one| one.orchestra = None),
        changed("under no token", |one| one.token = None),
        changed("the longest", |one| {
            one.ends_ms = one.issued_ms + limits::SESSION_LIFE_MS_MAX;
        }),
        at("in its last millisecond", ends - 1),
        at("by a clock that is ahead", NOW_MS - ahead),
        at("at its end", ends),
        at("by a clock that is too far ahead", NOW_MS - ahead - 1),
        changed("a millisecond too long", |one| {
            one.ends_ms = one.issued_ms + limits::SESSION_LIFE_MS_MAX + 1;
        }),
        changed("ends as it begins", |one| one.ends_ms = one.issued_ms),
        changed("ends before it begins", |one| {
            one.ends_ms = one.issued_ms - 1;
        }),
        changed("to the end of time", |one| one.ends_ms = u64::MAX),
        changed("another version", |one| one.version = SESSION_VERSION + 1),
        changed("another cluster", |one| one.cluster = ClusterId([8; 16])),
        changed("another orchestra", |one| {
            one.orchestra = Some(OrchestraId::of(CLUSTER, "beta"));
        }),
        changed("another agent's", |one| one.agent = name(&key(2))),
    ];
    // Of the identity as a key this is a signature over whatever one likes, but for the strict rules.
    let mut identity = [0; 64];
    identity[0] = 1;
    let mut weak = session();
    weak.agent.0.copy_from_slice(&identity[..32]);
    let mut weak = weak.sign(&key(3));
    weak.signature = Signature::from_bytes(identity);
    all.push(vector("a key of small order", &weak.encode(), NOW_MS));
    let of = |label: &'static str| move |body: &[u8]| Digest::of(label, &[body]).0.to_vec();
    all.push(signed_over(
        "signed as a link of a token",
        of("unisono/capability-link/v1"),
        &key(3),
    ));
    all.push(signed_over(
        "signed without a label",
        <[u8]>::to_vec,
        &key(3),
    ));
    all.push(signed_over(
        "signed by another key",
        of("unisono/session/v1"),
        &key(4),
    ));
    let mut flipped = good.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    all.push(vector("a flipped bit of the signature", &flipped, NOW_MS));
    let mut flipped = good.clone();
    flipped[20] ^= 1;
    all.push(vector("a flipped bit of what is signed", &flipped, NOW_MS));
    let longer = [good.as_slice(), &[0]].concat();
    all.push(vector("a byte behind it", &longer, NOW_MS));
    all.push(vector("a byte too few", &good[..last], NOW_MS));
    all.push(vector("nothing", &[], NOW_MS));
    let long = vec![0; limits::SESSION_BYTES_MAX + 1];
    all.push(vector("too many bytes", &long, NOW_MS));
    all
}

#[test]
fn sessions_are_the_vectors() {
    let vectors = vectors();
    let good = vectors.iter().filter(|one| one.verdict == "ok").count();
    assert_eq!(good, 6, "{vectors:#?}");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sessions.json");
    if std::env::var_os("UNISONO_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&vectors).expect("JSON");
        std::fs::write(&path, text + "\n").expect("a file");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors");
    let known: Vec<Vector> = serde_json::from_str(&text).expect("vectors");
    assert_eq!(known, vectors);
}

#[test]
fn each_flipped_bit_and_each_cut_of_a_session_is_refused() {
    let good = session().sign(&key(3)).encode();
    assert_eq!(verdict(&good, NOW_MS), "ok");
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(verdict(&bytes, NOW_MS), "ok", "bit {bit}");
    }
    for length in 0..good.len() {
        assert_ne!(verdict(&good[..length], NOW_MS), "ok", "{length} bytes");
    }
}

/// What reading comes to, of an agent under a token, when all of this is known.
fn reading(history: &History, agent: AgentId, token: Option<Digest>, at_ms: u64) -> String {
    reading_in(history, agent, token, at_ms, orchestra())
}

fn reading_in(
    history: &History,
    agent: AgentId,
    token: Option<Digest>,
    at_ms: u64,
    orchestra: OrchestraId,
) -> String {
    let mut trust = Trust::default();
    for fact in &history.facts {
        trust.witness(orchestra, fact, &rules());
        if let Verdict::Counts(lesson) = trust.judge(orchestra, fact, &rules()) {
            trust.learn(fact, lesson);
        }
    }
    let mut fact: Fact = history.facts.last().expect("records").clone();
    fact.agent = agent;
    fact.log = log(9);
    fact.seq = u64::MAX;
    fact.place = Place::end_of(Stamp::from_ms(at_ms));
    fact.body.token = token;
    fact.body.action = unisono_model::Action::Release {
        topic: String::new(),
        claim: Digest::default(),
    };
    match trust.may_read(orchestra, &fact, &rules()) {
        Verdict::Counts(_) => "ok".to_owned(),
        Verdict::Awaits(awaited) => awaited.rejection().code.as_str().to_owned(),
        Verdict::Void(void) => void.code.as_str().to_owned(),
    }
}

const LATER: u64 = NOW_MS + 10_000;

#[test]
fn in_an_open_orchestra_whoever_is_enrolled_reads_and_in_a_guarded_one_under_a_token_that_lets_them()
 {
    let mut history = History::with_rights();
    let stranger = name(&key(9));
    history.work(implementer(), 2, 0, None);
    assert_eq!(reading(&history, implementer(), None, LATER), "ok");
    assert_eq!(reading(&history, stranger, None, LATER), "agent_unknown");
    history.add(
        root(),
        1,
        NOW_MS + 5_000,
        None,
        unisono_model::Action::Guard,
    );
    assert_eq!(
        reading(&history, implementer(), None, LATER),
        "token_missing"
    );
    let own = Some(id_of(2));
    assert_eq!(reading(&history, implementer(), own, LATER), "ok");
    assert_eq!(reading(&history, executive(), Some(id_of(1)), LATER), "ok");
    assert_eq!(
        reading(&history, root(), None, LATER),
        "ok",
        "it sees what it ends"
    );
    let others = reading(&history, executive(), own, LATER);
    assert_eq!(others, "token_binding", "a copy of a token");
    let unseen = Some(Digest([4; 32]));
    assert_eq!(
        reading(&history, implementer(), unseen, LATER),
        "token_unknown"
    );
    let over = NOW_MS + HOUR_MS;
    assert_eq!(reading(&history, implementer(), own, over), "token_time");
    history.add(stranger, 2, NOW_MS + 6_000, None, enrol("eve", None));
    assert_eq!(reading(&history, stranger, None, LATER), "token_missing");
}

#[test]
fn an_implementer_of_another_project_does_not_read_and_an_executive_does() {
    let history = History::with_rights();
    let there = OrchestraId::of(CLUSTER, "beta");
    let own = reading_in(&history, implementer(), Some(id_of(2)), LATER, there);
    assert_eq!(own, "not_allowed");
    let all = reading_in(&history, executive(), Some(id_of(1)), LATER, there);
    assert_eq!(all, "ok");
}

#[test]
fn a_fence_ends_reading_whatever_it_keeps_of_what_was_done() {
    let token = Some(id_of(2));
    let kept = [(implementer(), 2, 3)];
    for target in [FenceTarget::Key(implementer()), FenceTarget::Link(id_of(2))] {
        let mut history = History::with_rights();
        history.work(implementer(), 2, 0, token);
        assert_eq!(reading(&history, implementer(), token, LATER), "ok");
        history.fence(root(), 1_000, target, &kept);
        assert_eq!(
            reading(&history, implementer(), token, LATER),
            "token_fenced"
        );
    }
}
