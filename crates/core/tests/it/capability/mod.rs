//! Tokens: the laws of the lattice, each rule of a chain, and the vectors that other verifiers are
//! held to.

mod bad;
mod laws;
pub(crate) mod renewed;
mod vectors;

use ed25519_dalek::SigningKey;
use unisono_core::capability::{Anchor, Invalid, Verified, verify};
use unisono_core::context::StrictVerifier;
use unisono_model::capability::{
    Grant, LINK_VERSION, Link, Operations, Rights, Scope, Tier, Token,
};
use unisono_model::{AgentId, ClusterId, Digest};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
pub(crate) const HOUR_MS: u64 = 3_600_000;

pub(crate) fn key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(crate) fn name(key: &SigningKey) -> AgentId {
    AgentId(key.verifying_key().to_bytes())
}

/// What an implementer may do in the stories: two files in two phases of one project.
pub(crate) fn implementer() -> Rights {
    Rights {
        operations: Operations::READ
            .and(Operations::COORDINATE)
            .and(Operations::WRITE_CODE),
        read: Scope::Project("alpha".into()),
        write: Scope::Project("alpha".into()),
        files: Some(vec!["src/a.rs".into(), "src/b.rs".into()]),
        phases: Some(vec![1, 2]),
        complexity_max: 8,
        function_lines_max: 60,
        file_bytes_max: 1 << 20,
        actions_per_minute_max: 120,
    }
}

/// What an executive may do, and what it may hand on.
pub(crate) fn executive() -> (Rights, Grant) {
    let may = Rights {
        operations: Operations::READ
            .and(Operations::COORDINATE)
            .and(Operations::WRITE_PLAN)
            .and(Operations::SPAWN)
            .and(Operations::TERMINATE)
            .and(Operations::FENCE),
        read: Scope::Global,
        write: Scope::Global,
        file_bytes_max: 1 << 20,
        actions_per_minute_max: 600,
        ..Rights::none()
    };
    let rights = Rights {
        phases: Some(vec![1, 2, 3]),
        files: Some(vec![
            "src/a.rs".into(),
            "src/b.rs".into(),
            "src/c.rs".into(),
        ]),
        ..implementer()
    };
    let grant = Grant {
        tiers: vec![Tier::Implementation],
        rights,
    };
    (may, grant)
}

/// Three keys: a root (1), an executive (2) and an implementer (3); and the links between them.
pub(crate) fn links() -> Vec<Link> {
    let (may, grant) = executive();
    let first = Link {
        version: LINK_VERSION,
        cluster: CLUSTER,
        issuer: name(&key(1)),
        audience: name(&key(2)),
        parent: Digest::default(),
        nonce: [1; 16],
        epoch: 3,
        not_before_ms: NOW_MS - HOUR_MS,
        expires_ms: NOW_MS + 24 * HOUR_MS,
        renew_until_ms: NOW_MS + 48 * HOUR_MS,
        tier: Tier::Executive,
        may,
        grant: Some(grant),
        depth_left: 2,
    };
    let second = Link {
        issuer: name(&key(2)),
        audience: name(&key(3)),
        nonce: [2; 16],
        not_before_ms: NOW_MS,
        expires_ms: NOW_MS + HOUR_MS,
        renew_until_ms: NOW_MS + 24 * HOUR_MS,
        tier: Tier::Implementation,
        may: implementer(),
        grant: None,
        depth_left: 0,
        ..first.clone()
    };
    vec![first, second]
}

/// Signs links with the keys of their numbers, each naming the one before.
pub(crate) fn chain(mut links: Vec<Link>, signers: &[u8]) -> Token {
    let mut token = Token::default();
    for (index, link) in links.iter_mut().enumerate() {
        if index > 0 && link.parent == Digest::default() {
            link.parent = token.links[index - 1].id();
        }
        token.links.push(link.sign(&key(signers[index])));
    }
    token
}

pub(crate) fn judge(
    bytes: &[u8],
    at_ms: u64,
    enrolled: Option<&Tier>,
) -> Result<Verified, Invalid> {
    let anchor = Anchor {
        cluster: CLUSTER,
        roots: &[name(&key(1))],
        epoch: 3,
        at_ms,
        enrolled,
    };
    verify(bytes, &anchor, &mut StrictVerifier)
}

#[test]
fn the_story_s_token_counts_for_what_it_says() {
    let token = chain(links(), &[1, 2]);
    let verified =
        judge(&token.encode(), NOW_MS, Some(&Tier::Implementation)).expect("a good token");
    assert_eq!(verified.leaf().audience, name(&key(3)));
    assert_eq!(verified.id(), token.id());
    assert!(verified.passes_through(&token.links[0].id()));
    assert_eq!(verified.grant(), None);
    assert!(
        token.encode().len() < 1_024,
        "{} bytes",
        token.encode().len()
    );
}

#[test]
fn each_flipped_bit_is_refused() {
    let mut three = links();
    vectors::further(&mut three, 4);
    let bytes = chain(three, &[1, 2, 3]).encode();
    assert!(judge(&bytes, NOW_MS, None).is_ok());
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(judge(&bad, NOW_MS, None).is_err(), "bit {bit}");
    }
}

#[test]
fn each_cut_and_each_addition_is_refused() {
    let bytes = chain(links(), &[1, 2]).encode();
    for end in 0..bytes.len() {
        assert!(judge(&bytes[..end], NOW_MS, None).is_err(), "{end} bytes");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        judge(&longer, NOW_MS, None)
            .expect_err("a byte too many")
            .code(),
        "token_malformed"
    );
}
