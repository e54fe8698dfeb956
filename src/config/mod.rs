//! `oobd.toml` as typed values. Reading it reports every problem at once; see `reader` and `check`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

mod secret;
pub use secret::Secret;

/// A checked configuration: cross-references hold, ranges hold, secrets are resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub device: Device,
    pub lan: Lan,
    pub oob: Oob,
    /// In order of preference, as they stand in the file.
    pub uplinks: Vec<Uplink>,
    pub probe: Probe,
    pub ssh: Ssh,
    pub consoles: Vec<Console>,
    pub users: Vec<User>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub name: String,
}

/// The private network the board sits in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lan {
    pub interface: String,
    pub address: LanAddress,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LanAddress {
    Dhcp,
    Static {
        address: IpAddr,
        prefix: u8,
        gateway: Option<IpAddr>,
        dns: Vec<IpAddr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// An uplink comes up when its trigger SSID is seen.
    Trigger,
    /// Uplinks are kept up whenever they can be.
    Always,
    Off,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Oob {
    pub mode: Mode,
    /// Name under `/sys/class/leds` of the lamp that shows the OOB indicator.
    pub led: Option<String>,
    /// Period of the scan loop while armed.
    pub scan_fast: Duration,
    /// How long it stays fast after start, a button or a lost hotspot.
    pub fast_for: Duration,
    /// Period after that.
    pub scan_slow: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    pub name: String,
    /// Position in the file, from 0; chooses mark and table.
    pub slot: u8,
    /// Doors that are open on this uplink itself.
    pub accept: Vec<DoorName>,
    pub kind: UplinkKind,
}

impl Uplink {
    /// Firewall mark of our own sockets that leave by this uplink, within mask `0xff00`.
    #[must_use]
    pub fn mark(&self) -> u32 {
        (u32::from(self.slot) + 1) << 8
    }

    /// Its own routing table.
    #[must_use]
    pub fn table(&self) -> u32 {
        100 + u32::from(self.slot)
    }

    #[must_use]
    pub fn interface(&self) -> &str {
        match &self.kind {
            UplinkKind::Wifi(wifi) => &wifi.interface,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoorName {
    Ssh,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkKind {
    Wifi(Wifi),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wifi {
    pub interface: String,
    /// Trigger SSIDs as bytes, 1 to 32 long each, first is preferred.
    pub ssids: Vec<Vec<u8>>,
    /// WPA2 or WPA3 passphrase, 8 to 63 characters; `None` together with `open` only, or until first boot made one.
    pub passphrase: Option<Secret>,
    /// ISO 3166 country that rules the radio.
    pub country: Option<String>,
    /// Join an unencrypted hotspot too.
    pub open: bool,
    /// Probe for hidden hotspots; tells everybody around which SSID we look for.
    pub hidden: bool,
    pub sae: Sae,
}

/// Use of WPA3 (SAE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sae {
    /// WPA2 and WPA3, whichever the hotspot offers.
    Auto,
    /// WPA2 only, for radios whose firmware fails at SAE.
    Off,
    /// WPA3 only.
    Only,
}

/// Is there internet behind an uplink?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// TCP targets; one that answers is enough.
    pub targets: Vec<std::net::SocketAddr>,
    pub every: Duration,
    pub fail_after: u32,
    pub clear_after: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ssh {
    pub port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub name: String,
    pub transport: Transport,
    /// Bytes kept in memory per console.
    pub ring: usize,
    /// Bytes kept on flash per console.
    pub transcript: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    Serial { port: PathBuf, line: Line },
}

/// Line settings, written `115200n8` (baud, parity n/e/o, data bits, then `2` after a dot for two stop bits is not used: `9600n82`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub baud: u32,
    pub parity: Parity,
    pub data_bits: u8,
    pub stop_bits: u8,
    pub flow: Flow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    None,
    Even,
    Odd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    None,
    RtsCts,
    XonXoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Looks, never types.
    ReadOnly,
    /// Types on consoles, switches power, reaches LAN hosts.
    Operator,
    /// All of it, and the configuration.
    Administrator,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// OpenSSH public key lines.
    pub keys: Vec<String>,
    /// argon2id hash in PHC form.
    pub password: Option<Secret>,
    /// Globs over console names.
    pub consoles: Vec<String>,
    /// May open connections to LAN hosts through the board; by default so for operators and administrators.
    pub forward: bool,
}
