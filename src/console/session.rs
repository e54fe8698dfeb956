//! One session's task: carries the stream to its door and what is typed to the owner. Waits for nobody but its door.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep_until, timeout};

use super::patience::Cursor;
use super::queries::Queries;
use super::stream::Stream;
use crate::clock::{Instant, Timestamp};
use crate::command::{Input, Output};

/// Outputs that may wait at a door.
pub(super) const OUTPUTS: usize = 4;
/// Inputs that may wait at a session.
pub(super) const INPUTS: usize = 8;
/// Notices that may wait for a session that does not read.
pub(super) const NOTES: usize = 32;
/// Largest piece of the stream in one output; with [`OUTPUTS`] it bounds what a stalled session costs.
const OUTPUT_MAX: usize = 8 * 1024;
/// Typed bytes that wait for the line; past that the door waits. At 9600 baud a minute of pasting.
const TYPED_MAX: usize = 64 * 1024;
/// Largest piece handed to the owner at once: what is queued in front of a break.
const PIECE_MAX: usize = 512;
/// How long the last word waits for a door that does not read.
const FAREWELL: Duration = Duration::from_millis(500);
/// A watcher who types is told so at most this often.
const REMIND: Duration = Duration::from_secs(5);

/// Most history that is shown once more at a time.
const REPLAY_MAX: u32 = 64 * 1024;
/// A person is told this long before an idle session ends.
const IDLE_WARNING: Duration = Duration::from_secs(60);

/// What a session tells the owner.
#[derive(Debug)]
pub(super) enum Report {
    Break {
        session: u64,
        millis: u64,
    },
    TakeWriter {
        session: u64,
    },
    /// Wants to know who is here.
    Who {
        session: u64,
    },
    /// Nothing was typed for as long as the console allows.
    Idle {
        session: u64,
    },
    Ended {
        session: u64,
        reason: String,
    },
}

/// Bytes for the line.
#[derive(Debug)]
pub(super) struct Typed {
    pub session: u64,
    pub bytes: Bytes,
}

/// A line about the session or the port, shown after the byte before `at`.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub at: u64,
    pub text: String,
}

/// What a session task needs.
#[derive(Debug)]
pub(super) struct Wire {
    pub session: u64,
    pub stream: Arc<Stream>,
    /// Where the session tells how far it has read.
    pub(crate) cursor: Cursor,
    /// Where the replay starts, and where it ends and live begins.
    pub from: u64,
    pub live: u64,
    /// Nothing is taken out of the stream.
    pub verbatim: bool,
    /// [`Output::Reached`] follows each piece.
    pub offsets: bool,
    pub output: mpsc::Sender<Output>,
    pub input: mpsc::Receiver<Input>,
    pub notes: mpsc::Receiver<Note>,
    /// Is this session the writer?
    pub writer: watch::Receiver<bool>,
    /// Says why the owner ends the session; dropped when the owner is gone.
    pub end: oneshot::Receiver<String>,
    pub typed: mpsc::Sender<Typed>,
    pub reports: mpsc::Sender<Report>,
    /// How long it may type nothing.
    pub idle: Option<Duration>,
    /// Where it tells when it last typed: wall time in milliseconds.
    pub typed_at: Arc<AtomicU64>,
}

/// Serves one session until its door or the owner ends it.
pub(super) async fn run(wire: Wire) {
    let session = wire.session;
    let reports = wire.reports.clone();
    let (replays, replayed) = mpsc::channel(1);
    let mut pump = Pump {
        replays: replayed,
        replay: None,
        cursor: wire.from,
        told: wire.cursor,
        live: wire.live,
        verbatim: wire.verbatim,
        offsets: wire.offsets,
        // Where it begins, so that a client can come back before the device has said anything.
        reached: wire.offsets.then_some(wire.from),
        head: wire.stream.watch(),
        stream: wire.stream,
        notes: wire.notes,
        note: None,
        writer: wire.writer.clone(),
        queries: Queries::default(),
        output: wire.output.clone(),
    };
    let intake = Intake {
        session,
        input: wire.input,
        writer: wire.writer,
        typed: wire.typed,
        reports: reports.clone(),
        output: wire.output.clone(),
        typed_at: wire.typed_at,
        idle: wire.idle.map(Idle::new),
        replays,
        queue: VecDeque::new(),
        queued: 0,
        reminded: None,
    };
    let reason = tokio::select! {
        // cancel-safe: the session ends with whichever comes first, nothing is resumed
        biased;
        reason = wire.end => Some(reason.unwrap_or_else(|_| "the console service restarts".into())),
        () = pump.run() => None,
        () = intake.run() => None,
    };
    if let Some(reason) = &reason {
        let last = pump.output.send(Output::Ended(reason.clone()));
        // A door that does not read loses the last word; the closed channel tells it the same.
        let _ = timeout(FAREWELL, last).await;
    }
    let reason = reason.unwrap_or_else(|| "detached".into());
    // The owner is gone: then nobody keeps a list.
    let _ = reports.send(Report::Ended { session, reason }).await;
}

struct Pump {
    /// History that is asked for once more: so many bytes.
    replays: mpsc::Receiver<u32>,
    replay: Option<Replay>,
    cursor: u64,
    told: Cursor,
    live: u64,
    verbatim: bool,
    offsets: bool,
    /// An offset that is still to be told.
    reached: Option<u64>,
    head: watch::Receiver<u64>,
    stream: Arc<Stream>,
    notes: mpsc::Receiver<Note>,
    note: Option<Note>,
    writer: watch::Receiver<bool>,
    queries: Queries,
    output: mpsc::Sender<Output>,
}

impl Pump {
    /// Returns when the door has dropped its end.
    async fn run(&mut self) {
        loop {
            if self.note.is_none() {
                self.note = self.notes.try_recv().ok();
            }
            if self.replay.is_none() {
                let asked = self.replays.try_recv().ok();
                self.replay = asked.map(|bytes| self.replay(bytes));
            }
            if self.note.is_none()
                && self.reached.is_none()
                && self.replay.is_none()
                && self.cursor == *self.head.borrow_and_update()
            {
                tokio::select! {
                    // cancel-safe per docs on Receiver::recv(); pending when the owner is gone, `end` tells that
                    note = recv(&mut self.notes) => self.note = Some(note),
                    // cancel-safe per docs on Receiver::recv(); pending when the other half is gone, which ends this one
                    bytes = recv(&mut self.replays) => self.replay = Some(self.replay(bytes)),
                    // cancel-safe per docs on watch::Receiver::changed(); the stream lives as long as we hold it
                    _ = self.head.changed() => {}
                    // cancel-safe: it only waits
                    () = self.output.closed() => return,
                }
                continue;
            }
            // Room first, bytes after: what a slow door has not asked for stays in the ring.
            let output = self.output.clone();
            let Ok(permit) = output.reserve().await else {
                return;
            };
            // The end first, then the note: what was said before a note is shown before it, never what came after.
            let end = self.stream.end();
            if self.note.is_none() {
                self.note = self.notes.try_recv().ok();
            }
            let item = self.next(end);
            self.told.store(self.cursor, Ordering::Relaxed);
            if let Some(item) = item {
                permit.send(item);
            }
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
    fn next(&mut self, end: u64) -> Option<Output> {
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
        let max = usize::try_from(border.saturating_sub(self.cursor)).unwrap_or(usize::MAX);
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

async fn recv<T>(receiver: &mut mpsc::Receiver<T>) -> T {
    match receiver.recv().await {
        Some(item) => item,
        None => pending().await,
    }
}

/// Takes what the door gives. Bytes queue up to [`TYPED_MAX`]; a break and a take-over pass them.
struct Intake {
    session: u64,
    input: mpsc::Receiver<Input>,
    writer: watch::Receiver<bool>,
    typed: mpsc::Sender<Typed>,
    reports: mpsc::Sender<Report>,
    output: mpsc::Sender<Output>,
    typed_at: Arc<AtomicU64>,
    idle: Option<Idle>,
    /// Asks the other half to show history once more.
    replays: mpsc::Sender<u32>,
    queue: VecDeque<Bytes>,
    queued: usize,
    reminded: Option<Instant>,
}

impl Intake {
    /// Returns when the owner is gone. A door that only drops its input has ended typing: what it typed is still sent.
    async fn run(mut self) {
        let mut ended = false;
        let typed = self.typed.clone();
        loop {
            tokio::select! {
                // cancel-safe per docs on Receiver::recv()
                got = self.input.recv(), if !ended && self.queued < TYPED_MAX => {
                    match got.map(|input| self.take(input)) {
                        Some(None) => {}
                        Some(Some(report)) => {
                            if self.reports.send(report).await.is_err() { return }
                        }
                        None => ended = true,
                    }
                }
                // cancel-safe per docs on Sender::reserve(): only the place in the queue is lost, and nobody else is in it
                permit = typed.reserve(), if !self.queue.is_empty() => {
                    let Ok(permit) = permit else { return };
                    if let Some(front) = self.queue.front_mut() {
                        let bytes = front.split_to(front.len().min(PIECE_MAX));
                        self.queued -= bytes.len();
                        if front.is_empty() { self.queue.pop_front(); }
                        if !bytes.is_empty() { permit.send(Typed { session: self.session, bytes }); }
                    }
                }
                // cancel-safe per docs on watch::Receiver::changed()
                changed = self.writer.changed() => {
                    if changed.is_err() { return }
                    if !*self.writer.borrow_and_update() { self.forget() }
                }
                // cancel-safe: a timer has nothing to lose
                warn = Idle::due(&self.idle) => {
                    if let Some(text) = warn {
                        // A full output says enough: the person does not even look.
                        let _ = self.output.try_send(Output::Notice(super::notice(&text)));
                    } else if self.reports.send(Report::Idle { session: self.session }).await.is_err() {
                        return;
                    }
                    self.idle = self.idle.and_then(Idle::next);
                }
            }
        }
    }

    /// Queues bytes; gives what the owner must know.
    fn take(&mut self, input: Input) -> Option<Report> {
        let session = self.session;
        self.typed_at.store(Timestamp::now().0, Ordering::Relaxed);
        self.idle = self.idle.map(|idle| Idle::new(idle.limit));
        match input {
            Input::Bytes(bytes) if *self.writer.borrow() => {
                self.queued += bytes.len();
                self.queue.push_back(bytes);
                None
            }
            Input::Bytes(_) => {
                let now = Instant::now();
                let quiet = |at| now.saturating_duration_since(at) >= REMIND;
                if self.reminded.is_none_or(quiet) {
                    self.reminded = Some(now);
                    let text = super::notice("you are watching: not sent");
                    // A full output says enough.
                    let _ = self.output.try_send(Output::Notice(text));
                }
                None
            }
            Input::Break { millis } => {
                self.forget();
                Some(Report::Break { session, millis })
            }
            Input::TakeWriter => Some(Report::TakeWriter { session }),
            Input::Who => Some(Report::Who { session }),
            Input::Replay { bytes } => {
                // One that is asked for while another is shown is not wanted twice.
                let _ = self.replays.try_send(bytes);
                None
            }
        }
    }

    fn forget(&mut self) {
        (self.queue, self.queued) = (VecDeque::new(), 0);
    }
}

/// The clock of a session that types nothing.
#[derive(Clone, Copy, Debug)]
struct Idle {
    limit: Duration,
    since: Instant,
    warned: bool,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            since: Instant::now(),
            warned: false,
        }
    }

    /// How long before the end the person is told.
    fn lead(&self) -> Duration {
        IDLE_WARNING.min(self.limit / 2)
    }

    /// Waits for the next step: a warning, or `None` for the end. For ever without a limit.
    async fn due(idle: &Option<Self>) -> Option<String> {
        let Some(idle) = idle else {
            return pending().await;
        };
        if idle.warned {
            sleep_until(idle.since + idle.limit).await;
            return None;
        }
        sleep_until(idle.since + (idle.limit - idle.lead())).await;
        let left = idle.lead().as_secs().max(1);
        Some(format!(
            "you typed nothing for long: this session ends in {left} s"
        ))
    }

    /// After a warning comes the end, after the end nothing.
    fn next(self) -> Option<Self> {
        (!self.warned).then_some(Self {
            warned: true,
            ..self
        })
    }
}
