//! The vocabulary of these stories: clusters, nodes, and waiting for what should happen.

use std::{
    future::Future,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use unisono_model::{ClusterId, NodeId};
use unisono_quic::{
    Class, Config, Endpoint, Event, Events, Transport,
    identity::{Certificate, Credentials, NodeKey, PeerIdentity, Region},
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

pub(crate) fn region(name: &str) -> Region {
    name.parse().unwrap()
}

pub(crate) fn loopback() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// The founder of a cluster whose id is this byte, sixteen times.
pub(crate) fn founder(cluster: u8) -> Credentials {
    let cluster = ClusterId([cluster; 16]);
    Credentials::found(cluster, NodeKey::generate(), &region("north"), now_ms()).unwrap()
}

/// A further member of the founder's cluster.
pub(crate) fn member(founder: &Credentials, place: &str) -> Credentials {
    let key = NodeKey::generate();
    let authority = founder.authority().unwrap();
    let certificate = authority.issue(key.id(), &region(place), now_ms()).unwrap();
    Credentials::new(
        key,
        certificate,
        authority.certificate().clone(),
        None,
        now_ms(),
    )
    .unwrap()
}

/// Two members, the one with the lower id first.
pub(crate) fn two_members(founder: &Credentials) -> (Credentials, Credentials) {
    let (one, other) = (member(founder, "north"), member(founder, "south"));
    if one.node() < other.node() {
        (one, other)
    } else {
        (other, one)
    }
}

pub(crate) fn quick() -> Config {
    Config {
        idle_timeout: Duration::from_secs(3),
        fault_injection: true,
        ..Config::default()
    }
}

/// A bound endpoint under test.
pub(crate) struct Node {
    pub(crate) transport: Transport,
    pub(crate) events: Events,
}

impl Node {
    pub(crate) fn start(credentials: &Credentials, config: Config) -> Self {
        Self::start_at(credentials, loopback(), config)
    }

    pub(crate) fn start_at(credentials: &Credentials, addr: SocketAddr, config: Config) -> Self {
        let Endpoint {
            transport, events, ..
        } = Endpoint::bind(credentials.clone(), addr, config).unwrap();
        Self { transport, events }
    }

    pub(crate) fn id(&self) -> NodeId {
        self.transport.node()
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.transport.local_addr()
    }

    pub(crate) fn knows(&self, other: &Self) {
        self.transport
            .set_address(other.id(), &[other.addr()])
            .unwrap();
    }

    pub(crate) fn send(&self, to: &Self, class: Class, frame: &[u8]) {
        self.transport
            .send(to.id(), None, class, frame.to_vec())
            .unwrap();
    }

    /// The next event that `wanted` accepts; others are passed over.
    pub(crate) async fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let waiting = async {
            loop {
                let event = self.events.recv().await.expect("the endpoint is open");
                if wanted(&event) {
                    return event;
                }
            }
        };
        within(what, waiting).await
    }

    pub(crate) async fn frame(&mut self, class: Class, frame: &[u8]) -> NodeId {
        let what = format!("a frame of {class:?}");
        let wanted = |event: &Event| matches!(event, Event::Frame { class: c, bytes, .. } if *c == class && bytes == frame);
        match self.until(&what, wanted).await {
            Event::Frame { from, .. } => from,
            other => panic!("{other:?}"),
        }
    }

    /// Sends until the other one has it: what was said while they were cut off may be lost.
    pub(crate) async fn reaches(&self, other: &mut Self) {
        within("traffic after the heal", async {
            loop {
                self.send(other, Class::Push, b"after");
                let got = other.frame(Class::Push, b"after");
                if tokio::time::timeout(Duration::from_millis(300), got)
                    .await
                    .is_ok()
                {
                    break;
                }
            }
        })
        .await;
    }

    pub(crate) async fn connected(&mut self) -> PeerIdentity {
        let event = self
            .until("a connection", |event| {
                matches!(event, Event::Connected { .. })
            })
            .await;
        let Event::Connected { node, region, .. } = event else {
            panic!("{event:?}")
        };
        PeerIdentity {
            node,
            region,
            cluster: self.transport.cluster(),
        }
    }

    pub(crate) async fn lost(&mut self) -> unisono_quic::Loss {
        let event = self
            .until("a loss", |event| matches!(event, Event::Lost { .. }))
            .await;
        let Event::Lost { why, .. } = event else {
            panic!("{event:?}")
        };
        why
    }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Asks again and again until `check` says yes.
pub(crate) async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    within(what, async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Bytes that no compression makes smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// A certificate made for other credentials than it is used with.
pub(crate) fn certificate_for(issuer: &Credentials, node: NodeId, at_ms: u64) -> Certificate {
    issuer
        .authority()
        .unwrap()
        .issue(node, &region("north"), at_ms)
        .unwrap()
}

/// A peer that has a member's certificate and writes whatever it likes.
pub(crate) async fn raw_connection(
    credentials: Option<&Credentials>,
    authority: &Certificate,
    target: &Node,
    alpn: &[u8],
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from(authority.der().to_vec()))
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match credentials {
        None => config.with_no_client_auth(),
        Some(credentials) => {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("keys");
            credentials.save(&path).unwrap();
            let key = PrivateKeyDer::from_pem_file(path.join("node.key")).unwrap();
            let certificate = CertificateDer::from(credentials.certificate().der().to_vec());
            config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let id = target.id().to_string();
    let name = format!("{}.{}.node.unisono.internal", &id[..32], &id[32..]);
    let connection = endpoint
        .connect_with(client, target.addr(), &name)
        .unwrap()
        .await?;
    Ok((endpoint, connection))
}

/// A connection on which this chain is shown.
pub(crate) async fn shown(
    root: &Credentials,
    target: &Node,
    chain: Vec<CertificateDer<'static>>,
    secret: PrivatePkcs8KeyDer<'static>,
    protocol: &[u8],
) -> Result<(quinn::Endpoint, quinn::Connection), quinn::ConnectionError> {
    let mut roots = rustls::RootCertStore::empty();
    let authority = root.authority_certificate().der().to_vec();
    roots.add(CertificateDer::from(authority)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, secret.into())
        .unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(config).unwrap();
    let endpoint = quinn::Endpoint::client(loopback()).unwrap();
    let id = target.id().to_string();
    let name = format!("{}.{}.node.unisono.internal", &id[..32], &id[32..]);
    let client = quinn::ClientConfig::new(Arc::new(crypto));
    let connecting = endpoint.connect_with(client, target.addr(), &name);
    let connection = connecting.unwrap().await?;
    Ok((endpoint, connection))
}
