//! What a machine says of itself through its BMC or AMT: sensors, log, boot, media, BIOS. Imports nothing of ours but the clock.

pub mod amt;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One sensor, read once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sensor {
    pub name: String,
    /// `temperature`, `fan`, `voltage`, `current`, `power`, `intrusion`, `power_supply` … or `other`.
    pub kind: String,
    /// `None` when it has no number, or none now.
    pub value: Option<f64>,
    /// `°C`, `rpm`, `V`, `A`, `W`, `%`; empty for a sensor without a number.
    pub unit: String,
    pub health: Health,
    /// What a sensor without a number says, e.g. `general chassis intrusion`.
    pub text: String,
}

/// How a sensor or a log entry is to be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Ok,
    Warning,
    Critical,
    /// It cannot be read, or does not say.
    #[default]
    Unknown,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        })
    }
}

/// One entry of a machine's own log (SEL, Redfish log service, AMT event log).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    pub id: String,
    /// By the machine's clock, which may be wrong; `None` where it has none.
    pub at: Option<Timestamp>,
    pub health: Health,
    /// The sensor or part it is about; empty when it does not say.
    pub part: String,
    pub text: String,
}

/// What a machine starts from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BootTarget {
    /// As its own BIOS says.
    #[default]
    None,
    Bios,
    Pxe,
    Disk,
    Cd,
    Usb,
    Diagnostic,
    /// What a web server gives: set with its URL.
    Https,
}

/// Words of the command line.
pub const BOOT_TARGETS: [(&str, BootTarget); 8] = [
    ("none", BootTarget::None),
    ("bios", BootTarget::Bios),
    ("pxe", BootTarget::Pxe),
    ("disk", BootTarget::Disk),
    ("cd", BootTarget::Cd),
    ("usb", BootTarget::Usb),
    ("diagnostic", BootTarget::Diagnostic),
    ("https", BootTarget::Https),
];

impl fmt::Display for BootTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = BOOT_TARGETS.iter().find(|(_, target)| target == self);
        f.pad(word.map_or("", |(word, _)| word))
    }
}

impl FromStr for BootTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = BOOT_TARGETS.iter().find(|(word, _)| *word == text);
        found.map(|(_, target)| *target).ok_or_else(|| {
            let words: Vec<&str> = BOOT_TARGETS.iter().map(|(word, _)| *word).collect();
            format!("expected one of {}", words.join(", "))
        })
    }
}

/// What a machine will start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    pub target: BootTarget,
    /// For the next start only.
    pub once: bool,
}

/// A drive that a BMC plays to its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// As the BMC calls it, e.g. `Cd`.
    pub slot: String,
    /// What is in it; `None` when it is empty.
    pub image: Option<String>,
}

/// One BIOS setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BiosAttribute {
    pub name: String,
    pub value: String,
    /// Waits for the next start.
    pub pending: Option<String>,
    /// What the texts stand for.
    pub kind: BiosKind,
}

/// The type of a BIOS setting, as the controller writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BiosKind {
    #[default]
    Text,
    Number,
    Flag,
    /// It has no value now.
    Nothing,
}

/// A part that a machine lists of itself: a drive, a volume, a controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// `controller`, `drive`, `volume`.
    pub kind: String,
    pub name: String,
    pub model: String,
    pub bytes: Option<u64>,
    pub health: Health,
}
