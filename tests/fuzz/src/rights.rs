//! Capability tokens: bytes that decide what their bearer may do.

use ed25519_dalek::SigningKey;
use unisono_core::capability::examine;
use unisono_core::context::StrictVerifier;
use unisono_model::capability::{
    Grant, LINK_VERSION, Link, Operations, Rights, Scope, SignedLink, Tier, Token,
};
use unisono_model::{
    AgentId, ClusterId, Digest, OrchestraId, ReadSession, SESSION_VERSION, SignedSession,
};

use crate::Seed;

const CLUSTER: ClusterId = ClusterId([1; 16]);

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn name(n: u8) -> AgentId {
    AgentId(key(n).verifying_key().to_bytes())
}

pub(crate) fn token(bytes: &[u8]) -> bool {
    let Ok((token, links)) = Token::decode(bytes) else {
        return false;
    };
    assert_eq!(
        token.encode(),
        bytes,
        "accepted bytes are the canonical ones"
    );
    assert_eq!(token.links.len(), links.len());
    if let Ok(verified) = examine(bytes, CLUSTER, &[name(1)], &mut StrictVerifier) {
        let beginnings = verified.beginnings();
        assert_eq!(beginnings.last(), Some(&verified), "the last is the whole");
        assert_eq!(verified.id(), token.id());
    }
    true
}

pub(crate) fn session(bytes: &[u8]) -> bool {
    let Ok((signed, session)) = SignedSession::decode(bytes) else {
        return false;
    };
    assert_eq!(
        signed.encode(),
        bytes,
        "accepted bytes are the canonical ones"
    );
    let examined = unisono_core::session::examine(bytes, CLUSTER, &mut StrictVerifier);
    if let Ok(examined) = examined {
        assert_eq!(examined.session(), &session);
        let over = examined.counts(OrchestraId::default(), session.ends_ms);
        assert!(over.is_err(), "it does not count at its end");
    }
    true
}

/// Sessions for all orchestras and for one.
pub(crate) fn sessions() -> Vec<Seed> {
    let of = |orchestra: Option<OrchestraId>, token: Option<Digest>| {
        let session = ReadSession {
            version: SESSION_VERSION,
            cluster: CLUSTER,
            orchestra,
            agent: name(1),
            token,
            issued_ms: 1_800_000_000_000,
            ends_ms: 1_800_000_600_000,
            nonce: [9; 16],
        };
        session.sign(&key(1)).encode()
    };
    let one = OrchestraId::of(CLUSTER, "alpha");
    vec![
        ("all", of(None, None)),
        ("one", of(Some(one), Some(Digest([3; 32])))),
    ]
}

/// Tokens of one link and of three, from root 1 on.
pub(crate) fn tokens() -> Vec<Seed> {
    let of = |links: u8| {
        let mut signed: Vec<SignedLink> = Vec::new();
        for n in 1..=links {
            let link = link(n, links, signed.last());
            signed.push(link.sign(&key(n)));
        }
        Token { links: signed }.encode()
    };
    vec![("one", of(1)), ("three", of(3))]
}

fn link(n: u8, links: u8, before: Option<&SignedLink>) -> Link {
    let tier = Tier::Named("builder".into());
    let may = Rights {
        operations: Operations::READ.and(Operations::WRITE_CODE),
        read: Scope::Global,
        write: Scope::Project("alpha".into()),
        files: Some(vec!["src/a.rs".into(), "src/b.rs".into()]),
        phases: Some(vec![1, 2]),
        complexity_max: 8,
        function_lines_max: 60,
        file_bytes_max: 1 << 20,
        actions_per_minute_max: 60,
    };
    let grant = Grant {
        tiers: vec![tier.clone()],
        rights: may.clone(),
    };
    Link {
        version: LINK_VERSION,
        cluster: CLUSTER,
        issuer: name(n),
        audience: name(n + 1),
        parent: before.map_or_else(Digest::default, SignedLink::id),
        nonce: [n; 16],
        epoch: 7,
        not_before_ms: 1_800_000_000_000,
        expires_ms: 1_800_003_600_000,
        renew_until_ms: 0,
        tier,
        may,
        grant: (n < links).then_some(grant),
        depth_left: links - n,
    }
}
