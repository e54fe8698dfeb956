//! The small sections: `[device]`, `[ssh]`, `[mdns]`.

use super::reader::Table;
use super::values;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// A host name of one label; `oobd` unless named.
    pub name: String,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            name: "oobd".to_owned(),
        }
    }
}

impl Device {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let name = table.take("name");
        table.finish();
        let name = name.and_then(|field| field.parsed(values::host_name));
        name.map_or_else(Self::default, |name| Self { name })
    }
}

/// Whether the board tells its name and services on the LAN and on hotspots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mdns {
    pub enabled: bool,
}

impl Default for Mdns {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Mdns {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let enabled = table.take("enabled");
        table.finish();
        let enabled = enabled.and_then(|field| field.flag());
        enabled.map_or_else(Self::default, |enabled| Self { enabled })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    pub port: u16,
}

impl Default for Ssh {
    fn default() -> Self {
        Self { port: 22 }
    }
}

impl Ssh {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let port = table.take("port");
        table.finish();
        let port = port.and_then(|field| field.number(1..=u16::MAX));
        port.map_or_else(Self::default, |port| Self { port })
    }
}
