//! What the classes hold, and the switches: consent, redirection, clock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oobd::amt::wsman::envelope::uri;
use oobd::amt::wsman::xml::Element;
use serde_json::json;

use crate::wsman::{ABSENT, Call, Fault, Fields, SCHEMA, output};
use crate::{Consent, Machine, logs, tell};

/// The machine's UUID, as SMBIOS has it: the first three parts with the low byte first.
const GUID: &str = "44454C4C4B0010428033B6C04F504633";

macro_rules! fields {
    ($($name:ident = $value:expr),* $(,)?) => {
        vec![$((stringify!($name), $value.to_string())),*]
    };
}

/// All instances of a class; `None` for a class that this firmware has not.
pub fn instances(machine: &Machine, class: &str) -> Option<Vec<Fields>> {
    let is_ccm = machine.text("mode") == "ccm";
    Some(match class {
        "CIM_AssociatedPowerManagementService" | "CIM_ServiceAvailableToElement" => {
            vec![fields![
                PowerState = machine.power,
                RequestedPowerState = machine.power
            ]]
        }
        "AMT_BootSettingData" => vec![machine.boot.settings.clone()],
        "IPS_OptInService" => vec![opt_in(machine)],
        "IPS_HostBasedSetupService" => vec![fields![
            AllowedControlModes = 2,
            CurrentControlMode = if is_ccm { 1 } else { 2 },
            ElementName = "Intel(r) AMT Host Based Setup Service",
        ]],
        "AMT_SetupAndConfigurationService" => vec![fields![
            ElementName = "Intel(r) AMT Setup and Configuration Service",
            ProvisioningMode = if is_ccm { 4 } else { 1 },
            ProvisioningState = 2,
        ]],
        "AMT_GeneralSettings" => vec![fields![
            DigestRealm = crate::http::realm(machine),
            DomainName = "",
            HostName = "db1",
            InstanceID = "Intel(r) AMT: General Settings",
            PowerSource = 0,
            RmcpPingResponseEnabled = true,
        ]],
        "CIM_ComputerSystemPackage" => vec![fields![PlatformGUID = GUID]],
        "CIM_SoftwareIdentity" => software(machine),
        "CIM_Chassis" => vec![fields![
            ChassisPackageType = 0,
            CreationClassName = "CIM_Chassis",
            ElementName = "Managed System Chassis",
            Manufacturer = "Example & Sons",
            Model = "Workstation 9",
            SerialNumber = "SN-CHASSIS",
            Tag = "CIM_Chassis",
            Version = "1",
        ]],
        "CIM_Card" => vec![fields![
            Manufacturer = "Example & Sons",
            Model = "Board 9",
            SerialNumber = "SN-BOARD",
            Tag = "CIM_Card",
            Version = "A01",
        ]],
        "CIM_BIOSElement" => vec![fields![
            Manufacturer = "Example & Sons",
            Name = "Primary BIOS",
            PrimaryBIOS = true,
            Version = "1.9.2",
        ]],
        "CIM_Processor" => vec![fields![
            CPUStatus = 1,
            CurrentClockSpeed = 3600,
            DeviceID = "CPU 0",
            Family = 198,
            MaxClockSpeed = 4800,
            Role = "Central",
        ]],
        "CIM_Chip" => vec![fields![
            Manufacturer = "Intel(R) Corporation",
            Tag = "CPU 0",
            Version = "Intel(R) Core(TM) i7-1185G7 @ 3.00GHz",
        ]],
        "CIM_PhysicalMemory" => (0..3)
            .map(|n| {
                fields![
                    BankLabel = format!("BANK {n}"),
                    Capacity = 8_u64 << 30,
                    ConfiguredMemoryClockSpeed = 3200,
                    Manufacturer = "Ramco",
                    MemoryType = 26,
                    PartNumber = "DDR4-8G",
                    SerialNumber = format!("RAM{n}"),
                    Speed = 3200,
                    Tag = format!("{n}"),
                ]
            })
            .collect(),
        "CIM_MediaAccessDevice" => vec![fields![
            DeviceID = "MEDIA DEV 0",
            ElementName = "Managed System Media Access Device",
            MaxMediaSize = 512_110_190,
        ]],
        "AMT_EthernetPortSettings" => vec![fields![
            DHCPEnabled = true,
            DefaultGateway = "10.77.0.1",
            ElementName = "Intel(r) AMT Ethernet Port Settings",
            IPAddress = machine.text("listen"),
            InstanceID = "Intel(r) AMT Ethernet Port Settings 0",
            LinkIsUp = true,
            LinkPolicy = 14,
            MACAddress = "a4-bb-6d-00-00-01",
            SharedMAC = true,
            SubnetMask = "255.255.255.0",
        ]],
        "AMT_RedirectionService" => vec![fields![
            ElementName = "Intel(r) AMT Redirection Service",
            EnabledState = 32768 + machine.redirection,
            ListenerEnabled = machine.listener,
            Name = "Intel(r) AMT Redirection Service",
        ]],
        "CIM_KVMRedirectionSAP" if machine.given["kvm"] != false => vec![fields![
            ElementName = "KVM Redirection Service Access Point",
            EnabledState = match machine.kvm {
                true if crate::redirection::is_held("KVMR") => 2,
                true => 6,
                false => 3,
            },
            Name = "KVM Redirection Service Access Point",
            RequestedState = if machine.kvm { 2 } else { 3 },
        ]],
        "CIM_BootService" => vec![fields![
            ElementName = "Intel(r) AMT Boot Service",
            EnabledState = if machine.profile.uefi {
                32768 + machine.recovery
            } else {
                2
            },
            Name = "Intel(r) AMT Boot Service",
        ]],
        "IPS_AlarmClockOccurrence" => logs::alarms(machine),
        "AMT_MessageLog" => vec![fields![
            CurrentNumberOfRecords = machine.logs.events.len(),
            MaxNumberOfRecords = 390,
            Name = "Intel(r) AMT:MessageLog 1",
        ]],
        "AMT_AuditLog" => vec![fields![
            AuditState = 1,
            CurrentNumberOfRecords = machine.logs.audit.len(),
            Name = "Intel(r) AMT:Audit Log",
        ]],
        _ => return None,
    })
}

fn opt_in(machine: &Machine) -> Fields {
    let consent = &machine.consent;
    fields![
        CanModifyOptInPolicy = if machine.text("mode") == "ccm" { 0 } else { 1 },
        ElementName = "Intel(r) AMT OptIn Service",
        Name = "Intel(r) AMT OptIn Service",
        OptInCodeTimeout = 120,
        OptInDisplayTimeout = 300,
        OptInRequired = consent.required,
        OptInState = consent.state,
    ]
}

fn software(machine: &Machine) -> Vec<Fields> {
    let version = machine.version();
    let all = [
        ("Flash", version),
        ("Netstack", version),
        ("AMTApps", version),
        ("AMT", version),
        ("Sku", "16392"),
        ("VendorID", "8086"),
        ("Build Number", "1706"),
        ("Recovery Version", version),
        ("Recovery Build Num", "1706"),
        ("Legacy Mode", "False"),
    ];
    all.iter()
        .map(|(id, version)| fields![InstanceID = id, IsEntity = true, VersionString = version])
        .collect()
}

pub fn write(machine: &mut Machine, class: &str, written: &Element) -> Result<(), Fault> {
    match class {
        "AMT_BootSettingData" => machine.boot.write(written),
        "AMT_RedirectionService" => {
            machine.listener = written.flag("ListenerEnabled").ok_or(SCHEMA)?;
            let state = written.number("EnabledState").ok_or(SCHEMA)?;
            machine.redirection = u32::try_from(state).unwrap_or_default().wrapping_sub(32768) & 3;
            Ok(())
        }
        "IPS_OptInService" => {
            let wanted = written
                .number("OptInRequired")
                .and_then(|wanted| u32::try_from(wanted).ok())
                .ok_or(SCHEMA)?;
            if machine.text("mode") == "ccm" && wanted != machine.consent.required {
                return Err(Fault(
                    400,
                    "AccessDenied",
                    "The sender was not authorized to access the resource.",
                ));
            }
            machine.consent.required = wanted;
            Ok(())
        }
        _ => Err(ABSENT),
    }
}

pub fn invoke(machine: &mut Machine, call: &Call, method: &str) -> Option<Result<String, Fault>> {
    let done = |value: u32| Ok(output(method, value, ""));
    Some(match (call.class.as_str(), method) {
        ("IPS_OptInService", "StartOptIn") => done(machine.consent.start()),
        ("IPS_OptInService", "SendOptInCode") => {
            done(machine.consent.hear(call.number("OptInCode")))
        }
        ("IPS_OptInService", "CancelOptIn") => done(machine.consent.cancel()),
        ("AMT_SetupAndConfigurationService", "GetUuid") => {
            let bytes: Vec<u8> = (0..16)
                .map(|at| u8::from_str_radix(&GUID[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            Ok(output(
                method,
                0,
                &format!("<g:UUID>{}</g:UUID>", STANDARD.encode(bytes)),
            ))
        }
        ("AMT_RedirectionService", "RequestStateChange") => {
            let wanted = call.number("RequestedState");
            if !(32768..=32771).contains(&wanted) {
                return Some(done(36));
            }
            machine.redirection = wanted - 32768;
            if machine.redirection == 0 {
                crate::redirection::end_all();
            }
            done(0)
        }
        ("CIM_BootService", "RequestStateChange") if machine.profile.uefi => {
            let wanted = call.number("RequestedState");
            if !(32768..=32771).contains(&wanted) {
                return Some(done(36));
            }
            machine.recovery = wanted - 32768;
            done(0)
        }
        ("CIM_KVMRedirectionSAP", "RequestStateChange") => {
            if machine.given["kvm"] == false {
                return Some(Err(ABSENT));
            }
            machine.kvm = call.number("RequestedState") == 2;
            done(0)
        }
        ("AMT_AuthorizationService", "EnumerateUserAclEntries") => Ok(output(
            method,
            0,
            "<g:TotalCount>1</g:TotalCount><g:HandlesCount>1</g:HandlesCount><g:Handles>7</g:Handles>",
        )),
        ("AMT_AuthorizationService", "GetUserAclEntryEx") if call.number("Handle") == 7 => {
            Ok(output(
                method,
                0,
                "<g:DigestUsername>operator</g:DigestUsername><g:AccessPermission>1</g:AccessPermission><g:Realms>2</g:Realms>\
             <g:Realms>5</g:Realms>",
            ))
        }
        ("AMT_AuthorizationService", "GetUserAclEntryEx") => done(2053),
        ("AMT_AuthorizationService", "GetAdminAclEntry") => Ok(output(
            method,
            0,
            &format!("<g:Username>{}</g:Username>", machine.text("user")),
        )),
        _ => {
            // Known classes whose other methods nobody asks for.
            debug_assert!(uri(&call.class).ends_with(&call.class));
            return None;
        }
    })
}

impl Consent {
    fn start(&mut self) -> u32 {
        if self.required == 0 || self.state != 0 {
            return 2;
        }
        self.code = rand::random_range(100_000..1_000_000);
        (self.state, self.wrong) = (2, 0);
        tell(&json!({ "screen": format!("{:06}", self.code) }));
        0
    }

    fn hear(&mut self, code: u32) -> u32 {
        if !matches!(self.state, 1 | 2) {
            return 2;
        }
        if code == self.code {
            self.state = 3;
            return 0;
        }
        self.wrong += 1;
        if self.wrong >= 3 {
            self.state = 0;
            return 3;
        }
        1
    }

    fn cancel(&mut self) -> u32 {
        if self.state == 0 {
            return 2;
        }
        self.state = 0;
        0
    }
}
