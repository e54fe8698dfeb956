//! The machines as computer systems: power, boot, consoles.

use serde_json::{Map, Value, json};

use crate::command::{Command, Reply};
use crate::fact::Machine;
use crate::reset::{VERBS, Verb};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::Message;
use super::super::tasks::{Begun, Target};
use super::super::uri;
use super::super::wrong::Wrong;
use super::{bios, boot, console, machine_log, media, outlet};

const RESET: &str = "#ComputerSystem.Reset";

#[allow(clippy::unnecessary_wraps, reason = "all handlers are alike")]
pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let names = call.state.machines.keys();
    let members = names.map(|name| uri::at(&["Systems", name]));
    Ok(super::collection("Machines", members))
}

fn machine(call: &Call) -> Result<&Machine, Wrong> {
    let found = call.state.machines.get(call.id(0));
    found.ok_or_else(|| call.missing())
}

pub(in super::super) async fn show(call: &Call) -> Result<Answer, Wrong> {
    let machine = machine(call)?;
    let name = machine.name.as_str();
    let verbs: Vec<String> = machine
        .verbs
        .iter()
        .map(|verb| format!("{verb:?}"))
        .collect();
    let outlets = outlet::links(&call.state, &machine.outlets);
    let mut value = json!({
        "Id": name,
        "Name": name,
        "SystemType": "Physical",
        "Status": super::status(machine.phase),
        "PowerState": super::power_state(machine.state, machine.action.as_ref()),
        "Boot": boot::show(call, machine).await,
        "Actions": {
            RESET: {
                "target": uri::at(&["Systems", name, "Actions", "ComputerSystem.Reset"]),
                "ResetType@Redfish.AllowableValues": verbs,
            },
        },
        "Links": {
            "Chassis": [uri::to(&["Chassis", name])],
            "ManagedBy": [super::ourselves()],
            "PoweredBy": outlets,
        },
    });
    if !machine.model.is_empty() {
        value["Model"] = machine.model.clone().into();
    }
    if let Some(action) = &machine.action {
        value["LastResetTime"] = json!(action.began);
    }
    if let Some(serial) = console::serial(&call.state, name) {
        value["SerialConsole"] = serial;
    }
    if let Some(graphical) = console::graphical(&call.state, machine) {
        value["GraphicalConsole"] = graphical;
    }
    for (name, there) in [
        ("LogServices", machine_log::has_log(machine)),
        ("VirtualMedia", media::has_media(machine)),
        ("Bios", bios::has_bios(machine)),
    ] {
        if there {
            value[name] = uri::to(&["Systems", &machine.name, name]);
        }
    }
    Ok(Answer::Shown(value))
}

/// PATCH: what it starts from is all that can be changed.
pub(in super::super) async fn change(call: &Call) -> Result<Answer, Wrong> {
    let machine = machine(call)?;
    let mut wrong = Vec::new();
    for name in call.body.keys().filter(|name| *name != "Boot") {
        wrong.push(Message::new("PropertyNotWritable", &[name]).about(name));
    }
    let Some(wanted) = call.body.get("Boot") else {
        return Err(Wrong::of(axum::http::StatusCode::BAD_REQUEST, wrong));
    };
    match boot::change(call, machine, wanted).await? {
        Answer::Done(more) => Ok(Answer::Done([wrong, more].concat())),
        other => Ok(other),
    }
}

/// The one parameter of an action, as one of these words.
pub(super) fn parameter<'a>(
    body: &'a Map<String, Value>,
    (action, name): (&str, &str),
    allowed: &[String],
) -> Result<&'a str, Wrong> {
    if let Some(other) = body.keys().find(|key| *key != name) {
        return Err(Wrong::bad("ActionParameterUnknown", &[action, other]));
    }
    match body.get(name) {
        Some(Value::String(text)) if allowed.iter().any(|one| one == text) => Ok(text),
        Some(Value::String(text)) => {
            let key = "ActionParameterValueNotInList";
            Err(Wrong::bad(key, &[text, name, action]))
        }
        Some(other) => {
            let key = "ActionParameterValueTypeError";
            Err(Wrong::bad(key, &[&other.to_string(), name, action]))
        }
        None => Err(Wrong::bad("ActionParameterMissing", &[action, name])),
    }
}

pub(in super::super) async fn reset(call: &Call) -> Result<Answer, Wrong> {
    let machine = machine(call)?;
    let allowed: Vec<String> = machine
        .verbs
        .iter()
        .map(|verb| format!("{verb:?}"))
        .collect();
    let wanted = parameter(&call.body, ("ComputerSystem.Reset", "ResetType"), &allowed)?;
    let verb = spelled(wanted).ok_or_else(|| call.missing())?;
    let command = Command::SwitchMachine {
        machine: machine.name.clone(),
        verb,
        cut_myself: false,
    };
    let answer = call.act(command).await;
    // What was for one start is used up by it.
    call.house.redfish.boots.forget(&machine.name);
    match answer? {
        Reply::Started { action } => Ok(Answer::Begun(Begun {
            target: Target::Machine(machine.name.clone()),
            action,
        })),
        Reply::Done => Ok(Answer::done()),
        other => Err(Wrong::unfit(&other)),
    }
}

/// The verb that DMTF spells so.
pub(super) fn spelled(text: &str) -> Option<Verb> {
    VERBS.into_iter().find(|verb| format!("{verb:?}") == text)
}
