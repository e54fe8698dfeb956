//! The pure modules under fuzz, taken as files: the whole of oobd under a sanitizer would build for many minutes.
//! A module that stops being pure stops building here; the IPMI client alone knows a socket, and gets none.

#![allow(dead_code, unreachable_pub, reason = "the modules are used in part")]

pub mod amt;
pub mod bmc;
#[path = "../../src/clock.rs"]
pub mod clock;
#[path = "../../src/escape.rs"]
pub mod escape;
pub mod console;
#[path = "../../src/ipmi/mod.rs"]
pub mod ipmi;
#[path = "../../src/keymap.rs"]
pub mod keymap;
#[path = "../../src/line.rs"]
pub mod line;
pub mod power;
#[path = "../../src/reset.rs"]
pub mod reset;
/// The IPMI client wants a socket; none is opened here.
pub mod tcp {
    use std::io;
    use std::net::SocketAddr;

    /// # Errors
    /// Always.
    #[allow(clippy::unused_async, reason = "as the real one")]
    pub async fn connect_udp(_: &str, _: SocketAddr) -> io::Result<tokio::net::UdpSocket> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
#[path = "../../src/telnet/mod.rs"]
pub mod telnet;

/// Cuts fuzz input into reads: the first byte says how long each is (1 to `longest`), round after round.
pub struct Reads<'a> {
    rest: &'a [u8],
    longest: usize,
}

impl<'a> Reads<'a> {
    #[must_use]
    pub fn new(data: &'a [u8], longest: usize) -> Self {
        Self { rest: data, longest }
    }
}

impl<'a> Iterator for Reads<'a> {
    type Item = (u8, &'a [u8]);

    /// A control byte and the read that follows it.
    fn next(&mut self) -> Option<Self::Item> {
        let (&control, rest) = self.rest.split_first()?;
        let (read, rest) = rest.split_at(rest.len().min(1 + usize::from(control) % self.longest));
        self.rest = rest;
        Some((control, read))
    }
}
