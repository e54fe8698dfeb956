//! What is warm and what cools it: the thermal subsystem, and `Thermal`, which older tools read.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::sensor;

pub(in super::super) fn subsystem(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let here = |name: &str| uri::to(&["Chassis", &machine.name, "ThermalSubsystem", name]);
    Ok(json!({
        "Id": "ThermalSubsystem",
        "Name": format!("Cooling of {}", machine.name),
        "Status": super::status(machine.phase),
        "ThermalMetrics": here("ThermalMetrics"),
        "Fans": here("Fans"),
    }))
}

pub(in super::super) fn metrics(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let temperatures = sensor::of_kind(machine, "temperature");
    let readings: Vec<Value> = temperatures
        .iter()
        .map(|one| {
            let mut value = sensor::excerpt(&machine.name, one);
            value["DeviceName"] = one.1.name.clone().into();
            value
        })
        .collect();
    Ok(json!({
        "Id": "ThermalMetrics",
        "Name": format!("Temperatures of {}", machine.name),
        "TemperatureReadingsCelsius": readings,
    }))
}

pub(in super::super) fn fans(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let fans = sensor::of_kind(machine, "fan").into_iter();
    let members =
        fans.map(|(id, _)| uri::at(&["Chassis", &machine.name, "ThermalSubsystem", "Fans", &id]));
    Ok(super::collection("Fans", members))
}

pub(in super::super) fn fan(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let fans = sensor::of_kind(machine, "fan");
    let found = fans.iter().find(|(id, _)| id == call.id(1));
    let found = found.ok_or_else(|| call.missing())?;
    let (id, fan) = found;
    let mut value = json!({
        "Id": id,
        "Name": fan.name,
        "Status": sensor::status(fan),
    });
    let source = sensor::address(&machine.name, id);
    value["SpeedPercent"] = match fan.unit.as_str() {
        // What spins is told in turns; how much of its most that is, nobody said.
        "rpm" => json!({ "DataSourceUri": source, "SpeedRPM": fan.value }),
        _ => sensor::excerpt(&machine.name, found),
    };
    Ok(value)
}

/// `Thermal`.
pub(in super::super) fn legacy(call: &Call) -> Result<Value, Wrong> {
    let machine = sensor::machine(call)?;
    let path = uri::at(&["Chassis", &machine.name, "Thermal"]);
    let temperatures = sensor::of_kind(machine, "temperature");
    let temperatures: Vec<Value> = temperatures
        .iter()
        .enumerate()
        .map(|(at, (_, one))| {
            json!({
                "@odata.id": format!("{path}#/Temperatures/{at}"),
                "MemberId": at.to_string(),
                "Name": one.name,
                "ReadingCelsius": one.value,
                "Status": sensor::status(one),
            })
        })
        .collect();
    let fans = sensor::of_kind(machine, "fan");
    let fans: Vec<Value> = fans
        .iter()
        .enumerate()
        .map(|(at, (_, one))| {
            json!({
                "@odata.id": format!("{path}#/Fans/{at}"),
                "MemberId": at.to_string(),
                "Name": one.name,
                // The schema wants whole numbers here.
                "Reading": one.value.map(f64::round).and_then(whole),
                "ReadingUnits": if one.unit == "%" { "Percent" } else { "RPM" },
                "Status": sensor::status(one),
            })
        })
        .collect();
    Ok(json!({
        "Id": "Thermal",
        "Name": format!("Temperatures and fans of {}", machine.name),
        "Temperatures@odata.count": temperatures.len(),
        "Temperatures": temperatures,
        "Fans@odata.count": fans.len(),
        "Fans": fans,
    }))
}

/// A number without a fraction, as JSON writes whole ones.
fn whole(number: f64) -> Option<i64> {
    format!("{number:.0}").parse().ok()
}
