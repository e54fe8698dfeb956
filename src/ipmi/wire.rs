//! The socket to one BMC, bound to the LAN, and how patient we are with it. Understands no packet.

use std::io;
use std::net::SocketAddr;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::error::Error;
use super::packet::LONGEST;
use crate::clock::Instant;
use crate::tcp;

/// How patient we are.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How often a question is sent before it counts as unanswered; at least once.
    pub tries: u32,
    /// How long the first try waits; each further one half as long again.
    pub first: Duration,
    /// How long a busy BMC is left alone before it is asked again; each time so much longer.
    pub pause: Duration,
}

impl Default for Limits {
    /// Four tries in eight seconds.
    fn default() -> Self {
        Self {
            tries: 4,
            first: Duration::from_secs(1),
            pause: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// How long this try (from 0) waits.
    #[must_use]
    pub fn wait(&self, attempt: u32) -> Duration {
        let grown = |wait: Duration| wait.saturating_add(wait / 2);
        (0..attempt.min(16)).fold(self.first, |wait, _| grown(wait))
    }

    /// How long all tries wait together.
    #[must_use]
    pub fn whole(&self) -> Duration {
        (0..self.tries.clamp(1, 16)).map(|at| self.wait(at)).sum()
    }
}

/// An open socket.
#[derive(Debug)]
pub(super) struct Wire {
    socket: UdpSocket,
    pub(super) bmc: SocketAddr,
    pub(super) limits: Limits,
    buffer: Vec<u8>,
}

impl Wire {
    /// Bound to `interface`.
    ///
    /// # Errors
    /// [`Error::Unreached`].
    pub(super) async fn open(
        interface: &str,
        bmc: SocketAddr,
        limits: Limits,
    ) -> Result<Self, Error> {
        let socket = tcp::connect_udp(interface, bmc).await;
        let socket = socket.map_err(|source| Error::Unreached { bmc, source })?;
        Ok(Self {
            socket,
            bmc,
            limits,
            buffer: vec![0; LONGEST],
        })
    }

    fn unreached(&self, source: io::Error) -> Error {
        Error::Unreached {
            bmc: self.bmc,
            source,
        }
    }

    /// Sends at once or not at all: what the kernel has no room for counts as lost on the way.
    ///
    /// # Errors
    /// [`Error::Unreached`].
    pub(super) fn send(&self, datagram: &[u8]) -> Result<(), Error> {
        match self.socket.try_send(datagram) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(self.unreached(error)),
        }
    }

    /// Waits for a datagram that `pick` takes; `None` when none came in time. Cancel-safe: a datagram that was not looked
    /// at stays in the socket.
    ///
    /// # Errors
    /// [`Error::Unreached`].
    pub(super) async fn hear<T>(
        &mut self,
        until: Instant,
        mut pick: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        loop {
            let Ok(heard) = timeout_at(until, self.socket.recv(&mut self.buffer)).await else {
                return Ok(None);
            };
            let count = heard.map_err(|error| self.unreached(error))?;
            if let Some(found) = pick(self.buffer.get(..count).unwrap_or_default()) {
                return Ok(Some(found));
            }
        }
    }

    /// The next datagram, for those who poll.
    pub(super) fn poll_hear(
        &mut self,
        context: &mut task::Context<'_>,
    ) -> Poll<Result<&[u8], Error>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        let count = match self.socket.poll_recv(context, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) => buffer.filled().len(),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.unreached(error))),
        };
        Poll::Ready(Ok(self.buffer.get(..count).unwrap_or_default()))
    }

    /// Asks with the same datagram until `pick` takes an answer.
    ///
    /// # Errors
    /// [`Error::NoAnswer`], [`Error::Unreached`].
    pub(super) async fn ask<T>(
        &mut self,
        what: &'static str,
        datagram: &[u8],
        mut pick: impl FnMut(&[u8]) -> Option<T>,
    ) -> Result<T, Error> {
        for attempt in 0..self.limits.tries.max(1) {
            self.send(datagram)?;
            let until = Instant::now() + self.limits.wait(attempt);
            if let Some(found) = self.hear(until, &mut pick).await? {
                return Ok(found);
            }
        }
        Err(Error::NoAnswer {
            bmc: self.bmc,
            what,
        })
    }
}
