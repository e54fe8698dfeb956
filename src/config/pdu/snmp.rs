//! `snmp = { host = "10.0.0.7", user = "oob", … }`: a PDU or a PoE switch that speaks SNMP.

use std::net::SocketAddr;

use super::profile::{ObjectId, Profile, families};
use crate::config::reader::{Field, Table, suggest};
use crate::config::secret::{Found, Resolver, Secret};
use crate::config::transport::read_address_or;

/// The port of agents (RFC 3417).
const PORT: u16 = 161;

/// One device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snmp {
    pub host: SocketAddr,
    pub access: SnmpAccess,
    /// Where its outlets are; `None`: as its object id says.
    pub profile: Option<Profile>,
}

/// Who asks. A community is a password that travels in the open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnmpAccess {
    V1 {
        community: Secret,
        /// Another one for writing.
        write: Option<Secret>,
    },
    V2c {
        community: Secret,
        write: Option<Secret>,
    },
    /// RFC 3414. Without `auth` there is no `privacy`.
    V3 {
        user: String,
        auth: Option<(SnmpAuth, Secret)>,
        privacy: Option<(SnmpPrivacy, Secret)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnmpAuth {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

const AUTHS: [(&str, SnmpAuth); 6] = [
    ("sha256", SnmpAuth::Sha256),
    ("sha384", SnmpAuth::Sha384),
    ("sha512", SnmpAuth::Sha512),
    ("sha224", SnmpAuth::Sha224),
    ("sha1", SnmpAuth::Sha1),
    ("md5", SnmpAuth::Md5),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnmpPrivacy {
    Des,
    Aes128,
    Aes192,
    Aes256,
    /// Cisco's key extension (draft-reeder-snmpv3-usm-3desede), which many cards have.
    Aes256C,
}

const PRIVACIES: [(&str, SnmpPrivacy); 5] = [
    ("aes128", SnmpPrivacy::Aes128),
    ("aes192", SnmpPrivacy::Aes192),
    ("aes256", SnmpPrivacy::Aes256),
    ("aes256c", SnmpPrivacy::Aes256C),
    ("des", SnmpPrivacy::Des),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    V1,
    V2c,
    V3,
}

impl Snmp {
    pub(super) fn read(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Self> {
        let mut table = field.table()?;
        let host = table.need("host", "write host = \"10.0.0.7\"");
        let [version, profile] = ["version", "profile"].map(|key| table.take(key));
        let [community, write] = ["community", "write_community"].map(|key| table.take(key));
        let [user, auth, auth_password] =
            ["user", "auth", "auth_password"].map(|key| table.take(key));
        let [privacy, privacy_password] =
            ["privacy", "privacy_password"].map(|key| table.take(key));
        let version = match version {
            Some(field) => field.choice(&[
                ("3", Version::V3),
                ("2c", Version::V2c),
                ("1", Version::V1),
            ]),
            None if community.is_some() => Some(Version::V2c),
            None => Some(Version::V3),
        };
        let v3 = [&user, &auth, &auth_password, &privacy, &privacy_password];
        let older = [&community, &write];
        match version {
            Some(Version::V3) if user.is_none() => table.missing(
                "says not who asks".to_owned(),
                "write user = \"…\" with auth_password and privacy_password (SNMPv3), or community = \"…\"",
            ),
            Some(Version::V3) => none_of(&older, "is of SNMP 1 and 2c, and there is a `user`"),
            Some(_) => {
                if community.is_none() {
                    table.missing(
                        "says no community".to_owned(),
                        "write community = \"@secret:NAME\"",
                    );
                }
                none_of(&v3, "is of SNMPv3, and there is a `community`");
            }
            None => {}
        }
        let both = |table: &Table<'_>, word: &Option<Field<'_>>, password: &Option<Field<'_>>, name: &str| {
            if word.is_some() && password.is_none() {
                let hint = format!("add {name}_password = \"@secret:NAME\"");
                table.missing(format!("`{name}` has no password"), &hint);
            }
        };
        both(&table, &auth, &auth_password, "auth");
        both(&table, &privacy, &privacy_password, "privacy");
        if privacy_password.is_some() && auth_password.is_none() {
            table.missing(
                "privacy without authentication is nothing SNMPv3 knows".to_owned(),
                "add auth_password = \"@secret:NAME\"",
            );
        }
        table.finish();
        let host = host.and_then(|field| field.parsed(|text| read_address_or(text, PORT)));
        let profile = profile.map_or(Some(None), |field| read_profile(&field).map(Some));
        let access = match version? {
            Version::V3 => {
                let signed = key(auth, auth_password, &AUTHS, SnmpAuth::Sha256, resolver);
                let hidden = key(
                    privacy,
                    privacy_password,
                    &PRIVACIES,
                    SnmpPrivacy::Aes128,
                    resolver,
                );
                SnmpAccess::V3 {
                    user: user?.parsed(read_user)?,
                    auth: signed?,
                    privacy: hidden?,
                }
            }
            older => {
                let community = secret(&community?, resolver, 1);
                let write = write.map_or(Some(None), |field| secret(&field, resolver, 1).map(Some));
                let (community, write) = (community?, write?);
                match older {
                    Version::V1 => SnmpAccess::V1 { community, write },
                    _ => SnmpAccess::V2c { community, write },
                }
            }
        };
        Some(Self {
            host: host?,
            access,
            profile: profile?,
        })
    }
}

fn none_of(fields: &[&Option<Field<'_>>], why: &str) {
    for field in fields.iter().copied().flatten() {
        field.wrong(format!("this {why}"));
    }
}

/// A kind and its password; the usual kind where only the password is said.
#[allow(clippy::option_option, reason = "wrong, absent and there are three things")]
fn key<T: Copy>(
    kind: Option<Field<'_>>,
    password: Option<Field<'_>>,
    kinds: &[(&'static str, T)],
    usual: T,
    resolver: &Resolver<'_>,
) -> Option<Option<(T, Secret)>> {
    let kind = kind.map_or(Some(usual), |field| field.choice(kinds));
    let Some(password) = password else {
        return Some(None);
    };
    // RFC 3414 §11.2: passwords shorter than that are no passwords.
    let password = secret(&password, resolver, 8);
    Some(Some((kind?, password?)))
}

/// A secret of at least so many characters. What lies on the board only counts as there.
fn secret(field: &Field<'_>, resolver: &Resolver<'_>, least: usize) -> Option<Secret> {
    let Found::Text(secret) = resolver.secret(field)? else {
        return Some(Secret::new("x".repeat(least)));
    };
    let length = secret.expose().len();
    if length < least || length > 128 || secret.expose().contains(char::is_control) {
        field.wrong(format!(
            "expected {least} to 128 characters, none of them control characters"
        ));
        return None;
    }
    Some(secret)
}

fn read_user(text: &str) -> Result<String, String> {
    // RFC 3414 §2.1: SnmpAdminString of 1 to 32.
    if text.is_empty() || text.len() > 32 || text.contains(char::is_control) {
        return Err("a user has 1 to 32 characters, none of them control characters".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a family, or a family of its own.
fn read_profile(field: &Field<'_>) -> Option<Profile> {
    if !field.is_table() {
        let text = field.text()?;
        let found = families().iter().find(|family| family.name == text);
        if found.is_none() {
            let names: Vec<&str> = families().iter().map(|f| f.name.as_str()).collect();
            let message = format!("there is no profile \"{}\"", text.escape_debug());
            field.wrong_so(message, suggest(text, &names, '"'));
        }
        return found.cloned();
    }
    let mut table = field.table()?;
    let state = table.need(
        "state",
        "write state = \"1.3.6.1.4.1.…\", the column that shows which outlets are on",
    );
    let [index, letters] = ["index", "letters"].map(|key| table.take(key));
    let lists = ["states_on", "states_off", "states_moving", "states_odd"];
    let [states_on, states_off, states_moving, states_odd] = lists.map(|key| table.take(key));
    let [control, control_on, control_off, control_cycle] =
        ["control", "control_on", "control_off", "control_cycle"].map(|key| table.take(key));
    let [on, off, cycle] = ["on", "off", "cycle"].map(|key| table.take(key));
    let [label, amps, watts] = ["label", "amps", "watts"].map(|key| table.take(key));
    let [amps_scale, watts_scale] = ["amps_scale", "watts_scale"].map(|key| table.take(key));
    table.finish();
    let mut profile = Profile {
        name: "profile of oobd.toml".to_owned(),
        title: String::new(),
        object_id: Vec::new(),
        index: index.map_or(Some(1), |field| field.number(1..=4))?,
        letters: letters.map_or(Some(false), |field| field.flag())?,
        state: id(state)??,
        states_on: states(states_on)?,
        states_off: states(states_off)?,
        states_moving: states(states_moving)?,
        states_odd: states(states_odd)?,
        control: id(control)?,
        control_on: id(control_on)?,
        control_off: id(control_off)?,
        control_cycle: id(control_cycle)?,
        on: value(on)?,
        off: value(off)?,
        cycle: value(cycle)?,
        label: id(label)?,
        amps: id(amps)?,
        amps_scale: scale(amps_scale)?,
        watts: id(watts)?,
        watts_scale: scale(watts_scale)?,
    };
    profile.complete();
    if let Some(fault) = profile.fault() {
        field.wrong(fault);
        return None;
    }
    Some(profile)
}

#[allow(clippy::option_option, reason = "wrong, absent and there are three things")]
fn id(field: Option<Field<'_>>) -> Option<Option<ObjectId>> {
    field.map_or(Some(None), |field| field.parsed(str::parse).map(Some))
}

#[allow(clippy::option_option, reason = "wrong, absent and there are three things")]
fn value(field: Option<Field<'_>>) -> Option<Option<i32>> {
    field.map_or(Some(None), |field| {
        field.number(i32::MIN..=i32::MAX).map(Some)
    })
}

fn states(field: Option<Field<'_>>) -> Option<Vec<i32>> {
    let items = field.map_or(Some(Vec::new()), |field| field.list())?;
    let number = |item: &Field<'_>| item.number(i32::MIN..=i32::MAX);
    items.iter().map(number).collect()
}

/// Thousandths are the finest there is; text, for the reader has no broken numbers.
fn scale(field: Option<Field<'_>>) -> Option<f64> {
    let scales = [("1", 1.0), ("0.1", 0.1), ("0.01", 0.01), ("0.001", 0.001)];
    field.map_or(Some(1.0), |field| field.choice(&scales))
}
