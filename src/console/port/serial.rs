//! A tty as a port: bytes as they come, orders by ioctl on the blocking pool. Never drains.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{self, Poll};

use tokio::sync::watch;
use tokio::time::timeout;

use super::{Control, Doing, Error, Moved, ORDER_LIMIT, Port};
use crate::config::{self, Dtr, Line, PortName};
use crate::console::plug::{Roots, sysfs};
use crate::console::tty;
use crate::console::wires::{self, Output};
use crate::line::{BAUDS, Flow, LineState, Order};

mod bytes;
mod sense;

use bytes::Tty;
use sense::Sense;

struct Serial {
    port: String,
    config: config::Serial,
    tty: Tty,
    /// Baud rate in effect when the driver rounded it.
    rounded: Option<u32>,
    /// Changed by orders and by what is sensed.
    state: Arc<watch::Sender<LineState>>,
    /// Looks at the wires; `None` where there are none.
    sense: Option<Sense>,
}

/// Opens on the blocking pool, because a USB adapter may take seconds. `attended`: somebody is attached.
///
/// # Errors
/// [`Error`].
pub(super) async fn open(
    config: config::Serial,
    roots: Arc<Roots>,
    attended: bool,
) -> Result<Box<dyn Port>, Error> {
    let port = config.port.to_string();
    let io = |source| Error::Io {
        port: port.clone(),
        what: "open",
        source,
    };
    let dtr = match config.dtr {
        Dtr::On => true,
        Dtr::Session => attended,
        Dtr::Off => false,
    };
    let name = config.port.clone();
    let (line, named) = (config.line, port.clone());
    let opening = move || {
        // Device files live in memory: looking for one costs little.
        let path = locate(&name, &roots).ok_or(Error::Gone { port: named })?;
        tty::open(&path, line, dtr)
    };
    let opened = tokio::task::spawn_blocking(opening)
        .await
        .map_err(|error| io(io::Error::other(error)))??;
    let tty = Tty::new(opened.fd).map_err(io)?;
    let (rounded, reading) = (opened.baud_in_effect, opened.reading);
    let baud = rounded.unwrap_or(line.baud);
    let state = LineState {
        line: Line { baud, ..line },
        dtr,
        rts: true,
        signals: reading.signals,
        faults: reading.counts.map(|counts| counts.since(counts)),
        ..LineState::default()
    };
    let fd = tty.as_fd().try_clone_to_owned().map_err(io)?;
    Ok(Box::new(Serial {
        port,
        config,
        tty,
        rounded,
        state: Arc::new(watch::Sender::new(state)),
        sense: Sense::new(fd, reading),
    }))
}

fn locate(name: &PortName, roots: &Roots) -> Option<PathBuf> {
    match name {
        PortName::Path(path) => Some(path.clone()),
        PortName::Usb(position) => sysfs::find(roots, position),
    }
}

impl Port for Serial {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        if let Some(sense) = &mut self.sense
            && let Poll::Ready((signals, faults)) = sense.poll_news(context)
        {
            self.state.send_modify(|state| {
                state.signals = signals;
                state.faults = faults;
            });
            return Poll::Ready(Moved::Told(self.state()));
        }
        if !output.is_empty() {
            match self.tty.poll_write(context, output) {
                Poll::Ready(Ok(count)) => return Poll::Ready(Moved::Wrote(count)),
                Poll::Ready(Err(error)) => return Poll::Ready(lost(&error)),
                Poll::Pending => {}
            }
        }
        if !read {
            return Poll::Pending;
        }
        match self.tty.poll_read(context, input) {
            Poll::Ready(Ok(0)) => Poll::Ready(Moved::Lost("it was unplugged".into())),
            Poll::Ready(Ok(count)) => Poll::Ready(Moved::Read(count)),
            Poll::Ready(Err(error)) => Poll::Ready(lost(&error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// A second descriptor of the same open port. Drop it as soon as the port is lost.
    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        let fd = self.tty.as_fd().try_clone_to_owned();
        let fd = fd.map_err(|source| Error::Io {
            port: self.port.clone(),
            what: "control",
            source,
        })?;
        Ok(Arc::new(Wires {
            port: self.port.clone(),
            home: self.config.clone(),
            fd: Arc::new(fd),
            state: self.state.clone(),
        }))
    }

    fn state(&self) -> LineState {
        self.state.borrow().clone()
    }

    fn remark(&self) -> Option<String> {
        let baud = self.rounded?;
        Some(format!("the driver rounds to {baud} baud"))
    }

    fn discard_output(&mut self) {
        tty::discard_output(self.tty.as_fd());
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
    /// What oobd.toml says.
    home: config::Serial,
    fd: Arc<OwnedFd>,
    state: Arc<watch::Sender<LineState>>,
}

impl Control for Wires {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let (port, fd, state) = (self.port.clone(), self.fd.clone(), self.state.clone());
        let home = self.home.clone();
        let io = |port: String, source| Error::Io {
            port,
            what: "set",
            source,
        };
        Box::pin(async move {
            let (name, shared) = (port.clone(), state.clone());
            let work = tokio::task::spawn_blocking(move || {
                let before = shared.borrow().clone();
                let after = carry_out(&fd, &name, &home, before, order)?;
                shared.send_modify(|state| {
                    state.line = after.line;
                    (state.dtr, state.rts) = (after.dtr, after.rts);
                });
                Ok(())
            });
            match timeout(ORDER_LIMIT, work).await {
                Ok(Ok(done)) => done?,
                Ok(Err(error)) => return Err(io(port, io::Error::other(error))),
                Err(_) => return Err(io(port, io::ErrorKind::TimedOut.into())),
            }
            Ok(state.borrow().clone())
        })
    }
}

/// Does what was ordered, by ioctl. A refused setting leaves the line as it was. A wire that the port does not have is
/// remembered only, so that whoever asks gets an answer.
fn carry_out(
    fd: &OwnedFd,
    port: &str,
    home: &config::Serial,
    before: LineState,
    order: Order,
) -> Result<LineState, Error> {
    let fault = |source| tty::classify(port, "set", source);
    let mut after = before.clone();
    match order {
        Order::Look => {}
        Order::Purge { received, typed } => {
            wires::purge(fd.as_fd(), received, typed).map_err(fault)?;
        }
        Order::Break(on) => {
            tty::hold_break(fd.as_fd(), on)
                .map_err(|source| tty::classify(port, "send a break on", source))?;
        }
        Order::Dtr(on) => {
            wires::drive(fd.as_fd(), Output::Dtr, on).map_err(fault)?;
            after.dtr = on;
        }
        Order::Rts(on) => {
            wires::drive(fd.as_fd(), Output::Rts, on).map_err(fault)?;
            after.rts = on;
        }
        Order::Restore => {
            after.line = set(fd, port, before.line, home.line)?;
            // Of `session` the owner knows whether there is one.
            let dtr = match home.dtr {
                Dtr::On => true,
                Dtr::Off => false,
                Dtr::Session => before.dtr,
            };
            wires::drive(fd.as_fd(), Output::Dtr, dtr).map_err(fault)?;
            wires::drive(fd.as_fd(), Output::Rts, true).map_err(fault)?;
            (after.dtr, after.rts) = (dtr, true);
        }
        Order::Baud(_)
        | Order::DataBits(_)
        | Order::Parity(_)
        | Order::StopBits(_)
        | Order::Flow(_) => {
            let wanted = wanted(before.line, order).ok_or_else(|| Error::Unsupported {
                port: port.to_owned(),
                what: order.to_string().replacen("set ", "", 1),
            })?;
            after.line = set(fd, port, before.line, wanted)?;
            // The driver had RTS; where it was left is its own business.
            if before.line.flow == Flow::RtsCts && wanted.flow != Flow::RtsCts {
                wires::drive(fd.as_fd(), Output::Rts, before.rts).map_err(fault)?;
            }
        }
    }
    Ok(after)
}

/// The settings with one changed; `None` when there is no such setting.
fn wanted(line: Line, order: Order) -> Option<Line> {
    Some(match order {
        Order::Baud(baud) if BAUDS.contains(&baud) => Line { baud, ..line },
        Order::DataBits(data_bits @ 5..=8) => Line { data_bits, ..line },
        Order::Parity(parity) => Line { parity, ..line },
        Order::StopBits(stop_bits @ 1..=2) => Line { stop_bits, ..line },
        Order::Flow(flow) => Line { flow, ..line },
        _ => return None,
    })
}

/// Sets the line, and sets it back when the driver would not; gives what is in effect.
fn set(fd: &OwnedFd, port: &str, before: Line, wanted: Line) -> Result<Line, Error> {
    if wanted == before {
        return Ok(before);
    }
    match tty::set_line(fd.as_fd(), wanted, port) {
        Ok(rounded) => Ok(Line {
            baud: rounded.unwrap_or(wanted.baud),
            ..wanted
        }),
        Err(error) => {
            if let Err(worse) = tty::set_line(fd.as_fd(), before, port) {
                tracing::warn!(%worse, "the line cannot be set back");
            }
            Err(error)
        }
    }
}

fn lost(error: &io::Error) -> Moved {
    match error.raw_os_error() {
        Some(libc::EIO | libc::ENXIO | libc::ENODEV) => Moved::Lost("it was unplugged".into()),
        _ => Moved::Lost(error.to_string()),
    }
}
