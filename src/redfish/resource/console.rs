//! The consoles of a machine as its system has them: `SerialConsole`, its WebSocket, and `GraphicalConsole`.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api;
use crate::fact::{Console, Machine};
use crate::state::State;

use super::super::answer::Answer;
use super::super::call::Call;
use super::super::uri;
use super::super::wrong::Wrong;

/// Sessions that a console or a screen takes at once, as the doors do.
const SESSIONS: u32 = 32;

/// The console of a machine: the one by its controller, or one of its name.
fn of<'a>(state: &'a State, machine: &str) -> Option<&'a Console> {
    let port = format!("sol://{machine}");
    let by_controller = state.consoles.values().find(|one| one.port == port);
    by_controller.or_else(|| state.consoles.get(machine))
}

/// The port that a door listens on, if it does.
fn port(state: &State, door: &str) -> Option<u16> {
    let door = state.doors.get(door)?;
    door.address.rsplit(':').next()?.parse().ok()
}

/// Where a person gets at the console of this machine, if it has one.
pub(super) fn serial(state: &State, machine: &str) -> Option<Value> {
    let console = of(state, machine)?;
    let mut value = json!({
        "MaxConcurrentSessions": SESSIONS,
        "WebSocket": {
            "ServiceEnabled": true,
            "Interactive": true,
            "ConsoleURI": uri::at(&["Systems", machine, "SerialConsole"]),
        },
    });
    if let Some(port) = port(state, "ssh") {
        value["SSH"] = json!({
            "ServiceEnabled": true,
            "Port": port,
            "SharedWithManagerCLI": true,
            "ConsoleEntryCommand": console.name,
            "HotKeySequenceDisplay": "~. leaves (~~. with OpenSSH), ~? tells the others",
        });
    }
    if let Some(port) = port(state, &format!("telnet.{}", console.name)) {
        value["Telnet"] = json!({ "ServiceEnabled": true, "Port": port });
    }
    Some(value)
}

/// The screen of a machine with AMT: VNC where a port is open for it, otherwise the WebSocket of the native API alone.
pub(super) fn graphical(state: &State, machine: &Machine) -> Option<Value> {
    if !machine.methods.iter().any(|way| way == "amt") {
        return None;
    }
    let vnc = port(state, &format!("vnc.{}", machine.name));
    let (port, kind) = match vnc {
        Some(port) => (Some(port), "KVMIP"),
        None => (port(state, "https"), "OEM"),
    };
    let mut value = json!({
        "ServiceEnabled": true,
        "MaxConcurrentSessions": SESSIONS,
        "ConnectTypesSupported": [kind],
    });
    if let Some(port) = port {
        value["Port"] = port.into();
    }
    Some(value)
}

/// The WebSocket of `SerialConsole`: bytes as on a terminal.
#[allow(clippy::unused_async, reason = "all handlers are alike")]
pub(in super::super) async fn open(call: &Call) -> Result<Answer, Wrong> {
    let machine = call.state.machines.get(call.id(0));
    let console = machine.and_then(|machine| of(&call.state, &machine.name));
    let console = console.ok_or_else(|| call.missing())?.name.clone();
    let upgrade = call
        .socket
        .take()
        .ok_or_else(|| Wrong::new(StatusCode::UPGRADE_REQUIRED, "HeaderInvalid", &["Upgrade"]))?;
    let caller = call.caller()?.clone();
    Ok(Answer::Raw(api::bare_console(
        call.house.clone(),
        caller,
        console,
        upgrade,
    )))
}
