//! What one session shows: the stream from its cursor on, gaps, notices, history once more. Moves only when its door asks
//! for more, in the door's own task: what nobody asks for stays in the ring. Never types.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::stream;
use tokio::sync::{Notify, oneshot, watch};

use super::patience::Cursor;
use super::queries::Queries;
use super::stream::Stream;
use crate::command::{Attach, Output, Outputs, Start};

/// Largest piece of the stream in one output: what a stalled session costs.
const OUTPUT_MAX: usize = 8 * 1024;
/// Most history that is shown once more at a time.
const REPLAY_MAX: u32 = 64 * 1024;

/// Notices that may wait for a session that does not read.
pub(super) const NOTES: usize = 32;

/// A line about the session or the port, shown after the byte before `at`.
#[derive(Debug)]
struct Note {
    at: u64,
    text: String,
}

/// What waits for a session besides the stream. Two channels would take two kilobytes of every session for it.
#[derive(Debug, Default)]
struct Mail {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    notes: VecDeque<Note>,
    /// So many bytes of history once more.
    replay: Option<u32>,
}

impl Mail {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a session is told something.
#[derive(Clone, Debug)]
pub(super) struct Notes {
    stream: Arc<Stream>,
    mail: Arc<Mail>,
}

impl Notes {
    /// Shows a line to the session, in its place in the stream. Never waits.
    pub(super) fn tell(&self, text: &str) {
        let note = Note {
            at: self.stream.end(),
            text: text.to_owned(),
        };
        let mut waiting = self.mail.waiting();
        // A session that has not read 32 notices misses this one; its door shows what it still can.
        if waiting.notes.len() < NOTES {
            waiting.notes.push_back(note);
        }
        drop(waiting);
        self.mail.wake.notify_one();
    }

    /// Has so many bytes of history shown once more, unless some are asked for already. Never waits.
    pub(super) fn replay(&self, bytes: u32) {
        self.mail.waiting().replay.get_or_insert(bytes);
        self.mail.wake.notify_one();
    }
}

/// The other ends of what a pump waits for.
#[derive(Debug)]
pub(super) struct Handles {
    pub notes: Notes,
    /// Says why the session has ended, or is dropped when there is nothing to say. Closed when the door has left.
    pub word: oneshot::Sender<String>,
    /// How far the session has read.
    pub cursor: Cursor,
}

/// Opens the output of one session. `writer` follows whether it types.
pub(super) fn open(
    stream: &Arc<Stream>,
    request: &Attach,
    writer: watch::Receiver<bool>,
) -> (Outputs, Handles) {
    let mail = Arc::new(Mail::default());
    let (word, last) = oneshot::channel();
    let live = stream.end();
    let from = match request.start {
        Start::History(bytes) => stream.replay_from(bytes),
        Start::Offset(offset) => offset.min(live),
    };
    let told = Cursor::new(from.into());
    let handles = Handles {
        notes: Notes {
            stream: stream.clone(),
            mail: mail.clone(),
        },
        word,
        cursor: told.clone(),
    };
    let pump = Pump {
        head: stream.watch(),
        stream: stream.clone(),
        cursor: from,
        told,
        live,
        verbatim: request.verbatim,
        offsets: request.offsets,
        // Where it begins, so that a client can come back before the device has said anything.
        reached: request.offsets.then_some(from),
        mail,
        note: None,
        replay: None,
        writer,
        queries: Queries::default(),
        word: last,
    };
    (pump.outputs(), handles)
}

/// The output of one session.
struct Pump {
    stream: Arc<Stream>,
    head: watch::Receiver<u64>,
    /// The next byte to show, and where the owner learns of it.
    cursor: u64,
    told: Cursor,
    /// Before this offset it is replay.
    live: u64,
    /// Nothing is taken out of the stream.
    verbatim: bool,
    /// [`Output::Reached`] follows each piece.
    offsets: bool,
    /// An offset that is still to be told.
    reached: Option<u64>,
    mail: Arc<Mail>,
    note: Option<Note>,
    replay: Option<Replay>,
    writer: watch::Receiver<bool>,
    queries: Queries,
    word: oneshot::Receiver<String>,
}

impl Pump {
    fn outputs(self) -> Outputs {
        let steps = stream::unfold(Some(Box::new(self)), |pump| async move {
            let mut pump = pump?;
            match pump.next().await {
                Ok(output) => Some((output, Some(pump))),
                Err(word) => Some((Output::Ended(word?), None)),
            }
        });
        Outputs::new(steps)
    }

    /// The next output; when there is none to come, the last word, if there is one.
    async fn next(&mut self) -> Result<Output, Option<String>> {
        loop {
            match self.word.try_recv() {
                Ok(word) => return Err(Some(word)),
                Err(oneshot::error::TryRecvError::Closed) => return Err(None),
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            // The end first, then the note: what was said before a note is shown before it, never what came after.
            let end = *self.head.borrow_and_update();
            self.open_mail();
            let output = self.step(end);
            self.told.store(self.cursor, Ordering::Relaxed);
            if let Some(output) = output {
                return Ok(output);
            }
            if self.cursor < end || self.reached.is_some() {
                continue;
            }
            tokio::select! {
                // cancel-safe per docs on Notify::notified(): a permit is kept. What came is taken at the loop's begin
                () = self.mail.wake.notified() => {}
                // cancel-safe per docs on watch::Receiver::changed(); the stream lives as long as we hold it
                _ = self.head.changed() => {}
                // cancel-safe: it is not waited for again
                word = &mut self.word => return Err(word.ok()),
            }
        }
    }

    /// Takes the next note and the wish for history, where there is room for them.
    fn open_mail(&mut self) {
        let mut waiting = self.mail.waiting();
        if self.note.is_none() {
            self.note = waiting.notes.pop_front();
        }
        if self.replay.is_none()
            && let Some(bytes) = waiting.replay.take()
        {
            drop(waiting);
            self.replay = Some(self.replay(bytes));
        }
    }

    /// What this session has been shown last, up to where it stands now.
    fn replay(&self, bytes: u32) -> Replay {
        let from = self.stream.replay_from(bytes.min(REPLAY_MAX));
        Replay {
            at: from.min(self.cursor),
            end: self.cursor,
            queries: Queries::default(),
            begun: false,
        }
    }

    /// The next thing to show up to `end`, if any; advances.
    fn step(&mut self, end: u64) -> Option<Output> {
        if let Some(offset) = self.reached.take() {
            return Some(Output::Reached { offset });
        }
        if let Some(replay) = self.replay.take() {
            let (output, rest) = replay.next(&self.stream);
            self.replay = rest;
            return Some(output);
        }
        if let Some(note) = self.note.take_if(|note| note.at <= self.cursor) {
            return Some(Output::Notice(super::notice(&note.text)));
        }
        // Up to the next note, and not across the border between replay and live.
        let border = self.note.as_ref().map_or(end, |note| note.at.min(end));
        let replay = self.cursor < self.live;
        let border = if replay {
            border.min(self.live)
        } else {
            border
        };
        if self.cursor >= border {
            return None;
        }
        let max = usize::try_from(border - self.cursor).unwrap_or(usize::MAX);
        let read = self.stream.read(self.cursor, max.min(OUTPUT_MAX));
        if read.gap > 0 {
            self.cursor = read.at;
            self.queries.flush();
            self.reached = self.offsets.then_some(self.cursor);
            return Some(Output::Gap { bytes: read.gap });
        }
        self.cursor = read.next();
        self.reached = self.offsets.then_some(self.cursor);
        let bytes = if self.verbatim {
            read.bytes
        } else if replay || !*self.writer.borrow() {
            Bytes::from(self.queries.strip(&read.bytes))
        } else {
            let cut = self.queries.flush();
            if cut.is_empty() {
                read.bytes
            } else {
                Bytes::from([&cut[..], &read.bytes[..]].concat())
            }
        };
        (!bytes.is_empty()).then_some(Output::Bytes(bytes))
    }
}

/// History on its way once more; live output waits behind it.
struct Replay {
    at: u64,
    end: u64,
    queries: Queries,
    begun: bool,
}

impl Replay {
    /// The next piece, and what is left.
    fn next(mut self, stream: &Stream) -> (Output, Option<Self>) {
        if !self.begun {
            self.begun = true;
            let text = format!("the last {} bytes once more", self.end - self.at);
            return (Output::Notice(super::notice(&text)), Some(self));
        }
        if self.at >= self.end {
            return (Output::Notice(super::notice("that was the history")), None);
        }
        let max = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let read = stream.read(self.at, max.min(OUTPUT_MAX));
        // What the ring has lost meanwhile is lost here, too: the live stream tells the gap.
        self.at = read.next().max(self.at + 1);
        let bytes = Bytes::from(self.queries.strip(&read.bytes));
        (Output::Bytes(bytes), Some(self))
    }
}
