//! `ipmi = { host = "10.0.0.30", username = "admin", password = "@secret:ipmi" }`: a controller that speaks IPMI 2.0.

use std::net::SocketAddr;

use super::{password, printable};
use crate::config::reader::Field;
use crate::config::secret::{Resolver, Secret};
use crate::config::transport::read_host;

/// Remote management control protocol, primary (IANA: asf-rmcp).
const PORT: u16 = 623;
/// IPMI 2.0 §22.28 and §22.30.
const LONGEST_USER: usize = 16;
const LONGEST_PASSWORD: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipmi {
    pub host: SocketAddr,
    pub username: String,
    pub password: Secret,
}

impl Ipmi {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let host = table.need("host", "write host = \"10.0.0.30\"");
        let port = table.take("port");
        let username = table.need("username", "write username = \"admin\"");
        let secret = table.need("password", "write password = \"@secret:NAME\"");
        table.finish();
        let host = host.and_then(|field| field.parsed(read_host));
        let port = port.map_or(Some(PORT), |field| field.number(1..=u16::MAX));
        let username = username.and_then(|field| {
            field.parsed(|text| {
                printable(text, LONGEST_USER, "a user of IPMI").map(|()| text.to_owned())
            })
        });
        let password = password(secret, resolver, |text| {
            printable(text, LONGEST_PASSWORD, "a password of IPMI")
        });
        Some(Self {
            host: SocketAddr::new(host?, port?),
            username: username?,
            password: password?,
        })
    }
}
