//! A UDP socket that loses and delays packets as [`Faults`] tells it to.

use std::{
    collections::BTreeMap,
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{RecvMeta, Transmit},
};
use tokio::{sync::mpsc, time::Instant};

use crate::{
    faults::{Fate, Faults},
    limits,
};

#[derive(Debug)]
pub(crate) struct FaultySocket {
    inner: Arc<dyn AsyncUdpSocket>,
    faults: Arc<Faults>,
    delayed: mpsc::Sender<Packet>,
}

/// A packet to be sent later.
#[derive(Debug)]
struct Packet {
    due: Instant,
    to: SocketAddr,
    contents: Vec<u8>,
    segment_size: Option<usize>,
}

impl FaultySocket {
    pub(crate) fn around(
        inner: Arc<dyn AsyncUdpSocket>,
        faults: Arc<Faults>,
    ) -> Arc<dyn AsyncUdpSocket> {
        let (delayed, packets) = mpsc::channel(limits::DELAYED_PACKETS_MAX);
        tokio::spawn(send_later(Arc::clone(&inner), packets));
        Arc::new(Self {
            inner,
            faults,
            delayed,
        })
    }
}

impl AsyncUdpSocket for FaultySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        match self.faults.on_send(transmit.destination) {
            Fate::Sent => self.inner.try_send(transmit),
            Fate::Swallowed => Ok(()),
            Fate::Delayed(delay) => {
                // A full buffer loses the packet, as a full router does.
                _ = self.delayed.try_send(Packet {
                    due: Instant::now() + delay,
                    to: transmit.destination,
                    contents: transmit.contents.to_vec(),
                    segment_size: transmit.segment_size,
                });
                Ok(())
            }
        }
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for packets in &mut meta[..received] {
            if self.faults.swallows_from(packets.addr) {
                // QUIC reads nothing out of a buffer without length.
                packets.len = 0;
            }
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

async fn send_later(socket: Arc<dyn AsyncUdpSocket>, mut packets: mpsc::Receiver<Packet>) {
    let mut waiting: BTreeMap<(Instant, u64), Packet> = BTreeMap::new();
    let mut count = 0;
    loop {
        let room = waiting.len() < limits::DELAYED_PACKETS_MAX;
        let next = waiting.first_key_value().map(|((due, _), _)| *due);
        tokio::select! {
            packet = packets.recv(), if room => {
                let Some(packet) = packet else { return };
                count += 1;
                waiting.insert((packet.due, count), packet);
            }
            () = tokio::time::sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {
                if let Some((_, packet)) = waiting.pop_first() {
                    // A busy socket loses the packet: it stands for a network.
                    _ = socket.try_send(&Transmit {
                        destination: packet.to,
                        ecn: None,
                        contents: &packet.contents,
                        segment_size: packet.segment_size,
                        src_ip: None,
                    });
                }
            }
        }
    }
}
