//! Lines of an audit file that somebody hands over.

use unisono_api::audit::{AUDIT_KIND, AuditEnd, AuditHead, AuditLine};
use unisono_core::carriage::Carried;
use unisono_core::context::StrictVerifier;
use unisono_model::{ClusterId, Digest, ForkProof, NodeId, limits, wire};

use crate::{Seed, facts};

pub(crate) fn line(bytes: &[u8]) -> bool {
    let Some(line) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| AuditLine::parse(text).ok())
    else {
        return false;
    };
    let again = AuditLine::parse(&line.to_text());
    assert_eq!(again.as_ref(), Ok(&line), "a line survives its text");
    // As a verifier goes on; whether it proves anything is another matter.
    match &line {
        AuditLine::Bundle(bytes) => {
            _ = Carried::admit(bytes, ClusterId([1; 16]), &mut StrictVerifier);
        }
        AuditLine::Proof(bytes) => {
            _ = wire::decode::<ForkProof>(bytes, limits::FORK_PROOF_BYTES_MAX);
        }
        AuditLine::Head(_) | AuditLine::End(_) => {}
    }
    true
}

pub(crate) fn lines() -> Vec<Seed> {
    let first = |seeds: Vec<Seed>| seeds.into_iter().next().expect("there is one").1;
    let head = AuditHead {
        kind: AUDIT_KIND.to_owned(),
        cluster: ClusterId([1; 16]),
        node: NodeId([2; 32]),
    };
    let end = AuditEnd {
        bundles: 1,
        digest: Digest([3; 32]),
        signature: "AAAA".repeat(21) + "AA==",
    };
    [
        ("head", AuditLine::Head(head)),
        ("bundle", AuditLine::Bundle(first(facts::bundles()))),
        ("proof", AuditLine::Proof(first(facts::fork_proofs()))),
        ("end", AuditLine::End(end)),
    ]
    .map(|(name, line)| (name, line.to_text().into_bytes()))
    .to_vec()
}
