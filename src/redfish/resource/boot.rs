//! What a machine starts from: `ComputerSystem.Boot`. Asked of its controller, and remembered for a moment, because tools read
//! a system many times in a row and controllers are slow: what one said holds for some seconds, unless a verb went to the machine.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::uptime_millis;
use crate::command::{Command, Reply};
use crate::fact::{DevicePhase, Machine};
use crate::machine::{Boot, BootTarget};

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::message::Message;
use super::super::wrong::Wrong;

/// A controller that does not say within this is shown without.
const LIMIT: Duration = Duration::from_secs(8);

/// How long what a controller said is shown.
const FRESH: Duration = Duration::from_secs(5);

/// What controllers said last, by machine.
#[derive(Debug, Default)]
pub(in super::super) struct Said(Mutex<BTreeMap<String, Last>>);

#[derive(Clone, Copy, Debug, Default)]
struct Last {
    /// Grows with each verb, so that what was asked before it does not count after it.
    verbs: u64,
    /// When it was said, in milliseconds of uptime.
    boot: Option<(u64, Boot)>,
}

impl Said {
    fn last(&self, machine: &str) -> Last {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(machine).copied().unwrap_or_default()
    }

    /// What was said not long ago.
    fn fresh(&self, machine: &str) -> Option<Boot> {
        let (at, boot) = self.last(machine).boot?;
        let age = uptime_millis().saturating_sub(at);
        (u128::from(age) < FRESH.as_millis()).then_some(boot)
    }

    fn keep(&self, machine: &str, verbs: u64, boot: Boot) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said.entry(machine.to_owned()).or_default();
        if last.verbs == verbs {
            last.boot = Some((uptime_millis(), boot));
        }
    }

    /// A verb may have changed it.
    pub(in super::super) fn forget(&self, machine: &str) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = said.entry(machine.to_owned()).or_default();
        last.verbs += 1;
        last.boot = None;
    }
}

/// Asks the controller, if what it said is too old. Who sees the machine may know what it starts from.
async fn held(call: &Call, machine: &Machine) -> Option<Boot> {
    let (said, name) = (&call.house.redfish.boots, machine.name.as_str());
    if let Some(boot) = said.fresh(name) {
        return Some(boot);
    }
    // One that is known not to answer would hold up a list of many.
    if matches!(machine.phase, DevicePhase::Silent | DevicePhase::Refused) {
        return None;
    }
    let verbs = said.last(name).verbs;
    let machine = name.to_owned();
    match call.ask(Command::ReadBoot { machine }, LIMIT).await {
        Some(Reply::Boot(boot)) => {
            said.keep(name, verbs, boot);
            Some(boot)
        }
        _ => None,
    }
}

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
        boot = held(call, machine).await;
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
        // Whether it starts by UEFI is not told by what we ask, so it is not known.
        "BootSourceOverrideMode": null,
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
            ("BootSourceOverrideMode", _) => {
                wrong.push(Message::new("PropertyNotWritable", &[name]).about(&path));
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
    if allowed.len() == 1 && enabled.is_none_or(|enabled| enabled == "Disabled") {
        // It has no controller, and nothing is overridden.
        return Ok(Answer::Done(wrong));
    }
    let name = machine.name.clone();
    // What is not said stays as it is, so it is read first.
    let said = &call.house.redfish.boots;
    said.forget(&name);
    let held = held(call, machine).await.unwrap_or(Boot {
        once: true,
        ..Boot::default()
    });
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
    let set = Command::SetBoot {
        machine: name.clone(),
        boot,
    };
    let done = call.act(set).await;
    said.forget(&name);
    done?;
    Ok(Answer::Done(wrong))
}
