//! Other processes of the same machine: there the size of packets need not be found out, which takes each
//! side of a handshake four packets and what acknowledges them.

use std::{net::SocketAddr, sync::Arc};

use quinn::{ClientConfig, ServerConfig, TransportConfig};

use crate::limits;

/// How they are called and answered.
#[derive(Debug)]
pub(crate) struct Near {
    transport: Arc<TransportConfig>,
    server: Arc<ServerConfig>,
}

impl Near {
    /// As everybody else, but for the size of packets; none where the kernel does not say that it takes them.
    pub(crate) fn of(mut transport: TransportConfig, server: &ServerConfig) -> Option<Self> {
        if !takes_largest() {
            return None;
        }
        transport.initial_mtu(limits::LOOPBACK_PACKET_BYTES);
        let transport = Arc::new(transport);
        let mut server = server.clone();
        server.transport_config(Arc::clone(&transport));
        Some(Self {
            transport,
            server: Arc::new(server),
        })
    }

    /// Whether an address is a loopback address: whoever is there is on this machine, or behind something
    /// on it that passes packets on.
    pub(crate) fn holds(addr: SocketAddr) -> bool {
        addr.ip().to_canonical().is_loopback()
    }

    pub(crate) fn calling(&self, mut config: ClientConfig) -> ClientConfig {
        config.transport_config(Arc::clone(&self.transport));
        config
    }

    pub(crate) fn answering(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}

/// Somebody may have made the loopback device take less than others do: then a handshake would wait
/// until smaller packets are tried.
#[cfg(target_os = "linux")]
fn takes_largest() -> bool {
    use nix::sys::socket::{getsockopt, sockopt::IpMtu};
    use std::net::{Ipv4Addr, UdpSocket};

    /// Of IPv6 and UDP.
    const HEADERS_BYTES: i32 = 48;
    let said = || -> std::io::Result<i32> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.connect(socket.local_addr()?)?;
        Ok(getsockopt(&socket, IpMtu)?)
    };
    let wanted = i32::from(limits::LOOPBACK_PACKET_BYTES) + HEADERS_BYTES;
    said().is_ok_and(|bytes| bytes >= wanted)
}

/// Nobody is asked there.
#[cfg(not(target_os = "linux"))]
fn takes_largest() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is believed of this machine must not be believed of a way that nobody knows.
    #[test]
    fn only_addresses_of_this_machine_alone_are_near() {
        let near =
            |text: &str| Near::holds((text.parse::<std::net::IpAddr>().expect(text), 1).into());
        let here = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"];
        assert!(here.into_iter().all(near));
        let far = [
            "10.0.0.1",
            "192.168.1.1",
            "0.0.0.0",
            "::",
            "fe80::1",
            "::ffff:10.0.0.1",
        ];
        assert!(!far.into_iter().any(near));
    }
}
