//! Connections and datagram sockets that we open to hosts of the LAN. A socket of ours can never leave by an uplink. Judges no address.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

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
/// What the kernel says; `ENODEV` when there is no such interface.
pub async fn connect(interface: &str, target: SocketAddr) -> io::Result<TcpStream> {
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
/// What the kernel says; `ENODEV` when there is no such interface, `EADDRNOTAVAIL` while that has no address. Without one
/// the kernel would connect and send from `0.0.0.0`, which every receiver drops without a word.
pub async fn connect_udp(interface: &str, target: SocketAddr) -> io::Result<UdpSocket> {
    let any: SocketAddr = match target {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    SockRef::from(&socket).bind_device(Some(device(interface, target).as_bytes()))?;
    socket.connect(target).await?;
    if socket.local_addr()?.ip().is_unspecified() {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
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
