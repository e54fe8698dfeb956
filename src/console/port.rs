//! An open serial port as the owner uses it: one future that moves bytes both ways. Never flushes, never shuts down.
//!
//! tokio-serial's `flush` and `shutdown` call `tcdrain` on the executor, which stands still for as long as the device
//! holds us off; its `readable` never clears readiness. Only `poll_read` and `poll_write` are used.

use std::future::poll_fn;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::SerialStream;

use super::tty;
use crate::config::Line;

/// What one turn moved.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes came into the buffer.
    Read(usize),
    /// The port took so many bytes of the output.
    Wrote(usize),
    /// The port is gone: end of file, EIO or another error. Close it at once.
    Lost(String),
}

/// An open port. Dropping it discards what the device did not take and closes at once.
#[derive(Debug)]
pub(super) struct Port {
    stream: SerialStream,
    /// Baud rate in effect when the driver rounded it.
    pub baud_in_effect: Option<u32>,
}

impl Port {
    /// Opens on the blocking pool, because a USB adapter may take seconds.
    ///
    /// # Errors
    /// [`tty::Error`].
    pub(super) async fn open(path: PathBuf, line: Line) -> Result<Self, tty::Error> {
        let port = path.display().to_string();
        let io = |source| tty::Error::Io {
            port: port.clone(),
            what: "open",
            source,
        };
        let opening = move || tty::open(&path, line);
        let opened = tokio::task::spawn_blocking(opening)
            .await
            .map_err(|error| io(io::Error::other(error)))??;
        let stream = SerialStream::try_from(opened.port).map_err(|error| io(error.into()))?;
        Ok(Self {
            stream,
            baud_in_effect: opened.baud_in_effect,
        })
    }

    /// Moves bytes once: from `output` to the port, or from the port to `input` (when `read` says so).
    ///
    /// Cancel-safe: a poll either moves bytes and is ready, or moves none.
    pub(super) async fn turn(&mut self, input: &mut [u8], output: &[u8], read: bool) -> Moved {
        poll_fn(|context| {
            if !output.is_empty() {
                match Pin::new(&mut self.stream).poll_write(context, output) {
                    Poll::Ready(Ok(count)) => return Poll::Ready(Moved::Wrote(count)),
                    Poll::Ready(Err(error)) => return Poll::Ready(lost(&error)),
                    Poll::Pending => {}
                }
            }
            if !read {
                return Poll::Pending;
            }
            let mut buffer = ReadBuf::new(input);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                    Poll::Ready(Moved::Lost("it was unplugged".into()))
                }
                Poll::Ready(Ok(())) => Poll::Ready(Moved::Read(buffer.filled().len())),
                Poll::Ready(Err(error)) => Poll::Ready(lost(&error)),
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// A second descriptor of the same open port, for break on the blocking pool. Drop it as soon as the port is lost.
    ///
    /// # Errors
    /// No descriptors left.
    pub(super) fn control(&self) -> io::Result<OwnedFd> {
        self.fd().try_clone_to_owned()
    }

    /// Throws away what the kernel still holds for the device.
    pub(super) fn discard_output(&self) {
        tty::discard_output(self.fd());
    }

    fn fd(&self) -> BorrowedFd<'_> {
        tty::borrow(&self.stream)
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Else close may wait up to 30 s for a device that holds us off (closing_wait of the serial core).
        self.discard_output();
    }
}

fn lost(error: &io::Error) -> Moved {
    match error.raw_os_error() {
        Some(libc::EIO | libc::ENXIO | libc::ENODEV) => Moved::Lost("it was unplugged".into()),
        _ => Moved::Lost(error.to_string()),
    }
}
