//! The owner's comparison of what the kernel holds with what it should hold. Writes only the difference.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::netlink::{Address, Link, is_gone};
use super::owner::Owner;
use super::plan::{MAIN_TABLE, PRIORITY_FROM, ROUTE_PROTOCOL};
use super::port::Port;
use super::wanted::{Basis, Wanted, wanted};
use super::{Error, settings};
use crate::clock::Instant;
use crate::event::Kind;
use crate::fact::{self, Fact, LinkRole};

/// Links that are neither LAN nor uplink and are shown; a board with more has other troubles.
const MOST_OTHERS: usize = 64;

impl Owner {
    /// One pass: links, then addresses, routes and rules, then what everybody is told.
    pub(super) async fn reconcile(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let links = self.kernel.links().await?;
        self.meet(&links).await;
        let mut all = Wanted::default();
        let mut shown = BTreeMap::new();
        let mut dns = Vec::new();
        for port in &mut self.ports {
            port.routers.expire(now);
            let link = links.iter().find(|link| link.name == port.interface);
            let wants = link.filter(|link| link.up).map(|link| {
                let basis = Basis {
                    index: link.index,
                    interface: &port.interface,
                    mac: mac(link).unwrap_or_default(),
                    fixed: port.fixed(),
                    lease: port.lease.as_ref().map(|(lease, ends)| (lease, *ends)),
                    routers: &port.routers,
                };
                wanted(&self.plan, &basis, now)
            });
            let wants = wants.unwrap_or_default();
            if port.is_lan() {
                dns.clone_from(&wants.dns);
            }
            shown.insert(
                port.interface.clone(),
                (wants.gateways.clone(), wants.dns.clone()),
            );
            all.extend(wants);
        }
        let written = self.write(&links, &all).await;
        self.tell_routers();
        let addresses = self.kernel.addresses().await?;
        self.tell(&links, &addresses, &shown);
        self.write_resolv(&dns);
        self.first = false;
        written
    }

    /// Notices links that came, went, or changed carrier; brings ours up; starts and stops their clients.
    async fn meet(&mut self, links: &[Link]) {
        let mut ports = std::mem::take(&mut self.ports);
        let taken: Vec<_> = ports.iter().filter_map(Port::own_ipv4).collect();
        for port in &mut ports {
            let interface = port.interface.clone();
            let Some(link) = links.iter().find(|link| link.name == port.interface) else {
                if port.seen.take().is_some() {
                    port.stop("the interface is gone", &mut self.events);
                    self.events.push(Kind::LinkRemoved { interface });
                }
                continue;
            };
            let before = port.seen.replace((link.index, link.carrier));
            if before.is_none_or(|(index, _)| index != link.index) {
                // A new interface: what hung on the old one of this name means nothing any more.
                port.stop("the interface was replaced", &mut self.events);
                if let Err(error) = settings::apply_all(&settings::of(&port.interface)) {
                    tracing::warn!("{}", crate::fault::chain(&error));
                }
                if !self.first {
                    let interface = interface.clone();
                    self.events.push(Kind::LinkAdded { interface });
                }
            }
            if !link.up
                && let Err(error) = self.kernel.bring_up(link).await
            {
                // A radio behind rfkill says so here; the next look tries again.
                tracing::warn!("{}", crate::fault::chain(&error));
            }
            let had = before.is_some_and(|(index, carrier)| carrier && index == link.index);
            if link.carrier && !had {
                self.events.push(Kind::LinkUp { interface });
            } else if !link.carrier && had {
                port.stop("the carrier was lost", &mut self.events);
                self.events.push(Kind::LinkDown { interface });
            }
            if link.carrier
                && port.addressed
                && !port.running()
                && let Some(mac) = mac(link)
            {
                port.start(self, link.index, mac, taken.clone());
            }
        }
        self.ports = ports;
    }

    /// Takes away first, then adds: an uplink that moved to another network must not answer in the old one.
    async fn write(&mut self, links: &[Link], all: &Wanted) -> Result<(), Error> {
        let mut first = Ok(());
        let mut keep = |outcome: Result<(), Error>| {
            if let Err(error) = outcome
                && (first.is_ok() || first.as_ref().is_err_and(is_gone))
            {
                first = Err(error);
            }
        };
        let ours = |index: u32| {
            links
                .iter()
                .any(|link| link.index == index && self.plan.knows(&link.name))
        };
        let routes = self.kernel.routes().await?;
        for (route, message) in &routes {
            let mine = self.plan.owns_table(route.table)
                || (route.table == MAIN_TABLE && route.protocol == ROUTE_PROTOCOL);
            if mine && !all.routes.contains(route) {
                keep(self.kernel.delete_route(message.clone()).await);
            }
        }
        let rules = self.kernel.rules().await?;
        for (rule, message) in &rules {
            if rule.priority == PRIORITY_FROM && !all.rules.contains(rule) {
                keep(self.kernel.delete_rule(message.clone()).await);
            }
        }
        let addresses = self.kernel.addresses().await?;
        for address in addresses.iter().filter(|address| ours(address.index)) {
            if !link_local(address.address) && !all.addresses.contains(address) {
                keep(self.kernel.delete_address(address).await);
            }
        }
        for address in &all.addresses {
            let renewed = self.ports.iter().any(|port| {
                port.rewrite && port.seen.is_some_and(|(index, _)| index == address.index)
            });
            if renewed || !addresses.contains(address) {
                keep(self.kernel.write_address(address).await);
            }
        }
        for rule in &all.rules {
            if !rules.iter().any(|(there, _)| there == rule) {
                keep(self.kernel.add_rule(rule).await);
            }
        }
        for route in &all.routes {
            if !routes.iter().any(|(there, _)| there == route) {
                keep(self.kernel.write_route(route).await);
            }
        }
        if first.is_ok() {
            self.ports.iter_mut().for_each(|port| port.rewrite = false);
        }
        first
    }

    fn tell_routers(&mut self) {
        for port in &mut self.ports {
            let best = port.routers.best().map(|(router, _)| router);
            let prefixes = port.routers.prefix_names();
            let interface = &port.interface;
            if let Some(lost) = port.router
                && best != port.router
            {
                self.events.push(Kind::RouterLost {
                    interface: interface.clone(),
                    router: IpAddr::V6(lost),
                });
            }
            if let Some(found) = best
                && (best != port.router || prefixes != port.router_prefixes)
            {
                self.events.push(Kind::RouterFound {
                    interface: interface.clone(),
                    router: IpAddr::V6(found),
                    prefixes: prefixes.clone(),
                });
            }
            port.router = best;
            port.router_prefixes = prefixes;
        }
    }

    fn tell(
        &mut self,
        links: &[Link],
        addresses: &[Address],
        shown: &BTreeMap<String, (Vec<IpAddr>, Vec<IpAddr>)>,
    ) {
        let mut others = BTreeMap::new();
        for link in links.iter().filter(|link| !link.loopback) {
            let role = self
                .ports
                .iter()
                .find(|port| port.interface == link.name)
                .map_or(LinkRole::Unused, |port| port.role.clone());
            if role == LinkRole::Unused {
                if others.len() >= MOST_OTHERS {
                    continue;
                }
                others.insert(link.name.clone(), link.index);
            }
            let mut here: Vec<&Address> = addresses
                .iter()
                .filter(|a| a.index == link.index && !a.tentative && !link_local(a.address))
                .collect();
            here.sort_by_key(|address| address.address);
            let (gateways, dns) = shown.get(&link.name).cloned().unwrap_or_default();
            self.ctx.observe(Fact::Link(fact::Link {
                interface: link.name.clone(),
                index: link.index,
                role,
                mac: text(&link.mac),
                carrier: link.carrier,
                addresses: here
                    .iter()
                    .map(|a| format!("{}/{}", a.address, a.prefix))
                    .collect(),
                gateways,
                dns,
            }));
        }
        for port in self.ports.iter().filter(|port| port.seen.is_none()) {
            let interface = port.interface.clone();
            self.ctx.observe(Fact::LinkGone { interface });
        }
        for interface in self
            .others
            .keys()
            .filter(|name| !others.contains_key(*name))
        {
            let interface = interface.clone();
            self.ctx.observe(Fact::LinkGone { interface });
        }
        self.others = others;
    }
}

fn mac(link: &Link) -> Option<[u8; 6]> {
    link.mac.as_slice().try_into().ok()
}

fn text(mac: &[u8]) -> String {
    let bytes: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(":")
}

/// The kernel's own: made by it for every link, and gone with it.
fn link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => false,
        IpAddr::V6(six) => six.is_unicast_link_local() || six.is_multicast(),
    }
}
