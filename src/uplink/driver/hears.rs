//! What the uplink's owner makes of what it hears: the supplicant's reports, the bus, the probe. Turns them into inputs of the state machine.

use std::sync::Arc;

use super::Owner;
use crate::clock::Instant;
use crate::event::{Event, HotspotFault, Kind};
use crate::fact::Internet;
use crate::uplink::probe::Verdict;
use crate::uplink::state::{Input, State};
use crate::uplink::wpa::{self, Bssid, Order, Report, ScanAnswer, Status};

/// "Device or resource busy" as the kernel answers a scan request.
const EBUSY: i32 = -16;

impl Owner {
    pub(super) fn reported(&mut self, report: Report) {
        let now = Instant::now();
        match report {
            Report::Found => {
                self.found = true;
                self.tell(Kind::SupplicantFound {
                    interface: self.wifi.interface.clone(),
                });
                self.step(Input::SupplicantFound);
            }
            Report::Lost { reason } => {
                tracing::info!(interface = self.wifi.interface, reason, "no wpa_supplicant");
                if std::mem::take(&mut self.found) {
                    self.tell(Kind::SupplicantLost {
                        interface: self.wifi.interface.clone(),
                        reason: reason.clone(),
                    });
                }
                self.visible = None;
                self.step(Input::SupplicantLost(reason));
            }
            Report::Event(event) => self.supplicant_says(event, now),
            Report::Scan(ScanAnswer::Started) => {}
            Report::Scan(ScanAnswer::Busy) => self.plan.busy(now),
            Report::Scan(ScanAnswer::Refused) => self.plan.failed(now),
            Report::Rows(rows) => {
                self.tell_networks(&rows);
                self.look(&rows, now);
            }
            Report::Status(status) => self.compare(status),
            Report::Signal(dbm) => {
                self.signal_dbm = Some(dbm);
                self.show();
            }
            Report::JoinRefused { command } => self.step(Input::Refused {
                bssid: None,
                fault: HotspotFault::Rejected(format!("wpa_supplicant refused {command}")),
            }),
        }
    }

    fn supplicant_says(&mut self, event: wpa::Event, now: Instant) {
        let rejected = |bssid, why: String| Input::Refused {
            bssid,
            fault: HotspotFault::Rejected(why),
        };
        let wrong = |bssid| Input::Refused {
            bssid,
            fault: HotspotFault::WrongPassphrase,
        };
        match event {
            wpa::Event::ScanResults => {
                if self.plan.done(now) {
                    self.scanned_all();
                }
                self.supplicant.order(Order::List);
            }
            wpa::Event::ScanFailed { code: EBUSY } => self.plan.busy(now),
            wpa::Event::ScanFailed { .. } => self.plan.failed(now),
            wpa::Event::NetworkNotFound => self.step(rejected(None, "it is gone".into())),
            wpa::Event::Connected { bssid } => self.step(Input::Connected(bssid)),
            wpa::Event::Disconnected {
                bssid,
                reason,
                local,
            } => self.step(Input::Disconnected {
                bssid,
                reason,
                local,
            }),
            // SAE: 76 asks for a token, 77 for another group, 126 for hash-to-element; the supplicant goes on by itself.
            wpa::Event::AuthReject {
                kind: 3,
                status: 76 | 77 | 126,
                ..
            } => {}
            wpa::Event::AuthReject {
                bssid,
                kind: 3,
                status: 1,
            } => self.step(wrong(Some(bssid))),
            wpa::Event::AuthReject { bssid, status, .. } => {
                let why = format!("it refused authentication (status {status})");
                self.step(rejected(Some(bssid), why));
            }
            // 30: come back later; the supplicant does.
            wpa::Event::AssocReject { status: 30, .. } => {}
            wpa::Event::AssocReject { bssid, status } => {
                let why = format!("it refused association (status {status})");
                self.step(rejected(bssid, why));
            }
            wpa::Event::TempDisabled { reason } if reason == "WRONG_KEY" => self.step(wrong(None)),
            wpa::Event::TempDisabled { reason } => {
                let why = format!("the connection failed ({reason})");
                self.step(rejected(None, why));
            }
            // The command thread ends the session on it.
            wpa::Event::Terminating => {}
        }
    }

    pub(super) fn joined(&self) -> Option<Bssid> {
        match self.machine.state() {
            State::Leasing { target, .. } | State::Up { target, .. } => Some(target.bssid),
            _ => None,
        }
    }

    fn look(&mut self, rows: &[wpa::Bss], now: Instant) {
        let look = self.book.look(rows, self.joined(), now);
        let idle = matches!(
            self.machine.state(),
            State::Searching | State::Failed { .. }
        );
        if idle {
            self.trouble = look.trouble;
            match (&look.best.as_ref().or(look.seen.as_ref()), &self.visible) {
                (Some(target), None) => {
                    self.visible = Some(target.name.clone());
                    self.signal_dbm = Some(target.signal_dbm);
                    self.tell(Kind::HotspotSeen {
                        uplink: self.uplink.name.clone(),
                        ssid: target.name.clone(),
                        bssid: target.bssid.to_string(),
                        signal_dbm: target.signal_dbm,
                        frequency_mhz: target.frequency_mhz,
                    });
                }
                (None, Some(ssid)) => {
                    let ssid = ssid.clone();
                    self.visible = None;
                    self.tell(Kind::HotspotLost {
                        uplink: self.uplink.name.clone(),
                        ssid,
                    });
                }
                _ => {}
            }
        }
        for finding in look.findings {
            self.tell_finding(finding);
        }
        match look.best {
            Some(best) if idle => self.step(Input::Sighted(best)),
            _ => self.show(),
        }
    }

    /// Holds the supplicant's own word against the state: an event may have been lost.
    fn compare(&mut self, status: Status) {
        let gone = ["DISCONNECTED", "INACTIVE", "SCANNING", "INTERFACE_DISABLED"];
        match self.machine.state() {
            State::Joining { target, .. }
                if status.state == "COMPLETED" && status.bssid == Some(target.bssid) =>
            {
                let bssid = target.bssid;
                self.step(Input::Connected(bssid));
            }
            State::Leasing { target, .. } | State::Up { target, .. } => {
                let (bssid, name) = (target.bssid, target.name.clone());
                let other = status.state == "COMPLETED" && status.bssid != Some(bssid);
                if gone.contains(&status.state.as_str()) || other {
                    self.step(Input::Disconnected {
                        bssid,
                        reason: 0,
                        local: false,
                    });
                } else if self.security.is_none()
                    && let Some(key_mgmt) = status.key_mgmt
                {
                    let cipher = status.cipher.unwrap_or_default();
                    let security = format!("{key_mgmt} {cipher}").trim_end().to_owned();
                    self.security = Some(security.clone());
                    self.tell(Kind::UplinkAssociated {
                        uplink: self.uplink.name.clone(),
                        ssid: name,
                        bssid: bssid.to_string(),
                        security,
                    });
                    self.show();
                }
            }
            _ => {}
        }
    }

    pub(super) fn heard(&mut self, event: &Arc<Event>) {
        let ours = &self.wifi.interface;
        match &event.kind {
            Kind::LeaseAcquired {
                interface, address, ..
            } if interface == ours => self.step(Input::LeaseAcquired(address.clone())),
            Kind::LeaseLost { interface, reason } if interface == ours => {
                self.step(Input::LeaseLost(reason.clone()));
            }
            Kind::RouterFound {
                interface,
                prefixes,
                ..
            } if interface == ours => {
                if let Some(prefix) = prefixes.first() {
                    self.step(Input::RouterFound(prefix.clone()));
                }
            }
            Kind::OwnerFailed { owner, .. } if owner == "link" => self.step(Input::LinkForgot),
            Kind::ConfigApplied { restarted } if restarted.iter().any(|owner| owner == "link") => {
                self.step(Input::LinkForgot);
            }
            _ => {}
        }
    }

    pub(super) fn probed(&mut self, verdict: Verdict) {
        if self.probing.is_none() {
            return;
        }
        self.internet = verdict.internet;
        let uplink = self.uplink.name.clone();
        self.tell(match verdict.internet {
            Internet::Yes => Kind::InternetFound {
                uplink,
                target: verdict.because,
            },
            Internet::No | Internet::Unknown => Kind::InternetLost {
                uplink,
                reason: verdict.because,
            },
        });
        self.show();
    }
}
