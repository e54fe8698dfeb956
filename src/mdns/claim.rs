//! Whose name it is (RFC 6762 §8 and §9): probed for before it is told, given up when another host has it. Pure; says nothing itself.

use std::time::Duration;

use crate::clock::Instant;

/// Probes before a name is ours, and the pause after each.
const PROBES: u8 = 3;
const PROBE_PITCH: Duration = Duration::from_millis(250);
/// How often a name that is ours is told to everybody, and the pause between.
const ANNOUNCEMENTS: u8 = 2;
const ANNOUNCE_PITCH: Duration = Duration::from_secs(1);
/// Two hosts began at the same time, and the other one goes first.
const DEFER: Duration = Duration::from_secs(1);
/// After so many names that others had, a name is tried only now and then.
const MANY: u32 = 15;
const SLOW: Duration = Duration::from_secs(5);
/// Longest label of the DNS.
const LONGEST: usize = 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The interface is not there.
    Quiet,
    Probing {
        sent: u8,
        at: Instant,
    },
    Announcing {
        sent: u8,
        at: Instant,
    },
    Held,
}

/// What is to be said now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    Probe,
    Announce,
}

/// What a packet of somebody else means for the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contest {
    /// Somebody has it.
    Taken,
    /// Somebody probes for it, too, and goes first.
    Behind,
}

#[derive(Clone, Debug)]
pub(super) struct Claim {
    /// The device's name as configured.
    wanted: String,
    /// 1 is the name itself, 2 is `rack7-2`.
    number: u32,
    stage: Stage,
}

impl Claim {
    pub(super) fn new(wanted: String) -> Self {
        Self {
            wanted,
            number: 1,
            stage: Stage::Quiet,
        }
    }

    pub(super) fn name(&self) -> String {
        if self.number == 1 {
            return self.wanted.clone();
        }
        let end = format!("-{}", self.number);
        let room = LONGEST.saturating_sub(end.len());
        // A device name is letters, digits and `-`.
        let start: String = self.wanted.chars().take(room).collect();
        format!("{start}{end}")
    }

    /// The interface is there: the configured name first. `jitter` keeps hosts apart that were switched on together.
    pub(super) fn begin(&mut self, now: Instant, jitter: Duration) {
        self.number = 1;
        self.probe(now + jitter);
    }

    fn probe(&mut self, at: Instant) {
        self.stage = Stage::Probing { sent: 0, at };
    }

    pub(super) fn end(&mut self) {
        self.stage = Stage::Quiet;
    }

    /// Is the name ours, so that questions for it are answered?
    pub(super) fn holds(&self) -> bool {
        matches!(self.stage, Stage::Announcing { .. } | Stage::Held)
    }

    /// What the name stands for has changed.
    pub(super) fn renew(&mut self, now: Instant) {
        if self.holds() {
            self.stage = Stage::Announcing { sent: 0, at: now };
        }
    }

    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.stage {
            Stage::Probing { at, .. } | Stage::Announcing { at, .. } => Some(at),
            Stage::Quiet | Stage::Held => None,
        }
    }

    pub(super) fn step(&mut self, now: Instant) -> Option<Say> {
        if self.wake_at().is_none_or(|at| now < at) {
            return None;
        }
        match self.stage {
            Stage::Probing { sent, .. } if sent < PROBES => {
                let (sent, at) = (sent + 1, now + PROBE_PITCH);
                self.stage = Stage::Probing { sent, at };
                Some(Say::Probe)
            }
            Stage::Probing { .. } => {
                let at = now + ANNOUNCE_PITCH;
                self.stage = Stage::Announcing { sent: 1, at };
                Some(Say::Announce)
            }
            Stage::Announcing { sent, .. } if sent < ANNOUNCEMENTS => {
                let (sent, at) = (sent + 1, now + ANNOUNCE_PITCH);
                self.stage = Stage::Announcing { sent, at };
                Some(Say::Announce)
            }
            Stage::Announcing { .. } => {
                self.stage = Stage::Held;
                None
            }
            Stage::Quiet | Stage::Held => None,
        }
    }

    /// True when another name is tried now. One that was ours is probed for once more first: who has a right to it answers.
    pub(super) fn contested(&mut self, by: Contest, now: Instant) -> bool {
        match (self.stage, by) {
            (Stage::Probing { .. }, Contest::Taken) => {
                self.number = self.number.saturating_add(1);
                let many = self.number > MANY;
                self.probe(if many { now + SLOW } else { now });
                true
            }
            (Stage::Probing { .. }, Contest::Behind) => {
                self.probe(now + DEFER);
                false
            }
            (Stage::Announcing { .. } | Stage::Held, Contest::Taken) => {
                self.probe(now);
                false
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said until the name is held.
    fn until_held(claim: &mut Claim) -> Vec<Say> {
        let mut said = vec![];
        while let Some(at) = claim.wake_at() {
            said.extend(claim.step(at));
        }
        said
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_is_probed_for_before_it_is_told() {
        let (mut claim, now) = (Claim::new("rack7".into()), Instant::now());
        claim.begin(now, Duration::from_millis(100));
        assert_eq!(claim.step(now), None);
        assert!(!claim.holds());
        let said = until_held(&mut claim);
        let (probe, announce) = (Say::Probe, Say::Announce);
        assert_eq!(said, [probe, probe, probe, announce, announce]);
        assert!(claim.holds());
        claim.renew(now);
        assert_eq!(until_held(&mut claim), [announce, announce]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_somebody_has_gets_a_number() {
        let (mut claim, now) = (Claim::new("rack7".into()), Instant::now());
        claim.begin(now, Duration::ZERO);
        claim.step(now);
        assert!(claim.contested(Contest::Taken, now));
        assert_eq!(claim.name(), "rack7-2");
        until_held(&mut claim);
        // Once it is ours, who says the same is asked first.
        assert!(!claim.contested(Contest::Taken, now));
        assert!(!claim.holds());
        assert!(claim.contested(Contest::Taken, now));
        assert_eq!(claim.name(), "rack7-3");
        for _ in 0..20 {
            claim.contested(Contest::Taken, now);
        }
        assert_eq!(claim.wake_at(), Some(now + SLOW));
        claim.begin(now, Duration::ZERO);
        assert_eq!(claim.name(), "rack7");
    }

    #[tokio::test(start_paused = true)]
    async fn who_probes_at_the_same_time_and_goes_first_is_waited_for() {
        let (mut claim, now) = (Claim::new("rack7".into()), Instant::now());
        claim.begin(now, Duration::ZERO);
        claim.step(now);
        assert!(!claim.contested(Contest::Behind, now));
        assert_eq!(
            (claim.wake_at(), claim.name()),
            (Some(now + DEFER), "rack7".into())
        );
        until_held(&mut claim);
        assert!(!claim.contested(Contest::Behind, now) && claim.holds());
    }

    #[test]
    fn a_long_name_stays_a_label() {
        let mut claim = Claim::new("r".repeat(63));
        claim.number = 12;
        assert!(claim.name().len() == LONGEST && claim.name().ends_with("r-12"));
    }
}
