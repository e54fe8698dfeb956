//! The serial ports of the appliance that consoles sit on, with their line settings.

use serde_json::{Value, json};

use crate::fact::{Console, PortPhase};
use crate::line::{Flow, Parity};

use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;
use super::{OURSELVES, manager};

/// Does this console sit on a port of ours, and not on something that is reached over the network?
fn is_port(console: &Console) -> bool {
    !console.port.contains("://")
}

pub(in super::super) fn list(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    let consoles = call.state.consoles.iter().filter(|(_, one)| is_port(one));
    let members =
        consoles.map(|(name, _)| uri::at(&["Managers", OURSELVES, "SerialInterfaces", name]));
    Ok(super::collection("Serial ports", members))
}

pub(in super::super) fn show(call: &Call) -> Result<Value, Wrong> {
    manager::ours(call)?;
    let found = call.state.consoles.get(call.id(1));
    let console = found.filter(|one| is_port(one));
    let console = console.ok_or_else(|| call.missing())?;
    let line = console.state.line;
    let status = match console.phase {
        PortPhase::Open => super::well(),
        PortPhase::Gone => json!({ "State": "Absent" }),
        PortPhase::Failed => json!({ "State": "UnavailableOffline", "Health": "Critical" }),
    };
    Ok(json!({
        "Id": console.name,
        "Name": console.name,
        "Description": format!("Serial console {} on {}", console.name, console.port),
        "InterfaceEnabled": console.phase == PortPhase::Open,
        "SignalType": "Rs232",
        "BitRate": line.baud.to_string(),
        "Parity": match line.parity {
            Parity::None => "None",
            Parity::Even => "Even",
            Parity::Odd => "Odd",
            Parity::Mark => "Mark",
            Parity::Space => "Space",
        },
        "DataBits": line.data_bits.to_string(),
        "StopBits": line.stop_bits.to_string(),
        "FlowControl": match line.flow {
            Flow::None => "None",
            Flow::RtsCts => "Hardware",
            Flow::XonXoff => "Software",
        },
        "Status": status,
    }))
}
