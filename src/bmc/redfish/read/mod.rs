//! Replies of a controller, read leniently: what is missing or of another type is absent, never an error. Pure; fuzzed.
//!
//! Property names and values are of the DMTF's schema bundle; what real controllers leave out is noted where it matters.

pub mod firmware;
pub mod log;
pub mod media;
pub mod sensor;
pub mod task;

use serde_json::Value;

use super::types::{Boot, BootFor, ConsoleWay, Drive, Manager, Power, System, Volume};

/// Longest text that is kept of any property.
const LONGEST: usize = 4096;
/// Members of one page of a collection.
pub const MEMBERS: usize = 1024;

/// The text of a property. Empty text is none.
#[must_use]
pub fn text(value: &Value, name: &str) -> Option<String> {
    let text = value.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.chars().take(LONGEST).collect())
}

/// A number, also when it is written as text.
#[must_use]
pub fn number(value: &Value, name: &str) -> Option<f64> {
    let value = value.get(name)?;
    let read = match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    };
    read.filter(|number: &f64| number.is_finite())
}

/// The URI that a property links to. Some controllers write the URI itself.
#[must_use]
pub fn link(value: &Value, name: &str) -> Option<String> {
    uri(value.get(name)?)
}

/// The URI of a resource or of a reference to it.
#[must_use]
pub fn uri(value: &Value) -> Option<String> {
    let found = value.get("@odata.id").or_else(|| value.get("href"));
    let text = found.unwrap_or(value).as_str()?;
    (text.starts_with('/') && text.len() <= LONGEST).then(|| text.to_owned())
}

/// Are these two URIs of one resource? Some controllers change the case, or leave out a slash at the end.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let bare = |uri: &str| uri.trim_end_matches('/').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// The texts of an array.
#[must_use]
pub fn texts(value: &Value, name: &str) -> Vec<String> {
    array(value, name)
        .iter()
        .take(MEMBERS)
        .filter_map(Value::as_str)
        .map(|text| text.chars().take(LONGEST).collect())
        .collect()
}

/// An array; an absent one is empty.
#[must_use]
pub fn array<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let array = value.get(name).and_then(Value::as_array);
    array.map_or(&[], Vec::as_slice)
}

/// The members of a collection's page, and where the next page is. `Members` may be null.
#[must_use]
pub fn members(page: &Value) -> (Vec<&Value>, Option<String>) {
    let members = array(page, "Members").iter().take(MEMBERS).collect();
    let next = page
        .get("Members@odata.nextLink")
        .or_else(|| page.get("@odata.nextLink"));
    (members, next.and_then(uri))
}

/// Has the collection's member come whole, rather than as a reference?
#[must_use]
pub fn is_whole(member: &Value) -> bool {
    member.as_object().is_some_and(|fields| fields.len() > 1)
}

/// Where things are, from the service root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root {
    pub vendor: Option<String>,
    pub product: Option<String>,
    pub version: Option<String>,
    pub systems: Option<String>,
    pub chassis: Option<String>,
    pub managers: Option<String>,
    /// Collections that sessions may be made in, best first.
    pub sessions: Vec<String>,
    /// It says that collections can be read with their members.
    pub expands: bool,
}

/// The service root.
#[must_use]
pub fn root(value: &Value) -> Root {
    let mut sessions = Vec::new();
    let links = value.get("Links").unwrap_or(&Value::Null);
    let service = link(value, "SessionService");
    sessions.extend(link(links, "Sessions"));
    if let Some(service) = &service {
        sessions.push(format!("{}/Sessions", service.trim_end_matches('/')));
    }
    if !sessions.is_empty() {
        // iDRAC 8 takes sessions here only, with 405 elsewhere.
        sessions.push("/redfish/v1/Sessions".to_owned());
    }
    sessions.dedup_by(|one, other| same(one, other));
    let expand = value.pointer("/ProtocolFeaturesSupported/ExpandQuery");
    let expands = |name| expand.and_then(|expand| expand.get(name)) == Some(&Value::Bool(true));
    let oem = value.get("Oem").and_then(Value::as_object);
    let oem = oem.and_then(|oem| oem.keys().next().cloned());
    Root {
        vendor: text(value, "Vendor").or(oem),
        product: text(value, "Product"),
        version: text(value, "RedfishVersion"),
        systems: link(value, "Systems"),
        chassis: link(value, "Chassis"),
        managers: link(value, "Managers"),
        sessions,
        expands: expands("NoLinks") || expands("ExpandAll"),
    }
}

/// `PowerState`; null and words nobody knows are unknown.
#[must_use]
pub fn power(value: &Value) -> Power {
    match text(value, "PowerState").as_deref() {
        Some("On") => Power::On,
        Some("Off") => Power::Off,
        Some("PoweringOn") => Power::PoweringOn,
        Some("PoweringOff") => Power::PoweringOff,
        _ => Power::Unknown,
    }
}

/// `Status.Health`, or the rollup where only that is there.
#[must_use]
pub fn health(value: &Value) -> Option<String> {
    let status = value.get("Status")?;
    text(status, "Health").or_else(|| text(status, "HealthRollup"))
}

/// A name for people: its own, or the last part of its URI.
fn name(value: &Value, uri: &str) -> String {
    let last = uri.trim_end_matches('/').rsplit('/').next();
    text(value, "Name").unwrap_or_else(|| last.unwrap_or_default().to_owned())
}

/// The identity, or the last part of its URI.
fn id(value: &Value, uri: &str) -> String {
    let last = uri.trim_end_matches('/').rsplit('/').next();
    text(value, "Id").unwrap_or_else(|| last.unwrap_or_default().to_owned())
}

#[must_use]
pub fn system(value: &Value, uri: &str) -> System {
    System {
        uri: uri.to_owned(),
        id: id(value, uri),
        name: name(value, uri),
        vendor: text(value, "Manufacturer"),
        model: text(value, "Model"),
        serial: text(value, "SerialNumber"),
        uuid: text(value, "UUID"),
        power: power(value),
        health: health(value),
    }
}

#[must_use]
pub fn manager(value: &Value, uri: &str) -> Manager {
    Manager {
        uri: uri.to_owned(),
        id: id(value, uri),
        kind: text(value, "ManagerType"),
        model: text(value, "Model"),
        firmware: text(value, "FirmwareVersion"),
        health: health(value),
        date_time: text(value, "DateTime"),
    }
}

/// An action: where to send it, the values that its parameter takes, and where else these may be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub target: String,
    pub allowed: Vec<String>,
    pub info: Option<String>,
}

/// The action of this name, such as `#ComputerSystem.Reset`. Its target is what the controller says, wherever that is.
#[must_use]
pub fn action(value: &Value, name: &str, parameter: &str) -> Option<Action> {
    let action = value.get("Actions")?.get(name)?;
    Some(Action {
        target: link(action, "target")?,
        allowed: texts(action, &format!("{parameter}@Redfish.AllowableValues")),
        info: link(action, "@Redfish.ActionInfo"),
    })
}

/// The values of a parameter in an `ActionInfo`.
#[must_use]
pub fn action_info(value: &Value, parameter: &str) -> Vec<String> {
    array(value, "Parameters")
        .iter()
        .find(|entry| entry.get("Name").and_then(Value::as_str) == Some(parameter))
        .map(|entry| texts(entry, "AllowableValues"))
        .unwrap_or_default()
}

/// `@Redfish.Settings`: the resource that takes changes for the next reset.
#[must_use]
pub fn settings(value: &Value) -> Option<String> {
    link(value.get("@Redfish.Settings")?, "SettingsObject")
}

/// `Boot` of a system.
#[must_use]
pub fn boot(value: &Value) -> Option<Boot> {
    let boot = value.get("Boot").filter(|boot| boot.is_object())?;
    Some(Boot {
        held: match text(boot, "BootSourceOverrideEnabled").as_deref() {
            Some("Once") => BootFor::Once,
            Some("Continuous") => BootFor::Continuous,
            _ => BootFor::Disabled,
        },
        target: text(boot, "BootSourceOverrideTarget").unwrap_or_else(|| "None".to_owned()),
        mode: text(boot, "BootSourceOverrideMode"),
        allowed: texts(boot, "BootSourceOverrideTarget@Redfish.AllowableValues"),
    })
}

/// `SerialConsole` of a system (since ComputerSystem 1.13), or the older one of a manager.
#[must_use]
pub fn consoles(value: &Value) -> Vec<ConsoleWay> {
    let Some(console) = value.get("SerialConsole") else {
        return Vec::new();
    };
    let flag = |value: &Value, name: &str| value.get(name).and_then(Value::as_bool);
    let mut ways = Vec::new();
    for protocol in ["SSH", "Telnet", "IPMI", "WebSocket"] {
        let Some(way) = console.get(protocol).filter(|way| way.is_object()) else {
            continue;
        };
        let port = way.get("Port").and_then(Value::as_u64);
        ways.push(ConsoleWay {
            protocol: protocol.to_owned(),
            enabled: flag(way, "ServiceEnabled").unwrap_or(false),
            port: port.and_then(|port| u16::try_from(port).ok()),
            command: text(way, "ConsoleEntryCommand"),
            uri: text(way, "ConsoleURI"),
            hot_key: text(way, "HotKeySequenceDisplay"),
        });
    }
    // A manager only names the protocols.
    for protocol in texts(console, "ConnectTypesSupported") {
        if !ways.iter().any(|way| way.protocol == protocol) && ways.len() < 16 {
            ways.push(ConsoleWay {
                protocol,
                enabled: flag(console, "ServiceEnabled").unwrap_or(false),
                port: None,
                command: None,
                uri: None,
                hot_key: None,
            });
        }
    }
    ways
}

fn bytes(value: &Value) -> Option<u64> {
    value.get("CapacityBytes").and_then(Value::as_u64)
}

#[must_use]
pub fn drive(value: &Value, uri: &str) -> Drive {
    Drive {
        id: id(value, uri),
        name: name(value, uri),
        model: text(value, "Model"),
        serial: text(value, "SerialNumber"),
        bytes: bytes(value),
        health: health(value),
    }
}

#[must_use]
pub fn volume(value: &Value, uri: &str) -> Volume {
    Volume {
        id: id(value, uri),
        name: name(value, uri),
        kind: text(value, "RAIDType").or_else(|| text(value, "VolumeType")),
        bytes: bytes(value),
        health: health(value),
    }
}

/// What a reply says went wrong, for a person, and the identities of its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    pub ids: Vec<String>,
}

/// `@Message.ExtendedInfo` of an error, a result or a task, or `error.message` without it.
#[must_use]
pub fn said(value: &Value) -> Said {
    let inner = value.get("error").unwrap_or(value);
    let mut said = Said::default();
    let mut texts: Vec<String> = Vec::new();
    for holder in [inner, value] {
        let key = ["@Message.ExtendedInfo", "Messages"];
        for message in key.iter().flat_map(|key| array(holder, key)).take(3) {
            said.ids.extend(text(message, "MessageId"));
            if let Some(words) = text(message, "Message").filter(|words| !texts.contains(words)) {
                texts.push(words);
            }
        }
    }
    if texts.is_empty() {
        texts.extend(text(inner, "message"));
        said.ids.extend(text(inner, "code"));
    }
    let words = texts.join(" ");
    let words = words.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    said.text = words.join(" ").chars().take(300).collect();
    said
}

impl Said {
    /// Does a message's identity, or the text, hold one of these words?
    #[must_use]
    pub fn holds(&self, words: &[&str]) -> bool {
        let has = |text: &str| {
            let text = text.to_ascii_lowercase();
            words
                .iter()
                .any(|word| text.contains(&word.to_ascii_lowercase()))
        };
        has(&self.text) || self.ids.iter().any(|id| has(id))
    }
}

#[cfg(test)]
mod tests;
