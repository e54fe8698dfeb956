//! Power, and what the machine starts from.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oobd::amt::wsman::xml::Element;
use serde_json::json;

use crate::wsman::{Call, Fault, Fields, SCHEMA, output};
use crate::{Machine, lock, tell};

/// Darkness of a power cycle.
const DARK: Duration = Duration::from_secs(4);
/// Properties that only the firmware writes; a Put that has one is refused.
const READ_ONLY: [&str; 8] = [
    "BIOSLastStatus",
    "BootguardStatus",
    "OptionsCleared",
    "RPEEnabled",
    "UEFILocalPBABootEnabled",
    "WinREBootEnabled",
    "UEFIHTTPSBootEnabled",
    "SecureBootControlEnabled",
];
/// The source of One-Click Recovery.
const HTTPS: &str = "Force OCR UEFI HTTPS Boot";
const OURS: &str = "Intel(r) AMT: ";

/// `AMT_BootSettingData`, the order and the role.
#[derive(Debug)]
pub struct Boot {
    pub settings: Fields,
    /// The source that comes first, without its beginning.
    pub order: Option<String>,
    /// 1: the configuration is for the next start.
    pub role: u32,
}

impl Boot {
    pub fn new(uefi: bool) -> Self {
        let text = |value: &str| value.to_owned();
        let mut boot = Self {
            settings: vec![
                ("BIOSLastStatus", text("0")),
                ("BIOSPause", text("false")),
                ("BIOSSetup", text("false")),
                ("BootMediaIndex", text("0")),
                ("ConfigurationDataReset", text("false")),
                ("ElementName", format!("{OURS}Boot Configuration 0")),
                ("FirmwareVerbosity", text("0")),
                ("ForcedProgressEvents", text("false")),
                ("IDERBootDevice", text("0")),
                ("InstanceID", format!("{OURS}BootSettingData 0")),
                ("LockKeyboard", text("false")),
                ("LockPowerButton", text("false")),
                ("LockResetButton", text("false")),
                ("LockSleepButton", text("false")),
                ("OwningEntity", text("Intel(r) AMT")),
                ("ReflashBIOS", text("false")),
                ("SecureBootControlEnabled", text("false")),
                ("UEFIHTTPSBootEnabled", text("false")),
                ("UseIDER", text("false")),
                ("UseSOL", text("false")),
                ("UseSafeMode", text("false")),
                ("UserPasswordBypass", text("false")),
            ],
            order: None,
            role: 0,
        };
        if uefi {
            boot.settings.extend([
                ("BootguardStatus", text("127")),
                ("EnforceSecureBoot", text("true")),
                ("OptionsCleared", text("true")),
                ("PlatformErase", text("0")),
                ("RPEEnabled", text("false")),
                ("SecureErase", text("false")),
                ("UEFILocalPBABootEnabled", text("false")),
                ("UefiBootNumberOfParams", text("0")),
                ("UefiBootParametersArray", text("")),
                ("WinREBootEnabled", text("false")),
            ]);
            boot.set("UEFIHTTPSBootEnabled", "true");
        } else {
            let new = ["SecureBootControlEnabled", "UEFIHTTPSBootEnabled"];
            boot.settings.retain(|(name, _)| !new.contains(name));
        }
        // As the schema has them.
        boot.settings
            .sort_by_key(|(name, _)| name.to_ascii_lowercase());
        boot
    }

    fn set(&mut self, name: &str, value: &str) {
        for (key, had) in &mut self.settings {
            if *key == name {
                value.clone_into(had);
            }
        }
    }

    /// The URL of the records that were written (One-Click Recovery), when they are whole.
    fn url(&self) -> Option<String> {
        let bytes = STANDARD.decode(self.get("UefiBootParametersArray")).ok()?;
        let (mut rest, mut url, mut count) = (bytes.as_slice(), None, 0);
        while !rest.is_empty() {
            let head = rest.get(..8)?;
            let length = u32::from_le_bytes(head[4..8].try_into().ok()?);
            let end = 8 + usize::try_from(length).ok()?;
            let value = rest.get(8..end)?;
            assert_eq!(head[..2], [0x86, 0x80]);
            if head[2..4] == [1, 0] {
                url = String::from_utf8(value.to_vec()).ok();
            }
            (rest, count) = (&rest[end..], count + 1);
        }
        url.filter(|_| self.get("UefiBootNumberOfParams") == format!("{count}"))
    }

    pub fn get(&self, name: &str) -> &str {
        self.settings
            .iter()
            .find(|(key, _)| *key == name)
            .map_or("", |(_, value)| value)
    }

    /// A Put: in order, nothing that only firmware writes, nothing unknown.
    pub fn write(&mut self, written: &Element) -> Result<(), Fault> {
        let mut next = 0;
        let mut settings = self.settings.clone();
        for child in &written.children {
            let at = settings[next..]
                .iter()
                .position(|(name, _)| *name == child.name)
                .ok_or(SCHEMA)?;
            if READ_ONLY.contains(&child.name.as_str()) {
                return Err(SCHEMA);
            }
            settings[next + at].1.clone_from(&child.text);
            next += at + 1;
        }
        let has = |name: &str| {
            settings
                .iter()
                .any(|(key, value)| *key == name && value == "true")
        };
        if has("BIOSSetup") && has("UseIDER") {
            return Err(SCHEMA);
        }
        self.settings = settings;
        Ok(())
    }

    /// The next start comes from this source.
    pub fn next(&mut self, source: &str) {
        self.order = Some(source.to_owned());
        self.role = 1;
    }

    fn start(&mut self, uefi: bool) {
        let from = if self.role != 1 {
            "itself".to_owned()
        } else if self.get("BIOSSetup") == "true" {
            "BIOS setup".to_owned()
        } else if self.get("UseIDER") == "true" {
            format!("IDER {}", self.get("IDERBootDevice"))
        } else if self.order.as_deref() == Some(HTTPS) {
            self.url().unwrap_or_else(|| "no URL".to_owned())
        } else {
            self.order.clone().unwrap_or_else(|| "itself".to_owned())
        };
        tell(&json!({ "starts_from": from }));
        *self = Self::new(uefi);
    }
}

pub fn invoke(machine: &mut Machine, call: &Call, method: &str) -> Option<Result<String, Fault>> {
    Some(match (call.class.as_str(), method) {
        ("CIM_PowerManagementService", "RequestPowerStateChange") => {
            let host = call.pointed("ManagedElement")?;
            if host.get("Name").map(String::as_str) != Some("ManagedSystem") {
                return Some(Err(SCHEMA));
            }
            let value = power(machine, call.number("PowerState"));
            Ok(output(method, value, ""))
        }
        ("CIM_BootConfigSetting", "ChangeBootOrder") => order(machine, call, method),
        ("CIM_BootService", "SetBootConfigRole") => {
            let keys = call.pointed("BootConfigSetting")?;
            if keys.get("InstanceID").map(String::as_str)
                != Some("Intel(r) AMT: Boot Configuration 0")
            {
                return Some(Ok(output(method, 2068, "")));
            }
            machine.boot.role = call.number("Role");
            Ok(output(method, 0, ""))
        }
        _ => return None,
    })
}

fn order(machine: &mut Machine, call: &Call, method: &str) -> Result<String, Fault> {
    if call.selector("InstanceID") != "Intel(r) AMT: Boot Configuration 0"
        && !call.selectors.is_empty()
    {
        return Ok(output(method, 2068, ""));
    }
    let source = call
        .body
        .as_ref()
        .and_then(|body| body.all("Source").next());
    let Some(source) = source else {
        machine.boot.order = None;
        return Ok(output(method, 0, ""));
    };
    if source.children.is_empty() {
        return Err(SCHEMA);
    }
    if machine.needs_consent() {
        return Ok(output(method, 2081, ""));
    }
    let keys = call.pointed("Source").unwrap_or_default();
    let name = keys
        .get("InstanceID")
        .and_then(|id| id.strip_prefix(OURS))
        .unwrap_or_default();
    let with_url = machine.profile.uefi && machine.recovery & 1 != 0;
    let known = [
        "Force PXE Boot",
        "Force Hard-drive Boot",
        "Force CD/DVD Boot",
        "Force Diagnostic Boot",
    ];
    if !(known.contains(&name) || name == HTTPS && with_url) {
        return Ok(output(method, 2050, ""));
    }
    machine.boot.order = Some(name.to_owned());
    Ok(output(method, 0, ""))
}

/// What a request for a state does, and what it returns.
pub fn power(machine: &mut Machine, state: u32) -> u32 {
    tell(&json!({ "power": state }));
    let on = machine.power == 2;
    let uefi = machine.profile.uefi;
    if !machine.profile.states.contains(&state) {
        return 2066;
    }
    if machine.swallows() && crate::redirection::is_held("KVMR") {
        tell(&json!({ "swallowed": state }));
        return 0;
    }
    match state {
        2 if !on => {
            machine.power = 2;
            machine.boot.start(uefi);
        }
        2 => {}
        8 => machine.power = 8,
        // No driver in the operating system, no graceful end.
        12 | 14 if machine.given["lms"] == false => return 1,
        12 if on => machine.power = 8,
        // No effect on a machine that is off.
        10 | 14 if on => machine.boot.start(uefi),
        10 | 14 | 12 => {}
        5 if on => {
            machine.power = 8;
            let again = machine.me.clone().upgrade();
            thread::spawn(move || {
                thread::sleep(DARK);
                if let Some(machine) = again {
                    let mut machine = lock(&machine);
                    machine.power = 2;
                    machine.boot.start(uefi);
                }
            });
        }
        5 => return 1,
        11 => {}
        _ => return 2066,
    }
    0
}

/// So that a thread of the machine does not keep it.
pub type Me = std::sync::Weak<std::sync::Mutex<Machine>>;

pub fn weak(machine: &crate::Shared) -> Me {
    Arc::downgrade(machine)
}
