//! What is told of the radio and of the past: networks on air, and values over time.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// One access point that the radio of an uplink hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Empty when it hides its name.
    pub ssid: String,
    pub bssid: String,
    pub signal_dbm: i32,
    pub frequency_mhz: u32,
    /// `WPA3`, `WPA2/WPA3`, `WPA2`, `802.1X`, `OWE`, `WPA`, `WEP` or `open`.
    pub security: String,
    /// Since it was heard last.
    pub age_seconds: u32,
    /// oobd.toml names it for this uplink.
    pub known: bool,
    /// In use now.
    pub joined: bool,
    /// Why a known one is not joined.
    pub fault: Option<String>,
}

/// Series of values, all with the same pace and the same end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Past {
    /// When the last value of each was read.
    pub at: Option<Timestamp>,
    pub every_seconds: u32,
    pub series: Vec<Series>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub name: String,
    /// As a [`crate::machine::Sensor`] has it; `dBm`, or `B` for bytes within each step.
    pub unit: String,
    /// Oldest first; `None` where there was none.
    pub values: Vec<Option<f32>>,
    /// All bytes since the interface came.
    pub total: Option<u64>,
}
