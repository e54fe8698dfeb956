//! Connections that we open to hosts of the LAN. A socket of ours can never leave by an uplink. Judges no address.

use std::io;
use std::net::SocketAddr;

use nix::errno::Errno;
use tokio::net::{TcpSocket, TcpStream};

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
    let interface = if target.ip().is_loopback() {
        "lo"
    } else {
        interface
    };
    socket.bind_device(Some(interface.as_bytes()))?;
    let stream = socket.connect(target).await?;
    prepare(&stream)?;
    Ok(stream)
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
