//! A machine's own log (SEL, log services, AMT event log) as one log service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Command, Reply};
use crate::fact::Machine;
use crate::machine::{Health, LogEntry};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

const LIMIT: Duration = Duration::from_secs(20);
/// Entries that are asked of a controller, the newest.
const NEWEST: u32 = 200;
const CLEAR: &str = "LogService.ClearLog";

/// Has this machine a log of its own?
pub(super) fn has_log(machine: &Machine) -> bool {
    let mut ways = machine.methods.iter();
    ways.any(|way| ["redfish", "ipmi", "amt"].contains(&way.as_str()))
}

fn machine(call: &Call) -> Result<&Machine, Wrong> {
    let found = call.state.machines.get(call.id(0));
    found
        .filter(|machine| has_log(machine))
        .ok_or_else(|| call.missing())
}

fn at(call: &Call, more: &[&str]) -> String {
    uri::at(&[&["Systems", call.id(0), "LogServices", "Log"], more].concat())
}

pub(in super::super) fn services(call: &Call) -> Result<Value, Wrong> {
    machine(call)?;
    Ok(super::collection("Logs", [at(call, &[])]))
}

pub(in super::super) fn service(call: &Call) -> Result<Value, Wrong> {
    machine(call)?;
    Ok(json!({
        "Id": "Log",
        "Name": format!("Log of {}", call.id(0)),
        "ServiceEnabled": true,
        "LogEntryType": "Event",
        "OverWritePolicy": "Unknown",
        "MaxNumberOfRecords": NEWEST,
        "Status": super::well(),
        "Entries": uri::link(at(call, &["Entries"])),
        "Actions": { "#LogService.ClearLog": { "target": at(call, &["Actions", CLEAR]) } },
    }))
}

async fn read(call: &Call) -> Result<Vec<LogEntry>, Wrong> {
    let command = Command::ReadMachineLog {
        machine: machine(call)?.name.clone(),
        limit: NEWEST,
    };
    match call.need(command, LIMIT).await? {
        Reply::MachineLog(entries) => Ok(entries),
        other => Err(Wrong::unfit(&other)),
    }
}

pub(in super::super) async fn list(call: &Call) -> Result<Answer, Wrong> {
    let entries = read(call).await?;
    let members: Vec<Value> = entries.iter().map(|one| entry(call, one)).collect();
    Ok(Answer::Shown(json!({
        "Name": format!("Log entries of {}", call.id(0)),
        "Members@odata.count": members.len(),
        "Members": members,
    })))
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let entries = read(call).await?;
    let found = entries.iter().find(|one| one.id == call.id(1));
    found
        .map(|one| Answer::Shown(entry(call, one)))
        .ok_or_else(|| call.missing())
}

fn entry(call: &Call, entry: &LogEntry) -> Value {
    let text = if entry.part.is_empty() {
        entry.text.clone()
    } else {
        format!("{}: {}", entry.part, entry.text)
    };
    let mut value = json!({
        "@odata.id": at(call, &["Entries", &entry.id]),
        "@odata.type": super::LOG_ENTRY,
        "Id": entry.id,
        "Name": format!("Entry {}", entry.id),
        "EntryType": "Event",
        "Severity": match entry.health {
            Health::Critical => "Critical",
            Health::Warning => "Warning",
            Health::Ok | Health::Unknown => "OK",
        },
        "Message": text,
        "Originator": call.id(0),
        "OriginatorType": "SupportingService",
    });
    if let Some(at) = entry.at {
        value["Created"] = json!(at);
    }
    value
}

pub(in super::super) async fn clear(call: &Call) -> Result<Answer, Wrong> {
    let machine = machine(call)?.name.clone();
    let known = |name: &&String| *name != "LogEntriesETag";
    if let Some(name) = call.body.keys().find(known) {
        return Err(Wrong::bad("ActionParameterUnknown", &[CLEAR, name]));
    }
    call.act(Command::ClearMachineLog { machine }).await?;
    Ok(Answer::done())
}
