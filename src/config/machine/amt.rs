//! `amt = { host = "10.0.0.32", password = "@secret:amt" }`: the management engine of an Intel vPro machine.

use std::net::{IpAddr, SocketAddr};

use super::{password, printable, read_pin};
use crate::config::reader::Field;
use crate::config::secret::{Resolver, Secret};
use crate::config::transport::read_host;

/// Ports of WS-Man (IANA: amt-soap-http, amt-soap-https).
const PLAIN: u16 = 16992;
const TLS: u16 = 16993;
/// The account that every provisioned device has.
const ADMIN: &str = "admin";
/// go-wsman-messages `pkg/wsman/amt/authorization`.
const LONGEST_USER: usize = 16;
const LONGEST_PASSWORD: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amt {
    pub host: IpAddr,
    /// Of WS-Man; redirection is two ports above.
    pub port: u16,
    pub username: String,
    pub password: Secret,
    pub tls: bool,
    /// `sha256//…` of its key, as curl pins it; otherwise the first one seen is pinned.
    pub pin: Option<String>,
    /// It is old firmware, and may speak the TLS of its time.
    pub legacy_tls: bool,
}

impl Amt {
    /// Where it speaks WS-Man.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }

    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let host = table.need("host", "write host = \"10.0.0.32\"");
        let secret = table.need("password", "write password = \"@secret:NAME\"");
        let [username, port, tls, pin, legacy] =
            ["username", "port", "tls", "pin", "legacy_tls"].map(|key| table.take(key));
        table.finish();
        let host = host.and_then(|field| field.parsed(read_host));
        let username = username.map_or(Some(ADMIN.to_owned()), |field| {
            field.parsed(|text| {
                printable(text, LONGEST_USER, "a user of AMT").map(|()| text.to_owned())
            })
        });
        let password = password(secret, resolver, |text| {
            printable(text, LONGEST_PASSWORD, "a password of AMT")
        });
        let tls = tls.map_or(Some(true), |field| field.flag());
        let usual = if tls == Some(false) { PLAIN } else { TLS };
        // Redirection needs a port above it.
        let port = port.map_or(Some(usual), |field| field.number(1..=u16::MAX - 2));
        if let (Some(pin), Some(false)) = (&pin, tls) {
            pin.wrong("needs tls = true: without TLS there is no key to pin");
        }
        if let (Some(legacy), Some(false)) = (&legacy, tls) {
            legacy.wrong("needs tls = true: without TLS there is none that could be old");
        }
        let legacy_tls = legacy.map_or(Some(false), |field| field.flag());
        let pin = pin.map_or(Some(None), |field| field.parsed(read_pin).map(Some));
        Some(Self {
            host: host?,
            port: port?,
            username: username?,
            password: password?,
            tls: tls?,
            pin: pin?,
            legacy_tls: legacy_tls?,
        })
    }
}
