//! What is kept, watched for and sent on of what consoles receive: keys of `[console.NAME]`, `[transcripts]`, `[syslog]`.

use std::net::SocketAddr;
use std::time::Duration;

use super::reader::{Field, Table};
use super::secret::{Found, Resolver};
use super::{Secret, values};
use crate::event::Severity;
use crate::pattern;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const DAY: Duration = Duration::from_secs(86_400);
/// Every line is held against each of them.
const MOST_PATTERNS: usize = 32;

/// What one console's record is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What is typed is kept, too.
    pub typed: bool,
    /// Goes to the syslog server, if there is one.
    pub syslog: bool,
    pub patterns: Vec<Pattern>,
    /// The device should say something at least so often.
    pub silence: Option<Duration>,
    /// Logins and logouts that the device's own lines tell become events.
    pub logins: bool,
}

/// A line that is an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub name: String,
    /// A regular expression that compiles.
    pub regex: String,
    pub severity: Severity,
    /// At most one event so often.
    pub cooldown: Duration,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            typed: false,
            syslog: true,
            patterns: Vec::new(),
            silence: None,
            logins: true,
        }
    }
}

/// The keys of a console's table, before they are judged.
pub(super) struct Keys<'a> {
    transcript: Option<Field<'a>>,
    syslog: Option<Field<'a>>,
    pattern: Option<Field<'a>>,
    silence: Option<Field<'a>>,
    logins: Option<Field<'a>>,
}

impl<'a> Keys<'a> {
    pub(super) fn take(table: &mut Table<'a>) -> Self {
        Self {
            transcript: table.take("transcript"),
            syslog: table.take("syslog"),
            pattern: table.take("pattern"),
            silence: table.take("silence"),
            logins: table.take("logins"),
        }
    }

    /// The record, and the quota of the transcript where the file names one.
    pub(super) fn read(self) -> (Record, Option<u64>) {
        let mut record = Record::default();
        let quota = self.transcript.and_then(|field| {
            if !field.is_table() {
                return quota(&field);
            }
            let mut table = field.table()?;
            let (keep, tx) = (table.take("keep"), table.take("tx"));
            table.finish();
            record.typed = tx.and_then(|field| field.flag()).unwrap_or(false);
            keep.and_then(|field| quota(&field))
        });
        let flag = |field: Option<Field<'a>>| field.and_then(|field| field.flag());
        record.syslog = flag(self.syslog).unwrap_or(record.syslog);
        record.logins = flag(self.logins).unwrap_or(record.logins);
        let least = Duration::from_secs(10);
        record.silence = self
            .silence
            .and_then(|field| field.duration(least..=30 * DAY));
        if let Some(table) = self.pattern.and_then(|field| field.table()) {
            record.patterns = read_patterns(&table);
        }
        (record, quota)
    }
}

fn quota(field: &Field<'_>) -> Option<u64> {
    field.size(64 * KIB..=GIB)
}

fn read_patterns(table: &Table<'_>) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (position, (name, field)) in table.named().into_iter().enumerate() {
        if position == MOST_PATTERNS {
            name.wrong(format!("more than {MOST_PATTERNS} patterns"), None);
            break;
        }
        name.check();
        let Some(mut table) = field.table() else {
            continue;
        };
        let regex = table.need("match", "write match = \"…\", a regular expression");
        let severity = table.take("severity");
        let cooldown = table.take("cooldown");
        table.finish();
        let compiles = |text: &str| match pattern::compile(text) {
            Ok(_) if text.is_empty() => Err("an empty pattern fits every line".to_owned()),
            Ok(_) => Ok(text.to_owned()),
            Err(bad) => Err(format!("not a regular expression: {bad}")),
        };
        let regex = regex.and_then(|field| field.parsed(compiles));
        let severity = severity.map_or(Some(Severity::Warning), |field| field.choice(&SEVERITIES));
        let cooldown = cooldown.map_or(Some(Duration::from_secs(10)), |field| {
            field.duration(Duration::ZERO..=DAY)
        });
        if let (Some(regex), Some(severity), Some(cooldown)) = (regex, severity, cooldown) {
            patterns.push(Pattern {
                name: name.text(),
                regex,
                severity,
                cooldown,
            });
        }
    }
    patterns
}

const SEVERITIES: [(&str, Severity); 8] = [
    ("emergency", Severity::Emergency),
    ("alert", Severity::Alert),
    ("critical", Severity::Critical),
    ("error", Severity::Error),
    ("warning", Severity::Warning),
    ("notice", Severity::Notice),
    ("info", Severity::Info),
    ("debug", Severity::Debug),
];

/// `[transcripts]`: what all of them may take together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcripts {
    pub total: u64,
}

impl Default for Transcripts {
    fn default() -> Self {
        Self { total: GIB }
    }
}

impl Transcripts {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let total = table.take("total");
        table.finish();
        let total = total.and_then(|field| field.size(MIB..=1024 * GIB));
        Self {
            total: total.unwrap_or(Self::default().total),
        }
    }
}

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Udp,
    Tcp,
    Tls,
}

/// How the server proves who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its certificate was signed by one of these (PEM).
    Authority(Secret),
    /// SHA-256 of its certificate.
    Pin([u8; 32]),
}

/// `[syslog]`: the server that gets what consoles receive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syslog {
    pub carrier: Carrier,
    pub server: SocketAddr,
    /// `None` unless TLS.
    pub proof: Option<Proof>,
    /// The name in the server's certificate, where it is not the address.
    pub name: Option<String>,
    /// RFC 5424 table 1.
    pub facility: u8,
    pub severity: Severity,
    /// What was typed goes, too, where it is kept.
    pub typed: bool,
    /// Bytes of device text per second and console.
    pub rate: u64,
}

impl Syslog {
    pub(super) fn read(mut table: Table<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let to = table.need(
            "to",
            "write to = \"udp:10.0.0.1:514\", \"tcp:…\" or \"tls:…\"",
        );
        let [facility, severity, tx, rate, ca, pin, name] =
            ["facility", "severity", "tx", "rate", "ca", "pin", "name"].map(|key| table.take(key));
        let carrier = to.as_ref().and_then(|field| field.parsed(read_server));
        let tls = matches!(carrier, Some((Carrier::Tls, _)));
        let facility = facility.map_or(Some(16), |field| field.choice(&FACILITIES));
        let severity = severity.map_or(Some(Severity::Info), |field| field.choice(&SEVERITIES));
        let tx = tx.map_or(Some(false), |field| field.flag());
        let rate = rate.map_or(Some(64 * KIB), |field| field.size(KIB..=16 * MIB));
        let mut proof = None;
        for field in [&ca, &pin, &name].into_iter().flatten() {
            if carrier.is_some() && !tls {
                field.wrong("this is for \"tls:…\" only");
            }
        }
        match (&ca, &pin) {
            (Some(_), Some(second)) => second.wrong("`ca` and `pin`: one of the two is enough"),
            (Some(ca), None) => {
                let pem = match resolver.text(ca)? {
                    Found::Text(pem) => pem,
                    Found::Elsewhere => Secret::new("-----BEGIN CERTIFICATE-----"),
                };
                if !pem.expose().contains("-----BEGIN CERTIFICATE-----") {
                    ca.wrong("no certificate in PEM form");
                    return None;
                }
                proof = Some(Proof::Authority(pem));
            }
            (None, Some(pin)) => proof = pin.parsed(read_pin).map(Proof::Pin),
            (None, None) if tls => table.missing(
                "TLS needs to know the server: `ca` or `pin` is missing".into(),
                "write ca = \"@file:ca.pem\", or pin = \"sha256:…\" of the server's certificate",
            ),
            (None, None) => {}
        }
        let name = name
            .map(|field| field.parsed(read_name))
            .map_or(Some(None), |name| name.map(Some));
        table.finish();
        let (carrier, server) = carrier?;
        if tls && proof.is_none() {
            return None;
        }
        Some(Self {
            carrier,
            server,
            proof,
            name: name?,
            facility: facility?,
            severity: severity?,
            typed: tx?,
            rate: rate?,
        })
    }
}

fn read_server(text: &str) -> Result<(Carrier, SocketAddr), String> {
    let bad = || {
        format!(
            "`{}` is no server; write \"udp:10.0.0.1:514\", \"tcp:10.0.0.1:514\" or \"tls:10.0.0.1:6514\", with an address: when a network is down, names are, too",
            text.escape_debug()
        )
    };
    let (carrier, server) = text.split_once(':').ok_or_else(bad)?;
    let carrier = match carrier {
        "udp" => Carrier::Udp,
        "tcp" => Carrier::Tcp,
        "tls" => Carrier::Tls,
        _ => return Err(bad()),
    };
    let server: SocketAddr = server.parse().map_err(|_| bad())?;
    let nobody = server.ip().is_unspecified() || server.ip().is_multicast() || server.port() == 0;
    if nobody {
        Err(bad())
    } else {
        Ok((carrier, server))
    }
}

fn read_pin(text: &str) -> Result<[u8; 32], String> {
    let bad = || {
        "a pin is \"sha256:\" and 64 hexadecimal digits, as `openssl x509 -fingerprint -sha256` prints them".to_owned()
    };
    let digits: String = text
        .strip_prefix("sha256:")
        .ok_or_else(bad)?
        .chars()
        .filter(|letter| *letter != ':')
        .collect();
    if digits.len() != 64 || !digits.is_ascii() {
        return Err(bad());
    }
    let mut pin = [0; 32];
    for (at, byte) in pin.iter_mut().enumerate() {
        let pair = digits.get(2 * at..2 * at + 2).ok_or_else(bad)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| bad())?;
    }
    Ok(pin)
}

/// A DNS name, as a certificate has it.
fn read_name(text: &str) -> Result<String, String> {
    if text.len() > 253 {
        return Err("a host name has at most 253 characters".to_owned());
    }
    for label in text.split('.') {
        values::host_name(label)
            .map_err(|_| format!("`{}` is no host name", text.escape_debug()))?;
    }
    Ok(text.to_owned())
}

/// RFC 5424 table 1, by the names that syslog daemons use.
const FACILITIES: [(&str, u8); 20] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("cron", 9),
    ("authpriv", 10),
    ("ftp", 11),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers() {
        let (carrier, server) = read_server("tls:[2001:db8::1]:6514").unwrap();
        assert_eq!((carrier, server.port()), (Carrier::Tls, 6514));
        for text in [
            "",
            "udp",
            "udp:",
            "udp:logs:514",
            "udp:10.0.0.1",
            "http:10.0.0.1:80",
            "udp:0.0.0.0:514",
            "tcp:10.0.0.1:0",
        ] {
            assert!(read_server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn pins() {
        let digits = "0f".repeat(32);
        assert_eq!(read_pin(&format!("sha256:{digits}")), Ok([15; 32]));
        let pairs = vec!["0F"; 32].join(":");
        assert_eq!(read_pin(&format!("sha256:{pairs}")), Ok([15; 32]));
        for text in [
            "",
            "0f",
            "sha256:",
            "sha1:00",
            &format!("sha256:{}é", "0".repeat(62)),
        ] {
            assert!(read_pin(text).is_err(), "{text}");
        }
    }
}
