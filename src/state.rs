//! The read model: all facts of the board in one value that doors watch. Written only through the bus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::fact::{
    Console, Door, Fact, Guard, Link, LinkRole, Machine, Owner, Pdu, SerialPort, Uplink,
    UplinkPhase, Ups,
};

/// Everything a door shows. Maps are keyed by the name that oobd.toml gives (links by interface).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub device: String,
    pub version: String,
    pub started_at: Timestamp,
    /// Every door is open; the same moment that systemd is told READY.
    pub ready: bool,
    /// OOB mode: `trigger`, `always` …
    pub mode: String,
    /// The OOB indicator: the board holds more than one working network.
    pub oob: bool,
    /// Problems of the configuration file that was refused last; empty when the file in force is the newest.
    pub config_problems: Vec<String>,
    pub links: BTreeMap<String, Link>,
    pub uplinks: BTreeMap<String, Uplink>,
    pub consoles: BTreeMap<String, Console>,
    pub guard: Guard,
    pub doors: BTreeMap<String, Door>,
    pub owners: BTreeMap<String, Owner>,
    /// Serial ports that are plugged in, in the order of their device files.
    pub ports: Vec<SerialPort>,
    pub pdus: BTreeMap<String, Pdu>,
    pub upses: BTreeMap<String, Ups>,
    pub machines: BTreeMap<String, Machine>,
}

impl State {
    /// Takes one fact in and derives what follows from it.
    pub fn apply(&mut self, fact: Fact) {
        match fact {
            Fact::Link(link) => {
                self.links.insert(link.interface.clone(), link);
            }
            Fact::LinkGone { interface } => {
                self.links.remove(&interface);
            }
            Fact::Uplink(uplink) => {
                self.uplinks.insert(uplink.name.clone(), uplink);
            }
            Fact::UplinkGone { name } => {
                self.uplinks.remove(&name);
            }
            Fact::Console(console) => {
                self.consoles.insert(console.name.clone(), console);
            }
            Fact::ConsoleGone { name } => {
                self.consoles.remove(&name);
            }
            Fact::Guard(guard) => self.guard = guard,
            Fact::Owner(owner) => {
                self.owners.insert(owner.name.clone(), owner);
            }
            Fact::OwnerGone { name } => {
                self.owners.remove(&name);
            }
            Fact::Door(door) => {
                self.doors.insert(door.name.clone(), door);
            }
            Fact::SerialPorts(ports) => self.ports = ports,
            Fact::DoorGone { name } => {
                self.doors.remove(&name);
            }
            Fact::Pdu(pdu) => {
                self.pdus.insert(pdu.name.clone(), pdu);
            }
            Fact::PduGone { name } => {
                self.pdus.remove(&name);
            }
            Fact::Ups(ups) => {
                self.upses.insert(ups.name.clone(), ups);
            }
            Fact::UpsGone { name } => {
                self.upses.remove(&name);
            }
            Fact::Machine(machine) => {
                self.machines.insert(machine.name.clone(), machine);
            }
            Fact::MachineGone { name } => {
                self.machines.remove(&name);
            }
        }
        self.oob = self.working_networks() > 1;
    }

    /// Networks that carry us now: the LAN with carrier and an address, and each uplink that is up.
    #[must_use]
    pub fn working_networks(&self) -> usize {
        let lan = self.links.values().filter(|link| {
            link.role == LinkRole::Lan && link.carrier && !link.addresses.is_empty()
        });
        let uplinks = self
            .uplinks
            .values()
            .filter(|uplink| uplink.phase == UplinkPhase::Up);
        lan.count() + uplinks.count()
    }
}

/// The one place the state is kept; cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(std::sync::Arc<watch::Sender<State>>);

impl Store {
    #[must_use]
    pub fn new(state: State) -> Self {
        Self(std::sync::Arc::new(watch::Sender::new(state)))
    }

    /// Follows the state; a slow reader sees the latest value, not every value.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<State> {
        self.0.subscribe()
    }

    /// A copy of the state now.
    #[must_use]
    pub fn now(&self) -> State {
        self.0.borrow().clone()
    }

    /// Changes the state; watchers wake only when something changed.
    pub fn modify(&self, change: impl FnOnce(&mut State)) {
        self.0.send_if_modified(|state| {
            let before = state.clone();
            change(state);
            *state != before
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lan(carrier: bool, addresses: &[&str]) -> Fact {
        Fact::Link(Link {
            interface: "eth0".into(),
            index: 2,
            role: LinkRole::Lan,
            mac: String::new(),
            carrier,
            addresses: addresses.iter().map(ToString::to_string).collect(),
            gateways: vec![],
            dns: vec![],
        })
    }

    fn uplink(phase: UplinkPhase) -> Fact {
        Fact::Uplink(Uplink {
            name: "hotspot".into(),
            kind: "wifi".into(),
            interface: "wlan0".into(),
            phase,
            since: Timestamp(0),
            why: String::new(),
            ssid: None,
            bssid: None,
            signal_dbm: None,
            frequency_mhz: None,
            security: None,
            address: None,
            internet: crate::fact::Internet::Unknown,
        })
    }

    #[test]
    fn the_oob_indicator_is_on_with_two_working_networks_only() {
        let mut state = State::default();
        for (fact, oob) in [
            (uplink(UplinkPhase::Up), false),
            (lan(true, &[]), false),
            (lan(true, &["10.0.0.5/24"]), true),
            (lan(false, &["10.0.0.5/24"]), false),
            (lan(true, &["10.0.0.5/24"]), true),
            (uplink(UplinkPhase::Leasing), false),
        ] {
            state.apply(fact.clone());
            assert_eq!(state.oob, oob, "after {fact:?}");
        }
    }
}
