//! What a machine starts from: `ComputerSystem.Boot`. Asked of its controller, and remembered for a moment, because tools read
//! a system many times in a row and controllers are slow.

use std::time::Duration;

use serde_json::{Value, json};

use crate::command::{Command, Reply};
use crate::fact::Machine;
use crate::machine::{Boot, BootTarget};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::Message;
use super::super::wrong::Wrong;

/// A controller that does not say within this is shown without.
const LIMIT: Duration = Duration::from_secs(8);

const TARGETS: [(&str, BootTarget); 7] = [
    ("None", BootTarget::None),
    ("Pxe", BootTarget::Pxe),
    ("Hdd", BootTarget::Disk),
    ("Cd", BootTarget::Cd),
    ("Usb", BootTarget::Usb),
    ("BiosSetup", BootTarget::Bios),
    ("Diags", BootTarget::Diagnostic),
];

/// Which targets the first way that knows of booting can set.
fn allowed(machine: &Machine) -> &'static [&'static str] {
    let first = machine
        .methods
        .iter()
        .find(|way| ["redfish", "ipmi", "amt"].contains(&way.as_str()));
    match first.map(String::as_str) {
        Some("ipmi") => &["None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup", "Diags"],
        Some("redfish" | "amt") => &["None", "Pxe", "Hdd", "Cd", "Usb", "BiosSetup"],
        _ => &["None"],
    }
}

pub(super) async fn show(call: &Call, machine: &Machine) -> Value {
    let allowed = allowed(machine);
    let mut boot = Some(Boot::default());
    if allowed.len() > 1 {
        let machine = machine.name.clone();
        boot = match call.ask(Command::ReadBoot { machine }, LIMIT).await {
            Some(Reply::Boot(boot)) => Some(boot),
            _ => None,
        };
    }
    let target = boot.map(|boot| {
        let named = TARGETS.iter().find(|(_, target)| *target == boot.target);
        named.map_or("None", |(name, _)| name)
    });
    let enabled = boot.map(|boot| match (boot.target, boot.once) {
        (BootTarget::None, _) => "Disabled",
        (_, true) => "Once",
        (_, false) => "Continuous",
    });
    let enabling: &[&str] = if allowed.len() > 1 {
        &["Disabled", "Once", "Continuous"]
    } else {
        &["Disabled"]
    };
    json!({
        "BootSourceOverrideTarget": target,
        "BootSourceOverrideTarget@Redfish.AllowableValues": allowed,
        "BootSourceOverrideEnabled": enabled,
        "BootSourceOverrideEnabled@Redfish.AllowableValues": enabling,
    })
}

/// A PATCH of `Boot`.
pub(super) async fn change(
    call: &Call,
    machine: &Machine,
    wanted: &Value,
) -> Result<Answer, Wrong> {
    let Value::Object(wanted) = wanted else {
        return Err(Wrong::bad(
            "PropertyValueTypeError",
            &[&wanted.to_string(), "Boot"],
        ));
    };
    let allowed = allowed(machine);
    let (mut target, mut enabled, mut wrong) = (None, None, Vec::new());
    for (name, value) in wanted {
        let path = format!("Boot/{name}");
        let text = value.as_str();
        match (name.as_str(), text) {
            ("BootSourceOverrideTarget", Some(text)) if allowed.contains(&text) => {
                let named = TARGETS.iter().find(|(name, _)| *name == text);
                target = named.map(|(_, target)| *target);
            }
            ("BootSourceOverrideEnabled", Some(text @ ("Disabled" | "Once" | "Continuous"))) => {
                enabled = Some(text);
            }
            ("BootSourceOverrideTarget" | "BootSourceOverrideEnabled", Some(text)) => {
                wrong.push(Message::new("PropertyValueNotInList", &[text, name]).about(&path));
            }
            ("BootSourceOverrideTarget" | "BootSourceOverrideEnabled", None) => {
                let value = value.to_string();
                wrong.push(Message::new("PropertyValueTypeError", &[&value, name]).about(&path));
            }
            _ => wrong.push(Message::new("PropertyUnknown", &[name]).about(&path)),
        }
    }
    if target.is_none() && enabled.is_none() {
        if wrong.is_empty() {
            wrong.push(Message::new("NoOperation", &[]));
        }
        return Err(Wrong::of(axum::http::StatusCode::BAD_REQUEST, wrong));
    }
    let name = machine.name.clone();
    // What is not said stays as it is, so it is read first.
    let held = match call
        .ask(
            Command::ReadBoot {
                machine: name.clone(),
            },
            LIMIT,
        )
        .await
    {
        Some(Reply::Boot(boot)) => boot,
        _ => Boot {
            once: true,
            ..Boot::default()
        },
    };
    let target = match enabled {
        Some("Disabled") => BootTarget::None,
        _ => target.unwrap_or(held.target),
    };
    let once = match enabled {
        Some(enabled) => enabled == "Once",
        // A target alone, where nothing was overridden: for one start, as the most cautious of the two.
        None => held.once || held.target == BootTarget::None,
    };
    let boot = Boot {
        target,
        once: once && target != BootTarget::None,
    };
    call.act(Command::SetBoot {
        machine: name,
        boot,
    })
    .await?;
    Ok(Answer::Done(wrong))
}
