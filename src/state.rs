//! The read model: all facts of the board in one value that doors watch. Written only through the bus.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::clock::Timestamp;
use crate::fact::{
    Alarm, CiraTunnel, ConfigTrial, Console, Door, Fact, Guard, Ider, Link, LinkRole, Machine,
    Owner, Pdu, SerialPort, Uplink, UplinkPhase, Ups,
};

mod change;

pub use change::Change;

/// Everything a door shows. Maps are keyed by the name that oobd.toml gives (links by interface).
/// In JSON what is missing is empty: a board and a client may be of different versions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
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
    /// Drives that machines get from this board, by machine.
    pub ider: BTreeMap<String, Ider>,
    /// Tunnels that machines have opened to this board, by machine.
    pub cira: BTreeMap<String, CiraTunnel>,
    /// A change of oobd.toml that waits to be confirmed.
    pub config_trial: Option<ConfigTrial>,
    /// The newest events of severity `error` or worse, and who has seen them, by sequence number.
    pub alarms: BTreeMap<String, Alarm>,
}

impl State {
    /// Takes one fact in and derives what follows from it; says whether that is news.
    pub fn apply(&mut self, fact: Fact) -> bool {
        let news = match fact {
            Fact::Link(link) => put(&mut self.links, link.interface.clone(), link),
            Fact::LinkGone { interface } => self.links.remove(&interface).is_some(),
            Fact::Uplink(uplink) => put(&mut self.uplinks, uplink.name.clone(), uplink),
            Fact::UplinkGone { name } => self.uplinks.remove(&name).is_some(),
            Fact::Console(console) => put(&mut self.consoles, console.name.clone(), console),
            Fact::ConsoleGone { name } => self.consoles.remove(&name).is_some(),
            Fact::Guard(guard) => set(&mut self.guard, guard),
            Fact::Owner(owner) => put(&mut self.owners, owner.name.clone(), owner),
            Fact::OwnerGone { name } => self.owners.remove(&name).is_some(),
            Fact::Door(door) => put(&mut self.doors, door.name.clone(), door),
            Fact::SerialPorts(ports) => set(&mut self.ports, ports),
            Fact::DoorGone { name } => self.doors.remove(&name).is_some(),
            Fact::Pdu(pdu) => put(&mut self.pdus, pdu.name.clone(), pdu),
            Fact::PduGone { name } => self.pdus.remove(&name).is_some(),
            Fact::Ups(ups) => put(&mut self.upses, ups.name.clone(), ups),
            Fact::UpsGone { name } => self.upses.remove(&name).is_some(),
            Fact::Machine(machine) => put(&mut self.machines, machine.name.clone(), machine),
            Fact::MachineGone { name } => self.machines.remove(&name).is_some(),
            Fact::Ider(ider) => put(&mut self.ider, ider.machine.clone(), ider),
            Fact::IderGone { machine } => self.ider.remove(&machine).is_some(),
            Fact::Cira(cira) => put(&mut self.cira, cira.machine.clone(), cira),
            Fact::CiraGone { machine } => self.cira.remove(&machine).is_some(),
            Fact::Alarm(alarm) => put(&mut self.alarms, alarm.event.seq.to_string(), alarm),
            Fact::AlarmGone { seq } => self.alarms.remove(&seq.to_string()).is_some(),
        };
        self.oob = self.working_networks() > 1;
        news
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

/// Puts a value in its place; says whether it is another than before.
pub fn set<T: PartialEq>(place: &mut T, value: T) -> bool {
    let news = *place != value;
    *place = value;
    news
}

/// As [`set`], in a map.
fn put<T: PartialEq>(map: &mut BTreeMap<String, T>, name: String, value: T) -> bool {
    if let Some(place) = map.get_mut(&name) {
        return set(place, value);
    }
    map.insert(name, value);
    true
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

    /// Changes the state. `change` says whether anything is new; only then watchers wake.
    ///
    /// Nothing is copied or compared but what changes: a board with many consoles gets a hundred facts a second.
    pub fn modify(&self, change: impl FnOnce(&mut State) -> bool) {
        self.0.send_if_modified(change);
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

    #[test]
    fn watchers_wake_for_news_only() {
        let store = Store::new(State::default());
        let mut watcher = store.watch();
        let uplink_gone = Fact::UplinkGone {
            name: "hotspot".into(),
        };
        for (fact, news) in [
            (uplink(UplinkPhase::Up), true),
            (uplink(UplinkPhase::Up), false),
            (uplink(UplinkPhase::Leasing), true),
            (lan(true, &[]), true),
            (uplink(UplinkPhase::Leasing), false),
            (uplink_gone.clone(), true),
            (uplink_gone, false),
            (Fact::SerialPorts(vec![]), false),
        ] {
            store.modify(|state| state.apply(fact.clone()));
            assert_eq!(watcher.has_changed().unwrap(), news, "after {fact:?}");
            watcher.mark_unchanged();
        }
    }
}
