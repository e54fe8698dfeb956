//! What software the appliance runs. It takes no update by Redfish, and the service says so: there is no action.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

/// The only member of the inventory.
const OURS: &str = "oobd";

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn service(_call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "UpdateService",
        "Name": "Software",
        "ServiceEnabled": false,
        "Status": { "State": "Disabled" },
        // There is none, and some clients cannot do without the property.
        "Actions": {},
        "FirmwareInventory": uri::to(&["UpdateService", "FirmwareInventory"]),
    }))
}

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(_call: &Call) -> Result<Value, Wrong> {
    let one = uri::at(&["UpdateService", "FirmwareInventory", OURS]);
    Ok(super::collection("Software of the board", [one]))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    if call.id(0) != OURS {
        return Err(call.missing());
    }
    Ok(json!({
        "Id": OURS,
        "Name": "oobd",
        "Version": call.state.version,
        "Updateable": false,
        "Status": super::well(),
        "RelatedItem": [super::ourselves()],
        "RelatedItem@odata.count": 1,
    }))
}
