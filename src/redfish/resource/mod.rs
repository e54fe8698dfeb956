//! The resources, one file each, and what they have in common. Each is a function of a call; `table` says at which address.

use serde_json::{Value, json};

use crate::fact::DevicePhase;
use crate::reset::{Action, Outcome, PowerState, Verb};

use super::uri;

pub(super) mod account;
pub(super) mod battery;
pub(super) mod bios;
pub(super) mod boot;
pub(super) mod chassis;
pub(super) mod console;
pub(super) mod consumption;
pub(super) mod event_service;
pub(super) mod journal;
pub(super) mod machine_log;
pub(super) mod manager;
pub(super) mod media;
pub(super) mod metadata;
pub(super) mod network;
pub(super) mod outlet;
pub(super) mod pdu;
pub(super) mod privilege;
pub(super) mod registry;
pub(super) mod role;
pub(super) mod sensor;
pub(super) mod serial;
pub(super) mod service_root;
pub(super) mod session;
pub(super) mod system;
pub(super) mod task;
pub(super) mod task_monitor;
pub(super) mod task_service;
pub(super) mod thermal;
pub(super) mod update;
pub(super) mod ups;

/// The appliance among the managers.
const OURSELVES: &str = "oob";
/// The type of entries, which stand in their lists as a whole.
const LOG_ENTRY: &str = "#LogEntry.v1_21_0.LogEntry";

/// A list of members, by their addresses.
fn collection(name: &str, members: impl IntoIterator<Item = String>) -> Value {
    let members: Vec<Value> = members.into_iter().map(uri::link).collect();
    json!({ "Name": name, "Members@odata.count": members.len(), "Members": members })
}

/// `Status` of something that is there and well.
fn well() -> Value {
    json!({ "State": "Enabled", "Health": "OK" })
}

/// `Status` of a device by whether it answers.
fn status(phase: DevicePhase) -> Value {
    match phase {
        DevicePhase::Up => well(),
        DevicePhase::Unknown => json!({ "State": "Starting", "Health": null }),
        DevicePhase::Silent | DevicePhase::Refused => {
            json!({ "State": "UnavailableOffline", "Health": "Critical" })
        }
    }
}

/// `PowerState`, which also tells where the power is going. What is not known is null, and never off.
fn power_state(state: PowerState, action: Option<&Action>) -> Value {
    let running = action.filter(|action| action.outcome == Outcome::Running);
    match (running.map(|action| action.verb), state) {
        (Some(Verb::On), PowerState::Off) => "PoweringOn".into(),
        (Some(Verb::ForceOff | Verb::GracefulShutdown), PowerState::On) => "PoweringOff".into(),
        (_, PowerState::On) => "On".into(),
        (_, PowerState::Off) => "Off".into(),
        (_, PowerState::Unknown) => Value::Null,
    }
}

/// The address of the appliance.
fn ourselves() -> Value {
    uri::to(&["Managers", OURSELVES])
}
