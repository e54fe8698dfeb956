//! Tasks: verbs that go on after their request was answered, until their outcome was read back.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::access::Right;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::later;
use super::super::message::Message;
use super::super::table;
use super::super::tasks::{Stand, Task};
use super::super::uri;
use super::super::wrong::Wrong;
use super::task_monitor;

pub(in super::super) fn address(id: u64) -> String {
    uri::at(&["TaskService", "Tasks", &id.to_string()])
}

/// Their owner sees them, and an administrator; both only while they may see what it is about.
fn seen(call: &Call, task: &Task) -> Result<bool, Wrong> {
    let person = call.person()?;
    if task.owner != person.name && person.may(Right::Administer).is_err() {
        return Ok(false);
    }
    let found = task.target.strip_prefix(uri::ROOT).and_then(table::find);
    let ids = found.map(|(_, ids)| ids).unwrap_or_default();
    let id = |at: usize| ids.get(at).map_or("", String::as_str);
    let state = &call.state;
    Ok(match task.target.split('/').nth(3) {
        Some("Systems") => state.machines.contains_key(id(0)),
        Some("PowerEquipment") => {
            let pdu = state.pdus.get(id(0));
            pdu.is_some_and(|pdu| pdu.outlets.iter().any(|outlet| outlet.key == id(1)))
        }
        _ => call.view.is_none(),
    })
}

/// The task that the path names, as far as it is there for who asks.
pub(super) fn found(call: &Call) -> Result<(u64, Task), Wrong> {
    let id: u64 = call.id(0).parse().map_err(|_| call.missing())?;
    let task = call.house.redfish.tasks.get(id);
    let task = task.ok_or_else(|| call.missing())?;
    if seen(call, &task)? {
        return Ok((id, task));
    }
    Err(call.missing())
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let mut members = Vec::new();
    for (id, task) in call.house.redfish.tasks.list() {
        if seen(call, &task)? {
            members.push(address(id));
        }
    }
    Ok(super::collection("Tasks", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let (id, task) = found(call)?;
    let name = id.to_string();
    let mut messages = vec![Message::new("TaskStarted", &[&name])];
    let (state, health, key) = match (task.stand(), &task.end) {
        (Stand::Running, _) => ("Running", "OK", None),
        (Stand::Completed, Some(end)) if !end.messages.is_empty() => {
            ("Completed", "Warning", Some("TaskCompletedWarning"))
        }
        (Stand::Completed, _) => ("Completed", "OK", Some("TaskCompletedOK")),
        (Stand::Exception, _) => ("Exception", "Critical", Some("TaskAborted")),
    };
    messages.extend(key.map(|key| Message::new(key, &[&name])));
    if let Some(end) = &task.end {
        messages.extend(end.messages.iter().cloned());
    }
    let messages: Vec<Value> = messages.iter().map(Message::value).collect();
    let mut value = json!({
        "Id": name,
        "Name": format!("Task of {}", task.owner),
        "Description": format!("POST {}", task.target),
        "TaskState": state,
        "TaskStatus": health,
        "StartTime": task.began,
        "PercentComplete": percent(call, &task),
        "TaskMonitor": task_monitor::address(id),
        "Messages": messages,
        // A body may hold what nobody else should read.
        "HidePayload": true,
    });
    if let Some(ended) = task.ended {
        value["EndTime"] = json!(ended);
    }
    Ok(value)
}

/// Two steps: the device took it, and it shows.
fn percent(call: &Call, task: &Task) -> u8 {
    let begun = task.begun.as_ref();
    let action = begun.and_then(|begun| later::action(&call.state, &begun.target));
    match (task.stand(), action) {
        (Stand::Completed, _) => 100,
        (_, Some(action)) if !action.trail.is_empty() => 50,
        _ => 0,
    }
}

/// One that is over is forgotten; a verb that a device has taken cannot be taken back.
#[allow(clippy::unused_async, reason = "all handlers are alike")]
pub(in super::super) async fn forget(call: &Call) -> Result<Answer, Wrong> {
    let (id, task) = found(call)?;
    if call.house.redfish.tasks.forget(id) {
        return Ok(Answer::done());
    }
    let why = format!("POST {} is under way", task.target);
    Err(Wrong::new(StatusCode::CONFLICT, "Refused", &[&why]))
}
