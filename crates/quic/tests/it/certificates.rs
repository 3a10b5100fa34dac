//! Certificates of the cluster's own authority that are off in one thing, shown in either role.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use unisono_model::NodeId;
use unisono_quic::{
    Class, Config, Event,
    identity::{Certificate, Credentials, NodeKey},
};

use crate::world::{Node, eventually, founder, loopback, member, now_ms, shown, within};

/// Somebody who has got hold of an authority's key, or an authority that errs.
struct Authority {
    root: Credentials,
    key: NodeKey,
    /// Whose certificates it makes.
    subject: NodeKey,
}

type Change = fn(&mut CertificateParams);

impl Authority {
    fn new() -> Self {
        let root = founder(1);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        root.save(&path).unwrap();
        let pem = std::fs::read_to_string(path.join("ca.key")).unwrap();
        Self {
            root,
            key: NodeKey::from_pem(&pem).unwrap(),
            subject: NodeKey::generate(),
        }
    }

    /// What a node's certificate has, but for `change`.
    fn makes(&self, subject: &impl PublicKeyData, change: Change) -> Certificate {
        let cluster = self.root.cluster();
        let node = self.subject.id();
        let mut own = CertificateParams::default();
        own.distinguished_name = named(&format!("unisono cluster {cluster}"));
        let mut params = CertificateParams::default();
        params.distinguished_name = named(&format!("unisono node {node:?}"));
        params.subject_alt_names = vec![
            uri(&format!("spiffe://{cluster}/region/south/node/{node}")),
            dns(&server_name(node)),
        ];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(4000, 1, 1);
        change(&mut params);
        let issuer = rcgen::Issuer::new(own, &self.key);
        let made = params.signed_by(subject, &issuer).unwrap();
        Certificate::from_der(made.der().to_vec())
    }

    fn chain(&self, certificate: &Certificate) -> Vec<CertificateDer<'static>> {
        [certificate, self.root.authority_certificate()]
            .map(|one| CertificateDer::from(one.der().to_vec()))
            .to_vec()
    }
}

fn named(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "unisono");
    name.push(DnType::CommonName, common);
    name
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn server_name(node: NodeId) -> String {
    let id = node.to_string();
    format!("{}.{}.node.unisono.internal", &id[..32], &id[32..])
}

fn pkcs8(key: &NodeKey) -> PrivatePkcs8KeyDer<'static> {
    use rustls::pki_types::pem::PemObject as _;
    PrivatePkcs8KeyDer::from_pem_slice(key.to_pem().as_bytes()).unwrap()
}

/// Each is off in one thing; the last of a line is whether a caller is refused with it, too.
const OFF: [(&str, Change, bool); 8] = [
    (
        "for clients alone",
        |made| drop(made.extended_key_usages.remove(0)),
        true,
    ),
    (
        "of an authority",
        |made| made.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)),
        true,
    ),
    (
        "not yet",
        |made| made.not_before = rcgen::date_time_ymd(3999, 1, 1),
        true,
    ),
    (
        "without a node's name",
        |made| made.subject_alt_names.truncate(0),
        true,
    ),
    (
        "with a second name",
        |made| made.subject_alt_names.push(uri("spiffe://other")),
        true,
    ),
    ("of another node's name", another_nodes_name, true),
    ("of another cluster", another_cluster, true),
    (
        "of another server's name",
        |made| made.subject_alt_names[1] = dns("a.node.unisono.internal"),
        false,
    ),
];

fn another_nodes_name(made: &mut CertificateParams) {
    let SanType::URI(own) = &made.subject_alt_names[0] else {
        panic!("the first name is a URI");
    };
    let (place, _) = own.as_str().rsplit_once('/').unwrap();
    let other = NodeKey::from_seed([9; 32]).id();
    made.subject_alt_names[0] = uri(&format!("{place}/{other}"));
}

fn another_cluster(made: &mut CertificateParams) {
    let SanType::URI(own) = &made.subject_alt_names[0] else {
        panic!("the first name is a URI");
    };
    let (_, rest) = own.as_str().split_once("/region/").unwrap();
    made.subject_alt_names[0] = uri(&format!("spiffe://{}/region/{rest}", "2".repeat(32)));
}

/// The caller's part: whether a node takes a peer that shows this.
async fn is_taken(authority: &Authority, certificate: &Certificate) -> bool {
    let mut north = Node::start(&authority.root, Config::default());
    let chain = authority.chain(certificate);
    let secret = pkcs8(&authority.subject);
    let called = shown(&authority.root, &north, chain, secret, b"unisono/1").await;
    let refused = async {
        if let Ok((_endpoint, connection)) = &called {
            connection.closed().await;
        }
    };
    let taken = async {
        tokio::select! {
            event = north.events.recv() => matches!(event, Some(Event::Connected { .. })),
            () = refused => false,
        }
    };
    let taken = within("a verdict", taken).await;
    let counters = north.transport.endpoint_counters();
    let refusals = counters.handshakes_failed + counters.strangers_refused;
    assert_eq!(taken, refusals == 0, "{counters:?}");
    taken
}

/// The other part: whether a node that calls goes through with the handshake.
async fn is_believed(authority: &Authority, certificate: &Certificate) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            authority.chain(certificate),
            pkcs8(&authority.subject).into(),
        )
        .unwrap();
    config.alpn_protocols = vec![b"unisono/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let server = quinn::Endpoint::server(config, loopback()).unwrap();
    let addr = server.local_addr().unwrap();
    let calls = Node::start(&member(&authority.root, "north"), Config::default());
    let wanted = authority.subject.id();
    let sent = calls
        .transport
        .send(wanted, Some(addr), Class::Push, b"hello".to_vec());
    sent.unwrap();
    // In TLS 1.3 whoever answers is done when the caller has believed it.
    let answered = async { server.accept().await.unwrap().await.is_ok() };
    within("the handshake", answered).await
}

#[tokio::test]
async fn a52_a_certificate_that_is_off_in_one_thing_is_refused_in_both_roles() {
    let authority = Authority::new();
    let good = authority.makes(&authority.subject, |_| {});
    assert!(
        is_taken(&authority, &good).await,
        "what the others differ from"
    );
    assert!(is_believed(&authority, &good).await);
    for (what, change, also_calling) in OFF {
        let made = authority.makes(&authority.subject, change);
        assert!(!is_believed(&authority, &made).await, "{what}");
        assert_eq!(is_taken(&authority, &made).await, !also_calling, "{what}");
    }
}

/// Whatever else could be signed with is no key of a node, and no signature of an authority.
#[tokio::test]
async fn a52_other_keys_and_signatures_than_ed25519_vouch_for_nobody() {
    let authority = Authority::new();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let made = authority.makes(&other, |_| {});
    let root = authority.root.authority_certificate();
    assert!(made.vouched_by(root, now_ms()).is_err());
    assert!(made.identity().is_err());
    // The algorithm of the signature stands in a certificate twice: as of SHA-1 with RSA's first bytes,
    // as one that nobody knows.
    let good = authority.makes(&authority.subject, |_| {});
    let ed25519 = [0x06, 0x03, 0x2b, 0x65, 0x70];
    let places: Vec<usize> = (0..good.der().len() - ed25519.len())
        .filter(|at| good.der()[*at..].starts_with(&ed25519))
        .collect();
    assert_eq!(places.len(), 3, "the key's, and the signature's two");
    for kind in [
        [0x06, 0x03, 0x2a, 0x86, 0x48],
        [0x06, 0x03, 0x2b, 0x65, 0x71],
    ] {
        for place in &places {
            let mut der = good.der().to_vec();
            der[*place..place + kind.len()].copy_from_slice(&kind);
            let changed = Certificate::from_der(der);
            assert!(changed.vouched_by(root, now_ms()).is_err(), "{kind:?}");
        }
    }
    assert!(good.vouched_by(root, now_ms()).is_ok());
}

/// What was found of a certificate is found under the authorities that are known then.
#[tokio::test]
async fn a_second_connection_needs_the_certificate_that_counts_then() {
    let authority = Authority::new();
    let mut north = Node::start(&authority.root, Config::default());
    let good = authority.makes(&authority.subject, |_| {});
    for _ in 0..2 {
        let chain = authority.chain(&good);
        let secret = pkcs8(&authority.subject);
        let called = shown(&authority.root, &north, chain, secret, b"unisono/1").await;
        let (endpoint, connection) = called.unwrap();
        north.connected().await;
        connection.close(0u32.into(), b"");
        endpoint.wait_idle().await;
        north.lost().await;
    }
    // The same bytes but for one of the signature are another certificate.
    let mut der = good.der().to_vec();
    *der.last_mut().unwrap() ^= 1;
    let forged = Certificate::from_der(der);
    let chain = authority.chain(&forged);
    let secret = pkcs8(&authority.subject);
    let called = shown(&authority.root, &north, chain, secret, b"unisono/1").await;
    if let Ok((_endpoint, connection)) = called {
        within("the refusal", connection.closed()).await;
    }
    eventually("the refusal", || {
        north.transport.endpoint_counters().handshakes_failed == 1
    })
    .await;
}
