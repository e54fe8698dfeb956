//! Serial over LAN as a port: the console of a machine through its BMC (IPMI 2.0 §15). The protocol is in [`crate::ipmi::sol`].

use std::sync::Arc;
use std::task::{self, Poll};

use super::firmware::{Line, Machine};
use super::{Error, Moved, Port};
use crate::config::Ipmi;
use crate::fault::chain;
use crate::ipmi::sol::{self, Sol};
use crate::ipmi::{self, Limits, Login};

/// Opens a session by the interface `lan` and activates the console in it.
///
/// # Errors
/// [`Error::Unreached`], [`Error::Refused`].
pub(super) async fn open(
    port: String,
    lan: Arc<str>,
    ipmi: Ipmi,
    take_over: bool,
) -> Result<Box<dyn Port>, Error> {
    let bmc = ipmi.host;
    let password = ipmi.password.expose().as_bytes();
    let opened = match Login::new(bmc, &ipmi.username, password) {
        Ok(login) => {
            let limits = Limits::default();
            Sol::open(&lan, bmc, &login, limits, None, take_over).await
        }
        Err(error) => Err(error),
    };
    let sol = opened.map_err(|error| fault(&port, &error, take_over))?;
    let why = "the line belongs to the BMC";
    Ok(Box::new(Machine::new(port, why, sol, None)))
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
