//! The task service: what is kept of tasks, and how long.

use serde_json::{Value, json};

use crate::clock::Timestamp;

use super::super::call::Call;
use super::super::tasks::KEPT;
use super::super::uri;
use super::super::wrong::Wrong;

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn show(_call: &Call) -> Result<Value, Wrong> {
    Ok(json!({
        "Id": "TaskService",
        "Name": "Tasks",
        "ServiceEnabled": true,
        "Status": super::well(),
        "DateTime": Timestamp::now(),
        "CompletedTaskOverWritePolicy": "Oldest",
        "LifeCycleEventOnTaskStateChange": false,
        "TaskAutoDeleteTimeoutMinutes": KEPT.as_secs() / 60,
        "Tasks": uri::to(&["TaskService", "Tasks"]),
    }))
}
