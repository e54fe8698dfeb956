//! What Intel AMT tells and takes besides what all machines have in common.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::LogEntry;
use crate::clock::Timestamp;

/// Something asked of a machine's management engine. Append variants only: postcard carries them over the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AmtAsk {
    /// Who it is: versions, control mode, hardware, network, accounts. Answered by [`AmtTold::Info`].
    Info,
    /// Answered by [`AmtTold::Features`].
    Features,
    /// Switches what is given, and nothing else. Answered by [`AmtTold::Features`] as they are then.
    SetFeatures(AmtChange),
    /// Answered by [`AmtTold::Consent`], also after each of the next three.
    Consent,
    /// Show a code on the machine's screen.
    AskConsent,
    /// The code that somebody read there.
    GiveConsent {
        code: u32,
    },
    CancelConsent,
    /// The newest entries of the audit log. Answered by [`AmtTold::Log`].
    AuditLog {
        limit: u32,
    },
    /// Answered by [`AmtTold::Alarms`], also after adding and removing.
    Alarms,
    AddAlarm(AmtAlarm),
    RemoveAlarm {
        name: String,
    },
    /// Set its clock by ours. Answered by [`AmtTold::Clock`].
    SetClock,
}

impl AmtAsk {
    /// May it be asked twice without harm, and does it change nothing?
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(
            self,
            Self::Info | Self::Features | Self::Consent | Self::AuditLog { .. } | Self::Alarms
        )
    }

    /// Is it for administrators: does it change what the machine lets others do?
    #[must_use]
    pub fn changes_settings(&self) -> bool {
        matches!(self, Self::SetFeatures(_) | Self::SetClock)
    }
}

/// After the machine's name: `Intel AMT of machine NAME: …`.
impl fmt::Display for AmtAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Info => f.write_str("tell who you are"),
            Self::Features => f.write_str("tell the features"),
            Self::SetFeatures(change) => write!(f, "set the features{change}"),
            Self::Consent => f.write_str("tell the consent"),
            Self::AskConsent => f.write_str("ask for consent"),
            // The code is worth nothing later, and still nobody's to read.
            Self::GiveConsent { .. } => f.write_str("take a code of consent"),
            Self::CancelConsent => f.write_str("cancel the consent"),
            Self::AuditLog { .. } => f.write_str("read the audit log"),
            Self::Alarms => f.write_str("list the alarms"),
            Self::AddAlarm(alarm) => write!(f, "add the alarm {}", alarm.name.escape_debug()),
            Self::RemoveAlarm { name } => write!(f, "remove the alarm {}", name.escape_debug()),
            Self::SetClock => f.write_str("set the clock"),
        }
    }
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmtTold {
    Info(Box<AmtInfo>),
    Features(AmtFeatures),
    Consent(AmtConsent),
    Log(Vec<LogEntry>),
    Alarms(Vec<AmtAlarm>),
    /// Seconds that its clock was ahead of ours.
    Clock {
        ahead: i64,
    },
}

/// How far administration of the device goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmtMode {
    /// Not provisioned.
    None,
    /// Client control: consent is always needed.
    Client,
    Admin,
    #[default]
    Unknown,
}

impl fmt::Display for AmtMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "not provisioned",
            Self::Client => "client control (CCM)",
            Self::Admin => "admin control (ACM)",
            Self::Unknown => "unknown",
        })
    }
}

/// Who it is. Text is empty where the firmware does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtInfo {
    pub uuid: String,
    pub host_name: String,
    pub version: String,
    pub build: String,
    pub mode: AmtMode,
    /// The machine: maker and model.
    pub model: String,
    pub serial: String,
    pub board: String,
    pub bios: String,
    pub processors: Vec<String>,
    pub memory: Vec<AmtMemory>,
    /// Bytes of each drive.
    pub drives: Vec<u64>,
    pub network: Vec<AmtPort>,
    pub accounts: Vec<String>,
    /// By its own clock.
    pub clock: Option<Timestamp>,
}

/// A memory module.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtMemory {
    pub slot: String,
    pub bytes: u64,
    pub part: String,
}

/// A network port as the management engine uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtPort {
    pub mac: String,
    pub address: String,
    pub dhcp: bool,
    pub up: bool,
}

/// For what somebody at the machine must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmtPolicy {
    None,
    Kvm,
    All,
    #[default]
    Unknown,
}

impl fmt::Display for AmtPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Kvm => "kvm",
            Self::All => "all",
            Self::Unknown => "unknown",
        })
    }
}

impl FromStr for AmtPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "kvm" => Ok(Self::Kvm),
            "all" => Ok(Self::All),
            _ => Err("expected one of none, kvm, all".into()),
        }
    }
}

/// What is switched on. `None` where the machine has no such thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtFeatures {
    pub sol: Option<bool>,
    pub ider: Option<bool>,
    pub kvm: Option<bool>,
    /// Does it listen for redirection at all?
    pub listener: bool,
    pub consent: AmtPolicy,
    /// May the policy of consent be changed?
    pub consent_is_ours: bool,
    /// One-Click Recovery, which starts it from a URL.
    pub recovery: Option<bool>,
}

/// What is to be switched; `None` stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtChange {
    pub sol: Option<bool>,
    pub ider: Option<bool>,
    pub kvm: Option<bool>,
    pub consent: Option<AmtPolicy>,
    pub recovery: Option<bool>,
}

impl fmt::Display for AmtChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("sol", self.sol),
            ("ider", self.ider),
            ("kvm", self.kvm),
            ("recovery", self.recovery),
        ];
        for (name, state) in all {
            if let Some(on) = state {
                write!(f, " {name}={}", if on { "on" } else { "off" })?;
            }
        }
        match self.consent {
            Some(policy) => write!(f, " consent={policy}"),
            None => Ok(()),
        }
    }
}

/// How the asking for consent stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtConsent {
    pub policy: AmtPolicy,
    pub stage: AmtStage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AmtStage {
    NotAsked,
    Asked,
    /// The code stands on the screen.
    Shown,
    Given,
    InSession,
    #[default]
    Unknown,
}

impl AmtStage {
    /// Has somebody agreed?
    #[must_use]
    pub fn is_given(self) -> bool {
        matches!(self, Self::Given | Self::InSession)
    }
}

impl fmt::Display for AmtStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NotAsked => "not asked for",
            Self::Asked => "asked for",
            Self::Shown => "its code is on the screen of the machine",
            Self::Given => "given",
            Self::InSession => "given, and in use",
            Self::Unknown => "unknown",
        })
    }
}

/// A device with Intel AMT that a scan found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtDevice {
    pub address: Ipv4Addr,
    /// Empty when it does not say before somebody signs in.
    pub version: String,
    /// `None` when it does not say.
    pub provisioned: Option<bool>,
    /// Which of its ports takes connections.
    pub plain: bool,
    pub tls: bool,
    /// The machine that it is in oobd.toml.
    pub machine: Option<String>,
    /// More addresses of the same device.
    pub also: Vec<Ipv4Addr>,
    /// What tells it from others before somebody signs in: digits of its digest realm; empty when it does not say.
    pub realm: String,
    /// Its TLS key, as a pin; empty without one.
    pub key: String,
    /// It speaks no TLS but that of old firmware.
    pub legacy: bool,
}

/// A time at which the machine switches itself on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AmtAlarm {
    pub name: String,
    /// By its own clock.
    pub at: Timestamp,
    /// Minutes until it comes again; 0 for once.
    pub every: u32,
}

/// When a machine gets to see the drives that are inserted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IderStart {
    #[default]
    Now,
    /// When nothing is going on with drives of its own.
    Graceful,
    /// When it starts the next time.
    Reboot,
}

impl FromStr for IderStart {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "now" => Ok(Self::Now),
            "graceful" => Ok(Self::Graceful),
            "reboot" => Ok(Self::Reboot),
            _ => Err("expected one of now, graceful, reboot".into()),
        }
    }
}
