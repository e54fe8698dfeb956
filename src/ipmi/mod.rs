//! IPMI 2.0 over LAN: bytes, sessions and Serial over LAN. What `bmc` asks of machines and what a console on a BMC speaks.
//!
//! RMCP+ with cipher suites 17 and 3 and no other: no session without authentication, integrity and encryption exists here.
//! Sections are those of the Intelligent Platform Management Interface Specification v2.0, revision 1.1.
//!
//! The codec is pure and serves both ends ([`packet`], [`message`], [`setup`], [`link`], [`sol::packet`]); [`Session`] and
//! [`sol::Sol`] own a socket each, bound to the LAN's interface. Knows no machine, no console and no configuration.

pub mod crypto;
mod error;
mod handshake;
pub mod link;
pub mod message;
pub mod packet;
pub mod read;
mod session;
pub mod setup;
pub mod sol;
#[cfg(test)]
mod tests;
pub mod window;
mod wire;

pub use error::{Error, completion};
pub use session::{Agreed, Ask, Login, Privilege, Session, ping};
pub use wire::Limits;
