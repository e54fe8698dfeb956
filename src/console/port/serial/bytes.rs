//! Bytes over an open tty. Sets nothing, and never drains: a device that holds us off would hold the executor.
//!
//! A read that fills less than half of what it could has emptied the tty, so readiness is given up at once and the next byte's
//! edge brings it back: a busy line costs one read for each burst, where a second one would only say EAGAIN. A longer read may
//! have met a line discipline that was full (it holds 4095 bytes): what waits behind it comes in with the next read, and
//! not always with an edge.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::unistd;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

use crate::console::tty;

/// An open tty that does not block.
#[derive(Debug)]
pub(super) struct Tty(AsyncFd<OwnedFd>);

impl Tty {
    /// # Errors
    /// The runtime cannot watch the descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        tty::watch(fd).map(Self)
    }

    /// Reads what is there; 0 when the far end is gone.
    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let guard = ready!(self.0.poll_read_ready(context))?;
            let whole = buffer.len();
            if let Some(done) = settle(guard, unistd::read(&self.0, buffer), whole) {
                return Poll::Ready(done);
            }
        }
    }

    /// Writes what the tty takes.
    pub(super) fn poll_write(
        &self,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let guard = ready!(self.0.poll_write_ready(context))?;
            if let Some(done) = settle(guard, unistd::write(&self.0, data), 0) {
                return Poll::Ready(done);
            }
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// What a call came to; `None` to try again. Fewer bytes than half of `whole`, but some: there is no more at present.
fn settle(
    mut guard: AsyncFdReadyGuard<'_, OwnedFd>,
    called: nix::Result<usize>,
    whole: usize,
) -> Option<io::Result<usize>> {
    match called {
        Ok(count) => {
            if count > 0 && count < whole / 2 {
                guard.clear_ready();
            }
            Some(Ok(count))
        }
        Err(Errno::EAGAIN) => {
            guard.clear_ready();
            None
        }
        Err(Errno::EINTR) => None,
        Err(error) => Some(Err(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    use std::time::Duration;

    use nix::libc;
    use proptest::prelude::*;
    use serialport::{SerialPort, TTYPort};
    use tokio::time::timeout;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

        /// An edge that is missed would leave bytes in the tty until the next ones come; here none come after the last.
        #[test]
        fn the_last_byte_arrives_whatever_the_pieces(pieces in prop::collection::vec(1..5000_usize, 1..60), room in 1..4097_usize) {
            let (mut master, slave) = TTYPort::pair().unwrap();
            master.set_timeout(Duration::from_secs(10)).unwrap();
            let path = slave.name().unwrap();
            let total: usize = pieces.iter().sum();
            let device = std::thread::spawn(move || {
                for piece in pieces {
                    master.write_all(&vec![b'x'; piece]).unwrap();
                }
                master
            });
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let got = runtime.block_on(async {
                let file = std::fs::OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path).unwrap();
                let tty = Tty::new(file.into()).unwrap();
                let (mut got, mut buffer) = (0, vec![0; room]);
                while got < total {
                    let read = poll_fn(|context| tty.poll_read(context, &mut buffer));
                    match timeout(Duration::from_secs(10), read).await {
                        Ok(read) => got += read.unwrap(),
                        Err(_) => break,
                    }
                }
                got
            });
            drop(device.join().unwrap());
            prop_assert_eq!(got, total);
        }
    }
}
