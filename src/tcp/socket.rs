//! TCP under the door: the listener, socket options that find dead peers, and a stream that can be cut. Never reads a byte.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 512;
/// A peer that acknowledges nothing (or takes nothing) for this long is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes written and not sent yet, past which a connection takes no more.
const UNSENT: u32 = 128 * 1024;
/// Pause after an accept error (no descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Listens on every address, IPv6 and IPv4 in one socket; on IPv4 alone where the kernel has no IPv6. Port 0 takes a free one.
///
/// # Errors
/// What the kernel says, such as `AddrInUse` and `PermissionDenied`.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let both = bind(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, port).into());
    let socket = match both {
        Err(e)
            if e.kind() == io::ErrorKind::AddrInUse
                || e.kind() == io::ErrorKind::PermissionDenied =>
        {
            return Err(e);
        }
        Err(_) => bind(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into())?,
        Ok(socket) => socket,
    };
    TcpListener::from_std(socket.into())
}

/// What the listener answers on, for people.
#[must_use]
pub fn address(listener: &TcpListener, port: u16) -> String {
    let address = listener.local_addr();
    address.map_or_else(|_| port.to_string(), |address| address.to_string())
}

/// The next connection, IPv4 peers as IPv4. An error (no descriptors left) is logged and waited out.
///
/// Cancel-safe: a connection that is not taken stays in the backlog.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, canonical(peer)),
            Err(error) => {
                tracing::warn!("cannot accept: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn bind(domain: Domain, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Small packets at once; a peer that vanished without a word is found within a minute.
///
/// # Errors
/// When the connection is gone already.
pub fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Keeps what a client has not asked for yet out of the kernel, where it could be 4 MiB: for doors that resume a stream or
/// skip what is old.
///
/// # Errors
/// When the connection is gone already.
pub fn keep_unsent_short(stream: &TcpStream) -> io::Result<()> {
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)
}

/// IPv4 peers of the dual-stack socket as IPv4.
fn canonical(peer: SocketAddr) -> SocketAddr {
    SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

/// A stream whose reads and writes fail once it is cut. russh's session task cannot be stopped from outside; this ends it.
#[derive(Debug)]
pub struct Cuttable {
    stream: TcpStream,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    token: CancellationToken,
}

impl Cuttable {
    /// `token` cuts it.
    #[must_use]
    pub fn new(stream: TcpStream, token: CancellationToken) -> Self {
        Self {
            stream,
            cut: Box::pin(token.clone().cancelled_owned()),
            token,
        }
    }

    /// Has the far side told at once, by a reset, when this is dropped: for a peer that says nothing any more, and would hold on.
    pub fn reset_at_end(&self) {
        // A socket that is gone needs no more.
        let _ = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
    }

    /// Registers for the cut, too.
    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.token.is_cancelled() || self.cut.as_mut().poll(cx).is_ready()
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "cut off")
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(gone()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(gone()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(gone()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn both_families_reach_the_one_listener() {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert!(canonical(peer).is_ipv4());
        let taken = listen(port).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_cut_ends_a_waiting_read() {
        let listener = listen(0).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        prepare(&stream).unwrap();
        let token = CancellationToken::new();
        let mut stream = Cuttable::new(stream, token.clone());
        let read = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;
        token.cancel();
        let error = read.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}
