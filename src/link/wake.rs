//! Says that something changed in the kernel's network configuration. Never says what: whoever is woken reads
//! everything again, so a message lost in an overrun (ENOBUFS) costs nothing.

use std::io;

use futures::FutureExt;
use netlink_proto::sys::protocols::{NETLINK_NETFILTER, NETLINK_ROUTE};
use netlink_proto::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use rtnetlink::MulticastGroup;

use super::Error;
use super::netlink::socket_error;

/// `NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h.
const NFTABLES_GROUP: u32 = 7;
/// Bytes the kernel may keep for us; a storm beyond that is an overrun.
const RECEIVE_BUFFER: usize = 1 << 20;
/// Messages taken at one go, so that a storm cannot hold the task for ever.
const AT_ONCE: usize = 4096;

pub(super) struct Wake {
    socket: TokioSocket,
    buffer: Vec<u8>,
}

impl Wake {
    /// # Errors
    /// [`Error::Socket`].
    pub(super) fn routing(groups: &[MulticastGroup]) -> Result<Self, Error> {
        let groups: Vec<u32> = groups.iter().map(|group| *group as u32).collect();
        Self::open(NETLINK_ROUTE, &groups).map_err(socket_error("a routing event socket"))
    }

    /// # Errors
    /// [`Error::Socket`].
    pub(super) fn nftables() -> Result<Self, Error> {
        Self::open(NETLINK_NETFILTER, &[NFTABLES_GROUP])
            .map_err(socket_error("an nftables event socket"))
    }

    fn open(protocol: isize, groups: &[u32]) -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocol)?;
        let inner = socket.socket_mut();
        inner.set_rx_buf_sz(RECEIVE_BUFFER)?;
        inner.bind(&SocketAddr::new(0, 0))?;
        for group in groups {
            inner.add_membership(*group)?;
        }
        Ok(Self {
            socket,
            buffer: Vec::with_capacity(8192),
        })
    }

    /// Waits for a change and swallows all that is known by then. Cancel-safe: what a cancelled call has swallowed
    /// was there before the caller looked, or wakes nobody who does not look again anyway.
    ///
    /// # Errors
    /// [`Error::Socket`] when the socket is of no more use.
    pub(super) async fn changed(&mut self) -> Result<(), Error> {
        self.receive().await?;
        for _ in 0..AT_ONCE {
            match self.receive().now_or_never() {
                None => break,
                Some(outcome) => outcome?,
            }
        }
        Ok(())
    }

    async fn receive(&mut self) -> Result<(), Error> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer).await {
            Ok(()) => Ok(()),
            // The overrun itself is the news.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                tracing::info!("kernel events were lost, everything is read again");
                Ok(())
            }
            Err(error) => Err(socket_error("an event socket")(error)),
        }
    }
}
