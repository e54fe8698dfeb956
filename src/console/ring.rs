//! The latest bytes a console received, addressed by stream offset. Overwrites the oldest, never waits for a reader.

use bytes::Bytes;

/// Smallest ring that still holds a screen or two.
const MIN_CAPACITY: usize = 4096;

/// A fixed piece of memory that holds the bytes `start..end` of the stream.
#[derive(Debug)]
pub(super) struct Ring {
    memory: Box<[u8]>,
    start: u64,
    end: u64,
}

/// What a reader got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Read {
    /// Bytes between the reader's cursor and `at` that were overwritten before it came.
    pub gap: u64,
    /// Offset of the first byte.
    pub at: u64,
    pub bytes: Bytes,
}

impl Read {
    /// The reader's next cursor.
    #[must_use]
    pub(super) fn next(&self) -> u64 {
        self.at.saturating_add(length(self.bytes.len()))
    }
}

impl Ring {
    /// An empty ring of `capacity` bytes (at least 4096) whose first byte will have the offset `base`.
    #[must_use]
    pub(super) fn new(capacity: usize, base: u64) -> Self {
        Self {
            memory: vec![0; capacity.max(MIN_CAPACITY)].into_boxed_slice(),
            start: base,
            end: base,
        }
    }

    /// Offset of the oldest byte held.
    #[must_use]
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Offset of the next byte to come.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    #[must_use]
    pub(super) fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// Appends what the device sent.
    pub(super) fn push(&mut self, data: &[u8]) {
        let skipped = data.len().saturating_sub(self.memory.len());
        self.end += length(skipped);
        let mut rest = data.get(skipped..).unwrap_or_default();
        while !rest.is_empty() {
            let at = self.index(self.end);
            let room = self.memory.get_mut(at..).unwrap_or_default();
            let count = room.len().min(rest.len());
            let (now, later) = rest.split_at(count);
            room[..count].copy_from_slice(now);
            self.end += length(count);
            rest = later;
        }
        self.start = self
            .start
            .max(self.end.saturating_sub(length(self.memory.len())));
    }

    /// Copies at most `max` bytes from `cursor` on. A cursor that was overtaken continues at the oldest byte held.
    #[must_use]
    pub(super) fn read(&self, cursor: u64, max: usize) -> Read {
        let at = cursor.clamp(self.start, self.end);
        let held = usize::try_from(self.end - at).unwrap_or(usize::MAX);
        let count = held.min(max);
        let from = self.index(at);
        let head = self.memory.get(from..).unwrap_or_default();
        let bytes = if count <= head.len() {
            Bytes::copy_from_slice(&head[..count])
        } else {
            let mut both = Vec::with_capacity(count);
            both.extend_from_slice(head);
            both.extend_from_slice(&self.memory[..count - head.len()]);
            Bytes::from(both)
        };
        Read {
            gap: at.saturating_sub(cursor),
            at,
            bytes,
        }
    }

    fn index(&self, offset: u64) -> usize {
        // The remainder is smaller than a length in memory, so it always fits.
        usize::try_from(offset % length(self.memory.len())).unwrap_or(0)
    }
}

/// A length in memory as a distance in the stream.
#[must_use]
pub(super) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Byte `offset` of the test stream; its period is no divisor of any ring size used here.
    fn sample(offset: u64) -> u8 {
        u8::try_from(offset.wrapping_mul(31) % 251).unwrap()
    }

    fn stream(from: u64, count: usize) -> Vec<u8> {
        (from..from + length(count)).map(sample).collect()
    }

    #[test]
    fn a_push_longer_than_the_ring_leaves_its_end() {
        let mut ring = Ring::new(4096, 7);
        ring.push(&stream(7, 10_000));
        assert_eq!((ring.start(), ring.end()), (10_007 - 4096, 10_007));
        let read = ring.read(0, usize::MAX);
        assert_eq!(read.gap, ring.start());
        assert_eq!(read.bytes, stream(ring.start(), 4096));
        assert_eq!(read.next(), 10_007);
    }

    proptest! {
        /// What each cursor reads is the stream, in order, once; what is missing is announced as a gap of that size.
        #[test]
        fn nothing_reordered_doubled_or_dropped_unsaid(
            base in 0..u64::from(u32::MAX),
            steps in prop::collection::vec((0..3000_usize, 0..4_usize, 1..5000_usize), 1..200),
        ) {
            let mut ring = Ring::new(4096, base);
            let mut cursors = [base; 4];
            for (push, reader, max) in steps {
                ring.push(&stream(ring.end(), push));
                prop_assert!(ring.end() - ring.start() <= 4096);
                let read = ring.read(cursors[reader], max);
                prop_assert_eq!(read.at, cursors[reader] + read.gap);
                prop_assert!(read.gap == 0 || read.at == ring.start());
                prop_assert_eq!(&read.bytes[..], &stream(read.at, read.bytes.len())[..]);
                prop_assert!(read.bytes.len() <= max);
                prop_assert!(!read.bytes.is_empty() || read.at == ring.end());
                cursors[reader] = read.next();
            }
            for cursor in cursors {
                let read = ring.read(cursor, usize::MAX);
                prop_assert_eq!(read.next(), ring.end());
                prop_assert_eq!(cursor + read.gap + length(read.bytes.len()), ring.end());
            }
        }
    }
}
