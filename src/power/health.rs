//! Whether the device serves us, and when it is read next. Pure.

use std::time::Duration;

use super::driver::Fault;
use crate::clock::{Instant, Timestamp};
use crate::fact::DevicePhase;

/// A dead device is looked for this soon, then less and less often.
const FIRST_RETRY: Duration = Duration::from_secs(2);
const SLOWEST_RETRY: Duration = Duration::from_secs(60);
/// One that refuses us is left alone this long: devices lock accounts.
const REFUSED_RETRY: Duration = Duration::from_mins(15);

/// What the journal should hear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    Nothing,
    Lost(String),
    Found,
}

#[derive(Debug)]
pub(super) struct Health {
    poll: Duration,
    phase: DevicePhase,
    since: Timestamp,
    why: String,
    due: Instant,
    /// Somebody wants it read who came after the reading that is under way.
    hurried: bool,
    retry: Duration,
    /// A verb was refused: none is tried before, and why.
    distrusts: Option<(Instant, String)>,
    /// The certificate or key that was shown and is not the pinned one.
    shown: Option<(String, String)>,
}

impl Health {
    pub(super) fn new(poll: Duration) -> Self {
        Self {
            poll,
            phase: DevicePhase::Unknown,
            since: Timestamp::now(),
            why: "not read yet".into(),
            due: Instant::now(),
            hurried: false,
            retry: FIRST_RETRY,
            distrusts: None,
            shown: None,
        }
    }

    pub(super) fn standing(&self) -> (DevicePhase, Timestamp, String) {
        let why = match (&self.distrusts, self.phase) {
            (Some((_, why)), DevicePhase::Up) => why.clone(),
            _ => self.why.clone(),
        };
        (self.phase, self.since, why)
    }

    /// When it is to be read.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Somebody wants it read now, and lets it be asked again what it refused.
    pub(super) fn hurry(&mut self) {
        self.due = Instant::now();
        self.hurried = true;
        self.distrusts = None;
    }

    /// There is more to be read of a device that serves us.
    pub(super) fn refresh(&mut self) {
        if self.phase == DevicePhase::Up {
            self.due = Instant::now();
        }
    }

    /// A reading begins.
    pub(super) fn begins(&mut self) {
        self.hurried = false;
    }

    /// Why no verb may be tried now.
    pub(super) fn distrust(&self, now: Instant) -> Option<String> {
        let (until, why) = match (&self.distrusts, self.phase) {
            (Some((until, why)), _) => (*until, why),
            (None, DevicePhase::Refused) => (self.due, &self.why),
            _ => return None,
        };
        let left = until.saturating_duration_since(now).as_secs();
        (left > 0).then(|| {
            format!("{why}; it is not asked again for {left} s, so that no account is locked")
        })
    }

    /// A verb was not taken.
    pub(super) fn refused_verb(&mut self, now: Instant, fault: &Fault) {
        if let Fault::Refused(why) = fault {
            self.distrusts = Some((now + REFUSED_RETRY, why.clone()));
        }
    }

    /// What and which fingerprint, when the device is not who it was.
    pub(super) fn shown(&self) -> Option<&(String, String)> {
        self.shown.as_ref()
    }

    /// Is this a certificate or key that is not the pinned one, and another than was shown last? Ask before [`Self::heard`].
    pub(super) fn is_news(&self, fault: Option<&Fault>) -> bool {
        let Some(Fault::Changed { what, found, .. }) = fault else {
            return false;
        };
        let last = self.shown.as_ref();
        last.is_none_or(|last| (&last.0, &last.1) != (what, found))
    }

    /// It was read, or why not.
    pub(super) fn heard(&mut self, now: Instant, fault: Option<&Fault>) -> Told {
        if let Some(Fault::Changed { what, found, .. }) = fault {
            self.shown = Some((what.clone(), found.clone()));
        }
        let phase = match fault {
            None => DevicePhase::Up,
            // At boot the LAN is late: that is no loss of a device that nobody has looked for yet.
            Some(Fault::Offline(why)) if self.phase == DevicePhase::Unknown => {
                self.why.clone_from(why);
                self.due = now + FIRST_RETRY;
                return Told::Nothing;
            }
            Some(Fault::Silent(_) | Fault::Odd(_) | Fault::NotPossible(_) | Fault::Offline(_)) => {
                DevicePhase::Silent
            }
            Some(Fault::Refused(_) | Fault::Changed { .. }) => DevicePhase::Refused,
        };
        let before = self.phase;
        if phase != before {
            self.since = Timestamp::now();
            self.retry = FIRST_RETRY;
        }
        self.phase = phase;
        self.why = fault.map(ToString::to_string).unwrap_or_default();
        let pause = match phase {
            DevicePhase::Up => {
                self.shown = None;
                self.poll
            }
            DevicePhase::Refused => REFUSED_RETRY,
            _ => {
                let pause = self.retry;
                self.retry = (pause * 2).min(SLOWEST_RETRY.max(self.poll));
                pause
            }
        };
        self.due = if self.hurried { now } else { now + pause };
        match (before, phase) {
            (before, phase) if before == phase => Told::Nothing,
            (DevicePhase::Unknown, DevicePhase::Up) => Told::Nothing,
            (_, DevicePhase::Up) => Told::Found,
            _ => Told::Lost(self.why.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_dead_are_asked_less_and_less_and_those_who_refuse_hardly_ever() {
        let mut health = Health::new(Duration::from_secs(30));
        let silent = Fault::Silent("no answer".into());
        let refused = Fault::Refused("wrong password".into());
        let now = Instant::now();
        assert_eq!(health.heard(now, None), Told::Nothing);
        assert_eq!(health.due(), now + Duration::from_secs(30));
        assert_eq!(
            health.heard(now, Some(&silent)),
            Told::Lost("no answer".into())
        );
        let mut pauses = vec![health.due() - now];
        for _ in 0..6 {
            assert_eq!(health.heard(now, Some(&silent)), Told::Nothing);
            pauses.push(health.due() - now);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60].map(Duration::from_secs));
        assert_eq!(health.heard(now, None), Told::Found);
        assert_eq!(
            health.heard(now, Some(&refused)),
            Told::Lost("wrong password".into())
        );
        assert_eq!(health.due(), now + REFUSED_RETRY);
        assert_eq!(health.standing().0, DevicePhase::Refused);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lan_that_is_late_is_no_loss() {
        let mut health = Health::new(Duration::from_secs(30));
        let offline = Fault::Offline("eth0 has no address yet".into());
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(health.heard(now, Some(&offline)), Told::Nothing);
            assert_eq!(health.due(), now + FIRST_RETRY);
        }
        let (phase, _, why) = health.standing();
        assert_eq!(phase, DevicePhase::Unknown);
        assert_eq!(why, "eth0 has no address yet");
        assert_eq!(health.heard(now, None), Told::Nothing);
        // Later it is one: nothing can be switched.
        assert!(matches!(health.heard(now, Some(&offline)), Told::Lost(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn each_key_that_is_not_the_pinned_one_is_news_once() {
        let mut health = Health::new(Duration::from_secs(30));
        let now = Instant::now();
        let changed = |found: &str| Fault::Changed {
            what: "tls 10.0.0.7:3493".into(),
            pinned: "A".into(),
            found: found.into(),
        };
        for (found, news) in [("B", true), ("B", false), ("C", true), ("C", false)] {
            let fault = changed(found);
            assert_eq!(health.is_news(Some(&fault)), news, "{found}");
            health.heard(now, Some(&fault));
        }
        let silent = Fault::Silent("no answer".into());
        assert!(!health.is_news(Some(&silent)) && !health.is_news(None));
        // Between the two it was itself again.
        health.heard(now, None);
        assert!(health.is_news(Some(&changed("C"))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_verb_is_not_tried_again_soon() {
        let mut health = Health::new(Duration::from_secs(30));
        let now = Instant::now();
        health.heard(now, None);
        health.refused_verb(now, &Fault::Silent("gone".into()));
        assert_eq!(health.distrust(now), None);
        health.refused_verb(now, &Fault::Refused("ACCESS-DENIED".into()));
        assert!(health.distrust(now).unwrap().contains("900 s"));
        // Reading still works, and says why the verbs do not.
        health.heard(now, None);
        assert_eq!(health.standing().2, "ACCESS-DENIED");
        assert_eq!(health.distrust(now + REFUSED_RETRY), None);
        health.hurry();
        assert_eq!(health.distrust(now), None);
        // Who comes while it is read, as after a key was trusted, gets a reading of his own.
        health.begins();
        health.heard(now, None);
        assert_eq!(health.due(), now + Duration::from_secs(30));
        health.begins();
        health.hurry();
        health.heard(now, None);
        assert_eq!(health.due(), now);
    }
}
