//! What the routers of one link have promised, and until when. Pure: time is handed in.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::advert::{Advert, FOREVER, Preference};
use crate::clock::Instant;

/// Kept of each kind; a flood of advertisements cannot take more.
const MOST: usize = 16;
/// RFC 4862 §5.5.3 e: an advertisement cannot shorten an address to less than this, only deprecate it.
const TWO_HOURS: Duration = Duration::from_secs(7200);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Routers {
    routers: BTreeMap<Ipv6Addr, Router>,
    prefixes: BTreeMap<(Ipv6Addr, u8), Prefix>,
    dns: BTreeMap<Ipv6Addr, End>,
}

/// `None` is never.
type End = Option<Instant>;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Router {
    until: Instant,
    preference: Preference,
    mtu: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    pub on_link: bool,
    pub autonomous: bool,
    pub valid: End,
    pub preferred: End,
}

impl Routers {
    pub(super) fn take(&mut self, router: Ipv6Addr, advert: &Advert, now: Instant) {
        self.expire(now);
        if advert.lifetime == 0 {
            self.routers.remove(&router);
        } else if self.routers.contains_key(&router) || self.routers.len() < MOST {
            let until = now + Duration::from_secs(u64::from(advert.lifetime));
            let entry = Router {
                until,
                preference: advert.preference,
                mtu: advert.mtu,
            };
            self.routers.insert(router, entry);
        }
        for told in &advert.prefixes {
            let key = (told.network, told.length);
            let known = self.prefixes.get(&key);
            let mut valid = end(told.valid, now);
            if let Some(known) = known {
                // Kept at two hours, or what it had left, when the router wants less: else a forged
                // advertisement ends every session.
                let floor = now + TWO_HOURS;
                let wants_less = valid.is_some_and(|valid| valid < floor);
                if wants_less && known.valid.is_none_or(|left| Some(left) > valid) {
                    valid = Some(known.valid.map_or(floor, |left| left.min(floor)));
                }
            } else if told.valid == 0 || self.prefixes.len() >= MOST {
                continue;
            }
            let entry = Prefix {
                on_link: told.on_link,
                autonomous: told.autonomous,
                valid,
                preferred: end(told.preferred, now),
            };
            self.prefixes.insert(key, entry);
        }
        for (server, seconds) in &advert.dns {
            if *seconds == 0 {
                self.dns.remove(server);
            } else if self.dns.contains_key(server) || self.dns.len() < MOST {
                self.dns.insert(*server, end(*seconds, now));
            }
        }
    }

    /// Forgets what has ended.
    pub(super) fn expire(&mut self, now: Instant) {
        self.routers.retain(|_, router| router.until > now);
        self.prefixes
            .retain(|_, prefix| prefix.valid.is_none_or(|end| end > now));
        self.dns.retain(|_, end| end.is_none_or(|end| end > now));
    }

    /// When [`Routers::expire`] next has something to do.
    #[must_use]
    pub(super) fn next_end(&self) -> Option<Instant> {
        let routers = self.routers.values().map(|router| router.until);
        let prefixes = self.prefixes.values().filter_map(|prefix| prefix.valid);
        let dns = self.dns.values().copied().flatten();
        routers.chain(prefixes).chain(dns).min()
    }

    /// The default router to use and the MTU it names: highest preference, then lowest address so that two equal
    /// ones do not alternate.
    #[must_use]
    pub(super) fn best(&self) -> Option<(Ipv6Addr, Option<u32>)> {
        let best = self
            .routers
            .iter()
            .min_by_key(|(address, router)| (std::cmp::Reverse(router.preference), **address));
        best.map(|(address, router)| (*address, router.mtu))
    }

    #[must_use]
    pub(super) fn prefixes(&self) -> &BTreeMap<(Ipv6Addr, u8), Prefix> {
        &self.prefixes
    }

    #[must_use]
    pub(super) fn dns(&self) -> Vec<Ipv6Addr> {
        self.dns.keys().copied().collect()
    }

    #[must_use]
    pub(super) fn prefix_names(&self) -> Vec<String> {
        let names = self.prefixes.keys();
        names
            .map(|(network, length)| format!("{network}/{length}"))
            .collect()
    }
}

/// Our address inside a /64: modified EUI-64 (RFC 4291 appendix A), so that the phone's owner recognises the board.
#[must_use]
pub(super) fn own_address(network: Ipv6Addr, mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let mut bytes = network.octets();
    bytes[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    Ipv6Addr::from(bytes)
}

/// Whole seconds from now, as the kernel wants them.
#[must_use]
pub(super) fn seconds(end: End, now: Instant) -> u32 {
    end.map_or(FOREVER, |end| {
        u32::try_from(end.saturating_duration_since(now).as_secs()).unwrap_or(FOREVER)
    })
}

fn end(seconds: u32, now: Instant) -> End {
    (seconds != FOREVER).then(|| now + Duration::from_secs(u64::from(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::advert::tests::bytes;

    fn advert(lifetime: u16, valid: u32, preferred: u32) -> Advert {
        Advert::read(&bytes(lifetime, valid, preferred)).unwrap()
    }

    fn router(last: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last)
    }

    #[test]
    fn a_router_is_lost_by_word_or_by_time() {
        let now = Instant::now();
        let mut routers = Routers::default();
        routers.take(router(1), &advert(30, 3600, 3600), now);
        assert_eq!(routers.best(), Some((router(1), Some(1400))));
        routers.take(router(1), &advert(0, 3600, 3600), now);
        assert_eq!(routers.best(), None);
        routers.take(router(2), &advert(30, 3600, 3600), now);
        assert_eq!(routers.next_end(), Some(now + Duration::from_secs(30)));
        routers.expire(now + Duration::from_secs(30));
        assert_eq!(routers.best(), None);
        assert_eq!(
            routers.prefixes().len(),
            1,
            "the prefix outlives its router"
        );
    }

    #[test]
    fn an_advertisement_deprecates_a_prefix_but_cannot_kill_it() {
        let now = Instant::now();
        let mut routers = Routers::default();
        routers.take(router(1), &advert(30, 86_400, 3600), now);
        routers.take(router(1), &advert(30, 0, 0), now);
        let prefix = routers.prefixes().values().next().unwrap();
        assert_eq!(prefix.valid, Some(now + TWO_HOURS));
        assert_eq!(prefix.preferred, Some(now), "no new connection uses it");
        let later = now + Duration::from_secs(7000);
        routers.take(router(1), &advert(30, 0, 0), later);
        let prefix = routers.prefixes().values().next().unwrap();
        assert_eq!(
            prefix.valid,
            Some(now + TWO_HOURS),
            "and it is not prolonged either"
        );
    }

    #[test]
    fn a_flood_is_bounded() {
        let now = Instant::now();
        let mut routers = Routers::default();
        for last in 0..1000 {
            routers.take(router(last), &advert(30, 3600, 3600), now);
        }
        assert_eq!(routers.routers.len(), MOST);
    }

    #[test]
    fn our_address_is_the_one_linux_would_make() {
        let address = own_address("fd00:20:10::".parse().unwrap(), [2, 0, 0, 0x12, 0x34, 0x56]);
        assert_eq!(address.to_string(), "fd00:20:10::ff:fe12:3456");
    }
}
