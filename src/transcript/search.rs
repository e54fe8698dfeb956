//! One question to a transcript, answered piece by piece in bounded memory and linear time. Blocking: off the reactor.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use regex::bytes::Regex;
use serde::{Deserialize, Serialize};

use super::index::Mark;
use super::lines::{Item, Line, Lines};
use super::reader::{Entry, Since};
use super::text::Plain;
use super::walk::{Walk, span};
use super::{Error, length};
use crate::clock::Timestamp;

/// Bytes looked at before the caller gets a say: some ten milliseconds of work.
const PIECE: u64 = 1 << 20;
/// Bytes read at once.
const READ: usize = 64 * 1024;
/// About so many bytes of items are given at once.
const ANSWER: usize = 128 * 1024;
/// Where the newest lines are looked for first; four times more each time.
const FIRST_WINDOW: u64 = 256 * 1024;
/// Most lines that `newest` counts.
const NEWEST_MAX: usize = 100_000;
const CONTEXT_MAX: usize = 1000;

/// What is looked for. Crosses the control socket: never changed; a wider question is another one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// What came at that time or later, by the board's clock of then.
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// From this offset of the stream on.
    pub offset: Option<u64>,
    /// A regular expression; only lines that it matches.
    pub pattern: Option<String>,
    /// Lines before and after one that matches.
    pub context: u32,
    /// Only so many lines that fit, the newest.
    pub newest: Option<u32>,
    /// What was typed, too.
    pub typed: bool,
    /// Who came and went, the port's coming and going, breaks.
    pub events: bool,
    /// The stream byte for byte instead of lines.
    pub raw: bool,
    /// Goes on with what comes, until the client hangs up.
    pub follow: bool,
}

/// An answer on its way.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    query: Query,
    pattern: Option<Regex>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Counting(Box<Counting>),
    Showing(Box<Showing>),
}

/// Looks for the place where the newest lines begin.
#[derive(Debug)]
struct Counting {
    window: u64,
    /// The window begins within a line.
    torn: bool,
    whole: bool,
    walk: Walk,
    lines: Lines,
    /// Where to begin for each of the newest lines that fit.
    found: VecDeque<u64>,
    /// The lines before the one looked at.
    before: VecDeque<u64>,
}

#[derive(Debug)]
struct Showing {
    walk: Walk,
    lines: Lines,
    before: VecDeque<Line>,
    /// Lines that still belong to the match before.
    after: usize,
    /// Lines were left out since the last that was given.
    skipped: bool,
    given: bool,
}

impl Log {
    /// Begins to answer.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn new(dir: &Path, query: Query, pattern: Option<Regex>) -> Result<Self, Error> {
        let since = match (query.offset, query.since) {
            (Some(offset), _) => Since::Offset(offset),
            (None, Some(time)) => Since::Time(time),
            (None, None) => Since::Offset(span(dir)?.0),
        };
        let start = Walk::new(dir, since, false)?;
        let phase = match query.newest {
            Some(_) if !query.raw => Phase::Counting(Box::new(Counting::new(
                dir,
                FIRST_WINDOW,
                start.place().offset,
            )?)),
            _ => Phase::Showing(Box::new(Showing::new(start))),
        };
        Ok(Self {
            dir: dir.to_owned(),
            query,
            pattern,
            phase,
        })
    }

    /// Works on for a moment. The items that were found, which may be none, and whether that was all for now.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn go_on(&mut self) -> Result<(Vec<Item>, bool), Error> {
        match &mut self.phase {
            Phase::Showing(showing) => showing.go_on(&self.query, self.pattern.as_ref()),
            Phase::Counting(counting) => {
                if let Some(start) =
                    counting.go_on(&self.dir, &self.query, self.pattern.as_ref())?
                {
                    let walk = Walk::new(&self.dir, Since::Offset(start), false)?;
                    self.phase = Phase::Showing(Box::new(Showing::new(walk)));
                }
                Ok((Vec::new(), false))
            }
        }
    }
}

fn fits(line: &Line, query: &Query, pattern: Option<&Regex>) -> bool {
    let in_time = |at| query.until.is_none_or(|until| at <= until);
    line.at.is_none_or(in_time)
        && pattern.is_none_or(|pattern| pattern.is_match(&Plain::line(&line.bytes)))
}

impl Counting {
    /// Looks at the last `window` bytes, but not before `floor`.
    fn new(dir: &Path, window: u64, floor: u64) -> Result<Self, Error> {
        let (first, end) = span(dir)?;
        let floor = floor.max(first);
        let from = end.saturating_sub(window).max(floor);
        Ok(Self {
            window,
            torn: from > floor,
            whole: from == floor,
            walk: Walk::new(dir, Since::Offset(from), false)?,
            lines: Lines::default(),
            found: VecDeque::new(),
            before: VecDeque::new(),
        })
    }

    /// Where to begin, once that is known.
    fn go_on(
        &mut self,
        dir: &Path,
        query: &Query,
        pattern: Option<&Regex>,
    ) -> Result<Option<u64>, Error> {
        let wanted = usize::try_from(query.newest.unwrap_or(1)).unwrap_or(usize::MAX);
        let wanted = wanted.clamp(1, NEWEST_MAX);
        let context = context(query);
        let mut items = Vec::new();
        let mut seen = 0;
        while seen < PIECE {
            let Some(entry) = self.walk.step(READ)? else {
                self.lines.flush(&mut items);
                self.count(&items, wanted, context, query, pattern);
                if self.found.len() >= wanted || self.whole {
                    let end = self.walk.place().offset;
                    return Ok(Some(self.found.front().copied().unwrap_or(end)));
                }
                let floor = match (query.offset, query.since) {
                    (None, None) => 0,
                    (offset, time) => {
                        let since =
                            offset.map_or(Since::Time(time.unwrap_or_default()), Since::Offset);
                        Walk::new(dir, since, false)?.place().offset
                    }
                };
                *self = Self::new(dir, self.window.saturating_mul(4), floor)?;
                return Ok(None);
            };
            if let Entry::Bytes { bytes, .. } = &entry {
                seen += length(bytes.len());
            }
            self.lines.take(entry, &mut items);
            self.count(&items, wanted, context, query, pattern);
            items.clear();
        }
        Ok(None)
    }

    fn count(
        &mut self,
        items: &[Item],
        wanted: usize,
        context: usize,
        query: &Query,
        pattern: Option<&Regex>,
    ) {
        for item in items {
            let Item::Line(line) = item else { continue };
            if std::mem::take(&mut self.torn) {
                continue;
            }
            if fits(line, query, pattern) {
                let from = self.before.front().copied().unwrap_or(line.offset);
                self.found.push_back(from);
                if self.found.len() > wanted {
                    self.found.pop_front();
                }
            }
            self.before.push_back(line.offset);
            if self.before.len() > context {
                self.before.pop_front();
            }
        }
    }
}

fn context(query: &Query) -> usize {
    let lines = usize::try_from(query.context).unwrap_or(usize::MAX);
    lines.min(CONTEXT_MAX)
}

impl Showing {
    fn new(walk: Walk) -> Self {
        Self {
            walk,
            lines: Lines::default(),
            before: VecDeque::new(),
            after: 0,
            skipped: false,
            given: false,
        }
    }

    fn go_on(
        &mut self,
        query: &Query,
        pattern: Option<&Regex>,
    ) -> Result<(Vec<Item>, bool), Error> {
        let mut out = Answer::default();
        let mut seen = 0;
        let mut items = Vec::new();
        while seen < PIECE && out.size < ANSWER {
            let entry = self.walk.step(READ)?;
            let end = entry.is_none();
            match entry {
                Some(Entry::Bytes { offset, bytes, .. }) if query.raw => {
                    seen += length(bytes.len());
                    out.push(Item::Raw { offset, bytes });
                }
                Some(Entry::Missing { .. } | Entry::Mark(_)) if query.raw => {}
                Some(entry) => {
                    if let Entry::Bytes { bytes, .. } = &entry {
                        seen += length(bytes.len());
                    }
                    self.lines.take(entry, &mut items);
                }
                // Who follows waits for the end of the line.
                None if query.follow => {}
                None => self.lines.flush(&mut items),
            }
            for item in items.drain(..) {
                self.sort(item, query, pattern, &mut out);
            }
            if end {
                return Ok((out.items, true));
            }
        }
        Ok((out.items, false))
    }

    fn sort(&mut self, item: Item, query: &Query, pattern: Option<&Regex>, out: &mut Answer) {
        match item {
            Item::Line(line) if fits(&line, query, pattern) => {
                if std::mem::take(&mut self.skipped) && self.given && context(query) > 0 {
                    out.push(Item::Skipped);
                }
                for line in self.before.drain(..) {
                    out.push(Item::Near(line));
                }
                self.after = context(query);
                self.given = true;
                out.push(Item::Line(line));
            }
            Item::Line(line) if self.after > 0 => {
                self.after -= 1;
                out.push(Item::Near(line));
            }
            Item::Line(line) => {
                self.before.push_back(line);
                if self.before.len() > context(query) {
                    self.before.pop_front();
                    self.skipped = true;
                }
            }
            Item::Mark(record) => {
                let shown = match &record.mark {
                    Mark::Typed { bytes, .. } => {
                        query.typed && pattern.is_none_or(|pattern| pattern.is_match(bytes))
                    }
                    Mark::Time => false,
                    Mark::Gap { .. } | Mark::Damaged { .. } | Mark::MarksLost { .. } => {
                        pattern.is_none()
                    }
                    Mark::Event(_) | Mark::Stopped | Mark::Started | Mark::Clock { .. } => {
                        query.events && pattern.is_none()
                    }
                };
                if shown && query.until.is_none_or(|until| record.at <= until) {
                    out.push(Item::Mark(record));
                }
            }
            Item::Missing { .. } if pattern.is_some() => {}
            other => out.push(other),
        }
    }
}

/// Items, and about how many bytes they are.
#[derive(Debug, Default)]
struct Answer {
    items: Vec<Item>,
    size: usize,
}

impl Answer {
    fn push(&mut self, item: Item) {
        self.size += 64
            + match &item {
                Item::Line(line) | Item::Near(line) => line.bytes.len(),
                Item::Raw { bytes, .. } => bytes.len(),
                Item::Mark(record) => match &record.mark {
                    Mark::Typed { bytes, .. } => bytes.len(),
                    _ => 256,
                },
                Item::Missing { .. } | Item::Skipped => 0,
            };
        self.items.push(item);
    }
}
