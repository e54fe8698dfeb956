//! The board's SSH identity: one ed25519 key, made at first start and kept. Never leaves the state directory.

use std::io;
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use crate::file::write_atomically;

use super::Error;

/// The key in use.
#[derive(Debug)]
pub(super) struct HostKey {
    pub(super) key: PrivateKey,
    /// `SHA256:…`
    pub(super) fingerprint: String,
    /// An older key could not be used: its file and why. Clients will warn.
    pub(super) replaced: Option<(String, String)>,
}

/// Reads the key, or makes one. A damaged file is set aside, never silently overwritten; a key that cannot be stored is
/// used for this boot, for a board that cannot be reached is worth less than a warning.
///
/// # Errors
/// Only when no key can be made at all.
pub(super) async fn load_or_make(path: PathBuf) -> Result<HostKey, Error> {
    let shown = path.clone();
    let made = tokio::task::spawn_blocking(move || load_or_make_blocking(&path)).await;
    made.map_err(|e| e.to_string())
        .and_then(|made| made)
        .map_err(|reason| Error::HostKey {
            path: shown,
            reason,
        })
}

fn load_or_make_blocking(path: &Path) -> Result<HostKey, String> {
    let fault = match load(path) {
        Ok(Some(key)) => return Ok(finish(key, None)),
        Ok(None) => None,
        Err(reason) => Some(reason),
    };
    let replaced = fault.map(|reason| {
        let aside = path.with_extension("damaged");
        let moved = match std::fs::rename(path, &aside) {
            Ok(()) => format!("moved to {}", aside.display()),
            Err(e) => format!("and cannot be moved aside: {e}"),
        };
        tracing::error!(
            "the SSH host key {} is not usable ({reason}), {moved}; a new one is made, clients will warn",
            path.display()
        );
        (path.display().to_string(), reason)
    });
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
        .map_err(|e| e.to_string())?;
    let text = key.to_openssh(LineEnding::LF).map_err(|e| e.to_string())?;
    if let Err(e) = write_atomically(path, text.as_bytes(), 0o600) {
        tracing::error!(
            "the SSH host key {} cannot be stored ({e}); it is another one after the next start",
            path.display()
        );
    }
    Ok(finish(key, replaced))
}

/// `None` when there is no file yet.
fn load(path: &Path) -> Result<Option<PrivateKey>, String> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    };
    let key = PrivateKey::from_openssh(&text).map_err(|e| e.to_string())?;
    if key.is_encrypted() || key.algorithm() != Algorithm::Ed25519 {
        return Err("it is not an unencrypted ed25519 key".into());
    }
    use std::os::unix::fs::PermissionsExt;
    let narrow = std::fs::Permissions::from_mode(0o600);
    if let Err(e) = std::fs::set_permissions(path, narrow) {
        tracing::warn!("{}: {e}", path.display());
    }
    Ok(Some(key))
}

fn finish(key: PrivateKey, replaced: Option<(String, String)>) -> HostKey {
    HostKey {
        fingerprint: key.public_key().fingerprint(HashAlg::Sha256).to_string(),
        key,
        replaced,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_kept_and_narrow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = load_or_make_blocking(&path).unwrap();
        assert!(first.replaced.is_none());
        assert!(first.fingerprint.starts_with("SHA256:"));
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let second = load_or_make_blocking(&path).unwrap();
        assert_eq!(second.fingerprint, first.fingerprint);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_damaged_key_is_set_aside_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let first = load_or_make_blocking(&path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() / 2]).unwrap();
        let second = load_or_make_blocking(&path).unwrap();
        assert_ne!(second.fingerprint, first.fingerprint);
        let (file, reason) = second.replaced.unwrap();
        assert!(file.ends_with("key") && !reason.is_empty());
        assert_eq!(
            std::fs::read_to_string(path.with_extension("damaged")).unwrap(),
            text[..text.len() / 2]
        );
        let third = load_or_make_blocking(&path).unwrap();
        assert_eq!(third.fingerprint, second.fingerprint);
        assert!(third.replaced.is_none());
    }

    #[test]
    fn a_directory_that_cannot_be_written_still_gives_a_key() {
        assert!(load_or_make_blocking(Path::new("/nonexistent/key")).is_ok());
    }
}
