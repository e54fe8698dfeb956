//! Owner `guard`: proves every 30 s, on demand and soon after every change that the board is no gateway, and undoes
//! what would make it one. Publishes what it found; never touches what the recipe does not name.

use std::collections::BTreeMap;
use std::time::Duration;

use rtnetlink::MulticastGroup;
use tokio::time::sleep_until;

use super::netlink::Netlink;
use super::plan::Plan;
use super::wake::Wake;
use super::{Error, firewall, settings};
use crate::clock::{Instant, Timestamp};
use crate::command::{Ask, Command, Refusal, Reply};
use crate::config::{DoorPorts, Lan, Uplink};
use crate::event::{Breach, Kind};
use crate::fact::{self, Fact};
use crate::supervisor::context::Context;

mod findings;
mod foreign;

use findings::{Finding, Undo};

/// How often one check undoes what it finds before it says that it could not.
const ROUNDS: usize = 3;
const EVERY: Duration = Duration::from_secs(30);
/// A change waits this long for its companions.
const SETTLE: Duration = Duration::from_millis(100);
/// Somebody who keeps changing things gets checked (and undone) no more often than this.
const APART: Duration = Duration::from_secs(1);
/// The same breach again within this time is undone without another event.
const QUIET: Duration = Duration::from_secs(300);
/// Different breaches remembered; past that the oldest is forgotten.
const MOST_KNOWN: usize = 256;

/// `NetworkConfiguration` notices come with every change of a forwarding or rp_filter switch.
const GROUPS: [MulticastGroup; 8] = [
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Ipv4Netconf,
    MulticastGroup::Ipv6Netconf,
    MulticastGroup::Nexthop,
];

struct Guard {
    ctx: Context,
    plan: Plan,
    kernel: Netlink,
    /// Our table as nft reports it right after loading.
    sealed: serde_json::Value,
    fact: fact::Guard,
    /// Breaches that were published, and when.
    told: BTreeMap<String, Instant>,
    /// A breach was published and `GuardRestored` not yet.
    alarmed: bool,
}

/// Runs the owner `guard` until the board stops.
///
/// # Errors
/// When the firewall cannot be loaded or read back at the start, or the kernel's sockets fail.
pub async fn run(
    ctx: Context,
    lan: Lan,
    uplinks: Vec<Uplink>,
    doors: DoorPorts,
) -> Result<(), Error> {
    let plan = Plan::new(&lan, &uplinks, doors)?;
    let mut routing = Wake::routing(&GROUPS)?;
    // Every Wi-Fi scan reports its link anew: those notices are worth a look at the links only.
    let mut links = Wake::routing(&[MulticastGroup::Link])?;
    let mut nftables = Wake::nftables()?;
    let (mut pulse, stop) = (ctx.pulse.clone(), ctx.stop.clone());
    // Loaded again so that what is read back is what this very text makes; one transaction, never open.
    firewall::load(&plan).await?;
    let sealed = firewall::read().await?.ok_or_else(|| Error::Nft {
        what: "-j list ruleset".into(),
        said: "our table is not there although it was just loaded".into(),
    })?;
    let mut guard = Guard {
        kernel: Netlink::open()?,
        ctx,
        plan,
        sealed,
        fact: fact::Guard::default(),
        told: BTreeMap::new(),
        alarmed: false,
    };
    let mut check_at = Instant::now();
    loop {
        let mut soon = false;
        tokio::select! {
            // Cancel-safe: a token that stays cancelled.
            () = stop.cancelled() => return Ok(()),
            // Cancel-safe: see Pulse::beat.
            () = pulse.beat() => {}
            // Cancel-safe: see Wake::changed.
            changed = routing.changed() => { changed?; soon = true; }
            // Cancel-safe: see Wake::changed.
            changed = links.changed() => {
                changed?;
                let found = findings::links(&guard.plan, &guard.kernel).await;
                soon = found.is_ok_and(|found| !found.is_empty());
            }
            // Cancel-safe: see Wake::changed.
            changed = nftables.changed() => { changed?; soon = true; }
            // Cancel-safe per docs on Receiver::recv().
            Some(ask) = guard.ctx.asks.recv() => guard.answer(ask).await,
            // Cancel-safe: a timer has nothing to lose.
            () = sleep_until(check_at) => {
                guard.check().await;
                check_at = Instant::now() + EVERY;
            }
        }
        if soon {
            let rested = guard.rest();
            check_at = check_at.min(Instant::now() + rested);
        }
    }
}

impl Guard {
    fn rest(&self) -> Duration {
        let since = self.fact.checked_at.map(|at| at.until(Timestamp::now()));
        since.map_or(SETTLE, |since| APART.saturating_sub(since).max(SETTLE))
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Command {
                command: Command::CheckGuard,
                reply,
                ..
            } => {
                let found = self.check().await;
                let open = self.fact.open.len();
                let said = match (found, open) {
                    (0, 0) => Reply::Said("the board is no gateway".into()),
                    (found, 0) => {
                        Reply::Said(format!("{found} found and undone; the board is no gateway"))
                    }
                    (found, open) => Reply::Said(format!(
                        "{found} found, {open} could not be undone: {}",
                        self.fact.open.join("; ")
                    )),
                };
                let _ = reply.send(Ok(said));
            }
            Ask::Command { command, reply, .. } => {
                let _ = reply.send(Err(Refusal::Failed(format!(
                    "guard does not serve {command:?}"
                ))));
            }
            Ask::Attach { request, reply } => {
                let what = format!("console {}", request.console);
                let _ = reply.send(Err(Refusal::Unknown { what }));
            }
        }
    }

    /// Looks, undoes, looks again; returns how many breaches there were. One remedy may open something else (the
    /// kernel sets `accept_redirects` when forwarding is switched off), hence the rounds.
    async fn check(&mut self) -> usize {
        let mut found: Vec<Finding> = Vec::new();
        let mut open = self.look().await;
        for _ in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            for finding in &open {
                if let Err(error) = self.undo(&finding.undo).await {
                    tracing::warn!("guard: {}", crate::fault::chain(&error));
                }
            }
            let again = self.look().await;
            let known: Vec<String> = found.iter().map(Finding::text).collect();
            found.extend(
                open.into_iter()
                    .filter(|finding| !known.contains(&finding.text())),
            );
            open = again;
        }
        let left: Vec<String> = open.iter().map(Finding::text).collect();
        for finding in &found {
            let text = finding.text();
            let undone = !left.contains(&text);
            self.fact.breaches += 1;
            self.tell(&text, finding.breach.clone(), undone).await;
        }
        if left.is_empty() && self.alarmed {
            self.alarmed = false;
            self.ctx.publish(Kind::GuardRestored).await;
        }
        self.fact.sealed = Some(left.is_empty());
        self.fact.open = left;
        self.fact.checked_at = Some(Timestamp::now());
        self.ctx.observe(Fact::Guard(self.fact.clone()));
        found.len()
    }

    /// One event per breach and [`QUIET`] time, one more when undoing begins to fail.
    async fn tell(&mut self, text: &str, breach: Breach, undone: bool) {
        let key = format!("{undone} {text}");
        let now = Instant::now();
        let known = self
            .told
            .get(&key)
            .is_some_and(|at| now.duration_since(*at) < QUIET);
        if known {
            tracing::debug!("guard: again: {text}");
            return;
        }
        if self.told.len() >= MOST_KNOWN
            && let Some(oldest) = self
                .told
                .iter()
                .min_by_key(|(_, at)| **at)
                .map(|(key, _)| key.clone())
        {
            self.told.remove(&oldest);
        }
        self.told.insert(key, now);
        self.alarmed = true;
        self.ctx
            .publish(Kind::GuardBreached { breach, undone })
            .await;
    }

    /// Everything that stands open now. What cannot be read counts as open: unknown is never shown as safe.
    async fn look(&mut self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut take = |part: &str, outcome: Result<Vec<Finding>, Error>| match outcome {
            Ok(more) => found.extend(more),
            Err(error) => {
                let text = format!("{part} cannot be checked: {}", crate::fault::chain(&error));
                found.push(Finding {
                    breach: Breach::Setting(text),
                    undo: Undo::Nothing,
                });
            }
        };
        take("switches", findings::switches(&self.plan));
        take("rules", findings::rules(&self.plan, &self.kernel).await);
        take("routes", findings::routes(&self.plan, &self.kernel).await);
        take("links", findings::links(&self.plan, &self.kernel).await);
        let listing = firewall::list().await;
        if let Ok(items) = &listing {
            self.fact.dropped = firewall::dropped(items);
        }
        take(
            "firewall",
            listing.map(|items| foreign::firewall(&items, &self.sealed)),
        );
        found
    }

    async fn undo(&self, undo: &Undo) -> Result<(), Error> {
        match undo {
            Undo::Nothing => Ok(()),
            Undo::Switches(settings) => settings::apply_all(settings),
            Undo::AddRule(rule) => self.kernel.add_rule(rule).await,
            Undo::DeleteRule(message) => self.kernel.delete_rule(message.clone()).await,
            Undo::DeleteRoute(message) => self.kernel.delete_route(message.clone()).await,
            Undo::Release(link) => self.kernel.release(link).await,
            Undo::LoadFirewall => firewall::load(&self.plan).await,
            Undo::Nft(arguments) => {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                firewall::run(&arguments, "").await.map(|_| ())
            }
        }
    }
}
