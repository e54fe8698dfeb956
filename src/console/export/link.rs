//! The way to the syslog server: UDP, TCP or TLS, from the LAN's interface only. Knows no message.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use super::tls;
use super::unsent::unsent;
use crate::config::{Carrier, Syslog};
use crate::tcp;

/// Longest a connection may take, the handshake of TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A server that takes nothing for so long is gone.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// An open way.
#[derive(Debug)]
pub(super) enum Link {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Link {
    /// Connects from `interface`: bound to it, no route and no rule leads this socket out by an uplink.
    ///
    /// # Errors
    /// Why not, for a person.
    pub(super) async fn open(syslog: &Syslog, interface: &str) -> Result<Self, String> {
        let opening = async {
            let say = |error: io::Error| error.to_string();
            match syslog.carrier {
                Carrier::Udp => tcp::connect_udp(interface, syslog.server)
                    .await
                    .map(Self::Udp)
                    .map_err(say),
                Carrier::Tcp => tcp::connect(interface, syslog.server)
                    .await
                    .map(Self::Tcp)
                    .map_err(say),
                Carrier::Tls => {
                    let (connector, name) = tls::connector(syslog)?;
                    let stream = tcp::connect(interface, syslog.server).await.map_err(say)?;
                    let stream = connector.connect(name, stream).await.map_err(say)?;
                    Ok(Self::Tls(Box::new(stream)))
                }
            }
        };
        let opened = timeout(CONNECT_LIMIT, opening).await;
        opened.unwrap_or_else(|_| Err("it does not answer".into()))
    }

    /// Messages have a frame around them.
    pub(super) fn is_stream(&self) -> bool {
        !matches!(self, Self::Udp(_))
    }

    /// Sends one datagram, or bytes of the stream. Not cancel-safe: the link is broken then.
    ///
    /// # Errors
    /// The link is broken.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            match self {
                Self::Udp(socket) => socket.send(bytes).await.map(drop),
                Self::Tcp(stream) => stream.write_all(bytes).await,
                Self::Tls(stream) => {
                    stream.write_all(bytes).await?;
                    stream.flush().await
                }
            }
        };
        let sent = timeout(WRITE_LIMIT, sending).await;
        sent.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Has the server's kernel everything that was sent? A datagram counts as there.
    pub(super) fn is_through(&self) -> bool {
        match self {
            Self::Udp(_) => true,
            Self::Tcp(stream) => unsent(stream).is_ok_and(|left| left == 0),
            Self::Tls(stream) => unsent(stream.get_ref().0).is_ok_and(|left| left == 0),
        }
    }

    /// Waits until the link breaks and says why. What the server says otherwise is thrown away. Cancel-safe: it reads
    /// only, and what it reads is of no use.
    pub(super) async fn broken(&mut self) -> String {
        let mut buffer = [0; 512];
        loop {
            let read = match self {
                Self::Udp(socket) => socket.recv(&mut buffer).await.map(|_| 1),
                Self::Tcp(stream) => stream.read(&mut buffer).await,
                Self::Tls(stream) => stream.read(&mut buffer).await,
            };
            match read {
                Ok(0) => return "it closed the connection".into(),
                Ok(_) => {}
                Err(error) => return error.to_string(),
            }
        }
    }
}
