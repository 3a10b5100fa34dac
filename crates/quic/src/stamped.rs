//! A UDP socket that asks the kernel when each packet came, and who remembers that for each sender.
//!
//! QUIC tells nobody which packet carried a datagram. But the latest packet of a sender that was handed to
//! it did not come before the one that carried it: so that one's time is never too early, and while a
//! sender's packets come one by one it is exact. What a process waits for until it is woken is then no part
//! of a way any more.

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use crate::limits;

/// When the latest packet of each sender came.
///
/// Senders that fall into one place share it: their latest is still not before anybody's own.
#[derive(Debug)]
pub(crate) struct Arrivals {
    since: Instant,
    hasher: RandomState,
    /// Of each place, ns after `since`; nothing yet where it is zero.
    latest_ns: Vec<AtomicU64>,
}

impl Default for Arrivals {
    fn default() -> Self {
        let latest_ns = (0..limits::ARRIVALS_PLACES).map(|_| AtomicU64::new(0));
        Self {
            since: Instant::now(),
            hasher: RandomState::new(),
            latest_ns: latest_ns.collect(),
        }
    }
}

impl Arrivals {
    /// Notes that a packet came.
    pub(crate) fn note(&self, from: SocketAddr, at: Instant) {
        let after = at.saturating_duration_since(self.since);
        let after_ns = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX).max(1);
        self.place(from).fetch_max(after_ns, Ordering::AcqRel);
    }

    /// When something of this sender that is read now came at the latest.
    pub(crate) fn received(&self, from: SocketAddr, now: Instant) -> Instant {
        let after_ns = self.place(from).load(Ordering::Acquire);
        let came = self.since.checked_add(Duration::from_nanos(after_ns));
        let came = came.filter(|_| after_ns > 0).filter(|came| *came <= now);
        // What has waited for longer than anything waits was noted for something else.
        let waited = |came: &Instant| now.duration_since(*came) <= limits::PACKET_WAITS_MAX;
        came.filter(waited).unwrap_or(now)
    }

    fn place(&self, from: SocketAddr) -> &AtomicU64 {
        // A socket of both families shows an old address within a new one.
        let from = (from.ip().to_canonical(), from.port());
        let hash = self.hasher.hash_one(from) as usize;
        &self.latest_ns[hash % self.latest_ns.len()]
    }
}

#[cfg(target_os = "linux")]
pub(crate) use linux::stamped;

/// Elsewhere packets count as come when they are read.
#[cfg(not(target_os = "linux"))]
pub(crate) fn stamped(
    socket: std::net::UdpSocket,
    _: &std::sync::Arc<Arrivals>,
) -> std::io::Result<std::sync::Arc<dyn quinn::AsyncUdpSocket>> {
    quinn::Runtime::wrap_udp_socket(&quinn::TokioRuntime, socket)
}

#[cfg(target_os = "linux")]
mod linux {
    use std::{
        fmt,
        io::{self, IoSliceMut},
        net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
        os::fd::AsRawFd,
        pin::Pin,
        sync::{Arc, Mutex, PoisonError},
        task::{Context, Poll, ready},
        time::{Duration, Instant, SystemTime, UNIX_EPOCH},
    };

    use nix::{
        cmsg_space,
        libc::{in_pktinfo, in6_pktinfo, timespec},
        sys::socket::{
            ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt,
        },
    };
    use quinn::{
        AsyncUdpSocket, Runtime, TokioRuntime, UdpPoller,
        udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState},
    };
    use tokio::io::Interest;

    use super::Arrivals;
    use crate::limits;

    /// Sends as QUIC's own socket does, and receives with stamps. One handle for both: with a second one the
    /// kernel wakes for each packet twice.
    #[derive(Debug)]
    struct StampedSocket {
        io: tokio::net::UdpSocket,
        state: UdpSocketState,
        arrivals: Arc<Arrivals>,
        watch: Mutex<Watch>,
    }

    /// Waits until there is room to send, for one connection of many that share the socket.
    struct Room {
        socket: Arc<StampedSocket>,
        /// Only where there was none: otherwise nothing is set up for it.
        awaited: Option<Awaited>,
    }

    type Awaited = Pin<Box<dyn Future<Output = io::Result<()>> + Send + Sync>>;

    /// The kernel stamps by the wall clock, which is set at times. Held against the steady clock it stands
    /// still but for that: both are steered alike.
    #[derive(Debug, Default)]
    struct Watch {
        /// Both, at the last look.
        last: Option<(Instant, Duration)>,
        /// Until when no stamp is believed.
        doubted_until: Option<Instant>,
    }

    /// What came with packets.
    #[derive(Debug, Default)]
    struct Told {
        stamp: Option<Duration>,
        stride: Option<usize>,
        ecn: Option<EcnCodepoint>,
        dst_ip: Option<IpAddr>,
    }

    /// The socket with stamps; as it is elsewhere where the kernel gives none.
    pub(crate) fn stamped(
        socket: UdpSocket,
        arrivals: &Arc<Arrivals>,
    ) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        // QUIC's own way of reading has no room for what comes along once this is set.
        if let Err(error) = setsockopt(&socket, sockopt::ReceiveTimestampns, &true) {
            tracing::warn!(%error, "the kernel does not say when packets come; they count as come when they are read");
            return TokioRuntime.wrap_udp_socket(socket);
        }
        // This also makes it one that never blocks, as Tokio asks for.
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Arc::new(StampedSocket {
            io: tokio::net::UdpSocket::from_std(socket)?,
            state,
            arrivals: Arc::clone(arrivals),
            watch: Mutex::default(),
        }))
    }

    impl UdpPoller for Room {
        fn poll_writable(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            let this = &mut *self;
            let socket = &this.socket;
            if this.awaited.is_none() && socket.io.try_io(Interest::WRITABLE, || Ok(())).is_ok() {
                return Poll::Ready(Ok(()));
            }
            let awaited = this.awaited.get_or_insert_with(|| {
                let socket = Arc::clone(socket);
                Box::pin(async move { socket.io.writable().await })
            });
            let room = ready!(awaited.as_mut().poll(cx));
            this.awaited = None;
            Poll::Ready(room)
        }
    }

    impl fmt::Debug for Room {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Room").finish_non_exhaustive()
        }
    }

    impl AsyncUdpSocket for StampedSocket {
        fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
            Box::pin(Room {
                socket: self,
                awaited: None,
            })
        }

        fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
            let send = || self.state.send((&self.io).into(), transmit);
            self.io.try_io(Interest::WRITABLE, send)
        }

        fn poll_recv(
            &self,
            cx: &mut Context<'_>,
            bufs: &mut [IoSliceMut<'_>],
            meta: &mut [RecvMeta],
        ) -> Poll<io::Result<usize>> {
            loop {
                ready!(self.io.poll_recv_ready(cx))?;
                let mut received = 0;
                let read = || self.receive(bufs, meta, &mut received);
                // An error is that of one packet, which is lost; where nothing is there it waits above. That
                // nothing more is there is heard along with what was, so that nobody asks for it again.
                _ = self.io.try_io(Interest::READABLE, read);
                if received > 0 {
                    return Poll::Ready(Ok(received));
                }
            }
        }

        fn local_addr(&self) -> io::Result<SocketAddr> {
            self.io.local_addr()
        }

        fn max_transmit_segments(&self) -> usize {
            self.state.max_gso_segments()
        }

        fn max_receive_segments(&self) -> usize {
            self.state.gro_segments()
        }

        fn may_fragment(&self) -> bool {
            self.state.may_fragment()
        }
    }

    impl StampedSocket {
        /// Reads what is there, as much as there is room for, and counts it.
        fn receive(
            &self,
            bufs: &mut [IoSliceMut<'_>],
            meta: &mut [RecvMeta],
            received: &mut usize,
        ) -> io::Result<()> {
            // More than is asked for: what finds no room costs the packet.
            let mut space = cmsg_space!(timespec, in_pktinfo, in6_pktinfo, i32, i32, [i64; 8]);
            for (buf, meta) in bufs.iter_mut().zip(meta) {
                self.receive_one(buf, meta, &mut space)?;
                *received += 1;
            }
            Ok(())
        }

        fn receive_one(
            &self,
            buf: &mut IoSliceMut<'_>,
            meta: &mut RecvMeta,
            space: &mut Vec<u8>,
        ) -> io::Result<()> {
            let mut parts = [IoSliceMut::new(buf)];
            let fd = self.io.as_raw_fd();
            let message = loop {
                let flags = MsgFlags::MSG_DONTWAIT;
                match recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut *space), flags) {
                    Err(nix::errno::Errno::EINTR) => {}
                    read => break read?,
                }
            };
            let len = message.bytes;
            let addr = message.address.as_ref().and_then(address);
            let addr = addr.ok_or_else(|| io::Error::other("a packet without a sender"))?;
            let mut told = Told::default();
            for one in message.cmsgs()? {
                told.hear(&one);
            }
            self.arrivals.note(addr, self.came(told.stamp));
            *meta = RecvMeta {
                addr,
                len,
                stride: told.stride.unwrap_or(len),
                ecn: told.ecn,
                dst_ip: told.dst_ip,
            };
            Ok(())
        }

        /// When that was by the steady clock; now, if the stamp cannot be believed.
        fn came(&self, stamp: Option<Duration>) -> Instant {
            let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
            let before = Instant::now();
            let wall = SystemTime::now().duration_since(UNIX_EPOCH);
            let now = Instant::now();
            let (Some(stamp), Ok(wall)) = (stamp, wall) else {
                return now;
            };
            // Interrupted between two readings they were not read together.
            let together = now.duration_since(before) <= limits::CLOCKS_APART_MAX;
            if !together || !watch.believes(before, wall) {
                return now;
            }
            let waited = wall.checked_sub(stamp);
            let waited = waited.filter(|waited| *waited <= limits::PACKET_WAITS_MAX);
            // Counted from the later reading: a packet may come late by that, and never early.
            waited
                .and_then(|waited| now.checked_sub(waited))
                .unwrap_or(now)
        }
    }

    impl Watch {
        /// Whether the wall clock has gone on as the steady one did, for as long as a packet may wait.
        fn believes(&mut self, now: Instant, wall: Duration) -> bool {
            let before = self.last.replace((now, wall));
            let parted = before.map_or(Duration::MAX, |(then, wall_then)| {
                let steady = now.saturating_duration_since(then);
                wall.abs_diff(wall_then.saturating_add(steady))
            });
            if parted > 2 * limits::CLOCKS_APART_MAX {
                self.doubted_until = now.checked_add(limits::PACKET_WAITS_MAX);
            }
            self.doubted_until.is_none_or(|until| now >= until)
        }
    }

    impl Told {
        fn hear(&mut self, one: &ControlMessageOwned) {
            match one {
                ControlMessageOwned::ScmTimestampns(time) => {
                    let seconds = u64::try_from(time.tv_sec()).ok();
                    let rest = u32::try_from(time.tv_nsec()).ok();
                    let time = seconds.zip(rest);
                    self.stamp = time.map(|(seconds, rest)| Duration::new(seconds, rest));
                }
                ControlMessageOwned::UdpGroSegments(size) => {
                    self.stride = usize::try_from(*size).ok().filter(|size| *size > 0);
                }
                ControlMessageOwned::Ipv4Tos(bits) => self.ecn = EcnCodepoint::from_bits(*bits),
                ControlMessageOwned::Ipv6TClass(bits) => {
                    self.ecn = EcnCodepoint::from_bits(bits.to_le_bytes()[0]);
                }
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    let octets = info.ipi_addr.s_addr.to_ne_bytes();
                    self.dst_ip = Some(Ipv4Addr::from(octets).into());
                }
                ControlMessageOwned::Ipv6PacketInfo(info) => {
                    self.dst_ip = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
        }
    }

    fn address(from: &SockaddrStorage) -> Option<SocketAddr> {
        let old = from
            .as_sockaddr_in()
            .map(|one| SocketAddr::V4((*one).into()));
        old.or_else(|| {
            from.as_sockaddr_in6()
                .map(|one| SocketAddr::V6((*one).into()))
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        /// The kernel's stamps are by the wall clock: one that is set between a packet's coming and its
        /// reading would have it come long before it did.
        #[test]
        fn a_wall_clock_that_is_set_is_not_believed_for_as_long_as_a_packet_may_wait() {
            let mut watch = Watch::default();
            let begins = Instant::now();
            let wall = Duration::from_secs(1_000_000);
            let at = |ms: u64, ahead_ms: u64| {
                let after = Duration::from_millis(ms);
                let ahead = Duration::from_millis(ahead_ms);
                (begins + after, wall + after + ahead)
            };
            let mut believes = |(now, wall)| watch.believes(now, wall);
            let waits_ms = u64::try_from(limits::PACKET_WAITS_MAX.as_millis()).expect("short");
            // Nothing is known of it at first.
            assert!(!believes(at(0, 0)));
            assert!(believes(at(waits_ms, 0)));
            assert!(believes(at(waits_ms + 1, 0)));
            // Set by 30 ms: a packet that came before may still wait.
            assert!(!believes(at(waits_ms + 2, 30)));
            assert!(!believes(at(2 * waits_ms + 1, 30)));
            assert!(believes(at(2 * waits_ms + 2, 30)));
        }

        /// A busy program reads what has come while it was busy: the kernel knows when that was, and two
        /// senders do not share it.
        #[tokio::test]
        async fn a_packet_that_waits_came_when_it_came_and_not_when_it_is_read() {
            let arrivals = Arc::new(Arrivals::default());
            let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let to = socket.local_addr().expect("bound");
            let stamped = stamped(socket, &arrivals).expect("a socket");
            let mut bytes = vec![0; 65_536];
            let mut meta = [RecvMeta::default()];
            let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
            let from = sender.local_addr().expect("bound");
            // The first one's stamp is not believed yet, and after it no other for a while.
            let mut came = (Instant::now(), Instant::now());
            for waits in [
                Duration::ZERO,
                limits::PACKET_WAITS_MAX,
                Duration::from_millis(20),
            ] {
                std::thread::sleep(waits);
                let before = Instant::now();
                sender.send_to(b"when", to).expect("sent");
                came = (before, Instant::now());
                std::thread::sleep(Duration::from_millis(15));
                let read = std::future::poll_fn(|cx| {
                    stamped.poll_recv(cx, &mut [IoSliceMut::new(&mut bytes)], &mut meta)
                });
                assert_eq!(read.await.expect("read"), 1);
                assert_eq!((meta[0].addr, meta[0].len), (from, 4));
            }
            assert_eq!(&bytes[..4], b"when");
            let now = Instant::now();
            let received = arrivals.received(from, now);
            assert!(received >= came.0, "never earlier than it was sent");
            let late = received.saturating_duration_since(came.1);
            assert!(
                late < Duration::from_millis(10),
                "{late:?} after it was sent"
            );
            let stranger = SocketAddr::from(([127, 0, 0, 9], 9));
            let shared = arrivals.received(stranger, now);
            assert!(
                shared == now || shared == received,
                "of nobody, or of who shares its place"
            );
        }
    }
}
