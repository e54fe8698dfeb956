//! How many events one console may make of what its device prints. Pure.

use std::time::Duration;

use crate::clock::Instant;

/// Events at once …
const BURST: u32 = 20;
/// … and one more each time so much has passed: 288 a day.
const REFILL: Duration = Duration::from_secs(300);

/// A bucket of events, and a count of those that did not get through.
#[derive(Debug)]
pub(super) struct Meter {
    left: u32,
    refilled: Instant,
    left_out: u64,
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            refilled: now,
            left_out: 0,
        }
    }

    /// May one more event be told? Otherwise it is counted.
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        self.refill(now);
        // Who was cut off hears the count first: one place in the bucket is its.
        if self.left == 0 || self.left_out > 0 {
            self.left_out += 1;
            return false;
        }
        self.left -= 1;
        true
    }

    /// When the count of those left out can be told, if there is one.
    pub(super) fn due(&self) -> Option<Instant> {
        let wait = if self.left > 0 {
            Duration::ZERO
        } else {
            REFILL
        };
        (self.left_out > 0).then(|| self.refilled + wait)
    }

    /// How many were left out since the last time; takes a place in the bucket.
    pub(super) fn left_out(&mut self, now: Instant) -> Option<u64> {
        self.refill(now);
        if self.left == 0 || self.left_out == 0 {
            return None;
        }
        self.left -= 1;
        Some(std::mem::take(&mut self.left_out))
    }

    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.refilled);
        let count = passed.as_secs() / REFILL.as_secs();
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if self.left >= BURST {
            self.refilled = now;
        } else if count > 0 {
            self.left = self.left.saturating_add(count).min(BURST);
            self.refilled += REFILL * count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        let told = (0..1000).filter(|_| meter.admits(start)).count();
        assert_eq!(told, 20);
        assert_eq!(meter.left_out(start), None);
        let due = meter.due().unwrap();
        assert_eq!(due, start + REFILL);
        assert_eq!(meter.left_out(due), Some(980));
        assert!(!meter.admits(due), "the place was taken by the count");
        // A day of flood: the count and nothing else, 288 times.
        let mut events = 0;
        for second in 0..86_400 {
            let now = due + Duration::from_secs(second);
            events += u32::from(meter.admits(now));
            if meter.due().is_some_and(|due| due <= now) {
                events += u32::from(meter.left_out(now).is_some());
            }
        }
        assert!(events <= 300, "{events}");
    }

    #[test]
    fn who_is_calm_has_all_of_its_burst() {
        let start = Instant::now();
        let mut meter = Meter::new(start);
        for minute in 0..10_000 {
            assert!(meter.admits(start + Duration::from_secs(minute * 600)));
        }
    }
}
