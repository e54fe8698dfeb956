//! A DHCPv4 lease as we use it, and which leases are refused. Pure.

use std::net::Ipv4Addr;

/// What we take from a lease. Classless routes (options 121, 33, 249), host name, domain, NTP and the rest are
/// never asked for and never used: an uplink is hostile until proven otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub mtu: Option<u32>,
    /// Lifetime in seconds from the moment the server granted it.
    pub seconds: u32,
}

/// Subnets bigger than this are no network somebody stands in; a mask that was not sent reads as 0.
const SHORTEST_PREFIX: u32 = 8;
/// RFC 791: what every IPv4 host must take; smaller values are traps.
const SMALLEST_MTU: u16 = 576;
/// Of the name servers a lease names.
const MOST_DNS: usize = 3;

impl Lease {
    /// # Errors
    /// A sentence for a person when the lease cannot be used.
    pub(super) fn read(raw: &mozim::DhcpV4Lease) -> Result<Self, String> {
        let address = raw.yiaddr;
        let mask = u32::from(raw.subnet_mask);
        if mask.leading_ones() != mask.count_ones() || mask.count_ones() < SHORTEST_PREFIX {
            return Err(format!(
                "the DHCP server sent the netmask {}",
                raw.subnet_mask
            ));
        }
        let host = !mask & u32::from(address);
        let network_or_broadcast = mask.count_ones() < 31 && (host == 0 || host == !mask);
        if !usable(address) || network_or_broadcast {
            return Err(format!(
                "the DHCP server sent the address {address}/{}, which no host can have",
                mask.count_ones()
            ));
        }
        let gateway = raw
            .gateways
            .iter()
            .flatten()
            .copied()
            .find(|gateway| usable(*gateway) && *gateway != address);
        let dns = raw
            .dns_srvs
            .iter()
            .flatten()
            .copied()
            .filter(|server| usable(*server));
        Ok(Self {
            address,
            prefix: u8::try_from(mask.count_ones()).unwrap_or(32),
            gateway,
            dns: dns.take(MOST_DNS).collect(),
            mtu: raw.mtu.filter(|mtu| *mtu >= SMALLEST_MTU).map(u32::from),
            seconds: raw.lease_time_sec,
        })
    }

    #[must_use]
    pub(super) fn network(&self) -> Ipv4Addr {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0);
        Ipv4Addr::from(u32::from(self.address) & mask)
    }

    #[must_use]
    pub(super) fn cidr(&self) -> String {
        format!("{}/{}", self.address, self.prefix)
    }

    /// Same but for its lifetime: a renewal that nobody needs to hear of.
    #[must_use]
    pub(super) fn same(&self, other: &Self) -> bool {
        Self {
            seconds: 0,
            ..self.clone()
        } == Self {
            seconds: 0,
            ..other.clone()
        }
    }
}

fn usable(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast()
        || address.octets()[0] == 0
        || address.octets()[0] >= 240)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(address: &str, mask: &str, gateway: &str) -> mozim::DhcpV4Lease {
        let mut lease = mozim::DhcpV4Lease::default();
        lease.yiaddr = address.parse().unwrap();
        lease.subnet_mask = mask.parse().unwrap();
        lease.gateways = Some(vec![gateway.parse().unwrap()]);
        lease.lease_time_sec = 3600;
        lease.mtu = Some(68);
        lease
    }

    #[test]
    fn a_phones_lease_is_taken() {
        let lease = Lease::read(&raw("172.20.10.12", "255.255.255.240", "172.20.10.1")).unwrap();
        assert_eq!(
            (lease.prefix, lease.cidr().as_str()),
            (28, "172.20.10.12/28")
        );
        assert_eq!(lease.network(), Ipv4Addr::new(172, 20, 10, 0));
        assert_eq!(lease.gateway, Some(Ipv4Addr::new(172, 20, 10, 1)));
        assert_eq!(lease.mtu, None, "an MTU of 68 is a trap");
    }

    #[test]
    fn leases_that_cannot_be_are_refused_with_the_culprit() {
        for (address, mask) in [
            ("127.0.0.1", "255.0.0.0"),
            ("224.0.0.5", "255.255.255.0"),
            ("0.0.0.0", "255.255.255.0"),
            ("10.0.0.5", "0.0.0.0"),
            ("10.0.0.5", "255.0.255.0"),
            ("10.0.0.5", "128.0.0.0"),
            ("10.0.0.0", "255.255.255.0"),
            ("10.0.0.255", "255.255.255.0"),
            ("250.1.1.1", "255.255.255.0"),
        ] {
            let why = Lease::read(&raw(address, mask, "10.0.0.1")).unwrap_err();
            assert!(why.contains(address) || why.contains(mask), "{why}");
        }
    }

    #[test]
    fn a_gateway_that_is_ourselves_is_none() {
        let lease = Lease::read(&raw("10.0.0.5", "255.255.255.0", "10.0.0.5")).unwrap();
        assert_eq!(lease.gateway, None);
        let lease = Lease::read(&raw("10.0.0.5", "255.255.255.255", "10.0.0.1")).unwrap();
        assert_eq!((lease.prefix, lease.network()), (32, lease.address));
    }
}
