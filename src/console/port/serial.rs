//! A tty as a port: bytes by tokio-serial, orders by ioctl on the blocking pool. Never flushes, never shuts down.
//!
//! tokio-serial's `flush` and `shutdown` call `tcdrain` on the executor, which stands still for as long as the device
//! holds us off; its `readable` never clears readiness. Only `poll_read` and `poll_write` are used.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_serial::SerialStream;

use super::{Control, Doing, Error, Moved, Port};
use crate::config::Line;
use crate::console::tty;
use crate::line::{LineState, Order};

struct Serial {
    port: String,
    stream: SerialStream,
    /// Baud rate in effect when the driver rounded it.
    rounded: Option<u32>,
    state: LineState,
}

/// Opens on the blocking pool, because a USB adapter may take seconds.
///
/// # Errors
/// [`Error`].
pub(super) async fn open(path: PathBuf, line: Line) -> Result<Box<dyn Port>, Error> {
    let port = path.display().to_string();
    // Device files live in memory: looking for one never blocks, opening it may.
    if let Err(error) = std::fs::metadata(&path)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Err(Error::Gone { port });
    }
    let io = |source| Error::Io {
        port: port.clone(),
        what: "open",
        source,
    };
    let opening = move || tty::open(&path, line);
    let opened = tokio::task::spawn_blocking(opening)
        .await
        .map_err(|error| io(io::Error::other(error)))??;
    let stream = SerialStream::try_from(opened.port).map_err(|error| io(error.into()))?;
    let rounded = opened.baud_in_effect;
    let baud = rounded.unwrap_or(line.baud);
    Ok(Box::new(Serial {
        port,
        stream,
        rounded,
        state: LineState {
            line: Line { baud, ..line },
            dtr: true,
            rts: true,
            ..LineState::default()
        },
    }))
}

impl Port for Serial {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
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
    }

    /// A second descriptor of the same open port. Drop it as soon as the port is lost.
    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        let fd = tty::borrow(&self.stream).try_clone_to_owned();
        let fd = fd.map_err(|source| Error::Io {
            port: self.port.clone(),
            what: "control",
            source,
        })?;
        Ok(Arc::new(Wires {
            port: self.port.clone(),
            fd: Arc::new(fd),
            state: self.state.clone(),
        }))
    }

    fn state(&self) -> LineState {
        self.state.clone()
    }

    fn remark(&self) -> Option<String> {
        let baud = self.rounded?;
        Some(format!("the driver rounds to {baud} baud"))
    }

    fn discard_output(&mut self) {
        tty::discard_output(tty::borrow(&self.stream));
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        // Else close may wait up to 30 s for a device that holds us off (closing_wait of the serial core).
        self.discard_output();
    }
}

/// Orders on the descriptor. The ioctls run on the blocking pool: on a USB adapter each is a transfer that may take seconds.
struct Wires {
    port: String,
    fd: Arc<OwnedFd>,
    state: LineState,
}

impl Control for Wires {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let (port, fd, state) = (self.port.clone(), self.fd.clone(), self.state.clone());
        Box::pin(async move {
            let Order::Break(on) = order else {
                let what = format!("what was asked while it runs: {order}");
                return Err(Error::Unsupported { port, what });
            };
            let held = tokio::task::spawn_blocking(move || tty::hold_break(fd.as_fd(), on))
                .await
                .map_err(io::Error::other)
                .flatten();
            held.map_err(|source| Error::Io {
                port,
                what: "send a break on",
                source,
            })?;
            let breaking = on;
            Ok(LineState { breaking, ..state })
        })
    }
}

fn lost(error: &io::Error) -> Moved {
    match error.raw_os_error() {
        Some(libc::EIO | libc::ENXIO | libc::ENODEV) => Moved::Lost("it was unplugged".into()),
        _ => Moved::Lost(error.to_string()),
    }
}
