//! The way in before oobd.toml names anybody: a random administrator password and hotspot passphrase, made once, kept
//! over reboots, written where only somebody with the card or at the console reads them. Never a fixed password.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::TryRngCore;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use crate::config::{Config, Role, Secret, UplinkKind, User, Wifi};
use crate::file::write_atomically;
use crate::supervisor::context::Dirs;

use super::credential;

/// The user that first boot makes.
pub const USER: &str = "admin";
/// Crockford's base 32 in small letters: no i, l, o, u, so that it can be read aloud and typed on a phone.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
/// Groups and letters per group, five bits a letter: 100 bits in the password, 80 in the passphrase.
const PASSWORD: (usize, usize) = (4, 5);
const PASSPHRASE: (usize, usize) = (4, 4);
/// Least length of the password that replaces the random one.
pub const SHORTEST: usize = 10;

/// Why first boot could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no randomness: {0}")]
    Random(String),
    #[error(transparent)]
    Credential(#[from] credential::Error),
    #[error("{path}: {source}")]
    Store { path: PathBuf, source: io::Error },
    #[error("the new password needs at least {SHORTEST} characters")]
    TooShort,
    #[error("this is the first-boot password itself")]
    Same,
    #[error("oobd.toml names the users now; change the password there")]
    Over,
}

/// What [`ensure`] did, for the journal; no secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The administrator is the one of first boot.
    pub administrator: bool,
    /// A hotspot passphrase of ours is in use.
    pub passphrase: bool,
    /// One of them was made just now.
    pub fresh: bool,
}

/// `first-boot.json` in the state directory, mode 0600.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// In the clear until it is changed, for it also stands on the card and on the local console.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase: Option<String>,
}

/// Completes the configuration with what first boot made, making it when it is missing, and shows it to whoever holds
/// the card. What the configuration names itself is forgotten here. Blocks (about 100 ms when it has to hash).
///
/// # Errors
/// No randomness. A state directory or card that cannot be written is logged: the board stays reachable for this boot.
pub fn ensure(config: &mut Config, dirs: &Dirs) -> Result<Outcome, Error> {
    let before = load(&store_path(dirs));
    let mut kept = before.clone();
    let mut outcome = Outcome {
        administrator: config.users.is_empty(),
        passphrase: config
            .uplinks
            .iter()
            .any(|uplink| wants_passphrase(&uplink.kind)),
        fresh: false,
    };
    if !outcome.administrator {
        (kept.password, kept.password_hash) = (None, None);
    } else if kept.password_hash.is_none() {
        let password = random(PASSWORD)?;
        kept.password_hash = Some(credential::make(&password)?);
        kept.password = Some(password);
        outcome.fresh = true;
    }
    if !outcome.passphrase {
        kept.passphrase = None;
    } else if kept.passphrase.is_none() {
        kept.passphrase = Some(random(PASSPHRASE)?);
        outcome.fresh = true;
    }
    if kept != before
        && let Err(e) = save(dirs, &kept)
    {
        tracing::error!("first boot: {e}; the password will be another one after the next boot");
    }
    show(dirs, &kept, &config.device.name);
    complete(config, &kept);
    Ok(outcome)
}

/// Is the first-boot password of [`USER`] still the random one? Blocks on a small file.
#[must_use]
pub fn must_change(dirs: &Dirs) -> bool {
    load(&store_path(dirs)).password.is_some()
}

/// Is this user the administrator of first boot, with the random password still? As [`must_change`], where blocking would hold others
/// up.
pub async fn has_random_password(dirs: &Arc<Dirs>, user: &str) -> bool {
    if user != USER {
        return false;
    }
    let dirs = dirs.clone();
    // A fault of the check must not lock the only administrator out.
    spawn_blocking(move || must_change(&dirs))
        .await
        .unwrap_or(false)
}

/// Replaces the random password by one that a person chose; returns its hash. Blocks and hashes.
///
/// # Errors
/// A password that is too short or the old one; a state directory that cannot be written, then nothing has changed.
pub fn change_password(dirs: &Dirs, device: &str, new: &str) -> Result<String, Error> {
    let mut kept = load(&store_path(dirs));
    if kept.password_hash.is_none() {
        return Err(Error::Over);
    }
    if new.chars().count() < SHORTEST {
        return Err(Error::TooShort);
    }
    if kept.password.as_deref() == Some(new) {
        return Err(Error::Same);
    }
    let hash = credential::make(new)?;
    kept.password = None;
    kept.password_hash = Some(hash.clone());
    save(dirs, &kept)?;
    show(dirs, &kept, device);
    Ok(hash)
}

fn complete(config: &mut Config, kept: &Kept) {
    if let Some(hash) = kept
        .password_hash
        .as_deref()
        .filter(|_| config.users.is_empty())
    {
        config.users.push(User {
            name: USER.into(),
            role: Role::Administrator,
            keys: vec![],
            password: Some(Secret::new(hash)),
            consoles: vec!["*".into()],
            forward: true,
            outlets: vec!["*".into()],
            machines: vec!["*".into()],
            keys_inside: None,
        });
    }
    if let Some(passphrase) = &kept.passphrase {
        for uplink in &mut config.uplinks {
            if wants_passphrase(&uplink.kind) {
                let UplinkKind::Wifi(wifi) = &mut uplink.kind;
                wifi.passphrase = Some(Secret::new(passphrase.as_str()));
            }
        }
    }
}

fn wants_passphrase(kind: &UplinkKind) -> bool {
    matches!(
        kind,
        UplinkKind::Wifi(Wifi {
            passphrase: None,
            open: false,
            ..
        })
    )
}

/// Letters in groups, hyphens between: `7k3vd-…`.
fn random((groups, size): (usize, usize)) -> Result<String, Error> {
    let mut bytes = vec![0; groups * size];
    rand::rngs::OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|e| Error::Random(e.to_string()))?;
    let letters = bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]));
    let letters: Vec<char> = letters.collect();
    let groups: Vec<String> = letters
        .chunks(size)
        .map(|group| group.iter().collect())
        .collect();
    Ok(groups.join("-"))
}

fn store_path(dirs: &Dirs) -> PathBuf {
    dirs.state.join("first-boot.json")
}

/// What was kept; nothing when there is no file. A file that cannot be read is set aside and counts as none.
fn load(path: &Path) -> Kept {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) => {
            if e.kind() != io::ErrorKind::NotFound {
                tracing::error!("{}: {e}", path.display());
            }
            return Kept::default();
        }
    };
    serde_json::from_slice(&bytes).unwrap_or_else(|e| {
        tracing::error!(
            "{} is damaged ({e}); a new password is made",
            path.display()
        );
        if let Err(e) = std::fs::rename(path, path.with_extension("json.damaged")) {
            tracing::error!("{} cannot be set aside: {e}", path.display());
        }
        Kept::default()
    })
}

fn save(dirs: &Dirs, kept: &Kept) -> Result<(), Error> {
    let path = store_path(dirs);
    let fail = |source| Error::Store {
        path: path.clone(),
        source,
    };
    if *kept == Kept::default() {
        return match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(fail(e)),
            _ => Ok(()),
        };
    }
    let json = serde_json::to_vec_pretty(kept).map_err(|e| fail(e.into()))?;
    write_atomically(&path, &json, 0o600).map_err(fail)
}

/// Writes, corrects or removes `first-boot.txt` among the notes and `issue` in the run directory.
fn show(dirs: &Dirs, kept: &Kept, device: &str) {
    let text = text(kept, device);
    for (path, text) in [
        (
            dirs.notes.join("first-boot.txt"),
            text.as_ref().map(|text| text.replace('\n', "\r\n")),
        ),
        (dirs.run.join("issue"), text.clone()),
    ] {
        let now = std::fs::read(&path).ok();
        if now.as_deref() == text.as_ref().map(String::as_bytes) {
            continue;
        }
        let done = match &text {
            Some(text) => write_atomically(&path, text.as_bytes(), 0o600),
            None => std::fs::remove_file(&path),
        };
        if let Err(e) = done {
            tracing::warn!("{} cannot be brought up to date: {e}", path.display());
        }
    }
}

fn text(kept: &Kept, device: &str) -> Option<String> {
    use std::fmt::Write;
    if *kept == Kept::default() {
        return None;
    }
    let mut text = format!("{device}: out-of-band board, not set up yet\n\n");
    if let Some(password) = &kept.password {
        let _ = write!(
            text,
            "Sign in:            ssh {USER}@<address of the board>\nPassword:           {password}\n\
             You are asked for a password of your own at once.\n\n"
        );
    } else if kept.password_hash.is_some() {
        let _ = write!(
            text,
            "Sign in:            ssh {USER}@<address of the board>\nPassword:           the one you chose\n\n"
        );
    }
    if let Some(passphrase) = &kept.passphrase {
        let _ = write!(
            text,
            "Hotspot passphrase: {passphrase}\n\
             Give it to the phone hotspot that the board shall join.\n\n"
        );
    }
    text.push_str("Name users and the passphrase in oobd.toml, and this text goes away.\n");
    Some(text)
}

#[cfg(test)]
#[path = "first_boot_tests.rs"]
mod tests;
