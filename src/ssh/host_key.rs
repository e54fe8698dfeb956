//! The board's SSH identity: one ed25519 key, made at first start and kept. Never leaves the state directory.

use std::path::{Path, PathBuf};

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use crate::file;

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

/// Reads the key, or makes one, as [`file::keep`] says.
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
    let kept = file::keep(path, "the SSH host key", read, || {
        let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)
            .map_err(|e| e.to_string())?;
        let text = key.to_openssh(LineEnding::LF).map_err(|e| e.to_string())?;
        Ok(text.to_string())
    })?;
    Ok(finish(kept.value, kept.replaced))
}

fn read(text: &str) -> Result<PrivateKey, String> {
    let key = PrivateKey::from_openssh(text).map_err(|e| e.to_string())?;
    if key.is_encrypted() || key.algorithm() != Algorithm::Ed25519 {
        return Err("it is not an unencrypted ed25519 key".into());
    }
    Ok(key)
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
