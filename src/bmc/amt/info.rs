//! Who the machine is: versions, control mode, hardware, network, accounts. What this firmware does not have is left out.

use crate::amt::wsman::{Client, Element, Error, plain};
use crate::clock::Timestamp;
use crate::machine::amt::{AmtInfo, AmtMemory, AmtMode, AmtPort};

use super::clock;

const SOFTWARE: &str = "CIM_SoftwareIdentity";
/// Accounts that are listed; a device has room for 15.
const ACCOUNTS: usize = 32;

/// All of it: some twenty requests.
///
/// # Errors
/// [`Error`] when it does not answer; what it will not tell is left out.
pub async fn read(client: &mut Client) -> Result<AmtInfo, Error> {
    let mut info = AmtInfo::default();
    // The first is asked for what everybody has, so that a device that is away is told as that.
    let software = list(client, SOFTWARE).await?;
    info.version = version_of(&software, "AMT");
    info.build = version_of(&software, "Build Number");
    info.uuid = identity(client).await?;
    let general = one(client, "AMT_GeneralSettings").await?;
    info.host_name = word(general.as_ref().and_then(|found| found.text("HostName")));
    info.mode = mode(client).await?;
    if let Some(chassis) = one(client, "CIM_Chassis").await? {
        info.model = words(&chassis, &["Manufacturer", "Model"]);
        info.serial = word(chassis.text("SerialNumber"));
    }
    let board = one(client, "CIM_Card").await?;
    let parts = ["Manufacturer", "Model", "Version", "SerialNumber"];
    info.board = board.map(|found| words(&found, &parts)).unwrap_or_default();
    let bios = one(client, "CIM_BIOSElement").await?;
    let bios = bios.map(|found| words(&found, &["Manufacturer", "Version"]));
    info.bios = bios.unwrap_or_default();
    for chip in list(client, "CIM_Chip").await? {
        if chip.text("Tag").is_some_and(|tag| tag.starts_with("CPU")) {
            info.processors.push(word(chip.text("Version")));
        }
    }
    for module in list(client, "CIM_PhysicalMemory").await? {
        let bytes = module.number("Capacity").unwrap_or_default();
        if bytes > 0 {
            info.memory.push(AmtMemory {
                slot: word(module.text("BankLabel")),
                bytes,
                part: words(&module, &["Manufacturer", "PartNumber"]),
            });
        }
    }
    for drive in list(client, "CIM_MediaAccessDevice").await? {
        // Kilobytes of a thousand.
        let size = drive.number("MaxMediaSize").unwrap_or_default();
        info.drives.push(size.saturating_mul(1000));
    }
    info.network = ports(client).await?;
    info.accounts = accounts(client).await?;
    let clock = lenient(clock::read(client).await)?;
    info.clock = clock.map(|seconds| Timestamp(seconds.saturating_mul(1000)));
    Ok(info)
}

/// The machine's UUID; empty when it does not say.
///
/// # Errors
/// [`Error`]
pub async fn identity(client: &mut Client) -> Result<String, Error> {
    let package = one(client, "CIM_ComputerSystemPackage").await?;
    let told = package.and_then(|found| uuid(found.text("PlatformGUID")?));
    Ok(told.unwrap_or_default())
}

/// Of the firmware; empty when it does not say.
///
/// # Errors
/// [`Error`]
pub async fn version(client: &mut Client) -> Result<String, Error> {
    Ok(version_of(&list(client, SOFTWARE).await?, "AMT"))
}

fn version_of(software: &[Element], id: &str) -> String {
    let found = software
        .iter()
        .find(|one| one.text("InstanceID") == Some(id));
    word(found.and_then(|one| one.text("VersionString")))
}

/// Maker and model, for the list of machines.
///
/// # Errors
/// [`Error`]
pub async fn model(client: &mut Client) -> Result<String, Error> {
    let chassis = one(client, "CIM_Chassis").await?;
    let model = chassis.map(|found| words(&found, &["Manufacturer", "Model"]));
    Ok(model.unwrap_or_default())
}

async fn mode(client: &mut Client) -> Result<AmtMode, Error> {
    let told = one(client, "IPS_HostBasedSetupService").await?;
    let told = told.and_then(|found| found.number("CurrentControlMode"));
    if let Some(mode) = told {
        return Ok(match mode {
            0 => AmtMode::None,
            1 => AmtMode::Client,
            2 => AmtMode::Admin,
            _ => AmtMode::Unknown,
        });
    }
    let setup = one(client, "AMT_SetupAndConfigurationService").await?;
    let told = setup.and_then(|found| found.number("ProvisioningMode"));
    Ok(match told {
        Some(1) => AmtMode::Admin,
        Some(4) => AmtMode::Client,
        _ => AmtMode::Unknown,
    })
}

async fn ports(client: &mut Client) -> Result<Vec<AmtPort>, Error> {
    let class = "AMT_EthernetPortSettings";
    let mut found = list(client, class).await?;
    if found.is_empty() {
        // AMT 10 lists none, and gives the first by its key.
        let first = [("InstanceID", "Intel(r) AMT Ethernet Port Settings 0")];
        found.extend(lenient(client.get(class, &first).await)?);
    }
    let port = |found: &Element| AmtPort {
        mac: word(found.text("MACAddress")).replace('-', ":"),
        address: word(found.text("IPAddress")),
        dhcp: found.flag("DHCPEnabled").unwrap_or_default(),
        up: found.flag("LinkIsUp").unwrap_or_default(),
    };
    let ports = found.iter().map(port);
    Ok(ports.filter(|port| !port.mac.is_empty()).collect())
}

async fn accounts(client: &mut Client) -> Result<Vec<String>, Error> {
    let service = "AMT_AuthorizationService";
    let mut names = Vec::new();
    let admin = client.call(service, &[], "GetAdminAclEntry", "").await;
    let admin = lenient(admin)?;
    names.extend(admin.map(|found| word(found.text("Username"))));
    let start = plain("StartIndex", "1");
    let method = "EnumerateUserAclEntries";
    let Some(list) = lenient(client.call(service, &[], method, &start).await)? else {
        return Ok(names);
    };
    for handle in list.all("Handles").take(ACCOUNTS) {
        let handle = plain("Handle", &handle.text);
        let entry = client
            .call(service, &[], "GetUserAclEntryEx", &handle)
            .await;
        if let Some(entry) = lenient(entry)? {
            let name = entry.text("DigestUsername");
            names.push(
                name.map_or_else(|| "a user of Kerberos".to_owned(), |name| word(Some(name))),
            );
        }
    }
    Ok(names)
}

async fn one(client: &mut Client, class: &str) -> Result<Option<Element>, Error> {
    lenient(client.get(class, &[]).await)
}

async fn list(client: &mut Client, class: &str) -> Result<Vec<Element>, Error> {
    Ok(lenient(client.enumerate(class).await)?.unwrap_or_default())
}

/// What it answered that it will not tell is nothing; that it does not answer is an error.
fn lenient<T>(told: Result<T, Error>) -> Result<Option<T>, Error> {
    match told {
        Ok(told) => Ok(Some(told)),
        Err(Error::Faulted { .. } | Error::Returned { .. } | Error::ConsentNeeded { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn word(text: Option<&str>) -> String {
    text.unwrap_or_default().trim().to_owned()
}

fn words(found: &Element, names: &[&str]) -> String {
    let words = names.iter().filter_map(|name| found.text(name));
    let words = words.map(str::trim).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// Of 32 digits as firmware writes them.
fn uuid(hex: &str) -> Option<String> {
    if hex.len() != 32 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(at * 2..at * 2 + 2)?, 16).ok()?;
    }
    Some(crate::amt::uuid(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_uuid_is_as_the_operating_system_shows_it() {
        assert_eq!(
            uuid("44454C4C4B0010428033B6C04F504633").as_deref(),
            Some("4c4c4544-004b-4210-8033-b6c04f504633")
        );
        assert_eq!(uuid("44454C4C"), None);
        assert_eq!(uuid(&"é".repeat(16)), None);
    }
}
