//! The sections `[user.NAME]`: who may sign in, and to what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::access;
use crate::keymap::Keymap;

use super::reader::{Field, Table};
use super::secret::{Found, Resolver, Secret};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks, never types.
    ReadOnly,
    /// Types on consoles, switches power, reaches LAN hosts.
    Operator,
    /// All of it, and the configuration.
    Administrator,
}

/// The word of oobd.toml.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ReadOnly => "readonly",
            Self::Operator => "operator",
            Self::Administrator => "administrator",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub role: Role,
    /// OpenSSH public key lines.
    pub keys: Vec<String>,
    /// argon2id hash in PHC form.
    pub password: Option<Secret>,
    /// Globs over console names; `:read` behind one lets watch only.
    pub consoles: Vec<String>,
    /// Globs over `PDU/OUTLET`; `:read` as with consoles.
    pub outlets: Vec<String>,
    /// Globs over names of machines.
    pub machines: Vec<String>,
    /// May open connections to LAN hosts through the board; by default so for operators and administrators.
    pub forward: bool,
    /// Keys of the menu inside a session, on every console.
    pub keys_inside: Option<Keymap>,
}

impl User {
    /// Also gives the fields of `consoles`, so that names can be compared with the consoles of the file.
    pub(super) fn read<'a>(
        name: String,
        mut table: Table<'a>,
        resolver: &Resolver<'_>,
    ) -> Option<(Self, Vec<Field<'a>>)> {
        let role = table.need(
            "role",
            "expected \"administrator\", \"operator\" or \"readonly\"",
        );
        let keys = table.take("keys");
        let password = table.take("password");
        let consoles = table.take("consoles");
        let outlets = table.take("outlets");
        let machines = table.take("machines");
        let forward = table.take("forward");
        let escape = table.take("escape");
        if keys.is_none() && password.is_none() {
            table.missing(
                "this user could never sign in: neither `keys` nor `password` is there".to_owned(),
                "add keys = [\"ssh-ed25519 AAAA…\"], or password = \"…\" as `oobctl password` prints it",
            );
        }
        table.finish();
        let role = role.and_then(|field| {
            field.choice(&[
                ("administrator", Role::Administrator),
                ("operator", Role::Operator),
                ("readonly", Role::ReadOnly),
            ])
        });
        let no_password = password.is_none();
        let keys = keys.map_or(Some(Vec::new()), |field| {
            let list = field.list()?;
            if list.is_empty() && no_password {
                field.wrong("needs at least one key while there is no `password`");
            }
            Some(
                list.iter()
                    .filter_map(|item| item.parsed(read_key))
                    .collect(),
            )
        });
        let password = password.and_then(|field| read_password(&field, resolver));
        let grants = consoles.map(|field| field.list().unwrap_or_default());
        let consoles = match &grants {
            Some(items) => items
                .iter()
                .filter_map(|item| item.parsed(|text| read_glob(text, "")))
                .collect(),
            None => vec!["*".to_owned()],
        };
        let outlets = read_grants(outlets, "/");
        let machines = read_grants(machines, "");
        let may_forward = forward.as_ref().and_then(Field::flag);
        if let Some(field) = forward
            && may_forward == Some(true)
            && role == Some(Role::ReadOnly)
        {
            field.wrong("a readonly user looks only, and may not open connections");
        }
        let role = role?;
        let user = Self {
            name,
            role,
            keys: keys?,
            password,
            consoles,
            outlets,
            machines,
            forward: may_forward.unwrap_or(role >= Role::Operator),
            keys_inside: escape.and_then(|field| super::escape::read(&field)),
        };
        Some((user, grants.unwrap_or_default()))
    }
}

/// What the doors take is what the file may hold: [`access::parse_key`] decides for both.
fn read_key(text: &str) -> Result<String, String> {
    access::parse_key(text).map_err(|fault| fault.to_string())?;
    Ok(text.trim().to_owned())
}

fn read_password(field: &Field<'_>, resolver: &Resolver<'_>) -> Option<Secret> {
    let Found::Text(secret) = resolver.secret(field)? else {
        return None;
    };
    match check_hash(secret.expose()) {
        Ok(()) => Some(secret),
        Err(message) => {
            field.wrong_so(
                message,
                "`oobctl password` makes a hash; put what it prints here",
            );
            None
        }
    }
}

fn check_hash(text: &str) -> Result<(), String> {
    if !text.starts_with('$') {
        return Err("a password never stands here in clear, only its argon2id hash".to_owned());
    }
    access::credential::check(text).map_err(|fault| fault.to_string())
}

/// The name or pattern of a grant, and whether it lets type.
pub fn split_grant(text: &str) -> (&str, bool) {
    match text.strip_suffix(":read") {
        Some(pattern) => (pattern, false),
        None => (text.strip_suffix(":write").unwrap_or(text), true),
    }
}

/// Without the key, everything.
fn read_grants(field: Option<Field<'_>>, more: &str) -> Vec<String> {
    let Some(field) = field else {
        return vec!["*".to_owned()];
    };
    let items = field.list().unwrap_or_default();
    let read = |item: &Field<'_>| item.parsed(|text| read_glob(text, more));
    items.iter().filter_map(read).collect()
}

/// `more` are the letters that a name may have besides.
fn read_glob(text: &str, more: &str) -> Result<String, String> {
    let good = |letter: char| {
        letter.is_ascii_alphanumeric() || "._-*?".contains(letter) || more.contains(letter)
    };
    let (pattern, _) = split_grant(text);
    if pattern.is_empty() || pattern.len() > 64 || !pattern.chars().all(good) {
        return Err(
            "expected a name, or a pattern with `*` and `?` as in \"core-*\"; \":read\" behind it only lets look".to_owned(),
        );
    }
    Ok(text.to_owned())
}
