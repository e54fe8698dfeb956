//! The ring of one console, shared by its owner (who writes) and its readers. The lock is held for a copy only.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::ring::{Read, Ring};

/// What the device sent, for any number of readers with a cursor each.
#[derive(Debug)]
pub(super) struct Stream {
    ring: Mutex<Ring>,
    end: watch::Sender<u64>,
}

impl Stream {
    #[must_use]
    pub(super) fn new(ring: Ring) -> Self {
        let end = watch::Sender::new(ring.end());
        Self {
            ring: Mutex::new(ring),
            end,
        }
    }

    /// Appends and wakes every reader.
    pub(super) fn push(&self, data: &[u8]) {
        let end = {
            let mut ring = self.ring();
            ring.push(data);
            ring.end()
        };
        self.end.send_replace(end);
    }

    /// Copies at most `max` bytes from `cursor` on.
    #[must_use]
    pub(super) fn read(&self, cursor: u64, max: usize) -> Read {
        self.ring().read(cursor, max)
    }

    /// Offset of the next byte to come.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        *self.end.borrow()
    }

    /// Bytes that a reader may lag behind.
    #[must_use]
    pub(super) fn capacity(&self) -> u64 {
        super::ring::length(self.ring().capacity())
    }

    /// Follows [`Stream::end`].
    #[must_use]
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.end.subscribe()
    }

    /// Where a replay of at most `history` bytes begins: at the start of a line when one begins soon enough.
    #[must_use]
    pub(super) fn replay_from(&self, history: u32) -> u64 {
        /// A line longer than this is shown cut.
        const LINE: usize = 1024;
        let ring = self.ring();
        let from = ring
            .end()
            .saturating_sub(u64::from(history))
            .max(ring.start());
        if from == ring.start() && from == 0 {
            return from;
        }
        let head = ring.read(from, LINE);
        let line = head.bytes.iter().position(|&byte| byte == b'\n');
        match line {
            Some(at) => from + super::ring::length(at) + 1,
            None => from,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // A panic cannot leave the ring half written: `push` panics before it writes or not at all.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
