//! Telnet as bytes and as meaning: RFC 854/855 framing, RFC 1143 negotiation, RFC 2217 messages, both ends of each. Pure: no
//! I/O, no clock, no tasks; what a peer sends costs bounded memory and never panics.

pub mod comport;
mod newline;
mod options;
mod parser;
#[cfg(test)]
mod tests;

pub use newline::{Fold, Unfold};
pub use options::{Change, Heard, Options};
pub use parser::{Item, LONGEST_SUB, Parser};

/// Interpret as command; doubled where it is data.
pub const IAC: u8 = 255;
/// RFC 854 commands.
pub const SE: u8 = 240;
pub const NOP: u8 = 241;
/// Data mark: the end of a SYNCH.
pub const DM: u8 = 242;
pub const BRK: u8 = 243;
/// Interrupt process: what a client makes of Ctrl-C in line mode.
pub const IP: u8 = 244;
/// Abort output.
pub const AO: u8 = 245;
/// Are you there?
pub const AYT: u8 = 246;
pub const SB: u8 = 250;

/// Options, by their RFC: 856, 857, 858, 860, 1091, 1073, 2217.
pub const BINARY: u8 = 0;
pub const ECHO: u8 = 1;
pub const SGA: u8 = 3;
pub const TIMING_MARK: u8 = 6;
pub const TERMINAL_TYPE: u8 = 24;
pub const NAWS: u8 = 31;
pub const COM_PORT: u8 = 44;

/// The four words of a negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Will,
    Wont,
    Do,
    Dont,
}

impl Verb {
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            251 => Some(Self::Will),
            252 => Some(Self::Wont),
            253 => Some(Self::Do),
            254 => Some(Self::Dont),
            _ => None,
        }
    }

    #[must_use]
    pub fn byte(self) -> u8 {
        match self {
            Self::Will => 251,
            Self::Wont => 252,
            Self::Do => 253,
            Self::Dont => 254,
        }
    }

    /// As it goes on the wire.
    #[must_use]
    pub fn message(self, option: u8) -> [u8; 3] {
        [IAC, self.byte(), option]
    }
}

/// Appends data, IAC doubled.
pub fn escape(data: &[u8], out: &mut Vec<u8>) {
    for &byte in data {
        out.push(byte);
        if byte == IAC {
            out.push(IAC);
        }
    }
}

/// Appends a whole subnegotiation.
pub fn subnegotiation(option: u8, data: &[u8], out: &mut Vec<u8>) {
    out.extend([IAC, SB, option]);
    escape(data, out);
    out.extend([IAC, SE]);
}

/// The size in a NAWS subnegotiation: columns and rows, 0 for "not said". RFC 1073.
#[must_use]
pub fn window_size(data: &[u8]) -> Option<(u16, u16)> {
    let &[c1, c0, r1, r0] = data else { return None };
    Some((u16::from_be_bytes([c1, c0]), u16::from_be_bytes([r1, r0])))
}
