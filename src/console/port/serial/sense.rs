//! Looks at a tty's modem lines and error counters four times a second. Says what is new, judges nothing.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::console::wires::{self, Counts, Reading};
use crate::line::{Faults, Signals};

/// On USB each look is a transfer or two; TIOCMIWAIT would hold a thread per port instead.
const EVERY: Duration = Duration::from_millis(250);

/// A port's eyes. A port that has nothing to see is never looked at again.
#[derive(Debug)]
pub(super) struct Sense {
    fd: Arc<OwnedFd>,
    every: Interval,
    /// One look at a time: an adapter that hangs holds one thread, not more and more.
    looking: Option<JoinHandle<io::Result<Reading>>>,
    /// As the port was opened.
    base: Option<Counts>,
    last: Reading,
}

impl Sense {
    /// `None` when the first reading shows that there is nothing to see.
    pub(super) fn new(fd: OwnedFd, first: Reading) -> Option<Self> {
        if first == Reading::default() {
            return None;
        }
        let mut every = interval(EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Self {
            fd: Arc::new(fd),
            every,
            looking: None,
            base: first.counts,
            last: first,
        })
    }

    /// Ready when a line or a counter has changed.
    pub(super) fn poll_news(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<(Option<Signals>, Option<Faults>)> {
        loop {
            let Some(looking) = &mut self.looking else {
                ready!(self.every.poll_tick(context));
                let fd = self.fd.clone();
                let look = tokio::task::spawn_blocking(move || wires::read(fd.as_fd()));
                self.looking = Some(look);
                continue;
            };
            let seen = ready!(Pin::new(looking).poll(context));
            self.looking = None;
            // A port that is gone fails here too; reading it tells so.
            let Ok(Ok(reading)) = seen else { continue };
            if reading != self.last {
                self.last = reading;
                let base = self.base.unwrap_or_default();
                return Poll::Ready((
                    reading.signals,
                    reading.counts.map(|counts| counts.since(base)),
                ));
            }
        }
    }
}
