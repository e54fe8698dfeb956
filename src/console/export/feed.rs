//! One console's messages in order, out of its transcript, which is their spool. Blocking; keeps one line.

use std::path::Path;
use std::time::Duration;

use super::cursor::Cursor;
use super::message::{Body, Head, Sort};
use crate::clock::{Instant, Timestamp};
use crate::event::Kind;
use crate::transcript::{
    self, Entry, Error, Item, Lines, Mark, Reader, Record, Since, Walk, length,
};

/// Longest piece of a line in one message.
const LINE_MAX: usize = 1024;
/// Bytes read at once.
const READ: usize = 16 * 1024;
/// A line that has no end for so long goes as it is.
const OPEN_FOR: Duration = Duration::from_secs(5);

/// A message, and where the next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub text: String,
    pub after: Cursor,
}

/// Goes along one transcript.
#[derive(Debug)]
pub(super) struct Feed {
    console: String,
    head: Head,
    typed: bool,
    walk: Walk,
    lines: Lines,
    cursor: Cursor,
    /// Since when the line without an end has not grown.
    still: Option<Instant>,
    /// Bytes that were dropped before they could be sent.
    lost: u64,
}

impl Feed {
    /// Goes on at `cursor`; without one, begins with what comes from now on.
    ///
    /// # Errors
    /// The transcript cannot be read.
    pub(super) fn open(
        state: &Path,
        console: &str,
        head: &Head,
        typed: bool,
        cursor: Option<Cursor>,
    ) -> Result<Self, Error> {
        let dir = transcript::dir(state, console);
        let (_, end) = Reader::new(&dir).span()?;
        let mut cursor = cursor.unwrap_or(Cursor {
            offset: end,
            ..Cursor::default()
        });
        if cursor.offset > end {
            // The transcript was taken away, or a power cut took more than it may: begin with what is there now.
            cursor = Cursor {
                offset: end,
                ..Cursor::default()
            };
        }
        Ok(Self {
            console: console.to_owned(),
            head: head.clone(),
            typed,
            walk: Walk::new(&dir, Since::Place(cursor.place()), true)?,
            lines: Lines::cut_at(LINE_MAX),
            cursor,
            still: None,
            lost: 0,
        })
    }

    /// Bytes lost since the last time this was asked.
    pub(super) fn take_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// The next messages, of about `budget` bytes; none when there are none now.
    ///
    /// # Errors
    /// The transcript cannot be read.
    pub(super) fn next(&mut self, budget: usize, now: Instant) -> Result<Vec<Message>, Error> {
        let mut out = Vec::new();
        let mut left = budget;
        while left > 0 {
            let Some(entry) = self.walk.step(READ.min(left))? else {
                self.end_of_patience(now, &mut out);
                break;
            };
            match entry {
                Entry::Mark(record) => self.mark(record, &mut out),
                entry => {
                    if let Entry::Bytes { bytes, .. } = &entry {
                        left = left.saturating_sub(bytes.len());
                        self.still = Some(now);
                    }
                    let mut items = Vec::new();
                    self.lines.take(entry, &mut items);
                    self.items(items, &mut out);
                }
            }
        }
        Ok(out)
    }

    fn end_of_patience(&mut self, now: Instant, out: &mut Vec<Message>) {
        let still = self.still.is_some_and(|since| now >= since + OPEN_FOR);
        if self.lines.is_open() && still {
            let mut items = Vec::new();
            self.lines.flush(&mut items);
            self.items(items, out);
        }
    }

    fn items(&mut self, items: Vec<Item>, out: &mut Vec<Message>) {
        for item in items {
            match item {
                Item::Line(line) => {
                    self.cursor.offset = line.offset + length(line.bytes.len());
                    self.cursor.marks = 0;
                    let text = line.bytes.strip_suffix(b"\n").unwrap_or(&line.bytes);
                    let text = text.strip_suffix(b"\r").unwrap_or(text);
                    if !text.is_empty() {
                        self.say(Sort::Received, line.at, line.offset, None, text, out);
                    }
                }
                Item::Missing { offset, bytes } => {
                    self.lost += bytes;
                    self.cursor.offset = offset + bytes;
                    self.cursor.marks = 0;
                    let text = format!("{bytes} bytes are not there");
                    let at = Some(Timestamp::now());
                    self.say(Sort::Gap, at, offset, None, text.as_bytes(), out);
                }
                _ => {}
            }
        }
    }

    fn mark(&mut self, record: Record, out: &mut Vec<Message>) {
        // A line without an end begins before the mark: the cursor stays in front of it.
        if !self.lines.is_open() {
            let place = self.walk.place();
            self.cursor.offset = place.offset;
            self.cursor.marks = length(place.marks);
        }
        match record.mark {
            Mark::Event(Kind::SessionOpened { session, user, .. }) => {
                self.cursor.people.insert(session, user);
            }
            Mark::Event(Kind::SessionClosed { session, .. }) => {
                self.cursor.people.remove(&session);
            }
            Mark::Started => self.cursor.people.clear(),
            Mark::Typed { user, bytes } if self.typed => {
                self.say(
                    Sort::Typed,
                    Some(record.at),
                    record.offset,
                    Some(&user),
                    &bytes,
                    out,
                );
            }
            _ => {}
        }
    }

    fn say(
        &self,
        sort: Sort,
        at: Option<Timestamp>,
        offset: u64,
        user: Option<&str>,
        text: &[u8],
        out: &mut Vec<Message>,
    ) {
        let users = match user {
            Some(user) => user.to_owned(),
            None => {
                let mut users: Vec<&str> =
                    self.cursor.people.values().map(String::as_str).collect();
                users.sort_unstable();
                users.dedup();
                users.join(",")
            }
        };
        let body = Body {
            sort,
            at,
            console: &self.console,
            offset,
            users: &users,
            text,
        };
        out.push(Message {
            text: self.head.message(&body),
            after: self.cursor.clone(),
        });
    }
}
