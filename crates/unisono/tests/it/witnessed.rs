//! What an exporting node leaves out of the end of a log is found by the export alone, since others
//! have borne witness of it: by this program, and by the verifier that was written apart.

use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use unisono_model::wire::{self, Signature};
use unisono_model::{
    Action, AgentId, BUNDLE_VERSION, BundleBody, BundleHeader, Carried, ClusterId, Digest,
    Expulsion, ForkProof, Held, Incarnation, LogEnd, LogId, NodeId, OrchestraEnd, OrchestraId,
    RECORD_VERSION, RecordBody, RecordPlace, SignedBundle, SignedRecord, Stamp, Witness,
};

use crate::audit::python;
use crate::process::Place;

const CLUSTER: ClusterId = ClusterId([9; 16]);

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn home() -> OrchestraId {
    OrchestraId::of(CLUSTER, "cluster")
}

fn work() -> OrchestraId {
    OrchestraId::of(CLUSTER, "work")
}

/// A log of one of three nodes, in one orchestra.
struct Log {
    node: SigningKey,
    orchestra: OrchestraId,
    bundles: Vec<SignedBundle>,
    record: Digest,
}

impl Log {
    fn new(node: u8, orchestra: OrchestraId) -> Self {
        Self {
            node: key(node),
            orchestra,
            bundles: Vec::new(),
            record: Digest::default(),
        }
    }

    fn id(&self) -> LogId {
        LogId {
            node: NodeId(self.node.verifying_key().to_bytes()),
            incarnation: Incarnation {
                started_ms: 5,
                nonce: 0,
            },
        }
    }

    fn header(&self, stamp: u64, body: Digest) -> BundleHeader {
        BundleHeader {
            version: BUNDLE_VERSION,
            cluster: CLUSTER,
            orchestra: self.orchestra,
            log: self.id(),
            seq: self.bundles.len() as u64 + 1,
            prev: self
                .bundles
                .last()
                .map_or(Digest::default(), |last| last.header.digest()),
            stamp: Stamp(stamp),
            body,
        }
    }

    /// One more bundle, with a record that the node signs for itself.
    fn say(&mut self, action: Action) -> (BundleHeader, Signature) {
        let seq = self.bundles.len() as u64 + 1;
        let agent = AgentId(self.id().node.0);
        let place = RecordPlace {
            cluster: CLUSTER,
            orchestra: self.orchestra,
            chain: unisono_model::ChainId {
                agent,
                log: self.id(),
            },
            seq,
            prev: self.record,
        };
        let body = RecordBody {
            version: RECORD_VERSION,
            held: Held::Agent,
            agent_ms: 7,
            iteration: 1,
            key: None,
            predecessors: vec![],
            token: None,
            action,
        };
        let record = SignedRecord::sign(&self.node, &place, &body);
        self.record = place.digest(&record.body.0);
        let body = BundleBody {
            agents: vec![agent],
            records: vec![Carried {
                agent: 0,
                seq,
                prev: record.prev,
                stamp: Stamp(seq * 10),
                body: record.body,
                signature: record.signature,
            }],
            ..BundleBody::default()
        };
        let (blob, digest) = body.seal();
        let bundle = SignedBundle::sign(&self.node, self.header(seq * 10, digest), blob);
        let head = (bundle.header, bundle.signature);
        self.bundles.push(bundle);
        head
    }

    /// A head of another branch of it, at its present end.
    fn other_branch(&self) -> (BundleHeader, Signature) {
        let seq = self.bundles.len() as u64;
        let header = BundleHeader {
            seq,
            ..self.header(1_000, Digest([4; 32]))
        };
        let bundle = SignedBundle::sign(&self.node, header, wire::Blob(vec![]));
        (bundle.header, bundle.signature)
    }
}

/// The file that a third node exports of these logs.
fn exported(logs: &[&Log], proofs: &[ForkProof]) -> String {
    let exporter = key(3);
    let node = NodeId(exporter.verifying_key().to_bytes());
    let head = json!({ "kind": "unisono/audit/v1", "cluster": CLUSTER, "node": node });
    let (mut text, mut digest, mut bundles) = (format!("{head}\n"), Digest::default(), 0);
    let mut on = |next: &Digest| {
        digest = Digest::of(
            "unisono/audit/v1",
            &[&CLUSTER.0, &node.0, &digest.0, &next.0],
        );
        digest
    };
    for bundle in logs.iter().flat_map(|log| &log.bundles) {
        on(&bundle.header.digest());
        bundles += 1;
        let line = json!({ "bundle": BASE64.encode(&wire::encode(bundle)) });
        text = format!("{text}{line}\n");
    }
    for proof in proofs.iter().map(wire::encode) {
        on(&Digest::of("unisono/fork-proof/v1", &[&proof]));
        let line = json!({ "proof": BASE64.encode(&proof) });
        text = format!("{text}{line}\n");
    }
    let signature = BASE64.encode(&exporter.sign(&digest.0).to_bytes());
    let end = json!({ "bundles": bundles, "digest": digest, "signature": signature });
    format!("{text}{end}\n")
}

/// What both verifiers say of a file: the answer of this program if it is good.
fn verified(place: &Place, name: &str, text: &str) -> Option<Value> {
    let file = format!("{name}.jsonl");
    std::fs::write(place.path(&file), text).unwrap();
    let said = place.run(&["-o", "json", "audit", "verify", &file]);
    let good = said.code == 0;
    assert!(good || said.code == 8, "{name}: {}", said.err);
    if let Some((agreed, told)) = python(&place.path(&file), None) {
        assert_eq!(agreed, good, "{name}: {told} {}", said.err);
        if good {
            let (told, found): (Value, Value) = (
                serde_json::from_str(&told).unwrap(),
                serde_json::from_str(&said.out).unwrap(),
            );
            for count in ["records", "inert", "witnessed", "ended_by_removal"] {
                assert_eq!(told[count], found[count], "{name}: {count}");
            }
        }
    }
    good.then(|| serde_json::from_str(&said.out).unwrap())
}

/// Three bundles of a writer, and a witness of what is given.
fn story(witness: impl FnOnce(&Log) -> Vec<(BundleHeader, Signature)>) -> (Log, Log) {
    let (mut writer, mut other) = (Log::new(1, work()), Log::new(2, home()));
    for _ in 0..3 {
        writer.say(Action::Guard);
    }
    other.say(Action::Witness(Witness {
        heads: witness(&writer),
    }));
    (writer, other)
}

fn last(log: &Log) -> (BundleHeader, Signature) {
    let last = log.bundles.last().unwrap();
    (last.header, last.signature)
}

/// A node exports a log of another one without its end, well signed and closed.
#[test]
fn what_an_exporting_node_leaves_out_of_the_end_of_a_log_is_found_by_the_export_alone() {
    let place = Place::new();
    let (mut writer, witness) = story(|log| vec![last(log)]);
    let found = verified(&place, "whole", &exported(&[&witness, &writer], &[])).expect("good");
    assert_eq!(
        (&found["witnessed"], &found["behind"]),
        (&json!(1), &json!(0))
    );
    let forth = verified(&place, "turned", &exported(&[&writer, &witness], &[]));
    assert_eq!(forth.expect("in any order")["witnessed"], 1);
    writer.bundles.truncate(2);
    assert!(verified(&place, "shortened", &exported(&[&witness, &writer], &[])).is_none());
    assert!(verified(&place, "left-out", &exported(&[&witness], &[])).is_none());
    // Without the witness's word nobody is the wiser: it has to leave that out as well.
    let found = verified(&place, "silenced", &exported(&[&writer], &[])).expect("good");
    assert_eq!(found["witnessed"], 0);
}

#[test]
fn m20_nobody_bears_witness_of_themselves_or_of_what_nobody_has_signed() {
    let place = Place::new();
    let further = |log: &Log| {
        let (header, signature) = last(log);
        vec![(BundleHeader { seq: 9, ..header }, signature)]
    };
    let (writer, witness) = story(further);
    let found = verified(&place, "made-up", &exported(&[&writer, &witness], &[])).expect("good");
    assert_eq!(found["witnessed"], 0);
    // The writer of a log says of itself that it had come further.
    let (writer, _) = story(|log| vec![last(log)]);
    let mut own = Log::new(1, home());
    let mut longer = story(|log| vec![last(log)]).0;
    let head = longer.say(Action::Guard);
    own.say(Action::Witness(Witness { heads: vec![head] }));
    let found = verified(&place, "itself", &exported(&[&writer, &own], &[])).expect("good");
    assert_eq!(found["witnessed"], 0);
    // And in another orchestra than the cluster's own it is nobody's word.
    let mut elsewhere = Log::new(2, work());
    elsewhere.say(Action::Witness(Witness { heads: vec![head] }));
    let found = verified(&place, "else", &exported(&[&writer, &elsewhere], &[])).expect("good");
    assert_eq!(found["witnessed"], 0);
}

#[test]
fn another_branch_of_a_log_is_found_unless_the_proof_of_the_fork_is_there() {
    let place = Place::new();
    let (writer, witness) = story(|log| vec![log.other_branch()]);
    assert!(verified(&place, "forked", &exported(&[&writer, &witness], &[])).is_none());
    let mut sides = [last(&writer), writer.other_branch()];
    sides.sort_by_key(|(header, _)| header.digest());
    let [one, other] = sides;
    let proof = ForkProof { one, other };
    let found = verified(&place, "proven", &exported(&[&writer, &witness], &[proof]));
    assert_eq!(found.expect("it is told")["proofs"], 1);
}

#[test]
fn what_is_behind_the_end_of_a_removed_nodes_log_is_missed_by_nobody() {
    let place = Place::new();
    let removed = |end: u64| {
        let (mut writer, mut witness) = story(|log| vec![last(log)]);
        writer.bundles.truncate(2);
        witness.say(Action::Remove(Expulsion {
            node: writer.id().node,
            ends: vec![OrchestraEnd {
                orchestra: work(),
                end: LogEnd {
                    incarnation: writer.id().incarnation,
                    seq: end,
                },
            }],
            staying: vec![],
            reason: "stolen".into(),
        }));
        exported(&[&writer, &witness], &[])
    };
    let found = verified(&place, "removed", &removed(2)).expect("good");
    assert_eq!(
        (&found["witnessed"], &found["ended_by_removal"]),
        (&json!(1), &json!(1))
    );
    assert!(
        verified(&place, "later", &removed(3)).is_none(),
        "it counts up to there"
    );
}
