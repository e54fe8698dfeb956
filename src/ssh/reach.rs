//! Which addresses an operator may reach through the board: hosts on the LAN's own subnets, and nothing else. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use crate::fact::{Link, LinkRole};
use crate::state::State;

/// Why an address is out of reach. The text is for the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OutOfReach {
    #[error("{0} is a loopback address")]
    Loopback(IpAddr),
    #[error("{0} is this board itself")]
    Ourselves(IpAddr),
    #[error("{0} is not the address of one host")]
    NotOneHost(IpAddr),
    #[error("{address} is not on the LAN ({networks}); this board is no gateway")]
    OffLink { address: IpAddr, networks: String },
    #[error("the LAN has no address now")]
    NoLan,
    #[error("{0} is no port")]
    Port(u32),
}

/// The LAN as it is now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lan {
    /// Kernel index of the interface; the scope of link-local addresses.
    index: u32,
    networks: Vec<Network>,
    /// Every address the board holds, on any link.
    ours: Vec<IpAddr>,
    dns: Vec<IpAddr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Lan {
    /// From the state, and the addresses that the kernel lists (link-local ones are not in the state).
    pub(super) fn new(state: &State, interface: &str, kernel: &[IpAddr]) -> Self {
        let is_lan = |link: &&Link| link.role == LinkRole::Lan && link.interface == interface;
        let link = state.links.values().find(is_lan);
        let held = state.links.values().flat_map(|link| &link.addresses);
        let held = held
            .filter_map(|text| Network::parse(text))
            .map(|network| network.address);
        Self {
            index: link.map_or(0, |link| link.index),
            networks: link
                .map(|link| {
                    link.addresses
                        .iter()
                        .filter_map(|text| Network::parse(text))
                        .collect()
                })
                .unwrap_or_default(),
            ours: held
                .chain(kernel.iter().map(IpAddr::to_canonical))
                .collect(),
            dns: link.map(|link| link.dns.clone()).unwrap_or_default(),
        }
    }

    /// The name servers that the LAN told us.
    pub(super) fn dns(&self) -> &[IpAddr] {
        &self.dns
    }

    /// Where to connect; link-local addresses need the interface they mean.
    pub(super) fn target(&self, address: IpAddr, port: u16) -> SocketAddr {
        match address {
            IpAddr::V6(v6) if v6.is_unicast_link_local() => {
                SocketAddrV6::new(v6, port, 0, self.index).into()
            }
            _ => SocketAddr::new(address, port),
        }
    }

    /// Is this one host on the LAN, and not us?
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), OutOfReach> {
        let address = address.to_canonical();
        if address.is_loopback() {
            return Err(OutOfReach::Loopback(address));
        }
        let vague = match address {
            IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || v4.octets()[0] == 0,
            IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
        };
        if vague {
            return Err(OutOfReach::NotOneHost(address));
        }
        if self.ours.contains(&address) {
            return Err(OutOfReach::Ourselves(address));
        }
        if self.networks.is_empty() {
            return Err(OutOfReach::NoLan);
        }
        // Link-local addresses are on every link by definition; the bound interface makes this one the LAN's.
        let local = matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        let home = self
            .networks
            .iter()
            .find(|network| network.contains(address));
        match home {
            None if local => Ok(()),
            None => Err(OutOfReach::OffLink {
                address,
                networks: self
                    .networks
                    .iter()
                    .map(Network::text)
                    .collect::<Vec<_>>()
                    .join(", "),
            }),
            Some(network) if network.is_edge(address) => Err(OutOfReach::NotOneHost(address)),
            Some(_) => Ok(()),
        }
    }
}

impl Network {
    fn parse(cidr: &str) -> Option<Self> {
        let (address, prefix) = cidr.split_once('/')?;
        let (address, prefix) = (address.parse::<IpAddr>().ok()?, prefix.parse().ok()?);
        let most = if address.is_ipv4() { 32 } else { 128 };
        (prefix <= most).then_some(Self { address, prefix })
    }

    fn contains(&self, other: IpAddr) -> bool {
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let host = 32 - u32::from(self.prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(host).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let host = 128 - u32::from(self.prefix);
                (a.to_bits() ^ b.to_bits()).checked_shr(host).unwrap_or(0) == 0
            }
            _ => false,
        }
    }

    /// The first or last address of an IPv4 subnet that has more than two.
    fn is_edge(&self, address: IpAddr) -> bool {
        let IpAddr::V4(v4) = address else {
            return false;
        };
        if self.prefix >= 31 {
            return false;
        }
        let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
        let part = v4.to_bits() & host;
        part == 0 || part == host
    }

    fn text(&self) -> String {
        let base = match self.address {
            IpAddr::V4(v4) => {
                let host = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & !host))
            }
            IpAddr::V6(v6) => {
                let host = u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & !host).into())
            }
        };
        format!("{base}/{}", self.prefix)
    }
}

/// A literal address as clients write it: brackets and a zone are taken off. `None` for a name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    let host = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host);
    let host = host
        .split_once('%')
        .map_or(host, |(address, _zone)| address);
    host.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(links: &[(&str, LinkRole, &[&str])]) -> State {
        let mut state = State::default();
        for (index, (interface, role, addresses)) in links.iter().enumerate() {
            state.links.insert(
                (*interface).into(),
                Link {
                    interface: (*interface).into(),
                    index: u32::try_from(index).unwrap() + 2,
                    role: role.clone(),
                    mac: String::new(),
                    carrier: true,
                    addresses: addresses.iter().map(ToString::to_string).collect(),
                    gateways: vec![],
                    dns: vec![],
                },
            );
        }
        state
    }

    fn lan() -> Lan {
        let state = state(&[
            ("eth0", LinkRole::Lan, &["10.0.0.5/24", "2001:db8:1::5/64"]),
            (
                "wlan0",
                LinkRole::Uplink("hotspot".into()),
                &["172.20.10.2/28"],
            ),
        ]);
        Lan::new(
            &state,
            "eth0",
            &["fe80::5".parse().unwrap(), "10.7.7.7".parse().unwrap()],
        )
    }

    #[test]
    fn lan_hosts_are_in_reach() {
        for host in [
            "10.0.0.1",
            "10.0.0.254",
            "::ffff:10.0.0.9",
            "2001:db8:1::9",
            "fe80::1",
        ] {
            assert_eq!(lan().judge(host.parse().unwrap()), Ok(()), "{host}");
        }
    }

    #[test]
    fn everything_else_is_not() {
        for host in [
            "127.0.0.1",
            "127.1.2.3",
            "::1",
            "::ffff:127.0.0.1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "10.0.0.5",
            "2001:db8:1::5",
            "172.20.10.2",
            "172.20.10.1",
            "fe80::5",
            "10.7.7.7",
            "10.0.0.0",
            "10.0.0.255",
            "10.0.1.1",
            "1.1.1.1",
            "2001:db8:2::1",
            "2606:4700:4700::1111",
            "169.254.1.1",
            "::ffff:1.1.1.1",
        ] {
            assert!(lan().judge(host.parse().unwrap()).is_err(), "{host}");
        }
        let why = lan()
            .judge("1.1.1.1".parse().unwrap())
            .unwrap_err()
            .to_string();
        assert_eq!(
            why,
            "1.1.1.1 is not on the LAN (10.0.0.0/24, 2001:db8:1::/64); this board is no gateway"
        );
    }

    #[test]
    fn without_a_lan_nothing_is_in_reach() {
        let nowhere = Lan::new(&State::default(), "eth0", &[]);
        assert_eq!(
            nowhere.judge("10.0.0.1".parse().unwrap()),
            Err(OutOfReach::NoLan)
        );
        assert_eq!(
            nowhere.judge("fe80::1".parse().unwrap()),
            Err(OutOfReach::NoLan)
        );
        let renamed = Lan::new(
            &state(&[("eth0", LinkRole::Lan, &["10.0.0.5/24"])]),
            "eth1",
            &[],
        );
        assert_eq!(
            renamed.judge("10.0.0.1".parse().unwrap()),
            Err(OutOfReach::NoLan)
        );
    }

    #[test]
    fn odd_prefixes() {
        let whole = Lan::new(
            &state(&[(
                "eth0",
                LinkRole::Lan,
                &["10.0.0.5/0", "x/24", "10.0.0.5/33"],
            )]),
            "eth0",
            &[],
        );
        assert_eq!(whole.networks.len(), 1);
        assert_eq!(whole.judge("1.1.1.1".parse().unwrap()), Ok(()));
        let point = Lan::new(
            &state(&[("eth0", LinkRole::Lan, &["10.0.0.4/31"])]),
            "eth0",
            &[],
        );
        assert_eq!(point.judge("10.0.0.5".parse().unwrap()), Ok(()));
        let alone = Lan::new(
            &state(&[("eth0", LinkRole::Lan, &["10.0.0.4/32"])]),
            "eth0",
            &[],
        );
        assert!(alone.judge("10.0.0.5".parse().unwrap()).is_err());
    }

    #[test]
    fn literals_of_all_shapes() {
        for (text, address) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("[fe80::1%eth0]", Some("fe80::1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("switch.lan", None),
            ("10.0.0.256", None),
            ("", None),
        ] {
            assert_eq!(
                literal(text),
                address.map(|text| text.parse().unwrap()),
                "{text}"
            );
        }
    }
}
