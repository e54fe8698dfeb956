//! Owner `link`: brings the LAN and the uplinks' links up, keeps their leases, and makes the kernel hold what
//! follows from them. Reads everything, compares, acts, and does so again on every change and every minute.

use std::collections::BTreeMap;
use std::time::Duration;

use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::netlink::Netlink;
use super::plan::Plan;
use super::port::Port;
use super::wake::Wake;
use super::{Error, Report, Word, resolv};
use crate::clock::Instant;
use crate::command::{Ask, Command, Refusal, Reply};
use crate::config::{DoorPorts, Lan, Uplink};
use crate::event::Kind;
use crate::supervisor::context::Context;

/// Everything is read again this often even when the kernel says nothing.
const REREAD: Duration = Duration::from_secs(60);
/// A change waits this long for its companions …
const SETTLE: Duration = Duration::from_millis(20);
/// … and a storm (every Wi-Fi scan reports the link anew) is read no more often than this.
const APART: Duration = Duration::from_millis(250);
/// After a refusal of the kernel.
const RETRY: Duration = Duration::from_secs(2);
/// Reports of DHCP clients and router listeners that may wait; they wait with us when it is full.
const WAITING_REPORTS: usize = 64;

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

pub(super) struct Owner {
    pub(super) ctx: Context,
    pub(super) plan: Plan,
    pub(super) ports: Vec<Port>,
    pub(super) kernel: Netlink,
    pub(super) reports: mpsc::Sender<Report>,
    /// Ends the tasks of this run of the owner.
    pub(super) tasks: CancellationToken,
    /// Events to publish once the kernel has been dealt with: people wait for the lease, not for the journal.
    pub(super) events: Vec<Kind>,
    /// Links that are neither LAN nor uplink, as last shown.
    pub(super) others: BTreeMap<String, u32>,
    pub(super) first: bool,
    looked_at: Option<Instant>,
}

/// Runs the owner `link` until the board stops.
///
/// # Errors
/// When the kernel's sockets cannot be opened or fail, or two roles share an interface.
pub async fn run(
    ctx: Context,
    lan: Lan,
    uplinks: Vec<Uplink>,
    doors: DoorPorts,
) -> Result<(), Error> {
    let plan = Plan::new(&lan, &uplinks, doors)?;
    let (reports, mut incoming) = mpsc::channel(WAITING_REPORTS);
    let tasks = ctx.stop.child_token();
    let _ends_tasks = tasks.clone().drop_guard();
    let mut wake = Wake::routing(&GROUPS)?;
    let mut pulse = ctx.pulse.clone();
    let stop = ctx.stop.clone();
    let mut owner = Owner {
        ports: Port::all(&lan, &uplinks),
        kernel: Netlink::open()?,
        ctx,
        plan,
        reports,
        tasks,
        events: Vec::new(),
        others: BTreeMap::new(),
        first: true,
        looked_at: None,
    };
    let mut look_at = Instant::now();
    loop {
        let mut soon = None;
        tokio::select! {
            // Cancel-safe: a token that stays cancelled.
            () = stop.cancelled() => return Ok(()),
            // Cancel-safe: see Pulse::beat.
            () = pulse.beat() => {}
            // Cancel-safe: see Wake::changed.
            changed = wake.changed() => { changed?; soon = Some(owner.rest()); }
            // Cancel-safe per docs on Receiver::recv().
            Some(report) = incoming.recv() => { owner.hear(report); soon = Some(Duration::ZERO); }
            // Cancel-safe per docs on Receiver::recv().
            Some(ask) = owner.ctx.asks.recv() => { owner.answer(ask).await; soon = Some(SETTLE); }
            // Cancel-safe: a timer has nothing to lose.
            () = sleep_until(look_at) => {
                let next = owner.look().await;
                look_at = next;
            }
        }
        if let Some(wait) = soon {
            look_at = look_at.min(Instant::now() + wait);
        }
        owner.publish().await;
    }
}

impl Owner {
    /// How long to let a storm rest before the next reading.
    fn rest(&self) -> Duration {
        let since = self.looked_at.map(|at| at.elapsed());
        since.map_or(SETTLE, |since| APART.saturating_sub(since).max(SETTLE))
    }

    /// Reads the kernel and makes it right; returns when to do so again.
    async fn look(&mut self) -> Instant {
        let now = Instant::now();
        self.looked_at = Some(now);
        let outcome = self.reconcile().await;
        let wait = match outcome {
            Ok(()) => REREAD,
            Err(error) => {
                // `wlan0` vanishing between reading and writing is life, not a fault.
                if super::netlink::is_gone(&error) {
                    tracing::debug!("{error}");
                } else {
                    tracing::warn!("{}", crate::fault::chain(&error));
                }
                RETRY
            }
        };
        let routers = self.ports.iter().filter_map(|port| port.routers.next_end());
        routers.min().map_or(now + wait, |end| end.min(now + wait))
    }

    fn hear(&mut self, report: Report) {
        let Some(port) = self
            .ports
            .iter_mut()
            .find(|port| port.interface == report.interface)
        else {
            return;
        };
        if report.generation != port.generation || !port.running() {
            return;
        }
        let now = Instant::now();
        let interface = report.interface;
        match report.word {
            Word::Leased(lease) => {
                let ends = now + Duration::from_secs(u64::from(lease.seconds));
                let news = port.lease.as_ref().is_none_or(|(old, _)| !old.same(&lease));
                if news {
                    self.events.push(Kind::LeaseAcquired {
                        interface,
                        address: lease.cidr(),
                        gateway: lease.gateway.map(Into::into),
                        dns: lease.dns.iter().copied().map(Into::into).collect(),
                    });
                }
                port.lease = Some((lease, ends));
                port.rewrite = true;
            }
            Word::LeaseLost(reason) => {
                port.lease = None;
                self.events.push(Kind::LeaseLost { interface, reason });
            }
            Word::Silent(reason) => self.events.push(Kind::LeaseLost { interface, reason }),
            Word::Advertised { router, advert } => {
                port.routers.take(router, &advert, now);
                port.rewrite = true;
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Command { command, reply, .. } => {
                let answer = match command {
                    Command::AddressLink { interface } => self.address(&interface, true).await,
                    Command::UnaddressLink { interface } => self.address(&interface, false).await,
                    other => Err(Refusal::Failed(format!("link does not serve {other:?}"))),
                };
                // The asker may have given up; what it asked for is done all the same.
                let _ = reply.send(answer);
            }
            Ask::Attach { request, reply } => {
                let what = format!("console {}", request.console);
                let _ = reply.send(Err(Refusal::Unknown { what }));
            }
        }
    }

    /// A new association always means a new client: the network behind it may be another one.
    async fn address(&mut self, interface: &str, wanted: bool) -> Result<Reply, Refusal> {
        let port = self
            .ports
            .iter_mut()
            .find(|port| port.interface == interface && !port.is_lan());
        let port = port.ok_or_else(|| Refusal::Unknown {
            what: format!("uplink interface {interface}"),
        })?;
        let reason = if wanted {
            "the link was associated anew"
        } else {
            "the uplink hung up"
        };
        port.stop(reason, &mut self.events);
        port.addressed = wanted;
        // Whatever the kernel refuses now is tried again; asking us again would only start DHCP over.
        self.look().await;
        Ok(Reply::Done)
    }

    /// The name servers a person's tools on the board use.
    pub(super) fn write_resolv(&self, servers: &[std::net::IpAddr]) {
        if let Err(error) = resolv::write(&self.ctx.dirs.run, &self.plan.lan, servers) {
            tracing::warn!("{}", crate::fault::chain(&error));
        }
    }

    async fn publish(&mut self) {
        for event in std::mem::take(&mut self.events) {
            self.ctx.publish(event).await;
        }
    }
}
