//! The sections `[uplink.NAME]`: ways out for management.

use super::reader::{Field, Table};
use super::secret::{Found, Resolver, Secret};
use super::values;

/// Each uplink has a mark and a table of its own; see [`Uplink::mark`].
pub const MOST_UPLINKS: usize = 8;
/// More trigger SSIDs than this make a directed scan longer than its period.
const MOST_SSIDS: usize = 16;
/// Longest SSID, IEEE 802.11-2020 §9.4.2.2.
const LONGEST_SSID: usize = 32;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    pub name: String,
    /// Position in the file, from 0; chooses mark and table.
    pub slot: u8,
    /// Doors that are open on this uplink itself.
    pub accept: Vec<DoorName>,
    pub kind: UplinkKind,
}

impl Uplink {
    /// Firewall mark of our own sockets that leave by this uplink, within mask `0xff00`.
    #[must_use]
    pub fn mark(&self) -> u32 {
        (u32::from(self.slot) + 1) << 8
    }

    /// Its own routing table.
    #[must_use]
    pub fn table(&self) -> u32 {
        100 + u32::from(self.slot)
    }

    #[must_use]
    pub fn interface(&self) -> &str {
        match &self.kind {
            UplinkKind::Wifi(wifi) => &wifi.interface,
        }
    }

    /// What a board without a word about uplinks has: the hotspot `remote.it` on `wlan0`.
    #[must_use]
    pub fn hotspot() -> Self {
        Self {
            name: "hotspot".to_owned(),
            slot: 0,
            accept: vec![DoorName::Ssh, DoorName::Https],
            kind: UplinkKind::Wifi(Wifi::default()),
        }
    }

    pub(super) fn read(
        name: String,
        slot: u8,
        mut table: Table<'_>,
        resolver: &Resolver<'_>,
    ) -> Option<Self> {
        let accept = table.take("accept");
        let kind = table.one_of(&["wifi"], &["cellular", "ethernet"]);
        table.finish();
        let accept = accept.map_or_else(
            || Some(vec![DoorName::Ssh, DoorName::Https]),
            |field| {
                let options = [("ssh", DoorName::Ssh), ("https", DoorName::Https)];
                let list = field.list()?;
                let mut doors: Vec<_> = list
                    .iter()
                    .filter_map(|item| item.choice(&options))
                    .collect();
                doors.sort_unstable();
                doors.dedup();
                Some(doors)
            },
        );
        let (_, wifi) = kind?;
        let wifi = Wifi::read(wifi.table()?, resolver);
        Some(Self {
            name,
            slot,
            accept: accept?,
            kind: UplinkKind::Wifi(wifi),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DoorName {
    Ssh,
    Https,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UplinkKind {
    Wifi(Wifi),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wifi {
    pub interface: String,
    /// Trigger SSIDs as bytes, 1 to 32 long each, first is preferred.
    pub ssids: Vec<Vec<u8>>,
    /// WPA2 or WPA3 passphrase, 8 to 63 characters, or a WPA2 key as 64 hex digits; `None` together with `open`
    /// only, or until first boot made one.
    pub passphrase: Option<Secret>,
    /// ISO 3166 country that rules the radio.
    pub country: Option<String>,
    /// Join an unencrypted hotspot too.
    pub open: bool,
    /// Probe for hidden hotspots; tells everybody around which SSID we look for.
    pub hidden: bool,
    pub sae: Sae,
}

/// Use of WPA3 (SAE).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sae {
    /// WPA2 and WPA3, whichever the hotspot offers.
    Auto,
    /// WPA2 only, for radios whose firmware fails at SAE.
    Off,
    /// WPA3 only.
    Only,
}

impl Default for Wifi {
    fn default() -> Self {
        Self {
            interface: "wlan0".to_owned(),
            ssids: vec![b"remote.it".to_vec()],
            passphrase: None,
            country: None,
            open: false,
            hidden: false,
            sae: Sae::Auto,
        }
    }
}

impl Wifi {
    fn read(mut table: Table<'_>, resolver: &Resolver<'_>) -> Self {
        let mut wifi = Self::default();
        let interface = table.take("interface");
        let ssids = table.take("ssid");
        let passphrase = table.take("passphrase");
        let country = table.take("country");
        let open = table.take("open");
        let hidden = table.take("hidden");
        let sae = table.take("sae");
        table.finish();
        if let Some(name) = interface.and_then(|field| field.parsed(values::interface)) {
            wifi.interface = name;
        }
        if let Some(field) = ssids {
            wifi.ssids = read_ssids(&field);
        }
        wifi.country = country.and_then(|field| field.parsed(read_country));
        wifi.open = open.and_then(|field| field.flag()).unwrap_or(false);
        wifi.hidden = hidden.and_then(|field| field.flag()).unwrap_or(false);
        if let Some(field) = sae {
            let options = [("auto", Sae::Auto), ("off", Sae::Off), ("only", Sae::Only)];
            wifi.sae = field.choice(&options).unwrap_or(Sae::Auto);
        }
        if let Some(field) = passphrase
            && let Some(Found::Text(secret)) = resolver.secret(&field)
        {
            match check_passphrase(secret.expose(), wifi.sae) {
                Ok(()) => wifi.passphrase = Some(secret),
                Err(fault) => field.wrong(fault),
            }
        }
        wifi
    }
}

fn read_ssids(field: &Field<'_>) -> Vec<Vec<u8>> {
    let Some(list) = field.list() else {
        return Vec::new();
    };
    if list.is_empty() || list.len() > MOST_SSIDS {
        field.wrong(format!("needs 1 to {MOST_SSIDS} SSIDs"));
    }
    let mut ssids: Vec<Vec<u8>> = Vec::new();
    for item in list {
        let Some(ssid) = read_ssid(&item) else {
            continue;
        };
        if ssid.is_empty() || ssid.len() > LONGEST_SSID {
            item.wrong(format!(
                "an SSID has 1 to {LONGEST_SSID} bytes, this one has {} (letters other than a-z take 2 to 4 bytes)",
                ssid.len()
            ));
        } else if ssids.contains(&ssid) {
            item.wrong("named twice");
        } else {
            ssids.push(ssid);
        }
    }
    ssids
}

/// Text, or `{ hex = "72656d…" }` for bytes that are no text.
fn read_ssid(item: &Field<'_>) -> Option<Vec<u8>> {
    if !item.is_table() {
        return Some(item.text()?.as_bytes().to_vec());
    }
    let mut table = item.table()?;
    let hex = table.need("hex", "write { hex = \"72656d6f74652e6974\" }");
    table.finish();
    hex?.parsed(|text| {
        let bad = || "expected pairs of hex digits, as in \"72656d6f74652e6974\"".to_owned();
        if text.len() % 2 != 0 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(bad());
        }
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| bad()))
            .collect()
    })
}

fn read_country(text: &str) -> Result<String, String> {
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Ok(text.to_owned());
    }
    Err("a country is two capital letters (ISO 3166), as in \"US\" or \"FR\"".to_owned())
}

/// IEEE 802.11-2020 annex J.4: 8 to 63 printable ASCII characters, or the 256 bit key itself.
fn check_passphrase(text: &str, sae: Sae) -> Result<(), String> {
    if let Some(bad) = text
        .chars()
        .position(|letter| !(' '..='~').contains(&letter))
    {
        return Err(format!(
            "character {} of the passphrase is not printable ASCII, which Wi-Fi cannot use",
            bad + 1
        ));
    }
    match text.len() {
        8..=63 => Ok(()),
        64 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => match sae {
            Sae::Only => {
                Err("WPA3 needs the passphrase itself, not a key of 64 hex digits".to_owned())
            }
            Sae::Auto | Sae::Off => Ok(()),
        },
        length => Err(format!(
            "a Wi-Fi passphrase has 8 to 63 characters (or is a key of 64 hex digits), this one has {length}"
        )),
    }
}
