//! Redirection sessions of AMT: the machine's serial line (SOL), screen and keyboard (KVM), drives (IDER), each over a
//! connection of its own to port 16994, or 16995 with TLS. One session per service is all that a machine gives.
//!
//! Knows no console and no screen of ours. docs/amt-redirection.md

use std::fmt;

use crate::http::{Dial, Trust, Url};
use crate::tcp::Route;

pub mod auth;
mod error;
pub mod ider;
pub mod kvm;
pub mod message;
mod session;
pub mod sol;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use message::Service;
pub use session::Session;

/// So far above its port of WS-Man a machine redirects: 16992 and 16994, 16993 and 16995 with TLS.
const ABOVE: u16 = 2;

/// A machine that is spoken to, and how.
#[derive(Clone)]
pub struct Target {
    /// As errors name it.
    pub machine: String,
    /// Where it speaks WS-Man.
    pub wsman: Url,
    pub user: String,
    pub password: String,
    /// The way to it.
    pub route: Route,
    pub trust: Trust,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({} {} ***)", self.machine, self.wsman)
    }
}

impl Target {
    /// Where to connect to. The key is the one of WS-Man: a machine has one certificate for both ports.
    fn dial(&self) -> Dial {
        let at = self.wsman.above(ABOVE);
        Dial {
            host: at.authority(),
            address: at.address(),
            tls: at.is_tls(),
            what: self.wsman.pin_name(),
        }
    }
}
