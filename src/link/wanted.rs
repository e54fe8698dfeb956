//! What the kernel should hold for one link, from what its lease and its routers say. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::lease::Lease;
use super::netlink::{Address, Route, own_route};
use super::plan::{LAN_TABLE, MAIN_TABLE, Plan};
use super::routers::{Routers, own_address, seconds};
use super::rules::Rule;
use crate::clock::Instant;
use crate::config::LanAddress;

/// Addresses and routes of one link, gateways first seen first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Wanted {
    pub addresses: Vec<Address>,
    pub routes: Vec<Route>,
    pub rules: Vec<Rule>,
    pub gateways: Vec<IpAddr>,
    pub dns: Vec<IpAddr>,
}

/// Everything known of a link that may carry addresses now.
#[derive(Debug)]
pub(super) struct Basis<'a> {
    pub index: u32,
    pub interface: &'a str,
    pub mac: [u8; 6],
    /// The configured address, for the LAN only.
    pub fixed: Option<&'a LanAddress>,
    /// And when it ends.
    pub lease: Option<(&'a Lease, Instant)>,
    pub routers: &'a Routers,
}

/// The LAN's connected routes stand in `main`, its default routes in a table that is asked last. All of an uplink's
/// routes, the connected ones too, stand in the uplink's own table.
#[must_use]
pub(super) fn wanted(plan: &Plan, basis: &Basis<'_>, now: Instant) -> Wanted {
    let way = plan.way(basis.interface);
    let (near, far) = way.map_or((MAIN_TABLE, LAN_TABLE), |way| (way.table, way.table));
    let mut all = Wanted::default();
    let index = basis.index;

    if let Some(LanAddress::Static {
        address,
        prefix,
        gateway,
        dns,
    }) = basis.fixed
    {
        let (network, unspecified) = match address {
            IpAddr::V4(four) => (
                IpAddr::V4(network4(*four, *prefix)),
                IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ),
            IpAddr::V6(six) => (
                IpAddr::V6(network6(*six, *prefix)),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            ),
        };
        all.address(index, *address, *prefix, None);
        let source = address.is_ipv4().then_some(*address);
        all.routes.push(Route {
            source,
            ..own_route(index, near, network, *prefix)
        });
        if let Some(gateway) = gateway {
            let default = own_route(index, far, unspecified, 0);
            all.routes.push(Route {
                gateway: Some(*gateway),
                source,
                ..default
            });
            all.gateways.push(*gateway);
        }
        all.dns.extend(dns);
    }

    if let Some((lease, ends)) = basis.lease {
        let address = IpAddr::V4(lease.address);
        let left = seconds(Some(ends), now);
        all.address(index, address, lease.prefix, Some((left, left)));
        let connected = own_route(index, near, IpAddr::V4(lease.network()), lease.prefix);
        all.routes.push(Route {
            source: Some(address),
            mtu: lease.mtu,
            ..connected
        });
        if let Some(gateway) = lease.gateway {
            let default = own_route(index, far, IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
            all.routes.push(Route {
                gateway: Some(IpAddr::V4(gateway)),
                source: Some(address),
                mtu: lease.mtu,
                ..default
            });
            all.gateways.push(IpAddr::V4(gateway));
        }
        all.rules
            .extend(way.map(|way| plan.answer_rule(way, lease.address)));
        all.dns.extend(lease.dns.iter().copied().map(IpAddr::V4));
    }

    for ((network, length), prefix) in basis.routers.prefixes() {
        if prefix.on_link {
            all.routes
                .push(own_route(index, near, IpAddr::V6(*network), *length));
        }
        if prefix.autonomous {
            let address = IpAddr::V6(own_address(*network, basis.mac));
            let lifetimes = (seconds(prefix.valid, now), seconds(prefix.preferred, now));
            all.address(index, address, *length, Some(lifetimes));
        }
    }
    if way.is_some() && !basis.routers.prefixes().is_empty() {
        // So that a neighbour on the hotspot is answered when it comes from its link-local address.
        let link_local = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));
        all.routes.push(own_route(index, near, link_local, 64));
    }
    if let Some((router, mtu)) = basis.routers.best() {
        let default = own_route(index, far, IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
        all.routes.push(Route {
            gateway: Some(IpAddr::V6(router)),
            mtu,
            ..default
        });
        all.gateways.push(IpAddr::V6(router));
    }
    all.dns
        .extend(basis.routers.dns().into_iter().map(IpAddr::V6));
    all
}

impl Wanted {
    fn address(&mut self, index: u32, address: IpAddr, prefix: u8, lifetimes: Option<(u32, u32)>) {
        let tentative = false;
        self.addresses.push(Address {
            index,
            address,
            prefix,
            lifetimes,
            tentative,
        });
    }

    /// Adds the needs of another link.
    pub(super) fn extend(&mut self, other: Self) {
        self.addresses.extend(other.addresses);
        self.routes.extend(other.routes);
        self.rules.extend(other.rules);
    }
}

fn network4(address: Ipv4Addr, prefix: u8) -> Ipv4Addr {
    let mask = u32::MAX
        .checked_shl(32u32.saturating_sub(u32::from(prefix)))
        .unwrap_or(0);
    Ipv4Addr::from(u32::from(address) & mask)
}

fn network6(address: Ipv6Addr, prefix: u8) -> Ipv6Addr {
    let mask = u128::MAX
        .checked_shl(128u32.saturating_sub(u32::from(prefix)))
        .unwrap_or(0);
    Ipv6Addr::from(u128::from(address) & mask)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::link::advert::{Advert, tests::bytes};
    use crate::link::plan::tests as samples;

    fn lease() -> Lease {
        Lease {
            address: "172.20.10.12".parse().unwrap(),
            prefix: 28,
            gateway: Some("172.20.10.1".parse().unwrap()),
            dns: vec!["172.20.10.1".parse().unwrap()],
            mtu: None,
            seconds: 3600,
        }
    }

    fn of(interface: &str) -> Wanted {
        let plan = Plan::new(
            &samples::lan("eth0"),
            &[samples::uplink(0, "wlan0", &[])],
            samples::DOORS,
        )
        .unwrap();
        let now = Instant::now();
        let (lease, mut routers) = (lease(), Routers::default());
        let advert = Advert::read(&bytes(1800, 3600, 3600)).unwrap();
        routers.take("fe80::1".parse().unwrap(), &advert, now);
        let basis = Basis {
            index: 7,
            interface,
            mac: [2, 0, 0, 0, 0, 1],
            fixed: None,
            lease: Some((&lease, now + Duration::from_secs(3600))),
            routers: &routers,
        };
        wanted(&plan, &basis, now)
    }

    #[test]
    fn all_routes_of_an_uplink_stand_in_its_own_table() {
        let uplink = of("wlan0");
        assert!(
            uplink.routes.iter().all(|route| route.table == 100),
            "{uplink:?}"
        );
        assert_eq!(
            uplink
                .routes
                .iter()
                .filter(|route| route.prefix == 0)
                .count(),
            2
        );
        assert_eq!(uplink.rules.len(), 1);
        assert_eq!(uplink.addresses.len(), 2);
    }

    #[test]
    fn the_lans_default_routes_are_not_in_main() {
        let lan = of("eth0");
        for route in &lan.routes {
            let table = if route.prefix == 0 {
                LAN_TABLE
            } else {
                MAIN_TABLE
            };
            assert_eq!(route.table, table, "{route}");
        }
        assert!(lan.rules.is_empty());
        assert_eq!(lan.dns.len(), 2);
    }

    #[test]
    fn a_fixed_address_of_either_family_gets_its_network() {
        let plan = Plan::new(&samples::lan("eth0"), &[], samples::DOORS).unwrap();
        for (address, prefix, network) in [
            ("10.0.5.7", 23, "10.0.4.0"),
            ("fd50::7", 64, "fd50::"),
            ("10.0.5.7", 32, "10.0.5.7"),
        ] {
            let fixed = LanAddress::Static {
                address: address.parse().unwrap(),
                prefix,
                gateway: None,
                dns: vec![],
            };
            let routers = Routers::default();
            let basis = Basis {
                index: 2,
                interface: "eth0",
                mac: [0; 6],
                fixed: Some(&fixed),
                lease: None,
                routers: &routers,
            };
            let wanted = wanted(&plan, &basis, Instant::now());
            assert_eq!(
                wanted.routes[0].destination,
                network.parse::<IpAddr>().unwrap()
            );
            assert_eq!(wanted.routes.len(), 1);
        }
    }
}
