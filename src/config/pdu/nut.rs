//! `nut = { host = "10.0.0.7:3493", ups = "pdu1", … }`: a device that a `upsd` of the LAN speaks for.

use std::net::SocketAddr;

use crate::config::reader::Field;
use crate::config::secret::{Found, Resolver, Secret};
use crate::config::transport::read_address_or;

/// The port of `upsd` (IANA: nut).
const PORT: u16 = 3493;

/// One device of one `upsd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nut {
    pub host: SocketAddr,
    /// As `ups.conf` over there calls it.
    pub ups: String,
    /// Of `upsd.users`; reading needs none.
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// TLS from the first question on, or none is asked.
    pub starttls: bool,
}

impl Nut {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let host = table.need("host", "write host = \"10.0.0.7:3493\"");
        let ups = table.need("ups", "write ups = \"NAME\" as `upsc -l` lists it there");
        let [username, password, starttls] =
            ["username", "password", "starttls"].map(|key| table.take(key));
        if username.is_some() != password.is_some() {
            table.missing(
                "`username` and `password` stand together or not at all".to_owned(),
                "add the other one; reading needs neither",
            );
        }
        table.finish();
        let starttls = starttls.map_or(Some(false), |field| field.flag());
        let host = host.and_then(|field| field.parsed(|text| read_address_or(text, PORT)));
        let ups = ups.and_then(|field| field.parsed(word));
        let username = username.map_or(Some(None), |field| field.parsed(word).map(Some));
        let password = password.map_or(Some(None), |field| {
            let Found::Text(secret) = resolver.secret(&field)? else {
                return Some(None);
            };
            if let Err(fault) = line(secret.expose()) {
                field.wrong(fault);
                return None;
            }
            Some(Some(secret))
        });
        Some(Self {
            host: host?,
            ups: ups?,
            username: username?,
            password: password?,
            starttls: starttls?,
        })
    }
}

/// A name over there: one word without quotes.
fn word(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_graphic() && !"\"\\=#[]".contains(letter);
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err("expected one word of 1 to 64 letters, without blanks and quotes".to_owned());
    }
    Ok(text.to_owned())
}

fn line(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > 128 || text.contains(char::is_control) {
        return Err(
            "a password has 1 to 128 characters, none of them control characters".to_owned(),
        );
    }
    Ok(())
}
