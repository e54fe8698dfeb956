//! The thread that carries a console's stream to flash. It is a reader of the ring like any session: when storage
//! stalls for longer than the ring is long, the transcript gets a gap mark and the console goes on.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Store;
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
/// A transcript's thread needs little.
const STACK: usize = 256 * 1024;

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
    /// The thread waits and wants to be woken at this end of the stream.
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
    wake: Condvar,
}

impl Shared {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // Nothing panics while it holds the lock.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The owner's end. Dropping it has the thread store what it has and end.
#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    patience: Patience,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread `log NAME`. Faults go to `faults`; when nobody takes them, to the log only.
    ///
    /// The stream goes on where the store ends. Without a store, its thread tries to open one until it can: then the
    /// stream began at 0, and what the ring still has of it is stored first.
    ///
    /// # Errors
    /// No thread can be made.
    pub(crate) fn spawn(
        name: &str,
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
            wake: Condvar::new(),
        });
        let (cursor, failing) = match &store {
            Ok(store) => (store.end(), None),
            Err(_) => (0, Some(FIRST_RETRY)),
        };
        let told = Cursor::new(cursor.into());
        let patience = Patience::new(told.clone());
        let mut scribe = Scribe {
            cursor,
            told,
            store,
            shift: 0,
            clock: None,
            stream,
            shared: shared.clone(),
            faults,
            failing,
            synced_at: Instant::now(),
            lost: 0,
        };
        let thread = std::thread::Builder::new()
            .name(format!("log {name}"))
            .stack_size(STACK)
            .spawn(move || scribe.run())?;
        Ok(Self {
            shared,
            patience,
            thread: Some(thread),
        })
    }

    /// The stream has grown to `end`. Never waits.
    pub(crate) fn received(&self, end: u64) {
        let mut desk = self.shared.desk();
        desk.end = end;
        if desk.wake_at.is_some_and(|at| end >= at) {
            desk.wake_at = None;
            self.shared.wake.notify_one();
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
        desk.wake_at = None;
        self.shared.wake.notify_one();
    }

    /// Keeps what was sent to the port, and who typed it. What one person types becomes one mark a line. Never waits.
    pub(crate) fn typed(&self, user: &str, bytes: &[u8]) {
        let mut desk = self.shared.desk();
        for line in bytes.split_inclusive(|&byte| byte == b'\r' || byte == b'\n') {
            for piece in line.chunks(TYPED_MAX) {
                desk.add_typing(user, piece);
            }
        }
        self.shared.wake.notify_one();
    }

    /// Stores what is left and ends the thread. Blocks for a sync of the flash.
    pub(crate) fn finish(mut self) {
        self.stop();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the transcript's thread panicked");
        }
    }

    fn stop(&self) {
        self.shared.desk().stop = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The thread's own things.
struct Scribe {
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
    /// The storage fails; how long until the next try.
    failing: Option<Duration>,
    synced_at: Instant,
    /// Bytes that were never stored and nobody was told of.
    lost: u64,
}

impl Scribe {
    fn run(&mut self) {
        loop {
            let stop = self.wait();
            match self.work(stop) {
                Ok(()) => self.works(),
                Err(error) => self.fails(&error),
            }
            if stop {
                return;
            }
        }
    }

    /// Waits for work, gathers some more, and says whether to stop.
    fn wait(&mut self) -> bool {
        let mut desk = self.shared.desk();
        if let Some(pause) = self.failing {
            return self.sleep(desk, pause, |desk| desk.stop).stop;
        }
        if !desk.stop && desk.marks.is_empty() && desk.end == self.cursor {
            desk.wake_at = Some(self.cursor + 1);
            let sync = if self.store.as_ref().is_ok_and(Store::is_dirty) {
                SYNC_EVERY.saturating_sub(self.synced_at.elapsed())
            } else {
                Duration::MAX
            };
            let typing = desk.typing_due().map_or(Duration::MAX, |due| {
                due.saturating_duration_since(Instant::now())
            });
            let idle = sync.min(typing);
            let (cursor, types) = (self.cursor, desk.typing.is_some());
            desk = self.sleep(desk, idle, |desk| {
                let begins = desk.typing.is_some() && !types;
                desk.stop || begins || !desk.marks.is_empty() || desk.end != cursor
            });
        }
        // The ring is written out at the latest when a quarter of it waits.
        let late = self.cursor + self.stream.capacity() / 4;
        desk.wake_at = Some(late);
        let mut desk = self.sleep(desk, GATHER, |desk| desk.stop || desk.end >= late);
        desk.wake_at = None;
        desk.stop
    }

    fn sleep<'a>(
        &self,
        desk: MutexGuard<'a, Desk>,
        limit: Duration,
        enough: impl Fn(&Desk) -> bool,
    ) -> MutexGuard<'a, Desk> {
        if limit == Duration::MAX {
            let woken = self.shared.wake.wait_while(desk, |desk| !enough(desk));
            return woken.unwrap_or_else(PoisonError::into_inner);
        }
        let woken = self
            .shared
            .wake
            .wait_timeout_while(desk, limit, |desk| !enough(desk));
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn work(&mut self, stop: bool) -> Result<(), Error> {
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
            Some(pause) => (pause * 2).min(LONGEST_RETRY),
        };
        self.failing = Some(pause);
    }
}
