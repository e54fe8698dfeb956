//! The SOAP interface from before WS-Man (Intel's Network Interface Guide), as much of it as Debian's `amttool` asks for: so
//! that a client which nobody here wrote signs in, reads and switches the same machine.

use oobd::amt::wsman::xml::{Element, parse};
use serde_json::json;

use crate::http::Answer;
use crate::{Machine, Shared, boot, lock, tell};

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";

pub fn answer(machine: &Shared, path: &str, text: &str) -> Answer {
    let Ok(root) = parse(text) else {
        return (400, String::new());
    };
    let body = root.child(SOAP, "Body");
    let Some(call) = body.and_then(|body| body.children.first()) else {
        return (400, String::new());
    };
    tell(&json!({ "soap": format!("{path} {}", call.name) }));
    let Some(out) = carry_out(&mut lock(machine), call) else {
        return (500, String::new());
    };
    let (name, namespace) = (&call.name, &call.namespace);
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><soap:Envelope xmlns:soap=\"{SOAP}\"><soap:Body><{name}Response \
         xmlns=\"{namespace}\">{out}</{name}Response></soap:Body></soap:Envelope>"
    );
    (200, text)
}

fn carry_out(machine: &mut Machine, call: &Element) -> Option<String> {
    let with = |status: u32, more: &str| Some(format!("<Status>{status}</Status>{more}"));
    // Parameters have no namespace of their own in SOAP::Lite.
    let number = |name: &str| -> Option<u32> {
        let found = call.children.iter().find(|child| child.name == name);
        found?.text.parse().ok()
    };
    match call.name.as_str() {
        "GetCoreVersion" => with(0, &format!("<Version>{}</Version>", machine.version())),
        "GetHostName" => with(0, "<Host>db1</Host>"),
        "GetDomainName" => with(0, "<Domain>example</Domain>"),
        "GetSystemPowerState" => {
            let state = if machine.power == 2 { 0 } else { 5 };
            with(0, &format!("<SystemPowerState>{state}</SystemPowerState>"))
        }
        "GetRemoteControlCapabilities" => with(
            0,
            "<IanaOemNumber>343</IanaOemNumber><OemDefinedCapabilities>11</OemDefinedCapabilities>\
             <SpecialCommandsSupported>6912</SpecialCommandsSupported><SystemCapabilitiesSupported>15\
             </SystemCapabilitiesSupported><SystemFirmwareCapabilities>0</SystemFirmwareCapabilities>",
        ),
        "RemoteControl" => {
            let state = match number("Command")? {
                16 => 10,
                17 => 2,
                18 => 8,
                19 => 5,
                _ => return with(2051, ""),
            };
            match number("SpecialCommand") {
                Some(1) => machine.boot.next("Force PXE Boot"),
                Some(2) => machine.boot.next("Force Hard-drive Boot"),
                _ => {}
            }
            with(boot::power(machine, state), "")
        }
        _ => None,
    }
}
