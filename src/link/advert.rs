//! Router advertisements (RFC 4861 §4.2, RFC 4191, RFC 8106): bytes to values. Pure; malformed bytes are `None`.

use std::net::Ipv6Addr;

/// ICMPv6 types.
pub(super) const ROUTER_SOLICITATION: u8 = 133;
pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;

/// Seconds that stand for "for ever".
pub(super) const FOREVER: u32 = u32::MAX;

/// Options of one advertisement we keep of each kind; a lying router cannot make us hold more.
const MOST: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Preference {
    Low,
    Medium,
    High,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Advert {
    /// Seconds this router may be the default router; 0 = it is none.
    pub lifetime: u16,
    pub preference: Preference,
    pub mtu: Option<u32>,
    pub prefixes: Vec<Prefix>,
    /// Name servers and for how many seconds.
    pub dns: Vec<(Ipv6Addr, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub network: Ipv6Addr,
    pub length: u8,
    pub on_link: bool,
    pub autonomous: bool,
    /// Seconds.
    pub valid: u32,
    pub preferred: u32,
}

impl Advert {
    /// Reads an ICMPv6 message. Hop limit, source and checksum are the caller's and the kernel's to check.
    #[must_use]
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let (head, mut options) = message.split_at_checked(16)?;
        if head[0] != ROUTER_ADVERTISEMENT || head[1] != 0 {
            return None;
        }
        let mut advert = Self {
            lifetime: u16::from_be_bytes([head[6], head[7]]),
            // RFC 4191: 10 is reserved and read as medium.
            preference: match head[5] & 0x18 {
                0x08 => Preference::High,
                0x18 => Preference::Low,
                _ => Preference::Medium,
            },
            mtu: None,
            prefixes: Vec::new(),
            dns: Vec::new(),
        };
        while !options.is_empty() {
            let [kind, units, ..] = *options else {
                return None;
            };
            if units == 0 {
                return None;
            }
            let (option, rest) = options.split_at_checked(usize::from(units) * 8)?;
            options = rest;
            match kind {
                3 => advert.prefixes.extend(prefix(option)),
                // RFC 8200: no IPv6 link has less than 1280.
                5 => advert.mtu = number(option, 4).filter(|mtu| (1280..=65_535).contains(mtu)),
                25 => advert.dns.extend(name_servers(option)),
                _ => {}
            }
        }
        advert.prefixes.truncate(MOST);
        advert.dns.truncate(MOST);
        Some(advert)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(four))
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv6Addr> {
    let sixteen: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(Ipv6Addr::from(sixteen))
}

fn prefix(option: &[u8]) -> Option<Prefix> {
    let length = *option.get(2)?;
    let flags = *option.get(3)?;
    let (valid, preferred) = (number(option, 4)?, number(option, 8)?);
    let bits = u128::from(address(option, 16)?);
    if length > 128 || preferred > valid {
        return None;
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    let network = Ipv6Addr::from(bits & mask);
    // A prefix this short is a default route in disguise.
    let usable = length >= 16
        && !network.is_multicast()
        && !network.is_unicast_link_local()
        && !network.is_loopback()
        && !network.is_unspecified();
    usable.then_some(Prefix {
        network,
        length,
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0 && length == 64,
        valid,
        preferred,
    })
}

fn name_servers(option: &[u8]) -> Vec<(Ipv6Addr, u32)> {
    let Some(lifetime) = number(option, 4) else {
        return Vec::new();
    };
    let servers = (8..option.len())
        .step_by(16)
        .filter_map(|at| address(option, at));
    servers
        .filter(|server| {
            !server.is_multicast() && !server.is_unspecified() && !server.is_loopback()
        })
        .map(|server| (server, lifetime))
        .collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::link) fn bytes(lifetime: u16, valid: u32, preferred: u32) -> Vec<u8> {
        let mut message = vec![ROUTER_ADVERTISEMENT, 0, 0, 0, 64, 0x08];
        message.extend(lifetime.to_be_bytes());
        message.extend([0; 8]);
        message.extend([3, 4, 64, 0xc0]);
        message.extend(valid.to_be_bytes());
        message.extend(preferred.to_be_bytes());
        message.extend([0; 4]);
        message.extend("fd00:20:10::".parse::<Ipv6Addr>().unwrap().octets());
        message.extend([25, 3, 0, 0, 0, 0, 0, 60]);
        message.extend("fd00:20:10::1".parse::<Ipv6Addr>().unwrap().octets());
        message.extend([5, 1, 0, 0, 0, 0, 5, 0x78]);
        message
    }

    #[test]
    fn a_hotspots_advertisement_is_read() {
        let advert = Advert::read(&bytes(1800, 3600, 1800)).unwrap();
        assert_eq!(
            (advert.lifetime, advert.preference),
            (1800, Preference::High)
        );
        assert_eq!(advert.mtu, Some(1400));
        assert_eq!(advert.dns, [("fd00:20:10::1".parse().unwrap(), 60)]);
        let prefix = advert.prefixes[0];
        assert!(prefix.on_link && prefix.autonomous);
        assert_eq!(
            (prefix.length, prefix.valid, prefix.preferred),
            (64, 3600, 1800)
        );
    }

    #[test]
    fn traps_are_left_out() {
        let read = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut message = bytes(1800, 3600, 1800);
            change(&mut message);
            Advert::read(&message)
        };
        assert_eq!(read(&|m| m[17] = 0), None, "an option of length 0");
        assert_eq!(read(&|m| m.truncate(20)), None, "a cut option");
        assert_eq!(read(&|m| m[1] = 1), None, "a code");
        assert!(
            read(&|m| m[18] = 1).unwrap().prefixes.is_empty(),
            "half the internet on-link"
        );
        assert!(
            read(&|m| m[18] = 200).unwrap().prefixes.is_empty(),
            "a prefix of 200 bits"
        );
        assert!(read(&|m| m[20] = 0).unwrap().prefixes[0].valid < 3600 + 1);
        let longer = read(&|m| m[24..28].copy_from_slice(&9999u32.to_be_bytes())).unwrap();
        assert!(
            longer.prefixes.is_empty(),
            "preferred for longer than valid"
        );
    }

    proptest! {
        #[test]
        fn rubbish_never_panics(tail in proptest::collection::vec(any::<u8>(), 0..200), keep in 0usize..80) {
            let mut message = bytes(1800, 3600, 1800);
            message.truncate(keep);
            message.extend(tail);
            if let Some(advert) = Advert::read(&message) {
                prop_assert!(advert.prefixes.len() <= MOST && advert.dns.len() <= MOST);
                prop_assert!(advert.prefixes.iter().all(|p| (16..=128).contains(&p.length)));
            }
        }
    }
}
