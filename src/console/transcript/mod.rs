//! What a console received, kept on flash: raw bytes in segment files, and beside each an index of who, what and when.
//!
//! `state/consoles/NAME/00000000000000012345.log` holds the bytes of the stream from offset 12345 on, nothing else:
//! `cat` shows it. The `.idx` beside it holds our own marks, each with its offset and a checksum, so that nothing a
//! device prints can pass for one. Files are only appended to; the oldest go when the quota is reached.
//! A power cut may take the last seconds, never what was synced before.

use std::path::{Path, PathBuf};

mod index;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use index::{Mark, Record};
pub use reader::{Entry, Page, Place, Reader, Since};
pub(super) use store::Store;
pub(super) use writer::{Fault, Writer};

/// What the file system said no to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what} {}", path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// Another writer holds the directory: an owner that has not ended yet.
    #[error("{} is in use", path.display())]
    Busy { path: PathBuf },
}

impl Error {
    fn io<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
            }
            Self::Busy { .. } => false,
        }
    }
}

/// Where the transcript of a console lies.
#[must_use]
pub fn dir(state: &Path, console: &str) -> PathBuf {
    state.join("consoles").join(console)
}

fn log_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}.log"))
}

fn index_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}.idx"))
}

/// Start offsets of the segments in a directory, oldest first. Files of other names are left alone.
fn starts(dir: &Path) -> Result<Vec<u64>, Error> {
    let list = std::fs::read_dir(dir).map_err(Error::io("list", dir))?;
    let mut starts = Vec::new();
    for entry in list {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log"));
        starts.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    starts.sort_unstable();
    Ok(starts)
}
