//! One connection with a peer: its writers, its readers, and why it ended.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};
use unisono_model::NodeId;

use crate::{
    Class, ConnectionStatus, Event, Loss,
    endpoint::Shared,
    frame::{self, HEADER_BYTES, Header, TIMING_TAG, Violation, WELCOME_TAG},
    identity::{PeerIdentity, Region},
    join, limits,
    peer::{Notice, Peer},
    renew,
    tls::Standing,
};

/// The codes with which a connection or a stream is closed.
pub(crate) mod code {
    use quinn::VarInt;

    /// The endpoint closes.
    pub(crate) const CLOSED: VarInt = VarInt::from_u32(0);
    /// The other connection of this pair stays.
    pub(crate) const DUPLICATE: VarInt = VarInt::from_u32(1);
    /// This node is excluded.
    pub(crate) const EXCLUDED: VarInt = VarInt::from_u32(2);
    /// The peer broke the protocol.
    pub(crate) const VIOLATION: VarInt = VarInt::from_u32(3);
    /// No certificate of the cluster was shown.
    pub(crate) const STRANGER: VarInt = VarInt::from_u32(4);
    /// Too much is going on.
    pub(crate) const OVERLOADED: VarInt = VarInt::from_u32(5);
    /// A stream was given up because it took too long.
    pub(crate) const SLOW: VarInt = VarInt::from_u32(6);
    /// The peer's certificate has ended.
    pub(crate) const ENDED: VarInt = VarInt::from_u32(7);
}

/// A connection that was accepted by both sides.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) connection: Connection,
    /// For how long the certificate counts that the peer has shown on it.
    pub(crate) standing: Option<Standing>,
    region: Region,
    retired: watch::Sender<bool>,
    violation: OnceLock<&'static str>,
}

impl Link {
    pub(crate) fn new(shared: &Shared, connection: Connection, region: Region) -> Self {
        connection.set_receive_window(VarInt::from_u32(limits::CONNECTION_WINDOW_BYTES));
        Self {
            standing: shared.standing(&connection),
            connection,
            region,
            retired: watch::Sender::new(false),
            violation: OnceLock::new(),
        }
    }

    pub(crate) fn id(&self) -> usize {
        self.connection.stable_id()
    }

    pub(crate) fn status(&self) -> ConnectionStatus {
        ConnectionStatus {
            region: self.region.clone(),
            addr: self.connection.remote_address(),
            rtt: self.connection.rtt(),
            min_rtt: self.connection.min_rtt(),
        }
    }

    /// Sends a datagram of the timing plane now, or not at all: one that waits tells the wrong time.
    pub(crate) fn send_timing(&self, bytes: &[u8]) -> bool {
        let mut wire = Vec::with_capacity(1 + bytes.len());
        wire.push(TIMING_TAG);
        wire.extend_from_slice(bytes);
        self.connection.send_datagram(wire.into()).is_ok()
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// Another connection takes over: write no more, read what is under way, then close.
    pub(crate) fn retire(&self) {
        self.retired.send_replace(true);
    }

    async fn until_retired(&self) {
        // The sender lives as long as `self`, so this ends only when the value is true.
        _ = self.retired.subscribe().wait_for(|retired| *retired).await;
    }

    fn violated(&self, Violation(what): Violation) {
        if self.violation.set(what).is_ok() {
            self.connection.close(code::VIOLATION, what.as_bytes());
        }
    }

    fn loss(&self, error: ConnectionError) -> Loss {
        match error {
            ConnectionError::TimedOut => Loss::Silent,
            ConnectionError::Reset => Loss::Restarted,
            ConnectionError::ApplicationClosed(close) => match close.error_code {
                code::CLOSED | code::DUPLICATE => Loss::Left,
                code::EXCLUDED => Loss::Excluded,
                _ => Loss::Failed(String::from_utf8_lossy(&close.reason).into_owned()),
            },
            ConnectionError::LocallyClosed => self
                .violation
                .get()
                .map_or(Loss::Left, |what| Loss::Violation(what)),
            other => Loss::Failed(other.to_string()),
        }
    }
}

/// Runs a connection until it ends, and tells the peer's keeper.
pub(crate) async fn serve(shared: Arc<Shared>, peer: Arc<Peer>, link: Arc<Link>, welcome: bool) {
    if welcome {
        // Before any other stream is opened, since the dialling side expects it first.
        say_welcome(&link).await;
    }
    let mut tasks = JoinSet::new();
    for class in [Class::Push, Class::Repair] {
        tasks.spawn(write_frames(
            Arc::clone(&shared),
            Arc::clone(&peer),
            Arc::clone(&link),
            class,
        ));
    }
    tasks.spawn(write_datagrams(Arc::clone(&peer), Arc::clone(&link)));
    tasks.spawn(read_streams(
        Arc::clone(&shared),
        Arc::clone(&peer),
        Arc::clone(&link),
    ));
    tasks.spawn(read_datagrams(
        Arc::clone(&shared),
        Arc::clone(&peer),
        Arc::clone(&link),
    ));
    tasks.spawn(read_requests(
        Arc::clone(&shared),
        peer.node,
        Arc::clone(&link),
    ));

    let retired = async {
        link.until_retired().await;
        sleep(limits::LINGER).await;
        link.connection
            .close(code::DUPLICATE, b"the other connection of this pair stays");
        link.connection.closed().await
    };
    let error = tokio::select! {
        error = link.connection.closed() => error,
        error = retired => error,
    };
    tasks.shutdown().await;
    let why = link.loss(error);
    if matches!(why, Loss::Violation(_)) {
        shared.counters.violations.add(1);
        peer.counters.connections.violations.add(1);
    }
    peer.notify(Notice::Ended(link.id(), why));
}

async fn say_welcome(link: &Link) {
    if let Ok(mut stream) = link.connection.open_uni().await {
        _ = stream.write_all(&[WELCOME_TAG]).await;
        _ = stream.finish();
    }
}

async fn write_frames(shared: Arc<Shared>, peer: Arc<Peer>, link: Arc<Link>, class: Class) {
    let counters = peer.counters.of(class);
    let mut stream = None;
    loop {
        let queued = tokio::select! {
            biased;
            () = link.until_retired() => break,
            queued = peer.queue(class).pop() => queued,
        };
        let wire = frame::encode(&queued.bytes);
        let written = write_frame(&link.connection, &mut stream, class, &wire);
        match timeout(shared.config.send_timeout, written).await {
            Ok(Ok(())) => {
                counters.sent_frames.add(1);
                counters.sent_bytes.add(queued.bytes.len());
            }
            Ok(Err(_)) => {
                counters.dropped.add(1);
                stream = None;
                if link.connection.close_reason().is_some() {
                    return;
                }
            }
            Err(_) => {
                give_up(&mut stream);
                counters.dropped.add(1);
                peer.drop_queued(class);
                peer.counters.connections.slow.add(1);
                shared
                    .sink
                    .lifecycle(Event::Slow {
                        node: peer.node,
                        class,
                    })
                    .await;
            }
        }
    }
    if let Some(stream) = &mut stream {
        _ = stream.finish();
    }
}

/// A half-written frame must not be followed by another on the same stream.
fn give_up(stream: &mut Option<SendStream>) {
    if let Some(mut stream) = stream.take() {
        _ = stream.reset(code::SLOW);
    }
}

async fn write_frame(
    connection: &Connection,
    stream: &mut Option<SendStream>,
    class: Class,
    wire: &[u8],
) -> Result<(), quinn::WriteError> {
    if stream.is_none() {
        let opened = stream.insert(connection.open_uni().await?);
        // Streams of equal priority share; a push goes before any repair.
        _ = opened.set_priority(i32::from(class == Class::Push));
        opened.write_all(&[class.tag()]).await?;
    }
    let stream = stream.as_mut().expect("it was opened above");
    stream.write_all(wire).await
}

async fn write_datagrams(peer: Arc<Peer>, link: Arc<Link>) {
    let counters = peer.counters.of(Class::Membership);
    loop {
        let queued = tokio::select! {
            biased;
            () = link.until_retired() => return,
            queued = peer.queue(Class::Membership).pop() => queued,
        };
        let mut wire = Vec::with_capacity(1 + queued.bytes.len());
        wire.push(Class::Membership.tag());
        wire.extend_from_slice(&queued.bytes);
        let fresh = queued.since.elapsed() < limits::MEMBERSHIP_AGE_MAX;
        if fresh && link.connection.send_datagram(wire.into()).is_ok() {
            counters.sent_frames.add(1);
            counters.sent_bytes.add(queued.bytes.len());
        } else {
            counters.dropped.add(1);
        }
    }
}

async fn read_datagrams(shared: Arc<Shared>, peer: Arc<Peer>, link: Arc<Link>) {
    let counters = peer.counters.of(Class::Membership);
    while let Ok(datagram) = link.connection.read_datagram().await {
        let kind = datagram.first().copied();
        if kind == Some(TIMING_TAG) {
            let timing = &peer.counters.timing;
            let from = link.connection.remote_address();
            let received = shared.arrivals.received(from, Instant::now());
            let bytes = datagram[1..].to_vec();
            let taken = shared.sink.timing(peer.node, bytes, received);
            if taken {
                timing.received.add(1);
            } else {
                timing.dropped.add(1);
            }
            continue;
        }
        let known = kind == Some(Class::Membership.tag());
        let size = datagram.len().saturating_sub(1);
        // An unknown kind comes from a newer version and is none of our business.
        if known && shared.sink.datagram(peer.node, datagram[1..].to_vec()) {
            counters.received_frames.add(1);
            counters.received_bytes.add(size);
        } else {
            counters.discarded.add(1);
        }
    }
}

async fn read_streams(shared: Arc<Shared>, peer: Arc<Peer>, link: Arc<Link>) {
    let mut readers = JoinSet::new();
    while let Ok(stream) = link.connection.accept_uni().await {
        while readers.try_join_next().is_some() {}
        let (shared, peer, link) = (Arc::clone(&shared), Arc::clone(&peer), Arc::clone(&link));
        readers.spawn(async move {
            if let Err(StreamEnd::Violation(violation)) = read_frames(&shared, &peer, stream).await
            {
                tracing::warn!(node = %peer.node, what = violation.0, "a peer broke the protocol");
                link.violated(violation);
            }
        });
    }
}

/// Why a stream is read no further.
enum StreamEnd {
    /// It, the connection or the driver is gone.
    Gone,
    Violation(Violation),
}

impl From<Violation> for StreamEnd {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

async fn read_frames(
    shared: &Shared,
    peer: &Peer,
    mut stream: RecvStream,
) -> Result<(), StreamEnd> {
    let mut tag = [0];
    read_exact(&mut stream, &mut tag).await?;
    let class = Class::of_stream(tag[0]).ok_or(Violation("a stream of an unknown kind"))?;
    let counters = peer.counters.of(class);
    loop {
        let mut head = [0; HEADER_BYTES];
        read_exact(&mut stream, &mut head).await?;
        let header = Header::read(head)?;
        let body = timeout(
            limits::RECEIVE_TIMEOUT,
            read_body(&mut stream, header.body_bytes),
        );
        let body = body
            .await
            .map_err(|_| Violation("a frame that does not end"))??;
        let bytes = frame::decode(header, body)?;
        let size = bytes.len();
        if !shared.sink.frame(peer.node, class, bytes).await {
            return Err(StreamEnd::Gone);
        }
        counters.received_frames.add(1);
        counters.received_bytes.add(size);
    }
}

/// Nodes speak on one-way streams, but for this: one request at a time on a stream of two ways.
async fn read_requests(shared: Arc<Shared>, node: NodeId, link: Arc<Link>) {
    let who = PeerIdentity {
        node,
        cluster: shared.cluster,
        region: link.region.clone(),
    };
    while let Ok((answers, mut requests)) = link.connection.accept_bi().await {
        let Some(bytes) = join::read_request(&mut requests).await else {
            continue;
        };
        if join::is_passed(&bytes) {
            join::answer_passed(&shared, node, &link.connection, answers, &bytes).await;
        } else {
            renew::answer(&shared, &who, answers, &bytes).await;
        }
    }
}

async fn read_exact(stream: &mut RecvStream, out: &mut [u8]) -> Result<(), StreamEnd> {
    stream.read_exact(out).await.map_err(|_| StreamEnd::Gone)
}

/// Memory grows with what has arrived, not with what is promised.
async fn read_body(stream: &mut RecvStream, length: usize) -> Result<Vec<u8>, StreamEnd> {
    let mut body = Vec::new();
    while body.len() < length {
        let chunk = stream.read_chunk(length - body.len(), true).await;
        let chunk = chunk.map_err(|_| StreamEnd::Gone)?.ok_or(StreamEnd::Gone)?;
        body.extend_from_slice(&chunk.bytes);
    }
    Ok(body)
}
