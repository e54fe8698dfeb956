//! The appliance itself, `Managers/oob`.

use serde_json::{Value, json};

use crate::clock::Timestamp;

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::{OURSELVES, chassis};

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(_call: &Call) -> Result<Value, Wrong> {
    Ok(super::collection(
        "Managers",
        [uri::at(&["Managers", OURSELVES])],
    ))
}

/// The first id of these addresses is the appliance's; there is no other manager.
pub(super) fn ours(call: &Call) -> Result<(), Wrong> {
    if call.id(0) == OURSELVES {
        return Ok(());
    }
    Err(call.missing())
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    ours(call)?;
    let state = &call.state;
    let below = |name: &str| uri::to(&["Managers", OURSELVES, name]);
    let machines = state.machines.keys();
    let systems: Vec<Value> = machines.map(|name| uri::to(&["Systems", name])).collect();
    let chassis: Vec<Value> = chassis::ids(state)
        .map(|id| uri::to(&["Chassis", &id]))
        .collect();
    Ok(json!({
        "Id": OURSELVES,
        "Name": state.device,
        "ManagerType": "RackManager",
        "Model": "oobd",
        "FirmwareVersion": state.version,
        "ServiceIdentification": state.device,
        "DateTime": Timestamp::now(),
        "DateTimeLocalOffset": "+00:00",
        "LastResetTime": state.started_at,
        "PowerState": "On",
        "Status": super::well(),
        "CommandShell": {
            "ServiceEnabled": state.doors.contains_key("ssh"),
            "MaxConcurrentSessions": 64,
            "ConnectTypesSupported": ["SSH"],
        },
        "NetworkProtocol": below("NetworkProtocol"),
        "EthernetInterfaces": below("EthernetInterfaces"),
        "SerialInterfaces": below("SerialInterfaces"),
        "LogServices": below("LogServices"),
        "Links": {
            "ManagerForServers@odata.count": systems.len(),
            "ManagerForServers": systems,
            "ManagerForChassis@odata.count": chassis.len(),
            "ManagerForChassis": chassis,
        },
    }))
}
