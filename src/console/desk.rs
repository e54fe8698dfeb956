//! Who is on a console: ids, one writer, any number of watchers. Moves no bytes; the session tasks do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::patience::Patience;
use super::pump::{self, Handles, Notes};
use super::session::{self, Report, Typed, Wire};
use super::stream::Stream;
use crate::clock::Timestamp;
use crate::command::{Attach, Attachment};
use crate::config::{Sessions, Sharing};
use crate::fact;
use crate::line::LineState;

#[derive(Debug)]
struct Seat {
    user: String,
    from: String,
    since: Timestamp,
    /// Wall time in milliseconds; the session writes it.
    typed_at: Arc<AtomicU64>,
    /// May ever become the writer.
    may_write: bool,
    writer: watch::Sender<bool>,
    notes: Notes,
    end: Option<oneshot::Sender<String>>,
    patience: Patience,
}

/// Sessions that are told by name inside a session; [`pump::NOTES`] must hold them and one line more.
const WHO: usize = 24;

/// A session that is no more.
#[derive(Debug)]
pub(super) struct Left {
    pub session: u64,
    pub user: String,
}

/// Why a session cannot become the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is the writer.
    Already,
    MayNot,
    /// There is no one keyboard here: everybody types.
    Shared,
    Unknown,
}

impl Refused {
    /// For the session that asked.
    #[must_use]
    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::Already => "you have the keyboard",
            Self::MayNot => "this session may only watch",
            Self::Shared => "everybody types here: you have the keyboard",
            Self::Unknown => "this session has ended",
        }
    }

    /// For somebody else who asked.
    #[must_use]
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Already => "it has the keyboard already",
            Self::MayNot => "it may only watch",
            Self::Shared => "everybody types on this console",
            Self::Unknown => "it has ended",
        }
    }
}

/// The sessions of one console.
#[derive(Debug)]
pub(super) struct Desk {
    stream: Arc<Stream>,
    typed: mpsc::Sender<Typed>,
    reports: mpsc::Sender<Report>,
    line: watch::Receiver<LineState>,
    seats: BTreeMap<u64, Seat>,
    next: u64,
    /// Always none where everybody types.
    writer: Option<u64>,
    rules: Sessions,
}

impl Desk {
    #[must_use]
    pub(super) fn new(
        stream: Arc<Stream>,
        typed: mpsc::Sender<Typed>,
        reports: mpsc::Sender<Report>,
        line: watch::Receiver<LineState>,
        rules: Sessions,
    ) -> Self {
        Self {
            stream,
            typed,
            reports,
            line,
            seats: BTreeMap::new(),
            next: 1,
            writer: None,
            rules,
        }
    }

    /// Why nobody more may come in, if so.
    #[must_use]
    pub(super) fn closed(&self) -> Option<String> {
        let seat = self.seats.values().next()?;
        (self.rules.sharing == Sharing::Single).then(|| {
            format!(
                "it takes one session at a time, and {} ({}) is on it",
                seat.user, seat.from
            )
        })
    }

    /// Seats a session; the caller runs its task from the [`Wire`]. The door tells the person who may type.
    pub(super) fn attach(&mut self, request: Attach) -> (Attachment, Wire) {
        let session = self.next;
        self.next += 1;
        let shared = self.rules.sharing == Sharing::Shared;
        let writes = request.write && self.writer.is_none();
        let (inputs, input) = mpsc::channel(session::INPUTS);
        let (end, ended) = oneshot::channel();
        let (writer, writing) = watch::channel(writes);
        if writes && !shared {
            self.writer = Some(session);
        }
        let (output, handles) = pump::open(&self.stream, &request, writing.clone());
        let Handles {
            notes,
            word,
            cursor,
        } = handles;
        let now = Timestamp::now();
        let typed_at = Arc::new(AtomicU64::new(now.0));
        let wire = Wire {
            session,
            input,
            notes: notes.clone(),
            word,
            writer: writing,
            end: ended,
            typed: self.typed.clone(),
            reports: self.reports.clone(),
            idle: self.rules.idle_timeout.filter(|_| request.write),
            typed_at: typed_at.clone(),
        };
        let seat = Seat {
            user: request.user,
            from: request.from,
            since: now,
            typed_at,
            may_write: request.write,
            writer,
            notes,
            end: Some(end),
            patience: Patience::new(cursor),
        };
        self.seats.insert(session, seat);
        let attachment = Attachment {
            session,
            writer: writes,
            output,
            input: inputs,
            line: self.line.clone(),
            keys: self.rules.keys.clone(),
        };
        (attachment, wire)
    }

    /// Makes a session the writer and tells the one before. `giver` is who gave it the keyboard, if it did not take it.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed.
    pub(super) fn take_writer(
        &mut self,
        session: u64,
        giver: Option<&str>,
    ) -> Result<&str, Refused> {
        let seat = self.seats.get(&session).ok_or(Refused::Unknown)?;
        if self.rules.sharing == Sharing::Shared && seat.may_write {
            return Err(Refused::Shared);
        }
        if self.writer == Some(session) {
            return Err(Refused::Already);
        }
        if !seat.may_write {
            return Err(Refused::MayNot);
        }
        if let Some(before) = self.writer.and_then(|before| self.seats.get(&before)) {
            before.writer.send_replace(false);
            let (user, from) = (&seat.user, &seat.from);
            let text = match giver {
                None => format!("{user} ({from}) took the keyboard, you are watching"),
                Some(giver) => {
                    format!("{giver} gave the keyboard to {user} ({from}), you are watching")
                }
            };
            before.notes.tell(&text);
        }
        seat.writer.send_replace(true);
        match giver {
            None => seat.notes.tell("you have the keyboard"),
            Some(giver) => seat.notes.tell(&format!("{giver} gave you the keyboard")),
        }
        self.writer = Some(session);
        Ok(&seat.user)
    }

    /// Has a session end; its task reports when it has. False when there is no such session.
    pub(super) fn end(&mut self, session: u64, reason: &str) -> bool {
        let Some(seat) = self.seats.get_mut(&session) else {
            return false;
        };
        if let Some(end) = seat.end.take() {
            // The task may have ended by itself this moment.
            let _ = end.send(reason.to_owned());
        }
        true
    }

    pub(super) fn end_all(&mut self, reason: &str) {
        let sessions: Vec<u64> = self.seats.keys().copied().collect();
        for session in sessions {
            self.end(session, reason);
        }
    }

    /// Clears the seat of a session that ended, and tells the others when the keyboard is free now.
    pub(super) fn remove(&mut self, session: u64) -> Option<Left> {
        let seat = self.seats.remove(&session)?;
        if self.writer == Some(session) {
            self.writer = None;
            let text = format!("{} left, the keyboard is free", seat.user);
            for other in self.seats.values().filter(|other| other.may_write) {
                other.notes.tell(&text);
            }
        }
        Some(Left {
            session,
            user: seat.user,
        })
    }

    /// Is a session about to be overtaken that deserves a moment?
    pub(crate) fn waits(&mut self, floor: u64) -> bool {
        let seats = self.seats.values_mut();
        // Each is asked, so that all who stand still use up their waits together: one after the other they would hold the
        // line for seconds.
        seats.fold(false, |waits, seat| seat.patience.waits(floor) | waits)
    }

    /// Shows a line to everybody, in its place in the stream.
    pub(super) fn tell_all(&self, text: &str) {
        for seat in self.seats.values() {
            seat.notes.tell(text);
        }
    }

    /// Tells one session who is here.
    pub(super) fn tell_who(&self, session: u64) {
        let now = Timestamp::now();
        let quiet = |at: Timestamp| now.0.saturating_sub(at.0) / 1000;
        for (&id, seat) in self.seats.iter().take(WHO) {
            let does = if self.writes(id) { "types" } else { "watches" };
            let you = if id == session { " (you)" } else { "" };
            let idle = quiet(Timestamp(seat.typed_at.load(Ordering::Relaxed)));
            let (user, from) = (&seat.user, &seat.from);
            let text = format!("{id}: {user}{you} from {from} {does}, idle for {idle} s");
            self.tell_one(session, &text);
        }
        let more = self.seats.len().saturating_sub(WHO);
        if more > 0 {
            self.tell_one(session, &format!("and {more} more: console users"));
        }
    }

    /// Shows a line to one session.
    pub(super) fn tell_one(&self, session: u64, text: &str) {
        if let Some(seat) = self.seats.get(&session) {
            seat.notes.tell(text);
        }
    }

    /// May this session type now?
    #[must_use]
    pub(super) fn writes(&self, session: u64) -> bool {
        match self.rules.sharing {
            Sharing::Shared => self.seats.get(&session).is_some_and(|seat| seat.may_write),
            Sharing::OneWriter | Sharing::Single => self.writer == Some(session),
        }
    }

    #[must_use]
    pub(super) fn user(&self, session: u64) -> Option<&str> {
        self.seats.get(&session).map(|seat| seat.user.as_str())
    }

    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.seats.is_empty()
    }

    /// The sessions as the state shows them.
    #[must_use]
    pub(super) fn facts(&self) -> Vec<fact::Session> {
        let fact = |(&id, seat): (&u64, &Seat)| fact::Session {
            id,
            user: seat.user.clone(),
            from: seat.from.clone(),
            writer: self.writes(id),
            since: seat.since,
            typed_at: Timestamp(seat.typed_at.load(Ordering::Relaxed)),
        };
        self.seats.iter().map(fact).collect()
    }
}
