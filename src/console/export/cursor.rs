//! How far each console has reached the server, on flash: one small file, written whole or not at all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::file::write_atomically;
use crate::transcript::Place;

/// Where a console's next message begins, and who was on it there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cursor {
    pub offset: u64,
    /// Marks at `offset` that were told.
    pub marks: u64,
    /// Sessions and their users.
    pub people: BTreeMap<u64, String>,
}

impl Cursor {
    pub(super) fn place(&self) -> Place {
        Place {
            offset: self.offset,
            marks: usize::try_from(self.marks).unwrap_or(usize::MAX),
        }
    }
}

/// By console.
pub(super) type Cursors = BTreeMap<String, Cursor>;

pub(super) fn path(state: &Path) -> PathBuf {
    state.join("consoles").join("syslog.cursors")
}

/// What was saved; nothing when there is no file, or one that is none of ours.
pub(super) fn load(path: &Path) -> Cursors {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Cursors::new(),
        Err(error) => {
            tracing::warn!(%error, "cannot read how far the export was");
            return Cursors::new();
        }
    };
    decode(&bytes).unwrap_or_else(|| {
        tracing::warn!("how far the export was is not readable: it begins with what comes now");
        Cursors::new()
    })
}

/// Blocks for a sync of the flash.
///
/// # Errors
/// What the file system says; the old file then stands.
pub(super) fn save(path: &Path, cursors: &Cursors) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    write_atomically(path, &encode(cursors), 0o600)
}

fn encode(cursors: &Cursors) -> Vec<u8> {
    let payload = postcard::to_stdvec(cursors).unwrap_or_default();
    let mut bytes = crc32fast::hash(&payload).to_le_bytes().to_vec();
    bytes.extend(payload);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Cursors> {
    let (crc, payload) = bytes.split_first_chunk::<4>()?;
    if crc32fast::hash(payload) != u32::from_le_bytes(*crc) {
        return None;
    }
    postcard::from_bytes(payload).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_at_any_byte_is_noticed() {
        let cursor = Cursor {
            offset: 12_345,
            marks: 2,
            people: BTreeMap::from([(1, "alice".into())]),
        };
        let cursors = Cursors::from([("core".into(), cursor)]);
        let bytes = encode(&cursors);
        assert_eq!(decode(&bytes), Some(cursors));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), None, "cut at {cut}");
            let mut bad = bytes.clone();
            bad[cut] ^= 0x10;
            assert_eq!(decode(&bad), None, "flipped {cut}");
        }
    }

    #[test]
    fn saved_and_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = path(dir.path());
        assert_eq!(load(&path), Cursors::new());
        let cursors = Cursors::from([("core".into(), Cursor::default())]);
        save(&path, &cursors).unwrap();
        assert_eq!(load(&path), cursors);
    }
}
