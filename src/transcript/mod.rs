//! What a console received, as it lies on flash, for everybody who reads it. Never writes: see `console::transcript`.
//!
//! `state/consoles/NAME/00000000000000012345.log` holds the bytes of the stream from offset 12345 on, nothing else:
//! `cat` shows it. The `.idx` beside it holds our own marks, each with its offset and a checksum, so that nothing a
//! device prints can pass for one. Files are only appended to; the oldest go when the quota is reached.

use std::path::{Path, PathBuf};

mod index;
mod lines;
mod reader;
mod search;
#[cfg(test)]
mod tests;
mod text;
mod walk;

pub(crate) use index::decode;
pub use index::{Mark, Record};
pub use lines::{Item, Line, Lines};
pub use reader::{Entry, Page, Place, Reader, Since};
pub use search::{Log, Query};
pub use text::{Plain, escaped};
pub use walk::Walk;

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
    pub(crate) fn io<'a>(
        what: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io {
            what,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
            }
            Self::Busy { .. } => false,
        }
    }

    fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

/// Where the transcript of a console lies.
#[must_use]
pub fn dir(state: &Path, console: &str) -> PathBuf {
    state.join("consoles").join(console)
}

pub(crate) fn log_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}.log"))
}

pub(crate) fn index_path(dir: &Path, start: u64) -> PathBuf {
    dir.join(format!("{start:020}.idx"))
}

/// Start offsets of the segments in a directory, oldest first. Files of other names are left alone.
pub(crate) fn starts(dir: &Path) -> Result<Vec<u64>, Error> {
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

/// A length in memory as a distance in the stream.
#[must_use]
pub(crate) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
