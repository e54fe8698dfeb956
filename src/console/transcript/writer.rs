//! The thread that carries a console's stream to flash. It is a reader of the ring like any session: when storage
//! stalls for longer than the ring is long, the transcript gets a gap mark and the console goes on.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Store;
use crate::clock::{Instant, Timestamp};
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
/// After the storage failed, tried again so often.
const RETRY: Duration = Duration::from_secs(5);
/// Marks that may wait for stalled storage; the oldest go.
const MARKS: usize = 256;
/// Bytes copied out of the ring at once.
const PIECE: usize = 64 * 1024;
/// A transcript's thread needs little.
const STACK: usize = 256 * 1024;

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
    stop: bool,
    /// The thread waits and wants to be woken at this end of the stream.
    wake_at: Option<u64>,
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
    /// # Errors
    /// No thread can be made.
    pub(crate) fn spawn(
        name: &str,
        store: Store,
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
        let told = Cursor::new(store.end().into());
        let patience = Patience::new(told.clone());
        let mut scribe = Scribe {
            cursor: store.end(),
            told,
            store,
            stream,
            shared: shared.clone(),
            faults,
            failing: None,
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
        if desk.marks.len() >= MARKS {
            desk.marks.pop_front();
        }
        let record = Record {
            offset: desk.end,
            at: Timestamp::now(),
            mark: Mark::Event(event),
        };
        desk.marks.push_back(record);
        desk.wake_at = None;
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
    store: Store,
    stream: Arc<Stream>,
    shared: Arc<Shared>,
    faults: mpsc::Sender<Fault>,
    cursor: u64,
    told: Cursor,
    /// Since when storage fails.
    failing: Option<Instant>,
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
        if self.failing.is_some() {
            return self.sleep(desk, RETRY, |desk| desk.stop).stop;
        }
        if !desk.stop && desk.marks.is_empty() && desk.end == self.cursor {
            desk.wake_at = Some(self.cursor + 1);
            let idle = if self.store.is_dirty() {
                SYNC_EVERY.saturating_sub(self.synced_at.elapsed())
            } else {
                Duration::MAX
            };
            let cursor = self.cursor;
            desk = self.sleep(desk, idle, |desk| {
                desk.stop || !desk.marks.is_empty() || desk.end != cursor
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
        let end = self.shared.desk().end;
        let began = self.cursor;
        // Marks in their places; each leaves the queue only when it is written.
        while let Some(mark) = self.next_mark(end) {
            self.carry(mark.offset)?;
            self.store.mark_at(mark.at, mark.mark)?;
            self.shared.desk().marks.pop_front();
        }
        self.carry(end)?;
        if self.cursor > began {
            self.store.mark(Mark::Time)?;
        }
        if stop {
            self.store.mark(Mark::Stopped)?;
        }
        let due = self.synced_at.elapsed() >= SYNC_EVERY || self.store.unsynced() >= SYNC_BYTES;
        if stop || due {
            self.store.sync()?;
            self.synced_at = Instant::now();
        }
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
                let taken = self.store.append(self.cursor, rest)?;
                self.cursor += length(taken);
                self.told.store(self.cursor, Ordering::Relaxed);
                rest = rest.get(taken..).unwrap_or_default();
                if self.store.unsynced() >= SYNC_BYTES {
                    self.store.sync()?;
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
        if self.failing.is_none() {
            let text = fault::chain(error);
            tracing::error!(error = text, "the transcript stands still");
            let _ = self.faults.try_send(Fault::Failed(text));
        }
        self.failing = Some(Instant::now());
    }
}
