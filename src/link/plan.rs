//! The numbers and names of policy routing, computed from the configuration: marks, tables, rules, switches.
//! Pure; touches no kernel.
//!
//! One uplink = mark `0x100 * (slot + 1)` within mask `0xff00` and table `100 + slot`. The mark chooses the table
//! before `main` is asked, so that a LAN of the same subnet cannot take an uplink's gateway; each lookup is
//! followed by `unreachable`, so that an emptied table fails closed.

use std::net::IpAddr;

use super::Error;
use super::rules::{Action, Family, Rule};
use crate::config::{DoorName, DoorPorts, Lan, Uplink, UplinkKind};

/// Bits of the firewall mark that are ours (Tailscale owns `0xff0000`).
pub(super) const MARK_MASK: u32 = 0xff00;
/// The LAN's default routes live here, never in `main`.
pub(super) const LAN_TABLE: u32 = 50;
/// `main` holds connected routes of the LAN only.
pub(super) const MAIN_TABLE: u32 = 254;
/// Protocol number of every route we write (`ip route show proto 79`); unassigned in iproute2's rt_protos.
pub(super) const ROUTE_PROTOCOL: u8 = 79;

/// Mark → table of the uplink; the next number ends with `unreachable`. `FROM` is IPv4 only: an IPv6 `from` rule
/// leaks, because without a route the kernel picks the uplink's source address (RFC 6724) and then the rule matches.
pub(super) const PRIORITY_MARK: u32 = 900;
pub(super) const PRIORITY_BOUND: u32 = 910;
pub(super) const PRIORITY_FROM: u32 = 920;
/// `main` without its default routes.
pub(super) const PRIORITY_MAIN: u32 = 1000;
pub(super) const PRIORITY_LAN: u32 = 1300;
/// Nothing below is ever reached.
pub(super) const PRIORITY_END: u32 = 1400;

/// Slots that have marks and tables; their tables end well before the kernel's own (253 to 255).
const MOST_UPLINKS: u32 = 100;

/// One uplink as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Way {
    pub uplink: String,
    pub interface: String,
    pub mark: u32,
    pub table: u32,
    /// TCP ports that are open on this uplink.
    pub ports: Vec<u16>,
    /// The board tells its name there.
    pub mdns: bool,
}

/// All of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub lan: String,
    pub ways: Vec<Way>,
}

impl Plan {
    /// # Errors
    /// [`Error::Name`] for an interface name the kernel could not have, [`Error::Shared`] when two roles name one interface.
    pub(super) fn new(lan: &Lan, uplinks: &[Uplink], doors: DoorPorts) -> Result<Self, Error> {
        let mut names = vec![lan.interface.as_str()];
        check_name(&lan.interface)?;
        for uplink in uplinks {
            let name = uplink.interface();
            if u32::from(uplink.slot) >= MOST_UPLINKS {
                return Err(Error::TooMany {
                    uplink: uplink.name.clone(),
                });
            }
            check_name(name)?;
            if names.contains(&name) {
                return Err(Error::Shared {
                    interface: name.into(),
                });
            }
            names.push(name);
        }
        let ways = uplinks
            .iter()
            .map(|uplink| {
                let mut ports: Vec<u16> = uplink
                    .accept
                    .iter()
                    .map(|door| match door {
                        DoorName::Ssh => doors.ssh,
                        DoorName::Https => doors.https,
                    })
                    .collect();
                ports.sort_unstable();
                ports.dedup();
                // On hotspots only, and not where every door is shut.
                let hotspot = matches!(uplink.kind, UplinkKind::Wifi(_));
                let mdns = doors.mdns && hotspot && !ports.is_empty();
                Way {
                    mdns,
                    uplink: uplink.name.clone(),
                    interface: uplink.interface().into(),
                    mark: uplink.mark() & MARK_MASK,
                    table: uplink.table(),
                    ports,
                }
            })
            .collect();
        Ok(Self {
            lan: lan.interface.clone(),
            ways,
        })
    }

    /// Is this interface the LAN or an uplink?
    #[must_use]
    pub(super) fn knows(&self, interface: &str) -> bool {
        self.lan == interface || self.way(interface).is_some()
    }

    #[must_use]
    pub(super) fn way(&self, interface: &str) -> Option<&Way> {
        self.ways.iter().find(|way| way.interface == interface)
    }

    /// May a default route stand in this table? All tables an uplink could have are ours: one of an uplink that was
    /// taken out of the configuration is tidied up, not feared.
    #[must_use]
    pub(super) fn owns_table(&self, table: u32) -> bool {
        table == LAN_TABLE || (100..100 + MOST_UPLINKS).contains(&table)
    }

    /// The rules that stand from boot to power-off, both families; only tables change as links come and go.
    #[must_use]
    pub(super) fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for family in [Family::V4, Family::V6] {
            let rule = |priority, action| Rule::new(family, priority, action);
            for way in &self.ways {
                let marked = |priority, action| Rule {
                    mark: Some((way.mark, MARK_MASK)),
                    ..rule(priority, action)
                };
                let bound = |priority, action| Rule {
                    output: Some(way.interface.clone()),
                    ..rule(priority, action)
                };
                rules.push(marked(PRIORITY_MARK, Action::Table(way.table)));
                rules.push(marked(PRIORITY_MARK + 1, Action::Unreachable));
                rules.push(bound(PRIORITY_BOUND, Action::Table(way.table)));
                rules.push(bound(PRIORITY_BOUND + 1, Action::Unreachable));
            }
            rules.push(Rule {
                suppress_prefix: Some(0),
                ..rule(PRIORITY_MAIN, Action::Table(MAIN_TABLE))
            });
            rules.push(rule(PRIORITY_LAN, Action::Table(LAN_TABLE)));
            rules.push(rule(PRIORITY_END, Action::Unreachable));
        }
        rules
    }

    /// The rule that answers from an uplink's IPv4 address.
    #[must_use]
    pub(super) fn answer_rule(&self, way: &Way, address: std::net::Ipv4Addr) -> Rule {
        Rule {
            source: Some((IpAddr::V4(address), 32)),
            ..Rule::new(Family::V4, PRIORITY_FROM, Action::Table(way.table))
        }
    }
}

/// The kernel allows 15 bytes without `/`, `:` and blanks; we also refuse what nft would read as something else.
fn check_name(interface: &str) -> Result<(), Error> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if (1..=15).contains(&interface.len())
        && interface.bytes().all(good)
        && ![".", "..", "lo", "all", "default"].contains(&interface)
    {
        Ok(())
    } else {
        Err(Error::Name {
            interface: interface.into(),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{LanAddress, Sae, UplinkKind, Wifi};

    pub(in crate::link) const DOORS: DoorPorts = DoorPorts {
        ssh: 22,
        https: 443,
        mdns: false,
    };

    pub(in crate::link) fn lan(interface: &str) -> Lan {
        Lan {
            interface: interface.into(),
            address: LanAddress::Dhcp,
        }
    }

    pub(in crate::link) fn uplink(slot: u8, interface: &str, accept: &[DoorName]) -> Uplink {
        Uplink {
            name: format!("up{slot}"),
            slot,
            accept: accept.to_vec(),
            kind: UplinkKind::Wifi(Wifi {
                interface: interface.into(),
                ssids: vec![b"remote.it".to_vec()],
                passphrase: None,
                country: None,
                open: false,
                hidden: false,
                sae: Sae::Auto,
            }),
        }
    }

    #[test]
    fn two_uplinks_get_marks_and_tables_of_their_own() {
        let uplinks = [
            uplink(0, "wlan0", &[DoorName::Ssh, DoorName::Https]),
            uplink(1, "wlan1", &[]),
        ];
        let plan = Plan::new(&lan("eth0"), &uplinks, DOORS).unwrap();
        let [first, second] = plan.ways.as_slice() else {
            panic!("{plan:?}")
        };
        assert_eq!((first.mark, first.table), (0x100, 100));
        assert_eq!((second.mark, second.table), (0x200, 101));
        assert_eq!(first.ports, [22, 443]);
        assert!(second.ports.is_empty());
        let rules = plan.rules();
        assert_eq!(rules.len(), 2 * (2 * 4 + 3));
        let last = rules.iter().max_by_key(|rule| rule.priority).unwrap();
        assert_eq!(last.action, Action::Unreachable);
        assert!(
            rules
                .iter()
                .all(|rule| rule.family == Family::V4 || rule.source.is_none()),
            "an IPv6 from rule leaks"
        );
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for bad in [
            "",
            "lo",
            "all",
            "eth 0",
            "eth\"0",
            "a/b",
            "sixteen-bytes-xx",
            "ü",
        ] {
            let error = Plan::new(&lan(bad), &[], DOORS).unwrap_err();
            assert!(matches!(error, Error::Name { .. }), "{bad}: {error}");
        }
        let error = Plan::new(&lan("eth0"), &[uplink(155, "wlan0", &[])], DOORS).unwrap_err();
        assert!(
            error.to_string().contains("up155"),
            "table 255 is the kernel's: {error}"
        );
        let error = Plan::new(&lan("eth0"), &[uplink(0, "eth0", &[])], DOORS).unwrap_err();
        assert!(error.to_string().contains("eth0"), "{error}");
    }
}
