//! One line of a console as a syslog message (RFC 5424), and its frame on a stream (RFC 6587). Pure.

use std::fmt::Write as _;

use crate::clock::Timestamp;
use crate::config::Syslog;
use crate::event::Severity;
use crate::transcript::escaped;

/// Names our structured data, as RFC 5424 section 6.3.2 asks; 32473 is the enterprise number of examples (RFC 5612).
const SD_ID: &str = "oobd@32473";
/// Text that is not only ASCII is announced as UTF-8 (section 6.4).
const BOM: char = '\u{feff}';

/// What a message says; stands in its MSGID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// From the device.
    Received,
    /// Typed on the console.
    Typed,
    /// Ours: bytes are not there.
    Gap,
}

/// What is the same in all messages.
#[derive(Clone, Debug)]
pub(super) struct Head {
    priority: u8,
    host: String,
}

/// What differs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    pub sort: Sort,
    pub at: Option<Timestamp>,
    pub console: &'a str,
    pub offset: u64,
    /// Who is on the console, or, for typed text, who typed.
    pub users: &'a str,
    /// Raw, without its line end.
    pub text: &'a [u8],
}

impl Head {
    pub(super) fn new(syslog: &Syslog, host: &str) -> Self {
        let severity = match syslog.severity {
            Severity::Emergency => 0,
            Severity::Alert => 1,
            Severity::Critical => 2,
            Severity::Error => 3,
            Severity::Warning => 4,
            Severity::Notice => 5,
            Severity::Info => 6,
            Severity::Debug => 7,
        };
        Self {
            priority: syslog.facility.saturating_mul(8).saturating_add(severity),
            host: host.to_owned(),
        }
    }

    /// The message. Control bytes, and bytes that are no UTF-8, come as `\xNN`: no line can forge another.
    pub(super) fn message(&self, body: &Body<'_>) -> String {
        let at = body.at.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let (host, console) = (&self.host, body.console);
        let kind = match body.sort {
            Sort::Received => "rx",
            Sort::Typed => "tx",
            Sort::Gap => "gap",
        };
        let mut message = format!(
            "<{}>1 {at} {host} {console} - {kind} [{SD_ID}",
            self.priority
        );
        // Writing to a String never fails.
        let _ = write!(message, " console=\"{console}\" offset=\"{}\"", body.offset);
        if !body.users.is_empty() {
            let key = if body.sort == Sort::Typed {
                "user"
            } else {
                "users"
            };
            let _ = write!(message, " {key}=\"{}\"", value(body.users));
        }
        message.push_str("] ");
        let text = escaped(body.text);
        if !text.is_ascii() {
            message.push(BOM);
        }
        message + &text
    }
}

/// A message on a stream: its length in octets, a space, itself (RFC 6587 section 3.4.1; TLS: RFC 5425 section 4.3).
pub(super) fn framed(message: &str) -> String {
    format!("{} {message}", message.len())
}

/// A parameter's value: three characters are escaped (section 6.3.3), controls are not let in.
fn value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars().filter(|letter| !letter.is_control()) {
        if matches!(letter, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::Carrier;

    fn head() -> Head {
        let syslog = Syslog {
            carrier: Carrier::Udp,
            server: "10.0.0.9:514".parse().unwrap(),
            proof: None,
            name: None,
            facility: 16,
            severity: Severity::Info,
            typed: false,
            rate: 1,
        };
        Head::new(&syslog, "rack7")
    }

    fn body(text: &[u8]) -> Body<'_> {
        Body {
            sort: Sort::Received,
            at: Some(Timestamp(1_795_000_000_123)),
            console: "core",
            offset: 7,
            users: "",
            text,
        }
    }

    #[test]
    fn as_the_rfc_writes_it() {
        assert_eq!(
            head().message(&body(b"link up")),
            "<134>1 2026-11-18T11:06:40.123Z rack7 core - rx [oobd@32473 console=\"core\" offset=\"7\"] link up"
        );
        let text = "caf\u{e9}\x1b[0m".as_bytes();
        let message = head().message(&Body {
            users: "alice,b\"]ob",
            at: None,
            ..body(text)
        });
        assert_eq!(
            message,
            "<134>1 - rack7 core - rx [oobd@32473 console=\"core\" offset=\"7\" users=\"alice,b\\\"\\]ob\"] \u{feff}caf\u{e9}\\x1b[0m"
        );
        assert_eq!(framed("caf\u{e9}"), "5 caf\u{e9}");
    }

    proptest! {
        #[test]
        fn no_control_character_gets_out(text in prop::collection::vec(any::<u8>(), 0..300), users in ".{0,40}") {
            let message = head().message(&Body { users: &users, ..body(&text) });
            prop_assert!(message.chars().all(|letter| !letter.is_control()));
            prop_assert!(message.starts_with("<134>1 "));
        }
    }
}
