//! What the machine starts from next. The order is that of all clients that work: read, clear the order, write the settings,
//! bind them to the next start, then the source; every return value counts, for a start with half of it goes elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::amt::wsman::{Client, Element, Error, plain, reference, written};
use crate::machine::BootTarget;
use crate::machine::amt::AmtPolicy;

use super::{consent, features};

const SETTINGS: &str = "AMT_BootSettingData";
const ORDER: &str = "CIM_BootConfigSetting";
/// The one configuration there is.
const CONFIGURATION: &[(&str, &str)] = &[("InstanceID", "Intel(r) AMT: Boot Configuration 0")];
/// `Role` of `SetBootConfigRole`: for the next start only, and for none.
const NEXT_ONCE: &str = "1";
const NOT_NEXT: &str = "32768";

/// What a start from a URL is told by: records of maker, type, length and value (Intel AMT SDK, "One-Click Recovery").
const PARAMETERS: &str = "UefiBootParametersArray";
const COUNT: &str = "UefiBootNumberOfParams";
const INTEL: u16 = 0x8086;
const OCR_URL: u16 = 1;
/// Trust the root certificates that AMT holds.
const OCR_SYNC_ROOT_CA: u16 = 20;
/// go-wsman-messages `pkg/wsman/amt/boot`: the longest of a URL.
const LONGEST_URL: usize = 300;

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
        BootTarget::Https => Some("Intel(r) AMT: Force OCR UEFI HTTPS Boot"),
        BootTarget::None | BootTarget::Bios | BootTarget::Cd | BootTarget::Usb => None,
    }
}

/// Sets it for the next start: five requests, six with a source, seven with a URL, which only [`BootTarget::Https`] has.
///
/// # Errors
/// [`Error`]; [`Error::ConsentNeeded`] before anything was changed. After any other the next start is as the BIOS says, or was
/// not changed.
pub async fn set(client: &mut Client, target: BootTarget, url: Option<&str>) -> Result<(), Error> {
    let told = |client: &Client, why: &str| Error::Told {
        host: client.host().to_owned(),
        why: why.to_owned(),
    };
    let records = match url.map(records) {
        Some(Err(why)) => return Err(told(client, &why)),
        Some(Ok(records)) => Some(records),
        None => None,
    };
    let is_none = target == BootTarget::None;
    let consent = consent::read(client).await?;
    if consent.policy == AmtPolicy::All && !consent.stage.is_given() && !is_none {
        return Err(Error::ConsentNeeded {
            host: client.host().to_owned(),
            what: "to start it from elsewhere".into(),
        });
    }
    let settings = client.get(SETTINGS, &[]).await?;
    if records.is_some() {
        if settings.text(COUNT).is_none() {
            return Err(told(client, "its firmware cannot start from a URL"));
        }
        if settings.flag("UEFIHTTPSBootEnabled") == Some(false) {
            return Err(told(client, "its BIOS does not allow a start from a URL"));
        }
        if features::recovery(client)
            .await?
            .is_some_and(|bits| bits & 1 == 0)
        {
            let why = "One-Click Recovery is switched off: `oobctl amt features NAME recovery=on`";
            return Err(told(client, why));
        }
    }
    let change = "ChangeBootOrder";
    client.call(ORDER, CONFIGURATION, change, "").await?;
    let fields = fields(&settings, target, records.as_deref());
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

/// The records of a start from a URL, as they are written.
fn records(url: &str) -> Result<String, String> {
    let host = url.strip_prefix("https://").unwrap_or_default();
    let is_plain = url.bytes().all(|byte| byte.is_ascii_graphic());
    if host.is_empty() || host.starts_with('/') || !is_plain || url.len() > LONGEST_URL {
        return Err(format!(
            "`{}` is no URL that it could start from: say https://HOST/FILE, at most {LONGEST_URL} characters",
            url.escape_debug()
        ));
    }
    let record = |kind: u16, value: &[u8]| {
        let length = u32::try_from(value.len()).unwrap_or_default();
        let head = [INTEL.to_le_bytes(), kind.to_le_bytes()].concat();
        [&head[..], &length.to_le_bytes(), value].concat()
    };
    let all = [
        record(OCR_URL, url.as_bytes()),
        record(OCR_SYNC_ROOT_CA, &[1]),
    ];
    Ok(STANDARD.encode(all.concat()))
}

fn fields(settings: &Element, target: BootTarget, records: Option<&str>) -> String {
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
    let Some(records) = records else {
        return written(settings, &set, &DROPPED);
    };
    set.retain(|(name, _)| ![COUNT, "ForcedProgressEvents"].contains(name));
    set.extend([(COUNT, "2"), ("ForcedProgressEvents", "true")]);
    // Where it belongs in the order of the schema, whether or not it was shown.
    let count = plain(COUNT, "2");
    written(settings, &set, &DROPPED)
        .replace(&count, &(count.clone() + &plain(PARAMETERS, records)))
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
        let text = fields(&read.unwrap(), BootTarget::Usb, None);
        assert_eq!(
            text,
            "<h:BIOSSetup>false</h:BIOSSetup><h:ElementName>x</h:ElementName><h:IDERBootDevice>0</h:IDERBootDevice>\
             <h:PlatformErase>0</h:PlatformErase><h:UseIDER>true</h:UseIDER><h:UseSOL>false</h:UseSOL>"
        );
    }

    #[test]
    fn a_url_is_told_by_records_in_their_place() {
        let read = parse(
            "<c xmlns='u'><ForcedProgressEvents>false</ForcedProgressEvents><UEFIHTTPSBootEnabled>true</UEFIHTTPSBootEnabled>\
             <UefiBootNumberOfParams>0</UefiBootNumberOfParams><UefiBootParametersArray></UefiBootParametersArray><UseIDER>true</UseIDER></c>",
        );
        let records = records("https://a/b").unwrap();
        let bytes = STANDARD.decode(&records).unwrap();
        assert_eq!(bytes[..8], [0x86, 0x80, 1, 0, 11, 0, 0, 0]);
        assert_eq!(&bytes[8..19], b"https://a/b");
        assert_eq!(bytes[19..], [0x86, 0x80, 20, 0, 1, 0, 0, 0, 1]);
        let text = fields(&read.unwrap(), BootTarget::Https, Some(&records));
        assert_eq!(
            text,
            format!(
                "<h:ForcedProgressEvents>true</h:ForcedProgressEvents><h:UefiBootNumberOfParams>2</h:UefiBootNumberOfParams>\
                 <h:UefiBootParametersArray>{records}</h:UefiBootParametersArray><h:UseIDER>false</h:UseIDER>"
            )
        );
        for bad in [
            "http://a/b",
            "https://",
            "https:///b",
            "https://a/ b",
            "ftp://a",
        ] {
            assert!(super::records(bad).is_err(), "{bad}");
        }
        assert!(super::records(&format!("https://a/{}", "b".repeat(300))).is_err());
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
