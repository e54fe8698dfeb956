//! What a line has in common that firmware beside the machine keeps: a break can be asked for, and nothing else set.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Control, Doing, Error, standing};
use crate::line::{LineState, Order};

/// A break that waits until the port takes its next turn.
type Ask = oneshot::Sender<()>;

/// The port's end: hears of breaks that are asked for.
pub(super) struct Breaks {
    port: String,
    /// Why no setting is taken.
    why: &'static str,
    asks: mpsc::Receiver<Ask>,
    asking: mpsc::Sender<Ask>,
}

impl Breaks {
    pub(super) fn new(port: String, why: &'static str) -> Self {
        let (asking, asks) = mpsc::channel(1);
        Self {
            port,
            why,
            asks,
            asking,
        }
    }

    /// Is a break to be sent now? Who asked for it is answered.
    pub(super) fn poll_asked(&mut self, context: &mut Context<'_>) -> bool {
        let mut asked = false;
        while let Poll::Ready(Some(done)) = self.asks.poll_recv(context) {
            asked = true;
            // Who asked may have left.
            let _ = done.send(());
        }
        asked
    }

    pub(super) fn control(&self) -> Arc<dyn Control> {
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
