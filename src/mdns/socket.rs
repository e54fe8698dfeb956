//! The sockets of one interface: bound to it, so that nothing is heard from or said to another. Understands no packet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};
use tokio::net::UdpSocket;

pub(super) const PORT: u16 = 5353;
const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);

/// One interface, one family.
#[derive(Debug)]
pub(super) struct Ear {
    socket: UdpSocket,
    group: SocketAddr,
}

impl Ear {
    /// Listens on the interface of this name and index; `mark` is that of its uplink, for routing and firewall.
    pub(super) fn open(
        interface: &str,
        index: u32,
        mark: Option<u32>,
        v6: bool,
    ) -> std::io::Result<Self> {
        let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Another responder may be there.
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)?;
        socket.bind_device(Some(interface.as_bytes()))?;
        if let Some(mark) = mark {
            socket.set_mark(mark)?;
        }
        let group: SocketAddr = if v6 {
            socket.set_only_v6(true)?;
            socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
            socket.join_multicast_v6(&GROUP_V6, index)?;
            socket.set_multicast_if_v6(index)?;
            socket.set_multicast_hops_v6(255)?;
            (GROUP_V6, PORT).into()
        } else {
            socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
            let index = InterfaceIndexOrAddress::Index(index);
            socket.join_multicast_v4_n(&GROUP_V4, &index)?;
            socket.set_multicast_ttl_v4(255)?;
            (GROUP_V4, PORT).into()
        };
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, group })
    }

    /// The next packet, into `buffer`: its length and who sent it. Cancel-safe.
    pub(super) async fn hear(&self, buffer: &mut [u8]) -> std::io::Result<(usize, SocketAddr)> {
        self.socket.recv_from(buffer).await
    }

    /// Says it to everybody on the link, or to one; what cannot be sent at once is lost, as any packet may be.
    pub(super) fn say(&self, bytes: &[u8], to: Option<SocketAddr>) -> std::io::Result<()> {
        self.socket
            .try_send_to(bytes, to.unwrap_or(self.group))
            .map(drop)
    }
}

/// Is this address on a link with these networks (CIDR)? Whoever asks from afar gets nothing (RFC 6762 §11).
pub(super) fn is_near(from: IpAddr, networks: &[String]) -> bool {
    if let IpAddr::V6(from) = from
        && from.is_unicast_link_local()
    {
        return true;
    }
    networks.iter().any(|network| {
        let Some((address, length)) = network.split_once('/') else {
            return false;
        };
        let (Ok(address), Ok(length)) = (address.parse::<IpAddr>(), length.parse::<u32>()) else {
            return false;
        };
        match (address, from) {
            (IpAddr::V4(ours), IpAddr::V4(from)) if length <= 32 => {
                let differs = ours.to_bits() ^ from.to_bits();
                differs.checked_shr(32 - length).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(from)) if length <= 128 => {
                let differs = ours.to_bits() ^ from.to_bits();
                differs.checked_shr(128 - length).unwrap_or(0) == 0
            }
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_neighbours_are_near() {
        let networks = ["10.77.0.5/24".to_owned(), "fd77::5/64".to_owned()];
        for (from, near) in [
            ("10.77.0.9", true),
            ("10.77.1.9", false),
            ("fd77::9", true),
            ("fd78::9", false),
            ("fe80::1", true),
        ] {
            assert_eq!(is_near(from.parse().unwrap(), &networks), near, "{from}");
        }
        assert!(!is_near(
            "10.0.0.1".parse().unwrap(),
            &["x".to_owned(), "10.0.0.1".to_owned()]
        ));
    }
}
