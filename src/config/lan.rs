//! The section `[lan]`: the private network the board sits in.

use std::net::IpAddr;

use super::reader::{Field, Table};
use super::values;

/// More name servers than any resolver asks.
const MOST_DNS: usize = 3;

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

impl Default for Lan {
    fn default() -> Self {
        Self {
            interface: "eth0".to_owned(),
            address: LanAddress::Dhcp,
        }
    }
}

impl Lan {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let default = Self::default();
        let interface = table.take("interface");
        let address = table.take("address");
        let gateway = table.take("gateway");
        let dns = table.take("dns");
        table.finish();
        let interface = interface
            .and_then(|field| field.parsed(values::interface))
            .unwrap_or(default.interface);
        let said = address.as_ref().is_some_and(|field| !field.is("dhcp"));
        let network = address.and_then(|field| {
            let read = field.parsed(address_or_dhcp)?;
            check_host(&field, read?)
        });
        let Some((address, prefix)) = network else {
            for field in [gateway, dns].into_iter().flatten().filter(|_| !said) {
                field.wrong_so(
                    "DHCP gives this",
                    "name it together with a fixed `address` only, such as \"10.0.0.5/24\"",
                );
            }
            return Self {
                interface,
                address: LanAddress::Dhcp,
            };
        };
        let gateway = gateway.and_then(|field| {
            let gateway = field.parsed(ip)?;
            let link_local = matches!(gateway, IpAddr::V6(v6) if v6.is_unicast_link_local());
            let inside = network_of(gateway, prefix) == network_of(address, prefix);
            if gateway.is_ipv4() != address.is_ipv4() || !(inside || link_local) {
                field.wrong(format!("not in the network of {address}/{prefix}"));
                return None;
            }
            if gateway == address {
                field.wrong("the board cannot be its own gateway");
                return None;
            }
            Some(gateway)
        });
        let dns = dns.map(|field| servers(&field)).unwrap_or_default();
        Self {
            interface,
            address: LanAddress::Static {
                address,
                prefix,
                gateway,
                dns,
            },
        }
    }
}

fn servers(field: &Field<'_>) -> Vec<IpAddr> {
    let list = field.list().unwrap_or_default();
    if list.len() > MOST_DNS {
        field.wrong(format!("more than {MOST_DNS} name servers"));
    }
    list.iter().filter_map(|item| item.parsed(ip)).collect()
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse()
        .map_err(|_| format!("`{}` is no IP address", text.escape_debug()))
}

/// `None` for `dhcp`.
fn address_or_dhcp(text: &str) -> Result<Option<(IpAddr, u8)>, String> {
    if text == "dhcp" {
        return Ok(None);
    }
    let bad = || {
        format!(
            "`{}` is no address; write \"dhcp\", or an address with its prefix length as in \"10.0.0.5/24\"",
            text.escape_debug()
        )
    };
    let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let prefix: u8 = prefix.parse().map_err(|_| bad())?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    if prefix == 0 || prefix > longest {
        return Err(format!("prefix length /{prefix} is not 1 to {longest}"));
    }
    Ok(Some((address, prefix)))
}

/// Refuses addresses that no host can have.
fn check_host(field: &Field<'_>, (address, prefix): (IpAddr, u8)) -> Option<(IpAddr, u8)> {
    let fault = match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if address.is_unspecified() => Some("not the address of a host"),
        IpAddr::V4(v4) if v4.is_broadcast() => Some("a broadcast address"),
        IpAddr::V4(v4) if prefix < 31 => {
            let host = u32::MAX >> prefix;
            match u32::from(v4) & host {
                0 => Some("the address of the network, not of a host"),
                bits if bits == host => Some("the broadcast address of its network"),
                _ => None,
            }
        }
        _ => None,
    };
    match fault {
        Some(fault) => {
            field.wrong(format!("{address}/{prefix} is {fault}"));
            None
        }
        None => Some((address, prefix)),
    }
}

/// The bits of an address that all hosts of its network share.
fn network_of(address: IpAddr, prefix: u8) -> u128 {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4).checked_shr(32 - prefix.min(32)).unwrap_or(0)),
        IpAddr::V6(v6) => u128::from(v6).checked_shr(128 - prefix).unwrap_or(0),
    }
}
