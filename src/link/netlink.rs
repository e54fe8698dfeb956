//! Requests to the kernel's routing socket, in our own plain types, each with a timeout. Never decides anything.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use futures::TryStreamExt;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, CacheInfo};
use netlink_packet_route::link::{LinkAttribute, LinkFlags};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::RuleMessage;
use rtnetlink::{Handle, IpVersion, LinkUnspec, RouteMessageBuilder};
use tokio::time::timeout;

use super::Error;
use super::plan::ROUTE_PROTOCOL;
use super::rules::Rule;

/// The kernel answers at once; this only ends a wait that would never end.
const LIMIT: Duration = Duration::from_secs(5);

/// A network interface now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub index: u32,
    pub name: String,
    pub mac: Vec<u8>,
    /// Administratively up.
    pub up: bool,
    /// Up and the other end is there.
    pub carrier: bool,
    pub loopback: bool,
    /// Index of the bridge, bond or VRF that has swallowed it.
    pub controller: Option<u32>,
}

/// An address; two are the same when link, address and prefix are.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub index: u32,
    pub address: IpAddr,
    pub prefix: u8,
    /// Valid and preferred for this many seconds more; `None` is for ever.
    pub lifetimes: Option<(u32, u32)>,
    /// Duplicate address detection has not finished, or has found a duplicate.
    pub tentative: bool,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        (self.index, self.address, self.prefix) == (other.index, other.address, other.prefix)
    }
}

/// A route that has one next hop; compared whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub destination: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub index: Option<u32>,
    pub source: Option<IpAddr>,
    pub table: u32,
    pub protocol: u8,
    pub kind: RouteType,
    pub mtu: Option<u32>,
}

/// The socket for requests. Dropping it ends its task.
#[derive(Clone, Debug)]
pub(super) struct Netlink(Handle);

impl Netlink {
    /// Must be called inside the runtime.
    ///
    /// # Errors
    /// [`Error::Socket`].
    pub(super) fn open() -> Result<Self, Error> {
        let (connection, handle, _) =
            rtnetlink::new_connection().map_err(|source| Error::Socket {
                what: "a routing socket".into(),
                source,
            })?;
        // It ends by itself when the last handle is dropped, and touches no hardware of its own.
        #[allow(clippy::disallowed_methods, reason = "ends with its handle")]
        tokio::spawn(connection);
        Ok(Self(handle))
    }

    /// # Errors
    /// As all of this type: [`Error::Netlink`] with the kernel's refusal, [`Error::NetlinkSilent`].
    pub(super) async fn links(&self) -> Result<Vec<Link>, Error> {
        let messages: Vec<_> =
            ask("list links", self.0.link().get().execute().try_collect()).await?;
        let read = messages.into_iter().map(|message| {
            let flags = message.header.flags;
            let mut link = Link {
                index: message.header.index,
                name: String::new(),
                mac: Vec::new(),
                up: flags.contains(LinkFlags::Up),
                carrier: flags.contains(LinkFlags::Up | LinkFlags::LowerUp),
                loopback: flags.contains(LinkFlags::Loopback),
                controller: None,
            };
            for attribute in message.attributes {
                match attribute {
                    LinkAttribute::IfName(name) => link.name = name,
                    LinkAttribute::Address(mac) => link.mac = mac,
                    LinkAttribute::Controller(index) => link.controller = Some(index),
                    _ => {}
                }
            }
            link
        });
        Ok(read.collect())
    }

    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn bring_up(&self, link: &Link) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index).up().build();
        let what = format!("bring {} up", link.name);
        ask(&what, self.0.link().set(message).execute()).await
    }

    /// Takes the link out of its bridge.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn release(&self, link: &Link) -> Result<(), Error> {
        let message = LinkUnspec::new_with_index(link.index)
            .nocontroller()
            .build();
        let what = format!("take {} out of its bridge", link.name);
        ask(&what, self.0.link().set(message).execute()).await
    }

    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn addresses(&self) -> Result<Vec<Address>, Error> {
        let messages: Vec<_> = ask(
            "list addresses",
            self.0.address().get().execute().try_collect(),
        )
        .await?;
        Ok(messages.iter().filter_map(read_address).collect())
    }

    /// Writes an address without its prefix route (we write that into the right table); replaces lifetimes.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn write_address(&self, address: &Address) -> Result<(), Error> {
        let Address {
            index,
            address: ip,
            prefix,
            lifetimes,
            ..
        } = *address;
        let mut request = self.0.address().add(index, ip, prefix).replace();
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::Flags(AddressFlags::Noprefixroute));
        if let Some((valid, preferred)) = lifetimes {
            let mut info = CacheInfo::default();
            info.ifa_valid = valid;
            info.ifa_preferred = preferred;
            attributes.push(AddressAttribute::CacheInfo(info));
        }
        ask(&format!("add address {ip}/{prefix}"), request.execute()).await
    }

    /// An address that is gone already is fine.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn delete_address(&self, address: &Address) -> Result<(), Error> {
        let Address {
            index,
            address: ip,
            prefix,
            ..
        } = *address;
        let mut message = self.0.address().add(index, ip, prefix);
        let message = message.message_mut().clone();
        let what = format!("delete address {ip}/{prefix}");
        absent_is_fine(ask(&what, self.0.address().del(message).execute()).await)
    }

    /// All routes of all tables but `local`.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn routes(&self) -> Result<Vec<(Route, RouteMessage)>, Error> {
        let four = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let six = RouteMessageBuilder::<Ipv6Addr>::new().build();
        let mut found = Vec::new();
        for message in [four, six] {
            let messages: Vec<RouteMessage> = ask(
                "list routes",
                self.0.route().get(message).execute().try_collect(),
            )
            .await?;
            found.extend(
                messages
                    .into_iter()
                    .filter_map(|message| Some((read_route(&message)?, message))),
            );
        }
        Ok(found)
    }

    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn write_route(&self, route: &Route) -> Result<(), Error> {
        let message = route_message(route);
        let what = format!("add route {route}");
        ask(&what, self.0.route().add(message).replace().execute()).await
    }

    /// A route that is gone already is fine.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn delete_route(&self, message: RouteMessage) -> Result<(), Error> {
        absent_is_fine(ask("delete a route", self.0.route().del(message).execute()).await)
    }

    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn rules(&self) -> Result<Vec<(Rule, RuleMessage)>, Error> {
        let mut found = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let messages: Vec<RuleMessage> = ask(
                "list rules",
                self.0.rule().get(version).execute().try_collect(),
            )
            .await?;
            found.extend(
                messages
                    .into_iter()
                    .filter_map(|m| Some((Rule::read(&m)?, m))),
            );
        }
        Ok(found)
    }

    /// A rule that is there already is fine.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn add_rule(&self, rule: &Rule) -> Result<(), Error> {
        let mut request = self.0.rule().add();
        *request.message_mut() = rule.message();
        let outcome = ask(&format!("add {rule}"), request.execute()).await;
        forgive(outcome, &[libc::EEXIST])
    }

    /// A rule that is gone already is fine. Takes the dumped message, because the kernel compares all of it.
    ///
    /// # Errors
    /// As [`Netlink::links`].
    pub(super) async fn delete_rule(&self, message: RuleMessage) -> Result<(), Error> {
        absent_is_fine(ask("delete a rule", self.0.rule().del(message).execute()).await)
    }
}

async fn ask<T>(
    what: &str,
    request: impl Future<Output = Result<T, rtnetlink::Error>>,
) -> Result<T, Error> {
    match timeout(LIMIT, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(Error::Netlink {
            what: what.into(),
            source,
        }),
        Err(_) => Err(Error::NetlinkSilent { what: what.into() }),
    }
}

/// The kernel's word for "there is none": no such rule or table, process (route), device or address.
fn absent_is_fine(outcome: Result<(), Error>) -> Result<(), Error> {
    forgive(
        outcome,
        &[libc::ENOENT, libc::ESRCH, libc::ENODEV, libc::EADDRNOTAVAIL],
    )
}

fn forgive(outcome: Result<(), Error>, codes: &[i32]) -> Result<(), Error> {
    match outcome {
        Err(Error::Netlink {
            source: rtnetlink::Error::NetlinkError(error),
            ..
        }) if codes.contains(&-error.raw_code()) => Ok(()),
        other => other,
    }
}

fn read_address(message: &AddressMessage) -> Option<Address> {
    let (mut local, mut peer, mut flags, mut lifetimes) = (None, None, AddressFlags::empty(), None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => peer = Some(*ip),
            AddressAttribute::Flags(all) => flags = *all,
            AddressAttribute::CacheInfo(info) if info.ifa_valid != u32::MAX => {
                lifetimes = Some((info.ifa_valid, info.ifa_preferred));
            }
            _ => {}
        }
    }
    Some(Address {
        index: message.header.index,
        address: local.or(peer)?,
        prefix: message.header.prefix_len,
        lifetimes,
        tentative: flags.intersects(AddressFlags::Tentative | AddressFlags::Dadfailed),
    })
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let unspecified = match header.address_family {
        AddressFamily::Inet => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = Route {
        destination: unspecified,
        prefix: header.destination_prefix_length,
        gateway: None,
        index: None,
        source: None,
        table: u32::from(header.table),
        protocol: u8::from(header.protocol),
        kind: header.kind,
        mtu: None,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(to) => route.destination = ip(to)?,
            RouteAttribute::Gateway(by) => route.gateway = ip(by),
            RouteAttribute::PrefSource(from) => route.source = ip(from),
            RouteAttribute::Oif(index) => route.index = Some(*index),
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Metrics(metrics) => {
                route.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    (route.table != 255).then_some(route)
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(four) => Some(IpAddr::V4(*four)),
        RouteAddress::Inet6(six) => Some(IpAddr::V6(*six)),
        _ => None,
    }
}

fn route_message(route: &Route) -> RouteMessage {
    let mut message = match route.destination {
        IpAddr::V4(_) => RouteMessageBuilder::<Ipv4Addr>::new()
            .table_id(route.table)
            .build(),
        IpAddr::V6(_) => RouteMessageBuilder::<Ipv6Addr>::new()
            .table_id(route.table)
            .build(),
    };
    message.header.protocol = RouteProtocol::from(route.protocol);
    message.header.kind = route.kind;
    message.header.destination_prefix_length = route.prefix;
    let attributes = &mut message.attributes;
    if route.prefix > 0 {
        attributes.push(RouteAttribute::Destination(route.destination.into()));
    }
    if let Some(index) = route.index {
        attributes.push(RouteAttribute::Oif(index));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(source.into()));
    }
    if let Some(mtu) = route.mtu {
        attributes.push(RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]));
    }
    if let Some(gateway) = route.gateway {
        attributes.push(RouteAttribute::Gateway(gateway.into()));
        // The gateway need not be inside a connected subnet that `main` knows: the link is named.
        message.header.flags |= netlink_packet_route::route::RouteFlags::Onlink;
    } else if route.destination.is_ipv4() {
        message.header.scope = RouteScope::Link;
    }
    message
}

/// A route of ours.
#[must_use]
pub(super) fn own_route(index: u32, table: u32, destination: IpAddr, prefix: u8) -> Route {
    Route {
        destination,
        prefix,
        gateway: None,
        index: Some(index),
        source: None,
        table,
        protocol: ROUTE_PROTOCOL,
        kind: RouteType::Unicast,
        mtu: None,
    }
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.destination, self.prefix)?;
        if let Some(gateway) = self.gateway {
            write!(f, " via {gateway}")?;
        }
        if let Some(index) = self.index {
            write!(f, " link {index}")?;
        }
        write!(f, " table {} proto {}", self.table, self.protocol)
    }
}

/// Is this what the kernel would say when a device or a route is not there (any more)?
#[must_use]
pub(super) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Netlink { source: rtnetlink::Error::NetlinkError(e), .. }
        if [libc::ENODEV, libc::ESRCH, libc::ENETDOWN].contains(&-e.raw_code()))
}

/// Turns an I/O error of a socket into ours.
pub(super) fn socket_error(what: &str) -> impl FnOnce(io::Error) -> Error + '_ {
    move |source| Error::Socket {
        what: what.into(),
        source,
    }
}
