//! Serial over LAN as a port: the console of a machine through its BMC (IPMI 2.0 §15). The protocol is in [`crate::ipmi::sol`].

use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::{Control, Doing, Error, Moved, Port, standing};
use crate::config::SolPort;
use crate::fault::chain;
use crate::ipmi::sol::{self, Sol};
use crate::ipmi::{self, Limits, Login};
use crate::line::{LineState, Order};

/// A break that waits until the port takes its next turn.
type Ask = oneshot::Sender<()>;

struct Machine {
    port: String,
    sol: Sol,
    asks: mpsc::Receiver<Ask>,
    asking: mpsc::Sender<Ask>,
}

/// Opens a session by the interface `lan` and activates the console in it.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Refused`].
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    wanted: SolPort,
) -> Result<Box<dyn Port>, Error> {
    let bmc = wanted.ipmi.host;
    let password = wanted.ipmi.password.expose().as_bytes();
    let opened = match Login::new(bmc, &wanted.ipmi.username, password) {
        Ok(login) => {
            let limits = Limits::default();
            Sol::open(&lan, bmc, &login, limits, None, wanted.take_over).await
        }
        Err(error) => Err(error),
    };
    let sol = opened.map_err(|error| fault(&port, &error, wanted.take_over))?;
    let (asking, asks) = mpsc::channel(1);
    Ok(Box::new(Machine {
        port,
        sol,
        asks,
        asking,
    }))
}

fn fault(port: &str, error: &ipmi::Error, take_over: bool) -> Error {
    let port = port.to_owned();
    let why = chain(error);
    match error {
        ipmi::Error::ConsoleTaken { .. } if !take_over => Error::Refused {
            port,
            why: format!("{why}; `take_over = true` in oobd.toml ends that one"),
        },
        error if error.is_lost() => Error::Unreached { port, why },
        _ => Error::Refused { port, why },
    }
}

impl Port for Machine {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        while let Poll::Ready(Some(done)) = self.asks.poll_recv(context) {
            self.sol.send_break();
            // Who asked may have left.
            let _ = done.send(());
        }
        match self.sol.poll_turn(context, input, output, read) {
            Poll::Ready(sol::Moved::Read(count)) => Poll::Ready(Moved::Read(count)),
            Poll::Ready(sol::Moved::Wrote(count)) => Poll::Ready(Moved::Wrote(count)),
            Poll::Ready(sol::Moved::Lost(error)) => Poll::Ready(Moved::Lost(chain(&error))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn control(&self) -> Result<Arc<dyn Control>, Error> {
        Ok(Arc::new(Handle {
            port: self.port.clone(),
            asking: self.asking.clone(),
        }))
    }

    fn state(&self) -> LineState {
        standing()
    }

    fn discard_output(&mut self) {
        self.sol.discard_output();
    }
}

/// A break, and nothing else: the line belongs to the BMC.
struct Handle {
    port: String,
    asking: mpsc::Sender<Ask>,
}

impl Control for Handle {
    fn apply(&self, order: Order) -> Doing<LineState> {
        let port = self.port.clone();
        Box::pin(async move {
            match order {
                Order::Look => Ok(standing()),
                _ => Err(Error::Unsupported {
                    port,
                    what: "line settings: the line belongs to the BMC".into(),
                }),
            }
        })
    }

    /// Its length is the BMC's choice.
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
