//! What a node exports is checked elsewhere: by this program, and by one that was written apart.

use std::process::Command;

use data_encoding::BASE64;
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use unisono_model::wire::{self, Signature};
use unisono_model::{
    BundleHeader, Digest, ForkProof, Incarnation, LogId, NodeId, OrchestraId, Stamp,
};

use crate::process::{Place, root};

/// Exports what a node with a few agents' work holds, while it runs; `dump.jsonl` is its dump.
fn exported(place: &Place) -> String {
    place.found("solo");
    let node = place.serve("solo", &[]);
    place.json(&["state", "--create", "--node", &node.url]);
    for name in ["ada", "bob"] {
        place.json(&["agent", "enrol", name, "--node", &node.url]);
        for text in ["began", "went on", "done"] {
            place.json(&[
                "emit", "intent", "work", text, "--as", name, "--node", &node.url,
            ]);
        }
    }
    let dump = place.run(&["dump", "--node", &node.url]).out;
    assert!(!dump.is_empty());
    std::fs::write(place.path("dump.jsonl"), dump).unwrap();
    let said = place.run(&["audit", "export", "--data", "solo"]);
    assert_eq!(said.code, 0, "{}", said.err);
    said.out
}

/// What the verifier in Python says, if there is a Python.
pub(crate) fn python(file: &std::path::Path, node: Option<&str>) -> Option<(bool, String)> {
    let script = root().join("crates/unisono/tests/verify_audit.py");
    let mut command = Command::new("python3");
    match command.arg(script).arg(file).args(node).output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            let why = String::from_utf8_lossy(&output.stderr);
            Some((output.status.success(), told + &why))
        }
        Err(error) => {
            println!("SKIPPED the verifier in Python: python3: {error}");
            None
        }
    }
}

#[test]
fn an_export_verifies_here_and_in_python_with_the_same_counts() {
    let place = Place::new();
    let text = exported(&place);
    std::fs::write(place.path("audit.jsonl"), &text).unwrap();
    let found = place.json(&["audit", "verify", "audit.jsonl"]);
    assert_eq!(found["what"], "audit export");
    assert!(found["records"].as_u64().unwrap() >= 8, "{found}");
    assert_eq!((&found["ok"], &found["inert"]), (&true.into(), &0.into()));
    assert_eq!(place.json(&["verify", "audit.jsonl"]), found);
    if let Some((good, told)) = python(&place.path("audit.jsonl"), None) {
        assert!(good, "{told}");
        let told: Value = serde_json::from_str(&told).unwrap();
        for count in [
            "cluster", "node", "logs", "bundles", "records", "inert", "proofs",
        ] {
            assert_eq!(told[count], found[count], "{count}");
        }
    }
}

/// Each harm to a file, by what it does to the lines.
#[test]
fn whatever_is_changed_cut_left_out_or_added_is_found() {
    let place = Place::new();
    let text = exported(&place);
    let lines: Vec<&str> = text.lines().collect();
    let (last, middle) = (lines.len() - 1, lines.len() / 2);
    // A character of base64 in the middle of a bundle.
    let changed = {
        let line = lines[middle];
        let at = line.len() / 2;
        let other = if &line[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &line[..at], &line[at + 1..])
    };
    let with = |harm: &dyn Fn(&mut Vec<String>)| {
        let mut harmed: Vec<String> = lines.iter().map(ToString::to_string).collect();
        harm(&mut harmed);
        harmed.join("\n") + "\n"
    };
    let signed = {
        let mut end: Value = serde_json::from_str(lines[last]).unwrap();
        let digest: Digest = serde_json::from_value(end["digest"].clone()).unwrap();
        let other = SigningKey::from_bytes(&[7; 32]).sign(&digest.0);
        end["signature"] = BASE64.encode(&other.to_bytes()).into();
        end.to_string()
    };
    let dump = std::fs::read_to_string(place.path("dump.jsonl")).unwrap();
    place.json(&["verify", "dump.jsonl"]);
    let harms = [
        ("nothing", String::new()),
        ("a dump", dump),
        (
            "signed by another",
            with(&|lines| lines[last].clone_from(&signed)),
        ),
        (
            "no proof",
            with(&|lines| lines.insert(last, "{\"proof\":\"AAAA\"}".to_owned())),
        ),
        ("changed", with(&|lines| lines[middle].clone_from(&changed))),
        ("cut", with(&|lines| lines.truncate(last))),
        ("left out", with(&|lines| drop(lines.remove(last - 1)))),
        (
            "twice",
            with(&|lines| lines.insert(middle, lines[middle].clone())),
        ),
        ("turned round", with(&|lines| lines.swap(1, 2))),
        ("added", with(&|lines| lines.push(lines[1].clone()))),
        (
            "no line",
            with(&|lines| lines[middle] = "{\"bundle\":7}".to_owned()),
        ),
    ];
    for (harm, text) in &harms {
        let file = format!("{}.jsonl", harm.replace(' ', "-"));
        std::fs::write(place.path(&file), text).unwrap();
        let refused = place.fails(8, &["audit", "verify", &file]);
        assert_eq!(refused["code"], "not_verified", "{harm}: {refused}");
        if let Some((good, told)) = python(&place.path(&file), None) {
            assert!(!good, "{harm}: {told}");
        }
    }
}

#[test]
fn bytes_that_are_no_text_are_a_finding_and_lose_none() {
    let place = Place::new();
    let text = exported(&place);
    for at in [0, text.find('\n').unwrap() + 20, text.len() - 20] {
        let mut bytes = text.clone().into_bytes();
        bytes[at] |= 0x80;
        std::fs::write(place.path("bit.jsonl"), bytes).unwrap();
        for command in [
            &["audit", "verify", "bit.jsonl"][..],
            &["verify", "bit.jsonl"],
        ] {
            let refused = place.fails(8, command);
            assert_eq!(refused["code"], "not_verified", "{at}: {refused}");
        }
    }
}

/// The file with these lines between the first and the last, closed by a key of our own. Each line
/// comes with its digest.
fn signed_anew(head: &str, lines: &[(String, Digest)], bundles: usize) -> (String, String) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let node = NodeId(key.verifying_key().to_bytes());
    let mut head: Value = serde_json::from_str(head).unwrap();
    head["node"] = json!(node);
    let cluster: unisono_model::ClusterId =
        serde_json::from_value(head["cluster"].clone()).unwrap();
    let (mut text, mut digest) = (format!("{head}\n"), Digest::default());
    for (line, one) in lines {
        digest = Digest::of(
            "unisono/audit/v1",
            &[&cluster.0, &node.0, &digest.0, &one.0],
        );
        text.push_str(line);
        text.push('\n');
    }
    let signature = BASE64.encode(&key.sign(&digest.0).to_bytes());
    let end = json!({ "bundles": bundles, "digest": digest, "signature": signature });
    (format!("{text}{end}\n"), node.to_string())
}

/// A bundle's line with the bundle's digest.
fn bundle(line: &str) -> (String, Digest) {
    let read: Value = serde_json::from_str(line).unwrap();
    let bytes = BASE64.decode(read["bundle"].as_str().unwrap().as_bytes());
    let (signed, _) = unisono_model::SignedBundle::decode(&bytes.unwrap()).unwrap();
    (line.to_owned(), signed.header.digest())
}

#[test]
fn who_signs_a_shortened_file_anew_is_found_by_the_key() {
    let place = Place::new();
    let text = exported(&place);
    let lines: Vec<&str> = text.lines().collect();
    let (text, node) = signed_anew(lines[0], &[bundle(lines[1])], 1);
    std::fs::write(place.path("anew.jsonl"), text).unwrap();
    // Whoever does not say who has exported it learns it.
    let found = place.json(&["audit", "verify", "anew.jsonl"]);
    assert_eq!(found["node"], node.as_str());
    let found = place.json(&["audit", "verify", "anew.jsonl", "--signed-by", &node]);
    assert_eq!(found["ok"], true);
    let own = place.json(&["audit", "verify", "solo"]);
    let own = own["node"].as_str().unwrap();
    let words = ["audit", "verify", "anew.jsonl", "--signed-by", own];
    assert_eq!(place.fails(8, &words)["code"], "not_verified");
    place.json(&["audit", "verify", "solo", "--signed-by", own]);
    place.fails(8, &["audit", "verify", "solo", "--signed-by", &node]);
    for (node, verified) in [(node.as_str(), true), (own, false)] {
        if let Some((good, told)) = python(&place.path("anew.jsonl"), Some(node)) {
            assert_eq!(good, verified, "{told}");
        }
    }
}

#[test]
fn a_proof_that_a_log_forked_is_evidence_and_something_like_it_is_none() {
    let place = Place::new();
    let text = exported(&place);
    let lines: Vec<&str> = text.lines().collect();
    let head: Value = serde_json::from_str(lines[0]).unwrap();
    let key = SigningKey::from_bytes(&[8; 32]);
    let side = |seq: u64, stamp: u64| {
        let header = BundleHeader {
            version: unisono_model::BUNDLE_VERSION,
            cluster: serde_json::from_value(head["cluster"].clone()).unwrap(),
            orchestra: OrchestraId([1; 16]),
            log: LogId {
                node: NodeId(key.verifying_key().to_bytes()),
                incarnation: Incarnation::default(),
            },
            seq,
            prev: Digest::default(),
            stamp: Stamp(stamp),
            body: Digest::default(),
        };
        let signature = key.sign(&header.digest().0).to_bytes();
        (header, Signature::from_bytes(signature))
    };
    let proof = |sides: [(BundleHeader, Signature); 2]| {
        let mut sides = sides;
        sides.sort_by_key(|(header, _)| header.digest());
        let [one, other] = sides;
        wire::encode(&ForkProof { one, other })
    };
    let cases = [
        (proof([side(3, 10), side(3, 11)]), true),
        (proof([side(3, 10), side(4, 11)]), false),
        (proof([side(3, 10), side(3, 10)]), false),
    ];
    for (bytes, good) in cases {
        let digest = Digest::of("unisono/fork-proof/v1", &[&bytes]);
        let line = json!({ "proof": BASE64.encode(&bytes) }).to_string();
        let (text, _) = signed_anew(lines[0], &[bundle(lines[1]), (line, digest)], 1);
        std::fs::write(place.path("proof.jsonl"), text).unwrap();
        if good {
            let found = place.json(&["audit", "verify", "proof.jsonl"]);
            assert_eq!(found["proofs"], 1);
        } else {
            place.fails(8, &["audit", "verify", "proof.jsonl"]);
        }
        if let Some((agreed, told)) = python(&place.path("proof.jsonl"), None) {
            assert_eq!(agreed, good, "{told}");
        }
    }
}
