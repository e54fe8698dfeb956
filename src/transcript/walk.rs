//! Goes along a transcript, entry by entry, also while it is written. Blocking; changes nothing; holds one segment open.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::index::{HEADER, Mark, Record, decode_one};
use super::reader::{Entry, Place, Since};
use super::{Error, index_path, length, log_path, starts};
use crate::clock::Timestamp;

/// Bytes of an index read at once; a longer record is read by itself.
const INDEX_PIECE: usize = 16 * 1024;
/// Longest record that [`Record::encode`] writes.
const RECORD_MAX: usize = HEADER + 65_535;

/// A place in a transcript that moves on. Costs a few tens of KiB, however long the transcript is.
#[derive(Debug)]
pub struct Walk {
    dir: PathBuf,
    offset: u64,
    /// Records at `offset` that were passed.
    marks: usize,
    /// Records at the place where it began that do not count any more.
    skip: Option<Place>,
    /// Only bytes that a mark speaks of, so that each has a time.
    settled: bool,
    segment: Option<Segment>,
}

#[derive(Debug)]
struct Segment {
    start: u64,
    log: File,
    index: Option<File>,
    /// Where in the index the next record begins.
    at: u64,
    /// Bytes of the index from `at` on.
    held: Vec<u8>,
    next: Option<Record>,
    /// A later segment is there: nothing comes to this one any more.
    closed: bool,
}

impl Walk {
    /// Begins at `since`. With `settled`, bytes at the end that no mark speaks of yet wait until one does.
    ///
    /// # Errors
    /// [`Error::Io`]. A console without transcript is no error: nothing comes then.
    pub fn new(dir: &Path, since: Since, settled: bool) -> Result<Self, Error> {
        let place = place(dir, since)?;
        Ok(Self {
            dir: dir.to_owned(),
            offset: place.offset,
            marks: 0,
            skip: (place.marks > 0).then_some(place),
            settled,
            segment: None,
        })
    }

    /// Where the next entry is; [`Since::Place`] goes on there.
    #[must_use]
    pub fn place(&self) -> Place {
        match self.skip {
            Some(place) if place.offset == self.offset && self.marks <= place.marks => place,
            _ => Place {
                offset: self.offset,
                marks: self.marks,
            },
        }
    }

    /// The next entry, with at most `limit` bytes; `None` when there is nothing now. More may come later.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn step(&mut self, limit: usize) -> Result<Option<Entry>, Error> {
        loop {
            let Some(mut segment) = self.segment.take() else {
                if !self.enter()? {
                    return Ok(None);
                }
                if let Some(entry) = self.missing() {
                    return Ok(Some(entry));
                }
                continue;
            };
            let entry = self.within(&mut segment, limit);
            let more = match &entry {
                Ok(None) if segment.closed => {
                    // Everything of it was given.
                    let next = starts(&self.dir)?;
                    let next = next.into_iter().find(|&start| start > segment.start);
                    match next.map(|start| open(&self.dir, start)).transpose()? {
                        Some(Some(next)) => {
                            self.segment = Some(next);
                            if let Some(entry) = self.missing() {
                                return Ok(Some(entry));
                            }
                            continue;
                        }
                        // Dropped this moment: there is a later one.
                        Some(None) => true,
                        None => false,
                    }
                }
                Ok(None) => {
                    let list = starts(&self.dir)?;
                    segment.closed = list.into_iter().any(|start| start > segment.start);
                    segment.closed
                }
                _ => false,
            };
            self.segment = Some(segment);
            if !more {
                return entry;
            }
        }
    }

    /// Opens the segment that holds the place, or the first behind it. False when there is none.
    fn enter(&mut self) -> Result<bool, Error> {
        // A segment may be dropped between the look and the opening; the next look finds another one.
        for _ in 0..8 {
            let list = match starts(&self.dir) {
                Err(error) if error.is_not_found() => return Ok(false),
                list => list?,
            };
            // The segment before one that begins here may end with marks that stand here.
            let first = list.partition_point(|&start| start < self.offset);
            let Some(&start) = list.get(first.saturating_sub(1)) else {
                return Ok(false);
            };
            if let Some(segment) = open(&self.dir, start)? {
                self.segment = Some(segment);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What lies between the place and the segment that was entered.
    fn missing(&mut self) -> Option<Entry> {
        let start = self.segment.as_ref()?.start;
        let bytes = start.checked_sub(self.offset).filter(|&bytes| bytes > 0)?;
        let offset = self.offset;
        self.advance(start);
        Some(Entry::Missing { offset, bytes })
    }

    fn advance(&mut self, offset: u64) {
        if offset > self.offset {
            (self.offset, self.marks) = (offset, 0);
        }
    }

    fn within(&mut self, segment: &mut Segment, limit: usize) -> Result<Option<Entry>, Error> {
        loop {
            let path = index_path(&self.dir, segment.start);
            let Some(record) = segment.peek(&path)? else {
                break;
            };
            if record.offset < self.offset {
                segment.next = None;
                continue;
            }
            if record.offset > self.offset {
                let (until, by) = (record.offset, record.at);
                let most = until - self.offset;
                let bytes = self.bytes(segment, limit, most)?;
                if bytes.is_empty() {
                    let offset = self.offset;
                    self.advance(until);
                    let bytes = most;
                    return Ok(Some(Entry::Missing { offset, bytes }));
                }
                return Ok(Some(self.give(bytes, Some(by))));
            }
            self.marks += 1;
            let Some(record) = segment.next.take() else {
                continue;
            };
            let passed = self
                .skip
                .is_some_and(|place| place.offset == self.offset && self.marks <= place.marks);
            if !passed && record.mark != Mark::Time {
                return Ok(Some(Entry::Mark(record)));
            }
        }
        if self.settled && !segment.closed {
            return Ok(None);
        }
        let bytes = self.bytes(segment, limit, u64::MAX)?;
        Ok((!bytes.is_empty()).then(|| self.give(bytes, None)))
    }

    fn give(&mut self, bytes: Vec<u8>, by: Option<Timestamp>) -> Entry {
        let offset = self.offset;
        self.advance(offset + length(bytes.len()));
        Entry::Bytes { offset, by, bytes }
    }

    fn bytes(&self, segment: &Segment, limit: usize, most: u64) -> Result<Vec<u8>, Error> {
        let count = limit
            .max(1)
            .min(usize::try_from(most).unwrap_or(usize::MAX));
        let from = self.offset.saturating_sub(segment.start);
        let path = log_path(&self.dir, segment.start);
        read_at(&segment.log, from, count).map_err(Error::io("read", &path))
    }
}

impl Segment {
    /// The next record of the index, if there is one by now.
    fn peek(&mut self, path: &Path) -> Result<Option<&Record>, Error> {
        if self.next.is_none() && !self.decode() {
            // Read anew: a torn record at the end may have been cut off and written over.
            for count in [INDEX_PIECE, RECORD_MAX] {
                let Some(index) = &self.index else { break };
                self.held = read_at(index, self.at, count).map_err(Error::io("read", path))?;
                let whole = self.held.len() < count;
                if self.decode() || whole {
                    break;
                }
            }
        }
        Ok(self.next.as_ref())
    }

    fn decode(&mut self) -> bool {
        let Some((record, used)) = decode_one(&self.held) else {
            return false;
        };
        self.held.drain(..used);
        self.at += length(used);
        self.next = Some(record);
        true
    }
}

/// `None` when the segment was dropped this moment.
fn open(dir: &Path, start: u64) -> Result<Option<Segment>, Error> {
    let file = |path: &Path| match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("open", path)(error)),
    };
    let Some(log) = file(&log_path(dir, start))? else {
        return Ok(None);
    };
    Ok(Some(Segment {
        start,
        log,
        // Lost: the bytes still count.
        index: file(&index_path(dir, start))?,
        at: 0,
        held: Vec::new(),
        next: None,
        closed: false,
    }))
}

/// At most `count` bytes, fewer only at the end of the file.
fn read_at(file: &File, from: u64, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count.min(1 << 20)];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, from + length(filled)) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}

/// The place where `since` lies.
fn place(dir: &Path, since: Since) -> Result<Place, Error> {
    let list = || match starts(dir) {
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        list => list,
    };
    let offset = match since {
        Since::Offset(offset) => offset,
        Since::Place(place) => return Ok(place),
        Since::Last(bytes) => {
            let list = list()?;
            let first = list.first().copied().unwrap_or(0);
            end(dir, &list)?.saturating_sub(bytes).max(first)
        }
        Since::Time(time) => since_time(dir, time, &list()?)?,
    };
    Ok(Place { offset, marks: 0 })
}

/// Offset of the byte after the last one.
fn end(dir: &Path, list: &[u64]) -> Result<u64, Error> {
    let Some(&last) = list.last() else {
        return Ok(0);
    };
    let path = log_path(dir, last);
    match std::fs::metadata(&path) {
        Ok(meta) => Ok(last + meta.len()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(last),
        Err(error) => Err(Error::io("look at", &path)(error)),
    }
}

/// Where the bytes begin that a mark of `time` or later speaks of.
fn since_time(dir: &Path, time: Timestamp, list: &[u64]) -> Result<u64, Error> {
    let mut before = list.first().copied().unwrap_or(0);
    for &start in list {
        let Some(mut segment) = open(dir, start)? else {
            continue;
        };
        let path = index_path(dir, start);
        while let Some(record) = segment.peek(&path)? {
            if record.at >= time {
                return Ok(before);
            }
            before = record.offset;
            segment.next = None;
        }
    }
    Ok(before)
}

/// First and next offset of what is stored.
///
/// # Errors
/// [`Error::Io`]; a console without transcript has `(0, 0)`.
pub(super) fn span(dir: &Path) -> Result<(u64, u64), Error> {
    let list = match starts(dir) {
        Err(error) if error.is_not_found() => return Ok((0, 0)),
        list => list?,
    };
    Ok((list.first().copied().unwrap_or(0), end(dir, &list)?))
}
