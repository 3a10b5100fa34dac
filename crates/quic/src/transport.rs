//! The driver's handle: sending, addresses, exclusion and figures. Nothing here blocks.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use unisono_model::{AuthorityId, ClusterId, NodeId, RootWord};

use crate::{
    BindError, Class, EndpointCounters, Faults, PeerCounters,
    connection::code,
    endpoint::Shared,
    identity::{
        Certificate, CertificateError, Credentials, IdentityError, Region, Validity, Vouched,
        unix_now_ms,
    },
    join::Admission,
    limits,
    peer::{Notice, Peer},
    renew::{self, Renewal, RenewalError},
};

/// Why a frame was not accepted. Nothing was queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The peer is slower than what is sent to it. Mark it for repair and go on.
    #[error("the queue to the peer is full: mark it for repair")]
    QueueFull,
    /// The peer is not connected and no address of it is known. Learn one, or wait for its call.
    #[error("no address of the peer is known: set one, or wait until it connects")]
    NoAddress,
    /// The frame is larger than its class allows. Split it, or use another class.
    #[error("the frame has {bytes} bytes and its class allows {max}: split it")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The class's limit.
        max: usize,
    },
    /// The peer is excluded. Do not send to it.
    #[error("the peer is excluded")]
    Excluded,
    /// The frame is for this node itself.
    #[error("a node does not send to itself")]
    ToMyself,
    /// [`limits::PEERS_MAX`] peers are known. Forget some.
    #[error("too many peers are known: forget those that are gone")]
    TooManyPeers,
    /// The endpoint is closed.
    #[error("the endpoint is closed")]
    Closed,
}

/// A peer as the transport sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStatus {
    /// Who.
    pub node: NodeId,
    /// The live connection, if there is one.
    pub connection: Option<ConnectionStatus>,
    /// Where it would be dialled.
    pub addresses: Vec<SocketAddr>,
    /// Frames that wait, by class in the order of [`Class::ALL`].
    pub queued_frames: [usize; 3],
    /// Bytes that wait, by class in the order of [`Class::ALL`].
    pub queued_bytes: [usize; 3],
    /// Since the endpoint was bound.
    pub counters: PeerCounters,
}

/// A live connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionStatus {
    /// Where the peer stands, by its certificate.
    pub region: Region,
    /// From where it speaks.
    pub addr: SocketAddr,
    /// The round trip, smoothed (RFC 9002, section 5.3).
    pub rtt: Duration,
    /// The shortest round trip seen on this connection.
    pub min_rtt: Duration,
}

/// A handle to a bound endpoint; clones are cheap and share it. When the last clone is dropped the
/// endpoint closes.
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
    /// Tasks hold `Shared` but never this, so its end is the end of the last handle.
    _guard: Arc<CloseOnDrop>,
}

#[derive(Debug)]
struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.begin_close();
    }
}

impl Transport {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let guard = Arc::new(CloseOnDrop(Arc::clone(&shared)));
        Self {
            shared,
            _guard: guard,
        }
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// This node's cluster.
    pub fn cluster(&self) -> ClusterId {
        self.shared.cluster
    }

    /// The address that the socket is bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.local_addr
    }

    /// Queues a frame for a peer and returns at once. If the peer is not connected it is dialled, at
    /// `addr_hint` or at the addresses set before. An accepted frame may still be lost; see [`Event`].
    ///
    /// [`Event`]: crate::Event
    pub fn send(
        &self,
        to: NodeId,
        addr_hint: Option<SocketAddr>,
        class: Class,
        frame: Vec<u8>,
    ) -> Result<(), SendError> {
        let max = class.frame_bytes_max();
        if frame.len() > max {
            return Err(SendError::TooLarge {
                bytes: frame.len(),
                max,
            });
        }
        let peer = self.reachable(to, addr_hint)?;
        peer.enqueue(class, frame)
            .map_err(|crate::queue::Full| SendError::QueueFull)
    }

    /// Sends a datagram of the timing plane to a connected peer, at once or not at all; says whether the
    /// connection took it. It is lost where the network loses it, and nobody is told.
    pub fn send_timing(&self, to: NodeId, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= limits::DATAGRAM_BYTES_MAX;
        let peer = self.shared.peer(to).filter(|_| fits);
        let taken = peer.is_some_and(|peer| peer.send_timing(bytes));
        if taken {
            self.shared.counters.timing_sent.add(1);
            self.shared.counters.timing_sent_bytes.add(bytes.len());
        }
        taken
    }

    /// Whom a connection stands to, and in which region each is by its certificate.
    pub fn connected(&self) -> Vec<(NodeId, Region)> {
        let peers = self.shared.peers();
        let connected = peers
            .iter()
            .filter_map(|peer| Some((peer.node, peer.region()?)));
        connected.collect()
    }

    fn reachable(&self, to: NodeId, addr_hint: Option<SocketAddr>) -> Result<Arc<Peer>, SendError> {
        if to == self.shared.node {
            return Err(SendError::ToMyself);
        }
        if self.shared.is_closing() {
            return Err(SendError::Closed);
        }
        if self.shared.is_excluded(to) {
            return Err(SendError::Excluded);
        }
        let peer = match self.shared.peer(to) {
            Some(peer) => peer,
            None if addr_hint.is_none() => return Err(SendError::NoAddress),
            None => self.shared.peer_or_new(to).ok_or(SendError::TooManyPeers)?,
        };
        if let Some(addr) = addr_hint {
            peer.add_address(addr);
        }
        if peer.is_connected() || peer.has_address() {
            Ok(peer)
        } else {
            Err(SendError::NoAddress)
        }
    }

    /// Where a peer is dialled from now on, best first; the first [`limits::PEER_ADDRESSES_MAX`] count.
    /// A live connection stays as it is.
    pub fn set_address(&self, node: NodeId, addresses: &[SocketAddr]) -> Result<(), SendError> {
        if node == self.shared.node {
            return Err(SendError::ToMyself);
        }
        let peer = self
            .shared
            .peer_or_new(node)
            .ok_or(SendError::TooManyPeers)?;
        peer.set_addresses(addresses);
        Ok(())
    }

    /// Drops all that is known of a peer and closes its connection. It may come back.
    pub fn forget(&self, node: NodeId) {
        if let Some(peer) = self.shared.remove_peer(node) {
            peer.notify(Notice::Forget(code::CLOSED));
        }
    }

    /// Turns a peer away from now on, however valid its certificate: for members that were removed.
    /// Its connection is closed.
    pub fn exclude(&self, node: NodeId) {
        self.shared.set_excluded(node, true);
        if let Some(peer) = self.shared.remove_peer(node) {
            peer.notify(Notice::Forget(code::EXCLUDED));
        }
    }

    /// Takes an exclusion back.
    pub fn readmit(&self, node: NodeId) {
        self.shared.set_excluded(node, false);
    }

    /// The smoothed round trip to a connected peer.
    pub fn rtt(&self, node: NodeId) -> Option<Duration> {
        self.shared
            .peer(node)?
            .connection_status()
            .map(|status| status.rtt)
    }

    /// What was sent to, received from and dropped for a peer.
    pub fn counters(&self, node: NodeId) -> Option<PeerCounters> {
        self.shared.peer(node).map(|peer| peer.counters.read())
    }

    /// What happened to the endpoint as a whole.
    pub fn endpoint_counters(&self) -> EndpointCounters {
        self.shared.counters.read()
    }

    /// Every known peer, by id.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let mut peers: Vec<_> = self
            .shared
            .peers()
            .iter()
            .map(|peer| peer.status())
            .collect();
        peers.sort_by_key(|peer| peer.node);
        peers
    }

    /// Answers joiners from now on, by this rule. Before, joiners are told to come back later. A node
    /// without the authority refuses them and names `issuers` of the rule.
    pub fn serve_joins(&self, admission: Arc<dyn Admission>) {
        self.shared.set_admission(admission);
    }

    /// From when to when the certificate counts that this node shows.
    pub fn certificate(&self) -> Validity {
        self.shared.shown.credentials().validity()
    }

    /// Whether this node holds the authority's key.
    pub fn signs(&self) -> bool {
        self.shared.shown.credentials().authority().is_some()
    }

    /// How long certificates live that are signed here (ms).
    pub fn certificate_life_ms(&self) -> u64 {
        self.shared.shown.life_ms()
    }

    /// Asks a member for this node's next certificate: over the live connection, or over one that is
    /// made for it, which a node with an ended certificate may make too. Nothing has changed yet: save
    /// what comes, then [`show`](Self::show) it.
    pub async fn renewed_by(&self, member: NodeId) -> Result<Renewal, RenewalError> {
        renew::ask(&self.shared, member).await
    }

    /// This node's next certificate by its own hand; `None` if it does not hold the authority's key.
    pub fn renewed_here(&self) -> Option<Result<Credentials, IdentityError>> {
        let credentials = self.shared.shown.credentials();
        let authority = credentials.authority()?;
        let now_ms = unix_now_ms();
        let life_ms = self.shared.shown.life_ms();
        let made = authority.issue_for(self.node(), credentials.region(), now_ms, life_ms);
        Some(made.and_then(|certificate| credentials.renewed(certificate, now_ms)))
    }

    /// Shows these credentials of the same node from the next handshake on. Connections stay, and are
    /// made anew one after the other, without a gap, so that the peers see them too.
    pub fn show(&self, credentials: Credentials) -> Result<(), BindError> {
        if credentials.node() != self.node() || credentials.cluster() != self.cluster() {
            return Err(BindError::Credentials("they are another node's".to_owned()));
        }
        let shown = &self.shared.shown;
        let before = shown.credentials().signer().id;
        let has_moved = credentials.signer().id != before;
        shown
            .exchange(credentials)
            .map_err(|error| BindError::Credentials(error.to_string()))?;
        let spread_ms = Validity::spread_ms(shown.life_ms());
        let spread = Duration::from_millis(spread_ms).min(limits::REDIAL_SPREAD_MAX);
        // Others may turn away what the authority before has signed.
        let within = if has_moved {
            spread.min(limits::MOVE_SPREAD)
        } else {
            spread
        };
        for peer in self.shared.peers() {
            peer.notify(Notice::Renewed(within));
        }
        Ok(())
    }

    /// The credentials that are shown, with all authorities that are known.
    pub fn credentials(&self) -> Arc<Credentials> {
        self.shared.shown.credentials()
    }

    /// Takes in an authority that the cluster's root has put in the place of another one, as the records
    /// of the cluster's own orchestra say. True if that is news.
    ///
    /// # Errors
    /// Why it is not believed; nothing has changed.
    pub fn learn_authority(&self, certificate: Vec<u8>) -> Result<bool, CertificateError> {
        let certificate = Certificate::from_der(certificate);
        self.shared.shown.learn(&certificate, Vouched::Recorded)
    }

    /// Takes in that another root of rights stands: from now on its words about authorities count. True
    /// if that is news.
    pub fn hear_root(&self, word: &RootWord) -> bool {
        self.shared.shown.hear(word)
    }

    /// Changes whenever an authority was learned of, from whomever.
    pub fn authorities_learned(&self) -> tokio::sync::watch::Receiver<u64> {
        self.shared.shown.learned()
    }

    /// Puts the key of the authority that signs now in its place in `directory`, if it was drawn there;
    /// true if it was. Blocks for a few syncs of a disk.
    ///
    /// # Errors
    /// What could not be read or written; the same again completes it.
    pub fn promote_authority(&self, directory: &Path) -> Result<bool, IdentityError> {
        self.shared.shown.promote(directory)
    }

    /// Whose certificate each peer showed last, as far as a connection to it stood in this process.
    pub fn signers_seen(&self) -> Vec<(NodeId, AuthorityId)> {
        let peers = self.shared.peers();
        let seen = peers
            .iter()
            .filter_map(|peer| Some((peer.node, peer.signer()?)));
        seen.collect()
    }

    /// The faults that a test injects; `None` unless the endpoint was bound with
    /// [`Config::fault_injection`](crate::Config::fault_injection).
    pub fn faults(&self) -> Option<&Faults> {
        self.shared.faults.as_deref()
    }

    /// Closes every connection, tells the peers, and waits for that at most a second. What is queued
    /// is dropped.
    pub async fn close(&self) {
        self.shared.begin_close();
        _ = tokio::time::timeout(limits::CLOSE_TIMEOUT, self.shared.endpoint.wait_idle()).await;
    }
}

// Elsewhere the kernel is not asked: see `near`.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Config, Endpoint, Event, identity::NodeKey};

    fn members() -> [Credentials; 2] {
        let (now_ms, region) = (unix_now_ms(), "here".parse().expect("a region"));
        let cluster = ClusterId([1; 16]);
        let founder = Credentials::found(cluster, NodeKey::generate(), &region, now_ms);
        let founder = founder.expect("founded");
        let authority = founder.authority().expect("the founder's");
        let key = NodeKey::generate();
        let issued = authority.issue(key.id(), &region, now_ms).expect("signed");
        let root = authority.certificate().clone();
        let second = Credentials::new(key, issued, root, None, now_ms).expect("its own");
        [founder, second]
    }

    /// Each packet of the search for a larger one costs both sides of a handshake as much as a frame.
    #[tokio::test]
    async fn within_one_machine_the_largest_packet_is_known_from_the_first_one_on() {
        let bound = members().map(|credentials| {
            let loopback = (Ipv4Addr::LOCALHOST, 0).into();
            Endpoint::bind(credentials, loopback, Config::default()).expect("a port")
        });
        let [mut one, mut other] = bound;
        let (there, addr) = (other.transport.node(), other.transport.local_addr());
        let sent = one
            .transport
            .send(there, Some(addr), Class::Push, b"met".to_vec());
        sent.expect("queued");
        for events in [&mut one.events, &mut other.events] {
            let first = events.recv().await;
            assert!(matches!(first, Some(Event::Connected { .. })), "{first:?}");
        }
        for (from, to) in [(&one, &other), (&other, &one)] {
            let peer = from.transport.shared.peer(to.transport.node());
            let live = peer.and_then(|peer| peer.connection()).expect("connected");
            let path = live.stats().path;
            assert_eq!(path.sent_plpmtud_probes, 0);
            assert_eq!(path.current_mtu, limits::LOOPBACK_PACKET_BYTES);
        }
    }
}
