//! Bytes over an open tty. Sets nothing, and never drains: a device that holds us off would hold the executor.
//!
//! A read that fills less than half of what it could has emptied the tty, so readiness is given up at once and the next byte's
//! edge brings it back: a busy line costs one read for each burst, where a second one would only say EAGAIN. A longer read may
//! have met a line discipline that was full (it holds 4095 bytes): what waits behind it comes in with the next read, and
//! not always with an edge.
//!
//! A tty tells after every byte it has sent that it has room again. Only a write that met a full tty listens to that: else each
//! key typed would wake the executor twice.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};

use nix::errno::Errno;
use nix::unistd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::console::tty;

/// An open tty that does not block.
#[derive(Debug)]
pub(super) struct Tty {
    /// Watched for what comes.
    fd: AsyncFd<OwnedFd>,
    /// A second descriptor, watched for room; there while what was handed over last is not all taken.
    full: Option<AsyncFd<OwnedFd>>,
}

impl Tty {
    /// # Errors
    /// The runtime cannot watch the descriptor.
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        let fd = tty::watch(fd, Interest::READABLE)?;
        Ok(Self { fd, full: None })
    }

    /// Reads what is there; 0 when the far end is gone.
    pub(super) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.fd.poll_read_ready(context))?;
            if let Some(read) = called(|| unistd::read(&self.fd, buffer)) {
                if matches!(read, Ok(count) if count > 0 && count < buffer.len() / 2) {
                    guard.clear_ready();
                }
                return Poll::Ready(read);
            }
            guard.clear_ready();
        }
    }

    /// Writes what the tty takes.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            // While it is full, nothing is tried before it says that it is not.
            let room = match &self.full {
                Some(full) => Some(ready!(full.poll_write_ready(context))?),
                None => None,
            };
            match (called(|| unistd::write(&self.fd, data)), room) {
                (Some(written), _) => {
                    if matches!(written, Ok(count) if count == data.len()) {
                        self.full = None;
                    }
                    return Poll::Ready(written);
                }
                (None, Some(mut room)) => room.clear_ready(),
                (None, None) => {
                    let fd = self.fd.as_fd().try_clone_to_owned()?;
                    self.full = Some(tty::watch(fd, Interest::WRITABLE)?);
                }
            }
        }
    }
}

impl AsFd for Tty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a call came to; `None` when it would have had to wait.
fn called(mut call: impl FnMut() -> nix::Result<usize>) -> Option<io::Result<usize>> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return None,
            done => return Some(done.map_err(io::Error::from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::{Read, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::task::Waker;
    use std::time::Duration;

    use nix::libc;
    use proptest::prelude::*;
    use serialport::{SerialPort, TTYPort};
    use tokio::time::timeout;

    use super::*;

    fn opened(path: &str) -> Tty {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true);
        let file = options.custom_flags(libc::O_NONBLOCK).open(path).unwrap();
        Tty::new(file.into()).unwrap()
    }

    /// What is written here goes out whole, and the tty is watched for room only while it has none.
    #[tokio::test]
    async fn a_tty_that_is_full_takes_the_rest_as_soon_as_it_can() {
        let (mut master, slave) = TTYPort::pair().unwrap();
        master.set_timeout(Duration::from_secs(10)).unwrap();
        let mut tty = opened(&slave.name().unwrap());
        let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
        let mut rest = &sent[..];
        // Nobody reads yet.
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(done) = tty.poll_write(&mut context, rest) {
            rest = &rest[done.unwrap()..];
        }
        assert!(tty.full.is_some() && rest.len() > 100_000);
        let total = sent.len();
        let device = std::thread::spawn(move || {
            let mut got = vec![0; total];
            for piece in got.chunks_mut(777) {
                master.read_exact(piece).unwrap();
            }
            got
        });
        while !rest.is_empty() {
            let write = poll_fn(|context| tty.poll_write(context, rest));
            let done = timeout(Duration::from_secs(10), write).await.unwrap();
            rest = &rest[done.unwrap()..];
        }
        assert!(tty.full.is_none());
        assert_eq!(device.join().unwrap(), sent);
    }

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
                let tty = opened(&path);
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
