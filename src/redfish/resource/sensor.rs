//! The sensors of a machine, as its controller said last. Reading them asks nobody.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fact::Machine;
use crate::machine::{Health, Sensor};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

/// The machine of the chassis of this address, if it has a controller with sensors.
pub(super) fn machine(call: &Call) -> Result<&Machine, Wrong> {
    let found = call.state.machines.get(call.id(0));
    found
        .filter(|machine| has_sensors(machine))
        .ok_or_else(|| call.missing())
}

/// Has it a controller that may have sensors?
pub(super) fn has_sensors(machine: &Machine) -> bool {
    let mut ways = machine.methods.iter();
    ways.any(|way| way == "redfish" || way == "ipmi")
}

/// Every sensor with its id: the name in letters that an address can have, and a number where two are alike.
pub(super) fn all(machine: &Machine) -> Vec<(String, &Sensor)> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let named = machine.sensors.iter().map(|sensor| {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || "-._".contains(c) {
                c
            } else {
                '_'
            }
        };
        let slug: String = sensor.name.chars().map(plain).collect();
        let count = seen.entry(slug.clone()).or_default();
        *count += 1;
        let id = match count {
            1 => slug,
            more => format!("{slug}~{more}"),
        };
        (id, sensor)
    });
    named.collect()
}

/// Those of this kind.
pub(super) fn of_kind<'a>(machine: &'a Machine, kind: &str) -> Vec<(String, &'a Sensor)> {
    let mut all = all(machine);
    all.retain(|(_, sensor)| sensor.kind == kind);
    all
}

pub(super) fn address(chassis: &str, id: &str) -> String {
    uri::at(&["Chassis", chassis, "Sensors", id])
}

/// `Status` of a sensor. One that does not say is there all the same.
pub(super) fn status(sensor: &Sensor) -> Value {
    let health = match sensor.health {
        Health::Ok => "OK",
        Health::Warning => "Warning",
        Health::Critical => "Critical",
        Health::Unknown => return json!({ "State": "Enabled", "Health": null }),
    };
    json!({ "State": "Enabled", "Health": health })
}

/// As it stands in other resources.
pub(super) fn excerpt(chassis: &str, (id, sensor): &(String, &Sensor)) -> Value {
    json!({ "DataSourceUri": address(chassis, id), "Reading": sensor.value })
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let machine = machine(call)?;
    let ids = all(machine).into_iter();
    let members = ids.map(|(id, _)| address(&machine.name, &id));
    Ok(super::collection("Sensors", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let machine = machine(call)?;
    let found = all(machine).into_iter().find(|(id, _)| id == call.id(1));
    let (id, sensor) = found.ok_or_else(|| call.missing())?;
    let (kind, unit) = match sensor.unit.as_str() {
        "°C" => ("Temperature", "Cel"),
        "rpm" => ("Rotational", "RPM"),
        "V" => ("Voltage", "V"),
        "A" => ("Current", "A"),
        "W" => ("Power", "W"),
        "%" => ("Percent", "%"),
        _ => ("", ""),
    };
    let mut value = json!({
        "Id": id,
        "Name": sensor.name,
        "Reading": sensor.value,
        "Status": status(sensor),
    });
    if !kind.is_empty() {
        value["ReadingType"] = kind.into();
        value["ReadingUnits"] = unit.into();
    }
    if !sensor.text.is_empty() {
        value["Description"] = sensor.text.clone().into();
    }
    Ok(value)
}
