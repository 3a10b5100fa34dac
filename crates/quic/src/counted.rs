//! A UDP socket that counts what goes through it.

use std::{
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

use crate::counters::LiveEndpointCounters;

#[derive(Debug)]
pub(crate) struct CountedSocket {
    inner: Arc<dyn AsyncUdpSocket>,
    counters: Arc<LiveEndpointCounters>,
}

impl CountedSocket {
    pub(crate) fn around(
        inner: Arc<dyn AsyncUdpSocket>,
        counters: Arc<LiveEndpointCounters>,
    ) -> Arc<dyn AsyncUdpSocket> {
        Arc::new(Self { inner, counters })
    }
}

/// How many packets so many bytes are that are cut at every `segment`.
fn packets(bytes: usize, segment: usize) -> usize {
    bytes.div_ceil(segment.max(1))
}

impl AsyncUdpSocket for CountedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.inner.try_send(transmit)?;
        let bytes = transmit.contents.len();
        let segment = transmit.segment_size.unwrap_or(bytes);
        self.counters.sent_packets.add(packets(bytes, segment));
        self.counters.sent_bytes.add(bytes);
        Ok(())
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = ready!(self.inner.poll_recv(cx, bufs, meta))?;
        for read in &meta[..received] {
            let count = packets(read.len, read.stride);
            self.counters.received_packets.add(count);
            self.counters.received_bytes.add(read.len);
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

#[cfg(test)]
mod tests {
    use super::packets;

    #[test]
    fn what_is_cut_into_segments_counts_as_so_many_packets() {
        assert_eq!(packets(0, 0), 0);
        assert_eq!(packets(1_200, 1_200), 1);
        assert_eq!(packets(1_201, 1_200), 2);
        assert_eq!(packets(3_600, 1_200), 3);
    }
}
