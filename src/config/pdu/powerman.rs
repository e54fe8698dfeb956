//! `powerman = { host = "127.0.0.1:10101" }`: nodes that a `powermand` switches.

use std::net::SocketAddr;

use crate::config::reader::Field;
use crate::config::transport::read_address_or;

/// The port of `powermand`.
const PORT: u16 = 10101;

/// One `powermand`. Its protocol has no sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Powerman {
    pub host: SocketAddr,
}

impl Powerman {
    pub(super) fn read(field: &Field<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let host = table.need("host", "write host = \"127.0.0.1:10101\"");
        table.finish();
        let host = host?.parsed(|text| read_address_or(text, PORT))?;
        Some(Self { host })
    }
}
