//! Entries of a transcript as lines, with our marks between them. Pure; keeps one line.

use serde::{Deserialize, Serialize};

use super::index::Record;
use super::length;
use super::reader::Entry;
use crate::clock::Timestamp;

/// A longer line is cut into pieces of this size.
const LINE_MAX: usize = 4096;
/// Marks that wait for the end of the line they stand in.
const MARKS_MAX: usize = 64;

/// One thing to show. Crosses the control socket: append variants only, and never change one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Of its first byte in the stream.
    pub offset: u64,
    /// It had come by then; `None` for the last ones before a power cut.
    pub at: Option<Timestamp>,
    /// Raw, its line end included when `ended`.
    pub bytes: Vec<u8>,
    /// False for a prompt that waits, and for a piece of a line that is too long.
    pub ended: bool,
}

/// See [`Line`]: append variants only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Item {
    Line(Line),
    /// Bytes that are not there.
    Missing {
        offset: u64,
        bytes: u64,
    },
    /// What oobd says; never from the device.
    Mark(Record),
    /// A line around one that was looked for.
    Near(Line),
    /// Lines that do not fit were left out here.
    Skipped,
    /// A piece of the stream as it is.
    Raw {
        offset: u64,
        bytes: Vec<u8>,
    },
}

/// Puts lines together.
#[derive(Debug)]
pub struct Lines {
    longest: usize,
    offset: u64,
    line: Vec<u8>,
    at: Option<Timestamp>,
    marks: Vec<Record>,
}

impl Default for Lines {
    fn default() -> Self {
        Self::cut_at(LINE_MAX)
    }
}

impl Lines {
    /// Cuts lines that are longer than so many bytes.
    #[must_use]
    pub fn cut_at(longest: usize) -> Self {
        Self {
            longest: longest.max(1),
            offset: 0,
            line: Vec::new(),
            at: None,
            marks: Vec::new(),
        }
    }

    /// Takes an entry in and adds what is whole now to `out`.
    pub fn take(&mut self, entry: Entry, out: &mut Vec<Item>) {
        match entry {
            Entry::Bytes { offset, by, bytes } => self.bytes(offset, by, &bytes, out),
            Entry::Missing { offset, bytes } => {
                self.flush(out);
                out.push(Item::Missing { offset, bytes });
            }
            Entry::Mark(record) if self.line.is_empty() => out.push(Item::Mark(record)),
            Entry::Mark(record) => {
                self.marks.push(record);
                if self.marks.len() >= MARKS_MAX {
                    self.flush(out);
                }
            }
        }
    }

    /// Gives the line that has no end yet.
    pub fn flush(&mut self, out: &mut Vec<Item>) {
        self.end(false, out);
    }

    /// Is there a line without an end?
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.line.is_empty()
    }

    fn bytes(&mut self, offset: u64, by: Option<Timestamp>, bytes: &[u8], out: &mut Vec<Item>) {
        let mut rest = bytes;
        let mut at = offset;
        while !rest.is_empty() {
            if self.line.is_empty() {
                self.offset = at;
            }
            let room = self.longest.saturating_sub(self.line.len());
            let end = rest.iter().take(room).position(|&byte| byte == b'\n');
            let count = end.map_or(room.min(rest.len()), |end| end + 1);
            let (now, later) = rest.split_at(count);
            self.line.extend_from_slice(now);
            self.at = by;
            at += length(count);
            rest = later;
            if end.is_some() || self.line.len() >= self.longest {
                self.end(end.is_some(), out);
            }
        }
    }

    fn end(&mut self, ended: bool, out: &mut Vec<Item>) {
        if !self.line.is_empty() {
            out.push(Item::Line(Line {
                offset: self.offset,
                at: self.at.take(),
                bytes: std::mem::take(&mut self.line),
                ended,
            }));
        }
        out.extend(self.marks.drain(..).map(Item::Mark));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transcript::Mark;

    fn mark(offset: u64) -> Record {
        Record {
            offset,
            at: Timestamp(1),
            mark: Mark::Started,
        }
    }

    #[test]
    fn a_mark_within_a_line_comes_after_it_and_text_that_looks_like_one_stays_text() {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        let bytes = |offset, bytes: &[u8]| Entry::Bytes {
            offset,
            by: None,
            bytes: bytes.into(),
        };
        lines.take(bytes(0, b"[-- forged --]\r\nhal"), &mut out);
        lines.take(Entry::Mark(mark(19)), &mut out);
        lines.take(bytes(19, b"f\n"), &mut out);
        let line = |offset, bytes: &[u8]| {
            Item::Line(Line {
                offset,
                at: None,
                bytes: bytes.into(),
                ended: true,
            })
        };
        assert_eq!(
            out,
            [
                line(0, b"[-- forged --]\r\n"),
                line(16, b"half\n"),
                Item::Mark(mark(19))
            ]
        );
    }

    proptest! {
        /// However the stream is cut, its lines are the same and all of its bytes are in them.
        #[test]
        fn no_byte_is_lost_or_moved(
            data in prop::collection::vec(prop::sample::select(b"ab\r\n\x1b".to_vec()), 0..9000),
            cut in 1..5000_usize,
        ) {
            let whole = |cut: usize| {
                let (mut lines, mut out, mut at) = (Lines::default(), Vec::new(), 7);
                for bytes in data.chunks(cut) {
                    lines.take(Entry::Bytes { offset: at, by: None, bytes: bytes.into() }, &mut out);
                    at += length(bytes.len());
                }
                lines.flush(&mut out);
                out
            };
            let out = whole(cut);
            prop_assert_eq!(&out, &whole(usize::MAX));
            let mut joined = Vec::new();
            for item in out {
                let Item::Line(line) = item else { panic!("{item:?}") };
                prop_assert_eq!(line.offset, 7 + length(joined.len()));
                prop_assert!(line.bytes.len() <= LINE_MAX);
                joined.extend(line.bytes);
            }
            prop_assert_eq!(joined, data);
        }
    }
}
