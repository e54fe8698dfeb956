//! Serial over LAN as a port: the console of a machine through its BMC (IPMI 2.0 §15). The protocol is in [`crate::ipmi::sol`].

use std::sync::Arc;
use std::task::{self, Poll};

use super::firmware::Breaks;
use super::{Control, Error, Moved, Port, standing};
use crate::config::Ipmi;
use crate::fault::chain;
use crate::ipmi::sol::{self, Sol};
use crate::ipmi::{self, Limits, Login};
use crate::line::LineState;

struct Machine {
    sol: Sol,
    breaks: Breaks,
}

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
    let breaks = Breaks::new(port, "the line belongs to the BMC");
    Ok(Box::new(Machine { sol, breaks }))
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

    fn discard_output(&mut self) {
        self.sol.discard_output();
    }
}
