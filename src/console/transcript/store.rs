//! The files of one transcript, as their only writer sees them. Blocking; lives in the writer's thread.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};

use crate::clock::Timestamp;
use crate::transcript::{self, Error, Mark, Record, index_path, length, log_path, starts};

/// Segments per quota: dropping the oldest drops an eighth of the transcript.
const SEGMENTS: u64 = 8;
const SEGMENT_MIN: u64 = 16 * 1024;
const SEGMENT_MAX: u64 = 4 * 1024 * 1024;

/// A segment's two files, by length.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    log: u64,
    index: u64,
}

impl Segment {
    fn end(self) -> u64 {
        self.start + self.log
    }

    fn bytes(self) -> u64 {
        self.log + self.index
    }
}

/// An open transcript: the last segment takes what comes.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    quota: u64,
    /// Oldest first, without `current`.
    closed: VecDeque<Segment>,
    current: Segment,
    log: File,
    index: File,
    /// Log bytes that a power cut would take.
    unsynced: u64,
    /// Index bytes that a power cut would take.
    unsynced_index: bool,
    _lock: Flock<File>,
}

impl Store {
    /// Opens or makes the transcript, cuts torn tails off, and marks that recording begins.
    ///
    /// # Errors
    /// [`Error`]; nothing that was stored is touched.
    pub(crate) fn open(dir: &Path, quota: u64) -> Result<Self, Error> {
        // What a console printed may hold passwords.
        let mut make = DirBuilder::new();
        make.recursive(true).mode(0o700);
        make.create(dir).map_err(Error::io("make", dir))?;
        let lock = lock(dir)?;
        let mut segments = VecDeque::new();
        for start in starts(dir)? {
            let log = size(&log_path(dir, start))?;
            let index = size(&index_path(dir, start)).unwrap_or(0);
            segments.push_back(Segment { start, log, index });
        }
        let last = segments.pop_back().unwrap_or(Segment {
            start: 0,
            log: 0,
            index: 0,
        });
        let log = append(&log_path(dir, last.start))?;
        let mut index = append(&index_path(dir, last.start))?;
        let (stored, index_len) = recover(&mut index, &index_path(dir, last.start))?;
        let mut store = Self {
            dir: dir.to_owned(),
            quota,
            closed: segments,
            current: Segment {
                index: index_len,
                ..last
            },
            log,
            index,
            unsynced: 0,
            unsynced_index: true,
            _lock: lock,
        };
        // An index that knows bytes which the log has not: never give their offsets to other bytes.
        let lost = stored.saturating_sub(store.end());
        if lost > 0 {
            store.rotate(stored)?;
            store.mark(Mark::Damaged { bytes: lost })?;
        }
        store.mark(Mark::Started)?;
        store.sync()?;
        Ok(store)
    }

    /// Offset of the next byte.
    #[must_use]
    pub(crate) fn end(&self) -> u64 {
        self.current.end()
    }

    /// Log bytes that a power cut would take now.
    #[must_use]
    pub(crate) fn unsynced(&self) -> u64 {
        self.unsynced
    }

    /// A power cut would take something now.
    #[must_use]
    pub(crate) fn is_dirty(&self) -> bool {
        self.unsynced > 0 || self.unsynced_index
    }

    /// Stores the bytes at `offset`. Bytes before it that were never given become a gap.
    ///
    /// Gives back how many bytes were taken; the caller comes again with the rest.
    ///
    /// # Errors
    /// [`Error`]. A full disk is one only when dropping every old segment made no room.
    pub(crate) fn append(&mut self, offset: u64, bytes: &[u8]) -> Result<usize, Error> {
        let gap = offset.saturating_sub(self.end());
        if gap > 0 {
            self.mark(Mark::Gap { bytes: gap })?;
            self.rotate(offset)?;
        } else if self.current.log >= self.segment_max() {
            self.mark(Mark::Time)?;
            self.rotate(self.end())?;
        }
        let room = self.segment_max().saturating_sub(self.current.log);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let piece = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        let taken = self.with_room(|store| {
            let path = log_path(&store.dir, store.current.start);
            store.log.write(piece).map_err(Error::io("write", &path))
        })?;
        self.current.log += length(taken);
        self.unsynced += length(taken);
        Ok(taken)
    }

    /// Puts a mark at the end of what is stored, dated now.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub(crate) fn mark(&mut self, mark: Mark) -> Result<(), Error> {
        self.mark_at(Timestamp::now(), mark)
    }

    /// Puts a mark at the end of what is stored.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub(crate) fn mark_at(&mut self, at: Timestamp, mark: Mark) -> Result<(), Error> {
        let record = Record {
            offset: self.end(),
            at,
            mark,
        };
        let Some(bytes) = record.encode() else {
            tracing::warn!(?record, "a mark too long to keep");
            return Ok(());
        };
        if self.current.index >= self.segment_max() {
            if self.current.log > 0 {
                self.rotate(self.end())?;
            } else {
                // Only marks and no byte, as of a port that flaps for weeks: the oldest marks go.
                self.cut_index(0)?;
            }
        }
        let before = self.current.index;
        self.with_room(|store| {
            let path = index_path(&store.dir, store.current.start);
            let written = store
                .index
                .write_all(&bytes)
                .map_err(Error::io("write", &path));
            if written.is_err() {
                // Half a record would hide all that follow.
                store.cut_index(before)?;
            }
            written
        })?;
        self.current.index = before + length(bytes.len());
        self.unsynced_index = true;
        Ok(())
    }

    /// Returns when everything is on flash: bytes first, then what is said about them.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sync(&mut self) -> Result<(), Error> {
        if self.unsynced > 0 {
            let path = log_path(&self.dir, self.current.start);
            self.log.sync_data().map_err(Error::io("sync", &path))?;
            self.unsynced = 0;
        }
        if self.unsynced_index {
            let path = index_path(&self.dir, self.current.start);
            self.index.sync_data().map_err(Error::io("sync", &path))?;
            self.unsynced_index = false;
        }
        Ok(())
    }

    /// The last bytes stored, at most `max` and from one segment: what a ring starts with after a restart.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn tail(&self, max: usize) -> Result<Vec<u8>, Error> {
        let segment = match self.closed.back() {
            Some(before) if self.current.log == 0 && before.end() == self.current.start => *before,
            _ => self.current,
        };
        let path = log_path(&self.dir, segment.start);
        let from = segment.log.saturating_sub(length(max));
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        file.seek(SeekFrom::Start(from))
            .map_err(Error::io("read", &path))?;
        let mut bytes = Vec::new();
        file.take(segment.log - from)
            .read_to_end(&mut bytes)
            .map_err(Error::io("read", &path))?;
        Ok(bytes)
    }

    fn segment_max(&self) -> u64 {
        (self.quota / SEGMENTS).clamp(SEGMENT_MIN, SEGMENT_MAX)
    }

    /// Closes the current segment and begins one at `start`.
    fn rotate(&mut self, start: u64) -> Result<(), Error> {
        if start == self.current.start {
            // Nothing in it yet: it goes on under its name.
            return Ok(());
        }
        self.sync()?;
        let used = |store: &Self| {
            let closed: u64 = store.closed.iter().map(|segment| segment.bytes()).sum();
            closed + store.current.bytes()
        };
        while used(self) + self.segment_max() > self.quota && self.drop_oldest()? {}
        let (log, index) = self.with_room(|store| {
            let log = append(&log_path(&store.dir, start))?;
            Ok((log, append(&index_path(&store.dir, start))?))
        })?;
        sync_dir(&self.dir)?;
        (self.log, self.index) = (log, index);
        self.closed.push_back(self.current);
        self.current = Segment {
            start,
            log: 0,
            index: 0,
        };
        Ok(())
    }

    /// Does `work`; when the disk is full, drops old segments until it fits or none is left.
    fn with_room<T>(
        &mut self,
        mut work: impl FnMut(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match work(self) {
                Err(error) if error.is_full() => {
                    if !self.drop_oldest()? {
                        return Err(error);
                    }
                }
                done => return done,
            }
        }
    }

    /// False when there is no old segment left.
    fn drop_oldest(&mut self) -> Result<bool, Error> {
        let Some(oldest) = self.closed.pop_front() else {
            return Ok(false);
        };
        // The log goes first: an index without a log is nothing, a log without an index still is a transcript.
        for path in [
            log_path(&self.dir, oldest.start),
            index_path(&self.dir, oldest.start),
        ] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(true)
    }

    fn cut_index(&mut self, len: u64) -> Result<(), Error> {
        let path = index_path(&self.dir, self.current.start);
        self.index.set_len(len).map_err(Error::io("cut", &path))?;
        self.current.index = len;
        Ok(())
    }
}

/// Cuts a torn tail off an index; gives the greatest offset it speaks of as stored, and its length.
fn recover(file: &mut File, path: &Path) -> Result<(u64, u64), Error> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)
        .map_err(Error::io("read", path))?;
    let (records, used) = transcript::decode(&bytes);
    let used = length(used);
    if used < length(bytes.len()) {
        tracing::warn!(path = %path.display(), "cut a torn tail off a transcript's index");
        file.set_len(used).map_err(Error::io("cut", path))?;
    }
    let stored = records.iter().map(|record| record.offset).max();
    Ok((stored.unwrap_or(0), used))
}

fn append(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600);
    options.open(path).map_err(Error::io("open", path))
}

fn size(path: &Path) -> Result<u64, Error> {
    fs::metadata(path)
        .map(|meta| meta.len())
        .map_err(Error::io("look at", path))
}

fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("sync", dir))
}

fn lock(dir: &Path) -> Result<Flock<File>, Error> {
    let path = dir.join("lock");
    let file = append(&path)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| Error::Busy {
        path: dir.to_owned(),
    })
}
