//! Golden vectors: one record and one bundle as bytes, with their digests. A change here is a
//! change of the protocol.

use ed25519_dalek::SigningKey;
use unisono_model::wire::{self, Signature};
use unisono_model::{
    Action, AgentId, Approve, Arrival, BUNDLE_VERSION, BundleBody, BundleHeader, Carried, ChainId,
    ClusterId, Content, Cue, CueAnswer, CueRule, CueWord, Curve, Decide, DecideKind, Digest,
    DocumentAppend, DocumentKind, DocumentName, Expulsion, FileScope, Held, IdempotencyKey,
    Importance, Incarnation, Judgement, Leave, LogEnd, LogId, Measure, Measured, Moved, NodeId,
    OrchestraEnd, OrchestraId, Outcome, PhaseState, Plan, PlanPhase, Played, Project,
    RECORD_VERSION, RecordBody, RecordPlace, Rejected, Remedy, Resolution, Resolve, Reviewed,
    Rollback, SignedBundle, SignedRecord, Stamp, Tempo, TempoSegment, Who, Write, check, limits,
};

pub(crate) fn record() -> (RecordPlace, SignedRecord) {
    let agent = SigningKey::from_bytes(&[1; 32]);
    let node = SigningKey::from_bytes(&[2; 32]);
    let cluster = ClusterId([3; 16]);
    let place = RecordPlace {
        cluster,
        orchestra: OrchestraId::of(cluster, "main"),
        chain: ChainId {
            agent: AgentId(agent.verifying_key().to_bytes()),
            log: LogId {
                node: NodeId(node.verifying_key().to_bytes()),
                incarnation: Incarnation {
                    started_ms: 1_700_000_000_000,
                    nonce: 4,
                },
            },
        },
        seq: 1,
        prev: Digest::default(),
    };
    let body = RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: 1_700_000_000_123,
        iteration: 1,
        key: Some(IdempotencyKey([5; 16])),
        predecessors: Vec::new(),
        token: None,
        action: Action::Claim {
            topic: "src/auth/**".into(),
            lease_ms: 60_000,
        },
    };
    (place, SignedRecord::sign(&agent, &place, &body))
}

pub(crate) fn bundle() -> SignedBundle {
    let node = SigningKey::from_bytes(&[2; 32]);
    let (place, record) = record();
    let stamp = Stamp::from_ms(1_700_000_000_200);
    let body = BundleBody {
        agents: vec![record.agent],
        records: vec![Carried {
            agent: 0,
            seq: record.seq,
            prev: record.prev,
            stamp,
            body: record.body,
            signature: record.signature,
        }],
        appends: vec![DocumentAppend {
            document: DocumentName {
                kind: DocumentKind::Movement(1),
                part: 0,
            },
            dependencies: vec![Digest([6; 32])],
        }],
        living: Vec::new(),
        closes: Vec::new(),
    };
    let (bytes, digest) = body.seal();
    let header = BundleHeader {
        version: BUNDLE_VERSION,
        cluster: place.cluster,
        orchestra: place.orchestra,
        log: place.chain.log,
        seq: 1,
        prev: Digest::default(),
        stamp,
        body: digest,
    };
    SignedBundle::sign(&node, header, bytes)
}

/// What is said about files: the plan, a write, an approval.
fn about_files() -> [Action; 3] {
    let content = Digest([7; 32]);
    [
        Action::Plan(Plan {
            projects: vec![Project {
                name: "engine".into(),
                unmeasured: vec!["md".into()],
                phases: vec![PlanPhase {
                    number: 1,
                    name: "parts".into(),
                    state: PhaseState::Active,
                    scopes: vec![FileScope {
                        who: Who::Role("builder".into()),
                        paths: vec!["src/**".into()],
                    }],
                }],
            }],
        }),
        Action::Write(Box::new(Write {
            project: "engine".into(),
            phase: 1,
            path: "src/a.rs".into(),
            base: Some(Digest([6; 32])),
            content: Some(Content {
                digest: content,
                bytes: 300,
                blank: false,
                measure: Measure::Known(Measured {
                    language: "rust".into(),
                    functions: 2,
                    complexity_max: 8,
                    most_complex: "f".into(),
                    lines_max: 60,
                    longest: "g".into(),
                }),
            }),
            moved_from: Some(Moved {
                path: "src/b.rs".into(),
                base: Digest([5; 32]),
            }),
            plan: Digest([4; 32]),
        })),
        Action::Approve(Approve {
            about: Reviewed::Path("src/a.rs".into()),
            content,
            judgement: Judgement::Rejected,
            reason: "no".into(),
        }),
    ]
}

#[test]
fn what_is_said_about_files_is_these_bytes() {
    let told: Vec<String> = about_files()
        .iter()
        .map(|action| {
            check::action(action).expect("within its limits");
            hex(&wire::encode(action))
        })
        .collect();
    assert_eq!(told, ABOUT_FILES);
}

fn verifies(key: &[u8; 32], digest: &Digest, signature: &Signature) -> bool {
    let key = ed25519_dalek::VerifyingKey::from_bytes(key).expect("a key");
    let signature = ed25519_dalek::Signature::from_bytes(&signature.to_bytes());
    key.verify_strict(&digest.0, &signature).is_ok()
}

#[test]
fn the_record_is_these_bytes() {
    let (place, record) = record();
    let digest = place.digest(&record.body.0);
    assert_eq!(digest.to_string(), RECORD_DIGEST);
    assert_eq!(hex(&record.body.0), RECORD_BODY);
    assert!(verifies(&record.agent.0, &digest, &record.signature));
}

#[test]
fn the_bundle_is_these_bytes() {
    let bundle = bundle();
    assert_eq!(bundle.header.digest().to_string(), BUNDLE_DIGEST);
    let bytes = wire::encode(&bundle);
    assert_eq!(
        Digest::of("unisono/golden/v1", &[&bytes]).to_string(),
        BUNDLE_BYTES
    );
    let (again, body) = SignedBundle::decode(&bytes).expect("its own bytes");
    assert_eq!(again, bundle);
    assert_eq!(body.records.len(), 1);
    let digest = bundle.header.digest();
    assert!(verifies(
        &bundle.header.log.node.0,
        &digest,
        &bundle.signature
    ));
}

#[test]
fn a_resolution_is_these_bytes() {
    let action = Action::Resolve(Resolve {
        interference: Digest([7; 32]),
        how: Resolution::Synthesis,
        outcome: "one module".into(),
        mark: None,
    });
    assert_eq!(hex(&wire::encode(&action)), RESOLVE);
}

/// What is played together: the bytes of each action, number of the variant first.
#[test]
fn the_actions_of_the_ensemble_are_these_bytes() {
    let tempo = Tempo {
        beat: 7,
        part: 5,
        segments: vec![TempoSegment {
            starts_ns: 9,
            lasts_ns: None,
            rate_ubpm: 120_000_000,
            curve: Curve::Steady,
        }],
        point_every: 4,
        major_every: 64,
    };
    let arrival = Arrival {
        barrier: "door".into(),
        of: 3,
        lead_ms: 500,
        patience_ms: 600_000,
    };
    let cue = Cue {
        name: "go".into(),
        target_ns: 1_800_000_000_000_000_000,
        window_ms: 50,
        confidence_ppm: 1_000_000,
        answer_ms: 500,
        preparation: String::new(),
        parties: Vec::new(),
        rule: CueRule::Go,
    };
    let answer = CueAnswer {
        cue: Digest([0xaa; 32]),
        word: CueWord::ShortNotice,
        text: String::new(),
    };
    let played = Played {
        cue: None,
        target_ns: 9,
        late_ns: -3,
        unsure_ns: 7,
    };
    let aa = "aa".repeat(32);
    for (action, bytes) in [
        (
            Action::Tempo(tempo),
            "150705010900809c9c39000440".to_owned(),
        ),
        (
            Action::Arrive(arrival),
            "1604646f6f7203f403c0cf24".to_owned(),
        ),
        (
            Action::Cue(cue),
            "1702676f8080d09de9ceb8fd1832c0843df403000000".to_owned(),
        ),
        (Action::Answer(answer), format!("18{aa}0100")),
        (Action::Played(played), "1900090507".to_owned()),
    ] {
        assert_eq!(hex(&wire::encode(&action)), bytes, "{}", action.name());
        assert!(check::action(&action).is_ok(), "{}", action.name());
    }
}

#[test]
fn what_an_orchestra_learns_is_these_bytes() {
    let decide = Decide {
        kind: DecideKind::DeadEnd,
        topic: "db".into(),
        question: String::new(),
        text: "one".into(),
        reason: "r".into(),
        importance: Importance::High,
        confidence_permille: 900,
        rejected: vec![Rejected {
            option: "two".into(),
            reason: String::new(),
        }],
        supersedes: vec![Digest([0xaa; 32])],
    };
    let remedy = Remedy {
        form: 1,
        error: "e".into(),
        text: "t".into(),
        cause: String::new(),
        files: vec!["f".into()],
    };
    let outcome = Outcome {
        remedy: Digest([0xaa; 32]),
        helped: true,
        text: String::new(),
    };
    let aa = "aa".repeat(32);
    for (action, bytes) in [
        (
            Action::Decide(Box::new(decide)),
            format!("1a0102646200036f6e650172028407010374776f0001{aa}"),
        ),
        (
            Action::Remedy(Box::new(remedy)),
            "1b010165017400010166".to_owned(),
        ),
        (Action::Outcome(outcome), format!("1c{aa}0100")),
    ] {
        assert_eq!(hex(&wire::encode(&action)), bytes, "{}", action.name());
        assert!(check::action(&action).is_ok(), "{}", action.name());
    }
}

#[test]
fn a_rollback_is_these_bytes_and_names_each_log_once() {
    let end = |nonce, seq| LogEnd {
        incarnation: Incarnation {
            started_ms: 5,
            nonce,
        },
        seq,
    };
    let rollback = Rollback {
        to: Stamp(3),
        seen: vec![end(4, 3), end(6, 1)],
        reason: "r".into(),
    };
    let action = Action::Rollback(Box::new(rollback.clone()));
    assert_eq!(hex(&wire::encode(&action)), "1f03020504030506010172");
    assert!(check::action(&action).is_ok());
    let refused = |seen: Vec<LogEnd>| {
        let rollback = Rollback {
            seen,
            ..rollback.clone()
        };
        check::action(&Action::Rollback(Box::new(rollback))).is_err()
    };
    assert!(refused(vec![end(6, 1), end(4, 3)]), "in order");
    assert!(refused(vec![end(4, 1), end(4, 3)]), "each once");
    let many = 0..=limits::ROLLBACK_LOGS_MAX as u64;
    assert!(refused(many.map(|nonce| end(nonce, 1)).collect()));
    // As much as there can be fits into a record.
    let full = 0..limits::ROLLBACK_LOGS_MAX as u64;
    let full = Rollback {
        to: Stamp(u64::MAX),
        seen: full
            .map(|n| LogEnd {
                incarnation: Incarnation {
                    started_ms: u64::MAX,
                    nonce: u64::MAX - limits::ROLLBACK_LOGS_MAX as u64 + n,
                },
                seq: u64::MAX,
            })
            .collect(),
        reason: "r".repeat(limits::REASON_BYTES_MAX),
    };
    let bytes = wire::encode(&Action::Rollback(Box::new(full)));
    assert!(
        bytes.len() < limits::RECORD_BYTES_MAX - 4_096,
        "{}",
        bytes.len()
    );
}

#[test]
fn a_farewell_is_these_bytes_and_names_each_end_once() {
    let end = OrchestraEnd {
        orchestra: OrchestraId([0xaa; 16]),
        end: LogEnd {
            incarnation: Incarnation {
                started_ms: 5,
                nonce: 4,
            },
            seq: 3,
        },
    };
    let leave = Leave {
        ends: vec![end],
        staying: vec![LogId {
            node: NodeId([0xbb; 32]),
            incarnation: end.end.incarnation,
        }],
        last: true,
    };
    let (aa, bb) = ("aa".repeat(16), "bb".repeat(32));
    let action = Action::Leave(leave.clone());
    assert_eq!(
        hex(&wire::encode(&action)),
        format!("1d01{aa}05040301{bb}050401")
    );
    assert!(check::action(&action).is_ok());
    let twice = Leave {
        ends: vec![end, end],
        ..leave.clone()
    };
    assert!(check::action(&Action::Leave(twice)).is_err());
    let many = Leave {
        ends: (0..=limits::LEAVE_ENDS_MAX as u64)
            .map(|seq| OrchestraEnd {
                end: LogEnd { seq, ..end.end },
                ..end
            })
            .collect(),
        ..leave.clone()
    };
    assert!(check::action(&Action::Leave(many)).is_err());
    // As much as there can be fits into a record.
    let full = Leave {
        ends: (0..limits::LEAVE_ENDS_MAX as u64)
            .map(|seq| OrchestraEnd {
                orchestra: OrchestraId([0xff; 16]),
                end: LogEnd {
                    incarnation: Incarnation {
                        started_ms: u64::MAX,
                        nonce: u64::MAX,
                    },
                    seq: u64::MAX - limits::LEAVE_ENDS_MAX as u64 + seq,
                },
            })
            .collect(),
        staying: (0..limits::MEMBERS_MAX)
            .map(|node| {
                let mut bytes = [0xff; 32];
                bytes[0] = node as u8;
                LogId {
                    node: NodeId(bytes),
                    incarnation: Incarnation {
                        started_ms: u64::MAX,
                        nonce: u64::MAX,
                    },
                }
            })
            .collect(),
        last: true,
    };
    let action = Action::Leave(full);
    assert!(check::action(&action).is_ok());
    assert!(wire::encode(&action).len() < limits::RECORD_BYTES_MAX - 1_024);
}

#[test]
fn a_removal_is_these_bytes_and_names_each_log_once() {
    let end = |orchestra: u8, seq: u64| OrchestraEnd {
        orchestra: OrchestraId([orchestra; 16]),
        end: LogEnd {
            incarnation: Incarnation {
                started_ms: 5,
                nonce: 4,
            },
            seq,
        },
    };
    let removal = Expulsion {
        node: NodeId([0xcc; 32]),
        ends: vec![end(0xaa, 3)],
        staying: vec![LogId {
            node: NodeId([0xbb; 32]),
            incarnation: end(0, 0).end.incarnation,
        }],
        reason: "r".into(),
    };
    let (aa, bb, cc) = ("aa".repeat(16), "bb".repeat(32), "cc".repeat(32));
    let action = Action::Remove(removal.clone());
    assert_eq!(
        hex(&wire::encode(&action)),
        format!("1e{cc}01{aa}05040301{bb}05040172")
    );
    assert!(check::action(&action).is_ok());
    let with = |ends: Vec<OrchestraEnd>| {
        let removal = removal.clone();
        check::action(&Action::Remove(Expulsion { ends, ..removal })).is_ok()
    };
    assert!(with(Vec::new()), "nothing of it counts");
    assert!(!with(vec![end(1, 3), end(1, 4)]), "one log twice");
    assert!(!with(vec![end(2, 3), end(1, 3)]), "not in order");
    assert!(!with(vec![end(1, 0)]), "where it began is not named");
    let most = limits::EXPULSION_ENDS_MAX as u64;
    let many = |count: u64| {
        let ends = (0..count).map(|nonce| OrchestraEnd {
            orchestra: OrchestraId([0xff; 16]),
            end: LogEnd {
                incarnation: Incarnation {
                    started_ms: u64::MAX,
                    nonce: u64::MAX - most + nonce,
                },
                seq: u64::MAX,
            },
        });
        ends.collect::<Vec<_>>()
    };
    assert!(with(many(most)) && !with(many(most + 1)));
    let full = Expulsion {
        ends: many(most),
        staying: (0..limits::MEMBERS_MAX)
            .map(|node| {
                let mut bytes = [0xff; 32];
                bytes[0] = node as u8;
                LogId {
                    node: NodeId(bytes),
                    incarnation: many(1)[0].end.incarnation,
                }
            })
            .collect(),
        reason: "r".repeat(limits::REASON_BYTES_MAX),
        ..removal.clone()
    };
    let action = Action::Remove(full);
    assert!(check::action(&action).is_ok());
    assert!(wire::encode(&action).len() < limits::RECORD_BYTES_MAX - 1_024);
}

#[test]
fn a_lesson_outside_its_limits_is_no_record() {
    let decide = Decide {
        kind: DecideKind::Decision,
        topic: "db".into(),
        question: String::new(),
        text: "one".into(),
        reason: String::new(),
        importance: Importance::Low,
        confidence_permille: 1_000,
        rejected: Vec::new(),
        supersedes: vec![Digest([1; 32]), Digest([2; 32])],
    };
    let checked = |change: fn(&mut Decide)| {
        let mut decide = decide.clone();
        change(&mut decide);
        check::action(&Action::Decide(Box::new(decide))).is_ok()
    };
    assert!(checked(|_| {}));
    assert!(!checked(|decide| decide.text.clear()));
    assert!(!checked(|decide| decide.topic.push('\u{202e}')));
    assert!(!checked(|decide| decide.text.push('\0')));
    assert!(!checked(|decide| decide.confidence_permille = 1_001));
    assert!(!checked(|decide| decide.supersedes.reverse()));
    assert!(!checked(
        |decide| decide.supersedes = vec![Digest([1; 32]); 2]
    ));
    assert!(!checked(|decide| decide.reason = "x".repeat(5_000)));
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

const RECORD_DIGEST: &str = "5e1943545f9c3754ff79ad54b50a29c001a334f874940532914f195cf735a917";
const RECORD_BODY: &str =
    "0100fbd095ffbc310101050505050505050505050505050505050000050b7372632f617574682f2a2ae0d403";
const RESOLVE: &str = "140707070707070707070707070707070707070707070707070707070707070707\
    020a6f6e65206d6f64756c6500";
const BUNDLE_DIGEST: &str = "9ef08b0954bfc630a462ce9b20725c1fbf0cb9d991a15087efa5929cbce08268";
const BUNDLE_BYTES: &str = "a4ce8304c9d5e6befb437d77e45287b3fb53f71c401160d6b8341a603a05749b";
const ABOUT_FILES: [&str; 3] = [
    "110106656e67696e6501026d640101057061727473010101076275696c64657201067372632f2a2a",
    "1206656e67696e6501087372632f612e7273010606060606060606060606060606060606060606060606060606060606060606010707070707070707070707070707070707070707070707070707070707070707ac0200000472757374020801663c016701087372632f622e727305050505050505050505050505050505050505050505050505050505050505050404040404040404040404040404040404040404040404040404040404040404",
    "1300087372632f612e7273070707070707070707070707070707070707070707070707070707070707070701026e6f",
];
