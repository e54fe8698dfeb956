//! What a controller tells, in plain words. No JSON, no I/O.

use crate::clock::Timestamp;

/// Is the machine on? What nobody knows is [`Power::Unknown`], never off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    On,
    Off,
    PoweringOn,
    PoweringOff,
    Unknown,
}

/// A machine that the controller manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    pub uri: String,
    pub id: String,
    pub name: String,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub uuid: Option<String>,
    pub power: Power,
    /// `OK`, `Warning` or `Critical`.
    pub health: Option<String>,
}

/// The controller itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    pub uri: String,
    pub id: String,
    pub kind: Option<String>,
    pub model: Option<String>,
    pub firmware: Option<String>,
    pub health: Option<String>,
    /// By its own clock, as it writes it.
    pub date_time: Option<String>,
}

/// What a sensor measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorKind {
    Temperature,
    Fan,
    Voltage,
    Current,
    Power,
    Energy,
    /// A chassis that was opened: [`Sensor::said`] has the word.
    Intrusion,
    /// A power supply as a whole.
    Supply,
    Other,
}

/// How a sensor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SensorState {
    Ok,
    Warning,
    Critical,
    /// Not there, or switched off with the machine.
    Absent,
    Unknown,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sensor {
    pub name: String,
    pub kind: SensorKind,
    /// As Redfish writes it: `Cel`, `RPM`, `%`, `V`, `A`, `W`. Empty when it has none.
    pub unit: String,
    /// `None` when there is no reading now.
    pub value: Option<f64>,
    pub state: SensorState,
    /// The word of a sensor that has no number, such as `HardwareIntrusion`.
    pub said: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSeverity {
    Ok,
    Warning,
    Critical,
    Unknown,
}

/// One entry of a log of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    pub id: String,
    /// By the controller's clock. `None` when it is no date, as in `0000-00-00`.
    pub at: Option<Timestamp>,
    pub severity: LogSeverity,
    pub text: String,
}

/// For how long a boot override holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootFor {
    Disabled,
    Once,
    Continuous,
}

/// From what the machine boots instead of what it is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootTarget {
    None,
    Pxe,
    Cd,
    Usb,
    Hdd,
    BiosSetup,
    UefiHttp,
}

/// The boot override as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Boot {
    pub held: BootFor,
    /// Redfish's word, which may be none of [`BootTarget`].
    pub target: String,
    /// `UEFI` or `Legacy`; absent on old machines.
    pub mode: Option<String>,
    /// The words that it takes; empty when it does not say.
    pub allowed: Vec<String>,
}

/// A drive that shows the machine a medium of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaSlot {
    pub uri: String,
    pub id: String,
    /// `CD`, `DVD`, `USBStick`, `Floppy`.
    pub types: Vec<String>,
    pub image: Option<String>,
    /// `None` when it does not say.
    pub inserted: Option<bool>,
}

/// One setting of the firmware.
#[derive(Clone, Debug, PartialEq)]
pub struct BiosAttribute {
    pub name: String,
    pub value: Scalar,
    /// Set already, in effect after the next reset.
    pub pending: Option<Scalar>,
    /// From the registry: what people call it.
    pub label: Option<String>,
    /// From the registry: `Enumeration`, `String`, `Integer`, `Boolean`, `Password`.
    pub kind: Option<String>,
    pub read_only: bool,
    /// From the registry: the words of an enumeration.
    pub choices: Vec<String>,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Flag(bool),
    Null,
}

/// How the controller gives out the serial console of the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsoleWay {
    /// `SSH`, `Telnet`, `IPMI` or `WebSocket`.
    pub protocol: String,
    pub enabled: bool,
    pub port: Option<u16>,
    /// What is typed after signing in, to get to the console.
    pub command: Option<String>,
    /// Of a WebSocket.
    pub uri: Option<String>,
    pub hot_key: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drive {
    pub id: String,
    pub name: String,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub bytes: Option<u64>,
    pub health: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub id: String,
    pub name: String,
    /// `RAID1` and the like, where it says so.
    pub kind: Option<String>,
    pub bytes: Option<u64>,
    pub health: Option<String>,
}

/// A storage controller with what hangs on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    pub id: String,
    pub name: String,
    pub health: Option<String>,
    pub drives: Vec<Drive>,
    pub volumes: Vec<Volume>,
}
