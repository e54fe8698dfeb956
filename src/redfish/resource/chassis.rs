//! The machines and the UPSes as things that can be touched. A UPS is `ups:NAME`, which no machine can be called.

use serde_json::{Value, json};

use crate::state::State;

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::{outlet, sensor};

const UPS: &str = "ups:";

/// The ids of all.
pub(super) fn ids(state: &State) -> impl Iterator<Item = String> {
    let machines = state.machines.keys().cloned();
    machines.chain(state.upses.keys().map(|name| of_ups(name)))
}

/// The id of this UPS.
pub(super) fn of_ups(name: &str) -> String {
    format!("{UPS}{name}")
}

/// The UPS of this id.
pub(super) fn ups(id: &str) -> Option<&str> {
    id.strip_prefix(UPS)
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let members = ids(&call.state).map(|id| uri::at(&["Chassis", &id]));
    Ok(super::collection("Chassis", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let id = call.id(0);
    if let Some(name) = ups(id) {
        let ups = call.state.upses.get(name);
        let ups = ups.ok_or_else(|| call.missing())?;
        let mut value = json!({
            "Id": id,
            "Name": ups.name,
            "ChassisType": "Shelf",
            "Status": super::status(ups.phase),
            "PowerSubsystem": uri::to(&["Chassis", id, "PowerSubsystem"]),
            "Links": {
                "ManagedBy": [super::ourselves()],
                "PowerDistribution": uri::to(&["PowerEquipment", "PowerShelves", name]),
            },
        });
        if !ups.model.is_empty() {
            value["Model"] = ups.model.clone().into();
        }
        return Ok(value);
    }
    let machine = call.state.machines.get(id);
    let machine = machine.ok_or_else(|| call.missing())?;
    let outlets = outlet::links(&call.state, &machine.outlets);
    let mut value = json!({
        "Id": id,
        "Name": id,
        "ChassisType": "RackMount",
        "Status": super::status(machine.phase),
        "PowerState": super::power_state(machine.state, machine.action.as_ref()),
        "Links": {
            "ComputerSystems": [uri::to(&["Systems", id])],
            "ManagedBy": [super::ourselves()],
            "PowerOutlets": outlets,
        },
    });
    if !machine.model.is_empty() {
        value["Model"] = machine.model.clone().into();
    }
    if sensor::has_sensors(machine) {
        for name in [
            "Sensors",
            "ThermalSubsystem",
            "EnvironmentMetrics",
            "Thermal",
            "Power",
        ] {
            value[name] = uri::to(&["Chassis", id, name]);
        }
    }
    Ok(value)
}
