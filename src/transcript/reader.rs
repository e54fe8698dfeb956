//! Reads a transcript in pages, also while it is written. Blocking; changes nothing.

use std::path::{Path, PathBuf};

use super::Error;
use super::index::Record;
use super::walk::{self, Walk};
use crate::clock::Timestamp;

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    Offset(u64),
    /// Where a page ended; see [`Page::next`].
    Place(Place),
    /// What came at that time or later, by the board's clock of then.
    Time(Timestamp),
    /// So many bytes before the end.
    Last(u64),
}

/// One piece of a transcript.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// What the device sent, raw: it may hold anything, terminal commands too.
    Bytes {
        offset: u64,
        /// They had all come by then; `None` for the last ones before a power cut.
        by: Option<Timestamp>,
        bytes: Vec<u8>,
    },
    /// Bytes that are not there: never stored, or dropped with their segment.
    Missing { offset: u64, bytes: u64 },
    /// What oobd says about this place; never from the device.
    Mark(Record),
}

/// A place between two entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    /// Marks at this offset that come before the place.
    pub marks: usize,
}

/// Some entries, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Where the next page begins.
    pub next: Place,
    /// Nothing follows for now.
    pub end: bool,
}

/// Cheap to make and to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    dir: PathBuf,
}

impl Reader {
    /// Reads the transcript in this directory, see [`super::dir`].
    #[must_use]
    pub fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Reads on from `since`, stopping after about `limit` bytes. A console without transcript gives an empty page.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn read(&self, since: Since, limit: usize) -> Result<Page, Error> {
        let mut walk = Walk::new(&self.dir, since, false)?;
        let mut page = Page::default();
        let mut left = limit.max(1);
        while left > 0 {
            let Some(entry) = walk.step(left)? else {
                page.end = true;
                break;
            };
            if let Entry::Bytes { bytes, .. } = &entry {
                left -= bytes.len().min(left);
            }
            page.entries.push(entry);
        }
        page.next = walk.place();
        Ok(page)
    }

    /// Offset of the oldest byte stored, and of the next to come. `(0, 0)` for a console without transcript.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn span(&self) -> Result<(u64, u64), Error> {
        walk::span(&self.dir)
    }
}
