//! An image as a medium: opened once, read and written by place. Blocks; never holds more than what was asked for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use super::scsi::Kind;

/// Nobody else writes to it while it is open here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Medium {
    file: Arc<File>,
    length: u64,
    blocks: u32,
    writable: bool,
}

fn wrong(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

impl Medium {
    /// Opens an image for a drive of this kind. What is to be written to is no link to elsewhere. Blocks.
    ///
    /// # Errors
    /// It cannot be opened, is no plain file or no image of such a medium, or is in use where one of both writes.
    pub fn open(path: &Path, kind: Kind, writable: bool) -> io::Result<Self> {
        // A pipe would wait for its other end.
        let mut flags = libc::O_NONBLOCK;
        if writable {
            flags |= libc::O_NOFOLLOW;
        }
        let mut options = OpenOptions::new();
        let options = options.read(true).write(writable).custom_flags(flags);
        let file = options.open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(wrong("no plain file"));
        }
        let lock = match writable {
            true => file.try_lock(),
            false => file.try_lock_shared(),
        };
        match lock {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "it is in use already, and one of both writes to it",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let (length, block) = (about.len(), u64::from(kind.block()));
        if length == 0 {
            return Err(wrong("it is empty"));
        }
        if !length.is_multiple_of(512) {
            return Err(wrong(format!(
                "its {length} bytes are no multiple of 512: it is no image of a medium"
            )));
        }
        let blocks = u32::try_from(length.div_ceil(block))
            .map_err(|_| wrong("it is larger than a drive can be"))?;
        Ok(Self {
            file: Arc::new(file),
            length,
            blocks,
            writable,
        })
    }

    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// So many bytes from here on. What the last block has beyond the end of the file is zero. Blocks.
    ///
    /// # Errors
    /// The card cannot be read, or somebody made the file shorter.
    pub fn read(&self, at: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let there = self.length.saturating_sub(at);
        let there = usize::try_from(there).unwrap_or(count).min(count);
        if let Some(place) = bytes.get_mut(..there) {
            self.file.read_exact_at(place, at)?;
        }
        Ok(bytes)
    }

    /// Writes from here on, not beyond the end; on the card when it returns. Blocks.
    ///
    /// # Errors
    /// The card cannot be written, or it is beyond the end.
    pub fn write(&self, at: u64, bytes: &[u8], sync: bool) -> io::Result<()> {
        let end = u64::try_from(bytes.len())
            .ok()
            .and_then(|length| at.checked_add(length));
        if end.is_none_or(|end| end > self.length) {
            return Err(wrong("beyond the end of the medium"));
        }
        self.file.write_all_at(bytes, at)?;
        if sync {
            self.file.sync_data()?;
        }
        Ok(())
    }
}
