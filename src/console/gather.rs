//! When the owner of a port reads on: a line that runs and that nobody types for is read in larger pieces, so that it costs
//! twenty-five turns a second and not three thousand. Pure; the clock is the caller's.

use std::time::Duration;

use crate::clock::Instant;

/// A read this long comes from a fast line, of which a short one says nothing: read on without a pause.
const BULK: usize = 2048;
/// Pause after short reads that follow each other. What comes after silence, and the echo of what is typed, go at once.
const SHORT: Duration = Duration::from_millis(3);
/// Pause in a line that has run for [`SETTLED`] and that nobody typed for meanwhile: 460 bytes at 115200 baud, of the 4 KiB
/// that the kernel's line discipline holds, behind which its driver keeps 64 KiB more.
const LONG: Duration = Duration::from_millis(40);
/// Somebody who typed sees the answer begin at the pace of [`SHORT`].
const SETTLED: Duration = Duration::from_millis(250);
/// Reads that are closer than this follow each other, the pause between them not counted.
const RUNNING: Duration = Duration::from_millis(15);

/// What the last reads of a line were like.
#[derive(Debug)]
pub(super) struct Gather {
    read_at: Instant,
    pause: Duration,
    /// Since when it has run without a break and without a key.
    since: Instant,
    bulk_until: Option<Instant>,
}

impl Gather {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            read_at: now,
            pause: Duration::ZERO,
            since: now,
            bulk_until: None,
        }
    }

    /// Somebody types: the echo of it is to be read at once.
    pub(super) fn typed(&mut self, now: Instant) {
        self.since = now;
    }

    /// So many bytes were read. Gives the time to read on at, if not at once.
    pub(super) fn read(&mut self, now: Instant, count: usize) -> Option<Instant> {
        let running = now.saturating_duration_since(self.read_at) < self.pause + RUNNING;
        self.read_at = now;
        if count >= BULK {
            self.bulk_until = Some(now + RUNNING + LONG);
        }
        self.pause = if !running {
            self.since = now;
            Duration::ZERO
        } else if self.bulk_until.is_some_and(|until| now < until) {
            Duration::ZERO
        } else if now.saturating_duration_since(self.since) < SETTLED {
            SHORT
        } else {
            LONG
        };
        (!self.pause.is_zero()).then(|| now + self.pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `count` bytes `times` times, each as soon as it may and 1 ms later; gives the last pause.
    fn run(gather: &mut Gather, now: &mut Instant, count: usize, times: u32) -> Duration {
        let mut pause = Duration::ZERO;
        for _ in 0..times {
            pause = gather
                .read(*now, count)
                .map_or(Duration::ZERO, |at| at - *now);
            *now += pause + Duration::from_millis(1);
        }
        pause
    }

    #[tokio::test]
    async fn pauses_grow_while_a_line_runs_and_shrink_when_somebody_types() {
        let mut now = Instant::now();
        let mut gather = Gather::new(now);
        now += Duration::from_secs(1);
        assert_eq!(run(&mut gather, &mut now, 10, 1), Duration::ZERO);
        assert_eq!(run(&mut gather, &mut now, 10, 1), SHORT);
        assert_eq!(run(&mut gather, &mut now, 10, 90), LONG);
        gather.typed(now);
        assert_eq!(run(&mut gather, &mut now, 10, 1), SHORT);
        assert_eq!(run(&mut gather, &mut now, 10, 90), LONG);
        now += Duration::from_millis(60);
        assert_eq!(
            run(&mut gather, &mut now, 10, 1),
            Duration::ZERO,
            "after silence"
        );
        assert_eq!(run(&mut gather, &mut now, 10, 1), SHORT);
    }

    #[tokio::test]
    async fn a_fast_line_is_never_paused() {
        let mut now = Instant::now();
        let mut gather = Gather::new(now);
        now += Duration::from_secs(1);
        for _ in 0..200 {
            assert_eq!(run(&mut gather, &mut now, 4000, 1), Duration::ZERO);
            assert_eq!(run(&mut gather, &mut now, 95, 3), Duration::ZERO);
        }
    }
}
