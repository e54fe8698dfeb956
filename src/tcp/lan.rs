//! Connections and datagram sockets that we open to hosts of the LAN. A socket of ours can never leave by an uplink. Judges no address.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::errno::Errno;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use super::prepare;

/// Connects from the LAN's interface. Ends when the kernel gives up, which takes minutes: the caller has a limit.
///
/// Bound to the interface first: wherever routes and rules point, this socket stays on the LAN. A loopback address
/// stays on `lo`.
///
/// # Errors
/// What the kernel says; `ENODEV` when there is no such interface, `EADDRNOTAVAIL` while that has no address that the
/// target could answer to.
pub async fn connect(interface: &str, target: SocketAddr) -> io::Result<TcpStream> {
    addressed(interface, target)?;
    let socket = match target {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind_device(Some(device(interface, target).as_bytes()))?;
    let stream = socket.connect(target).await?;
    prepare(&stream)?;
    Ok(stream)
}

/// A UDP socket of the LAN's interface that talks to `target` alone. As with [`connect`], a loopback address stays on
/// `lo`. Connected: datagrams of anybody else are not heard, and a port that nobody listens on is told by an error.
///
/// # Errors
/// What the kernel says; `ENODEV` when there is no such interface, `EADDRNOTAVAIL` while that has no address that the
/// target could answer to.
pub async fn connect_udp(interface: &str, target: SocketAddr) -> io::Result<UdpSocket> {
    addressed(interface, target)?;
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    SockRef::from(&socket).bind_device(Some(device(interface, target).as_bytes()))?;
    socket.connect(target).await?;
    Ok(socket)
}

/// A UDP socket of the LAN's interface that talks to many hosts, or to many of loopback. Anybody is heard.
///
/// # Errors
/// What the kernel says; `ENODEV` when there is no such interface.
pub async fn udp(interface: &str, loopback: bool) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    let device = if loopback { "lo" } else { interface };
    SockRef::from(&socket).bind_device(Some(device.as_bytes()))?;
    Ok(socket)
}

/// Has the interface an address of its own to speak from? Without one the kernel takes what there is: `0.0.0.0`, which every
/// receiver drops without a word, or the address of an uplink, to which the answer would go by another network.
fn addressed(interface: &str, target: SocketAddr) -> io::Result<()> {
    let device = device(interface, target);
    if nix::net::if_::if_nametoindex(device).is_err() {
        return Err(Errno::ENODEV.into());
    }
    let serves = |address: IpAddr| match (address, target.ip()) {
        (IpAddr::V4(_), IpAddr::V4(_)) => true,
        // What is link-local answers its link alone.
        (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
            !ours.is_unicast_link_local() || theirs.is_unicast_link_local()
        }
        _ => false,
    };
    if addresses()?.any(|(name, address)| name == device && serves(address)) {
        return Ok(());
    }
    let what = if target.is_ipv4() { "IPv4" } else { "IPv6" };
    let why = format!(
        "{device} has no {what} address to reach {} from",
        target.ip()
    );
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, why))
}

/// All addresses of this board that the kernel has now, and the interface that each is on. Blocks, for microseconds.
///
/// # Errors
/// What the kernel says.
pub fn addresses() -> io::Result<impl Iterator<Item = (String, IpAddr)>> {
    Ok(nix::ifaddrs::getifaddrs()?.filter_map(|one| {
        let address = one.address?;
        let v4 = address.as_sockaddr_in().map(|v4| v4.ip().into());
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|v6| v6.ip().into()));
        Some((one.interface_name, ip?))
    }))
}

fn device(interface: &str, target: SocketAddr) -> &str {
    if target.ip().is_loopback() {
        "lo"
    } else {
        interface
    }
}

/// What the kernel says, without its number: `connection refused`.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let said = match error.raw_os_error() {
        Some(libc::ETIMEDOUT) => return "it does not answer any more".into(),
        Some(number) => Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    };
    let mut letters = said.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(letters).collect()
    })
}
