//! Looks for what a device's lines tell: patterns of oobd.toml, logins, silence. A reader of the ring like any session,
//! four times a second at most; the owner never waits for it, and a noisy device cannot flood the journal.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until};

use super::stream::Stream;
use crate::bus::Bus;
use crate::clock::Instant;
use crate::config;
use crate::event::Kind;
use crate::supervisor::context::Context;

mod login;
mod meter;
mod scan;

use meter::Meter;
use scan::{Found, Scan};

/// A running line is looked at this often. A line without an end counts as a prompt when nothing follows for so long.
const GATHER: Duration = Duration::from_millis(200);
/// Bytes looked at before other tasks get their turn.
const PIECE: usize = 16 * 1024;

/// Starts the watch of one console. It ends with the console.
pub(super) fn spawn(
    context: &Context,
    console: &str,
    record: &config::Record,
    stream: Arc<Stream>,
) {
    let mut watch = Watch {
        cursor: stream.end(),
        scan: Scan::new(record),
        silence: record
            .silence
            .map(|limit| Silence::new(limit, Instant::now())),
        meter: Meter::new(Instant::now()),
        console: console.to_owned(),
        source: context.name.clone(),
        bus: context.bus.clone(),
        stream,
    };
    if watch.scan.is_idle() && watch.silence.is_none() {
        return;
    }
    let stop = context.stop.clone();
    context.tracker.spawn(async move {
        tokio::select! {
            // cancel-safe: the watch is over
            () = stop.cancelled() => {}
            // polled to its end or dropped for good; an event that is on its way is the journal's already
            () = watch.run() => {}
        }
    });
}

struct Watch {
    cursor: u64,
    scan: Scan,
    silence: Option<Silence>,
    meter: Meter,
    console: String,
    source: String,
    bus: Bus,
    stream: Arc<Stream>,
}

impl Watch {
    async fn run(&mut self) {
        let mut head = self.stream.watch();
        // When a line without an end was last added to.
        let mut open_since: Option<Instant> = None;
        loop {
            if self.cursor == *head.borrow_and_update() {
                let quiet = open_since.map(|since| since + GATHER);
                let silent = self.silence.as_ref().and_then(Silence::due);
                let owed = self.meter.due();
                tokio::select! {
                    // cancel-safe per docs on watch::Receiver::changed(); the stream lives as long as we hold it
                    _ = head.changed() => sleep(GATHER).await,
                    // cancel-safe: a timer has nothing to lose
                    () = at(quiet) => {
                        open_since = None;
                        let found = self.scan.quiet();
                        self.tell_all(found).await;
                    }
                    // cancel-safe: a timer has nothing to lose
                    () = at(silent) => {
                        if let Some(told) = self.silence.as_mut().and_then(|silence| silence.passed(Instant::now())) {
                            self.tell(Found::Silent(told)).await;
                        }
                    }
                    // cancel-safe: a timer has nothing to lose
                    () = at(owed) => self.tell_left_out().await,
                }
                continue;
            }
            let read = self.stream.read(self.cursor, PIECE);
            self.cursor = read.next();
            let now = Instant::now();
            if let Some(told) = self.silence.as_mut().and_then(|silence| silence.heard(now)) {
                self.tell(Found::Heard(told)).await;
            }
            if read.gap > 0 {
                self.scan.forget();
            }
            let found = self.scan.feed(&read.bytes, now);
            self.tell_all(found).await;
            open_since = self.scan.is_open().then_some(now);
            tokio::task::yield_now().await;
        }
    }

    async fn tell_all(&mut self, found: Vec<Found>) {
        for found in found {
            self.tell(found).await;
        }
    }

    async fn tell(&mut self, found: Found) {
        if !self.meter.admits(Instant::now()) {
            return;
        }
        let console = self.console.clone();
        let kind = match found {
            Found::Pattern {
                pattern,
                line,
                severity,
            } => Kind::PatternSeen {
                console,
                pattern,
                line,
                severity,
            },
            Found::Login(user) => Kind::DeviceLogin { console, user },
            Found::Logout(user) => Kind::DeviceLogout { console, user },
            Found::Silent(seconds) => Kind::ConsoleSilent { console, seconds },
            Found::Heard(seconds) => Kind::ConsoleHeard { console, seconds },
        };
        // An error means that the board stops.
        let _ = self.bus.publish(&self.source, kind).await;
    }

    async fn tell_left_out(&mut self) {
        if let Some(count) = self.meter.left_out(Instant::now()) {
            let console = self.console.clone();
            let kind = Kind::EventsLeftOut { console, count };
            let _ = self.bus.publish(&self.source, kind).await;
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

/// Has the device said nothing for too long? Pure.
#[derive(Debug)]
struct Silence {
    limit: Duration,
    heard: Instant,
    told: bool,
}

impl Silence {
    fn new(limit: Duration, now: Instant) -> Self {
        Self {
            limit,
            heard: now,
            told: false,
        }
    }

    fn due(&self) -> Option<Instant> {
        (!self.told).then(|| self.heard + self.limit)
    }

    /// Seconds of silence, the first time it is too long.
    fn passed(&mut self, now: Instant) -> Option<u64> {
        let silent = now.saturating_duration_since(self.heard);
        if self.told || silent < self.limit {
            return None;
        }
        self.told = true;
        Some(silent.as_secs())
    }

    /// Seconds of silence that were told and end now.
    fn heard(&mut self, now: Instant) -> Option<u64> {
        let silent = now.saturating_duration_since(self.heard);
        self.heard = now;
        std::mem::take(&mut self.told).then_some(silent.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut silence = Silence::new(Duration::from_secs(10), start);
        assert_eq!(silence.heard(after(5)), None);
        assert_eq!(silence.due(), Some(after(15)));
        assert_eq!(silence.passed(after(14)), None);
        assert_eq!(silence.passed(after(15)), Some(10));
        assert_eq!((silence.passed(after(30)), silence.due()), (None, None));
        assert_eq!(silence.heard(after(65)), Some(60));
        assert_eq!(silence.heard(after(66)), None);
    }
}
