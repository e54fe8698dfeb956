//! Small files that survive a power cut: written whole or not at all. Never follows what it replaces.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

mod slots;

pub use slots::Slots;

/// For the owner alone.
const NARROW: u32 = 0o600;

/// Where, in the folder that survives reboots, the images are that machines are given as media.
pub const IMAGES: &str = "images";

/// Replaces `path` by these bytes: a new file beside it, synced, renamed over it, the directory synced.
///
/// After a power cut the file holds the old bytes or the new ones. `mode` is what the file gets from its first
/// byte on (a FAT file system ignores it). Blocks; two writers of one path must not run at once.
///
/// # Errors
/// The first failing call; the old file then stands untouched.
pub fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = directory.join(name);
    // Left over from a power cut; its mode or owner may be anything.
    match std::fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&fresh, path)?;
    File::open(directory)?.sync_all()
}

/// The path of a file of this folder; `None` for a name that leads elsewhere, or to what is hidden.
#[must_use]
pub fn inside(folder: &Path, name: &str) -> Option<PathBuf> {
    let bare = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']);
    bare.then(|| folder.join(name))
}

/// Bytes that each network interface received and sent since it came.
pub type Traffic = BTreeMap<String, [Option<u64>; 2]>;

/// Of these interfaces, as the kernel counts them. Blocks for microseconds.
#[must_use]
pub fn traffic(interfaces: Vec<String>) -> Traffic {
    let both = |interface: String| {
        let folder = Path::new("/sys/class/net").join(&interface);
        let counts = ["rx_bytes", "tx_bytes"].map(|name| {
            let text = std::fs::read_to_string(folder.join("statistics").join(name)).ok()?;
            text.trim().parse().ok()
        });
        (interface, counts)
    };
    interfaces.into_iter().map(both).collect()
}

/// What [`keep`] found or made.
#[derive(Debug)]
pub struct Kept<T> {
    pub value: T,
    /// An older one could not be used: its file and why. Whoever pinned it will be warned.
    pub replaced: Option<(String, String)>,
}

/// Reads an identity of the board (a key, a certificate) that is made once and kept, or makes it. A damaged file is set
/// aside as `….damaged`, never silently overwritten; one that cannot be stored is used for this boot, for a board that
/// cannot be reached is worth less than a warning. `make` gives the text to store. Blocks.
///
/// # Errors
/// Only when none can be made at all.
pub fn keep<T>(
    path: &Path,
    what: &str,
    read: impl Fn(&str) -> Result<T, String>,
    make: impl FnOnce() -> Result<String, String>,
) -> Result<Kept<T>, String> {
    let fault = match std::fs::read_to_string(path) {
        Ok(text) => match read(&text) {
            Ok(value) => {
                if let Err(e) = std::fs::set_permissions(path, Permissions::from_mode(NARROW)) {
                    tracing::warn!("{}: {e}", path.display());
                }
                let replaced = None;
                return Ok(Kept { value, replaced });
            }
            Err(reason) => Some(reason),
        },
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => Some(e.to_string()),
    };
    let replaced = fault.map(|reason| {
        let aside = path.with_extension("damaged");
        let moved = match std::fs::rename(path, &aside) {
            Ok(()) => format!("moved to {}", aside.display()),
            Err(e) => format!("and cannot be moved aside: {e}"),
        };
        tracing::error!(
            "{what} {} is not usable ({reason}), {moved}; a new one is made, clients will warn",
            path.display()
        );
        (path.display().to_string(), reason)
    });
    let text = make()?;
    let value = read(&text)?;
    if let Err(e) = write_atomically(path, text.as_bytes(), NARROW) {
        tracing::error!(
            "{what} {} cannot be stored ({e}); it is another one after the next start",
            path.display()
        );
    }
    Ok(Kept { value, replaced })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_whole_and_keeps_the_mode_narrow() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(dir.path().join("secret.new"), "torn by a power cut").unwrap();
        write_atomically(&path, b"one", 0o600).unwrap();
        write_atomically(&path, b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_directory_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(write_atomically(&dir.path().join("no/secret"), b"x", 0o600).is_err());
    }
}
