//! Power equipment: whatever switches outlets is a rack PDU, be it one smart plug.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn equipment(_call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "PowerEquipment",
        "Name": "Power equipment",
        "Status": super::well(),
        "RackPDUs": uri::to(&["PowerEquipment", "RackPDUs"]),
        "PowerShelves": uri::to(&["PowerEquipment", "PowerShelves"]),
        "Links": { "ManagedBy": [super::ourselves()] },
    }))
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let names = call.state.pdus.keys();
    let members = names.map(|name| uri::at(&["PowerEquipment", "RackPDUs", name]));
    Ok(super::collection("PDUs", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let pdu = call.state.pdus.get(call.id(0));
    let pdu = pdu.ok_or_else(|| call.missing())?;
    Ok(json!({
        "Id": pdu.name,
        "Name": pdu.name,
        "EquipmentType": "RackPDU",
        "Description": format!("By {}", pdu.kind),
        "Status": super::status(pdu.phase),
        "Outlets": uri::to(&["PowerEquipment", "RackPDUs", &pdu.name, "Outlets"]),
        "Links": { "ManagedBy": [super::ourselves()] },
    }))
}
