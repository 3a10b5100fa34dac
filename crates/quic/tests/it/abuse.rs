//! What certificate holders and holders of invites may try against the certificates themselves. Each
//! abuse has a number that stays, the first part of its test's name, and a line in
//! `docs/threat-model.md`; M09, M11 and M12 stand in `renewing.rs`, M10 in the process's tests.

use std::sync::Arc;

use ed25519_dalek::{Signer as _, SigningKey};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Serialize;
use unisono_model::{ClusterId, Digest, NodeId};
use unisono_quic::{
    Class, Config,
    identity::{Certificate, ClusterAuthority, Credentials, NodeKey},
    join::{Admission, Answer, Invite, JoinRequest, MayRenew},
    limits,
};

use crate::world::{
    Node, eventually, founder, loopback, member, now_ms, raw_connection, region, shown, within,
};

/// Lets everybody in, and renews for everybody: what is refused is refused before it is asked.
#[derive(Debug)]
struct Anybody;

impl Admission for Anybody {
    fn admit(&self, _request: JoinRequest) -> Answer<'_> {
        Box::pin(async { Ok(b"the members".to_vec()) })
    }

    fn renews(&self, _node: NodeId) -> MayRenew<'_> {
        Box::pin(async { Ok(()) })
    }

    fn issuers(&self) -> Vec<String> {
        Vec::new()
    }
}

fn open_to_anybody(credentials: &Credentials) -> Node {
    let node = Node::start(credentials, Config::default());
    node.transport.serve_joins(Arc::new(Anybody));
    node
}

fn secret_of(credentials: &Credentials) -> PrivateKeyDer<'static> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    credentials.save(&path).unwrap();
    PrivatePkcs8KeyDer::from_pem_file(path.join("node.key"))
        .unwrap()
        .into()
}

fn der(certificate: &Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.der().to_vec())
}

/// A member with its own program: it answers each renewal with the same bytes.
fn liar(credentials: &Credentials, answer: Vec<u8>) -> quinn::Endpoint {
    let chain = vec![
        der(credentials.certificate()),
        der(credentials.authority_certificate()),
    ];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, secret_of(credentials))
        .unwrap();
    config.alpn_protocols = vec![b"unisono-renew/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(config).unwrap();
    let config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
    let endpoint = quinn::Endpoint::server(config, loopback()).unwrap();
    let serving = endpoint.clone();
    tokio::spawn(async move {
        while let Some(incoming) = serving.accept().await {
            let connection = incoming.await.unwrap();
            let (mut send, mut receive) = connection.accept_bi().await.unwrap();
            _ = receive.read_to_end(1000).await;
            _ = send.write_all(&answer).await;
            _ = send.finish();
            connection.closed().await;
        }
    });
    endpoint
}

fn signed(certificate: &Certificate) -> Vec<u8> {
    postcard::to_allocvec(&(0u8, certificate.der(), now_ms())).unwrap()
}

#[tokio::test]
async fn m13_a_member_that_signs_without_the_authority_is_not_believed() {
    let root = founder(1);
    let authority = root.authority().unwrap();
    let (asks, lies) = (member(&root, "north"), member(&root, "north"));
    let node = Node::start(&asks, Config::default());
    let forged = ClusterAuthority::found(root.cluster(), now_ms()).unwrap();
    let issue = |by: &ClusterAuthority, node, place| by.issue(node, &region(place), now_ms());
    let good = issue(authority, asks.node(), "north").unwrap();
    for (answer, code) in [
        (
            signed(&issue(&forged, asks.node(), "north").unwrap()),
            "bad_answer",
        ),
        // Certificates that are good, of somebody else and for another place.
        (signed(lies.certificate()), "bad_answer"),
        (
            signed(&issue(authority, asks.node(), "south").unwrap()),
            "bad_answer",
        ),
        ([signed(&good), vec![0]].concat(), "bad_answer"),
        (vec![0; limits::RENEWAL_ANSWER_BYTES_MAX + 1], "unreachable"),
        (Vec::new(), "bad_answer"),
    ] {
        let server = liar(&lies, answer);
        let addr = server.local_addr().unwrap();
        node.transport.set_address(lies.node(), &[addr]).unwrap();
        let refused = node.transport.renewed_by(lies.node()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        server.close(0u32.into(), b"");
    }
    // Whoever hands on what the authority signed does no harm.
    let server = liar(&lies, signed(&good));
    let addr = server.local_addr().unwrap();
    node.transport.set_address(lies.node(), &[addr]).unwrap();
    node.transport.renewed_by(lies.node()).await.unwrap();
}

/// A node's certificate is no authority's, though its key could sign one.
#[tokio::test]
async fn m14_a_members_certificate_signs_no_other() {
    let root = founder(1);
    let mut north = open_to_anybody(&root);
    let lies = member(&root, "south");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    lies.save(&path).unwrap();
    let key = Credentials::load_key(&path).unwrap();
    let as_authority =
        ClusterAuthority::from_parts(key.clone(), root.authority_certificate().clone());
    assert!(as_authority.is_err(), "it is another key");

    let ghost = NodeKey::generate();
    let ghost_path = directory.path().join("ghost");
    Credentials::save_key(&ghost_path, &ghost).unwrap();
    let ghost_pem = std::fs::read_to_string(ghost_path.join("node.key")).unwrap();
    let signer = lies.certificate();
    let made = certificate_by_a_member(&root, &lies, key, &ghost);
    assert_eq!(made.identity().unwrap().node, ghost.id(), "it looks right");
    assert!(
        made.vouched_by(root.authority_certificate(), now_ms())
            .is_err()
    );

    let secret = PrivatePkcs8KeyDer::from_pem_slice(ghost_pem.as_bytes()).unwrap();
    let chain = vec![der(&made), der(signer), der(root.authority_certificate())];
    for protocol in [b"unisono/1".as_slice(), b"unisono-renew/1"] {
        let connection = shown(&root, &north, chain.clone(), secret.clone_key(), protocol).await;
        if let Ok((_endpoint, connection)) = connection {
            within("the refusal", connection.closed()).await;
        }
    }
    eventually("the refusals", || {
        north.transport.endpoint_counters().handshakes_failed >= 2
    })
    .await;
    let quiet = std::time::Duration::from_millis(200);
    assert!(
        tokio::time::timeout(quiet, north.events.recv())
            .await
            .is_err()
    );
}

/// A certificate for `ghost` with everything that a good one has, signed by a member's key.
fn certificate_by_a_member(
    root: &Credentials,
    member: &Credentials,
    key: NodeKey,
    ghost: &NodeKey,
) -> Certificate {
    // The names of its own certificate, in their order, so that the chain seems to close.
    let mut own = rcgen::CertificateParams::default();
    own.distinguished_name = rcgen::DistinguishedName::new();
    let common = format!("unisono node {:?}", member.node());
    for (kind, value) in [
        (rcgen::DnType::OrganizationName, "unisono"),
        (rcgen::DnType::CommonName, common.as_str()),
        (rcgen::DnType::OrganizationalUnitName, "south"),
    ] {
        own.distinguished_name.push(kind, value);
    }
    let mut params = rcgen::CertificateParams::default();
    let (cluster, node) = (root.cluster(), ghost.id());
    let uri = format!("spiffe://{cluster}/region/south/node/{node}");
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.try_into().unwrap())];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(4000, 1, 1);
    let issuer = rcgen::Issuer::new(own, key);
    let made = params.signed_by(ghost, &issuer).unwrap();
    Certificate::from_der(made.der().to_vec())
}

#[derive(Serialize)]
struct Request {
    version: u16,
    cluster: ClusterId,
    invite: [u8; 32],
    node: NodeId,
    region: &'static str,
    addresses: Vec<String>,
}

/// Somebody with an invite and a program of its own.
struct Joining {
    root: Credentials,
    host: Node,
    invite: SigningKey,
}

impl Joining {
    fn new() -> Self {
        let root = founder(1);
        let host = open_to_anybody(&root);
        let pin = root.authority_certificate().fingerprint();
        let addresses = vec![host.addr().to_string()];
        let invite = Invite::new(root.cluster(), pin, addresses, now_ms() + 60_000).unwrap();
        // What stands in the string, in its order: cluster, pin, secret.
        let text = invite.to_text().to_uppercase();
        let bytes = data_encoding::BASE32_NOPAD
            .decode(&text.as_bytes()["unisono1.".len()..])
            .unwrap();
        let (cluster, secret) = (&bytes[..16], &bytes[48..64]);
        let seed = Digest::of("unisono/invite-key/v1", &[cluster, secret]);
        Self {
            root,
            host,
            invite: SigningKey::from_bytes(&seed.0),
        }
    }

    async fn connect(&self) -> (quinn::Endpoint, quinn::Connection) {
        let trusted = self.root.authority_certificate();
        let raw = raw_connection(None, trusted, &self.host, b"unisono-join/1").await;
        raw.unwrap()
    }

    /// A request for `node`, signed for this connection by the invite and by `signer`.
    fn request(
        &self,
        connection: &quinn::Connection,
        node: NodeId,
        signer: &SigningKey,
    ) -> Vec<u8> {
        let request = postcard::to_allocvec(&Request {
            version: 1,
            cluster: self.root.cluster(),
            invite: self.invite.verifying_key().to_bytes(),
            node,
            region: "south",
            addresses: Vec::new(),
        })
        .unwrap();
        let mut exported = [0; 32];
        connection
            .export_keying_material(&mut exported, b"EXPORTER-unisono-join", b"")
            .unwrap();
        let signed = Digest::of("unisono/join/v1", &[&exported, &request]);
        let invite_proof = self.invite.sign(&signed.0).to_bytes().to_vec();
        let node_proof = signer.sign(&signed.0).to_bytes().to_vec();
        postcard::to_allocvec(&(request, invite_proof, node_proof)).unwrap()
    }
}

/// A join as somebody else sees it who is in between: what was said, and what binds it to its place.
struct Overheard {
    _endpoint: quinn::Endpoint,
    connection: quinn::Connection,
    node: NodeId,
    key: SigningKey,
    exported: [u8; 32],
    request: Vec<u8>,
}

impl Overheard {
    async fn of(joining: &Joining) -> Self {
        let key = SigningKey::from_bytes(&[7; 32]);
        let node = NodeId(key.verifying_key().to_bytes());
        let (endpoint, connection) = joining.connect().await;
        let request = joining.request(&connection, node, &key);
        let mut exported = [0; 32];
        connection
            .export_keying_material(&mut exported, b"EXPORTER-unisono-join", b"")
            .unwrap();
        Self {
            _endpoint: endpoint,
            connection,
            node,
            key,
            exported,
            request,
        }
    }
}

/// What a member says who passes a join on.
fn passed_on(exported: &[u8; 32], request: &[u8]) -> Vec<u8> {
    [b"join".as_slice(), exported, request].concat()
}

async fn answered(connection: &quinn::Connection, request: &[u8]) -> Vec<u8> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(request).await.unwrap();
    _ = send.finish();
    let answer = receive.read_to_end(limits::JOIN_ANSWER_BYTES_MAX).await;
    connection.close(0u32.into(), b"");
    answer.unwrap()
}

/// The third of the refusals.
const BAD_PROOF: [u8; 2] = [1, 3];

#[tokio::test]
async fn m15_a_join_that_was_overheard_is_worth_nothing_on_another_connection() {
    let joining = Joining::new();
    let heard = Overheard::of(&joining).await;
    let (_endpoint, other) = joining.connect().await;
    assert_eq!(answered(&other, &heard.request).await[..2], BAD_PROOF);
    // The very bytes are good where they were made.
    assert_eq!(answered(&heard.connection, &heard.request).await[0], 0);
}

#[tokio::test]
async fn m16_an_invite_gives_no_certificate_for_a_key_that_its_holder_does_not_have() {
    let joining = Joining::new();
    let key = SigningKey::from_bytes(&[7; 32]);
    let own = NodeId(key.verifying_key().to_bytes());
    let (_endpoint, connection) = joining.connect().await;
    let request = joining.request(&connection, joining.root.node(), &key);
    assert_eq!(answered(&connection, &request).await[..2], BAD_PROOF);
    // Nor for one that it has if the invite's own key did not sign.
    let (_endpoint, connection) = joining.connect().await;
    let mut forged = joining.request(&connection, own, &key);
    let invite_proof = forged.len() - 129;
    forged[invite_proof] ^= 1;
    assert_eq!(answered(&connection, &forged).await[..2], BAD_PROOF);
    let counters = joining.host.transport.endpoint_counters();
    assert_eq!((counters.joins_admitted, counters.joins_refused), (0, 2));
}

/// A member passes on what it has seen of somebody's join.
#[tokio::test]
async fn m18_a_member_passes_on_no_join_but_the_one_that_was_made() {
    let joining = Joining::new();
    let heard = Overheard::of(&joining).await;
    let (exported, request) = (&heard.exported, &heard.request);
    let lies = member(&joining.root, "south");
    let trusted = joining.root.authority_certificate();
    let passed = async |exported: &[u8; 32], request: &[u8]| {
        let raw = raw_connection(Some(&lies), trusted, &joining.host, b"unisono/1").await;
        let (_endpoint, connection) = raw.unwrap();
        answered(&connection, &passed_on(exported, request)).await
    };
    // As if it had been made elsewhere, for its own key, or with an invite that it has not.
    assert_eq!(passed(&[0; 32], request).await[..2], BAD_PROOF);
    let own = joining.request(&heard.connection, lies.node(), &heard.key);
    assert_eq!(passed(exported, &own).await[..2], BAD_PROOF);
    let mut forged = request.clone();
    let invite_proof = forged.len() - 129;
    forged[invite_proof] ^= 1;
    assert_eq!(passed(exported, &forged).await[..2], BAD_PROOF);
    assert_eq!(passed(exported, &[]).await[..2], [1, 8], "malformed");
    // What it was given is the joiner's, whose key it has not.
    let answer = passed(exported, request).await;
    assert_eq!(answer[0], 0);
    let (certificate, _): (Vec<u8>, Vec<u8>) = postcard::from_bytes(&answer[1..]).unwrap();
    let certificate = Certificate::from_der(certificate);
    assert_eq!(certificate.identity().unwrap().node, heard.node);
}

/// A stranger, and whoever has a certificate that has ended, pass nothing on.
#[tokio::test]
async fn m19_nobody_but_a_member_passes_a_join_on() {
    let joining = Joining::new();
    let heard = Overheard::of(&joining).await;
    let bytes = passed_on(&heard.exported, &heard.request);
    let trusted = joining.root.authority_certificate();
    let (_endpoint, stranger) = joining.connect().await;
    assert_eq!(answered(&stranger, &bytes).await[..2], [1, 8], "malformed");
    let ended = member(&joining.root, "south");
    let raw = raw_connection(Some(&ended), trusted, &joining.host, b"unisono-renew/1").await;
    let (_endpoint, connection) = raw.unwrap();
    assert_eq!(
        answered(&connection, &bytes).await[..2],
        [1, 6],
        "no renewal"
    );
    assert_eq!(joining.host.transport.endpoint_counters().joins_admitted, 0);
}

#[tokio::test]
async fn m17_nothing_but_a_renewal_is_heard_on_a_connection_for_renewals() {
    let root = founder(1);
    let mut north = open_to_anybody(&root);
    let ended = member(&root, "south");
    let trusted = root.authority_certificate();
    let raw = raw_connection(Some(&ended), trusted, &north, b"unisono-renew/1").await;
    let (_endpoint, connection) = raw.unwrap();
    for tag in [1u8, 2] {
        let mut stream = connection.open_uni().await.unwrap();
        let frame = unisono_quic::to_wire(b"as if it were a member");
        _ = stream.write_all(&[tag]).await;
        _ = stream.write_all(&frame).await;
        _ = stream.finish();
    }
    for tag in [0u8, 3] {
        _ = connection.send_datagram(vec![tag, 1, 2, 3].into());
    }
    let quiet = std::time::Duration::from_millis(500);
    let heard = tokio::time::timeout(quiet, north.events.recv()).await;
    assert!(heard.is_err(), "{heard:?}");
    assert!(north.transport.peers().is_empty());
    assert!(north.transport.connected().is_empty());
    // Nor is anything sent on it.
    let to = north
        .transport
        .send(ended.node(), None, Class::Push, b"psst".to_vec());
    assert!(to.is_err(), "{to:?}");
}
