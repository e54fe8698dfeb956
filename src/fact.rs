//! What is true now of one device, as its owner last said; the pieces that [`crate::state`] is made of.
//! Facts replace each other and are never journaled. Imports words only.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::event::Event;
use crate::line::LineState;
use crate::machine::Sensor;
use crate::reset::{Action, PowerState, Verb};

/// One owner's latest word; a later fact of the same kind and name replaces it.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Link(Link),
    LinkGone {
        interface: String,
    },
    Uplink(Uplink),
    UplinkGone {
        name: String,
    },
    Console(Console),
    ConsoleGone {
        name: String,
    },
    Guard(Guard),
    Owner(Owner),
    OwnerGone {
        name: String,
    },
    Door(Door),
    /// All that are plugged in now.
    SerialPorts(Vec<SerialPort>),
    DoorGone {
        name: String,
    },
    Pdu(Pdu),
    PduGone {
        name: String,
    },
    Ups(Ups),
    UpsGone {
        name: String,
    },
    Machine(Machine),
    MachineGone {
        name: String,
    },
    Ider(Ider),
    IderGone {
        machine: String,
    },
    Cira(CiraTunnel),
    CiraGone {
        machine: String,
    },
    Alarm(Alarm),
    AlarmGone {
        seq: u64,
    },
}

/// What a link is to us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkRole {
    Lan,
    /// Serves the uplink of this name.
    Uplink(String),
    Unused,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Link {
    pub interface: String,
    pub index: u32,
    pub role: LinkRole,
    pub mac: String,
    pub carrier: bool,
    /// In CIDR notation, IPv4 first, link-local left out.
    pub addresses: Vec<String>,
    pub gateways: Vec<IpAddr>,
    pub dns: Vec<IpAddr>,
}

/// Where an uplink stands; the variants follow the life of one dial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UplinkPhase {
    /// Not wanted (mode `off`, or taken down by an operator).
    Off,
    /// The radio or its supplicant is not there.
    Absent,
    /// Looking for a trigger SSID.
    Searching,
    Associating,
    /// Associated, waiting for an address.
    Leasing,
    Up,
    /// Waiting before the next try.
    Failed,
}

/// Is there internet behind an uplink? Unknown is never shown as no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Internet {
    #[default]
    Unknown,
    Yes,
    No,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Uplink {
    pub name: String,
    /// `wifi`, `cellular` or `ethernet`.
    pub kind: String,
    pub interface: String,
    pub phase: UplinkPhase,
    pub since: Timestamp,
    /// One sentence for a person: why it is in this phase and what to do when it is a fault.
    pub why: String,
    pub ssid: Option<String>,
    pub bssid: Option<String>,
    pub signal_dbm: Option<i32>,
    pub frequency_mhz: Option<u32>,
    pub security: Option<String>,
    pub address: Option<String>,
    pub internet: Internet,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub id: u64,
    pub user: String,
    pub from: String,
    pub writer: bool,
    pub since: Timestamp,
    /// When it last typed; when it came, before it ever did.
    pub typed_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortPhase {
    Open,
    /// Not there now (unplugged, or not plugged in yet); opened by itself when it comes.
    Gone,
    /// There, but cannot be used: see `why`.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Console {
    pub name: String,
    pub port: String,
    /// Line settings as in `115200n8`.
    pub line: String,
    pub phase: PortPhase,
    pub since: Timestamp,
    pub why: String,
    pub sessions: Vec<Session>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// The last line the device wrote, control characters removed.
    pub last_line: String,
    /// How the line stands.
    pub state: LineState,
    /// 1, 2, 3 …: `port02`, and what telnet 2002 and its like follow. 0 while the console was not numbered.
    pub number: u16,
    /// What the device calls itself, once it was asked.
    pub device: Option<String>,
    /// What powers that device, as `PDU/OUTLET`.
    pub outlets: Vec<String>,
}

/// A serial port that is plugged in, whether a console uses it or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SerialPort {
    /// Device file, e.g. `/dev/ttyUSB0`; another one after the next start.
    pub device: String,
    /// Where it is plugged in, as `usb` of a console takes it; `None` for what is no USB.
    pub position: Option<String>,
    /// The kernel's driver, e.g. `ftdi_sio`.
    pub driver: String,
    /// Vendor and product, e.g. `0403:6001`.
    pub usb_id: Option<String>,
    pub maker: Option<String>,
    pub product: Option<String>,
    /// The adapter's own number; cheap ones have none.
    pub serial: Option<String>,
    /// Names under `/dev/serial/by-path` and `by-id`.
    pub links: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// `None` until the first check has run.
    pub sealed: Option<bool>,
    pub checked_at: Option<Timestamp>,
    /// Breaches found since start, undone or not.
    pub breaches: u64,
    /// What stands open right now.
    pub open: Vec<String>,
    /// Packets the firewall dropped, by chain.
    pub dropped: std::collections::BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnerPhase {
    Running,
    Restarting,
    Stopped,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Owner {
    pub name: String,
    pub phase: OwnerPhase,
    pub restarts: u64,
    pub last_fault: Option<String>,
}

/// A way in for operators that is open now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Door {
    /// `ssh`, `control` …
    pub name: String,
    pub address: String,
    /// Host key or certificate fingerprint an operator can compare.
    pub fingerprint: Option<String>,
}

/// Whether a PDU, UPS or machine answers us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DevicePhase {
    /// Not heard yet.
    #[default]
    Unknown,
    Up,
    /// It does not answer.
    Silent,
    /// It answers, and refuses: a wrong password, another certificate. See `why`.
    Refused,
}

/// A power distribution unit, or anything else that switches outlets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pdu {
    pub name: String,
    /// `nut`, `powerman`, `snmp`, `shelly` …
    pub kind: String,
    /// Host and port, or device file.
    pub address: String,
    pub phase: DevicePhase,
    pub since: Timestamp,
    pub why: String,
    /// When its outlets were read last; all states are as old as this.
    pub read_at: Option<Timestamp>,
    /// In the order of the device.
    pub outlets: Vec<Outlet>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outlet {
    /// As printed on the device, or as near as its protocol says; unique in the PDU.
    pub key: String,
    /// As oobd.toml or the device calls it; may be empty.
    pub label: String,
    pub state: PowerState,
    /// A verb is under way, ours or another one's.
    pub in_transition: bool,
    /// The device itself switches on again after a cycle.
    pub cycles: bool,
    pub watts: Option<f64>,
    pub amps: Option<f64>,
    /// What hangs on it, as oobd.toml says: `appliance`, `switch`, `uplink`, or names of machines.
    pub feeds: Vec<String>,
    pub action: Option<Action>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ups {
    pub name: String,
    pub kind: String,
    pub address: String,
    pub phase: DevicePhase,
    pub since: Timestamp,
    pub why: String,
    pub read_at: Option<Timestamp>,
    /// Tokens as NUT spells them: `OL`, `OB`, `LB`, `CHRG`, `FSD` … Empty while unknown.
    pub status: Vec<String>,
    /// Of the battery, in percent.
    pub charge: Option<f64>,
    /// What the battery lasts, in seconds.
    pub runtime: Option<f64>,
    /// In percent of what it can carry.
    pub load: Option<f64>,
    pub input_volts: Option<f64>,
    pub model: String,
}

/// A managed computer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub name: String,
    /// Ways to its power in the order they are tried: `redfish`, `ipmi`, `outlets`, `wol` …
    pub methods: Vec<String>,
    pub phase: DevicePhase,
    pub since: Timestamp,
    pub why: String,
    pub read_at: Option<Timestamp>,
    pub state: PowerState,
    pub in_transition: bool,
    /// What may be asked of it, the mildest first.
    pub verbs: Vec<Verb>,
    /// As `PDU/OUTLET`; switched as one.
    pub outlets: Vec<String>,
    /// Maker and model, once it said.
    pub model: String,
    pub action: Option<Action>,
    /// As read last; the owner reads them now and then.
    pub sensors: Vec<Sensor>,
    /// Its controller has settings of the firmware to read and to stage.
    pub has_bios: bool,
}

/// Where the drives stand that a machine gets from this board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IderPhase {
    #[default]
    Opening,
    /// The machine has them.
    Open,
    /// The session broke, and is tried again: see `why`.
    Lost,
}

/// Drives of a machine by IDE redirection, from the insertion to the ejection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ider {
    pub machine: String,
    pub phase: IderPhase,
    /// Of the phase.
    pub since: Timestamp,
    pub why: String,
    /// Who inserted it, and when.
    pub by: String,
    pub inserted_at: Timestamp,
    pub cd: Option<IderDrive>,
    pub floppy: Option<IderDrive>,
}

/// One drive and what went over it. The numbers are a second old.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IderDrive {
    /// Of this board.
    pub file: String,
    pub bytes: u64,
    /// The machine may write to it.
    pub writable: bool,
    /// The machine has ejected it.
    pub out: bool,
    /// Bytes, those twice that were moved twice.
    pub read: u64,
    pub written: u64,
    /// The block that was touched last: 2048 bytes on a CD, 512 on a floppy.
    pub last_block: Option<u32>,
}

/// The tunnel that the management engine of a machine has opened to this board.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiraTunnel {
    pub machine: String,
    pub from: String,
    pub since: Timestamp,
    /// Ports that it takes streams to.
    pub ports: Vec<u16>,
}

/// An event that somebody should look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    pub event: Event,
    /// Its sentence.
    pub text: String,
    pub acknowledged: Option<Acknowledged>,
}

/// Who has seen an alarm first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// As in `alice (https 10.0.0.9:50122)`.
    pub by: String,
    pub at: Timestamp,
    /// May be empty.
    pub note: String,
}

/// A change of oobd.toml that comes undone unless somebody confirms it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigTrial {
    /// Who made it.
    pub by: String,
    pub since: Timestamp,
    /// By the board's clock, as `since`.
    pub until: Timestamp,
}
