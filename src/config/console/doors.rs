//! The plain doors of a console: the keys `telnet`, `raw` and `rfc2217` of `[console.NAME]`. All are off unless named.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::super::reader::{Field, Table};

/// What a plain door speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PlainKind {
    Telnet,
    Raw,
    Rfc2217,
}

impl PlainKind {
    pub const ALL: [Self; 3] = [Self::Telnet, Self::Raw, Self::Rfc2217];

    /// The key, the name in events, and the start of the owner's name.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Telnet => "telnet",
            Self::Raw => "raw",
            Self::Rfc2217 => "rfc2217",
        }
    }
}

/// The word of oobd.toml.
impl fmt::Display for PlainKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A TCP port that leads to one console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainDoor {
    pub kind: PlainKind,
    pub port: u16,
    /// Who may connect; empty for everybody who can reach the port, which only a door with a sign-in can be.
    pub allow: Vec<Network>,
    /// May anybody type who comes through here?
    pub write: bool,
}

impl PlainDoor {
    /// May this address connect?
    #[must_use]
    pub fn admits(&self, from: IpAddr) -> bool {
        self.allow.is_empty() || self.allow.iter().any(|network| network.contains(from))
    }

    /// The doors that a console's section names.
    pub(super) fn read_all(table: &mut Table<'_>) -> Vec<Self> {
        let named = PlainKind::ALL.map(|kind| (kind, table.take(kind.word())));
        let read = named
            .into_iter()
            .filter_map(|(kind, field)| Self::read(kind, &field?));
        read.collect()
    }

    fn read(kind: PlainKind, field: &Field<'_>) -> Option<Self> {
        let example = 2000 * u16::from(kind == PlainKind::Telnet)
            + 4000 * u16::from(kind == PlainKind::Raw)
            + 5000 * u16::from(kind == PlainKind::Rfc2217)
            + 1;
        if !field.is_table() {
            let port = field.number(1..=u16::MAX)?;
            if kind != PlainKind::Telnet {
                field.wrong_so(
                    format!("{kind} has no sign-in, so it needs a list of who may connect"),
                    format!("write {kind} = {{ port = {port}, allow = [\"10.0.0.0/24\"] }}"),
                );
                return None;
            }
            return Some(Self {
                kind,
                port,
                allow: Vec::new(),
                write: true,
            });
        }
        let mut table = field.table()?;
        let port = table.need("port", &format!("write port = {example}"));
        let allow = table.take("allow");
        let write = table.take("write");
        if allow.is_none() && kind != PlainKind::Telnet {
            table.missing(
                format!("{kind} has no sign-in, so it needs a list of who may connect"),
                "write allow = [\"10.0.0.0/24\"]",
            );
        }
        table.finish();
        let port = port.and_then(|field| field.number(1..=u16::MAX));
        let write = write.map_or(Some(true), |field| field.flag());
        let networks = match allow {
            None if kind == PlainKind::Telnet => Some(Vec::new()),
            None => None,
            Some(field) => read_allow(&field),
        };
        Some(Self {
            kind,
            port: port?,
            allow: networks?,
            write: write?,
        })
    }
}

pub(in crate::config) fn read_allow(field: &Field<'_>) -> Option<Vec<Network>> {
    let list = field.list()?;
    if list.is_empty() {
        field.wrong("an empty list lets nobody in; remove the door instead");
        return None;
    }
    list.iter()
        .map(|item| item.parsed(str::parse))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

/// A host or a network, as in `10.0.0.7` or `fd00::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// Is this address in it? IPv4 addresses in IPv6 clothes count as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && head(address, self.prefix) == head(self.address, self.prefix)
    }
}

/// The bits of the network, at the top of 128.
fn head(address: IpAddr, prefix: u8) -> u128 {
    let bits = match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()) << 96,
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let shift = 128 - u32::from(prefix);
    bits.checked_shr(shift).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || {
            format!(
                "`{}` is no host or network; write as in \"10.0.0.7\", \"10.0.0.0/24\" or \"fd00::/64\"",
                text.escape_debug()
            )
        };
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse::<u8>().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let address = address.to_canonical();
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        if prefix > longest {
            return Err(format!("prefix length /{prefix} is not 0 to {longest}"));
        }
        let network = masked(address, prefix);
        if network != address {
            return Err(format!(
                "{address}/{prefix} names a host inside a network; write \"{network}/{prefix}\" or \"{address}\""
            ));
        }
        Ok(Self { address, prefix })
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let shift = 128 - u32::from(prefix);
    let bits = head(address, prefix).checked_shl(shift).unwrap_or(0);
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::try_from(bits >> 96).unwrap_or_default().into()),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

/// Notes ports that two doors want. `taken` holds what has one already, e.g. `ssh`.
pub(in crate::config) fn check_ports(
    console: &str,
    doors: &[PlainDoor],
    field: &Field<'_>,
    taken: &mut BTreeMap<u16, String>,
) {
    for door in doors {
        let own = format!("console.{console}.{}", door.kind);
        let key = door.kind.word();
        let place = field.inner(&[key, "port"]).or_else(|| field.inner(&[key]));
        if let (Some(first), Some(place)) = (taken.get(&door.port), place) {
            place.wrong(format!("port {} is in use by `{first}` already", door.port));
        }
        taken.entry(door.port).or_insert(own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.0.0.0/24", "10.0.0.255", "10.0.1.0"),
            ("10.0.0.7", "10.0.0.7", "10.0.0.8"),
            ("fd00::/64", "fd00::1", "fd00:0:0:1::1"),
            ("::1", "::1", "::2"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "fd00::1", "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.9.9.9", "11.0.0.0"),
        ] {
            let net: Network = network.parse().unwrap();
            assert!(net.contains(inside.parse().unwrap()), "{network}");
            assert!(!net.contains(outside.parse().unwrap()), "{network}");
        }
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.5/24",
            "10.0.0",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "fd00::1/64",
            "lan",
            "10.0.0.0/24 ",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
