//! What people ask of an uplink: its standing taken up or down by hand, and what its radio hears.

use std::time::Duration;

use super::{Owner, Wish};
use crate::clock::Instant;
use crate::command::{Actor, Answer, Ask, Command, Network, Refusal, Reply};
use crate::uplink::state::State;
use crate::uplink::why;
use crate::uplink::wpa::parse::ssid_text;
use crate::uplink::wpa::{Bss, Order, security};

/// The table of networks is asked for by then, scanned or not; all channels take 10 s.
const SCAN_LIMIT: Duration = Duration::from_secs(15);
/// The supplicant tells its table within this time, or the asker is told that it does not.
const TABLE_LIMIT: Duration = Duration::from_secs(3);
/// Networks told; those with the weakest signal are left out first.
const MOST_NETWORKS: usize = 256;

/// Somebody who wants the table of networks.
#[derive(Debug)]
pub(super) struct Listener {
    /// Waits for a scan of all channels first.
    scan: bool,
    until: Instant,
    reply: Answer,
}

impl Owner {
    pub(super) fn asked(&mut self, ask: Ask) {
        let Some((actor, command, reply)) = ask.command(&self.uplink.name) else {
            return;
        };
        if let Command::ListNetworks { scan, .. } = command {
            self.listen(scan, reply);
        } else {
            let _ = reply.send(self.obey(&actor, &command));
        }
    }

    fn obey(&mut self, actor: &Actor, command: &Command) -> Result<Reply, Refusal> {
        let by = actor.to_string();
        match command {
            Command::TakeUplinkUp { .. } => self.wish = Wish::Up { by },
            Command::TakeUplinkDown { .. } => self.wish = Wish::Down { by },
            Command::ReleaseUplink { .. } => self.wish = Wish::AsMode,
            Command::RescanUplink { .. } => {
                self.book.forgive();
                return match self.machine.state() {
                    State::Searching | State::Failed { .. } => {
                        self.plan.search(true, Instant::now());
                        Ok(Reply::Said("looking for the hotspot".into()))
                    }
                    State::Off => Err(Refusal::Failed(
                        "the uplink is off; take it up first".into(),
                    )),
                    _ => Ok(Reply::Said(self.phase().1)),
                };
            }
            other => {
                return Err(Refusal::Failed(format!("an uplink cannot do {other:?}")));
            }
        }
        self.book.forgive();
        self.want();
        Ok(Reply::Done)
    }

    fn listen(&mut self, scan: bool, reply: Answer) {
        let now = Instant::now();
        let refusal = match self.machine.state() {
            _ if !self.found => Some(Refusal::Failed(self.phase().1)),
            State::Joining { .. } | State::Leasing { .. } if scan => Some(Refusal::Busy {
                what: self.wifi.interface.clone(),
                why: self.phase().1,
            }),
            _ => None,
        };
        if let Some(refusal) = refusal {
            // The asker may have gone.
            let _ = reply.send(Err(refusal));
            return;
        }
        let limit = if scan { SCAN_LIMIT } else { TABLE_LIMIT };
        if scan {
            self.plan.look_around(now);
        } else {
            self.supplicant.order(Order::List);
        }
        self.listeners.push(Listener {
            scan,
            until: now + limit,
            reply,
        });
    }

    /// All channels were scanned: the next table is what they wait for.
    pub(super) fn scanned_all(&mut self) {
        let until = Instant::now() + TABLE_LIMIT;
        for listener in self.listeners.iter_mut().filter(|one| one.scan) {
            (listener.scan, listener.until) = (false, until);
        }
    }

    /// When somebody has waited long enough.
    pub(super) fn listeners_wake_at(&self) -> Option<Instant> {
        self.listeners.iter().map(|one| one.until).min()
    }

    pub(super) fn tire(&mut self, now: Instant) {
        let tired = |one: &mut Listener| now >= one.until;
        let tired: Vec<Listener> = self.listeners.extract_if(.., tired).collect();
        for mut listener in tired {
            if listener.scan {
                (listener.scan, listener.until) = (false, now + TABLE_LIMIT);
                self.supplicant.order(Order::List);
                self.listeners.push(listener);
            } else {
                let owner = "wpa_supplicant".into();
                let _ = listener.reply.send(Err(Refusal::NoAnswer { owner }));
            }
        }
    }

    /// Tells the table to those who wait for it.
    pub(super) fn tell_networks(&mut self, rows: &[Bss]) {
        let ready = |one: &mut Listener| !one.scan;
        let ready: Vec<Listener> = self.listeners.extract_if(.., ready).collect();
        if ready.is_empty() {
            return;
        }
        let mut networks: Vec<Network> = rows.iter().map(|bss| self.network(bss)).collect();
        networks.sort_by_key(|one| (!one.joined, !one.known, -i64::from(one.signal_dbm)));
        networks.truncate(MOST_NETWORKS);
        for listener in ready {
            let _ = listener.reply.send(Ok(Reply::Networks(networks.clone())));
        }
    }

    fn network(&self, bss: &Bss) -> Network {
        let ssid = ssid_text(&bss.ssid);
        let known = self.wifi.ssids.contains(&bss.ssid);
        let joined = self.joined() == Some(bss.bssid);
        let fault = match security::judge(&bss.flags, &self.wifi) {
            _ if joined || !known => None,
            Err(fault) => Some(fault),
            Ok(_) => self.book.failure(bss.bssid),
        };
        Network {
            bssid: bss.bssid.to_string(),
            signal_dbm: bss.level_dbm,
            frequency_mhz: bss.frequency_mhz,
            security: security::word(&bss.flags).into(),
            age_seconds: u32::try_from(bss.age.as_secs()).unwrap_or(u32::MAX),
            known,
            joined,
            fault: fault.map(|fault| why::refusal(&ssid, bss.bssid, &fault)),
            ssid,
        }
    }
}
