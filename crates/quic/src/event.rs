//! What the transport tells the driver, and the bounded way on which it does.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use unisono_model::NodeId;

use crate::{Class, identity::Region, limits};

/// Something that happened between this node and a peer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A frame arrived.
    Frame {
        /// Who sent it, by its certificate.
        from: NodeId,
        /// In which class.
        class: Class,
        /// What was given to `send` at the other end.
        bytes: Vec<u8>,
    },
    /// A peer is connected, dialled or dialling. Said once; a change of connection is not told.
    Connected {
        /// Who.
        node: NodeId,
        /// Where it stands, by its certificate.
        region: Region,
        /// From where it speaks.
        addr: SocketAddr,
        /// The round trip, as the handshake measured it.
        rtt: Duration,
    },
    /// A peer is gone, or could not be reached. Frames accepted for it and not yet delivered may be
    /// lost: mark it for repair. The next `send` dials again. Frames that arrived before may still
    /// follow.
    Lost {
        /// Who.
        node: NodeId,
        /// Why.
        why: Loss,
    },
    /// A peer took no data of this class for [`limits::SEND_TIMEOUT`]. What waited for it in the class
    /// was dropped: mark it for repair.
    Slow {
        /// Who.
        node: NodeId,
        /// In which class.
        class: Class,
    },
}

/// Why a peer is gone.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Loss {
    /// None of its addresses answered a dial.
    #[error("it could not be reached: {0}")]
    Unreachable(String),
    /// Nothing was heard from it for the idle timeout, or until another connection was made.
    #[error("it fell silent")]
    Silent,
    /// It closed its endpoint.
    #[error("it left")]
    Left,
    /// Its process came back and no longer knows the connection.
    #[error("it restarted")]
    Restarted,
    /// It sent what no peer may send; the connection was closed.
    #[error("it broke the protocol: {0}")]
    Violation(&'static str),
    /// One of the two sides excludes the other.
    #[error("it is excluded, or excludes this node")]
    Excluded,
    /// Anything else that ended the connection.
    #[error("the connection failed: {0}")]
    Failed(String),
}

/// The driver's end. Lifecycle comes first, then membership, then frames; each kind has its own
/// bounded queue, and all received frames together a bound in bytes.
#[derive(Debug)]
pub struct Events {
    lifecycle: mpsc::Receiver<Event>,
    membership: mpsc::Receiver<Event>,
    push: mpsc::Receiver<Held>,
    repair: mpsc::Receiver<Held>,
}

impl Events {
    /// The next event; `None` when the endpoint is closed and everything was taken. Cancel-safe.
    ///
    /// Not calling it stops the peers: their frames are left in the network until flow control
    /// reaches them.
    pub async fn recv(&mut self) -> Option<Event> {
        tokio::select! {
            biased;
            Some(event) = self.lifecycle.recv() => Some(event),
            Some(event) = self.membership.recv() => Some(event),
            Some(held) = either(&mut self.push, &mut self.repair) => Some(held.event),
            else => None,
        }
    }
}

/// Neither push nor repair starves the other: `select!` begins at random.
async fn either(
    push: &mut mpsc::Receiver<Held>,
    repair: &mut mpsc::Receiver<Held>,
) -> Option<Held> {
    tokio::select! {
        Some(held) = push.recv() => Some(held),
        Some(held) = repair.recv() => Some(held),
        else => None,
    }
}

/// A datagram of the timing plane, with when it came: whatever it waits for afterwards is no part of its
/// way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TimingDatagram {
    /// Who sent it, by its certificate.
    pub from: NodeId,
    /// What was given to [`Transport::send_timing`](crate::Transport::send_timing) at the other end.
    pub bytes: Vec<u8>,
    /// When it came, at the latest: as the kernel says, where it does; else when it was taken from its
    /// connection.
    pub received: Instant,
}

/// The timing plane's end: apart from [`Events`], so that no datagram waits for a frame.
#[derive(Debug)]
pub struct TimingDatagrams(mpsc::Receiver<TimingDatagram>);

impl TimingDatagrams {
    /// The next datagram; `None` when the endpoint is closed. Cancel-safe.
    pub async fn recv(&mut self) -> Option<TimingDatagram> {
        self.0.recv().await
    }
}

/// A frame with its share of the byte budget, given back when the driver takes it.
#[derive(Debug)]
struct Held {
    event: Event,
    _share: OwnedSemaphorePermit,
}

/// The transport's end.
#[derive(Debug)]
pub(crate) struct Sink {
    lifecycle: mpsc::Sender<Event>,
    membership: mpsc::Sender<Event>,
    push: mpsc::Sender<Held>,
    repair: mpsc::Sender<Held>,
    timing: mpsc::Sender<TimingDatagram>,
    budget: Arc<Semaphore>,
}

impl Sink {
    pub(crate) fn new() -> (Self, Events, TimingDatagrams) {
        let lifecycle = mpsc::channel(limits::EVENTS_MAX);
        let membership = mpsc::channel(limits::EVENTS_MAX);
        let push = mpsc::channel(limits::EVENTS_MAX);
        let repair = mpsc::channel(limits::EVENTS_MAX);
        let timing = mpsc::channel(limits::EVENTS_MAX);
        let sink = Self {
            lifecycle: lifecycle.0,
            membership: membership.0,
            push: push.0,
            repair: repair.0,
            timing: timing.0,
            budget: Arc::new(Semaphore::new(limits::RECEIVED_BYTES_MAX)),
        };
        let events = Events {
            lifecycle: lifecycle.1,
            membership: membership.1,
            push: push.1,
            repair: repair.1,
        };
        (sink, events, TimingDatagrams(timing.1))
    }

    /// Tells what must not be missed; waits while the driver is behind. Nobody listening is no error:
    /// the endpoint is closing then.
    pub(crate) async fn lifecycle(&self, event: Event) {
        _ = self.lifecycle.send(event).await;
    }

    /// Hands over a datagram, or says that there was no room: a datagram may always be lost.
    pub(crate) fn datagram(&self, from: NodeId, bytes: Vec<u8>) -> bool {
        self.membership
            .try_send(Event::Frame {
                from,
                class: Class::Membership,
                bytes,
            })
            .is_ok()
    }

    /// Hands over a datagram of the timing plane, or says that there was no room or nobody listens.
    pub(crate) fn timing(&self, from: NodeId, bytes: Vec<u8>, received: Instant) -> bool {
        let datagram = TimingDatagram {
            from,
            bytes,
            received,
        };
        self.timing.try_send(datagram).is_ok()
    }

    /// Hands over a stream's frame; waits while the driver is behind, so that the stream is not read.
    /// `false` when nobody listens any more.
    pub(crate) async fn frame(&self, from: NodeId, class: Class, bytes: Vec<u8>) -> bool {
        let size = u32::try_from(bytes.len().max(1)).unwrap_or(u32::MAX);
        let Ok(share) = Arc::clone(&self.budget).acquire_many_owned(size).await else {
            return false;
        };
        let held = Held {
            event: Event::Frame { from, class, bytes },
            _share: share,
        };
        match class {
            Class::Membership => false,
            Class::Push => self.push.send(held).await.is_ok(),
            Class::Repair => self.repair.send(held).await.is_ok(),
        }
    }
}
