//! UPSes, for which the schema has no type of its own: battery shelves of the power equipment, whose chassis has the battery.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::chassis;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let names = call.state.upses.keys();
    let members = names.map(|name| uri::at(&["PowerEquipment", "PowerShelves", name]));
    Ok(super::collection("UPSes", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let ups = call.state.upses.get(call.id(0));
    let ups = ups.ok_or_else(|| call.missing())?;
    let mut value = json!({
        "Id": ups.name,
        "Name": ups.name,
        "EquipmentType": "BatteryShelf",
        "Description": format!("By {}: {}", ups.kind, ups.status.join(" ")),
        "Status": super::status(ups.phase),
        "Links": {
            "Chassis": [uri::to(&["Chassis", &chassis::of_ups(&ups.name)])],
            "ManagedBy": [super::ourselves()],
        },
    });
    if !ups.model.is_empty() {
        value["Model"] = ups.model.clone().into();
    }
    Ok(value)
}
