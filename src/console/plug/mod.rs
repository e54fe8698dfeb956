//! Which serial ports are plugged in, and where: hears the kernel, looks for itself, wakes who misses one. Opens none.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep_until, timeout};

use crate::clock::Instant;
use crate::command::{Ask, Refusal};
use crate::fact::{Fact, SerialPort};
use crate::supervisor::context::Context;

pub(super) mod sysfs;
mod uevent;

pub use sysfs::Roots;
use uevent::Listener;

/// After the kernel's word: udev has made its links by then, and a hub has named all of its ports.
const SETTLE: Duration = Duration::from_millis(200);
/// Words get lost when a whole hub comes; what is there now is what counts.
const RESCAN: Duration = Duration::from_secs(30);
/// Without a socket to hear the kernel.
const RESCAN_DEAF: Duration = Duration::from_secs(3);
/// sysfs answers from memory, but for strings that a hanging adapter is asked for.
const SCAN_LIMIT: Duration = Duration::from_secs(10);

/// What consoles share of the ports that are plugged in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plugs {
    pub(super) roots: Arc<Roots>,
    /// Counts the moments at which a port may have come.
    changes: watch::Sender<u64>,
}

impl Plugs {
    #[must_use]
    pub fn new(roots: Roots) -> Self {
        Self {
            roots: Arc::new(roots),
            changes: watch::Sender::new(0),
        }
    }

    /// Wakes whenever a port may have come. A slow reader sees one change, not each.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Something was plugged in: whoever misses a port looks for it now.
    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Why the listener ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("nobody can ask about serial ports any more")]
    Channel,
    #[error("cannot hear of serial ports from the kernel")]
    Socket(#[source] io::Error),
}

/// Follows what is plugged in until it is stopped.
///
/// # Errors
/// [`Error`]; the supervisor starts it anew. Consoles look for their ports meanwhile, only less soon.
pub async fn run(mut context: Context, plugs: Plugs) -> Result<(), Error> {
    let mut listener = match Listener::open() {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::warn!(%error, "cannot hear of serial ports from the kernel: looking every 3 s");
            None
        }
    };
    let every = if listener.is_some() {
        RESCAN
    } else {
        RESCAN_DEAF
    };
    let mut pulse = context.pulse.clone();
    let mut known: Option<Vec<SerialPort>> = None;
    let mut due = Instant::now();
    loop {
        tokio::select! {
            // cancel-safe per docs on CancellationToken::cancelled()
            () = context.stop.cancelled() => return Ok(()),
            // cancel-safe per docs on Pulse::beat()
            () = pulse.beat() => {}
            // cancel-safe as Listener::next() says
            heard = hear(listener.as_mut()) => {
                heard.map_err(Error::Socket)?;
                // The device file is there already; the links and the rest of the hub come a little later.
                plugs.changed();
                due = due.min(Instant::now() + SETTLE);
            }
            // cancel-safe: a timer has nothing to lose
            () = sleep_until(due) => {
                due = Instant::now() + every;
                let found = look(&plugs).await;
                if found.is_some() && found != known {
                    known.clone_from(&found);
                    plugs.changed();
                    context.observe(Fact::SerialPorts(found.unwrap_or_default()));
                }
            }
            // cancel-safe per docs on Receiver::recv()
            ask = context.asks.recv() => match ask {
                Some(ask) => refuse(ask),
                None => return Err(Error::Channel),
            },
        }
    }
}

async fn hear(listener: Option<&mut Listener>) -> io::Result<()> {
    match listener {
        Some(listener) => listener.next().await,
        None => std::future::pending().await,
    }
}

async fn look(plugs: &Plugs) -> Option<Vec<SerialPort>> {
    let roots = plugs.roots.clone();
    let scan = tokio::task::spawn_blocking(move || sysfs::scan(&roots));
    timeout(SCAN_LIMIT, scan).await.ok()?.ok()
}

/// No command leads here.
fn refuse(ask: Ask) {
    let refusal = Refusal::Unknown {
        what: "such a thing to ask of the serial ports".into(),
    };
    // The asker may have left.
    match ask {
        Ask::Command { reply, .. } => drop(reply.send(Err(refusal))),
        Ask::Attach { reply, .. } => drop(reply.send(Err(refusal))),
    }
}
