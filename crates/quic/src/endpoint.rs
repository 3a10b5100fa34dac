//! Binding the socket, and deciding about everyone who calls.

use std::{
    any::Any,
    collections::{HashMap, HashSet},
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use quinn::{
    Connecting, ConnectionError, ConnectionId, ConnectionIdGenerator, EndpointConfig,
    TransportConfig, VarInt,
};
use rustls::pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use unisono_model::{ClusterId, NodeId};

use crate::{
    Events, Faults, TimingDatagrams, Transport,
    connection::code,
    counted::CountedSocket,
    counters::LiveEndpointCounters,
    event::Sink,
    identity::{Certificate, Credentials, PeerIdentity, random, unix_now_ms},
    join::{self, Admission, ProofLimiter},
    limits,
    near::Near,
    peer::{Notice, Peer},
    renew::{self, RenewalLimiter},
    socket::FaultySocket,
    stamped::{Arrivals, stamped},
    tls::{self, Shown, Standing},
};

/// How an endpoint behaves. The defaults are what a node should run with.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often an idle connection is kept alive.
    pub keep_alive: Duration,
    /// Silence after which another connection is tried beside the one there is; more than twice
    /// `keep_alive`.
    pub silence: Duration,
    /// Silence after which a connection counts as lost; several times `silence`.
    pub idle_timeout: Duration,
    /// How long a frame may wait for a peer's flow control before the peer counts as slow.
    pub send_timeout: Duration,
    /// Puts the fault layer between QUIC and the socket, for tests and demonstrations. A process must
    /// offer this only behind a flag that says that it is for tests.
    pub fault_injection: bool,
    /// How long the certificates live that are signed here, and after which part of it this node's own
    /// is renewed. Shorter than [`limits::NODE_CERTIFICATE_MS`] only for tests.
    pub certificate_life: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            keep_alive: limits::KEEP_ALIVE,
            silence: limits::SILENCE,
            idle_timeout: limits::IDLE_TIMEOUT,
            send_timeout: limits::SEND_TIMEOUT,
            fault_injection: false,
            certificate_life: Duration::from_millis(limits::NODE_CERTIFICATE_MS),
        }
    }
}

/// Why an endpoint could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {addr} ({source}): choose another address, or stop what uses it")]
    Address {
        /// Which.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The credentials cannot be used for TLS.
    #[error("the credentials cannot be used for TLS: {0}")]
    Credentials(String),
}

/// A bound endpoint: the handle to send with, and the events to take.
#[derive(Debug)]
pub struct Endpoint {
    /// For sending.
    pub transport: Transport,
    /// To be drained by the driver.
    pub events: Events,
    /// To be drained by the timing plane. Where nobody does, its datagrams are dropped and counted.
    pub timing: TimingDatagrams,
}

impl Endpoint {
    /// Binds a UDP socket at `addr` and begins to answer. Must be called within a Tokio runtime.
    pub fn bind(
        credentials: Credentials,
        addr: SocketAddr,
        config: Config,
    ) -> Result<Self, BindError> {
        let (sink, events, timing) = Sink::new();
        let faults = config.fault_injection.then(|| Arc::new(Faults::default()));
        let refused = |source| BindError::Address { addr, source };
        let roles = Roles::of(&credentials, &config)
            .map_err(|error: rustls::Error| BindError::Credentials(error.to_string()))?;

        let socket = std::net::UdpSocket::bind(addr).map_err(refused)?;
        let arrivals = Arc::new(Arrivals::default());
        let counters = Arc::new(LiveEndpointCounters::default());
        let stamped = stamped(socket, &arrivals).map_err(refused)?;
        let mut socket = CountedSocket::around(stamped, Arc::clone(&counters));
        if let Some(faults) = &faults {
            socket = FaultySocket::around(socket, Arc::clone(faults));
        }
        let local_addr = socket.local_addr().map_err(refused)?;
        let endpoint = quinn::Endpoint::new_with_abstract_socket(
            endpoint_config(&credentials),
            Some(roles.server),
            socket,
            Arc::new(quinn::TokioRuntime),
        )
        .map_err(refused)?;

        let shared = Arc::new(Shared {
            node: credentials.node(),
            cluster: credentials.cluster(),
            shown: roles.shown,
            config,
            local_addr,
            endpoint,
            runtime: tokio::runtime::Handle::current(),
            near: roles.near,
            client: roles.client,
            renewing: roles.renewing,
            sink,
            arrivals,
            faults,
            counters,
            peers: RwLock::default(),
            excluded: RwLock::default(),
            signer: RwLock::default(),
            admission: RwLock::default(),
            proofs: ProofLimiter::default(),
            joins: Arc::new(Semaphore::new(limits::JOINS_MAX)),
            renewals: RenewalLimiter::default(),
            renewing_now: Semaphore::new(limits::RENEWALS_MAX),
            closing: watch::Sender::new(false),
        });
        tokio::spawn(answer(Arc::clone(&shared)));
        tokio::spawn(follow_authorities(Arc::clone(&shared)));
        Ok(Self {
            transport: Transport::new(shared),
            events,
            timing,
        })
    }
}

/// How the endpoint answers and calls, all with the certificate that is shown at the time.
struct Roles {
    shown: Arc<Shown>,
    near: Option<Near>,
    server: quinn::ServerConfig,
    client: quinn::ClientConfig,
    renewing: quinn::ClientConfig,
}

impl Roles {
    fn of(credentials: &Credentials, config: &Config) -> Result<Self, rustls::Error> {
        let transport = Arc::new(transport_config(config));
        let life_ms = config.certificate_life.as_millis() as u64;
        let shown = Arc::new(Shown::new(credentials.clone(), life_ms)?);
        let answering = Arc::new(tls::server(&shown)?);
        let mut server = quinn::ServerConfig::with_crypto(answering);
        server
            .transport_config(Arc::clone(&transport))
            .max_incoming(limits::HANDSHAKES_MAX)
            .incoming_buffer_size(limits::STRANGER_WINDOW_BYTES.into())
            .incoming_buffer_size_total(limits::STRANGERS_BYTES_MAX);
        let calling = |crypto| {
            let mut config = quinn::ClientConfig::new(Arc::new(crypto));
            config.transport_config(Arc::clone(&transport));
            config
        };
        Ok(Self {
            near: Near::of(transport_config(config), &server),
            client: calling(tls::client(&shown)?),
            renewing: calling(tls::renewing(&shown)?),
            shown,
            server,
        })
    }
}

/// What all tasks of an endpoint share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) node: NodeId,
    pub(crate) cluster: ClusterId,
    /// Its credentials, which change when its certificate is renewed.
    pub(crate) shown: Arc<Shown>,
    pub(crate) config: Config,
    pub(crate) local_addr: SocketAddr,
    pub(crate) endpoint: quinn::Endpoint,
    /// Where tasks run, so that the handle can be used outside the runtime too.
    pub(crate) runtime: tokio::runtime::Handle,
    near: Option<Near>,
    client: quinn::ClientConfig,
    pub(crate) renewing: quinn::ClientConfig,
    pub(crate) sink: Sink,
    /// When the latest packet of each sender came.
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) faults: Option<Arc<Faults>>,
    pub(crate) counters: Arc<LiveEndpointCounters>,
    pub(crate) proofs: ProofLimiter,
    pub(crate) joins: Arc<Semaphore>,
    pub(crate) renewals: RenewalLimiter,
    pub(crate) renewing_now: Semaphore,
    closing: watch::Sender<bool>,
    peers: RwLock<HashMap<NodeId, Arc<Peer>>>,
    excluded: RwLock<HashSet<NodeId>>,
    /// Who has signed this node's certificate, as far as it knows.
    signer: RwLock<Option<NodeId>>,
    admission: RwLock<Option<Arc<dyn Admission>>>,
}

impl Shared {
    pub(crate) fn peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        read(&self.peers).get(&node).cloned()
    }

    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        read(&self.peers).values().cloned().collect()
    }

    /// The peer, known from now on; `None` when too many are, or the endpoint is closing.
    pub(crate) fn peer_or_new(self: &Arc<Self>, node: NodeId) -> Option<Arc<Peer>> {
        if let Some(peer) = self.peer(node) {
            return Some(peer);
        }
        let mut peers = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        if self.is_closing() || (peers.len() >= limits::PEERS_MAX && !peers.contains_key(&node)) {
            return None;
        }
        let peer = peers
            .entry(node)
            .or_insert_with(|| Peer::start(Arc::clone(self), node));
        Some(Arc::clone(peer))
    }

    pub(crate) fn remove_peer(&self, node: NodeId) -> Option<Arc<Peer>> {
        self.peers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&node)
    }

    pub(crate) fn is_excluded(&self, node: NodeId) -> bool {
        read(&self.excluded).contains(&node)
    }

    pub(crate) fn set_excluded(&self, node: NodeId, excluded: bool) {
        let mut nodes = self
            .excluded
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if excluded {
            nodes.insert(node);
        } else {
            nodes.remove(&node);
        }
    }

    fn near(&self, addr: SocketAddr) -> Option<&Near> {
        self.near.as_ref().filter(|_| Near::holds(addr))
    }

    /// How a node at this address is called.
    pub(crate) fn calling(&self, addr: SocketAddr) -> quinn::ClientConfig {
        let config = self.client.clone();
        match self.near(addr) {
            Some(near) => near.calling(config),
            None => config,
        }
    }

    /// Takes up a handshake that somebody has begun.
    fn answering(&self, incoming: quinn::Incoming) -> Result<Connecting, ConnectionError> {
        match self.near(incoming.remote_address()) {
            Some(near) => incoming.accept_with(near.answering()),
            None => incoming.accept(),
        }
    }

    /// Who has signed for this node, and where that one was reached.
    pub(crate) fn signer(&self) -> Option<(NodeId, SocketAddr)> {
        let peer = self.peer((*read(&self.signer))?)?;
        let live = peer.connection().map(|live| live.remote_address());
        Some((peer.node, live.or_else(|| peer.places().first().copied())?))
    }

    pub(crate) fn set_signer(&self, node: NodeId) {
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = Some(node);
    }

    pub(crate) fn admission(&self) -> Option<Arc<dyn Admission>> {
        read(&self.admission).clone()
    }

    pub(crate) fn set_admission(&self, admission: Arc<dyn Admission>) {
        *self
            .admission
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Some(admission);
    }

    /// Who is at the other end by the certificate that TLS has verified, and for how long that counts.
    pub(crate) fn standing(&self, connection: &quinn::Connection) -> Option<Standing> {
        let chain = certificates(connection)?;
        let certificate = Certificate::from_der(chain.first()?.to_vec());
        self.shown.standing(&certificate).ok()
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    pub(crate) async fn until_closing(&self) {
        // The sender lives as long as `self`, so this ends only when the value is true.
        _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    pub(crate) fn begin_close(&self) {
        self.closing.send_replace(true);
        self.endpoint.close(code::CLOSED, b"leaving");
        self.peers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Tells the fault layer from which address a node speaks.
    pub(crate) fn learn(&self, node: NodeId, addr: SocketAddr) {
        if let Some(faults) = &self.faults {
            faults.learn(node, addr);
        }
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(shared: Arc<Shared>) {
    let handshakes = Arc::new(Semaphore::new(limits::HANDSHAKES_MAX));
    while let Some(incoming) = shared.endpoint.accept().await {
        let Ok(permit) = Arc::clone(&handshakes).try_acquire_owned() else {
            shared.counters.overload_refused.add(1);
            incoming.refuse();
            continue;
        };
        let busy = handshakes.available_permits() < limits::HANDSHAKES_MAX / 2;
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            shared.counters.overload_refused.add(1);
            _ = incoming.retry();
            continue;
        }
        tokio::spawn(receive(Arc::clone(&shared), incoming, permit));
    }
}

async fn receive(shared: Arc<Shared>, incoming: quinn::Incoming, permit: OwnedSemaphorePermit) {
    let handshake = async { shared.answering(incoming)?.await };
    match tokio::time::timeout(limits::HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(connection)) => admit(&shared, connection, permit).await,
        Ok(Err(error)) => {
            shared.counters.handshakes_failed.add(1);
            tracing::debug!(%error, "a handshake failed");
        }
        Err(_) => shared.counters.handshakes_failed.add(1),
    }
}

/// The one place that decides what a caller may speak: a node of the cluster `unisono/1`, one whose
/// certificate has ended only `unisono-renew/1`, a stranger only `unisono-join/1`.
async fn admit(shared: &Arc<Shared>, connection: quinn::Connection, permit: OwnedSemaphorePermit) {
    match (
        protocol(&connection).as_deref(),
        shared.standing(&connection),
    ) {
        (Some(tls::JOIN_ALPN), _) => {
            drop(permit);
            join::serve(shared, connection).await;
        }
        (Some(tls::RENEW_ALPN), Some(caller)) => {
            drop(permit);
            renew::serve(shared, connection, caller.identity).await;
        }
        (Some(tls::ALPN), Some(caller)) => {
            let now_ms = unix_now_ms();
            // The key of an authority that has ended may be a thief's, who makes up nodes with it.
            let may_be_made_up = shared.shown.is_of_ended(&caller, now_ms);
            let is_known = || shared.peer(caller.identity.node).is_some();
            if shared.shown.takes(&caller, now_ms) && (!may_be_made_up || is_known()) {
                admit_node(shared, connection, caller.identity);
            } else {
                shared.counters.ended_refused.add(1);
                connection.close(code::ENDED, ENDED_WORDS);
            }
        }
        _ => {
            shared.counters.strangers_refused.add(1);
            connection.close(code::STRANGER, b"a node's certificate is required");
        }
    }
}

/// Tells every peer's keeper when certificates may count for a shorter time than before.
async fn follow_authorities(shared: Arc<Shared>) {
    let mut learned = shared.shown.learned();
    let follow = async {
        while learned.changed().await.is_ok() {
            for peer in shared.peers() {
                peer.notify(Notice::Learned);
            }
        }
    };
    tokio::select! {
        () = follow => {}
        () = shared.until_closing() => {}
    }
}

/// Said to a node whose certificate has ended.
pub(crate) const ENDED_WORDS: &[u8] = b"your certificate has ended by my clock: renew it";

fn admit_node(shared: &Arc<Shared>, connection: quinn::Connection, identity: PeerIdentity) {
    let addr = connection.remote_address();
    shared.learn(identity.node, addr);
    if shared
        .faults
        .as_ref()
        .is_some_and(|faults| faults.blocks(identity.node))
    {
        // Cut off before its address was known: now it is, and the closing packet is swallowed too.
        return;
    }
    if shared.is_excluded(identity.node) || identity.node == shared.node {
        shared.counters.excluded_refused.add(1);
        connection.close(code::EXCLUDED, b"excluded");
        return;
    }
    let Some(peer) = shared.peer_or_new(identity.node) else {
        shared.counters.strangers_refused.add(1);
        connection.close(code::OVERLOADED, b"too many peers");
        return;
    };
    peer.called_from(addr);
    peer.notify(Notice::Called(connection, identity.region));
}

/// The certificates that the other end showed.
pub(crate) fn certificates(connection: &quinn::Connection) -> Option<Vec<CertificateDer<'static>>> {
    let chain: Box<dyn Any> = connection.peer_identity()?;
    chain.downcast().ok().map(|chain| *chain)
}

fn protocol(connection: &quinn::Connection) -> Option<Vec<u8>> {
    let data = connection.handshake_data()?;
    data.downcast::<quinn::crypto::rustls::HandshakeData>()
        .ok()?
        .protocol
}

/// Reset tokens follow from the node's key, so that a node that comes back at its address can tell its
/// peers at once that their connections are gone (RFC 9000, section 10.3), instead of leaving them to
/// time out. Connection ids are therefore random and not tied to a process.
fn endpoint_config(credentials: &Credentials) -> EndpointConfig {
    let key = blake3::derive_key("unisono/quic/stateless-reset/v1", &credentials.key().seed());
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, &key);
    let mut config = EndpointConfig::new(Arc::new(key));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        ConnectionId::new(&random::<8>())
    }

    fn cid_len(&self) -> usize {
        8
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// Windows begin at what a stranger gets; `connection::Link` widens them for a node.
fn transport_config(config: &Config) -> TransportConfig {
    let mut transport = TransportConfig::default();
    let idle = config.idle_timeout.min(Duration::from_secs(3600));
    transport
        .max_idle_timeout(Some(
            idle.try_into().expect("an hour in ms fits a QUIC integer"),
        ))
        .keep_alive_interval(Some(config.keep_alive))
        .initial_rtt(limits::INITIAL_ROUND_TRIP)
        .max_concurrent_uni_streams(VarInt::from_u32(limits::STREAMS_MAX))
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .stream_receive_window(VarInt::from_u32(limits::STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(limits::STRANGER_WINDOW_BYTES))
        .send_window(limits::SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(Some(limits::DATAGRAM_BUFFER_BYTES))
        .datagram_send_buffer_size(limits::DATAGRAM_BUFFER_BYTES);
    transport
}
