//! How long the owner of a fast line waits for a reader: a moment while it reads, never for one that does not.
//!
//! A UART never gets here. A pty delivers a hundred megabytes a second, and a reader on a busy machine may need some
//! milliseconds for the processor. Each wait is about a millisecond, far less than the 64 KiB that the kernel
//! keeps for a port would last at any baud rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Waits that a reader has at hand: about a quarter of a second, once, for one that stands still.
const WAITS: u64 = 250;
/// Bytes that earn a reader another wait. Who reads four megabytes a second is waited for without end; who reads
/// slower than that uses up its waits and is overtaken, so that it cannot hold up the others.
const EARNS: u64 = 4096;

/// A reader's place in the stream, told by itself.
pub(crate) type Cursor = Arc<AtomicU64>;

/// One reader as the owner sees it.
#[derive(Debug)]
pub(crate) struct Patience {
    cursor: Cursor,
    seen: u64,
    left: u64,
}

impl Patience {
    pub(crate) fn new(cursor: Cursor) -> Self {
        Self {
            seen: cursor.load(Ordering::Relaxed),
            cursor,
            left: WAITS,
        }
    }

    /// Should the owner wait before it overwrites what lies before `floor`?
    pub(crate) fn waits(&mut self, floor: u64) -> bool {
        let cursor = self.cursor.load(Ordering::Relaxed);
        let earned = cursor.saturating_sub(self.seen) / EARNS;
        if earned > 0 {
            self.seen = cursor;
            self.left = WAITS.min(self.left + earned);
        }
        if cursor >= floor || self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_who_reads_on_and_not_for_long_for_who_does_not() {
        let cursor = Cursor::default();
        let mut patience = Patience::new(cursor.clone());
        assert!(!patience.waits(0));
        let waits =
            |patience: &mut Patience| (0..1000).filter(|_| patience.waits(u64::MAX)).count();
        assert_eq!(waits(&mut patience), 250);
        cursor.store(EARNS - 1, Ordering::Relaxed);
        assert_eq!(waits(&mut patience), 0, "a trickle earns nothing");
        cursor.store(EARNS * 3, Ordering::Relaxed);
        assert_eq!(waits(&mut patience), 3);
        cursor.store(EARNS * 9999, Ordering::Relaxed);
        assert!(!patience.waits(EARNS * 9999), "it has caught up");
        assert_eq!(waits(&mut patience), 250);
    }
}
