//! The parts that an action's cost is made of, each alone: signatures, encoding, Automerge.

use ed25519_dalek::{Signer, SigningKey};
use unisono_core::context::{StrictVerifier, Verifier};
use unisono_document::{Actor, ChangePlan, DocumentId, FactDocument, Key, Kind};
use unisono_model::{Digest, OrchestraId, wire};

use super::figures::Figures;
use super::ring::cpu_ns;
use crate::failure::{Exit, Failure};

/// The size of a typical packed record (bytes).
const VALUE_BYTES: usize = 200;
/// Entries of one change: a full batch.
const ENTRIES: usize = 64;
/// Changes that fill a document to half of what it may hold.
const CHANGES: usize = 32;
/// How often something small is repeated.
const REPEATED: u64 = 2_000;

/// What each part takes for one record (µs).
#[derive(Debug)]
#[allow(clippy::struct_field_names, reason = "units stand last")]
pub(crate) struct Parts {
    /// To sign.
    pub(crate) sign_us: f64,
    /// To append to a document here.
    pub(crate) append_us: f64,
    /// To apply to a document elsewhere.
    pub(crate) apply_us: f64,
}

/// Measures each.
pub(crate) fn measure(figures: &mut Figures) -> Result<Parts, Failure> {
    let key = SigningKey::from_bytes(&[3; 32]);
    let public = key.verifying_key().to_bytes();
    let digest = |n: u64| Digest::of("unisono/bench/v1", &[&n.to_le_bytes()]);
    let mut signatures = Vec::new();
    let sign_us = each(REPEATED, |n| signatures.push(key.sign(&digest(n).0)));
    let mut good = 0;
    let verify_us = each(REPEATED, |n| {
        let signature = wire::Signature::from_bytes(signatures[n as usize].to_bytes());
        good += u64::from(StrictVerifier.verify(&public, &digest(n), &signature));
    });
    if good != REPEATED {
        return Err(Failure::new(
            Exit::Failed,
            "core",
            "a signature did not verify",
        ));
    }
    let body = wire::Blob(vec![7; VALUE_BYTES]);
    let mut bytes = 0;
    let encode_us = each(REPEATED, |_| bytes += wire::encode(&body).len());
    figures.tell("part_sign_us", sign_us);
    figures.tell("part_verify_strict_us", verify_us);
    figures.tell("part_encode_us", encode_us);
    let (append_us, apply_us, saved) =
        documents().map_err(|why| Failure::new(Exit::Failed, "core", why))?;
    figures.tell("part_automerge_append_us_per_entry_of_64", append_us);
    figures.tell("part_automerge_apply_us_per_entry_of_64", apply_us);
    figures.tell("part_automerge_saved_bytes_per_entry", saved);
    Ok(Parts {
        sign_us,
        append_us,
        apply_us,
    })
}

/// Appending here and applying elsewhere, per entry (µs), and what a saved document takes (bytes).
fn documents() -> Result<(f64, f64, f64), String> {
    let id = DocumentId {
        orchestra: OrchestraId([1; 16]),
        kind: Kind::Score,
        part: 0,
    };
    let actor = Actor([9; 16]);
    let mut writer = FactDocument::new(id);
    let mut reader = FactDocument::new(id);
    let (mut append_ns, mut apply_ns) = (0, 0);
    for change in 0..CHANGES {
        let mut entries = Vec::new();
        for n in 0..ENTRIES {
            let seq = change * ENTRIES + n;
            let key = Key::new(&format!("record-{seq}")).map_err(|e| e.to_string())?;
            entries.push((key, noise(seq as u64)));
        }
        let borrowed: Vec<(Key, &[u8])> = entries
            .iter()
            .map(|(key, value)| (key.clone(), value.as_slice()))
            .collect();
        let begun = cpu_ns();
        let appended = writer
            .append(&actor, &borrowed)
            .map_err(|e| e.to_string())?;
        append_ns += cpu_ns() - begun;
        let plan = ChangePlan {
            actor,
            seq: appended.seq,
            dependencies: appended.dependencies,
            entries,
        };
        let begun = cpu_ns();
        let applied = reader.apply(&[plan]).map_err(|e| e.to_string())?;
        apply_ns += cpu_ns() - begun;
        if applied.applied.len() != 1 {
            return Err("a change was not applied".to_owned());
        }
    }
    let saved = writer.save().map_err(|e| e.to_string())?.len();
    let all = (CHANGES * ENTRIES) as f64;
    let us = |ns: u64| ns as f64 / 1e3 / all;
    Ok((us(append_ns), us(apply_ns), saved as f64 / all))
}

/// Bytes that do not compress, like signatures and digests.
fn noise(seed: u64) -> Vec<u8> {
    let block = |n: u64| Digest::of("unisono/noise/v1", &[&seed.to_le_bytes(), &n.to_le_bytes()]).0;
    let mut bytes: Vec<u8> = (0..).flat_map(block).take(VALUE_BYTES).collect();
    bytes.truncate(VALUE_BYTES);
    bytes
}

/// Processor time of each of so many (µs).
pub(crate) fn each(count: u64, mut work: impl FnMut(u64)) -> f64 {
    let begun = cpu_ns();
    (0..count).for_each(&mut work);
    (cpu_ns() - begun) as f64 / 1e3 / count as f64
}
