//! The battery of a UPS: its charge and whether it is being charged.

use serde_json::{Value, json};

use crate::fact::Ups;

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::chassis;

const BATTERY: &str = "Battery";

fn ups(call: &Call) -> Result<&Ups, Wrong> {
    let found = chassis::ups(call.id(0)).and_then(|name| call.state.upses.get(name));
    found.ok_or_else(|| call.missing())
}

/// Whether the address names the one battery.
fn battery(call: &Call) -> Result<&Ups, Wrong> {
    let ups = ups(call)?;
    if call.id(1) == BATTERY {
        return Ok(ups);
    }
    Err(call.missing())
}

pub(in super::super) fn subsystem(call: &Call) -> Result<Value, Wrong> {
    let ups = ups(call)?;
    Ok(json!({
        "Id": "PowerSubsystem",
        "Name": format!("Power of {}", ups.name),
        "Status": super::status(ups.phase),
        "Batteries": uri::to(&["Chassis", call.id(0), "PowerSubsystem", "Batteries"]),
    }))
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    ups(call)?;
    let one = uri::at(&[
        "Chassis",
        call.id(0),
        "PowerSubsystem",
        "Batteries",
        BATTERY,
    ]);
    Ok(super::collection("Batteries", [one]))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let ups = battery(call)?;
    let has = |token: &str| ups.status.iter().any(|one| one == token);
    // NUT's tokens are a set; OB means that the load hangs on the battery.
    let charging = match ups.status.as_slice() {
        [] => Value::Null,
        _ if has("OB") || has("DISCHRG") => "Discharging".into(),
        _ if has("CHRG") => "Charging".into(),
        _ => "Idle".into(),
    };
    let mut status = super::status(ups.phase);
    if has("LB") {
        status["Health"] = "Critical".into();
    } else if has("RB") || has("OB") {
        status["Health"] = "Warning".into();
    }
    let here = [
        "Chassis",
        call.id(0),
        "PowerSubsystem",
        "Batteries",
        BATTERY,
    ];
    Ok(json!({
        "Id": BATTERY,
        "Name": format!("Battery of {}", ups.name),
        "ChargeState": charging,
        "Status": status,
        "Metrics": uri::to(&[&here[..], &["Metrics"]].concat()),
    }))
}

pub(in super::super) fn metrics(call: &Call) -> Result<Value, Wrong> {
    let ups = battery(call)?;
    let mut value = json!({
        "Id": "Metrics",
        "Name": format!("Battery of {}", ups.name),
        "Status": super::status(ups.phase),
    });
    if let Some(charge) = ups.charge {
        value["ChargePercent"] = json!({ "Reading": charge });
    }
    if let Some(volts) = ups.input_volts {
        value["InputVoltage"] = json!({ "Reading": volts });
    }
    Ok(value)
}
