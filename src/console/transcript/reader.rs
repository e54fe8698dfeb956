//! Reads a transcript while it is being written. Blocking; changes nothing.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::index::{self, Mark, Record};
use super::{Error, index_path, log_path, starts};
use crate::clock::Timestamp;
use crate::console::ring::length;

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
        let starts = match starts(&self.dir) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => Vec::new(),
            other => other?,
        };
        let from = self.place(since, &starts)?;
        let mut page = Page {
            next: Place {
                offset: from.offset,
                marks: 0,
            },
            ..Page::default()
        };
        // The segment before one that begins here may end with marks that stand here.
        let first = starts.partition_point(|&start| start < from.offset);
        let mut left = limit.max(1);
        for &start in starts.get(first.saturating_sub(1)..).unwrap_or_default() {
            left -= self.segment(start, from, left, &mut page)?;
            if left == 0 {
                return Ok(page);
            }
        }
        page.end = true;
        Ok(page)
    }

    /// Adds a segment's entries from `page.next` on; gives back how many bytes that were.
    fn segment(
        &self,
        start: u64,
        from: Place,
        limit: usize,
        page: &mut Page,
    ) -> Result<usize, Error> {
        // The index first: what it speaks of is in the log by the time we look there.
        let records = self.records(start)?;
        let skip = page.next.offset.saturating_sub(start);
        let Some(bytes) = self.bytes(start, skip, limit)? else {
            return Ok(0);
        };
        if start > page.next.offset {
            page.entries.push(Entry::Missing {
                offset: page.next.offset,
                bytes: start - page.next.offset,
            });
            page.advance(start);
        }
        let end = page.next.offset + length(bytes.len());
        let full = bytes.len() == limit;
        let mut rest = &bytes[..];
        for record in records {
            let at = record.offset;
            if at < page.next.offset || at > end {
                continue;
            }
            let distance = usize::try_from(at - page.next.offset).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(distance.min(rest.len()));
            page.bytes(now, Some(record.at));
            rest = later;
            // A page that is full leaves the marks at its end to the next.
            if full && at == end {
                break;
            }
            page.next.marks += 1;
            let given = at == from.offset && page.next.marks <= from.marks;
            if !given && record.mark != Mark::Time {
                page.entries.push(Entry::Mark(record));
            }
        }
        page.bytes(rest, None);
        Ok(bytes.len())
    }

    /// The place where `since` lies.
    fn place(&self, since: Since, starts: &[u64]) -> Result<Place, Error> {
        let first = starts.first().copied().unwrap_or(0);
        let offset = match since {
            Since::Offset(offset) => offset,
            Since::Place(place) => return Ok(place),
            Since::Last(bytes) => {
                let Some(&last) = starts.last() else {
                    return Ok(Place::default());
                };
                let path = log_path(&self.dir, last);
                let len = match std::fs::metadata(&path) {
                    Ok(meta) => meta.len(),
                    Err(error) if error.kind() == ErrorKind::NotFound => 0,
                    Err(error) => return Err(Error::io("look at", &path)(error)),
                };
                (last + len).saturating_sub(bytes).max(first)
            }
            Since::Time(time) => self.since(time, first, starts)?,
        };
        Ok(Place { offset, marks: 0 })
    }

    /// Where the bytes begin that a mark of `time` or later speaks of.
    fn since(&self, time: Timestamp, first: u64, starts: &[u64]) -> Result<u64, Error> {
        let mut before = first;
        for &start in starts {
            for record in self.records(start)? {
                if record.at >= time {
                    return Ok(before);
                }
                before = record.offset;
            }
        }
        Ok(before)
    }

    fn records(&self, start: u64) -> Result<Vec<Record>, Error> {
        let path = index_path(&self.dir, start);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(index::decode(&bytes).0),
            // Dropped this moment, or lost: the bytes still count.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }

    /// `None` when the segment was dropped this moment.
    fn bytes(&self, start: u64, skip: u64, limit: usize) -> Result<Option<Vec<u8>>, Error> {
        let path = log_path(&self.dir, start);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(skip))
            .and_then(|_| file.take(length(limit)).read_to_end(&mut bytes))
            .map_err(Error::io("read", &path))?;
        Ok(Some(bytes))
    }
}

impl Page {
    fn bytes(&mut self, bytes: &[u8], by: Option<Timestamp>) {
        if bytes.is_empty() {
            return;
        }
        let offset = self.next.offset;
        self.entries.push(Entry::Bytes {
            offset,
            by,
            bytes: bytes.to_vec(),
        });
        self.advance(offset + length(bytes.len()));
    }

    fn advance(&mut self, offset: u64) {
        self.next = Place { offset, marks: 0 };
    }
}
