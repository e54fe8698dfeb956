//! `amt = { host = "10.0.0.32", password = "@secret:amt" }`: the management engine of an Intel vPro machine; or
//! `amt = { cira = { uuid = …, username = …, password = … }, password = … }` of one that calls in.

use std::net::{IpAddr, SocketAddr};

use super::{password, printable, read_pin};
use crate::config::reader::Field;
use crate::config::secret::{Resolver, Secret};
use crate::config::transport::read_host;
use crate::http::Url;

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
    pub at: AmtAt,
    pub username: String,
    pub password: Secret,
    pub tls: bool,
    /// `sha256//…` of its key, as curl pins it; otherwise the first one seen is pinned.
    pub pin: Option<String>,
    /// It is old firmware, and may speak the TLS of its time.
    pub legacy_tls: bool,
}

/// Where it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AmtAt {
    /// Its port of WS-Man; redirection is two ports above.
    Lan(SocketAddr),
    /// At the end of the tunnel that it opens to this board.
    Cira(CiraLogin),
}

/// Who a device is that calls in, and how it signs in then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CiraLogin {
    /// As the operating system shows it, in small letters.
    pub uuid: String,
    pub username: String,
    pub password: Secret,
}

impl CiraLogin {
    fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let uuid = table.need("uuid", "write the one that `oobctl amt info` shows");
        let username = table.need("username", "write the one that the device signs in with");
        let secret = table.need("password", "write password = \"@secret:NAME\"");
        table.finish();
        let uuid = uuid.and_then(|field| field.parsed(read_uuid));
        let username = username.and_then(|field| {
            field.parsed(|text| {
                printable(text, LONGEST_USER, "a user of CIRA").map(|()| text.to_owned())
            })
        });
        let password = password(secret, resolver, |text| {
            printable(text, LONGEST_PASSWORD, "a password of CIRA")
        });
        Some(Self {
            uuid: uuid?,
            username: username?,
            password: password?,
        })
    }
}

fn read_uuid(text: &str) -> Result<String, String> {
    let lengths = text.split('-').map(str::len);
    let is_hex = |c: char| c == '-' || c.is_ascii_hexdigit();
    if !lengths.eq([8, 4, 4, 4, 12]) || !text.chars().all(is_hex) {
        return Err(format!(
            "`{}` is no UUID; write as in \"4c4c4544-004b-4210-8033-b6c04f504633\"",
            text.escape_debug()
        ));
    }
    Ok(text.to_ascii_lowercase())
}

impl Amt {
    /// Where it speaks WS-Man.
    #[must_use]
    pub fn url(&self) -> Url {
        match &self.at {
            AmtAt::Lan(address) => Url::of(self.tls, *address),
            AmtAt::Cira(login) => {
                Url::named(self.tls, &login.uuid, if self.tls { TLS } else { PLAIN })
            }
        }
    }

    /// Its address on the LAN, where it has one.
    #[must_use]
    pub fn host(&self) -> Option<IpAddr> {
        match &self.at {
            AmtAt::Lan(address) => Some(address.ip()),
            AmtAt::Cira(_) => None,
        }
    }

    /// Its UUID, if it calls in.
    #[must_use]
    pub fn caller(&self) -> Option<&str> {
        match &self.at {
            AmtAt::Lan(_) => None,
            AmtAt::Cira(login) => Some(&login.uuid),
        }
    }

    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let [cira, host, port] = ["cira", "host", "port"].map(|key| table.take(key));
        if cira.is_none() && host.is_none() {
            table.missing(
                "`host` is missing".to_owned(),
                "write host = \"10.0.0.32\", or cira = { … } of a device that calls in",
            );
        }
        let secret = table.need("password", "write password = \"@secret:NAME\"");
        let [username, tls, pin, legacy] =
            ["username", "tls", "pin", "legacy_tls"].map(|key| table.take(key));
        table.finish();
        if cira.is_some() {
            for field in [&host, &port].into_iter().flatten() {
                field.wrong_so(
                    "has no use beside `cira`: the device calls in",
                    "remove one of the two",
                );
            }
        }
        let calls = cira.is_some();
        let login = cira.map(|field| CiraLogin::read(&field, resolver));
        let host = host.and_then(|field| field.parsed(read_host));
        let username = username.map_or(Some(ADMIN.to_owned()), |field| {
            field.parsed(|text| {
                printable(text, LONGEST_USER, "a user of AMT").map(|()| text.to_owned())
            })
        });
        let password = password(secret, resolver, |text| {
            printable(text, LONGEST_PASSWORD, "a password of AMT")
        });
        // What goes through a tunnel is encrypted already, and AMT listens there without TLS besides.
        let tls = tls.map_or(Some(!calls), |field| field.flag());
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
        let at = match login {
            Some(login) => AmtAt::Cira(login?),
            None => AmtAt::Lan(SocketAddr::new(host?, port?)),
        };
        Some(Self {
            at,
            username: username?,
            password: password?,
            tls: tls?,
            pin: pin?,
            legacy_tls: legacy_tls?,
        })
    }
}
