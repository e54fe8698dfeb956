//! How often one source may try: connections and passwords. Pure bookkeeping in a bounded table; never sleeps,
//! never hashes.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::clock::Instant;

/// Wrong passwords a source may give before it has to wait.
pub const FREE_FAILURES: u32 = 5;
/// Longest wait; a person who mistyped is never locked out for longer.
pub const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// After this long without a try a source is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(900);
/// Connections a source may open at once, and how fast that fills up again. Each costs a key exchange.
const CONNECT_BURST: u32 = 100;
const CONNECT_EVERY: Duration = Duration::from_millis(100);
/// Journaled refusals without a wrong password (no key fitted) per source; a flood must not wear the flash.
const REPORT_BURST: u32 = 5;
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// Sources remembered; about 200 bytes each.
const TABLE: usize = 2048;

/// Where tries come from: an IPv4 address, or the /64 of an IPv6 address (one host owns a whole /64).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                Self(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into())
            }
            v4 => Self(v4),
        }
    }
}

/// What a source has done lately.
#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    blocked_until: Option<Instant>,
    connects: Bucket,
    reports: Bucket,
    seen: Instant,
}

/// A token bucket that counts what was taken and lets it leak away.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    taken: u32,
    since: Instant,
}

impl Bucket {
    fn take(&mut self, burst: u32, every: Duration, now: Instant) -> bool {
        let leaked = now.duration_since(self.since).as_nanos() / every.as_nanos().max(1);
        let leaked = u32::try_from(leaked).unwrap_or(u32::MAX);
        if leaked >= self.taken {
            *self = Self {
                taken: 0,
                since: now,
            };
        } else {
            self.taken -= leaked;
            self.since += every * leaked;
        }
        let fits = self.taken < burst;
        if fits {
            self.taken += 1;
        }
        fits
    }
}

/// The table of sources.
#[derive(Debug, Default)]
pub struct Limiter {
    sources: HashMap<Source, Record>,
}

impl Limiter {
    /// May this source open one more connection?
    pub fn connect(&mut self, source: Source, now: Instant) -> bool {
        let record = self.record(source, now);
        record.connects.take(CONNECT_BURST, CONNECT_EVERY, now)
    }

    /// May a refusal of this source be journaled, or would that be a flood?
    pub fn report(&mut self, source: Source, now: Instant) -> bool {
        let record = self.record(source, now);
        record.reports.take(REPORT_BURST, REPORT_EVERY, now)
    }

    /// How long this source has to wait before its next password is looked at.
    #[must_use]
    pub fn wait(&self, source: Source, now: Instant) -> Option<Duration> {
        let until = self.sources.get(&source)?.blocked_until?;
        until
            .checked_duration_since(now)
            .filter(|left| !left.is_zero())
    }

    /// A wrong password came; returns how long the source has to wait now.
    pub fn fail(&mut self, source: Source, now: Instant) -> Option<Duration> {
        let record = self.record(source, now);
        record.failures = record.failures.saturating_add(1);
        let over = record.failures.checked_sub(FREE_FAILURES)?;
        let wait = Duration::from_secs(1 << over.min(16)).min(LONGEST_WAIT);
        record.blocked_until = Some(now + wait);
        Some(wait)
    }

    /// A right password came: the failures before it were a person's.
    pub fn succeed(&mut self, source: Source) {
        if let Some(record) = self.sources.get_mut(&source) {
            record.failures = 0;
            record.blocked_until = None;
        }
    }

    fn record(&mut self, source: Source, now: Instant) -> &mut Record {
        let known = self.sources.get(&source).copied();
        if known.is_none() && self.sources.len() >= TABLE {
            self.make_room(now);
        }
        let fresh = Record {
            failures: 0,
            blocked_until: None,
            connects: Bucket {
                taken: 0,
                since: now,
            },
            reports: Bucket {
                taken: 0,
                since: now,
            },
            seen: now,
        };
        let record = self.sources.entry(source).or_insert(fresh);
        if now.duration_since(record.seen) > FORGET_AFTER {
            *record = fresh;
        }
        record.seen = now;
        record
    }

    /// Forgets who has been quiet; when all are busy, forgets the one heard of longest ago. Blocked sources go last.
    fn make_room(&mut self, now: Instant) {
        self.sources
            .retain(|_, record| now.duration_since(record.seen) <= FORGET_AFTER);
        while self.sources.len() >= TABLE {
            let oldest = self
                .sources
                .iter()
                .min_by_key(|(_, record)| {
                    (record.blocked_until.is_some_and(|t| t > now), record.seen)
                })
                .map(|(source, _)| *source);
            let Some(oldest) = oldest else { break };
            self.sources.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn one_v6_host_is_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_grows_and_a_right_password_ends_it() {
        let (mut limiter, alice, start) = (Limiter::default(), source("10.0.0.1"), Instant::now());
        for _ in 1..FREE_FAILURES {
            assert_eq!(limiter.fail(alice, start), None);
        }
        let mut waits = vec![];
        for _ in 0..12 {
            waits.extend(limiter.fail(alice, start).map(|wait| wait.as_secs()));
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
        assert_eq!(limiter.wait(alice, start), Some(LONGEST_WAIT));
        assert_eq!(limiter.wait(source("10.0.0.2"), start), None);
        assert_eq!(limiter.wait(alice, start + LONGEST_WAIT), None);
        limiter.succeed(alice);
        assert_eq!(limiter.wait(alice, start), None);
        assert_eq!(limiter.fail(alice, start), None);
    }

    #[tokio::test(start_paused = true)]
    async fn quiet_sources_are_forgotten() {
        let (mut limiter, alice, start) = (Limiter::default(), source("10.0.0.1"), Instant::now());
        for _ in 0..8 {
            limiter.fail(alice, start);
        }
        let later = start + FORGET_AFTER + Duration::from_secs(1);
        assert_eq!(limiter.fail(alice, later), None);
    }

    #[tokio::test(start_paused = true)]
    async fn connections_are_a_leaking_bucket() {
        let (mut limiter, alice, start) = (Limiter::default(), source("10.0.0.1"), Instant::now());
        for _ in 0..CONNECT_BURST {
            assert!(limiter.connect(alice, start));
        }
        assert!(!limiter.connect(alice, start));
        assert!(limiter.connect(alice, start + CONNECT_EVERY));
        assert!(!limiter.connect(alice, start + CONNECT_EVERY));
    }

    #[tokio::test(start_paused = true)]
    async fn the_table_is_bounded_and_keeps_the_blocked() {
        let (mut limiter, start) = (Limiter::default(), Instant::now());
        let villain = source("10.9.9.9");
        for _ in 0..10 {
            limiter.fail(villain, start);
        }
        for i in 0..u32::try_from(TABLE).unwrap() * 2 {
            limiter.connect(
                Source(IpAddr::V4(i.into())),
                start + Duration::from_millis(1),
            );
        }
        assert!(limiter.sources.len() <= TABLE);
        assert!(limiter.wait(villain, start).is_some());
    }
}
