//! Virtual media: what a controller plays to its machine as a drive. A machine with AMT gets files of the board by IDE redirection.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Command, Reply};
use crate::fact::Machine;
use crate::machine::Medium;
use crate::machine::amt::IderStart;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

const LIMIT: Duration = Duration::from_secs(15);
/// The drive of a machine with AMT.
const CD: &str = "Cd";
const INSERT: &str = "VirtualMedia.InsertMedia";

/// How a machine gets its media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Controller,
    Amt,
}

fn way(machine: &Machine) -> Option<Way> {
    let mut ways = machine.methods.iter();
    ways.find_map(|way| match way.as_str() {
        "redfish" => Some(Way::Controller),
        "amt" => Some(Way::Amt),
        _ => None,
    })
}

/// Has this machine such drives?
pub(super) fn has_media(machine: &Machine) -> bool {
    way(machine).is_some()
}

fn machine(call: &Call) -> Result<(&Machine, Way), Wrong> {
    let found = call.state.machines.get(call.id(0));
    let found = found.and_then(|machine| Some((machine, way(machine)?)));
    found.ok_or_else(|| call.missing())
}

/// The drives and what is in them.
async fn drives(call: &Call) -> Result<Vec<Medium>, Wrong> {
    let (machine, way) = machine(call)?;
    let name = machine.name.clone();
    if way == Way::Amt {
        let drive = call.state.ider.get(&name).and_then(|ider| ider.cd.as_ref());
        return Ok(vec![Medium {
            slot: CD.into(),
            image: drive.map(|drive| drive.file.clone()),
        }]);
    }
    match call
        .need(Command::ReadMedia { machine: name }, LIMIT)
        .await?
    {
        Reply::Media(media) => Ok(media),
        other => Err(Wrong::unfit(&other)),
    }
}

async fn drive(call: &Call) -> Result<Medium, Wrong> {
    let drives = drives(call).await?;
    let found = drives.into_iter().find(|drive| drive.slot == call.id(1));
    found.ok_or_else(|| call.missing())
}

pub(in super::super) async fn list(call: &Call) -> Result<Answer, Wrong> {
    let drives = drives(call).await?;
    let members = drives
        .iter()
        .map(|drive| uri::at(&["Systems", call.id(0), "VirtualMedia", &drive.slot]));
    Ok(Answer::Shown(super::collection("Virtual media", members)))
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let drive = drive(call).await?;
    let act = |action: &str| {
        uri::at(&[
            "Systems",
            call.id(0),
            "VirtualMedia",
            &drive.slot,
            "Actions",
            action,
        ])
    };
    let types: &[&str] = match drive.slot.to_ascii_lowercase().as_str() {
        slot if slot.contains("cd") || slot.contains("dvd") => &["CD", "DVD"],
        slot if slot.contains("floppy") => &["Floppy"],
        slot if slot.contains("usb") || slot.contains("removable") => &["USBStick"],
        _ => &["CD", "DVD", "USBStick"],
    };
    let name = drive
        .image
        .as_deref()
        .map(|image| image.rsplit('/').next().unwrap_or(image));
    Ok(Answer::Shown(json!({
        "Id": drive.slot,
        "Name": format!("Drive {} of {}", drive.slot, call.id(0)),
        "MediaTypes": types,
        "Image": drive.image,
        "ImageName": name,
        "Inserted": drive.image.is_some(),
        "ConnectedVia": if drive.image.is_some() { "URI" } else { "NotConnected" },
        "WriteProtected": true,
        "Actions": {
            "#VirtualMedia.InsertMedia": { "target": act(INSERT) },
            "#VirtualMedia.EjectMedia": { "target": act("VirtualMedia.EjectMedia") },
        },
    })))
}

/// The image that is asked for. What a client may say besides has to fit what is done anyway.
fn wanted(call: &Call) -> Result<String, Wrong> {
    let mut image = None;
    for (name, value) in call.body.iter() {
        let fits = match (name.as_str(), value) {
            ("Image", Value::String(text)) if !text.is_empty() => {
                image = Some(text.clone());
                true
            }
            // Always so: inserted at once, and never written to.
            ("Inserted" | "WriteProtected", Value::Bool(given)) => *given,
            ("TransferMethod", Value::String(text)) => text == "Stream",
            ("TransferProtocolType" | "MediaType", Value::String(_)) => true,
            ("UserName" | "Password", Value::String(text)) => text.is_empty(),
            (_, Value::Null) => true,
            (
                "Image"
                | "Inserted"
                | "WriteProtected"
                | "TransferMethod"
                | "TransferProtocolType"
                | "MediaType"
                | "UserName"
                | "Password",
                other,
            ) => {
                let shown = if name == "Password" {
                    "****".to_owned()
                } else {
                    other.to_string()
                };
                let key = "ActionParameterValueTypeError";
                return Err(Wrong::bad(key, &[&shown, name, INSERT]));
            }
            _ => return Err(Wrong::bad("ActionParameterUnknown", &[INSERT, name])),
        };
        if !fits {
            let shown = if name == "Password" {
                "****".to_owned()
            } else {
                value.to_string()
            };
            let key = "ActionParameterValueNotInList";
            return Err(Wrong::bad(key, &[&shown, name, INSERT]));
        }
    }
    image.ok_or_else(|| Wrong::bad("ActionParameterMissing", &[INSERT, "Image"]))
}

pub(in super::super) async fn insert(call: &Call) -> Result<Answer, Wrong> {
    let (machine, way) = machine(call)?;
    let (machine, image) = (machine.name.clone(), wanted(call)?);
    let command = match way {
        Way::Controller => Command::InsertMedium {
            machine,
            slot: Some(call.id(1).to_owned()),
            image,
        },
        Way::Amt if call.id(1) != CD => return Err(call.missing()),
        Way::Amt => Command::InsertIder {
            machine,
            cd: Some(image),
            floppy: None,
            writable: false,
            start: IderStart::Now,
        },
    };
    call.act(command).await?;
    Ok(Answer::done())
}

pub(in super::super) async fn eject(call: &Call) -> Result<Answer, Wrong> {
    let (machine, way) = machine(call)?;
    if let Some(name) = call.body.keys().next() {
        let key = "ActionParameterUnknown";
        return Err(Wrong::bad(key, &["VirtualMedia.EjectMedia", name]));
    }
    let machine = machine.name.clone();
    let command = match way {
        Way::Controller => Command::EjectMedium {
            machine,
            slot: Some(call.id(1).to_owned()),
        },
        Way::Amt if call.id(1) != CD => return Err(call.missing()),
        Way::Amt => Command::EjectIder { machine },
    };
    call.act(command).await?;
    Ok(Answer::done())
}
