//! One peer: its queues, and the task that keeps at most one connection with it.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use quinn::VarInt;
use tokio::{
    runtime::Handle,
    sync::{Notify, mpsc},
    time::{Instant, MissedTickBehavior},
};
use unisono_model::{AuthorityId, NodeId};

use crate::{
    Class, ConnectionStatus, Event, Loss, PeerStatus,
    connection::{self, Link, code},
    counters::LivePeerCounters,
    dial::{self, DialFailure},
    endpoint::{ENDED_WORDS, Shared},
    identity::{Region, Validity, random, unix_now_ms},
    limits,
    queue::{Full, Queue},
};

/// What anyone may touch of a peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) counters: LivePeerCounters,
    queues: [Queue; 3],
    addresses: Mutex<Vec<SocketAddr>>,
    /// From where it has called last. A node calls from where it listens.
    called_from: Mutex<Option<SocketAddr>>,
    link: Mutex<Option<Arc<Link>>>,
    /// The authority of the certificate that it showed last.
    signer: Mutex<Option<AuthorityId>>,
    notices: mpsc::Sender<Notice>,
    wanted: Notify,
    runtime: Handle,
}

/// What happens to a peer's connections.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It called us, and its certificate stands in this region.
    Called(quinn::Connection, Region),
    /// Our dial came to an end.
    Dialled(Result<(quinn::Connection, Region), DialFailure>),
    /// The connection with this id ended.
    Ended(usize, Loss),
    /// This node has another certificate, which the peer has not seen: within so long it should.
    Renewed(Duration),
    /// Another authority is known: certificates may end sooner than they did.
    Learned,
    /// Close with this code and stop.
    Forget(VarInt),
}

impl Peer {
    pub(crate) fn start(shared: Arc<Shared>, node: NodeId) -> Arc<Self> {
        let (notices, inbox) = mpsc::channel(limits::NOTICES_MAX);
        let peer = Arc::new(Self {
            node,
            counters: LivePeerCounters::default(),
            queues: Default::default(),
            addresses: Mutex::default(),
            called_from: Mutex::default(),
            link: Mutex::default(),
            signer: Mutex::default(),
            notices,
            wanted: Notify::new(),
            runtime: shared.runtime.clone(),
        });
        let keeper = Keeper {
            shared,
            peer: Arc::clone(&peer),
            inbox,
            live: None,
            dialling: false,
            pause: limits::BACKOFF.0,
            dial_not_before: None,
            redial_at: None,
            look_at: None,
        };
        peer.runtime.spawn(keeper.run());
        peer
    }

    pub(crate) fn enqueue(&self, class: Class, frame: Vec<u8>) -> Result<(), Full> {
        let queued = self.queue(class).push(frame);
        if queued.is_err() {
            self.counters.of(class).refused.add(1);
        }
        if !self.is_connected() {
            self.wanted.notify_one();
        }
        queued
    }

    pub(crate) fn queue(&self, class: Class) -> &Queue {
        &self.queues[class.index()]
    }

    pub(crate) fn drop_queued(&self, class: Class) {
        let dropped = self.queue(class).clear();
        self.counters.of(class).dropped.add(dropped);
    }

    /// Tells the keeper. A full inbox means a flood of connections from this peer: dropping one then
    /// closes it, which is right, and nothing else comes in numbers.
    pub(crate) fn notify(&self, notice: Notice) {
        if let Err(mpsc::error::TrySendError::Full(notice)) = self.notices.try_send(notice) {
            let notices = self.notices.clone();
            if !matches!(notice, Notice::Called(..)) {
                self.runtime
                    .spawn(async move { _ = notices.send(notice).await });
            }
        }
    }

    pub(crate) fn add_address(&self, addr: SocketAddr) {
        let mut addresses = lock(&self.addresses);
        if addresses.first() == Some(&addr) {
            return;
        }
        addresses.retain(|known| *known != addr);
        addresses.insert(0, addr);
        addresses.truncate(limits::PEER_ADDRESSES_MAX);
    }

    pub(crate) fn set_addresses(&self, wanted: &[SocketAddr]) {
        let count = wanted.len().min(limits::PEER_ADDRESSES_MAX);
        *lock(&self.addresses) = wanted[..count].to_vec();
        self.wanted.notify_one();
    }

    pub(crate) fn has_address(&self) -> bool {
        !lock(&self.addresses).is_empty()
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.link).is_some()
    }

    /// Sends a datagram of the timing plane over the live connection, if there is one with room.
    pub(crate) fn send_timing(&self, bytes: &[u8]) -> bool {
        let link = lock(&self.link).clone();
        let sent = link.is_some_and(|link| link.send_timing(bytes));
        if sent {
            self.counters.timing.sent.add(1);
        } else {
            self.counters.timing.dropped.add(1);
        }
        sent
    }

    /// The live connection, if there is one.
    pub(crate) fn connection(&self) -> Option<quinn::Connection> {
        let link = lock(&self.link);
        link.as_ref().map(|link| link.connection.clone())
    }

    pub(crate) fn called_from(&self, addr: SocketAddr) {
        *lock(&self.called_from) = Some(addr);
    }

    /// Where it may be asked for something: from where it has called, then where it is dialled.
    pub(crate) fn places(&self) -> Vec<SocketAddr> {
        let mut places: Vec<SocketAddr> = lock(&self.called_from).iter().copied().collect();
        let dialled = lock(&self.addresses);
        places.extend(
            dialled
                .iter()
                .filter(|addr| !places.contains(addr))
                .copied()
                .collect::<Vec<_>>(),
        );
        places
    }

    pub(crate) fn signer(&self) -> Option<AuthorityId> {
        *lock(&self.signer)
    }

    pub(crate) fn region(&self) -> Option<Region> {
        lock(&self.link).as_ref().map(|link| link.region().clone())
    }

    pub(crate) fn connection_status(&self) -> Option<ConnectionStatus> {
        lock(&self.link).as_ref().map(|link| link.status())
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let depths = Class::ALL.map(|class| self.queue(class).depth());
        PeerStatus {
            node: self.node,
            connection: self.connection_status(),
            addresses: lock(&self.addresses).clone(),
            queued_frames: depths.map(|(frames, _)| frames),
            queued_bytes: depths.map(|(_, bytes)| bytes),
            counters: self.counters.read(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Half to all of `pause`, so that peers that lost each other together do not call together.
fn jittered(pause: Duration) -> Duration {
    let fraction = f64::from(u32::from_le_bytes(random())) / f64::from(u32::MAX);
    pause.mul_f64(0.5 + fraction / 2.0)
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// When the certificate has ended; again and again if it has.
fn next_look(validity: Validity, now_ms: u64) -> Instant {
    let left_ms = validity.until_ms.saturating_sub(now_ms);
    let mut wait = Duration::from_millis(left_ms) + Duration::from_secs(1);
    if validity.has_ended(now_ms) {
        wait = limits::ENDED_LOOK_INTERVAL;
    }
    // A clock that is set meanwhile is noticed within a day.
    Instant::now() + wait.min(Duration::from_secs(24 * 3600))
}

/// The task of one peer. It alone decides which connection is the peer's.
struct Keeper {
    shared: Arc<Shared>,
    peer: Arc<Peer>,
    inbox: mpsc::Receiver<Notice>,
    live: Option<Live>,
    dialling: bool,
    /// The next pause between dials, before jitter.
    pause: Duration,
    dial_not_before: Option<Instant>,
    /// When a good connection is made anew, to show a new certificate on it.
    redial_at: Option<Instant>,
    /// When to look whether the peer's certificate has ended.
    look_at: Option<Instant>,
}

struct Live {
    link: Arc<Link>,
    /// Whether this side dialled it.
    ours: bool,
    since: Instant,
    /// How many packets had come, and when that was last another number.
    heard: (u64, Instant),
    /// When that was looked at last.
    looked: Instant,
}

impl Live {
    /// Whether nothing has come for so long. Whoever did not look for as long itself has stood still, and
    /// what came meanwhile is read first.
    fn is_silent_for(&mut self, bound: Duration) -> bool {
        let packets = self.link.connection.stats().udp_rx.datagrams;
        let now = Instant::now();
        if packets != self.heard.0 || now - self.looked >= bound {
            self.heard = (packets, now);
        }
        self.looked = now;
        now - self.heard.1 >= bound
    }
}

impl Keeper {
    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let mut looks = tokio::time::interval(shared.config.silence / 5);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let close_with = loop {
            self.dial_if_wanted();
            let waits = self.dial_not_before;
            tokio::select! {
                () = shared.until_closing() => break code::CLOSED,
                notice = self.inbox.recv() => match notice {
                    None => break code::CLOSED,
                    Some(Notice::Forget(code)) => break code,
                    Some(notice) => self.on_notice(notice).await,
                },
                () = self.peer.wanted.notified() => {}
                _ = looks.tick(), if self.live.is_some() => {}
                () = tokio::time::sleep_until(waits.unwrap_or_else(Instant::now)), if waits.is_some() => {
                    self.dial_not_before = None;
                }
                () = until(self.redial_at) => self.redial(),
                () = until(self.look_at) => self.look(),
            }
        };
        self.end(close_with).await;
    }

    async fn end(mut self, close_with: VarInt) {
        for class in Class::ALL {
            self.peer.drop_queued(class);
        }
        *lock(&self.peer.link) = None;
        if let Some(live) = self.live.take() {
            live.link.connection.close(close_with, b"");
            let why = if close_with == code::EXCLUDED {
                Loss::Excluded
            } else {
                Loss::Left
            };
            self.tell(Event::Lost {
                node: self.peer.node,
                why,
            })
            .await;
        }
    }

    /// Nothing has come for so long that the connection is given up as soon as there is another one.
    fn is_silent(&mut self) -> bool {
        let bound = self.shared.config.silence;
        self.live
            .as_mut()
            .is_some_and(|live| live.is_silent_for(bound))
    }

    fn dial_if_wanted(&mut self) {
        let silent = self.is_silent();
        let open = self.live.is_none() || silent;
        if !open {
            // It is there after all: nothing was lost, and the next time is a first one.
            self.pause = limits::BACKOFF.0;
        }
        let idle = open && !self.dialling && self.dial_not_before.is_none();
        let queued = |class: &Class| !self.peer.queue(*class).is_empty();
        let wanted = silent || Class::ALL.iter().any(queued);
        if idle && wanted {
            self.dial();
        }
    }

    /// Makes the connection anew. The old one stays until then, and until what is under way is read.
    fn redial(&mut self) {
        self.redial_at = None;
        if self.live.is_some() && !self.dialling {
            self.dial();
        }
    }

    /// A connection must not outlive its peer's certificate: otherwise one that was made in time would
    /// never end. Whoever renews makes its connections anew long before.
    fn look(&mut self) {
        self.look_at = None;
        let Some(live) = &self.live else { return };
        let now_ms = unix_now_ms();
        let Some(standing) = &live.link.standing else {
            return;
        };
        let shown = &self.shared.shown;
        if shown.takes(standing, now_ms) {
            self.look_at = Some(next_look(shown.validity(standing), now_ms));
        } else {
            self.shared.counters.ended_refused.add(1);
            live.link.connection.close(code::ENDED, ENDED_WORDS);
        }
    }

    fn dial(&mut self) {
        let addresses = lock(&self.peer.addresses).clone();
        if addresses.is_empty() {
            return;
        }
        self.dialling = true;
        let (shared, peer) = (Arc::clone(&self.shared), Arc::clone(&self.peer));
        tokio::spawn(async move {
            let outcome = dial::dial(&shared, peer.node, &addresses).await;
            peer.notify(Notice::Dialled(outcome));
        });
    }

    async fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Called(connection, region) => self.weigh(connection, region, false).await,
            Notice::Dialled(outcome) => {
                self.dialling = false;
                match outcome {
                    Ok((connection, region)) => self.weigh(connection, region, true).await,
                    Err(failure) => self.on_failed_dial(failure).await,
                }
            }
            Notice::Ended(id, why) => self.on_end(id, why).await,
            Notice::Renewed(spread) => self.redial_at = Some(Instant::now() + jittered(spread)),
            Notice::Learned => self.look(),
            Notice::Forget(_) => {}
        }
    }

    /// A new connection: alone, better or worse than the one there is. Both sides judge alike, see
    /// [`limits::SIMULTANEOUS_DIAL`].
    async fn weigh(&mut self, connection: quinn::Connection, region: Region, ours: bool) {
        if self.shared.is_excluded(self.peer.node) {
            // Excluded between the handshake and here.
            connection.close(code::EXCLUDED, b"excluded");
            return;
        }
        if self.is_silent() {
            self.give_up_silent().await;
        }
        let Some(old) = &self.live else {
            self.install(connection, region, ours, true).await;
            return;
        };
        let simultaneous = old.ours != ours && old.since.elapsed() < limits::SIMULTANEOUS_DIAL;
        let dialled_by_lower = ours == (self.shared.node < self.peer.node);
        if !simultaneous || dialled_by_lower {
            old.link.retire();
            self.install(connection, region, ours, false).await;
        } else if ours {
            // The peer welcomed it and may have written already: read that before it closes.
            let link = Arc::new(Link::new(&self.shared, connection, region));
            link.retire();
            self.serve(link, ours);
        } else {
            connection.close(code::DUPLICATE, b"the other connection of this pair stays");
        }
    }

    /// What was written to a connection that fell silent may never arrive, so this is a loss.
    async fn give_up_silent(&mut self) {
        let Some(live) = self.live.take() else {
            return;
        };
        *lock(&self.peer.link) = None;
        live.link.retire();
        self.tell(Event::Lost {
            node: self.peer.node,
            why: Loss::Silent,
        })
        .await;
    }

    fn serve(&self, link: Arc<Link>, ours: bool) {
        let (shared, peer) = (Arc::clone(&self.shared), Arc::clone(&self.peer));
        tokio::spawn(connection::serve(shared, peer, link, !ours));
    }

    async fn install(
        &mut self,
        connection: quinn::Connection,
        region: Region,
        ours: bool,
        news: bool,
    ) {
        let (addr, rtt) = (connection.remote_address(), connection.rtt());
        self.shared.learn(self.peer.node, addr);
        self.peer.counters.connections.connected.add(1);
        self.pause = limits::BACKOFF.0;
        self.dial_not_before = None;
        let link = Arc::new(Link::new(&self.shared, connection, region.clone()));
        let now_ms = unix_now_ms();
        let shown = &self.shared.shown;
        let standing = link.standing.as_ref();
        self.look_at = standing.map(|one| next_look(shown.validity(one), now_ms));
        *lock(&self.peer.signer) = standing.map(|one| one.signer);
        *lock(&self.peer.link) = Some(Arc::clone(&link));
        if news {
            self.tell(Event::Connected {
                node: self.peer.node,
                region,
                addr,
                rtt,
            })
            .await;
        }
        self.serve(Arc::clone(&link), ours);
        let since = Instant::now();
        self.live = Some(Live {
            link,
            ours,
            since,
            heard: (0, since),
            looked: since,
        });
    }

    async fn on_failed_dial(&mut self, failure: DialFailure) {
        self.back_off();
        match failure {
            // It has another connection with us, or is about to: nothing is lost.
            DialFailure::Duplicate => {}
            _ if self.live.is_some() => self.peer.counters.connections.dials_failed.add(1),
            failure => {
                self.peer.counters.connections.dials_failed.add(1);
                // Frames for a peer that is not there are soon outdated, and hundreds of such peers
                // must not hold megabytes each. Repair brings what matters.
                for class in Class::ALL {
                    self.peer.drop_queued(class);
                }
                self.tell(Event::Lost {
                    node: self.peer.node,
                    why: failure.into(),
                })
                .await;
            }
        }
    }

    async fn on_end(&mut self, id: usize, why: Loss) {
        if self.live.as_ref().is_none_or(|live| live.link.id() != id) {
            return;
        }
        self.live = None;
        *lock(&self.peer.link) = None;
        self.back_off();
        self.tell(Event::Lost {
            node: self.peer.node,
            why,
        })
        .await;
    }

    fn back_off(&mut self) {
        self.dial_not_before = Some(Instant::now() + jittered(self.pause));
        self.pause = (self.pause * 2).min(limits::BACKOFF.1);
    }

    async fn tell(&self, event: Event) {
        self.shared.sink.lifecycle(event).await;
    }
}
