//! HTTP/1.1 to devices of the LAN: one request at a time, bounded in time and size, certificates known by their pinned key.
//! Knows no device and keeps nothing but pins. See docs/http-client.md.

mod client;
mod digest;
mod login;
mod message;
mod stream;
mod url;

use std::io;
use std::time::Duration;

pub use client::{Client, Limits};
pub use hyper::Method;
pub use login::{Login, Scheme};
pub use message::{Reply, Request};
pub use stream::{Dial, Legacy, Pinned, Stream, Trust, dial, pin_name, secure};
pub use url::{BadUrl, Url};

/// Why there is no reply that can be used. `host` is `10.0.0.9` or `10.0.0.9:8443`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection, or no TLS: nothing was asked.
    #[error("{host}: {why}")]
    Unreached { host: String, why: String },
    /// This board has no address to ask from; nothing was asked of anybody.
    #[error("{host}: {why}")]
    Offline { host: String, why: String },
    /// The device shows another key than the one that is trusted; nothing was asked. `what` is its name among the pins.
    #[error(
        "{host} has another TLS key, {found}, than the trusted {pinned}{}",
        if *.by_config { ", which the configuration says" } else { "" }
    )]
    Distrusted {
        host: String,
        what: String,
        /// Trusted because the configuration says so, not because it was seen first.
        by_config: bool,
        pinned: String,
        found: String,
    },
    /// The pin cannot be read or kept: then nobody is trusted.
    #[error("cannot keep the TLS key of {host}")]
    Pin { host: String, source: io::Error },
    /// Not within the time limit. What was `sent` may have been done.
    #[error("{host}: no whole answer within {} s", limit.as_secs_f32())]
    Late {
        host: String,
        limit: Duration,
        sent: bool,
    },
    /// The connection broke before the answer was whole. What was asked may have been done.
    #[error("{host}: {why}")]
    Lost { host: String, why: String },
    /// The answer is no HTTP, or its body is not what was asked for. What was asked may have been done.
    #[error("{host}: {why}")]
    Garbled { host: String, why: String },
    /// The answer is longer than `limit` bytes. What was asked may have been done.
    #[error("{host}: the answer is longer than {limit} bytes")]
    TooLong { host: String, limit: usize },
    /// It wants us to ask elsewhere, which we do not do.
    #[error("{host}: it sends us to {to}")]
    Astray { host: String, to: String },
    /// The request cannot be written down; nothing was asked.
    #[error("{host}: {what} cannot be sent")]
    Unsendable { host: String, what: String },
    /// It answered with a status that is none of success. Only [`Reply::accept`] makes an error of it.
    #[error("{host}: {}", status_text(*status, said))]
    Refused {
        host: String,
        status: u16,
        /// The beginning of what it said, printable, on one line.
        said: String,
    },
}

impl Error {
    /// May the device have done what was asked, although it did not say so? Ask for its state before asking again.
    #[must_use]
    pub fn maybe_done(&self) -> bool {
        match self {
            Self::Late { sent, .. } => *sent,
            Self::Lost { .. } | Self::Garbled { .. } | Self::TooLong { .. } => true,
            _ => false,
        }
    }

    /// Is the device away, rather than there and unwilling?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(
            self,
            Self::Unreached { .. } | Self::Offline { .. } | Self::Late { .. } | Self::Lost { .. }
        )
    }

    /// Does the device not take the user and the password?
    #[must_use]
    pub fn is_login(&self) -> bool {
        matches!(self, Self::Refused { status: 401, .. })
    }
}

fn status_text(status: u16, said: &str) -> String {
    let name = hyper::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("no known status");
    match said {
        "" => format!("{status} {name}"),
        said => format!("{status} {name}: {said}"),
    }
}

#[cfg(test)]
mod tests;
