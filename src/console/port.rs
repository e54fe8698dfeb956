//! What the owner asks of any port, and where ports are opened. Knows the transports by name only.
//!
//! A new transport is one file in `port/` that implements [`Port`] and [`Control`], and one line in [`Place::open`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::plug::Roots;
use crate::config::{Console, Line, Serial, SolBy, Transport};
use crate::event::Kind;
use crate::line::{LineState, Order};
use crate::pin::Pins;
use crate::supervisor::context::Context;
use crate::tcp::Tunnels;

mod algorithms;
mod amt_sol;
mod firmware;
mod reach;
mod rfc2217;
mod serial;
mod shell;
mod sol;
mod ssh;
mod tcp;

/// Why a port cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Not plugged in, or unplugged this moment.
    #[error("{port} is not there")]
    Gone { port: String },
    /// Over the network: nobody there, or nobody who takes the connection.
    #[error("{port}: {why}")]
    Unreached { port: String, why: String },
    /// Over the network: there, but it does not let us in.
    #[error("{port}: {why}")]
    Refused { port: String, why: String },
    /// The host shows another key than the one that is trusted. `what` is its name among the pins.
    #[error(
        "{port} has another host key, {found}, than the trusted {pinned}; {}",
        remedy(what, *.by_config)
    )]
    Distrusted {
        port: String,
        what: String,
        /// Trusted because oobd.toml says so, not because it was seen first.
        by_config: bool,
        pinned: String,
        found: String,
    },
    #[error("{port} is used by another program")]
    Busy { port: String },
    /// Over the network: there, and somebody else has it for now, maybe a session of ours that broke off.
    #[error("{port}: {why}")]
    Taken { port: String, why: String },
    #[error("{port} is no serial port")]
    NotATty { port: String },
    #[error("{port} does not do {what}")]
    Unsupported { port: String, what: String },
    #[error("cannot {what} {port}")]
    Io {
        port: String,
        what: &'static str,
        source: io::Error,
    },
}

impl Error {
    /// The event that tells of it, besides that the port is lost.
    #[must_use]
    pub(super) fn event(&self) -> Option<Kind> {
        match self {
            Self::Distrusted {
                what,
                pinned,
                found,
                ..
            } => Some(Kind::PinMismatch {
                what: what.clone(),
                pinned: pinned.clone(),
                found: found.clone(),
            }),
            _ => None,
        }
    }

    /// Is the port away, rather than there and unusable?
    #[must_use]
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::Unreached { .. })
    }
}

fn remedy(what: &str, by_config: bool) -> &'static str {
    match (by_config, what.starts_with("tls ")) {
        (true, true) => "`pin` in oobd.toml says which",
        (true, false) => "`host_key` in oobd.toml says which",
        (false, _) => "if the host has a new one, `oobctl console trust` accepts it",
    }
}

/// What one turn did.
#[derive(Debug)]
pub(super) enum Moved {
    /// So many bytes came into the buffer; at least one.
    Read(usize),
    /// The port took so many bytes of the output.
    Wrote(usize),
    /// The far side told how the line stands now. `cable` in it means nothing: the owner judges that.
    Told(LineState),
    /// The port is gone, for this reason. Drop it at once.
    Lost(String),
}

/// What an order or a break comes to.
pub(super) type Doing<T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send>>;
/// A port that is being opened. Dropping it gives up.
pub(super) type Opening = Doing<Box<dyn Port>>;

/// An open port. Dropping it closes at once and discards what the device did not take.
pub(super) trait Port: Send {
    /// Moves bytes once: from `output` to the port, or from the port to `input`, the latter only when `read` says so.
    ///
    /// Ready with something done, or pending with nothing moved, so that a turn that is cancelled loses nothing. A
    /// transport that has words of its own to send (answers, orders) does so here, whatever `output` holds.
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved>;

    /// A handle for orders, which are carried out beside the owner while turns go on. It fails once the port is dropped.
    ///
    /// # Errors
    /// No descriptors left.
    fn control(&self) -> Result<Arc<dyn Control>, Error>;

    /// How the line stands, just opened.
    fn state(&self) -> LineState;

    /// What a person should know of this open port, if anything, as in `the driver rounds to 9615 baud`.
    fn remark(&self) -> Option<String> {
        None
    }

    /// What is to be journaled now that the port is open.
    fn events(&mut self) -> Vec<Kind> {
        Vec::new()
    }

    /// Throws away what was handed over and has not left yet.
    fn discard_output(&mut self);
}

impl dyn Port {
    /// As [`Port::poll_turn`]. Cancel-safe.
    pub(super) async fn turn(&mut self, input: &mut [u8], output: &[u8], read: bool) -> Moved {
        poll_fn(|context| self.poll_turn(context, input, output, read)).await
    }
}

/// Carries out orders on an open port. One at a time: the owner waits for an answer before the next.
pub(super) trait Control: Send + Sync {
    /// Carries out one order; the answer tells what is in effect, `cable` left alone. Ends by itself within
    /// [`ORDER_LIMIT`], also when the far side never answers.
    fn apply(&self, order: Order) -> Doing<LineState>;

    /// Sends a break that the far side times. `None` where a break is begun and ended by [`Order::Break`].
    fn timed_break(&self, _length: Duration) -> Option<Doing<()>> {
        None
    }
}

/// Longest an order may take: a USB adapter that hangs, a terminal server that does not answer.
pub(super) const ORDER_LIMIT: Duration = Duration::from_secs(5);

/// What a transport with sign-in needs besides: whom it trusts, and where its tasks run.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pins: Pins,
    tracker: TaskTracker,
}

/// How a line stands of which nothing is known.
fn standing() -> LineState {
    LineState {
        dtr: true,
        rts: true,
        ..LineState::default()
    }
}

/// Where the port of a console is, and what opening it takes.
#[derive(Clone, Debug)]
pub(super) struct Place {
    transport: Transport,
    trust: Trust,
    /// The interface that consoles on other hosts are reached by.
    lan: Arc<str>,
    /// Those of machines that call in.
    tunnels: Tunnels,
    roots: Arc<Roots>,
}

impl Place {
    #[must_use]
    pub(super) fn new(
        console: &Console,
        (lan, tunnels): (&str, Tunnels),
        roots: Arc<Roots>,
        context: &Context,
    ) -> Self {
        Self {
            transport: console.transport.clone(),
            trust: Trust {
                pins: Pins::new(&context.dirs.state),
                tracker: context.tracker.clone(),
            },
            lan: lan.into(),
            tunnels,
            roots,
        }
    }

    /// Begins to open it. Every transport has one line here. `attended`: somebody is attached.
    #[must_use]
    pub(super) fn open(&self, attended: bool) -> Opening {
        match self.transport.clone() {
            Transport::Serial(config) => {
                Box::pin(serial::open(config, self.roots.clone(), attended))
            }
            Transport::Tcp { address } => {
                Box::pin(tcp::open(self.to_string(), self.lan.clone(), address))
            }
            Transport::Rfc2217 { address, line } => {
                let lan = self.lan.clone();
                Box::pin(rfc2217::open(self.to_string(), lan, address, line))
            }
            Transport::Ssh(wanted) => {
                let (lan, trust) = (self.lan.clone(), self.trust.clone());
                Box::pin(ssh::open(self.to_string(), lan, trust, wanted))
            }
            Transport::Sol(wanted) => {
                let (port, lan) = (self.to_string(), self.lan.clone());
                match wanted.by {
                    SolBy::Ipmi(ipmi) => Box::pin(sol::open(port, lan, ipmi, wanted.take_over)),
                    SolBy::Amt(amt) => {
                        let pins = self.trust.pins.clone();
                        let route = self.tunnels.route(&lan, amt.caller());
                        Box::pin(amt_sol::open(port, route, pins, wanted.machine, amt))
                    }
                }
            }
        }
    }

    /// Trusts this fingerprint from now on, and then opens. `what` as [`Error::Distrusted`] names it.
    #[must_use]
    pub(super) fn trust(&self, what: String, fingerprint: String) -> Opening {
        let place = self.clone();
        Box::pin(async move {
            let pins = place.trust.pins.clone();
            let pinned = tokio::task::spawn_blocking(move || pins.set(&what, &fingerprint));
            let pinned = pinned.await.map_err(io::Error::other).flatten();
            pinned.map_err(|source| Error::Io {
                port: place.to_string(),
                what: "keep the host key of",
                source,
            })?;
            place.open(false).await
        })
    }

    /// The settings asked for; `None` where the transport has no such thing.
    #[must_use]
    pub(super) fn line(&self) -> Option<Line> {
        match &self.transport {
            Transport::Serial(serial) => Some(serial.line),
            Transport::Rfc2217 { line, .. } => Some(*line),
            Transport::Tcp { .. } | Transport::Ssh(_) | Transport::Sol(_) => None,
        }
    }

    /// Is it on another host? Trying costs the LAN packets then, and the other end a process.
    #[must_use]
    pub(super) fn is_remote(&self) -> bool {
        self.transport.is_remote()
    }

    /// What only a tty has.
    #[must_use]
    pub(super) fn serial(&self) -> Option<&Serial> {
        match &self.transport {
            Transport::Serial(serial) => Some(serial),
            Transport::Tcp { .. }
            | Transport::Rfc2217 { .. }
            | Transport::Ssh(_)
            | Transport::Sol(_) => None,
        }
    }
}

/// As events and the state name the port.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Serial(serial) => write!(f, "{}", serial.port),
            Transport::Tcp { address } => write!(f, "tcp://{address}"),
            Transport::Rfc2217 { address, .. } => write!(f, "rfc2217://{address}"),
            Transport::Ssh(wanted) => write!(f, "ssh://{}@{}", wanted.user, wanted.address),
            Transport::Sol(wanted) => write!(f, "sol://{}", wanted.machine),
        }
    }
}
