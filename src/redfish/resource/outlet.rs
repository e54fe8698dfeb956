//! Outlets and their power.

use serde_json::{Value, json};

use crate::command::{Command, Reply};
use crate::fact::{Outlet, Pdu};
use crate::reset::Verb;
use crate::state::State;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::tasks::{Begun, Target};
use super::super::uri;
use super::super::wrong::Wrong;
use super::system;

/// What `Outlet.PowerControl` takes, and what it means to us.
const POWER: [(&str, Verb); 3] = [
    ("On", Verb::On),
    ("Off", Verb::ForceOff),
    ("PowerCycle", Verb::PowerCycle),
];

fn at(pdu: &str, more: &[&str]) -> String {
    uri::at(&[&["PowerEquipment", "RackPDUs", pdu, "Outlets"], more].concat())
}

/// References to the outlets that are named as `PDU/OUTLET`, as far as there are such for this person.
pub(super) fn links(state: &State, names: &[String]) -> Vec<Value> {
    let pairs = names.iter().filter_map(|name| name.split_once('/'));
    let seen = pairs.filter(|(pdu, key)| {
        let pdu = state.pdus.get(*pdu);
        pdu.is_some_and(|pdu| pdu.outlets.iter().any(|outlet| outlet.key == *key))
    });
    seen.map(|(pdu, key)| uri::link(at(pdu, &[key]))).collect()
}

fn pdu(call: &Call) -> Result<&Pdu, Wrong> {
    let found = call.state.pdus.get(call.id(0));
    found.ok_or_else(|| call.missing())
}

fn outlet(call: &Call) -> Result<(&Pdu, &Outlet), Wrong> {
    let pdu = pdu(call)?;
    let found = pdu.outlets.iter().find(|one| one.key == call.id(1));
    found.map(|one| (pdu, one)).ok_or_else(|| call.missing())
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    let pdu = pdu(call)?;
    let outlets = pdu.outlets.iter();
    let members = outlets.map(|one| at(&pdu.name, &[&one.key]));
    Ok(super::collection("Outlets", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    let (pdu, outlet) = outlet(call)?;
    let full = format!("{}/{}", pdu.name, outlet.key);
    let machines = call.state.machines.values();
    let fed: Vec<&str> = machines
        .filter(|machine| machine.outlets.contains(&full) || outlet.feeds.contains(&machine.name))
        .map(|machine| machine.name.as_str())
        .collect();
    let others = outlet.feeds.iter().map(String::as_str);
    let others = others.filter(|feed| !fed.contains(feed));
    let consumers: Vec<&str> = others.chain(fed.iter().copied()).collect();
    let chassis: Vec<Value> = fed.iter().map(|name| uri::to(&["Chassis", name])).collect();
    let name = if outlet.label.is_empty() {
        format!("Outlet {}", outlet.key)
    } else {
        outlet.label.clone()
    };
    let mut value = json!({
        "Id": outlet.key,
        "Name": name,
        "UserLabel": outlet.label,
        "Status": super::status(pdu.phase),
        "PowerState": super::power_state(outlet.state, outlet.action.as_ref()),
        "PowerStateInTransition": outlet.in_transition,
        "ElectricalConsumerNames": consumers,
        "Actions": {
            "#Outlet.PowerControl": {
                "target": at(&pdu.name, &[&outlet.key, "Actions", "Outlet.PowerControl"]),
                "PowerState@Redfish.AllowableValues": POWER.map(|(word, _)| word),
            },
        },
        "Links": { "Chassis": chassis },
    });
    if let Some(watts) = outlet.watts {
        value["PowerWatts"] = json!({ "Reading": watts });
    }
    if let Some(amps) = outlet.amps {
        value["CurrentAmps"] = json!({ "Reading": amps });
    }
    Ok(value)
}

pub(in super::super) async fn control(call: &Call) -> Result<Answer, Wrong> {
    let (pdu, outlet) = outlet(call)?;
    let allowed = POWER.map(|(word, _)| word.to_owned());
    let wanted = system::parameter(&call.body, ("Outlet.PowerControl", "PowerState"), &allowed)?;
    let verb = POWER.iter().find(|(word, _)| *word == wanted);
    let verb = verb.map(|(_, verb)| *verb).ok_or_else(|| call.missing())?;
    let command = Command::SwitchOutlets {
        pdu: pdu.name.clone(),
        outlets: vec![outlet.key.clone()],
        verb,
        cut_myself: false,
    };
    match call.act(command).await? {
        Reply::Started { action } => Ok(Answer::Begun(Begun {
            target: Target::Outlet {
                pdu: pdu.name.clone(),
                outlet: outlet.key.clone(),
            },
            action,
        })),
        Reply::Done => Ok(Answer::done()),
        other => Err(Wrong::unfit(&other)),
    }
}
