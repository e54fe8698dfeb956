//! One link of ours as the owner knows it: its role, whether it may carry addresses, its clients and what they got.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio_util::sync::CancellationToken;

use super::dhcp::{self, Subject};
use super::lease::Lease;
use super::owner::Owner;
use super::router;
use super::routers::Routers;
use crate::clock::Instant;
use crate::config::{Lan, LanAddress, Uplink};
use crate::event::Kind;
use crate::fact::LinkRole;

#[derive(Debug)]
pub(super) struct Port {
    pub(super) interface: String,
    pub(super) role: LinkRole,
    fixed: Option<LanAddress>,
    /// The link layer is connected: always on the LAN, after [`crate::command::Command::AddressLink`] on an uplink.
    pub(super) addressed: bool,
    /// Index and carrier as last seen; `None` while the interface is not there.
    pub(super) seen: Option<(u32, bool)>,
    /// Counts associations; reports of an earlier one are dropped.
    pub(super) generation: u64,
    tasks: Option<CancellationToken>,
    pub(super) lease: Option<(Lease, Instant)>,
    pub(super) routers: Routers,
    /// The default router that was last published.
    pub(super) router: Option<Ipv6Addr>,
    pub(super) router_prefixes: Vec<String>,
    /// Lifetimes changed: addresses are written again although they are there.
    pub(super) rewrite: bool,
}

impl Port {
    pub(super) fn all(lan: &Lan, uplinks: &[Uplink]) -> Vec<Self> {
        let port = |interface: &str, role| Self {
            interface: interface.into(),
            role,
            fixed: None,
            addressed: false,
            seen: None,
            generation: 0,
            tasks: None,
            lease: None,
            routers: Routers::default(),
            router: None,
            router_prefixes: Vec::new(),
            rewrite: false,
        };
        let mut ports = vec![Self {
            addressed: true,
            fixed: match lan.address {
                LanAddress::Dhcp => None,
                LanAddress::Static { .. } => Some(lan.address.clone()),
            },
            ..port(&lan.interface, LinkRole::Lan)
        }];
        ports.extend(
            uplinks
                .iter()
                .map(|uplink| port(uplink.interface(), LinkRole::Uplink(uplink.name.clone()))),
        );
        ports
    }

    pub(super) fn is_lan(&self) -> bool {
        self.role == LinkRole::Lan
    }

    pub(super) fn fixed(&self) -> Option<&LanAddress> {
        self.fixed.as_ref()
    }

    /// The IPv4 address it has or will have.
    pub(super) fn own_ipv4(&self) -> Option<Ipv4Addr> {
        match (&self.lease, &self.fixed) {
            (Some((lease, _)), _) => Some(lease.address),
            (
                None,
                Some(LanAddress::Static {
                    address: IpAddr::V4(four),
                    ..
                }),
            ) => Some(*four),
            _ => None,
        }
    }

    pub(super) fn running(&self) -> bool {
        self.tasks.is_some()
    }

    /// Starts the clients of a link that has just become usable.
    pub(super) fn start(&mut self, owner: &Owner, index: u32, mac: [u8; 6], taken: Vec<Ipv4Addr>) {
        let tasks = owner.tasks.child_token();
        self.generation += 1;
        let subject = Subject {
            interface: self.interface.clone(),
            index,
            mac,
            taken,
        };
        let (reports, generation) = (owner.reports.clone(), self.generation);
        if self.fixed.is_none() {
            let client = dhcp::run(subject.clone(), generation, reports.clone(), tasks.clone());
            owner.ctx.tracker.spawn(client);
        }
        owner
            .ctx
            .tracker
            .spawn(router::run(subject, generation, reports, tasks.clone()));
        self.tasks = Some(tasks);
    }

    /// Ends the clients and forgets what they got; the next look takes it out of the kernel.
    pub(super) fn stop(&mut self, reason: &str, events: &mut Vec<Kind>) {
        if let Some(tasks) = self.tasks.take() {
            tasks.cancel();
        }
        self.generation += 1;
        self.routers = Routers::default();
        if self.lease.take().is_some() {
            events.push(Kind::LeaseLost {
                interface: self.interface.clone(),
                reason: reason.into(),
            });
        }
    }
}
