//! A line that firmware beside the machine keeps, as a port: a break can be asked for, and nothing else set. Knows no protocol.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Control, Doing, Error, Moved, Port, standing};
use crate::event::Kind;
use crate::http::Pinned;
use crate::line::{LineState, Order};

/// An open line of a machine, in its protocol.
pub(super) trait Line: Send {
    /// As [`Port::poll_turn`].
    fn poll_turn(
        &mut self,
        context: &mut Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved>;

    fn send_break(&mut self);

    /// As [`Port::discard_output`].
    fn discard_output(&mut self);
}

/// A port over such a line.
pub(super) struct Machine<L> {
    line: L,
    breaks: Breaks,
    /// A key that was pinned when it was opened, until that is told.
    pinned: Option<Pinned>,
}

impl<L: Line> Machine<L> {
    /// `why` says why no setting is taken.
    pub(super) fn new(port: String, why: &'static str, line: L, pinned: Option<Pinned>) -> Self {
        Self {
            line,
            breaks: Breaks::new(port, why),
            pinned,
        }
    }
}

impl<L: Line> Port for Machine<L> {
    fn poll_turn(
        &mut self,
        context: &mut Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        if self.breaks.poll_asked(context) {
            self.line.send_break();
        }
        self.line.poll_turn(context, input, output, read)
    }

    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        Ok(self.breaks.control())
    }

    fn state(&self) -> LineState {
        standing()
    }

    fn events(&mut self) -> Vec<Kind> {
        let pinned = self.pinned.take();
        let event = pinned.map(|pinned| Kind::Pinned {
            what: pinned.what,
            fingerprint: pinned.fingerprint,
        });
        event.into_iter().collect()
    }

    fn discard_output(&mut self) {
        self.line.discard_output();
    }
}

/// A break that waits until the port takes its next turn.
type Ask = oneshot::Sender<()>;

/// The port's end: hears of breaks that are asked for.
struct Breaks {
    port: String,
    /// Why no setting is taken.
    why: &'static str,
    asks: mpsc::Receiver<Ask>,
    asking: mpsc::Sender<Ask>,
}

impl Breaks {
    fn new(port: String, why: &'static str) -> Self {
        let (asking, asks) = mpsc::channel(1);
        Self {
            port,
            why,
            asks,
            asking,
        }
    }

    /// Is a break to be sent now? Who asked for it is answered.
    fn poll_asked(&mut self, context: &mut Context<'_>) -> bool {
        let mut asked = false;
        while let Poll::Ready(Some(done)) = self.asks.poll_recv(context) {
            asked = true;
            // Who asked may have left.
            let _ = done.send(());
        }
        asked
    }

    fn control(&self) -> Arc<dyn Control> {
        Arc::new(Handle {
            port: self.port.clone(),
            why: self.why,
            asking: self.asking.clone(),
        })
    }
}

struct Handle {
    port: String,
    why: &'static str,
    asking: mpsc::Sender<Ask>,
}

impl Control for Handle {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let (port, why) = (self.port.clone(), self.why);
        Box::pin(async move {
            match order {
                Order::Look => Ok(standing()),
                _ => Err(Error::Unsupported {
                    port,
                    what: format!("line settings: {why}"),
                }),
            }
        })
    }

    /// Its length is the firmware's choice.
    fn timed_break(&self, _length: Duration) -> Option<Doing<()>> {
        let (port, asking) = (self.port.clone(), self.asking.clone());
        Some(Box::pin(async move {
            let gone = || Error::Gone { port: port.clone() };
            let (done, sent) = oneshot::channel();
            asking.send(done).await.map_err(|_| gone())?;
            sent.await.map_err(|_| gone())
        }))
    }
}
