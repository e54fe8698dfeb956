//! Carries a console's stream to flash, in the thread of [`super::flusher`]. It is a reader of the ring like any session: when storage
//! stalls for longer than the ring is long, the transcript gets a gap mark and the console goes on.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use super::Store;
use super::flusher::Flusher;
use crate::clock::{self, Instant, Timestamp};
use crate::console::patience::{Cursor, Patience};
use crate::console::stream::Stream;
use crate::event::Kind;
use crate::fault;
use crate::transcript::{Error, Mark, Record, length};

/// A power cut takes at most what came in so long …
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// … or so many bytes, whichever is less.
const SYNC_BYTES: u64 = 64 * 1024;
/// A running line is written this often, so that it costs four wake-ups a second.
const GATHER: Duration = Duration::from_millis(250);
/// After the storage failed, tried again so soon, then less and less often.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// Typed bytes in one mark.
const TYPED_MAX: usize = 1024;
/// A line that nobody ends is kept after so long.
const TYPED_FOR: Duration = Duration::from_secs(10);
/// The wall clock was set when it moved by so much more or less than time passed.
const STEP: u64 = 1000;
/// Marks that may wait for stalled storage; the oldest go.
const MARKS: usize = 256;
/// Bytes copied out of the ring at once.
const PIECE: usize = 64 * 1024;

/// Where a store should be, and how big.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub dir: PathBuf,
    pub quota: u64,
}

/// What the owner should tell people about the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Failed(String),
    /// It works again; so many bytes were never stored.
    Resumed {
        lost: u64,
    },
}

#[derive(Debug, Default)]
struct Desk {
    /// End of the stream.
    end: u64,
    marks: VecDeque<Record>,
    /// Marks that had to go.
    marks_lost: u64,
    typing: Option<Typing>,
    stop: bool,
    /// All that was to be stored is, or cannot be.
    over: bool,
    /// The scribe wants to be served at this end of the stream.
    wake_at: Option<u64>,
}

/// What somebody types, until the line is whole.
#[derive(Debug)]
struct Typing {
    at: Timestamp,
    since: Instant,
    user: String,
    bytes: Vec<u8>,
}

impl Desk {
    fn push(&mut self, record: Record) {
        if self.marks.len() >= MARKS {
            self.marks.pop_front();
            self.marks_lost += 1;
        }
        self.marks.push_back(record);
    }

    fn add_typing(&mut self, user: &str, piece: &[u8]) {
        let room = |typing: &Typing| typing.bytes.len() + piece.len() <= TYPED_MAX;
        if !self
            .typing
            .as_ref()
            .is_some_and(|typing| typing.user == user && room(typing))
        {
            self.end_typing();
        }
        let typing = self.typing.get_or_insert_with(|| Typing {
            at: Timestamp::now(),
            since: Instant::now(),
            user: user.to_owned(),
            bytes: Vec::new(),
        });
        typing.bytes.extend_from_slice(piece);
        if piece.ends_with(b"\r") || piece.ends_with(b"\n") {
            self.end_typing();
        }
    }

    /// The line that is being typed becomes a mark where the stream is now, dated at its first key.
    fn end_typing(&mut self) {
        let Some(typing) = self.typing.take() else {
            return;
        };
        let offset = self.end;
        self.push(Record {
            offset,
            at: typing.at,
            mark: Mark::Typed {
                user: typing.user,
                bytes: typing.bytes,
            },
        });
    }

    /// When the line that is being typed is kept as it is.
    fn typing_due(&self) -> Option<Instant> {
        self.typing.as_ref().map(|typing| typing.since + TYPED_FOR)
    }
}

#[derive(Debug)]
struct Shared {
    desk: Mutex<Desk>,
    /// Rung when [`Desk::over`] is set.
    over: Condvar,
    flusher: Arc<Flusher>,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics while it holds the lock.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the scribe served; the desk is given back first.
    fn ring(&self, mut desk: MutexGuard<'_, Desk>) {
        desk.wake_at = None;
        drop(desk);
        self.flusher.ring();
    }
}

/// The owner's end. Dropping it has what is there stored, and the store closed.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    patience: Patience,
}

impl Writer {
    /// Begins. Faults go to `faults`; when nobody takes them, to the log only.
    ///
    /// The stream goes on where the store ends. Without a store, one is tried to be opened until it can: then the
    /// stream began at 0, and what the ring still has of it is stored first.
    ///
    /// # Errors
    /// No thread can be made.
    pub(crate) fn spawn(
        store: Result<Store, Place>,
        stream: Arc<Stream>,
        faults: mpsc::Sender<Fault>,
    ) -> std::io::Result<Self> {
        let desk = Desk {
            end: stream.end(),
            ..Desk::default()
        };
        let shared = Arc::new(Shared {
            desk: Mutex::new(desk),
            over: Condvar::new(),
            flusher: Flusher::get()?,
        });
        let now = Instant::now();
        let (cursor, failing) = match &store {
            Ok(store) => (store.end(), None),
            Err(_) => (0, Some((FIRST_RETRY, now + FIRST_RETRY))),
        };
        let told = Cursor::new(cursor.into());
        let patience = Patience::new(told.clone());
        let scribe = Scribe {
            cursor,
            told,
            store,
            shift: 0,
            clock: None,
            stream,
            shared: shared.clone(),
            faults,
            failing,
            gathers_until: None,
            synced_at: now,
            lost: 0,
        };
        shared.flusher.serve(scribe);
        Ok(Self { shared, patience })
    }

    /// The stream has grown to `end`. Never waits.
    pub(crate) fn received(&self, end: u64) {
        let mut desk = self.shared.desk();
        desk.end = end;
        if desk.wake_at.is_some_and(|at| end >= at) {
            self.shared.ring(desk);
        }
    }

    /// Is the transcript about to be overtaken, and does it deserve a moment?
    pub(crate) fn waits(&mut self, floor: u64) -> bool {
        self.patience.waits(floor)
    }

    /// Marks the place where the stream is now. Never waits.
    pub(crate) fn mark(&self, event: Kind) {
        let mut desk = self.shared.desk();
        desk.end_typing();
        let offset = desk.end;
        desk.push(Record {
            offset,
            at: Timestamp::now(),
            mark: Mark::Event(event),
        });
        self.shared.ring(desk);
    }

    /// Keeps what was sent to the port, and who typed it. What one person types becomes one mark a line. Never waits.
    pub(crate) fn typed(&self, user: &str, bytes: &[u8]) {
        let mut desk = self.shared.desk();
        for line in bytes.split_inclusive(|&byte| byte == b'\r' || byte == b'\n') {
            for piece in line.chunks(TYPED_MAX) {
                desk.add_typing(user, piece);
            }
        }
        self.shared.ring(desk);
    }

    /// Stores what is left and closes the store. Blocks for a sync of the flash.
    pub(crate) fn finish(self) {
        self.stop();
        let over = self
            .shared
            .over
            .wait_while(self.shared.desk(), |desk| !desk.over);
        drop(over);
    }

    fn stop(&self) {
        let mut desk = self.shared.desk();
        desk.stop = true;
        self.shared.ring(desk);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The flusher's end.
#[derive(Debug)]
pub(super) struct Scribe {
    /// Or where one should be.
    store: Result<Store, Place>,
    /// Offset in the store minus offset in the stream.
    shift: u64,
    /// Wall clock and uptime of the last [`Mark::Clock`], in milliseconds.
    clock: Option<(u64, u64)>,
    stream: Arc<Stream>,
    shared: Arc<Shared>,
    faults: mpsc::Sender<Fault>,
    cursor: u64,
    told: Cursor,
    /// The storage fails; the pause before the next try, and when that is.
    failing: Option<(Duration, Instant)>,
    /// There is something to store; some more is waited for until then.
    gathers_until: Option<Instant>,
    synced_at: Instant,
    /// Bytes that were never stored and nobody was told of.
    lost: u64,
}

impl Scribe {
    /// When there is work, if that is known. What is said before then rings.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let mut desk = self.shared.desk();
        if desk.stop {
            return Some(now);
        }
        if let Some((_, retry_at)) = self.failing {
            return Some(retry_at);
        }
        if self.gathers_until.is_none() {
            let sync = self.store.as_ref().is_ok_and(Store::is_dirty);
            let sync = sync.then(|| self.synced_at + SYNC_EVERY);
            let idle = sync.into_iter().chain(desk.typing_due()).min();
            if desk.marks.is_empty() && desk.end == self.cursor && idle.is_none_or(|at| at > now) {
                desk.wake_at = Some(self.cursor + 1);
                return idle;
            }
            self.gathers_until = Some(now + GATHER);
        }
        // The ring is written out at the latest when a quarter of it waits.
        let late = self.cursor + self.stream.capacity() / 4;
        if desk.end >= late {
            return Some(now);
        }
        desk.wake_at = Some(late);
        self.gathers_until
    }

    /// Does what is due. Says whether there will be more.
    pub(super) fn work(&mut self) -> bool {
        self.gathers_until = None;
        let stop = {
            let mut desk = self.shared.desk();
            desk.wake_at = None;
            desk.stop
        };
        match self.store_all(stop) {
            Ok(()) => self.works(),
            Err(error) => self.fails(&error),
        }
        !stop
    }

    fn store_all(&mut self, stop: bool) -> Result<(), Error> {
        self.open()?;
        let (end, lost) = {
            let mut desk = self.shared.desk();
            if stop || desk.typing_due().is_some_and(|due| due <= Instant::now()) {
                desk.end_typing();
            }
            (desk.end, desk.marks_lost)
        };
        self.look_at_clock()?;
        let began = self.cursor;
        if lost > 0 {
            self.store()?.mark(Mark::MarksLost { count: lost })?;
            self.shared.desk().marks_lost -= lost;
        }
        // Marks in their places; each leaves the queue only when it is written.
        while let Some(mark) = self.next_mark(end) {
            self.carry(mark.offset)?;
            self.store()?.mark_at(mark.at, mark.mark.clone())?;
            let mut desk = self.shared.desk();
            // One more may have pushed it out meanwhile.
            if desk.marks.front() == Some(&mark) {
                desk.marks.pop_front();
            }
        }
        self.carry(end)?;
        let moved = self.cursor > began;
        let due = self.synced_at.elapsed() >= SYNC_EVERY;
        let store = self.store()?;
        if moved {
            store.mark(Mark::Time)?;
        }
        if stop {
            store.mark(Mark::Stopped)?;
        }
        if stop || due || store.unsynced() >= SYNC_BYTES {
            store.sync()?;
            self.synced_at = Instant::now();
        }
        Ok(())
    }

    fn store(&mut self) -> Result<&mut Store, Error> {
        self.store.as_mut().map_err(|place| Error::Busy {
            path: place.dir.clone(),
        })
    }

    /// Opens the store if it is not open yet.
    fn open(&mut self) -> Result<(), Error> {
        if let Err(place) = &self.store {
            let store = Store::open(&place.dir, place.quota)?;
            // The stream began at 0 without it; whatever was stored before lies in front of that.
            self.shift = store.end();
            self.store = Ok(store);
        }
        Ok(())
    }

    /// Says how long the board has run, at first and whenever the wall clock was set.
    fn look_at_clock(&mut self) -> Result<(), Error> {
        let (wall, uptime) = (Timestamp::now().0, clock::uptime_millis());
        let step = match self.clock {
            Some((last_wall, last_uptime)) => {
                let expected = last_wall.saturating_add(uptime.saturating_sub(last_uptime));
                let step = i128::from(wall) - i128::from(expected);
                if step.unsigned_abs() < u128::from(STEP) {
                    return Ok(());
                }
                i64::try_from(step).unwrap_or(i64::MAX)
            }
            None => 0,
        };
        self.store()?.mark(Mark::Clock {
            uptime_ms: uptime,
            step_ms: step,
        })?;
        self.clock = Some((wall, uptime));
        Ok(())
    }

    fn next_mark(&self, end: u64) -> Option<Record> {
        let desk = self.shared.desk();
        desk.marks
            .front()
            .filter(|mark| mark.offset <= end)
            .cloned()
    }

    /// Copies the stream up to `end` into the store.
    fn carry(&mut self, end: u64) -> Result<(), Error> {
        while self.cursor < end {
            let max = usize::try_from(end - self.cursor).unwrap_or(usize::MAX);
            let read = self.stream.read(self.cursor, max.min(PIECE));
            self.lost += read.gap;
            self.cursor = read.at;
            self.told.store(self.cursor, Ordering::Relaxed);
            let mut rest = &read.bytes[..];
            while !rest.is_empty() {
                let offset = self.cursor.saturating_add(self.shift);
                let taken = self.store()?.append(offset, rest)?;
                self.cursor += length(taken);
                self.told.store(self.cursor, Ordering::Relaxed);
                rest = rest.get(taken..).unwrap_or_default();
                let store = self.store()?;
                if store.unsynced() >= SYNC_BYTES {
                    store.sync()?;
                    self.synced_at = Instant::now();
                }
            }
        }
        Ok(())
    }

    fn works(&mut self) {
        if self.failing.take().is_some() || self.lost > 0 {
            let lost = std::mem::take(&mut self.lost);
            tracing::warn!(lost, "the transcript goes on");
            // A full queue means that the owner has enough to tell.
            let _ = self.faults.try_send(Fault::Resumed { lost });
        }
    }

    fn fails(&mut self, error: &Error) {
        let pause = match self.failing {
            None => {
                let text = fault::chain(error);
                tracing::error!(error = text, "the transcript stands still");
                let _ = self.faults.try_send(Fault::Failed(text));
                FIRST_RETRY
            }
            Some((pause, _)) => (pause * 2).min(LONGEST_RETRY),
        };
        self.failing = Some((pause, Instant::now() + pause));
    }
}

impl Drop for Scribe {
    /// However it ends, nobody waits for it any longer.
    fn drop(&mut self) {
        self.shared.desk().over = true;
        self.shared.over.notify_all();
    }
}
