//! The service root: where everything else is found. Open to everybody, so it says nothing that a stranger should not know.

use serde_json::{Value, json};

use super::super::call::Call;
use super::super::query::MOST_LEVELS;
use super::super::uri;
use super::super::wrong::Wrong;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "RootService",
        "Name": "Out-of-band management",
        "RedfishVersion": "1.20.0",
        "Product": "oobd",
        // Everybody may know it: the certificate and mDNS tell it, too.
        "ServiceIdentification": call.house.store.now().device,
        "ProtocolFeaturesSupported": {
            "ExpandQuery": {
                "ExpandAll": true, "Links": true, "NoLinks": true, "Levels": true, "MaxLevels": MOST_LEVELS,
            },
            "SelectQuery": true,
            "OnlyMemberQuery": true,
            "TopSkipQuery": true,
            "FilterQuery": false,
            "ExcerptQuery": false,
            "DeepOperations": { "DeepPATCH": false, "DeepPOST": false },
        },
        "SessionService": uri::to(&["SessionService"]),
        "AccountService": uri::to(&["AccountService"]),
        "Managers": uri::to(&["Managers"]),
        "Systems": uri::to(&["Systems"]),
        "Chassis": uri::to(&["Chassis"]),
        "PowerEquipment": uri::to(&["PowerEquipment"]),
        "EventService": uri::to(&["EventService"]),
        "UpdateService": uri::to(&["UpdateService"]),
        "Tasks": uri::to(&["TaskService"]),
        "Registries": uri::to(&["Registries"]),
        "JsonSchemas": uri::to(&["JsonSchemas"]),
        "Links": {
            "Sessions": uri::to(&["SessionService", "Sessions"]),
            "ManagerProvidingService": super::ourselves(),
        },
    }))
}
