//! Serial over LAN of AMT as a port: the console of a machine through its chipset. The protocol is in [`crate::amt::redirect`].

use std::sync::Arc;
use std::task::{self, Poll};

use super::firmware::Breaks;
use super::{Control, Error, Moved, Port, standing};
use crate::amt::redirect::sol::{self, Sol};
use crate::amt::redirect::{self, Target};
use crate::config::Amt;
use crate::event::Kind;
use crate::fault::chain;
use crate::http::{self, Pinned, Trust};
use crate::line::LineState;
use crate::pin::Pins;

struct Machine {
    sol: Sol,
    breaks: Breaks,
    pinned: Option<Pinned>,
}

/// Opens a session by the interface `lan` and the line in it.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Refused`], [`Error::Taken`], [`Error::Distrusted`].
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    pins: Pins,
    machine: String,
    amt: Amt,
) -> Result<Box<dyn Port>, Error> {
    let target = Target {
        machine,
        wsman: amt.address(),
        tls: amt.tls,
        user: amt.username,
        password: amt.password.expose().to_owned(),
        lan,
        trust: Trust { pins, pin: amt.pin },
    };
    let opened = Sol::open(&target).await;
    let (sol, pinned) = opened.map_err(|error| fault(&port, error))?;
    let breaks = Breaks::new(port, "the line belongs to AMT");
    Ok(Box::new(Machine {
        sol,
        breaks,
        pinned,
    }))
}

fn fault(port: &str, error: redirect::Error) -> Error {
    let port = port.to_owned();
    let why = chain(&error);
    match error {
        redirect::Error::Unreached { source, .. } => match *source {
            http::Error::Distrusted {
                what,
                by_config,
                pinned,
                found,
                ..
            } => Error::Distrusted {
                port,
                what,
                by_config,
                pinned,
                found,
            },
            source if source.is_gone() => Error::Unreached { port, why },
            _ => Error::Refused { port, why },
        },
        redirect::Error::Busy { .. } => Error::Taken { port, why },
        error if error.is_gone() => Error::Unreached { port, why },
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
        if self.breaks.poll_asked(context) {
            self.sol.send_break();
        }
        match self.sol.poll_turn(context, input, output, read) {
            Poll::Ready(sol::Moved::Read(count)) => Poll::Ready(Moved::Read(count)),
            Poll::Ready(sol::Moved::Wrote(count)) => Poll::Ready(Moved::Wrote(count)),
            Poll::Ready(sol::Moved::Lost(error)) => Poll::Ready(Moved::Lost(chain(&error))),
            Poll::Pending => Poll::Pending,
        }
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
        self.sol.discard_output();
    }
}
