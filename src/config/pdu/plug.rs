//! `shelly = { host = "10.0.0.8" }` and `tasmota = { … }`: plugs and relays with a web interface.

use std::net::SocketAddr;

use crate::config::reader::Field;
use crate::config::secret::{Found, Resolver, Secret};
use crate::config::transport::read_address_or;

/// A Shelly of the second generation or later. Its user is always `admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelly {
    pub host: SocketAddr,
    pub password: Option<Secret>,
}

/// A device with Tasmota firmware.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tasmota {
    pub host: SocketAddr,
    pub password: Option<Secret>,
}

impl Shelly {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let (host, password) = read(field, resolver)?;
        Some(Self { host, password })
    }
}

impl Tasmota {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let (host, password) = read(field, resolver)?;
        Some(Self { host, password })
    }
}

/// Plugs speak plain HTTP; the port is 80 where none is said.
fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<(SocketAddr, Option<Secret>)> {
    let mut table = field.table()?;
    let host = table.need("host", "write host = \"10.0.0.8\"");
    let password = table.take("password");
    table.finish();
    let host = host.and_then(|field| field.parsed(|text| read_address_or(text, 80)));
    let password = password.map_or(Some(None), |field| read_password(&field, resolver));
    Some((host?, password?))
}

/// `None` is wrong, `Some(None)` lies on the board.
#[allow(
    clippy::option_option,
    reason = "wrong, elsewhere and there are three things"
)]
pub(super) fn read_password(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Option<Secret>> {
    let Found::Text(secret) = resolver.secret(field)? else {
        return Some(None);
    };
    let text = secret.expose();
    if text.is_empty() || text.len() > 128 || text.contains(char::is_control) {
        field.wrong("a password has 1 to 128 characters, none of them control characters");
        return None;
    }
    Some(Some(secret))
}
