//! The sections `[user.NAME]`: who may sign in, and to what.

use std::fmt;

use argon2::password_hash::phc::PasswordHash;
use russh::keys::{Algorithm, PublicKey};
use serde::{Deserialize, Serialize};

use super::reader::{Field, Table};
use super::secret::{Found, Resolver, Secret};

/// A hash that needs more memory than this could not be checked on a board of 512 MiB.
const MOST_HASH_KIB: u32 = 256 * 1024;
/// Shorter RSA keys are refused, as OpenSSH does since 9.x by `RequiredRSASize` in hardened set-ups.
const LEAST_RSA_BITS: u32 = 2048;

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
    /// Globs over console names.
    pub consoles: Vec<String>,
    /// May open connections to LAN hosts through the board; by default so for operators and administrators.
    pub forward: bool,
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
        let forward = table.take("forward");
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
                .filter_map(|item| item.parsed(read_glob))
                .collect(),
            None => vec!["*".to_owned()],
        };
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
            forward: may_forward.unwrap_or(role >= Role::Operator),
        };
        Some((user, grants.unwrap_or_default()))
    }
}

fn read_key(text: &str) -> Result<String, String> {
    let line = text.trim();
    if line.contains("PRIVATE KEY") {
        return Err(
            "this is a private key; the public one belongs here (the file that ends in .pub)"
                .to_owned(),
        );
    }
    let key = PublicKey::from_openssh(line).map_err(|_| {
        "no OpenSSH public key; one line as in a .pub file belongs here, without options: \"ssh-ed25519 AAAA… name\"".to_owned()
    })?;
    match key.algorithm() {
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } => {}
        Algorithm::Rsa { .. } => {
            let bits = key.key_data().rsa().map_or(0, |rsa| rsa.key_size());
            if bits < LEAST_RSA_BITS {
                return Err(format!(
                    "an RSA key of {bits} bits is too short; at least {LEAST_RSA_BITS}, better a new ed25519 key"
                ));
            }
        }
        other => {
            return Err(format!(
                "a key of type `{}` cannot sign in here; ed25519, ecdsa and rsa keys can",
                other.as_str()
            ));
        }
    }
    Ok(line.to_owned())
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
    let hash = PasswordHash::new(text).map_err(|_| "not a whole password hash".to_owned())?;
    if hash.algorithm.as_str() != "argon2id" {
        return Err(format!(
            "a hash of type `{}`; only argon2id can be used",
            hash.algorithm
        ));
    }
    if hash.salt.is_none() || hash.hash.is_none() {
        return Err("not a whole password hash".to_owned());
    }
    let params =
        argon2::Params::try_from(&hash).map_err(|_| "not a whole argon2id hash".to_owned())?;
    if params.m_cost() > MOST_HASH_KIB || params.t_cost() > 64 || params.p_cost() > 16 {
        return Err(format!(
            "this hash costs more than the board can pay (at most {} MiB, 64 rounds, 16 lanes)",
            MOST_HASH_KIB / 1024
        ));
    }
    Ok(())
}

fn read_glob(text: &str) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_alphanumeric() || "._-*?".contains(letter);
    if text.is_empty() || text.len() > 64 || !text.chars().all(good) {
        return Err(
            "expected a console's name, or a pattern with `*` and `?` as in \"core-*\"".to_owned(),
        );
    }
    Ok(text.to_owned())
}
