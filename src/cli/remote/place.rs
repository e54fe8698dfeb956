//! Where a board is, as a person writes it: `rack7`, `alice@10.0.0.5:8443`, `https://[fd00::5]/`. Pure.

use std::fmt;

/// Unless the person says another one.
const PORT: u16 = 443;

/// A board elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: Option<String>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

impl Place {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let bad = |why: &str| Err(format!("--host {text}: {why}"));
        let rest = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => rest,
            Some(_) => return bad("boards are reached by https:// only"),
            None => text,
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, _)) if user.contains(':') => {
                return bad("a password does not belong on a command line");
            }
            Some((user, rest)) => (Some(user.to_owned()), rest),
            None => (None, rest),
        };
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => match rest.split_once(']') {
                Some((host, port)) => (host, port.strip_prefix(':').or(none(port))),
                None => return bad("the ] is missing"),
            },
            // A bare IPv6 address has more than one colon, and then no port.
            None if rest.matches(':').count() > 1 => (rest, Some("")),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, Some("")),
            },
        };
        let port = match port {
            Some("") => Ok(PORT),
            Some(digits) => digits.parse(),
            None => return bad("what follows the ] is no port"),
        };
        let letter = |c: char| c.is_ascii_alphanumeric() || "._-:%".contains(c);
        if host.is_empty() || !host.chars().all(letter) || host.starts_with('-') {
            return bad("this is no name and no address of a board");
        }
        match port {
            Ok(port) if port > 0 => Ok(Self {
                host: host.to_owned(),
                port,
                user: user.filter(|user| !user.is_empty()),
            }),
            _ => bad("the port is a number from 1 to 65535"),
        }
    }
}

/// Nothing at all is as good as a port.
fn none(text: &str) -> Option<&str> {
    text.is_empty().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_people_write_them() {
        for (text, shown, user) in [
            ("rack7", "rack7:443", None),
            ("https://rack7/", "rack7:443", None),
            (
                "HTTPS://alice@rack7.example:8443",
                "rack7.example:8443",
                Some("alice"),
            ),
            ("10.0.0.5:8443", "10.0.0.5:8443", None),
            ("fd00::5", "[fd00::5]:443", None),
            ("[fd00::5]", "[fd00::5]:443", None),
            ("bob@[fe80::1%eth0]:444", "[fe80::1%eth0]:444", Some("bob")),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(place.to_string(), shown, "{text}");
            assert_eq!(place.user.as_deref(), user, "{text}");
        }
        for bad in [
            "",
            "http://rack7",
            "rack7:0",
            "rack7:65536",
            "rack7:x",
            "[fd00::5",
            "[fd00::5]8",
            "a b",
            "alice:secret@rack7",
            "https://rack7/redfish",
            "-x",
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
        let told = Place::parse("alice:hunter2@rack7").unwrap_err();
        assert!(told.contains("password"), "{told}");
    }
}
