//! Golden vectors: tokens as bytes with their verdicts, for verifiers in other languages. The files
//! stand in `crates/core/tests/vectors`; `UNISONO_BLESS=1` writes them anew after the format has
//! changed, and `verify_tokens.py` beside them is the second verifier.

#![allow(
    clippy::disallowed_methods,
    reason = "the vectors are files, and another verifier a process"
)]

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use unisono_model::Digest;
use unisono_model::capability::{Grant, Link, Operations, Rights, Scope, Tier};

use super::{HOUR_MS, NOW_MS, chain, executive, implementer, judge, key, links, name};

#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub(super) struct Vector {
    /// What is tried.
    pub(super) name: String,
    /// The token (hexadecimal).
    token: String,
    /// The record's stamp (ms since the Unix epoch).
    at_ms: u64,
    /// The tier that the last audience is enrolled for, if that is known.
    enrolled: Option<String>,
    /// `ok`, or the rule that it breaks.
    pub(super) verdict: String,
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn vector(name: &str, bytes: &[u8], at_ms: u64, enrolled: Option<&Tier>) -> Vector {
    let verdict = match judge(bytes, at_ms, enrolled) {
        Ok(_) => "ok",
        Err(invalid) => invalid.code(),
    };
    Vector {
        name: name.into(),
        token: hex(bytes),
        at_ms,
        enrolled: enrolled.map(|tier| tier.word().into()),
        verdict: verdict.into(),
    }
}

/// The story's token with one thing about its links changed.
pub(super) fn changed(name: &str, change: impl Fn(&mut Vec<Link>)) -> Vector {
    let mut links = links();
    change(&mut links);
    let signers: Vec<u8> = (1..=links.len() as u8).collect();
    vector(name, &chain(links, &signers).encode(), NOW_MS, None)
}

/// A link after the last one, from its audience to key `to`, within what it may grant.
pub(super) fn further(links: &mut Vec<Link>, to: u8) {
    let last = links.last_mut().expect("links");
    last.grant = Some(Grant {
        tiers: vec![Tier::Implementation],
        rights: last.may.clone(),
    });
    let next = Link {
        issuer: last.audience,
        audience: name(&key(to)),
        parent: Digest::default(),
        nonce: [to; 16],
        grant: None,
        depth_left: 0,
        ..last.clone()
    };
    links.push(next);
    let count = links.len() as u8;
    for (index, link) in links.iter_mut().enumerate() {
        link.depth_left = count - 1 - index as u8;
    }
}

pub(super) type Change = (&'static str, fn(&mut Rights));

/// Less than the story's implementer has, field by field.
const NARROWER: [Change; 9] = [
    ("operations", |may| may.operations = Operations::READ),
    ("read", |may| may.read = Scope::Nowhere),
    ("write", |may| may.write = Scope::Nowhere),
    ("files", |may| may.files = Some(vec!["src/a.rs".into()])),
    ("phases", |may| may.phases = Some(vec![2])),
    ("complexity_max", |may| may.complexity_max = 4),
    ("function_lines_max", |may| may.function_lines_max = 40),
    ("file_bytes_max", |may| may.file_bytes_max = 1_000),
    ("actions_per_minute_max", |may| {
        may.actions_per_minute_max = 1;
    }),
];

fn good() -> Vec<Vector> {
    let mut all = vec![changed("the story", |_| {})];
    for (field, narrow) in NARROWER {
        all.push(changed(&format!("narrower {field}"), |links| {
            narrow(&mut links[1].may);
        }));
    }
    for depth in 3..=4 {
        all.push(changed(&format!("{depth} links"), |links| {
            (3..=depth).for_each(|n| further(links, n + 1));
        }));
    }
    let story = chain(links(), &[1, 2]).encode();
    all.push(vector("in its first millisecond", &story, NOW_MS, None));
    all.push(vector("in its last", &story, NOW_MS + HOUR_MS - 1, None));
    all.push(vector(
        "enrolled for its tier",
        &story,
        NOW_MS,
        Some(&Tier::Implementation),
    ));
    let (may, grant) = executive();
    all.push(changed("an executive alone", |links| links.truncate(1)));
    all.push(changed("with all operations of its tier", |links| {
        links[0].may.operations = may.operations.and(Operations::WRITE_REPORT);
    }));
    all.push(changed("an implementer from the root", |links| {
        links[0].tier = Tier::Implementation;
        links[0].may = implementer();
        links[0].grant = None;
        links.truncate(1);
    }));
    all.push(changed("a validator from the root", |links| {
        links[0].tier = Tier::Validation;
        links[0].may = Rights {
            operations: Operations::READ.and(Operations::APPROVE),
            read: Scope::Global,
            ..Rights::none()
        };
        links[0].grant = None;
        links.truncate(1);
    }));
    all.push(changed("a tier of the user's own", |links| {
        links[0].grant = Some(Grant {
            tiers: vec![Tier::Implementation, Tier::Named("scribe".into())],
            rights: grant.rights.clone(),
        });
        links[1].tier = Tier::Named("scribe".into());
    }));
    all.push(changed("never to be renewed", |links| {
        links[1].renew_until_ms = 0;
    }));
    all.push(changed("as long as its parent", |links| {
        links[1].not_before_ms = links[0].not_before_ms;
        links[1].expires_ms = links[0].expires_ms;
        links[1].renew_until_ms = links[0].renew_until_ms;
    }));
    all.push(changed("no files at all", |links| {
        links[1].may.files = Some(Vec::new());
    }));
    all.push(changed("no rights at all", |links| {
        links[1].may = Rights {
            files: Some(Vec::new()),
            phases: Some(Vec::new()),
            ..Rights::none()
        };
    }));
    all.push(changed("256 files", |links| {
        let files: Vec<String> = (0..256).map(|n| format!("m{n:03}.rs")).collect();
        links[0].grant.as_mut().expect("a grant").rights.files = None;
        links[1].may.files = Some(files);
    }));
    all.push(changed("a path in another script", |links| {
        let files = Some(vec!["src/größe.rs".into(), "src/日本.rs".into()]);
        links[0]
            .grant
            .as_mut()
            .expect("a grant")
            .rights
            .files
            .clone_from(&files);
        links[1].may.files = files;
    }));
    all.push(changed("a grant that its depth makes idle", |links| {
        links[1].grant = Some(Grant {
            tiers: vec![Tier::Implementation],
            rights: implementer(),
        });
    }));
    all.push(changed("a grant within the grant", |links| {
        links[0].grant = Some(grant.clone());
        links[1].depth_left = 1;
        links[1].grant = Some(Grant {
            tiers: Vec::new(),
            rights: Rights {
                files: Some(Vec::new()),
                phases: Some(Vec::new()),
                ..Rights::none()
            },
        });
    }));
    all.push(changed("another nonce", |links| {
        links[1].nonce = [0xff; 16];
    }));
    all.push(changed("the longest life", |links| {
        links[0].expires_ms = links[0].not_before_ms + unisono_model::limits::TOKEN_LIFE_MS_MAX;
        links[0].renew_until_ms = 0;
        links[1].renew_until_ms = 0;
    }));
    all
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
}

pub(super) fn hold(name: &str, vectors: &[Vector]) {
    let path = file(name);
    if std::env::var_os("UNISONO_BLESS").is_some() {
        let text = serde_json::to_string_pretty(vectors).expect("JSON");
        std::fs::write(&path, text + "\n").expect("a file");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors");
    let known: Vec<Vector> = serde_json::from_str(&text).expect("vectors");
    for (known, now) in known.iter().zip(vectors) {
        assert_eq!(known, now, "{}", known.name);
    }
    assert_eq!(known.len(), vectors.len());
}

#[test]
fn good_tokens_are_the_vectors_and_count() {
    let good = good();
    assert!(good.len() >= 30, "{}", good.len());
    for vector in &good {
        assert_eq!(vector.verdict, "ok", "{}", vector.name);
    }
    hold("tokens-good.json", &good);
}

#[test]
fn bad_tokens_are_the_vectors_and_do_not_count() {
    let bad = super::bad::bad();
    assert!(bad.len() >= 200, "{}", bad.len());
    for vector in &bad {
        assert_ne!(vector.verdict, "ok", "{}", vector.name);
    }
    let rules: std::collections::BTreeSet<&str> =
        bad.iter().map(|one| one.verdict.as_str()).collect();
    assert_eq!(rules.len(), 14, "a rule that no vector breaks: {rules:?}");
    hold("tokens-bad.json", &bad);
}

/// The second verifier, written apart from this one, agrees on every vector.
#[test]
fn the_verifier_in_python_agrees() {
    let python = std::process::Command::new("python3")
        .arg(file("verify_tokens.py"))
        .arg(file("tokens-good.json"))
        .arg(file("tokens-bad.json"))
        .arg(file("tokens-renewed.json"))
        .output();
    match python {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stdout);
            let why = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}{why}");
            println!("{told}");
        }
        Err(error) => println!("SKIPPED the verifier in Python: python3: {error}"),
    }
}
