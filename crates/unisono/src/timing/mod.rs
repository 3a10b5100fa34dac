//! The timing plane as a service of the process: beside the node's loop, in a task of its own.
//!
//! It takes the datagrams of the timing plane and a tick, and sends what the plane wants sent. The
//! plane itself (`unisono_core::timekeeper`) does no I/O; nothing here decides anything.

mod asymmetry;
mod channels;
mod local;
mod shown;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use unisono_api::server::ClockShown;
use unisono_core::election::{Class, limits as election};
use unisono_core::ensemble::Compensation;
use unisono_core::timekeeper::{Config, Outgoing, Peer, Timekeeper, limits};
use unisono_model::NodeId;
use unisono_quic::identity::Region;
use unisono_quic::{TimingDatagram, TimingDatagrams, Transport};

pub(crate) use asymmetry::{asymmetries, asymmetry_bounds};
use channels::Watched;
use local::arrival;
pub(crate) use local::{LocalClock, boot, monotonic_ns, raw_ns};

use crate::failure::Failure;
use crate::home::{Home, drawn};

/// Between two looks at who is connected, in ticks.
const LOOK_TICKS: u32 = 5;
/// Between two times that what is known is written down, in ticks: twice as often as is promised.
const REMEMBER_TICKS: u32 = (limits::REMEMBER_NS / limits::TICK_NS / 2) as u32;

/// Between two looks at the channels, in ticks: a second.
const CHANNEL_TICKS: u32 = (1_000_000_000 / limits::TICK_NS) as u32;

/// What the timing plane of a process is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wishes {
    /// The lesser leads; the default of IEEE 1588 if left out.
    pub(crate) priority: Option<u8>,
    /// What the machine's clock is synchronised to.
    pub(crate) class: Class,
    /// For tests: by how much the plane's local clock is off, ms.
    pub(crate) offset_ms: i64,
    /// For tests: by how much it runs wrong, millionths.
    pub(crate) drift_ppm: i64,
    /// For tests: by how much its rate sways, billionths.
    pub(crate) wander_ppb: i64,
    /// By how much the way to a region takes longer than the way back, ns.
    pub(crate) asymmetries: Vec<(Region, i64)>,
    /// By how much the two ways differ beyond that at the most, ns.
    pub(crate) bounds: Vec<(Region, u64)>,
}

/// The plane, shared by its service and whoever asks for the time.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    plane: Arc<Mutex<Timekeeper>>,
    /// Behind a lock of its own: whoever asks for the time does not wait for it.
    watched: Arc<Mutex<Watched>>,
    clock: Arc<LocalClock>,
    boot: Option<Arc<str>>,
    /// Where the next process finds what this one knows.
    home: Home,
}

impl Timing {
    /// A plane of a node; `alone` if it knows of no other member.
    pub(crate) fn new(
        home: &Home,
        node: NodeId,
        wishes: &Wishes,
        alone: bool,
    ) -> Result<Self, Failure> {
        let clock = LocalClock::new(wishes.offset_ms, wishes.drift_ppm, wishes.wander_ppb);
        let config = Config {
            node,
            priority: wishes.priority.unwrap_or(election::PRIORITY_DEFAULT),
            class: wishes.class,
            seed: u64::from_le_bytes(drawn()?),
            fault: None,
        };
        let mut plane = Timekeeper::new(config, clock.read().local_ns, alone);
        let stated = wishes.asymmetries.iter();
        let stated = stated.map(|(region, by_ns)| (shown::region_number(region), *by_ns));
        plane.set_asymmetries(stated);
        let bounds = wishes.bounds.iter();
        let bounds = bounds.map(|(region, by_ns)| (shown::region_number(region), *by_ns));
        plane.set_asymmetry_bounds(bounds);
        if let Some(known) = home.timing_memory() {
            plane.remember(known);
        }
        Ok(Self {
            plane: Arc::new(Mutex::new(plane)),
            watched: Arc::default(),
            clock: Arc::new(clock),
            boot: boot().map(Arc::from),
            home: home.clone(),
        })
    }

    /// What the clock shows now.
    pub(crate) fn shown(&self) -> ClockShown {
        // Read inside, so that nobody who waited for the lock tells an old time.
        let mut plane = self.lock();
        plane.look(self.clock.read());
        let monotonic_ns = monotonic_ns();
        let status = plane.status(self.clock.local_ns(monotonic_ns));
        drop(plane);
        ClockShown {
            monotonic_ns,
            boot: self.boot.as_deref().map(str::to_owned),
            rate_ppb: self.clock.rate_ppb(status.rate_ppb, monotonic_ns),
            status,
            channels: self.watched().channels().report(),
        }
    }

    /// What time the node goes by, in ns since the Unix epoch, and how far that may be off the
    /// cluster's (ns, three sigma); the latter is nothing before the cluster's time is known.
    pub(crate) fn time(&self) -> (u64, Option<u64>) {
        let mut plane = self.lock();
        let clocks = self.clock.read();
        plane.look(clocks);
        plane.time(clocks.local_ns, clocks.wall_ns)
    }

    /// What is done about weak channels, by the latest look at them.
    pub(crate) fn compensation(&self) -> Compensation {
        self.watched().compensation()
    }

    /// The plane's figures as Prometheus text.
    pub(crate) fn metrics(&self) -> String {
        let shown = self.shown();
        shown::metrics(&shown.status) + &shown::channels(shown.channels.as_ref())
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what the next process should know.
    fn remember(&self) {
        let clocks = self.clock.read();
        let known = self.lock().memory(clocks.local_ns, clocks.wall_ns);
        let Some(known) = known else {
            return;
        };
        // Without it the next process begins as the first one did.
        if let Err(error) = self.home.write_timing_memory(&known) {
            tracing::warn!(%error, "what is known of the cluster's time could not be written down");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Timekeeper> {
        self.plane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to serve, until it is told to finish.
    pub(crate) fn serve(
        &self,
        transport: &Transport,
        datagrams: TimingDatagrams,
        finish: watch::Receiver<bool>,
        region: Region,
    ) {
        tokio::spawn(
            self.clone()
                .run(transport.clone(), datagrams, finish, region),
        );
    }

    async fn run(
        self,
        transport: Transport,
        mut datagrams: TimingDatagrams,
        mut finish: watch::Receiver<bool>,
        region: Region,
    ) {
        let mut ticks = tokio::time::interval(Duration::from_nanos(limits::TICK_NS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ticked = 0_u32;
        loop {
            let datagram = tokio::select! {
                // In this order: whoever floods this node with datagrams keeps it neither from its
                // ticks, which are few, nor from its end.
                biased;
                _ = finish.wait_for(|finish| *finish) => {
                    self.remember();
                    return;
                }
                _ = ticks.tick() => None,
                Some(datagram) = datagrams.recv() => Some(datagram),
            };
            if let Some(datagram) = datagram {
                self.receive(&transport, &datagram);
                continue;
            }
            if ticked.is_multiple_of(LOOK_TICKS) {
                self.lock().set_peers(peers(&transport, &region));
            }
            if ticked.is_multiple_of(CHANNEL_TICKS) {
                let status = self.shown().status;
                self.watched().look(&status, &transport, Instant::now());
            }
            ticked = ticked.wrapping_add(1);
            if ticked.is_multiple_of(REMEMBER_TICKS) {
                // A disk takes its time, and the plane has none.
                let own = self.clone();
                tokio::task::spawn_blocking(move || own.remember());
            }
            let mut out = Vec::new();
            let mut plane = self.lock();
            plane.tick(self.clock.read(), &mut out);
            drop(plane);
            send(&transport, &out);
            // Read anew and sent at once: what a tick and its announcements take is no part of the way.
            out.clear();
            let mut plane = self.lock();
            plane.ask(self.clock.local_ns(monotonic_ns()), &mut out);
            drop(plane);
            send(&transport, &out);
        }
    }

    fn receive(&self, transport: &Transport, datagram: &TimingDatagram) {
        let mut out = Vec::new();
        let mut plane = self.lock();
        plane.look(self.clock.read());
        let (received_ns, now_ns) = arrival(|| datagram.received.elapsed(), monotonic_ns);
        let received_ns = self.clock.local_ns(received_ns);
        let now_ns = self.clock.local_ns(now_ns);
        let bytes = &datagram.bytes;
        plane.receive(datagram.from, bytes, received_ns, now_ns, &mut out);
        drop(plane);
        send(transport, &out);
    }
}

/// Members are who a connection stands to: the transport lets in nobody else.
fn peers(transport: &Transport, own: &Region) -> Vec<(NodeId, Peer)> {
    let connected = transport.connected().into_iter();
    connected
        .map(|(node, region)| {
            let peer = Peer {
                near: region == *own,
                region: shown::region_number(&region),
            };
            (node, peer)
        })
        .collect()
}

fn send(transport: &Transport, out: &[Outgoing]) {
    for outgoing in out {
        // What is not taken is lost, as any datagram may be; the transport counts it.
        let _ = transport.send_timing(outgoing.to, &outgoing.bytes);
    }
}
