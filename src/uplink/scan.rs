//! When to scan which channels. Pure; the radio is `wpa`'s.
//!
//! A scan of three channels takes 0.2 s, of twenty 1.3 s, of all of them 10 s (mac80211_hwsim; brcmfmac is slower). So a
//! round over the twenty channels that phones use is cut into eight small scans, and every second one of them looks where most hotspots are.

use std::time::Duration;

use crate::clock::Instant;

/// 2.4 GHz channels 1, 6 and 11: Android picks one of them, and so does an iPhone in its compatible mode.
const USUAL: &[u32] = &[2412, 2437, 2462];
/// The others, in the order of a round. 5 GHz without radar detection; Android prefers 149, so that block comes twice.
const OTHERS: &[&[u32]] = &[
    &[5745, 5765, 5785, 5805, 5825],
    &[5180, 5200, 5220, 5240],
    &[5745, 5765, 5785, 5805, 5825],
    &[2417, 2422, 2427, 2432, 2442, 2447, 2452, 2457],
];
/// Small scans in one round.
const STEPS: u32 = 8;
/// Between two small scans at least, so that other users of the radio get through.
const LEAST_PITCH: Duration = Duration::from_millis(60);
const FULL_EVERY: Duration = Duration::from_secs(600);
/// While associated: pause before the first look for twins, and between two of its small scans.
const TWIN_AFTER: Duration = Duration::from_secs(10);
const TWIN_PITCH: Duration = Duration::from_millis(2500);
/// A busy supplicant is asked again after this.
const BUSY_PAUSE: Duration = Duration::from_millis(150);
/// A hotspot that is being switched off says goodbye first and is still on air for this long.
const GOODBYE: Duration = Duration::from_millis(700);
/// A scan that has not ended by then never will. The full list takes 10 s.
const SCAN_LIMIT: Duration = Duration::from_secs(20);
/// A radio that yields nothing this long is wedged.
const SILENCE: Duration = Duration::from_secs(60);
/// Failed scans in a row that say the same.
const FAILURES: u32 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// No scans: nothing to look for, or a connection is being made.
    Rest,
    Search,
    /// Associated: look for twins now and then.
    Watch,
}

/// What to do about a radio that yields nothing, mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cure {
    AbortScan,
    Reopen,
    ResetLink,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    fast: Duration,
    slow: Duration,
    fast_for: Duration,
    pace: Pace,
    fast_until: Instant,
    /// Never slow: an operator asked for the uplink.
    eager: bool,
    step: u32,
    due: Instant,
    running: Option<(Instant, usize)>,
    /// The channel of the last good access point, and whether it is to be scanned alone first.
    cached: Option<u32>,
    cached_first: bool,
    full_at: Instant,
    /// Indices into [`OTHERS`] that this radio cannot scan.
    unusable: u8,
    failures: u32,
    yielded: Instant,
    cures: u32,
    /// When somebody wants to know what is on air: a scan of all channels at that time, whatever the pace.
    wanted: Option<Instant>,
}

/// Marks a scan that is not one of [`OTHERS`].
const NO_BLOCK: usize = usize::MAX;
/// Marks a scan that somebody wants.
const WANTED: usize = usize::MAX - 1;

impl Plan {
    #[must_use]
    pub(super) fn new(oob: &crate::config::Oob, now: Instant) -> Self {
        Self {
            fast: oob.scan_fast,
            slow: oob.scan_slow,
            fast_for: oob.fast_for,
            pace: Pace::Rest,
            fast_until: now + oob.fast_for,
            eager: false,
            step: 0,
            due: now,
            running: None,
            cached: None,
            cached_first: false,
            full_at: now + FULL_EVERY,
            unusable: 0,
            failures: 0,
            yielded: now,
            cures: 0,
            wanted: None,
        }
    }

    pub(super) fn rest(&mut self) {
        self.pace = Pace::Rest;
        (self.running, self.wanted) = (None, None);
    }

    /// All channels, as soon as the scan that runs has ended.
    pub(super) fn look_around(&mut self, now: Instant) {
        self.wanted = self.wanted.or(Some(now));
    }

    /// Searches, fast again when `afresh`.
    pub(super) fn search(&mut self, afresh: bool, now: Instant) {
        let due = match self.pace {
            Pace::Watch => now + GOODBYE,
            Pace::Rest | Pace::Search => now,
        };
        if self.pace != Pace::Search {
            (self.due, self.running, self.yielded, self.step) = (due, None, now, 0);
        }
        self.pace = Pace::Search;
        if afresh {
            (self.fast_until, self.due, self.step) = (now + self.fast_for, due, 0);
            self.cached_first = self.cached.is_some();
        }
    }

    pub(super) fn watch(&mut self, cached: u32, now: Instant) {
        if self.pace != Pace::Watch {
            (self.pace, self.running, self.step) = (Pace::Watch, None, 0);
            self.due = now + TWIN_AFTER;
        }
        self.cached = Some(cached);
    }

    /// The channel of a good access point: looked at first when it is lost, and in every small scan.
    pub(super) fn remember(&mut self, frequency_mhz: u32) {
        self.cached = Some(frequency_mhz);
    }

    pub(super) fn eager(&mut self, eager: bool) {
        self.eager = eager;
    }

    /// When [`Plan::next`] or [`Plan::cure`] has something to say.
    #[must_use]
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match (self.pace, self.running) {
            (_, Some((since, _))) => Some(since + SCAN_LIMIT),
            (Pace::Rest, None) => self.wanted,
            _ => Some(self.wanted.map_or(self.due, |at| at.min(self.due))),
        }
    }

    /// The channels to scan now; an empty list means all of them.
    pub(super) fn next(&mut self, now: Instant) -> Option<Vec<u32>> {
        // Where scans matter, `cure` finds the one that never ends.
        if self.pace != Pace::Search
            && self
                .running
                .is_some_and(|(since, _)| now >= since + SCAN_LIMIT)
        {
            self.running = None;
        }
        if self.running.is_some() {
            return None;
        }
        if self.wanted.is_some_and(|at| now >= at) {
            self.running = Some((now, WANTED));
            return Some(vec![]);
        }
        if self.pace == Pace::Rest || now < self.due {
            return None;
        }
        let (list, block) = self.choose(now);
        self.running = Some((now, block));
        self.due = now + self.pitch(now);
        Some(list)
    }

    fn choose(&mut self, now: Instant) -> (Vec<u32>, usize) {
        if std::mem::take(&mut self.cached_first)
            && let Some(cached) = self.cached
        {
            return (vec![cached], NO_BLOCK);
        }
        if self.pace == Pace::Search && now >= self.full_at {
            // A block may have failed for a passing reason: it gets another chance.
            (self.full_at, self.unusable) = (now + FULL_EVERY, 0);
            return (vec![], NO_BLOCK);
        }
        let step = self.step;
        self.step = (self.step + 1) % STEPS;
        let block = usize::try_from(step / 2).unwrap_or(0);
        if step % 2 == 1 && self.unusable & (1 << block) == 0 {
            return (OTHERS[block].to_vec(), block);
        }
        let extra = self.cached.filter(|cached| !USUAL.contains(cached));
        let list = extra.into_iter().chain(USUAL.iter().copied());
        (list.collect(), NO_BLOCK)
    }

    fn pitch(&self, now: Instant) -> Duration {
        let period = if self.eager || now < self.fast_until {
            self.fast
        } else {
            self.slow
        };
        match self.pace {
            Pace::Watch if self.step == 0 => FULL_EVERY,
            Pace::Watch => TWIN_PITCH,
            _ => (period / STEPS).max(LEAST_PITCH),
        }
    }

    /// The supplicant would not start it.
    pub(super) fn busy(&mut self, now: Instant) {
        if let Some((_, WANTED)) = self.running.take() {
            self.wanted = Some(now + BUSY_PAUSE);
        } else {
            self.due = now + BUSY_PAUSE;
        }
    }

    /// The supplicant or the radio cannot do these channels.
    pub(super) fn failed(&mut self, now: Instant) {
        if let Some((_, block)) = self.running.take()
            && block != NO_BLOCK
        {
            if block == WANTED {
                self.wanted = None;
                return;
            }
            self.unusable |= 1 << block;
            self.due = now;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.due = self.due.max(now + BUSY_PAUSE);
    }

    /// Scan results came. True when they are of all channels, which somebody wanted.
    pub(super) fn done(&mut self, now: Instant) -> bool {
        let all = matches!(self.running, Some((_, WANTED)));
        if all {
            self.wanted = None;
        }
        (self.running, self.failures, self.cures, self.yielded) = (None, 0, 0, now);
        self.due = self.due.max(now + LEAST_PITCH);
        all
    }

    /// What to do now about a radio that yields nothing.
    pub(super) fn cure(&mut self, now: Instant) -> Option<Cure> {
        if self.pace != Pace::Search {
            return None;
        }
        let stuck = self
            .running
            .is_some_and(|(since, _)| now >= since + SCAN_LIMIT);
        if !stuck && self.failures < FAILURES && now < self.yielded + SILENCE {
            return None;
        }
        (self.running, self.failures, self.yielded, self.due) = (None, 0, now, now + BUSY_PAUSE);
        self.cures = self.cures.saturating_add(1);
        Some(match self.cures % 3 {
            1 => Cure::AbortScan,
            2 => Cure::Reopen,
            _ => Cure::ResetLink,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Mode, Oob};

    fn plan() -> Plan {
        let oob = Oob {
            mode: Mode::Trigger,
            led: None,
            scan_fast: Duration::from_secs(4),
            fast_for: Duration::from_secs(120),
            scan_slow: Duration::from_secs(20),
        };
        Plan::new(&oob, Instant::now())
    }

    /// Runs the plan with scans of 0.2 s; returns each scan with its start.
    async fn walk(plan: &mut Plan, length: Duration) -> Vec<(Duration, Vec<u32>)> {
        let start = Instant::now();
        let mut log = vec![];
        while start.elapsed() < length {
            if let Some(list) = plan.next(Instant::now()) {
                log.push((start.elapsed(), list));
                tokio::time::advance(Duration::from_millis(200)).await;
                plan.done(Instant::now());
            }
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        log
    }

    #[tokio::test(start_paused = true)]
    async fn every_channel_comes_once_a_round_and_the_usual_ones_four_times() {
        let mut plan = plan();
        plan.search(true, Instant::now());
        let log = walk(&mut plan, Duration::from_secs(4)).await;
        let mut channels: Vec<u32> = log.iter().flat_map(|(_, list)| list.clone()).collect();
        assert_eq!(channels.iter().filter(|c| **c == 2437).count(), 4);
        channels.sort_unstable();
        channels.dedup();
        assert_eq!(channels.len(), 20);
    }

    #[tokio::test(start_paused = true)]
    async fn it_slows_down_unless_somebody_asked_for_it() {
        for (eager, least, most) in [(false, 7, 10), (true, 38, 42)] {
            let mut plan = plan();
            plan.eager(eager);
            plan.search(true, Instant::now());
            tokio::time::advance(Duration::from_secs(121)).await;
            let scans = walk(&mut plan, Duration::from_secs(20)).await.len();
            assert!((least..=most).contains(&scans), "{scans}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_channel_of_a_lost_hotspot_is_scanned_first_and_alone() {
        let mut plan = plan();
        plan.watch(5745, Instant::now());
        plan.search(true, Instant::now());
        let log = walk(&mut plan, Duration::from_secs(2)).await;
        assert_eq!(log[0], (GOODBYE, vec![5745]));
        assert_eq!(log[1].1, [5745, 2412, 2437, 2462]);
    }

    #[tokio::test(start_paused = true)]
    async fn all_channels_are_scanned_every_ten_minutes() {
        let mut plan = plan();
        plan.search(true, Instant::now());
        let log = walk(&mut plan, Duration::from_secs(1300)).await;
        assert_eq!(log.iter().filter(|(_, list)| list.is_empty()).count(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_radio_without_5_ghz_is_not_asked_for_it_again() {
        let mut plan = plan();
        plan.search(true, Instant::now());
        let mut refused = 0;
        for _ in 0..200 {
            if let Some(list) = plan.next(Instant::now()) {
                if list[0] > 5000 {
                    refused += 1;
                    plan.failed(Instant::now());
                } else {
                    plan.done(Instant::now());
                }
            }
            assert_eq!(plan.cure(Instant::now()), None);
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(refused, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wedged_radio_is_cured_harder_and_harder() {
        let mut plan = plan();
        plan.search(true, Instant::now());
        let mut cures = vec![];
        for _ in 0..700 {
            let _ = plan.next(Instant::now());
            cures.extend(plan.cure(Instant::now()));
            tokio::time::advance(Duration::from_millis(100)).await;
        }
        assert_eq!(cures, [Cure::AbortScan, Cure::Reopen, Cure::ResetLink]);
    }

    #[tokio::test(start_paused = true)]
    async fn no_scan_disturbs_a_connection_being_made() {
        let mut plan = plan();
        plan.rest();
        tokio::time::advance(Duration::from_secs(1000)).await;
        assert_eq!((plan.next(Instant::now()), plan.wake_at()), (None, None));
        plan.watch(2437, Instant::now());
        let log = walk(&mut plan, Duration::from_secs(300)).await;
        assert_eq!(log.len(), 8);
        assert!(log[0].0 >= TWIN_AFTER);
    }
}
