//! Redirection sessions of AMT: the machine's serial line (SOL), screen and keyboard (KVM), drives (IDER), each over a TCP
//! connection of its own to port 16994, or 16995 with TLS. One session per service is all that a machine gives.
//!
//! Knows no console and no screen of ours. docs/amt-redirection.md

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::http::{Dial, Trust, pin_name};

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
    pub wsman: SocketAddr,
    pub tls: bool,
    pub user: String,
    pub password: String,
    /// The interface of the LAN.
    pub lan: Arc<str>,
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
        let port = self.wsman.port().saturating_add(ABOVE);
        let address = SocketAddr::new(self.wsman.ip(), port);
        Dial {
            host: address.to_string(),
            address,
            tls: self.tls,
            what: pin_name(self.wsman),
        }
    }
}
