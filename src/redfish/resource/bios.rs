//! BIOS settings of machines whose controller speaks Redfish itself: as they are, and as they will be after the next start.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::command::{Command, Reply};
use crate::fact::Machine;
use crate::machine::{BiosAttribute, BiosKind};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

const LIMIT: Duration = Duration::from_secs(15);

/// Does the controller of this machine know of BIOS settings?
pub(super) fn has_bios(machine: &Machine) -> bool {
    machine.has_bios
}

fn machine(call: &Call) -> Result<&Machine, Wrong> {
    let found = call.state.machines.get(call.id(0));
    found
        .filter(|machine| has_bios(machine))
        .ok_or_else(|| call.missing())
}

async fn read(call: &Call) -> Result<Vec<BiosAttribute>, Wrong> {
    let machine = machine(call)?.name.clone();
    match call.need(Command::ReadBios { machine }, LIMIT).await? {
        Reply::Bios(attributes) => Ok(attributes),
        other => Err(Wrong::unfit(&other)),
    }
}

fn settings(call: &Call) -> String {
    uri::at(&["Systems", call.id(0), "Bios", "Settings"])
}

/// The value in the type that the controller has it in.
fn typed(kind: BiosKind, text: String) -> Value {
    let read = match kind {
        BiosKind::Text => None,
        BiosKind::Number | BiosKind::Flag => serde_json::from_str(&text).ok(),
        BiosKind::Nothing if text.is_empty() => Some(Value::Null),
        BiosKind::Nothing => None,
    };
    read.unwrap_or(Value::String(text))
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let read = read(call).await?;
    let attributes: Map<String, Value> = read
        .into_iter()
        .map(|one| (one.name, typed(one.kind, one.value)))
        .collect();
    Ok(Answer::Shown(json!({
        "Id": "Bios",
        "Name": format!("BIOS settings of {}", call.id(0)),
        "Attributes": attributes,
        "@Redfish.Settings": {
            "@odata.type": "#Settings.v1_5_0.Settings",
            "SettingsObject": uri::link(settings(call)),
            "SupportedApplyTimes": ["OnReset"],
        },
    })))
}

pub(in super::super) async fn pending(call: &Call) -> Result<Answer, Wrong> {
    let read = read(call).await?;
    let attributes: Map<String, Value> = read
        .into_iter()
        .filter_map(|one| Some((one.name, typed(one.kind, one.pending?))))
        .collect();
    Ok(Answer::Shown(json!({
        "Id": "Settings",
        "Name": format!("BIOS settings of {} after its next start", call.id(0)),
        "Attributes": attributes,
    })))
}

pub(in super::super) async fn stage(call: &Call) -> Result<Answer, Wrong> {
    let machine = machine(call)?.name.clone();
    let other = call
        .body
        .keys()
        .find(|name| *name != "Attributes" && !name.starts_with('@'));
    if let Some(other) = other {
        return Err(Wrong::bad("PropertyUnknown", &[other]));
    }
    let Some(Value::Object(wanted)) = call.body.get("Attributes") else {
        return Err(Wrong::bad("PropertyMissing", &["Attributes"]));
    };
    let mut settings = BTreeMap::new();
    for (name, value) in wanted {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) | Value::Number(_) => value.to_string(),
            _ => {
                return Err(Wrong::bad(
                    "PropertyValueTypeError",
                    &[&value.to_string(), name],
                ));
            }
        };
        settings.insert(name.clone(), text);
    }
    if settings.is_empty() {
        return Err(Wrong::bad("NoOperation", &[]));
    }
    call.act(Command::StageBios { machine, settings }).await?;
    Ok(Answer::done())
}
