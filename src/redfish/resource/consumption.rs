//! What a machine draws: environment metrics, and `Power`, which older tools read.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::sensor;

pub(in super::super) fn environment(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let mut value = json!({
        "Id": "EnvironmentMetrics",
        "Name": format!("Power draw of {}", machine.name),
    });
    if let Some(watts) = sensor::of_kind(machine, "power").first() {
        value["PowerWatts"] = sensor::excerpt(&machine.name, watts);
    }
    Ok(value)
}

/// `Power`.
pub(in super::super) fn legacy(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let path = uri::at(&["Chassis", &machine.name, "Power"]);
    let watts = sensor::of_kind(machine, "power");
    let control: Vec<Value> = watts
        .iter()
        .enumerate()
        .map(|(at, (_, one))| {
            json!({
                "@odata.id": format!("{path}#/PowerControl/{at}"),
                "MemberId": at.to_string(),
                "Name": one.name,
                "PowerConsumedWatts": one.value,
                "Status": sensor::status(one),
            })
        })
        .collect();
    let volts = sensor::of_kind(machine, "voltage");
    let volts: Vec<Value> = volts
        .iter()
        .enumerate()
        .map(|(at, (_, one))| {
            json!({
                "@odata.id": format!("{path}#/Voltages/{at}"),
                "MemberId": at.to_string(),
                "Name": one.name,
                "ReadingVolts": one.value,
                "Status": sensor::status(one),
            })
        })
        .collect();
    Ok(json!({
        "Id": "Power",
        "Name": format!("Power of {}", machine.name),
        // None is known: what controllers say of them is among the sensors.
        "PowerSupplies": [],
        "PowerControl@odata.count": control.len(),
        "PowerControl": control,
        "Voltages@odata.count": volts.len(),
        "Voltages": volts,
    }))
}
