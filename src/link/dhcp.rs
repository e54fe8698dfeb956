//! One link's DHCPv4: keeps a lease for as long as the link layer stands. Reports leases, never touches the kernel.
//!
//! What the client library leaves to us: a new client per association and after every failure, DHCPNAK, a server
//! that stays silent, leases that cannot be used.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::lease::Lease;
use super::{Report, Word};
use crate::clock::Instant;

mod client;
mod decline;
mod nak;

use client::{DhcpClient, Stage};
use nak::NakListener;

/// How long one client may try before a new one is made: the time to the next DISCOVER. The library would wait
/// 3 to 5 s for the first one; the first frames after association are the ones that get lost.
const TRIES: [Duration; 6] = [
    Duration::from_millis(1500),
    Duration::from_secs(3),
    Duration::from_secs(6),
    Duration::from_secs(12),
    Duration::from_secs(24),
    Duration::from_secs(30),
];
/// A server silent for so long is worth an event; phones answer within a second.
const SILENCE: Duration = Duration::from_secs(10);
/// NAKs in a row that are answered at once; after that we wait, because somebody is playing with us.
const QUICK_NAKS: u32 = 3;
const SLOW_NAK: Duration = Duration::from_secs(5);
/// RFC 2131 §3.1: at least this long after a DHCPDECLINE.
const AFTER_DECLINE: Duration = Duration::from_secs(10);
const ENDED: &str = "the DHCP lease ended and was not renewed";
/// Grace after the end of the lease before we stop believing that the library ends it.
const GRACE: Duration = Duration::from_secs(1);

/// The link to get an address for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subject {
    pub interface: String,
    pub index: u32,
    pub mac: [u8; 6],
    /// Addresses of the board's other links: the same one here as well could be told apart by nobody.
    pub taken: Vec<Ipv4Addr>,
}

/// Why a client ended.
enum End {
    Stopped,
    /// It held a lease and lost it.
    Lost(String),
    /// It never got one; the next client comes after `wait`.
    Nothing {
        reason: String,
        wait: Duration,
    },
    Nak {
        held: bool,
    },
}

/// Runs until stopped. Reports bear `generation`, so that the owner can tell those of an earlier association.
pub(super) async fn run(
    subject: Subject,
    generation: u64,
    out: mpsc::Sender<Report>,
    stop: CancellationToken,
) {
    let mut keeper = Keeper {
        subject,
        generation,
        out,
        stop,
        since: Instant::now(),
        told_silent: false,
        tries: 0,
        naks: 0,
    };
    while let Some(wait) = keeper.life().await {
        pause(wait, &keeper.stop).await;
    }
}

struct Keeper {
    subject: Subject,
    generation: u64,
    out: mpsc::Sender<Report>,
    stop: CancellationToken,
    /// Without a lease since then.
    since: Instant,
    told_silent: bool,
    /// Clients in a row that got nothing.
    tries: usize,
    naks: u32,
}

impl Keeper {
    async fn tell(&self, word: Word) {
        let report = Report {
            interface: self.subject.interface.clone(),
            generation: self.generation,
            word,
        };
        // The owner is gone: so are we, soon.
        let _ = self.out.send(report).await;
    }

    /// One client's life and what is said about its end; how long to wait before the next one, `None` at the end.
    async fn life(&mut self) -> Option<Duration> {
        match self.session().await {
            End::Stopped => None,
            End::Lost(reason) => {
                self.naks = 0;
                self.without_lease();
                self.tell(Word::LeaseLost(reason)).await;
                Some(Duration::ZERO)
            }
            End::Nak { held } => {
                self.naks += 1;
                let interface = &self.subject.interface;
                tracing::info!(interface, naks = self.naks, "the DHCP server said no (NAK)");
                if held {
                    self.without_lease();
                    let reason = "the DHCP server took the address back (NAK)";
                    self.tell(Word::LeaseLost(reason.into())).await;
                }
                Some(if self.naks > QUICK_NAKS {
                    SLOW_NAK
                } else {
                    Duration::ZERO
                })
            }
            End::Nothing { reason, wait } => {
                self.tries += 1;
                let silent_for = self.since.elapsed();
                if silent_for >= SILENCE && !self.told_silent {
                    self.told_silent = true;
                    let seconds = silent_for.as_secs();
                    self.tell(Word::Silent(format!(
                        "{reason} for {seconds} s; still asking"
                    )))
                    .await;
                }
                Some(wait)
            }
        }
    }

    fn without_lease(&mut self) {
        (self.since, self.told_silent, self.tries) = (Instant::now(), false, 0);
    }

    /// One client from DISCOVER to the end of its lease.
    async fn session(&mut self) -> End {
        let limit = TRIES[self.tries.min(TRIES.len() - 1)];
        let nothing = |reason| End::Nothing {
            reason,
            wait: limit,
        };
        let naks = match NakListener::open(&self.subject) {
            Ok(naks) => naks,
            Err(error) => return nothing(crate::fault::chain(&error)),
        };
        let mut client = match DhcpClient::open(&self.subject).await {
            Ok(client) => client,
            Err(reason) => return nothing(reason),
        };
        let mut held = false;
        let mut until = Instant::now() + limit;
        loop {
            let stage = tokio::select! {
                // Cancel-safe: a token that stays cancelled.
                () = self.stop.cancelled() => return End::Stopped,
                // Dropped half-way only together with the client.
                stage = client.next() => stage,
                // Cancel-safe: a NAK that is read ends this client.
                () = naks.heard() => return End::Nak { held },
                // Cancel-safe: a timer has nothing to lose.
                () = sleep_until(until) => Ok(Stage::Seeking),
            };
            let raw = match stage {
                Ok(Stage::Refreshing) => continue,
                Ok(Stage::Seeking) if held => return End::Lost(ENDED.into()),
                Ok(Stage::Seeking) if Instant::now() < until => continue,
                Ok(Stage::Seeking) => {
                    let reason = "no DHCP server answered".into();
                    return End::Nothing {
                        reason,
                        wait: Duration::ZERO,
                    };
                }
                Err(reason) if held => return End::Lost(reason),
                Err(reason) => return nothing(reason),
                Ok(Stage::Bound(raw)) => raw,
            };
            match Lease::read(&raw) {
                Ok(lease) if self.subject.taken.contains(&lease.address) => {
                    decline::send(&self.subject, lease.address, raw.srv_id);
                    let reason = format!(
                        "the DHCP server gave {}, which the board already has on another link,",
                        lease.address
                    );
                    return End::Nothing {
                        reason,
                        wait: AFTER_DECLINE,
                    };
                }
                Ok(lease) => {
                    held = true;
                    self.naks = 0;
                    self.without_lease();
                    let seconds = u64::from(lease.seconds);
                    until = Instant::now() + Duration::from_secs(seconds) + GRACE;
                    self.tell(Word::Leased(lease)).await;
                }
                Err(reason) if held => return End::Lost(reason),
                Err(reason) => return nothing(reason),
            }
        }
    }
}

async fn pause(time: Duration, stop: &CancellationToken) {
    tokio::select! {
        // Cancel-safe, both.
        () = stop.cancelled() => {}
        () = sleep(time) => {}
    }
}
