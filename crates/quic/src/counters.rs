//! What was sent, received, refused and dropped. Nothing is dropped without being counted here.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Class;

macro_rules! counters {
    ($(#[$about:meta])* $plain:ident, $live:ident { $($(#[$what:meta])* $field:ident),* $(,)? }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $plain {
            $($(#[$what])* pub $field: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct $live {
            $(pub(crate) $field: Counter,)*
        }

        impl $live {
            pub(crate) fn read(&self) -> $plain {
                $plain { $($field: self.$field.0.load(Ordering::Relaxed),)* }
            }
        }
    };
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }
}

counters! {
    /// One peer's frames in one class, since the endpoint was bound. Bytes are those of the frames,
    /// before compression.
    ClassCounters, LiveClassCounters {
        /// Frames handed to the connection.
        sent_frames,
        /// Their bytes.
        sent_bytes,
        /// Frames received.
        received_frames,
        /// Their bytes.
        received_bytes,
        /// Frames refused to the caller because the queue was full.
        refused,
        /// Frames accepted and then dropped: too old, too slow a peer, an unreachable one, or a
        /// connection that broke under them.
        dropped,
        /// Received datagrams dropped because the driver was behind, or of an unknown kind.
        discarded,
    }
}

counters! {
    /// What happened to an endpoint as a whole, since it was bound.
    EndpointCounters, LiveEndpointCounters {
        /// Handshakes with us as the answering side that failed: foreign or invalid certificates,
        /// other protocols, silence.
        handshakes_failed,
        /// Peers that finished a handshake and were turned away: without a certificate on the nodes'
        /// protocol, with one that names no node, or beyond the number of peers.
        strangers_refused,
        /// Connections turned away because their node is excluded.
        excluded_refused,
        /// Connections turned away because the certificate of their node has ended.
        ended_refused,
        /// Connections refused or asked to prove their address because too many were on the way.
        overload_refused,
        /// Connections closed because a peer broke the protocol.
        violations,
        /// Joiners admitted.
        joins_admitted,
        /// Joiners refused.
        joins_refused,
        /// Certificates signed for nodes whose earlier one was running out.
        renewals_signed,
        /// Renewals refused.
        renewals_refused,
        /// Packets handed to the system, of all connections and whoever is no peer yet.
        sent_packets,
        /// Their bytes, without the heads of UDP and IP.
        sent_bytes,
        /// Packets received.
        received_packets,
        /// Their bytes, without the heads of UDP and IP.
        received_bytes,
        /// Datagrams of the timing plane that a connection took.
        timing_sent,
        /// Their bytes, as the timing plane made them.
        timing_sent_bytes,
    }
}

counters! {
    /// What happened to the connections with one peer.
    ConnectionCounters, LiveConnectionCounters {
        /// Connections established.
        connected,
        /// Dials that no address answered.
        dials_failed,
        /// Times that it took no data in time.
        slow,
        /// Times that it broke the protocol.
        violations,
    }
}

counters! {
    /// One peer's datagrams of the timing plane.
    TimingCounters, LiveTimingCounters {
        /// Handed to the connection.
        sent,
        /// Received and handed over.
        received,
        /// Not sent for want of a connection or of room, or received while nobody listened.
        dropped,
    }
}

/// One peer's counters, since the endpoint was bound.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PeerCounters {
    /// Frames of [`Class::Membership`].
    pub membership: ClassCounters,
    /// Frames of [`Class::Push`].
    pub push: ClassCounters,
    /// Frames of [`Class::Repair`].
    pub repair: ClassCounters,
    /// Datagrams of the timing plane.
    pub timing: TimingCounters,
    /// Its connections.
    pub connections: ConnectionCounters,
}

#[derive(Debug, Default)]
pub(crate) struct LivePeerCounters {
    classes: [LiveClassCounters; 3],
    pub(crate) timing: LiveTimingCounters,
    pub(crate) connections: LiveConnectionCounters,
}

impl LivePeerCounters {
    pub(crate) fn of(&self, class: Class) -> &LiveClassCounters {
        &self.classes[class.index()]
    }

    pub(crate) fn read(&self) -> PeerCounters {
        PeerCounters {
            membership: self.of(Class::Membership).read(),
            push: self.of(Class::Push).read(),
            repair: self.of(Class::Repair).read(),
            timing: self.timing.read(),
            connections: self.connections.read(),
        }
    }
}
