//! Records, bundles, proofs, cursors and the frames that carry them.

use ed25519_dalek::SigningKey;
use unisono_core::carriage::{Carried, client_record, proves_fork};
use unisono_core::context::StrictVerifier;
use unisono_core::replication::{Cursor, Frame, LogTag};
use unisono_model::wire::{Blob, decode, encode};
use unisono_model::{
    Across, Action, AgentId, AgentKind, AuthorityId, BUNDLE_VERSION, BundleBody, BundleHeader,
    ChainCut, ChainHead, ChainId, ClusterId, CorrectionRule, Decide, DecideKind, Digest,
    DocumentAppend, DocumentKind, DocumentName, Enrol, Expulsion, Fence, FenceTarget, FieldChange,
    FieldValue, ForkProof, Held, IdempotencyKey, Importance, Incarnation, Incident, InviteKey,
    InviteUse, InviteWord, Leave, LogEnd, LogId, Mark, NodeId, OrchestraEnd, OrchestraId, Outcome,
    Performs, RECORD_VERSION, RecordBody, RecordPlace, Rejected, Relation, Remedy, Resource,
    Rollback, RootWord, Rotation, Seen, Signal, SignalKind, SignedBundle, SignedRecord, Stamp,
    Succession, SuccessionWord, TaskChange, TaskStatus, Urgency, Used, Witness, limits,
};

use crate::Seed;

const CLUSTER: ClusterId = ClusterId([1; 16]);
const ORCHESTRA: OrchestraId = OrchestraId([2; 16]);

pub(crate) fn record_body(bytes: &[u8]) -> bool {
    let Ok(body) = RecordBody::decode(bytes) else {
        return false;
    };
    assert_eq!(
        encode(&body),
        bytes,
        "an accepted body is the canonical one"
    );
    true
}

pub(crate) fn signed_record(bytes: &[u8]) -> bool {
    let Ok(record) = client_record(bytes) else {
        return false;
    };
    assert_eq!(
        encode(&record),
        bytes,
        "an accepted record is the canonical one"
    );
    record_body(&record.body.0)
}

pub(crate) fn bundle(bytes: &[u8]) -> bool {
    let Ok((bundle, body)) = SignedBundle::decode(bytes) else {
        return false;
    };
    assert_eq!(
        encode(&bundle),
        bytes,
        "an accepted bundle is the canonical one"
    );
    assert_eq!(encode(&body), bundle.body.0, "and so is its body");
    for record in &body.records {
        record_body(&record.body.0);
    }
    let cluster = bundle.header.cluster;
    Carried::admit(bytes, cluster, &mut StrictVerifier)
        .is_ok_and(|carried| carried.bytes() == bytes)
}

pub(crate) fn fork_proof(bytes: &[u8]) -> bool {
    let Ok(proof) = decode::<ForkProof>(bytes, limits::RECORD_BYTES_MAX) else {
        return false;
    };
    proves_fork(&proof, proof.one.0.cluster, &mut StrictVerifier)
}

pub(crate) fn identifier(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let long = text.parse::<NodeId>().map(|id| id.to_string());
    let short = text.parse::<ClusterId>().map(|id| id.to_string());
    let shown = long.or(short);
    if let Ok(shown) = &shown {
        assert!(
            shown.eq_ignore_ascii_case(text),
            "an identifier is shown as it was read"
        );
    }
    shown.is_ok()
}

pub(crate) fn cursor(bytes: &[u8]) -> bool {
    let Some(cursor) = std::str::from_utf8(bytes).ok().and_then(Cursor::from_text) else {
        return false;
    };
    assert_eq!(
        Cursor::from_text(&cursor.to_text()),
        Some(cursor.clone()),
        "a cursor survives"
    );
    assert!(cursor.covers(&cursor), "whoever has seen it has seen it");
    true
}

pub(crate) fn frame(bytes: &[u8]) -> bool {
    let Ok(frame) = Frame::decode(bytes) else {
        return false;
    };
    assert_eq!(
        encode(&frame),
        bytes,
        "an accepted frame is the canonical one"
    );
    true
}

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn log(n: u8) -> LogId {
    let incarnation = Incarnation {
        started_ms: 1_800_000_000_000,
        nonce: u64::from(n),
    };
    LogId {
        node: NodeId(key(n).verifying_key().to_bytes()),
        incarnation,
    }
}

fn chain(agent: u8) -> ChainId {
    ChainId {
        agent: AgentId(key(agent).verifying_key().to_bytes()),
        log: log(9),
    }
}

fn body(action: Action) -> RecordBody {
    RecordBody {
        version: RECORD_VERSION,
        held: Held::Agent,
        agent_ms: 1_800_000_000_123,
        iteration: 3,
        key: Some(IdempotencyKey([5; 16])),
        predecessors: vec![ChainHead {
            chain: chain(4),
            seq: 7,
            record: Digest([6; 32]),
        }],
        token: None,
        action,
    }
}

fn decide() -> Decide {
    Decide {
        kind: DecideKind::Decision,
        topic: "storage".into(),
        question: "one file or many?".into(),
        text: "one file a segment".into(),
        reason: "fsync is per file".into(),
        importance: Importance::High,
        confidence_permille: 900,
        rejected: vec![Rejected {
            option: "a database".into(),
            reason: "too large".into(),
        }],
        supersedes: vec![Digest([8; 32])],
    }
}

fn outcome() -> Outcome {
    Outcome {
        remedy: Digest([8; 32]),
        helped: true,
        text: "it did".into(),
    }
}

fn leave() -> Leave {
    let end = LogEnd {
        incarnation: Incarnation::default(),
        seq: 7,
    };
    Leave {
        ends: vec![OrchestraEnd {
            orchestra: ORCHESTRA,
            end,
        }],
        staying: vec![LogId {
            node: NodeId([9; 32]),
            incarnation: Incarnation::default(),
        }],
        last: true,
    }
}

fn expulsion() -> Expulsion {
    let Leave { ends, staying, .. } = leave();
    Expulsion {
        node: NodeId([8; 32]),
        ends,
        staying,
        reason: "stolen".into(),
    }
}

fn rollback() -> Rollback {
    Rollback {
        to: Stamp::from_ms(1_700_000_000_000),
        seen: vec![LogEnd {
            incarnation: Incarnation::default(),
            seq: 3,
        }],
        reason: "it went wrong".into(),
    }
}

fn across() -> Across {
    Across {
        orchestra: "other".into(),
        incoming: true,
        signal: Signal {
            kind: SignalKind::Offer,
            topic: "index".into(),
            urgency: Urgency::High,
            text: "it is built".into(),
            lifetime_ms: 60_000,
            evidence: Some(Digest([8; 32])),
        },
    }
}

fn seen() -> Seen {
    Seen {
        logs: vec![(3, 7), (u64::MAX, u64::MAX >> 1)],
    }
}

fn rotation() -> Rotation {
    Rotation::sign(&key(7), CLUSTER, ORCHESTRA, chain(4).agent, "ada")
}

fn succession() -> Succession {
    let (next, former) = (AuthorityId([4; 32]), AuthorityId([3; 32]));
    Succession {
        word: SuccessionWord::sign(&key(7), CLUSTER, 1, next, former, 60_000),
        certificate: Blob(vec![0x30, 0x00]),
    }
}

fn witness() -> Witness {
    let header = BundleHeader {
        version: BUNDLE_VERSION,
        cluster: CLUSTER,
        orchestra: ORCHESTRA,
        log: log(9),
        seq: 7,
        prev: Digest([6; 32]),
        stamp: Stamp::from_ms(1_800_000_000_300),
        body: Digest([5; 32]),
    };
    let bundle = SignedBundle::sign(&key(9), header, Blob(vec![]));
    Witness {
        heads: vec![(bundle.header, bundle.signature)],
    }
}

fn root() -> RootWord {
    let former = AgentId([3; 32]);
    RootWord::sign((&key(7), &key(8)), CLUSTER, 1, former, 60_000)
}

fn invite() -> InviteWord {
    InviteWord::sign(
        &key(7),
        CLUSTER,
        InviteKey([6; 32]),
        60_000,
        NodeId([9; 32]),
    )
}

fn invite_use() -> InviteUse {
    let (node, issuer) = (NodeId([8; 32]), NodeId([9; 32]));
    InviteUse::sign(&key(7), CLUSTER, InviteKey([6; 32]), node, issuer)
}

fn used() -> Used {
    Used {
        resource: Resource::Tokens,
        until_ns: 1_800_000_000_000_000_000,
        actions: 4,
        used: 5_120,
        allotted: 4_096,
    }
}

fn performs() -> Performs {
    Performs {
        rule: CorrectionRule::Kalman,
        phase_ppm: 20_000,
        period_ppm: 0,
        holds_ms: 60_000,
    }
}

fn remedy() -> Remedy {
    Remedy {
        form: 1,
        error: "error e0382 borrow of moved value".into(),
        text: "clone it".into(),
        cause: "it was moved into the loop".into(),
        files: vec!["src/main.rs".into()],
    }
}

fn mark() -> Mark {
    Mark {
        about: "index".into(),
        text: "built".into(),
        reasoning: "it was asked for".into(),
        tags: vec!["index".into(), "first".into()],
        evidence: vec![Digest([8; 32])],
    }
}

fn fence() -> Fence {
    Fence {
        target: FenceTarget::Key(chain(4).agent),
        reason: "lost".into(),
        keep: vec![ChainCut {
            chain: chain(4),
            seq: 7,
        }],
    }
}

/// One action of each shape that matters to a reader: plain, nested, lists, options.
fn actions() -> Vec<(&'static str, Action)> {
    let enrol = Enrol {
        name: "ada".into(),
        role: "writes the index".into(),
        kind: AgentKind::Ai,
        tier: Some(unisono_model::capability::Tier::Executive),
    };
    let link = FieldValue::Link {
        on: "parse".into(),
        relation: Relation::Blocks,
        stands: true,
    };
    let fields = [
        FieldValue::Status(TaskStatus::Closed),
        link,
        FieldValue::Labels(vec!["a".into()]),
    ];
    let fields = fields.map(|value| FieldChange {
        value,
        replaces: vec![Digest([3; 32])],
    });
    let task = TaskChange {
        task: "index".into(),
        fields: fields.into(),
        evidence: Some(Digest([8; 32])),
    };
    let incident = Incident {
        agent: chain(4).agent,
        token: Some(Digest([4; 32])),
        deed: "claim".into(),
        rule: "token_fenced".into(),
        detail: "the key was fenced off: lost".into(),
        times: 3,
    };
    vec![
        ("enrol", Action::Enrol(enrol)),
        (
            "claim",
            Action::Claim {
                topic: "index".into(),
                lease_ms: 60_000,
            },
        ),
        ("mark", Action::Mark(mark())),
        ("task", Action::Task(task)),
        ("advance", Action::Advance { from: 3 }),
        ("fence", Action::Fence(fence())),
        ("incident", Action::Incident(incident)),
        ("decide", Action::Decide(Box::new(decide()))),
        ("remedy", Action::Remedy(Box::new(remedy()))),
        ("outcome", Action::Outcome(outcome())),
        ("leave", Action::Leave(leave())),
        ("remove", Action::Remove(expulsion())),
        ("rollback", Action::Rollback(Box::new(rollback()))),
        ("seen", Action::Seen(seen())),
        ("across", Action::Across(Box::new(across()))),
        ("rotate", Action::Rotate(Box::new(rotation()))),
        ("succeed", Action::Succeed(Box::new(succession()))),
        ("witness", Action::Witness(witness())),
        ("root", Action::Root(Box::new(root()))),
        ("invite", Action::Invite(Box::new(invite()))),
        ("invite-used", Action::InviteUsed(Box::new(invite_use()))),
        ("used", Action::Used(used())),
        ("performs", Action::Performs(performs())),
    ]
}

fn sign(agent: u8, seq: u64, action: Action) -> SignedRecord {
    let prev = Digest([u8::from(seq > 1); 32]);
    let place = RecordPlace {
        cluster: CLUSTER,
        orchestra: ORCHESTRA,
        chain: chain(agent),
        seq,
        prev,
    };
    SignedRecord::sign(&key(agent), &place, &body(action))
}

/// A bundle of the first records of these agents, in the log of node 9.
fn signed_bundle(seq: u64, agents: &[u8]) -> SignedBundle {
    let records = agents
        .iter()
        .zip(actions())
        .enumerate()
        .map(|(index, (agent, (_, action)))| {
            let record = sign(*agent, 1, action);
            unisono_model::Carried {
                agent: index as u32,
                seq: 1,
                prev: record.prev,
                stamp: Stamp::from_ms(1_800_000_000_200 + index as u64),
                body: record.body,
                signature: record.signature,
            }
        });
    let document = DocumentName {
        kind: DocumentKind::Score,
        part: 0,
    };
    let dependencies = vec![Digest([1; 32]), Digest([2; 32])];
    let body = BundleBody {
        agents: agents.iter().map(|agent| chain(*agent).agent).collect(),
        records: records.collect(),
        appends: if agents.is_empty() {
            vec![]
        } else {
            vec![DocumentAppend {
                document,
                dependencies,
            }]
        },
        ..BundleBody::default()
    };
    let (blob, digest) = body.seal();
    let header = BundleHeader {
        version: BUNDLE_VERSION,
        cluster: CLUSTER,
        orchestra: ORCHESTRA,
        log: log(9),
        seq,
        prev: Digest([u8::from(seq > 1); 32]),
        stamp: Stamp::from_ms(1_800_000_001_000),
        body: digest,
    };
    SignedBundle::sign(&key(9), header, blob)
}

pub(crate) fn record_bodies() -> Vec<Seed> {
    actions()
        .into_iter()
        .map(|(name, action)| (name, encode(&body(action))))
        .collect()
}

pub(crate) fn signed_records() -> Vec<Seed> {
    actions()
        .into_iter()
        .map(|(name, action)| (name, encode(&sign(4, 2, action))))
        .collect()
}

pub(crate) fn bundles() -> Vec<Seed> {
    let of = |seq, agents: &[u8]| encode(&signed_bundle(seq, agents));
    vec![
        ("head", of(1, &[])),
        ("one", of(2, &[4])),
        ("four", of(2, &[4, 5, 6, 7])),
    ]
}

pub(crate) fn fork_proofs() -> Vec<Seed> {
    let mut pair = [signed_bundle(2, &[4]), signed_bundle(2, &[5])];
    pair.sort_by_key(|bundle| bundle.header.digest());
    let [one, other] = pair.map(|bundle| (bundle.header, bundle.signature));
    vec![("fork", encode(&ForkProof { one, other }))]
}

pub(crate) fn identifiers() -> Vec<Seed> {
    vec![
        ("node", log(9).node.to_string().into()),
        ("cluster", CLUSTER.to_string().into()),
    ]
}

pub(crate) fn cursors() -> Vec<Seed> {
    let mut cursor = Cursor::default();
    let empty = cursor.to_text().into();
    for n in 1..20 {
        cursor.0.insert(LogTag::of(&log(n)), u64::from(n).pow(9));
    }
    vec![("empty", empty), ("long", cursor.to_text().into())]
}

pub(crate) fn frames() -> Vec<Seed> {
    let bundles = || {
        bundles()
            .into_iter()
            .map(|(_, bytes)| Blob(bytes))
            .collect()
    };
    let orchestras = vec![(ORCHESTRA, Digest([4; 32]))];
    let want = Frame::Want {
        orchestra: ORCHESTRA,
        logs: vec![(log(9), 3), (log(8), 1 << 40)],
    };
    vec![
        (
            "push",
            encode(&Frame::Push {
                relay: true,
                bundles: bundles(),
            }),
        ),
        (
            "range",
            encode(&Frame::Range {
                bundles: bundles(),
                more: false,
            }),
        ),
        (
            "summary",
            encode(&Frame::Summary {
                wall_ms: 1,
                unsure_ns: Some(1_500_000),
                ask: true,
                orchestras,
            }),
        ),
        ("want", encode(&want)),
        ("swim", encode(&Frame::Swim(Blob(vec![1, 2, 3])))),
    ]
}
