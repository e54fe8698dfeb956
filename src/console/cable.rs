//! Is something plugged in at the other end of the cable? Learned from a modem line of the device. Pure.

use std::time::Duration;

use crate::clock::Instant;
use crate::config::CableWire;
use crate::line::{Cable, Signals};

/// A device that restarts lets its DSR fall for a moment.
const DEBOUNCE: Duration = Duration::from_secs(3);

/// What became of the cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Unplugged,
    Back,
}

/// One console's cable. Many cables have no wire but three: nothing is said until the line was seen up once.
#[derive(Debug)]
pub(super) struct Watch {
    wire: Option<CableWire>,
    /// The line is wired: it was up once. Kept while the port is away, so that a dead device is told on its return.
    seen: bool,
    down_since: Option<Instant>,
    cable: Cable,
    /// The last word that people had.
    told_unplugged: bool,
}

impl Watch {
    #[must_use]
    pub(super) fn new(wire: Option<CableWire>) -> Self {
        Self {
            wire,
            seen: false,
            down_since: None,
            cable: Cable::Unknown,
            told_unplugged: false,
        }
    }

    #[must_use]
    pub(super) fn cable(&self) -> Cable {
        self.cable
    }

    /// The wire that is looked at, for the words.
    #[must_use]
    pub(super) fn wire(&self) -> String {
        self.wire.map_or_else(String::new, |wire| wire.to_string())
    }

    /// When [`Watch::step`] has something to say though nothing changes.
    #[must_use]
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let waits = self.cable != Cable::Unplugged;
        self.down_since.filter(|_| waits).map(|at| at + DEBOUNCE)
    }

    /// How the lines stand now; `None` while the port is away or has none.
    pub(super) fn step(&mut self, signals: Option<Signals>, now: Instant) -> Option<Change> {
        let (Some(wire), Some(signals)) = (self.wire, signals) else {
            self.down_since = None;
            self.cable = Cable::Unknown;
            return None;
        };
        let up = match wire {
            CableWire::Dsr => signals.dsr,
            CableWire::Cts => signals.cts,
            CableWire::Dcd => signals.dcd,
        };
        if up {
            self.seen = true;
            self.down_since = None;
            self.cable = Cable::Connected;
            return std::mem::take(&mut self.told_unplugged).then_some(Change::Back);
        }
        if !self.seen {
            return None;
        }
        let since = *self.down_since.get_or_insert(now);
        if self.cable == Cable::Unplugged || now.saturating_duration_since(since) < DEBOUNCE {
            return None;
        }
        self.cable = Cable::Unplugged;
        (!std::mem::replace(&mut self.told_unplugged, true)).then_some(Change::Unplugged)
    }
}

/// Changes of one line that are journaled in a burst, and how soon one more may follow.
const BURST: u32 = 8;
const REFILL: Duration = Duration::from_secs(15);

/// Keeps a flapping line from flooding the journal. The state follows it all the same.
#[derive(Debug)]
pub(super) struct Limit {
    left: u32,
    since: Instant,
}

impl Limit {
    #[must_use]
    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            since: now,
        }
    }

    /// May one more be journaled?
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        while self.left < BURST && now.saturating_duration_since(self.since) >= REFILL {
            self.left += 1;
            self.since += REFILL;
        }
        if self.left == BURST {
            self.since = now;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dsr(dsr: bool) -> Option<Signals> {
        Some(Signals {
            dsr,
            ..Signals::default()
        })
    }

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn a_cable_that_was_seen_is_missed_after_three_seconds_and_found_again() {
        let start = Instant::now();
        let mut watch = Watch::new(Some(CableWire::Dsr));
        let mut steps = Vec::new();
        for (millis, up) in [
            (0, false),
            (5_000, false),
            (6_000, true),
            (7_000, false),
            (9_999, false),
            (10_000, false),
            (20_000, false),
            (21_000, true),
            (22_000, false),
            (23_000, true),
        ] {
            let change = watch.step(dsr(up), after(start, millis));
            steps.push((millis, watch.cable(), change));
        }
        use Cable::{Connected, Unknown, Unplugged};
        assert_eq!(
            steps,
            [
                (0, Unknown, None),
                (5_000, Unknown, None),
                (6_000, Connected, None),
                (7_000, Connected, None),
                (9_999, Connected, None),
                (10_000, Unplugged, Some(Change::Unplugged)),
                (20_000, Unplugged, None),
                (21_000, Connected, Some(Change::Back)),
                (22_000, Connected, None),
                (23_000, Connected, None),
            ]
        );
    }

    #[test]
    fn a_port_that_comes_back_with_a_dead_device_is_told() {
        let start = Instant::now();
        let mut watch = Watch::new(Some(CableWire::Dsr));
        watch.step(dsr(true), start);
        assert_eq!(watch.step(None, start), None);
        assert_eq!((watch.cable(), watch.wake_at()), (Cable::Unknown, None));
        watch.step(dsr(false), after(start, 60_000));
        assert_eq!(watch.wake_at(), Some(after(start, 63_000)));
        let change = watch.step(dsr(false), after(start, 63_000));
        assert_eq!(change, Some(Change::Unplugged));
        // The port goes and comes once more: no second word about the same thing.
        watch.step(None, after(start, 64_000));
        watch.step(dsr(false), after(start, 65_000));
        assert_eq!(watch.step(dsr(false), after(start, 70_000)), None);
        assert_eq!(watch.cable(), Cable::Unplugged);
        let change = watch.step(dsr(true), after(start, 71_000));
        assert_eq!(change, Some(Change::Back));
    }

    #[test]
    fn a_flapping_line_is_journaled_now_and_then() {
        let start = Instant::now();
        let mut limit = Limit::new(start);
        let allowed = (0..4 * 3600_u64)
            .filter(|tick| limit.allows(after(start, tick * 250)))
            .count();
        // An hour of four changes a second: the burst, then one in 15 s.
        assert!((240..=250).contains(&allowed), "{allowed}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn words_alternate_and_an_unwired_line_is_never_unplugged(steps in prop::collection::vec((0..6_000_u64, prop::option::of(any::<bool>())), 0..60), wired: bool) {
            let mut watch = Watch::new(Some(CableWire::Dsr));
            let (mut now, mut last) = (Instant::now(), Change::Back);
            for (millis, up) in steps {
                now += Duration::from_millis(millis);
                let signals = up.and_then(|up| dsr(up && wired));
                if let Some(change) = watch.step(signals, now) {
                    prop_assert_ne!(change, last);
                    last = change;
                }
                prop_assert!(wired || watch.cable() == Cable::Unknown);
            }
        }
    }
}
