//! What is asked about oobd.toml and the certificate: words of changing them from inside. Knows no file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Text that may hold secrets: prints as `***`, in whatever it stands.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Whether a change of oobd.toml comes undone unless somebody confirms it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trial {
    /// If it touches what people come in by: links, uplinks, doors, users.
    #[default]
    AsNeeded,
    /// It stays.
    No,
    /// After so many seconds.
    Within(u32),
}

/// What is said of a user; what is left out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserWords {
    pub name: String,
    #[serde(default)]
    pub role: Option<String>,
    /// OpenSSH public key lines; an empty list takes all away.
    #[serde(default)]
    pub keys: Option<Vec<String>>,
    /// In clear, or its argon2id hash; empty takes it away.
    #[serde(default)]
    pub password: Option<Hidden>,
    #[serde(default)]
    pub consoles: Option<Vec<String>>,
    #[serde(default)]
    pub outlets: Option<Vec<String>>,
    #[serde(default)]
    pub machines: Option<Vec<String>>,
    #[serde(default)]
    pub forward: Option<bool>,
}

/// A user in force, as an administrator sees one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserShown {
    pub name: String,
    pub role: String,
    /// OpenSSH public key lines.
    pub keys: Vec<String>,
    pub has_password: bool,
    pub consoles: Vec<String>,
    pub outlets: Vec<String>,
    pub machines: Vec<String>,
    pub forward: bool,
    /// Stands in oobd.toml; the administrator of first boot does not.
    pub in_file: bool,
}

/// A certificate, as a person compares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateShown {
    /// `own` (the board made it), `installed` or `oobd.toml`.
    pub origin: String,
    /// `SHA256:AB:CD:…`, as browsers show it.
    pub fingerprint: String,
    pub subject: String,
    pub issuer: String,
    /// DNS names and addresses that it is good for.
    pub names: Vec<String>,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Certificates that are shown together.
    pub chain: u32,
    /// What clients may dislike about it.
    pub remarks: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_never_prints() {
        let words = UserWords {
            name: "bob".into(),
            password: Some(Hidden("hunter2hunter2".into())),
            ..UserWords::default()
        };
        assert!(!format!("{words:?}").contains("hunter2"));
        let json = r#"{"name":"bob","password":"hunter2hunter2"}"#;
        assert_eq!(serde_json::from_str::<UserWords>(json).unwrap(), words);
    }
}
