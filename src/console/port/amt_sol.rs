//! Serial over LAN of AMT as a port: the console of a machine through its chipset. The protocol is in [`crate::amt::redirect`].

use std::task::{self, Poll};

use super::firmware::{Line, Machine};
use super::{Error, Moved, Port};
use crate::amt::redirect::sol::{self, Sol};
use crate::amt::redirect::{self, Target};
use crate::config::Amt;
use crate::fault::chain;
use crate::http::{self, Legacy, Trust};
use crate::pin::Pins;
use crate::tcp::Route;

/// Opens a session by this route and the line in it.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Refused`], [`Error::Taken`], [`Error::Distrusted`].
pub(super) async fn open(
    port: String,
    route: Route,
    pins: Pins,
    machine: String,
    amt: Amt,
) -> Result<Box<dyn Port>, Error> {
    let target = Target {
        machine,
        wsman: amt.url(),
        user: amt.username,
        password: amt.password.expose().to_owned(),
        route,
        trust: Trust {
            pins,
            pin: amt.pin,
            legacy: Legacy::asked(amt.legacy_tls),
        },
    };
    let opened = Sol::open(&target).await;
    let (sol, pinned) = opened.map_err(|error| fault(&port, error))?;
    let why = "the line belongs to AMT";
    Ok(Box::new(Machine::new(port, why, sol, pinned)))
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

impl Line for Sol {
    fn poll_turn(
        &mut self,
        context: &mut task::Context<'_>,
        input: &mut [u8],
        output: &[u8],
        read: bool,
    ) -> Poll<Moved> {
        Self::poll_turn(self, context, input, output, read).map(|moved| match moved {
            sol::Moved::Read(count) => Moved::Read(count),
            sol::Moved::Wrote(count) => Moved::Wrote(count),
            sol::Moved::Lost(error) => Moved::Lost(chain(&error)),
        })
    }

    fn send_break(&mut self) {
        Self::send_break(self);
    }

    fn discard_output(&mut self) {
        Self::discard_output(self);
    }
}
