//! One session's task: carries what is typed to the owner, and sees the session end. What it shows is [`super::pump`]'s.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::pump::Notes;
use crate::clock::{Instant, Timestamp};
use crate::command::Input;

/// Inputs that may wait at a session.
pub(super) const INPUTS: usize = 8;
/// Typed bytes that wait for the line; past that the door waits. At 9600 baud a minute of pasting.
const TYPED_MAX: usize = 64 * 1024;
/// Largest piece handed to the owner at once: what is queued in front of a break.
const PIECE_MAX: usize = 512;
/// A watcher who types is told so at most this often.
const REMIND: Duration = Duration::from_secs(5);
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

/// What a session task needs.
#[derive(Debug)]
pub(super) struct Wire {
    pub session: u64,
    pub input: mpsc::Receiver<Input>,
    /// What the person is told.
    pub notes: Notes,
    /// The last word, why the owner ended the session. Closed when the door has left.
    pub word: oneshot::Sender<String>,
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
pub(super) async fn run(mut wire: Wire) {
    let session = wire.session;
    let reports = wire.reports.clone();
    let intake = Intake {
        session,
        input: wire.input,
        writer: wire.writer,
        typed: wire.typed,
        reports: wire.reports,
        notes: wire.notes,
        typed_at: wire.typed_at,
        idle: wire.idle.map(Idle::new),
        queue: VecDeque::new(),
        queued: 0,
        reminded: None,
    };
    let reason = tokio::select! {
        // cancel-safe: the session ends with whichever comes first, nothing is resumed
        biased;
        reason = wire.end => Some(reason.unwrap_or_else(|_| "the console service restarts".into())),
        () = wire.word.closed() => None,
        () = intake.run() => None,
    };
    if let Some(reason) = &reason {
        // A door that has left this moment needs no last word.
        let _ = wire.word.send(reason.clone());
    }
    let reason = reason.unwrap_or_else(|| "detached".into());
    // The owner is gone: then nobody keeps a list.
    let _ = reports.send(Report::Ended { session, reason }).await;
}

/// Takes what the door gives. Bytes queue up to [`TYPED_MAX`]; a break and a take-over pass them.
struct Intake {
    session: u64,
    input: mpsc::Receiver<Input>,
    writer: watch::Receiver<bool>,
    typed: mpsc::Sender<Typed>,
    reports: mpsc::Sender<Report>,
    notes: Notes,
    typed_at: Arc<AtomicU64>,
    idle: Option<Idle>,
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
                        self.notes.tell(&text);
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
                    self.notes.tell("you are watching: not sent");
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
                self.notes.replay(bytes);
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
