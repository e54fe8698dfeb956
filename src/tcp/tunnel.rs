//! Ways to a device: over the LAN, or through the tunnel of a device that called us. Speaks no protocol: who owns a tunnel
//! answers what is wished of it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};

use super::connect;

/// Wishes that wait for the owner of a tunnel; past that who wishes waits, within a limit of its own.
const WISHES: usize = 8;

/// How a device is reached.
#[derive(Clone, Debug)]
pub enum Route {
    /// By this interface and no other.
    Lan(Arc<str>),
    /// Through the tunnel that it opened to us, if it did.
    Tunnel { tunnels: Tunnels, device: Arc<str> },
}

impl From<&str> for Route {
    fn from(lan: &str) -> Self {
        Self::Lan(lan.into())
    }
}

impl Route {
    /// Opens a stream; of a device behind a tunnel only the port counts.
    ///
    /// # Errors
    /// Those of [`connect`]; `NotConnected` when the device has no tunnel to us, and what its owner says.
    pub async fn connect(&self, target: SocketAddr) -> io::Result<Wire> {
        match self {
            Self::Lan(interface) => connect(interface, target).await.map(Wire::Tcp),
            Self::Tunnel { tunnels, device } => {
                let stream = tunnels.connect(device, target.port()).await?;
                Ok(Wire::Tunnel(stream))
            }
        }
    }
}

/// Something that is wished of the owner of a tunnel: a stream to a port of the device. Who wished may be gone.
#[derive(Debug)]
pub struct Wish {
    pub port: u16,
    pub reply: oneshot::Sender<io::Result<DuplexStream>>,
}

/// The tunnels that are open, by the name of the device. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tunnels(Arc<Mutex<BTreeMap<String, mpsc::Sender<Wish>>>>);

impl Tunnels {
    /// The way to a device: its tunnel where it is one that calls, else the LAN.
    #[must_use]
    pub fn route(&self, lan: &str, device: Option<&str>) -> Route {
        match device {
            Some(device) => Route::Tunnel {
                tunnels: self.clone(),
                device: device.into(),
            },
            None => lan.into(),
        }
    }

    /// Takes what is wished of this device from now on. Whoever took it before hears that the last wish came.
    #[must_use]
    pub fn open(&self, device: &str) -> Wishes {
        let (sender, wishes) = mpsc::channel(WISHES);
        let own = sender.downgrade();
        self.table().insert(device.to_owned(), sender);
        Wishes {
            tunnels: self.clone(),
            device: device.to_owned(),
            own,
            wishes,
        }
    }

    /// Has this device a tunnel now?
    #[must_use]
    pub fn has(&self, device: &str) -> bool {
        self.table().contains_key(device)
    }

    async fn connect(&self, device: &str, port: u16) -> io::Result<DuplexStream> {
        let gone = |why: &str| io::Error::new(io::ErrorKind::NotConnected, why);
        let away = "it has no tunnel to this board; it calls in by itself (CIRA)";
        let sender = self.table().get(device).cloned();
        let sender = sender.ok_or_else(|| gone(away))?;
        let (reply, answer) = oneshot::channel();
        let sent = sender.send(Wish { port, reply }).await;
        sent.map_err(|_| gone(away))?;
        // Or the owner would not learn that a newer tunnel took over.
        drop(sender);
        answer
            .await
            .unwrap_or_else(|_| Err(gone("its tunnel ended")))
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, mpsc::Sender<Wish>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wished of one tunnel. Dropping it says that there is none any more.
#[derive(Debug)]
pub struct Wishes {
    tunnels: Tunnels,
    device: String,
    own: mpsc::WeakSender<Wish>,
    wishes: mpsc::Receiver<Wish>,
}

impl Wishes {
    /// The next wish; `None` once a newer tunnel of the device took over.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Wish>> {
        self.wishes.poll_recv(context)
    }
}

impl Drop for Wishes {
    fn drop(&mut self) {
        let mut table = self.tunnels.table();
        let Some(own) = self.own.upgrade() else {
            return;
        };
        if table
            .get(&self.device)
            .is_some_and(|one| one.same_channel(&own))
        {
            table.remove(&self.device);
        }
    }
}

/// Bytes to and from a device, whatever way they take.
#[derive(Debug)]
pub enum Wire {
    Tcp(TcpStream),
    /// Ends with the tunnel that it is in, which is encrypted.
    Tunnel(DuplexStream),
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tunnel(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tunnel(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::Ipv4Addr;

    use super::*;

    fn port(number: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, number).into()
    }

    async fn wish(wishes: &mut Wishes) -> Option<Wish> {
        poll_fn(|context| wishes.poll_next(context)).await
    }

    #[tokio::test]
    async fn the_newest_tunnel_of_a_device_gets_the_wishes() {
        let tunnels = Tunnels::default();
        let route = tunnels.route("eth0", Some("a"));
        let away = route.connect(port(16992)).await.unwrap_err();
        assert_eq!(away.kind(), io::ErrorKind::NotConnected);
        let mut old = tunnels.open("a");
        let mut new = tunnels.open("a");
        assert!(wish(&mut old).await.is_none());
        // What is over takes nothing of the newer one with it.
        drop(old);
        let asking = tokio::spawn(async move { route.connect(port(16992)).await });
        let wished = wish(&mut new).await.unwrap();
        assert_eq!(wished.port, 16992);
        let (near, _far) = tokio::io::duplex(16);
        wished.reply.send(Ok(near)).unwrap();
        assert!(matches!(asking.await.unwrap(), Ok(Wire::Tunnel(_))));
        drop(new);
        assert!(tunnels.table().is_empty());
    }
}
