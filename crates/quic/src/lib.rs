//! Authenticated peers, streams and datagrams, the cluster's certificate authority, and joining.
//!
//! The adapter between the driver and the network. A frame is bytes to it: it decides nothing about
//! the cluster's state, and knows neither records nor membership. What it promises:
//!
//! * **A sender is who it says it is.** Mutual TLS 1.3 under the cluster's authority; a peer's id is
//!   its key, its region stands in its certificate ([`identity`]).
//! * **Nobody waits for a slow peer.** [`Transport::send`] never blocks: each peer has one bounded
//!   queue for each [`Class`], and a full one refuses the frame to the caller.
//! * **Nothing grows without a bound.** All limits stand in [`limits`]; whatever is dropped is counted.
//! * **Delivery is not promised.** An accepted frame may be lost, twice delivered or, over a change of
//!   connection, overtaken. The core relies on none of it; [`Event::Lost`] and [`Event::Slow`] say
//!   whom to repair.
//!
//! **Invariant:** knows nothing of records, documents, views, HTTP or the disk beyond its own four
//! credential files.

pub mod identity;
pub mod join;
pub mod limits;
pub mod renew;

mod connection;
mod counted;
mod counters;
mod dial;
mod endpoint;
mod event;
mod faults;
mod frame;
mod near;
mod peer;
mod queue;
mod socket;
mod stamped;
mod tls;
mod transport;

pub use counters::{
    ClassCounters, ConnectionCounters, EndpointCounters, PeerCounters, TimingCounters,
};
pub use endpoint::{BindError, Config, Endpoint};
pub use event::{Event, Events, Loss, TimingDatagram, TimingDatagrams};
pub use faults::{Direction, Faults};
pub use frame::{Class, from_wire, to_wire};
pub use transport::{ConnectionStatus, PeerStatus, SendError, Transport};
