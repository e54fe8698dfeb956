//! What goes wrong with a BMC, and what its completion codes say.

use std::io;
use std::net::SocketAddr;

use super::message::code;

/// Why something did not come about. Every variant names the BMC.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The standard has no longer one. Nothing was sent.
    #[error("BMC {bmc}: a password has at most 20 bytes in IPMI 2.0, this one has {length}")]
    PasswordTooLong { bmc: SocketAddr, length: usize },
    /// The standard has no longer one. Nothing was sent.
    #[error("BMC {bmc}: the name of a user has at most 16 bytes, this one has {length}")]
    UserTooLong { bmc: SocketAddr, length: usize },
    /// The socket says so: no interface, no route, nobody listens.
    #[error("BMC {bmc} cannot be reached")]
    Unreached { bmc: SocketAddr, source: io::Error },
    /// Nothing came back, however often it was asked. Of an open session: the BMC is gone, or has forgotten it.
    #[error("BMC {bmc} does not answer: {what}")]
    NoAnswer { bmc: SocketAddr, what: &'static str },
    /// Asked once, no answer: whether it was carried out is unknown. Read the state before asking again.
    #[error("BMC {bmc} gave no answer, and may have done it: {what}")]
    Unanswered { bmc: SocketAddr, what: &'static str },
    /// The BMC proves that it has another password for this user. It was asked exactly once.
    #[error("BMC {bmc} has another password for {user}")]
    WrongPassword { bmc: SocketAddr, user: String },
    /// The user is not let in, or may not do this.
    #[error("BMC {bmc} does not permit {what}: {why}")]
    NotPermitted {
        bmc: SocketAddr,
        what: &'static str,
        why: String,
    },
    /// It speaks neither of the two suites.
    #[error("BMC {bmc} has neither cipher suite 17 nor 3")]
    NoSuite { bmc: SocketAddr },
    /// No session of IPMI 2.0.
    #[error("BMC {bmc} speaks IPMI 1.5 only")]
    TooOld { bmc: SocketAddr },
    /// No free session, or busy for longer than we wait.
    #[error("BMC {bmc} is busy: {what}")]
    Busy { bmc: SocketAddr, what: &'static str },
    /// A completion code of the BMC.
    #[error("BMC {bmc}: {what}: {}", completion(*.code))]
    Refused {
        bmc: SocketAddr,
        what: &'static str,
        code: u8,
    },
    /// An answer that no BMC should give.
    #[error("BMC {bmc} answers what cannot be understood: {what}")]
    Nonsense { bmc: SocketAddr, what: &'static str },
    /// Serial over LAN is in use by somebody else; take it over to end that.
    #[error("BMC {bmc}: its console is in use by another session")]
    ConsoleTaken { bmc: SocketAddr },
    /// Serial over LAN is switched off in the BMC.
    #[error("BMC {bmc}: serial over LAN is switched off")]
    ConsoleOff { bmc: SocketAddr },
    /// Serial over LAN ended.
    #[error("BMC {bmc}: the console ended: {why}")]
    ConsoleLost { bmc: SocketAddr, why: &'static str },
}

impl Error {
    /// Does a new session help, at once or later? Then drop this one.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Unreached { .. }
                | Self::NoAnswer { .. }
                | Self::Unanswered { .. }
                | Self::Busy { .. }
                | Self::ConsoleLost { .. }
        )
    }

    /// Will trying again with the same login fail again? Then wait for a person: BMCs lock users out.
    #[must_use]
    pub fn is_login(&self) -> bool {
        matches!(
            self,
            Self::PasswordTooLong { .. }
                | Self::UserTooLong { .. }
                | Self::WrongPassword { .. }
                | Self::NotPermitted { .. }
        )
    }

    /// The completion code, if the BMC gave one.
    #[must_use]
    pub fn completion_code(&self) -> Option<u8> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}

/// What a completion code says. §5.2 table 5-2.
#[must_use]
pub fn completion(code: u8) -> String {
    let known = match code {
        code::OK => "done",
        code::NODE_BUSY => "busy",
        code::INVALID_COMMAND => "it does not know this command",
        0xc2 => "command invalid for this LUN",
        code::TIMEOUT => "it took too long, nothing is known of the outcome",
        0xc4 => "out of space",
        code::RESERVATION_LOST => "the reservation was lost",
        0xc6 => "request cut off",
        code::LENGTH_INVALID => "wrong length of the request",
        code::TOO_LONG => "the request is too long",
        code::OUT_OF_RANGE => "parameter out of range",
        code::CANNOT_RETURN_SO_MANY => "it cannot return so many bytes",
        code::NOT_PRESENT => "there is no such sensor or record",
        code::INVALID_DATA => "invalid data in the request",
        0xcd => "not for this kind of sensor or record",
        0xce => "it cannot answer now",
        0xcf => "duplicate request",
        0xd0 => "its repository is being updated",
        0xd1 => "its firmware is being updated",
        0xd2 => "it is starting up",
        0xd3 => "the destination is not there",
        code::NO_PRIVILEGE => "not with this privilege",
        0xd5 => "not in its present state",
        0xd6 => "switched off",
        0xff => "unspecified error",
        other => return format!("completion code {other:02x}h"),
    };
    known.into()
}
