//! What the machine starts from next. The order is that of all clients that work: read, clear the order, write the settings,
//! bind them to the next start, then the source; every return value counts, for a start with half of it goes elsewhere.

use crate::amt::wsman::{Client, Element, Error, plain, reference, written};
use crate::machine::BootTarget;
use crate::machine::amt::AmtPolicy;

use super::consent;

const SETTINGS: &str = "AMT_BootSettingData";
const ORDER: &str = "CIM_BootConfigSetting";
/// The one configuration there is.
const CONFIGURATION: &[(&str, &str)] = &[("InstanceID", "Intel(r) AMT: Boot Configuration 0")];
/// `Role` of `SetBootConfigRole`: for the next start only, and for none.
const NEXT_ONCE: &str = "1";
const NOT_NEXT: &str = "32768";

/// What only the firmware writes, and what came with firmware that wants it otherwise.
const DROPPED: [&str; 10] = [
    "WinREBootEnabled",
    "UEFILocalPBABootEnabled",
    "UEFIHTTPSBootEnabled",
    "SecureBootControlEnabled",
    "BootguardStatus",
    "OptionsCleared",
    "BIOSLastStatus",
    "RPEEnabled",
    "UefiBootParametersArray",
    "RSEPassword",
];
/// What must not be left from another time.
const CLEARED: [(&str, &str); 17] = [
    ("BIOSPause", "false"),
    ("BootMediaIndex", "0"),
    ("ConfigurationDataReset", "false"),
    ("FirmwareVerbosity", "0"),
    ("ForcedProgressEvents", "false"),
    ("LockKeyboard", "false"),
    ("LockPowerButton", "false"),
    ("LockResetButton", "false"),
    ("LockSleepButton", "false"),
    ("PlatformErase", "false"),
    ("ReflashBIOS", "false"),
    ("SecureErase", "false"),
    ("UefiBootNumberOfParams", "0"),
    ("UseSOL", "false"),
    ("UseSafeMode", "false"),
    ("UserPasswordBypass", "false"),
    ("EnforceSecureBoot", "false"),
];

/// What the settings say by themselves; a source in the order cannot be read back.
///
/// # Errors
/// [`Error`]
pub async fn read(client: &mut Client) -> Result<BootTarget, Error> {
    let found = client.get(SETTINGS, &[]).await?;
    Ok(target(&found))
}

fn target(settings: &Element) -> BootTarget {
    match (settings.flag("BIOSSetup"), settings.flag("UseIDER")) {
        (Some(true), _) => BootTarget::Bios,
        (_, Some(true)) if settings.number("IDERBootDevice") == Some(0) => BootTarget::Usb,
        (_, Some(true)) => BootTarget::Cd,
        _ => BootTarget::None,
    }
}

/// The source that stands first in the order.
fn source(target: BootTarget) -> Option<&'static str> {
    match target {
        BootTarget::Pxe => Some("Intel(r) AMT: Force PXE Boot"),
        BootTarget::Disk => Some("Intel(r) AMT: Force Hard-drive Boot"),
        BootTarget::Diagnostic => Some("Intel(r) AMT: Force Diagnostic Boot"),
        // Drives of redirection and the setup are settings, which no source may stand beside.
        BootTarget::None | BootTarget::Bios | BootTarget::Cd | BootTarget::Usb => None,
    }
}

/// Sets it for the next start: five requests, six with a source.
///
/// # Errors
/// [`Error`]; [`Error::ConsentNeeded`] before anything was changed. After any other the next start is as the BIOS says, or was
/// not changed.
pub async fn set(client: &mut Client, target: BootTarget) -> Result<(), Error> {
    let is_none = target == BootTarget::None;
    let consent = consent::read(client).await?;
    if consent.policy == AmtPolicy::All && !consent.stage.is_given() && !is_none {
        return Err(Error::ConsentNeeded {
            host: client.host().to_owned(),
            what: "to start it from elsewhere".into(),
        });
    }
    let settings = client.get(SETTINGS, &[]).await?;
    let change = "ChangeBootOrder";
    client.call(ORDER, CONFIGURATION, change, "").await?;
    let fields = fields(&settings, target);
    client.put(SETTINGS, &[], &fields).await?;
    let role = if is_none { NOT_NEXT } else { NEXT_ONCE };
    let bound = reference("BootConfigSetting", ORDER, CONFIGURATION) + &plain("Role", role);
    let service = "CIM_BootService";
    client
        .call(service, &[], "SetBootConfigRole", &bound)
        .await?;
    if let Some(source) = source(target) {
        let source = reference("Source", "CIM_BootSourceSetting", &[("InstanceID", source)]);
        client.call(ORDER, CONFIGURATION, change, &source).await?;
    }
    Ok(())
}

fn fields(settings: &Element, target: BootTarget) -> String {
    let word = |is: bool| if is { "true" } else { "false" };
    let mut set = CLEARED.to_vec();
    // A bit mask on firmware that erases by parts.
    if settings.number("PlatformErase").is_some() {
        set.retain(|(name, _)| *name != "PlatformErase");
        set.push(("PlatformErase", "0"));
    }
    set.push(("BIOSSetup", word(target == BootTarget::Bios)));
    set.push((
        "UseIDER",
        word(matches!(target, BootTarget::Cd | BootTarget::Usb)),
    ));
    let device = if target == BootTarget::Cd { "1" } else { "0" };
    set.push(("IDERBootDevice", device));
    written(settings, &set, &DROPPED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amt::wsman::xml::parse;

    #[test]
    fn what_was_read_is_written_without_what_only_firmware_writes() {
        let read = parse(
            "<c xmlns='u'><BIOSLastStatus>1</BIOSLastStatus><BIOSSetup>true</BIOSSetup><ElementName>x</ElementName>\
             <IDERBootDevice>1</IDERBootDevice><PlatformErase>2</PlatformErase><UseIDER>false</UseIDER><UseSOL>true</UseSOL></c>",
        );
        let text = fields(&read.unwrap(), BootTarget::Usb);
        assert_eq!(
            text,
            "<h:BIOSSetup>false</h:BIOSSetup><h:ElementName>x</h:ElementName><h:IDERBootDevice>0</h:IDERBootDevice>\
             <h:PlatformErase>0</h:PlatformErase><h:UseIDER>true</h:UseIDER><h:UseSOL>false</h:UseSOL>"
        );
    }

    #[test]
    fn settings_tell_what_they_can() {
        let of = |inner: &str| target(&parse(&format!("<c>{inner}</c>")).unwrap());
        assert_eq!(of("<BIOSSetup>true</BIOSSetup>"), BootTarget::Bios);
        let drive = |n: u8| format!("<UseIDER>true</UseIDER><IDERBootDevice>{n}</IDERBootDevice>");
        assert_eq!(of(&drive(0)), BootTarget::Usb);
        assert_eq!(of(&drive(1)), BootTarget::Cd);
        assert_eq!(of(""), BootTarget::None);
    }
}
