//! Why a redirection session is not there, or no more.

use std::time::Duration;

use super::Service;
use super::message::Bad;
use crate::{http, rfb};

/// Each names the machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or not to the one that is trusted.
    #[error("{machine}: {source}")]
    Unreached {
        machine: String,
        source: Box<http::Error>,
    },
    /// One session of each service is all that AMT has, and somebody has it; maybe one that broke off and is not noticed yet.
    #[error("{machine}: {service} is in use by another session")]
    Busy { machine: String, service: Service },
    /// Whoever sits before it has to agree first.
    #[error("{machine}: {service} needs the consent of the user at the machine")]
    Consent { machine: String, service: Service },
    /// It does not have the service, or it is switched off in AMT.
    #[error("{machine}: {service} is not offered, or switched off in AMT (status {status})")]
    Off {
        machine: String,
        service: Service,
        status: u8,
    },
    /// It opened IDE redirection, and then would not.
    #[error("{machine}: it does not take the drives (answer {value})")]
    Refused { machine: String, value: u32 },
    #[error("{machine}: it does not take user {user} with this password")]
    Login { machine: String, user: String },
    /// It wants to see the password itself, which over plain TCP everybody would.
    #[error(
        "{machine}: it takes no sign-in but the plain password, and the connection is not encrypted"
    )]
    PlainOnly { machine: String },
    #[error("{machine}: it offers no sign-in that is known here, only {offered:?}")]
    NoMethod { machine: String, offered: Vec<u8> },
    #[error("{machine}: the user name or the password is longer than 255 bytes")]
    Unsendable { machine: String },
    #[error("{machine}: no {service} within {} s", limit.as_secs())]
    Late {
        machine: String,
        service: Service,
        limit: Duration,
    },
    #[error("{machine}: {why}")]
    Lost { machine: String, why: String },
    #[error("{machine}: it sent {source}")]
    Garbled { machine: String, source: Bad },
    /// What came is no screen.
    #[error("{machine}: {source}")]
    Screen { machine: String, source: rfb::Bad },
    #[error("{machine}: it sent {what}, which nobody asked for")]
    Unexpected { machine: String, what: String },
}

impl Error {
    /// Is the machine away, rather than there and unwilling?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Unreached { source, .. } => source.is_gone(),
            Self::Late { .. } | Self::Lost { .. } => true,
            _ => false,
        }
    }
}
